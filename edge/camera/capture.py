"""Keeps a camera running: reads it, watches it, and gets it back when it is lost.

Two threads for each camera: a *reader* within the camera's native code, where it may hang, and a
*watchdog* which never waits for anything but the clock::

    starting ──first picture──► running ◄──first picture── lost ──► lost ... (for ever)
                                   │ └──error, silence, unplugged──►┘
                                   └──last picture of a file──► ended        stop() ──► stopped
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tenacity import Retrying, stop_when_event_set, wait_exponential, wait_random
from tenacity.nap import sleep_using_event

from edge.camera.base import Camera, EndOfStream, Frame
from edge.camera.reader import Reader
from edge.deadline import Deadline
from models.errors import CameraError, ImageError

__all__ = ["Capture", "Counters", "Limits", "State"]

State = Literal["starting", "running", "lost", "ended", "stopped"]


@dataclass(frozen=True)
class Limits:
    """How patient a :class:`Capture` is.

    Attributes
    ----------
    open
        Seconds for a camera to open: a network camera's own limit is 10.
    stall
        Seconds of silence after which a camera counts as stalled, and never less than three frame
        intervals. A camera on a trigger needs more than the line's longest pause, or ``math.inf``.
    retry_first, retry_max
        Seconds between tries: they double from the first, so that a short loss is mended shortly,
        to the last, which a camera that boots for a minute does not feel and the network neither.
    abandoned
        Readers that may hang at a time: each holds a thread and its buffers, and a driver that
        has swallowed this many will not answer the next.
    """

    open: float = 15.0
    stall: float = 5.0
    retry_first: float = 0.5
    retry_max: float = 30.0
    abandoned: int = 3


STALL_FRAMES = 3
"""Frame intervals without a frame that are no stall yet: one lost frame must not cost the rest."""


@dataclass(frozen=True)
class Counters:
    """What happened since the start.

    Attributes
    ----------
    frames, bad_frames
        Pictures delivered, and pictures that could not be decoded.
    reconnects
        Times that a lost camera came back.
    stalls
        Times that the watchdog cut a silence short.
    abandoned
        Readers that hang in their camera at this moment.
    last_frame_age
        Seconds since the newest frame was captured; infinite before the first.
    """

    frames: int
    bad_frames: int
    reconnects: int
    stalls: int
    abandoned: int
    last_frame_age: float


def _ignore_bad_frame(error: ImageError, captured: float) -> None:
    pass


def _ignore_state(state: State, reason: str) -> None:
    pass


class Capture:
    """One camera, kept running.

    Parameters
    ----------
    make_camera
        Makes the camera, unopened: ``lambda: open_camera(source)``. Called again for each try,
        since a camera that hangs cannot be used a second time.
    on_frame
        Takes each frame, in the reader's thread, in order; it must not wait (``Mailbox.put``).
    on_bad_frame
        Takes the error, and the time, of each picture that could not be decoded: a part passed and
        was not seen, which the loop has to judge NG. Same thread, same rule.
    on_state
        Told each change of state or reason, mostly in the watchdog's thread; it must not wait.
    limits
        How patient to be.
    """

    def __init__(
        self,
        make_camera: Callable[[], Camera],
        on_frame: Callable[[Frame], object],
        *,
        on_bad_frame: Callable[[ImageError, float], object] = _ignore_bad_frame,
        on_state: Callable[[State, str], object] = _ignore_state,
        limits: Limits | None = None,
    ) -> None:
        self._make_camera = make_camera
        self._on_frame = on_frame
        self._on_bad_frame = on_bad_frame
        self._on_state = on_state
        self._limits = limits or Limits()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._state: State = "starting"
        self._reason = "not started"
        self._frames = 0
        self._bad_frames = 0
        self._reconnects = 0
        self._stalls = 0
        self._last_captured = -math.inf
        self._hung: list[Reader] = []
        self._reader = self._new_reader()
        self._watchdog = threading.Thread(
            target=self._watch, name=f"watchdog of {self.name}", daemon=True
        )

    @property
    def name(self) -> str:
        """The camera's name."""
        return self._reader.camera.name

    @property
    def fps(self) -> float:
        """The camera's nominal frame rate in Hz; 0 if it has none. Settled once started."""
        return self._reader.camera.fps

    @property
    def state(self) -> State:
        """What it is doing."""
        return self._state

    @property
    def reason(self) -> str:
        """Why it is in this state, in one line."""
        return self._reason

    @property
    def counters(self) -> Counters:
        """What happened so far."""
        with self._changed:
            return Counters(
                frames=self._frames,
                bad_frames=self._bad_frames,
                reconnects=self._reconnects,
                stalls=self._stalls,
                abandoned=sum(reader.is_alive() for reader in self._hung),
                last_frame_age=time.monotonic() - self._last_captured,
            )

    @property
    def watched(self) -> bool:
        """Whether its watchdog does its work, or has ended because there is nothing to watch."""
        ended = self._state in {"starting", "ended", "stopped"} or self._stopping.is_set()
        return ended or self._watchdog.is_alive()

    def start(self, *, patient: bool = False) -> None:
        """Open the camera and begin to read; to be called once.

        Parameters
        ----------
        patient
            Whether a camera that cannot be opened is lost, and tried again and again.

        Raises
        ------
        LineguardError
            The camera cannot be opened, and nobody is patient; nothing runs.
        """
        self._set_state("starting", "opening")
        reader = self._reader
        reader.start()
        try:
            self._await(reader, lambda: reader.opened, self._limits.open)
        except CameraError as error:
            if not patient:
                self._set_state("stopped", str(error))
                raise
            self._lose(error)
        except Exception as error:
            self._set_state("stopped", str(error))
            raise
        self._watchdog.start()

    def stop(self, deadline: Deadline) -> bool:
        """Stop delivering and let go of the camera.

        Returns before ``deadline`` even if the camera hangs; its thread is then left behind. A
        file that was shown to its end stays ``ended``.

        Returns
        -------
        Whether the camera was let go of in time.
        """
        self._stopping.set()
        self._reader.retire()
        with self._changed:
            self._changed.notify_all()
        if self._watchdog.ident is not None:  # else it was never started, and cannot be joined
            self._watchdog.join(deadline.remaining())
        self._reader.retire()  # the watchdog may just have made another
        readers = [reader for reader in (self._reader, *self._hung) if reader.ident is not None]
        for reader in readers:
            reader.join(deadline.remaining())
        if self._state != "ended":
            self._set_state("stopped", "stopped")
        return not any(reader.is_alive() for reader in readers)

    def _watch(self) -> None:
        # The watchdog's thread: from one loss to the next.
        lost = self._state == "lost"  # already, at the start
        while lost or self._follow():
            lost = False
            # Before the first try too: a camera may open and die at once, again and again.
            self._stopping.wait(self._limits.retry_first)
            self._get_back()

    def _follow(self) -> bool:
        # Watch the reader to its end; whether that was a loss.
        reader = self._reader
        try:
            self._await_picture(reader)
            self._await(reader, lambda: False, self._stall(reader))
        except EndOfStream as end:
            self._set_state("ended", str(end))
            return False
        except Exception as error:
            self._lose(error)
        return not self._stopping.is_set()

    def _get_back(self) -> None:
        # Try until the camera gives pictures again, or until stopped.
        retrying = Retrying(
            sleep=sleep_using_event(self._stopping),
            stop=stop_when_event_set(self._stopping),
            # Cameras behind one switch, lost together, must not all ask at the same moment.
            wait=wait_exponential(multiplier=self._limits.retry_first, max=self._limits.retry_max)
            + wait_random(0.0, self._limits.retry_first),
            retry_error_callback=lambda _: None,
        )
        retrying(self._try_again)

    def _try_again(self) -> None:
        if self._stopping.is_set():
            return
        self._hung = [reader for reader in self._hung if reader.is_alive()]
        try:
            if len(self._hung) >= self._limits.abandoned:
                raise CameraError(
                    f"{self.name}: {len(self._hung)} reads hang in its driver: "
                    "unplug the camera or restart the station"
                )
            self._reader = reader = self._new_reader()
            reader.start()
            self._await(reader, lambda: reader.opened, self._limits.open)
            self._await_picture(reader)
        except EndOfStream:
            return  # the watch that follows meets it again, and says so
        except Exception as error:
            self._lose(error)
            raise
        if not self._stopping.is_set():
            self._reconnects += 1

    def _await_picture(self, reader: Reader) -> None:
        self._await(reader, lambda: reader.pictures > 0, self._stall(reader))
        if not self._stopping.is_set():
            self._set_state("running", "pictures are coming")

    def _await(self, reader: Reader, ready: Callable[[], bool], silence: float) -> None:
        # Wait for the reader, or until stopped; raises why it is over, or abandons it if silent.
        with self._changed:
            while not self._stopping.is_set() and not ready():
                if reader.outcome is not None:
                    raise reader.outcome
                left = reader.heard + silence - time.monotonic()
                if left <= 0:
                    reader.retire()
                    self._hung.append(reader)
                    self._stalls += 1
                    raise CameraError(
                        f"{self.name}: silent for {silence:.3g} s: check camera, cable and trigger"
                    )
                self._changed.wait(min(left, threading.TIMEOUT_MAX))

    def _stall(self, reader: Reader) -> float:
        fps = reader.camera.fps
        return max(self._limits.stall, STALL_FRAMES / fps if fps > 0 else 0.0)

    def _new_reader(self) -> Reader:
        return Reader(self._make_camera(), self._deliver, self._deliver_bad, self._changed)

    def _deliver(self, frame: Frame) -> None:
        with self._changed:
            self._frames += 1
            self._last_captured = frame.captured
        self._on_frame(frame)

    def _deliver_bad(self, error: ImageError, captured: float) -> None:
        with self._changed:
            self._bad_frames += 1
        self._on_bad_frame(error, captured)

    def _lose(self, error: Exception) -> None:
        self._set_state("lost", str(error) or repr(error))

    def _set_state(self, state: State, reason: str) -> None:
        changed = (state, reason) != (self._state, self._reason)
        self._state, self._reason = state, reason
        if changed:
            self._on_state(state, reason)
