"""Capture around cameras that fail on command; real streams are in test_camera_stream.py."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from camera_servers import wait_until

from edge.camera import open_camera
from edge.camera.base import Camera, EndOfStream, Frame
from edge.camera.capture import Capture, Limits, State
from edge.deadline import Deadline
from models.errors import CameraError, ImageError, InputError

QUICK = Limits(open=0.5, stall=0.15, retry_first=0.02, retry_max=0.1, abandoned=2)


class Scripted:
    """A camera that does what ``read`` and ``open`` were told to; counts what is done to it."""

    def __init__(self, read: Callable[[int], None], opening: Callable[[], None] = lambda: None):
        self.name = "scripted:0"
        self.fps = 0.0
        self.closed = 0
        self._read = read
        self._opening = opening
        self._number = 0

    def open(self) -> None:
        self._opening()

    def read(self) -> Frame:
        time.sleep(0.002)
        number = self._number
        self._number += 1
        self._read(number)
        return Frame(np.zeros((4, 4, 3), np.uint8), time.monotonic(), number)

    def close(self) -> None:
        self.closed += 1


class Watched:
    """A capture with everything that it reports."""

    def __init__(self, make: Callable[[], Camera], limits: Limits = QUICK) -> None:
        self.frames: list[Frame] = []
        self.bad: list[tuple[ImageError, float]] = []
        self.states: list[State] = []
        self.reasons: list[str] = []
        self.capture = Capture(
            make,
            self.frames.append,
            on_bad_frame=lambda error, captured: self.bad.append((error, captured)),
            on_state=self._on_state,
            limits=limits,
        )

    def _on_state(self, state: State, reason: str) -> None:
        self.states.append(state)
        self.reasons.append(reason)

    def until(self, state: State) -> bool:
        return wait_until(lambda: self.capture.state == state)


@pytest.fixture
def watch() -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def make(camera: Callable[[], Camera], limits: Limits = QUICK) -> Watched:
        made.append(Watched(camera, limits))
        return made[-1]

    yield make
    for watched in made:
        watched.capture.stop(Deadline.after(2.0))


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """What a driver waits for that hangs; happens when the test is over."""
    event = threading.Event()
    yield event
    event.set()


Watch = Callable[..., Watched]


def test_folder_is_captured_to_its_end_bad_pictures_included(watch: Watch, tmp_path: Path) -> None:
    for index in range(5):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.full((8, 8, 3), index, np.uint8))
    (tmp_path / "2.png").write_bytes(b"\x89PNG")
    watched = watch(lambda: open_camera(f"folder:{tmp_path}"))
    began = time.monotonic()
    watched.capture.start()
    assert watched.until("ended")
    assert [frame.number for frame in watched.frames] == [0, 1, 3, 4]
    ((error, captured),) = watched.bad
    assert "2.png" in str(error)
    assert began <= captured <= time.monotonic()
    counters = watched.capture.counters
    assert (counters.frames, counters.bad_frames) == (4, 1)
    assert (counters.reconnects, counters.stalls, counters.abandoned) == (0, 0, 0)
    assert watched.states == ["starting", "running", "ended"]
    assert watched.capture.stop(Deadline.after(1.0))
    assert watched.capture.state == "ended"


def test_first_open_fails_to_the_caller_at_once(watch: Watch, tmp_path: Path) -> None:
    watched = watch(lambda: open_camera(f"folder:{tmp_path / 'gone'}"))
    began = time.monotonic()
    with pytest.raises(InputError, match="gone"):
        watched.capture.start()
    assert time.monotonic() - began < 0.4
    assert watched.capture.state == "stopped"
    assert watched.capture.stop(Deadline.after(1.0))


def test_first_open_that_hangs_fails_in_time(watch: Watch, never: threading.Event) -> None:
    watched = watch(lambda: Scripted(lambda _: None, opening=never.wait))  # type: ignore[arg-type]
    began = time.monotonic()
    with pytest.raises(CameraError, match=r"scripted:0: silent for 0\.5 s"):
        watched.capture.start()
    assert 0.45 < time.monotonic() - began < 1.0
    assert watched.capture.counters.abandoned == 1


def test_lost_camera_comes_back(watch: Watch) -> None:
    made: list[Scripted] = []

    def die(number: int) -> None:
        if number == 5:
            raise CameraError("scripted:0: unplugged")

    def make() -> Scripted:
        made.append(Scripted(die))
        return made[-1]

    watched = watch(make)
    watched.capture.start()
    assert wait_until(lambda: watched.capture.counters.reconnects == 3)
    assert watched.states[:4] == ["starting", "running", "lost", "running"]
    assert "scripted:0: unplugged" in watched.reasons
    assert watched.capture.counters.stalls == 0
    assert all(camera.closed == 1 for camera in made[:3])
    assert watched.capture.counters.frames == len(watched.frames) >= 15


def test_any_exception_of_a_driver_is_a_loss_and_not_the_end(watch: Watch) -> None:
    def die(number: int) -> None:
        if number == 1:
            raise RuntimeError

    watched = watch(lambda: Scripted(die))
    watched.capture.start()
    assert wait_until(lambda: watched.capture.counters.reconnects >= 1)
    assert "RuntimeError()" in watched.reasons


def test_tries_are_spread_ever_wider_and_never_end(watch: Watch) -> None:
    tries: list[float] = []

    def refuse() -> None:
        tries.append(time.monotonic())
        if len(tries) > 1:
            raise CameraError(f"scripted:0: refused {len(tries)}")

    def die(number: int) -> None:
        raise CameraError("scripted:0: unplugged")

    watched = watch(
        lambda: Scripted(die, refuse), Limits(retry_first=0.02, retry_max=0.16, stall=1.0)
    )
    watched.capture.start()
    assert wait_until(lambda: len(tries) >= 8)
    gaps = np.diff(tries)
    assert gaps[0] >= 0.019
    assert gaps[4] > 2 * gaps[1]
    assert gaps.max() < 0.16 + 0.1
    assert watched.capture.state == "lost"
    assert "refused" in watched.capture.reason
    assert watched.capture.counters.reconnects == 0


def test_hanging_read_is_noticed_while_it_hangs(watch: Watch, never: threading.Event) -> None:
    made: list[Scripted] = []

    def hang_once(number: int) -> None:
        if number == 3 and len(made) == 1:
            never.wait()

    def make() -> Scripted:
        made.append(Scripted(hang_once))
        return made[-1]

    watched = watch(make)
    watched.capture.start()
    assert watched.until("lost")
    assert "silent for 0.15 s" in watched.capture.reason
    assert watched.capture.counters.stalls == 1
    assert not never.is_set()
    assert wait_until(lambda: watched.capture.counters.reconnects == 1)
    assert watched.capture.state == "running"
    assert watched.capture.counters.abandoned == 1
    assert made[0].closed == 0
    fresh = [frame.captured for frame in watched.frames[3:]]
    never.set()
    assert wait_until(lambda: watched.capture.counters.abandoned == 0)
    assert made[0].closed == 1
    assert fresh == sorted(fresh)
    # what the abandoned read brought home in the end is not delivered
    assert [frame.number for frame in watched.frames[:5]] == [0, 1, 2, 0, 1]


def test_abandoned_readers_are_bounded(watch: Watch, never: threading.Event) -> None:
    made: list[Scripted] = []

    def make() -> Scripted:
        made.append(Scripted(lambda _: None if len(made) == 1 and not hung() else hang()))
        return made[-1]

    def hung() -> bool:
        return len(watched.frames) > 2

    def hang() -> None:
        never.wait()

    watched = watch(make)
    watched.capture.start()
    assert wait_until(lambda: "2 reads hang in its driver" in watched.capture.reason)
    time.sleep(0.3)  # several more tries
    assert len(made) == QUICK.abandoned
    assert watched.capture.counters.abandoned == QUICK.abandoned
    assert watched.capture.counters.stalls == QUICK.abandoned


def test_slow_camera_is_not_called_stalled(watch: Watch) -> None:
    camera = Scripted(lambda _: time.sleep(0.2))
    camera.fps = 5.0  # three intervals are 0.6 s, however short the limit
    watched = watch(lambda: camera, Limits(stall=0.05))
    watched.capture.start()
    assert wait_until(lambda: len(watched.frames) == 3)
    assert watched.capture.counters.stalls == 0
    assert watched.capture.fps == 5.0


def test_camera_on_a_trigger_may_wait_for_ever(watch: Watch, never: threading.Event) -> None:
    watched = watch(lambda: Scripted(lambda _: bool(never.wait()) or None), Limits(stall=math.inf))  # type: ignore[arg-type]
    watched.capture.start()
    time.sleep(0.1)
    assert watched.capture.state == "starting"
    assert watched.capture.counters.last_frame_age == math.inf


def test_stop_keeps_its_deadline_though_the_camera_hangs(
    watch: Watch, never: threading.Event
) -> None:
    def hang(number: int) -> None:
        if number == 2:
            never.wait()

    watched = watch(lambda: Scripted(hang), Limits(stall=60.0))
    watched.capture.start()
    assert wait_until(lambda: len(watched.frames) == 2)
    began = time.monotonic()
    assert not watched.capture.stop(Deadline.after(0.2))
    assert time.monotonic() - began < 0.4
    assert watched.capture.state == "stopped"
    never.set()
    time.sleep(0.05)
    assert len(watched.frames) == 2


def test_stop_while_lost_does_not_wait_for_the_next_try(watch: Watch) -> None:
    def die(number: int) -> None:
        raise CameraError("scripted:0: unplugged")

    watched = watch(lambda: Scripted(die), Limits(retry_first=60.0))
    watched.capture.start()
    assert watched.until("lost")
    began = time.monotonic()
    assert watched.capture.stop(Deadline.after(5.0))
    assert time.monotonic() - began < 0.5
    assert watched.capture.state == "stopped"


def test_nothing_is_delivered_after_stop(watch: Watch) -> None:
    watched = watch(lambda: Scripted(lambda _: None))
    watched.capture.start()
    assert wait_until(lambda: len(watched.frames) > 3)
    assert watched.capture.counters.last_frame_age < 1.0
    assert watched.capture.stop(Deadline.after(1.0))
    count = len(watched.frames)
    time.sleep(0.03)
    assert len(watched.frames) == count
    assert watched.states == ["starting", "running", "stopped"]


def test_capture_that_was_never_started_can_be_stopped() -> None:
    capture = Capture(lambda: Scripted(lambda _: None), lambda _: None)
    assert capture.stop(Deadline.after(0.1))
    assert capture.state == "stopped"


def test_source_that_ends_when_it_is_opened_again_has_ended(watch: Watch) -> None:
    made: list[Scripted] = []

    def read(number: int) -> None:
        if len(made) > 1:
            raise EndOfStream("shown to its end")
        if number == 1:
            raise CameraError("scripted:0: unplugged")

    def make() -> Scripted:
        made.append(Scripted(read))
        return made[-1]

    watched = watch(make)
    watched.capture.start()
    assert watched.until("ended")
    assert watched.states == ["starting", "running", "lost", "ended"]
