"""``boxes.toml``: which boxes a fleet has, and how to go about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from edge.judge.fields import Many, Name, Table
from edge.station.words import lookup
from firmware_bridge.fleet import Plan
from firmware_bridge.wires import tcp_address
from models.errors import TransferError
from tools.toml_file import Fault, load_toml

__all__ = ["FleetFile", "load_fleet"]


def _address(port: str) -> str:
    try:
        tcp_address(port)
    except TransferError as error:
        raise ValueError(str(error).partition(": ")[2]) from error
    return port


class Settings(Table):
    """``[fleet]``."""

    parallel: int = Field(8, ge=1, le=64, description="boxes at once")
    canary: int = Field(1, ge=0, description="of the first boxes, which go before all others")
    max_failures: int = Field(3, ge=0, description="when more have failed, no other is begun")


class Box(Table):
    """``[[boxes]]``."""

    name: Name = Field(min_length=1, description="as people call it")
    port: Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_address)] = Field(
        description="a serial port, or tcp://HOST:PORT"
    )


class FleetFile(Table):
    """A whole file."""

    fleet: Settings = Settings()
    boxes: Many[Box] = Field(min_length=1, max_length=2000, description="[[boxes]], one for each")

    @property
    def plan(self) -> Plan:
        """How to go about it."""
        return Plan(self.fleet.parallel, self.fleet.canary, self.fleet.max_failures)


def load_fleet(path: Path) -> FleetFile:
    """Read a fleet file; ``ConfigError`` with every fault of it."""
    return load_toml(path, FleetFile, {"fleet": Settings, "boxes": Box}, "a fleet file", _twice)


def _twice(raw: Mapping[str, Any]) -> Iterator[Fault]:
    """Names and ports that two boxes have."""
    boxes = raw.get("boxes")
    for key in ("name", "port"):
        first: dict[str, int] = {}
        for number in range(len(boxes)) if isinstance(boxes, list) else ():
            value = lookup(raw, ("boxes", number, key))
            if isinstance(value, str) and first.setdefault(value, number) != number:
                yield ("boxes", number, key), f"is the {key} of boxes[{first[value]}] already"
