"""The ``trigger`` of a ``[[cameras]]`` table: what says that a part is there, one table a kind.

They stand apart from what they configure, as those of outputs do, since a station file is checked
without the libraries that talk to machines.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator
from typing_extensions import Self

from edge.judge.fields import Box, Table
from edge.station.outputs import GPIO_CHIP, Baud, LineNumber, MqttLogin, Plc, Topic
from edge.station.paths import FilePath

__all__ = [
    "REGISTERS",
    "GpioTrigger",
    "ModbusTrigger",
    "MqttTrigger",
    "SoftwareTrigger",
    "TriggerTable",
    "VisionTrigger",
]


REGISTERS: tuple[Literal["coil", "discrete", "holding", "input"], ...] = (
    "coil",
    "discrete",
    "holding",
    "input",
)
"""Keys of a Modbus trigger that say what it looks at."""

_Address = Annotated[int, Field(ge=0, le=65_535)]


class _Trigger(Table):
    """What all kinds have in common: which picture is that of the part."""

    delay_ms: int = Field(
        0, ge=0, le=60_000, description="trigger to picture: the way to the camera; less than that"
    )
    picture_ms: int | None = Field(
        None,
        ge=1,
        le=60_000,
        description="how long to wait for a picture after that; two frame intervals if left out",
    )

    @property
    def source(self) -> Self:
        """The same for all cameras that one source triggers, whatever their delays."""
        return self.model_copy(update={"delay_ms": 0, "picture_ms": None})


class GpioTrigger(_Trigger):
    """A light barrier on a line of the box."""

    kind: Literal["gpio"]
    chip: FilePath = Field(GPIO_CHIP, description="as gpiodetect shows it")
    line: LineNumber = Field(description="number of the input line on the chip")
    edge: Literal["rising", "falling"] = Field("rising", description="which edge is a part")
    pull: Literal["up", "down", "none"] = Field("none", description="the chip's own resistor")
    debounce_ms: float = Field(
        0.0, ge=0, le=1000, description="edges sooner after each other are a contact that bounces"
    )


class ModbusTrigger(_Trigger):
    """A PLC: a coil that rises, or a register that counts parts."""

    kind: Literal["modbus"]
    address: Plc = Field(description="tcp://HOST:PORT, or the serial port of an RTU line")
    coil: _Address | None = Field(None, description="a coil; 0 to 1 is a part")
    discrete: _Address | None = Field(None, description="a discrete input; 0 to 1 is a part")
    holding: _Address | None = Field(None, description="a register that counts; a step is a part")
    input: _Address | None = Field(None, description="an input register; a step is a part")
    baud: Baud = Field(19200, description="of an RTU line")
    parity: Literal["even", "odd", "none"] = Field("even", description="of an RTU line")
    device: int = Field(1, ge=0, le=247, description="unit id; 0 and 255 mean nobody on RTU lines")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len([kind for kind in REGISTERS if getattr(self, kind) is not None]) != 1:
            raise ValueError(f"looks at one of {', '.join(REGISTERS)}: give the address of one")
        return self

    @property
    def place(self) -> tuple[Literal["coil", "discrete", "holding", "input"], int]:
        """What it looks at: kind and address."""
        given = ((kind, getattr(self, kind)) for kind in REGISTERS)
        return next((kind, address) for kind, address in given if address is not None)


class MqttTrigger(_Trigger, MqttLogin):
    """A message on the plant's broker."""

    kind: Literal["mqtt"]
    topic: Topic = Field(description="each message on it is a part, but for retained ones")


class SoftwareTrigger(_Trigger):
    """A program, by ``POST /api/v1/trigger``."""

    kind: Literal["software"]


class VisionTrigger(_Trigger):
    """The picture itself: something lies on the belt, and its middle passes that of a box."""

    kind: Literal["vision"]
    box: Box | None = Field(
        None, description="[x0, y0, x1, y1] of belt in the picture; the whole frame if left out"
    )
    moves: Literal["right", "left", "down", "up"] = Field(
        "right", description="where parts go in the picture"
    )
    threshold: int = Field(
        24, ge=4, le=200, description="grey levels by which a part differs from the empty belt"
    )
    min_size_px: int | None = Field(
        None, ge=1, le=65_535, description="along the belt; less is no part; box / 32 if left out"
    )


TriggerTable: TypeAlias = Annotated[
    GpioTrigger | ModbusTrigger | MqttTrigger | SoftwareTrigger | VisionTrigger,
    Field(discriminator="kind"),
]
"""Any trigger; a new kind is one more class in the union."""
