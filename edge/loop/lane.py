"""One camera of a station: capture, inference and publishing, each in threads of its own.

=========================  =====================================  ================================
thread                     does                                   waits for
=========================  =====================================  ================================
reader of CAMERA           reads, opens a part for each trigger   the camera
watchdog of CAMERA         notices silence, reconnects            the clock
inference of CAMERA        inspects and judges                    the next part, a shared model
verdicts of CAMERA         gives verdicts in order, by deadline   the oldest part or its deadline
trigger of CAMERAS         opens a part, if there is a trigger    the line, PLC or broker
output to OUTPUT           writes, signals, shows                 whatever it writes to
=========================  =====================================  ================================
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from edge.camera import open_camera
from edge.camera.base import Frame
from edge.camera.capture import Capture, Limits, State
from edge.camera.mailbox import Mailbox
from edge.deadline import Deadline
from edge.engines import pin_current_thread
from edge.loop.arrivals import Arrivals
from edge.loop.inspection import inspect
from edge.loop.sequencer import Lapse, Sequencer
from edge.setting import Setting
from edge.station import Camera
from edge.station.triggers import TriggerTable
from edge.verdict import Outcome, Part, Verdict, rejected
from models.errors import ImageError
from models.stopwatch import Stopwatch

__all__ = ["Lane"]

_log = logging.getLogger(__name__)

IDLE_WAIT_S = 0.2
"""How long inference waits for a part before it looks whether it should stop."""


class Lane:
    """One camera of a station at work.

    Parameters
    ----------
    setting
        Asked for each part: what it is judged by.
    camera
        Which of the station's cameras this is.
    clock
        The wall clock, with time zone.
    admit
        Asked before each part; ``False`` turns the trigger away, and no verdict is owed.
    publish
        Takes each verdict, in order; must not wait.
    on_state
        Told what the camera does.
    on_part
        Told of each part that is opened, at once: name of the camera and moment of the trigger.
    """

    def __init__(
        self,
        setting: Callable[[], Setting],
        camera: Camera,
        clock: Callable[[], datetime],
        admit: Callable[[], bool],
        publish: Callable[[Verdict], None],
        on_state: Callable[[str, State, str], None],
        on_part: Sequence[Callable[[str, float], None]] = (),
    ) -> None:
        self._setting, self._camera, self._clock = setting, camera, clock
        self._admit, self._publish, self._on_part = admit, publish, on_part
        self._deadline_ms = setting().station.station.deadline_ms
        self._sequencer = Sequencer(self._deadline_ms)
        self._arrivals = self._triggered(camera.trigger) if camera.trigger else None
        self._capture = Capture(
            lambda: open_camera(camera.source),
            self._on_frame,
            on_bad_frame=self._on_bad_frame,
            on_state=lambda state, reason: self._on_state(on_state, state, reason),
            limits=Limits(stall=camera.stall_s),
        )
        self._mailbox: Mailbox[Part] = Mailbox(
            camera.policy, camera.queue if camera.policy == "every" else 1
        )
        self._threads: list[threading.Thread] = []
        self._moved = time.monotonic()
        self._stopping = threading.Event()

    def start(self, *, patient: bool = False) -> None:
        """Open the camera and begin; ``patient`` as for :meth:`edge.camera.capture.Capture.start`.

        Raises
        ------
        CameraError
            It cannot be opened; nothing runs.
        """
        for work, name in ((self._infer, "inference"), (self._give_verdicts, "verdicts")):
            thread = threading.Thread(target=work, name=f"{name} of {self._camera.name}")
            thread.daemon = True  # a hung native call must not keep a stopped station alive
            thread.start()
            self._threads.append(thread)
        self._capture.start(patient=patient)
        self._settle()

    def _settle(self) -> None:
        """The camera is open, and its rate known."""
        if self._capture.fps > 0:
            self._mailbox.max_age = 1 / self._capture.fps
        if self._arrivals is not None:
            self._arrivals.settle(self._capture.fps)

    def fire(self, moment: float) -> datetime | None:
        """A part was before the camera at ``moment``; any thread, and never waits.

        Its time as records have it; ``None`` if it is turned away. For cameras with a trigger.
        """
        return None if self._arrivals is None else self._arrivals.fire(moment)

    @property
    def finished(self) -> bool:
        """Whether the camera has shown its last picture and every part has its verdict."""
        # With policy every, what is still queued without owing a verdict was late already.
        unseen = self._camera.policy == "freshest" and len(self._mailbox) > 0
        return self._capture.state == "ended" and not unseen and self._sequencer.idle

    @property
    def idle(self) -> bool:
        """Whether no verdict is owed at this moment."""
        return self._sequencer.idle

    def stuck(self, patience: float) -> str:
        """Which of its threads has ended, or stood still for ``patience`` seconds; empty if none.

        A camera that is silent is lost, and no matter of ours; nor is anything once it ends.
        """
        dead = [thread.name for thread in self._threads if not thread.is_alive()]
        still = time.monotonic() - self._moved
        late = self._sequencer.overdue
        if self._stopping.is_set():
            return ""
        if dead:
            return f"{dead[0]} has ended"
        if still > patience + self._deadline_ms / 1000:
            return f"inference of {self._camera.name} stands still for {still:.0f} s"
        if late > patience:
            return f"verdicts of {self._camera.name} stand still for {late:.0f} s"
        return "" if self._capture.watched else f"watchdog of {self._camera.name} has ended"

    @property
    def counters(self) -> dict[str, int]:
        """What the camera lost and how often it was lost."""
        seen = self._capture.counters
        return {
            "frames": seen.frames,
            "bad_frames": seen.bad_frames,
            "dropped": self._mailbox.dropped,
            "stalls": seen.stalls,
            "reconnects": seen.reconnects,
        }

    def end(self) -> None:
        """Take no more parts and reject what is undecided. Never waits."""
        self._stopping.set()
        self._sequencer.close(reject_pending=True)
        self._mailbox.close()

    def join(self, deadline: Deadline) -> None:
        """After :meth:`end`: give all verdicts, let go of the camera; what hangs is left behind."""
        for thread in self._threads:
            thread.join(deadline.remaining())
        self._capture.stop(deadline)

    def _part(self, captured: float, frame: Frame | None) -> Part:
        now = time.monotonic()
        return Part(
            setting=self._setting(),
            camera=self._camera.name,
            captured=captured,
            time=self._clock() - timedelta(seconds=now - captured),
            deadline=Deadline(captured + self._deadline_ms / 1000),
            queued=now,
            frame=frame,
            truth=frame.truth if frame else None,
        )

    def _triggered(self, trigger: TriggerTable) -> Arrivals:
        def open_part(captured: float, lapse: Lapse) -> Part | None:
            part = self._part(captured, None)
            return part if self._open(part, lapse) else None

        seconds = self._deadline_ms / 1000
        return Arrivals(self._camera, trigger, seconds, self._sequencer, open_part, self._hand_over)

    def _on_state(self, tell: Callable[[str, State, str], None], state: State, reason: str) -> None:
        if self._arrivals is not None:
            self._arrivals.lost(state not in ("starting", "running"))
        if state == "running":
            self._settle()
        tell(self._camera.name, state, reason)

    def _on_frame(self, frame: Frame) -> None:
        if self._arrivals is not None:
            self._arrivals.pictured(frame, frame.captured)
            return
        part = self._part(frame.captured, frame)
        if self._camera.policy == "freshest":
            self._mailbox.put(part)  # whatever it replaces was never looked at, and is no part
            return
        if self._open(part):
            self._hand_over(part)

    def _hand_over(self, part: Part) -> None:
        if self._mailbox.put(part) is part:
            self._sequencer.decide(part, rejected("overrun", queue=self._camera.queue))

    def _on_bad_frame(self, error: ImageError, captured: float) -> None:
        _log.warning("%s", error)
        if self._arrivals is not None:
            self._arrivals.pictured(None, captured)
            return
        part = self._part(captured, None)
        if self._open(part):
            self._sequencer.decide(part, rejected("bad_frame", camera=self._camera.name))

    def _open(self, part: Part, lapse: Lapse | None = None) -> bool:
        if self._stopping.is_set() or not self._admit():
            return False
        for tell in self._on_part:  # before any verdict of it can be told
            tell(part.camera, part.captured)
        return self._sequencer.open(part, lapse)

    def _infer(self) -> None:
        pinned: Setting | None = None
        while not self._stopping.is_set():
            self._moved = time.monotonic()
            part = self._mailbox.take(IDLE_WAIT_S)
            if part is None:
                continue
            if self._camera.policy == "freshest" and not self._open(part):
                continue
            if part.setting is not pinned:
                pinned = part.setting
                self._pin(pinned)
            if not part.deadline.expired:  # else its verdict stands already: catch up
                self._sequencer.decide(part, self._inspect(part))

    def _pin(self, setting: Setting) -> None:
        models = setting.regions(self._camera.name)
        cores = sorted({core for _, model in models for core in model.cores})
        if cores:
            pin_current_thread(cores)

    def _inspect(self, part: Part) -> Outcome:
        assert part.frame is not None  # noqa: S101 - parts without a picture never get here
        start = time.monotonic()
        watch = Stopwatch()
        watch.seconds["capture"] = part.queued - part.captured
        watch.seconds["wait"] = start - part.queued
        today = self._clock().astimezone().date()
        return inspect(part.setting, self._camera.name, part.frame.image, today, watch)

    def _give_verdicts(self) -> None:
        while (verdict := self._sequencer.next()) is not None:
            self._publish(verdict)
