"""Running a station until it ends or is asked to stop."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console

from edge.box.finding import Case
from edge.box.placement import in_words, others, placed
from edge.box.profile import detect
from edge.box.root import Root
from edge.box.watch import BoxWatch, station_checks
from edge.camera import register
from edge.camera.base import Camera
from edge.camera.source import Source
from edge.challenge.desk import ChallengeDesk
from edge.display.alarms import Kind
from edge.display.state import DisplayState
from edge.engines import pin_all_threads
from edge.io.base import Output, Signalled
from edge.io.wiring import open_outputs
from edge.loop import Changeover, Line
from edge.loop.comparisons import shadow_path
from edge.loop.shadow import Shadow
from edge.records.output import RecordsOutput
from edge.service.notify import Pulse
from edge.station import Station, candidate_station
from models.errors import InputError
from tools.board_file import board_file
from tools.terminal import Terminal

__all__ = [
    "Board",
    "displayed",
    "followed",
    "needs_line_extra",
    "pulse",
    "register_line",
    "station_changes",
    "station_display",
    "station_outputs",
    "station_shadow",
    "stopped_by_signals",
]

_log = logging.getLogger(__name__)

KINDS: Mapping[str, Kind] = {"records": "records", "evidence": "records"}
"""What has failed, by the name of what tells it; all others are outputs."""


class Board:
    """The machine that a station runs on, and where its threads go.

    Raises
    ------
    ConfigError, InputError
        The board file of the box is faulty, or names a core that it has not got.
    """

    def __init__(self) -> None:
        self.profile = detect(override=board_file())
        self._allowed = os.sched_getaffinity(0)

    def place(self, station: Station) -> Station:
        """The station with cores and threads for the models that its file gives none."""
        return placed(station, self.profile, self._allowed)

    def pin(self, station: Station, console: Console) -> None:
        """Keep this process off the cores of the models; those of a model open it themselves.

        Says where everything runs, if anything is pinned.
        """
        rest = others(station, self._allowed)
        if rest:
            pin_all_threads(rest)
        if words := in_words(station, rest):
            console.print(f"cores          {words}", soft_wrap=True, highlight=False)

    def watch(self, path: Path, station: Station, displays: Sequence[DisplayState]) -> BoxWatch:
        """What shows on the displays what is wrong with this machine."""

        def case() -> Case:
            slots = Path(station.bundle.root) if station.bundle else None
            records = Path(station.records.path) if station.records else None
            return Case(Root(), self.profile, slots, path, records)

        def tell(kind: Kind, name: str, en: str | None, zh: str | None) -> None:
            for display in displays:
                display.alarms.tell(kind, name, en, zh)

        return BoxWatch(case, station_checks(station), tell)


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


def pulse(line: Line) -> Pulse:
    """Tells the service manager, if one has started us, that every camera's threads move."""

    def status() -> str:
        tally, name = line.tally, line.setting.station.station.name
        return f"{name}: {tally.parts} parts, {tally.ng} NG"

    return Pulse(lambda: line.started, lambda: line.stuck, status)


def station_outputs(
    station: Station,
    displays: Sequence[DisplayState] = (),
    terminals: Sequence[Terminal] = (),
) -> list[Output]:
    """The records and outputs that the station file names; their faults are logged, and shown.

    Raises
    ------
    InputError, DeviceError
        One cannot be opened.
    """

    def show(name: str, fault: str | None) -> None:
        _log.log(logging.INFO if fault is None else logging.ERROR, "%s: %s", name, fault or "works")
        for display in displays:
            display.fault(name, fault, KINDS.get(name, "output"))
        for terminal in terminals:
            terminal.fault(name, fault)

    def told(signalled: Signalled) -> None:
        for display in displays:
            display.counts.signalled(signalled)

    outputs = open_outputs(station, show, told)
    for display in displays:
        display.records = next((o for o in outputs if isinstance(o, RecordsOutput)), None)
    return outputs


def station_changes(
    station: Station, path: Path, displays: Sequence[DisplayState] = (), board: Board | None = None
) -> list[Changeover]:
    """What brings flashed bundles onto the running line, if the station file names a bundle."""
    if station.bundle is None:
        return []

    def tell(good: bool, text: str) -> None:
        _log.log(logging.INFO if good else logging.ERROR, "%s", text)
        for display in displays:
            display.fault("bundle", None if good else text, "station")

    place = board.place if board else lambda station: station
    return [Changeover(path, Path(station.bundle.root), tell, place)]


def station_shadow(
    station: Station, path: Path, displays: Sequence[DisplayState] = ()
) -> list[Shadow]:
    """What shows parts to another bundle, if the station file asks for it."""
    if station.shadow is None:
        return []
    store = shadow_path(path, station)
    unpacked = store.with_suffix(".bundle")
    shadow = Shadow(lambda: candidate_station(path, unpacked), store, station.shadow)
    for display in displays:
        display.shadow = shadow.summary
    return [shadow]


def station_display(station: Station) -> list[DisplayState]:
    """The display, an output of the line, if the station file asks for one."""
    return [DisplayState(station)] if station.display else []


def followed(changes: Sequence[Changeover | ChallengeDesk], line: Line) -> None:
    """Begin to follow the active slot, and to keep the lock; ``line`` is about to run."""
    for change in changes:
        change.follow(line)


@contextmanager
def displayed(displays: Sequence[DisplayState], line: Line, console: Console) -> Iterator[None]:
    """Serve the display of a station, and say where.

    Raises
    ------
    ConfigError, DeviceError
        The token file or the address is no good.
    """
    table = line.setting.station.display
    if not displays or table is None:
        yield
        return
    from edge.display.server import serve  # takes half a second, which other stations do without

    with serve(displays[0], line, table) as serving:
        if console.is_terminal:
            said = serving.link
        else:  # a log, which others may read
            said = f"{serving.address} (token: {table.token_file})"
        console.print(f"display        {said}", soft_wrap=True, highlight=False)
        yield
