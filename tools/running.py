"""Running a station until it ends or is asked to stop."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from edge.camera import register
from edge.camera.base import Camera
from edge.camera.source import Source
from edge.io.base import Output
from edge.io.jsonl import JsonlOutput
from edge.loop import Line
from edge.station import Station
from models.errors import InputError

__all__ = ["needs_line_extra", "register_line", "station_outputs", "stopped_by_signals"]


def register_line() -> None:
    """Make ``line:`` a camera source. What draws it is imported when one is asked for."""
    register("line", _line_camera)


def _line_camera(source: Source) -> Camera:
    with needs_line_extra():
        from tools.line.camera import LineCamera
    return LineCamera.from_source(source)


@contextmanager
def needs_line_extra() -> Iterator[None]:
    """Around imports of the simulated line: boxes are installed without what draws it.

    Raises
    ------
    InputError
        Says what is missing and how to get it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(
            f"{error.name} is not installed, and the simulated line is drawn with it: "
            "pip install 'lineguard[line]'"
        ) from error


@contextmanager
def stopped_by_signals(line: Line) -> Iterator[None]:
    """SIGTERM and SIGINT stop the line cleanly; the old handlers come back afterwards."""

    def stop(signum: int, frame: FrameType | None) -> None:
        line.stop()

    old = {each: signal.signal(each, stop) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in old.items():
            signal.signal(each, handler)


def station_outputs(station: Station) -> list[Output]:
    """The outputs that the station file names; ``StorageError`` if one cannot be opened."""
    return [JsonlOutput.open(Path(output.path)) for output in station.outputs]
