"""What the display knows: an output of the loop that counts and keeps references, nothing more.

Whatever people see is put together when somebody watches, by :meth:`DisplayState.snapshot`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from prometheus_client import CollectorRegistry

from edge.camera.capture import State
from edge.challenge.desk import ChallengeDesk
from edge.display.alarms import CARES, Alarms, Kind
from edge.display.parts import describe
from edge.display.pictures import NG_KEPT, Pictures
from edge.display.shift import Shift
from edge.metrics.counts import Counts
from edge.metrics.scrape import FaultCount, Kept
from edge.records.output import RecordsOutput
from edge.station import Station
from edge.verdict import Verdict

__all__ = ["HOLD_S", "RECENT", "DisplayState", "Seen"]

HOLD_S = 1.0
"""How long a rejected part stays on the tile though good ones follow: at 10 parts a second nobody
would see it otherwise."""

RECENT = 50
"""Newest parts of all cameras that are kept without their pictures."""

MACHINE = frozenset(
    {
        "late",
        "overrun",
        "no_frame",
        "bad_frame",
        "no_picture",
        "too_close",
        "engine_failed",
        "cannot_evaluate",
    }
)
"""Reasons that are the machine's doing: the part is NG, and the machine has a fault as well."""


@dataclass(frozen=True)
class Seen:
    """A verdict without its pixels, and when it came.

    Attributes
    ----------
    verdict
        Holds no pixels.
    size
        Width and height of the picture that there was.
    at
        ``time.monotonic()`` seconds.
    """

    verdict: Verdict
    size: tuple[int, int] | None
    at: float


@dataclass
class _Camera:
    state: State = "starting"
    reason: str = ""
    ok: int = 0
    ng: int = 0
    newest: Seen | None = None
    newest_ng: Seen | None = None
    shown: Seen | None = None
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=20))


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


class DisplayState:
    """Takes verdicts, states of cameras and faults, and tells them to viewers.

    Parameters
    ----------
    station
        Names the cameras, and when shifts begin.
    clock
        The wall clock, with time zone.

    Attributes
    ----------
    counted
        What Prometheus collects; :attr:`counts` counts into it.
    records
        Those of the station, if it keeps any and whoever opened them has said so.
    challenge
        Likewise; ``None``: the station file asks for none.
    shadow
        Says how a bundle that looks on is getting along; likewise.
    """

    name = "display"
    pictures = True

    def __init__(self, station: Station, clock: Callable[[], datetime] = _utc_now) -> None:
        self._station = station.station.name
        self.clock = clock
        self.alarms = Alarms(clock)
        self.held = Pictures()
        self.shift = Shift(station.display.shifts if station.display else (), clock)
        self._lock = threading.Lock()
        self._cameras = {camera.name: _Camera() for camera in station.cameras}
        self._recent: deque[Seen] = deque(maxlen=RECENT)
        self._ng: deque[Seen] = deque(maxlen=NG_KEPT)
        self._ng_count = 0
        self._words = threading.Lock()
        self._described: dict[str, dict[str, Any]] = {}
        self.counted = CollectorRegistry(auto_describe=False)
        self.counts = Counts(self.counted)
        self.records: RecordsOutput | None = None
        self.challenge: ChallengeDesk | None = None
        self.shadow: Callable[[], dict[str, Any]] | None = None
        self._most = station.records.max_mb * 1_000_000 if station.records else 0

    def verdict(self, verdict: Verdict) -> None:
        """Count it, and keep its picture by reference."""
        frame = verdict.part.frame
        size = None if frame is None else (frame.image.shape[1], frame.image.shape[0])
        seen = Seen(verdict.without_picture(), size, time.monotonic())
        if verdict.golden is None:
            self.shift.add(verdict)
        self.counts.verdict(verdict)
        name = verdict.part.camera
        if frame is not None:
            self.held.newest(name, verdict.id, frame.image, ng=not verdict.ok)
        with self._lock:
            camera = self._cameras[name]
            camera.newest = seen
            camera.recent.append(seen.at)
            self._recent.append(seen)
            if verdict.golden is not None:
                camera.newest_ng = None  # the operator waits for this one
            elif verdict.ok:
                camera.ok += 1
            elif _is_locked(verdict):
                camera.ng += 1
            else:
                camera.ng += 1
                camera.newest_ng = seen
                self._ng.append(seen)
                self._ng_count += 1
        self._tell_machine(verdict)

    def camera(self, camera: str, state: State, reason: str) -> None:
        """Show what a camera does, and a fault as long as it is lost."""
        with self._lock:
            self._cameras[camera].state = state
            self._cameras[camera].reason = reason
        self.alarms.tell("camera", camera, reason if state == "lost" else None)

    def close(self) -> None:
        """Nothing to finish: whoever serves the display ends that."""

    def fault(self, name: str, text: str | None, kind: Kind = "output") -> None:
        """Show a fault of an output, of the records, ...; ``None`` says that it is gone."""
        self.alarms.tell(kind, name, text)

    def snapshot(self) -> dict[str, Any]:
        """What is seen at a glance, as plain values; the same until something has changed."""
        now = time.monotonic()
        with self._lock:
            cameras = [self._show(name, camera, now) for name, camera in self._cameras.items()]
            ng_count = self._ng_count
        return {
            "station": self._station,
            "shift": self.shift.counts(),
            "ng_count": ng_count,
            "cameras": cameras,
            "challenge": self.challenge.snapshot() if self.challenge else None,
            "faults": [
                {
                    "id": alarm.id,
                    "kind": alarm.kind,
                    "name": alarm.name,
                    "en": alarm.en,
                    "zh": alarm.zh,
                    "since": alarm.since.isoformat(timespec="seconds"),
                    "count": alarm.count,
                    "active": alarm.active,
                    "acknowledged": alarm.acknowledged,
                }
                for alarm in self.alarms.all
            ],
        }

    def health(self) -> list[str]:
        """Why the station is not fit for work, one line each; empty if it is."""
        alarms = [each for each in self.alarms.all if each.active and each.kind not in CARES]
        faults = [f"{alarm.id}: {alarm.en}" for alarm in alarms]
        idle = {"starting", "ended", "stopped"}  # one that is lost is a fault already
        states = self.cameras().items()
        return faults + [f"camera:{name}: {state}" for name, state in states if state in idle]

    def cameras(self) -> dict[str, State]:
        """What each camera does."""
        with self._lock:
            return {name: camera.state for name, camera in self._cameras.items()}

    def fault_counts(self) -> list[FaultCount]:
        """Every fault that has come since the start."""
        active = {(alarm.kind, alarm.name) for alarm in self.alarms.all if alarm.active}
        return [
            FaultCount(*key, active=key in active, count=count)
            for key, count in self.alarms.raised.items()
        ]

    def kept(self) -> Kept | None:
        """What the records hold."""
        if self.records is None:
            return None
        return Kept(self.records.newest(-1, 0), self.records.evidence_bytes, self._most)

    def parts(self, *, ng: bool | None = None, limit: int = RECENT) -> list[dict[str, Any]]:
        """The newest parts first: all, or OK or NG ones."""
        with self._lock:
            kept = list(self._ng if ng else self._recent)
        wanted = [seen for seen in reversed(kept) if ng is None or seen.verdict.ok is not ng]
        return [self._describe(seen) for seen in wanted[:limit]]

    def part(self, part: str) -> dict[str, Any] | None:
        """One part by its id; ``None`` if it is no longer kept."""
        with self._lock:
            kept = [*self._recent, *self._ng]
            kept += [c.shown for c in self._cameras.values() if c.shown is not None]
        seen = next((each for each in kept if each.verdict.id == part), None)
        return None if seen is None else self._describe(seen)

    def size(self, camera: str) -> tuple[int, int] | None:
        """Width and height of the newest picture of a camera."""
        with self._lock:
            newest = self._cameras[camera].newest
        return newest.size if newest else None

    def _show(self, name: str, camera: _Camera, now: float) -> dict[str, Any]:
        shown, held = camera.newest, camera.newest_ng
        if held is not None and now - held.at < HOLD_S:
            shown = held
        camera.shown = shown
        picture = shown is not None and self.held.show(name, shown.verdict.id)
        return {
            "name": name,
            "state": camera.state,
            "reason": camera.reason,
            "ok": camera.ok,
            "ng": camera.ng,
            "rate": _rate(camera.recent, now),
            "at": shown.at if shown else None,
            "part": self._describe(shown) if shown else None,
            "picture": picture,
            "newest_ng": held.verdict.id if held else None,
        }

    def _describe(self, seen: Seen) -> dict[str, Any]:
        """Put into words once; kept as long as parts are."""
        key = seen.verdict.id
        with self._words:
            if key not in self._described:
                while len(self._described) > RECENT + NG_KEPT:
                    del self._described[next(iter(self._described))]
                self._described[key] = describe(seen.verdict, seen.size)
            return self._described[key]

    def _tell_machine(self, verdict: Verdict) -> None:
        reason = next((each for each in verdict.reasons if each.code in MACHINE), None)
        if reason is None:
            self.alarms.tell("inspection", verdict.part.camera, None)
        else:
            part = f"#{verdict.number}"
            en, zh = f"{part}: {reason.text('en')}", f"{part}：{reason.text('zh')}"
            self.alarms.tell("inspection", verdict.part.camera, en, zh)


def _is_locked(verdict: Verdict) -> bool:
    """Whether it was rejected for what the station waits for, whatever the part is like."""
    return any(reason.code == "challenge_due" for reason in verdict.reasons)


def _rate(moments: deque[float], now: float) -> float | None:
    """Parts a minute over the newest ones, as it was when the newest came."""
    if len(moments) < 2 or now - moments[-1] > 60:
        return None
    return round(60 * (len(moments) - 1) / max(moments[-1] - moments[0], 1e-3), 0)
