"""The units of systemd: what starts a station and an agent, as whom, and what they may touch.

``systemd.service(5)``, ``systemd.exec(5)``, ``systemd.resource-control(5)``, ``sysusers.d(5)``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from edge.station import Station
from edge.station.outputs import JsonlOutput
from models.errors import InputError

__all__ = [
    "AGENT",
    "STATE",
    "STATION",
    "USERS",
    "agent_unit",
    "outermost",
    "station_unit",
    "users",
    "writable",
]

STATION = Path("etc/systemd/system/lineguard-station.service")
AGENT = Path("etc/systemd/system/lineguard-agent.service")
USERS = Path("etc/sysusers.d/lineguard.conf")

STATE = Path("/var/lib/lineguard")
"""What systemd makes for the user; all else that is written must be named."""

SERIAL = ("ttyS", "ttyUSB", "ttyACM", "ttyAMA")

CAMERAS = ("video4linux", "media", "usb_device")

RESERVED = 1024
"""Ports below need a privilege."""

_PLAIN = re.compile(r"[\w@:/.,+=~-]+")
"""What means nothing to systemd: no space, quote, backslash, ``$`` or ``%``."""


def station_unit(program: Path, file: Path, station: Station) -> str:
    """The unit of a station.

    Parameters
    ----------
    program
        The command ``lineguard``.
    file
        The station file; absolute.
    station
        What stands there.

    Raises
    ------
    InputError
        A path has characters that mean something to systemd.
    """
    head = _fill(
        "lineguard-station.service",
        name=station.station.name,
        program=_plain(program),
        station=_plain(file),
        folder=_plain(file.parent),
    )
    reserved = station.display is not None and station.display.port < RESERVED
    devices = (*CAMERAS, *SERIAL, "gpiochip")
    return head + _common(writable(file, station), devices, reserved=reserved)


def agent_unit(program: Path, port: str, root: Path) -> str:
    """The unit of an agent; ``port`` and ``root`` as for ``lineguard agent``.

    Raises
    ------
    InputError
        As for :func:`station_unit`.
    """
    values = {"program": _plain(program), "port": _plain(port), "root": _plain(root)}
    try:
        reserved = port.startswith("tcp:") and (urlsplit(port).port or RESERVED) < RESERVED
    except ValueError as error:
        raise InputError(f"--port {port}: is no tcp://HOST:PORT: mend it") from error
    head = _fill("lineguard-agent.service", **values)
    return head + _common([root], SERIAL, reserved=reserved)


def users() -> str:
    """Makes the user of both."""
    return _read("sysusers.conf")


def writable(file: Path, station: Station) -> list[Path]:
    """Folders that a station writes to: no one of them below another."""
    named = [file.parent]
    if station.records is not None:
        named.append(Path(station.records.path))
    if station.bundle is not None:
        named.append(Path(station.bundle.root))
    if station.display is not None:
        named.append(Path(station.display.token_file).parent)
    named += [Path(out.path).parent for out in station.outputs if isinstance(out, JsonlOutput)]
    return outermost(file.parent / each for each in named)


def outermost(folders: Iterable[Path]) -> list[Path]:
    """Those that lie in no other of them."""
    kept: list[Path] = []
    for folder in sorted(set(folders)):
        if not any(folder.is_relative_to(known) for known in kept):
            kept.append(folder)
    return kept


def _common(folders: Iterable[Path], devices: Iterable[str], *, reserved: bool) -> str:
    return _fill(
        "common.conf",
        writable=" ".join(_plain(each) for each in folders if not each.is_relative_to(STATE)),
        devices="\n".join(f"DeviceAllow=char-{each} rw" for each in devices),
        capabilities="CAP_NET_BIND_SERVICE" if reserved else "",
    )


def _fill(name: str, /, **values: str) -> str:
    return Template(_read(name)).substitute(values)


def _read(name: str) -> str:
    return files("edge.service").joinpath(name).read_text("utf-8")


def _plain(value: Path | str) -> str:
    if not _PLAIN.fullmatch(str(value)):
        raise InputError(
            f"{value}: has characters that mean something to systemd: "
            "use letters, digits and . _ - / : only"
        )
    return str(value)
