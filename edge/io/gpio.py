"""Verdicts on lines of the box itself: reject, ok, fault, and a heartbeat for a watchdog relay.

The safe state, at a clean stop: ``fault`` active, ``ok`` not, ``reject`` as ``hold_reject`` says,
and the heartbeat stands still. ``reject`` is held likewise while a camera gives no pictures, since
the parts that pass then are not seen. A process that is killed cannot set anything any more: then
it is the heartbeat that a watchdog relay misses, see ``docs/integration.md``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from edge.camera.capture import State
from edge.io.base import Signalled
from edge.io.encoder import Encoder
from edge.io.gate import Gate, GateEvent
from edge.io.gate_clock import GateClock
from edge.io.hooks import Hooks
from edge.io.lines import Edges, GpiodEdges, GpiodLines, Lines
from edge.io.machine import Health
from edge.station.outputs import GpioOutput as GpioTable
from edge.verdict import Verdict
from models.errors import DeviceError

__all__ = ["GpioOutput", "open_gpio"]

_OUTPUTS = ("reject", "ok", "fault", "heartbeat")


class GpioOutput:
    """Sets lines.

    Parameters
    ----------
    table
        What the lines mean, and the gate.
    lines
        The drivers of those that ``table`` names; closed with the output.
    edges
        Of the encoder, if there is one; closed likewise.
    cameras
        Names of the station's cameras.
    hooks
        Whom to tell.
    """

    pictures = False

    def __init__(
        self,
        table: GpioTable,
        lines: Lines,
        edges: Edges | None,
        cameras: Sequence[str],
        hooks: Hooks,
    ) -> None:
        self.name = f"gpio {table.chip}"
        self._table, self._lines, self._hooks = table, lines, hooks
        self._health = Health([table.camera] if table.camera else cameras)
        self._error: Exception | None = None
        self._slipped = self._is_open = False
        self._held = table.hold_reject
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._encoder = Encoder(edges, self._fail) if edges else None
        self._set("fault", True)
        self.gate = self._gate() if table.reject is not None else None
        self._ok = self._pulses("ok") if table.ok is not None else None
        self._beating: threading.Thread | None = None
        if table.heartbeat is not None:
            self._beating = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
            self._beating.start()
        hooks.on_state(self.name, "up", "")

    def verdict(self, verdict: Verdict) -> None:
        """Send the part to the gate, or tell that it is good."""
        if self._error is not None:
            raise DeviceError(f"{self.name}: {self._error}: parts can no longer be rejected")
        part = verdict.part
        if self._table.camera not in (None, part.camera):
            return
        key = (part.camera, part.captured)
        if self.gate is not None and self._gated:
            self.gate.decided(key, self._place(part.captured), verdict.id, not verdict.ok)
        elif self.gate is not None and not verdict.ok:
            self.gate.hit(verdict.id)
        if self._ok is not None and verdict.ok:
            self._ok.hit(verdict.id)

    def triggered(self, camera: str, captured: float) -> None:
        """A part has come: unless its verdict says OK until it is at the gate, it is rejected."""
        if self._gated and self.gate is not None and self._table.camera in (None, camera):
            self.gate.triggered((camera, captured), self._place(captured))

    def camera(self, camera: str, state: State, reason: str) -> None:
        """Show it on the fault line."""
        self._health.camera(camera, state, reason)
        self._show_fault()

    def fault(self, source: str, reason: str | None) -> None:
        """Something else of the station is at fault, or no more. Any thread."""
        self._health.fault(source, reason)
        self._show_fault()

    def close(self) -> None:
        """Go to the safe state."""
        self._stopping.set()
        if self.gate is not None:
            self._leave(self.gate.stop())
        if self._ok is not None:
            self._ok.stop()
        if self._beating is not None:
            self._beating.join()
        if self._encoder is not None:
            self._encoder.stop()
        self._set("ok", False)
        self._set("fault", True)
        self._set("reject", self._table.hold_reject)
        self._lines.close()

    def _gate(self) -> GateClock:
        table = self._table
        if self._encoder is not None:
            gate = Gate(table.gate_counts or 0, table.pulse_counts or 0)
            position = self._encoder.now
        else:
            gate = Gate((table.gate_ms or 0) / 1000, table.pulse_ms / 1000)
            position = time.monotonic
        return GateClock("gate", gate, self._open_gate, self._at_gate, self._fail, position)

    def _open_gate(self, is_open: bool) -> None:
        with self._lock:
            self._is_open = is_open
            self._lines.set("reject", is_open or self._held)

    def _pulses(self, line: str) -> GateClock:
        """A line that tells each part, at its verdict, for as long as ``pulse_ms``."""
        return GateClock(
            line,
            Gate(0.0, self._table.pulse_ms / 1000),
            lambda active: self._lines.set(line, active),
            lambda event: self._signalled(event, line, None),
            self._fail,
        )

    @property
    def _gated(self) -> bool:
        """Whether the gate is a way off, and not at the camera."""
        return self._table.gate_ms is not None or self._encoder is not None

    def _place(self, captured: float) -> float:
        """Where the way to the gate begins."""
        return captured if self._encoder is None else self._encoder.at(captured)

    def _leave(self, parts: list[str]) -> None:
        """Name what was on its way to the gate when the station stopped."""
        held = self._table.hold_reject
        error = None if held else "the station stopped before it was at the gate: take it off"
        for part in parts:
            self._signalled(GateEvent("rejected" if held else "slipped", part, 0.0), "held", error)

    def _at_gate(self, event: GateEvent) -> None:
        if event.kind == "passed":
            return
        error = {
            "slipped": "is NG and slipped past the gate: take it off the line",
            "late": "got its verdict when it had passed the gate: raise gate_ms or see to the load",
            "unjudged": "had no verdict at the gate and was rejected",
        }.get(event.kind)
        self._signalled(event, "reject" if event.kind != "late" else "nothing", error)
        if error is not None:
            self._slipped = True
            self._hooks.on_state(
                self.name, "down", f"{self.name}: {event.part or 'a part'} {error}"
            )
        elif self._slipped:  # told until the gate has done its work again
            self._slipped = False
            self._hooks.on_state(self.name, "up", "")

    def _signalled(self, event: GateEvent, said: str, error: str | None) -> None:
        if event.part:
            whole = Signalled(event.part, self.name, said, time.time(), None, error)
            self._hooks.on_signal(whole)

    def _show_fault(self) -> None:
        with self._lock:
            ready = self._health.ready
            self._held = self._table.hold_reject and not ready
            errors = [
                self._try("fault", not ready or self._health.faults > 0),
                self._try("reject", self._is_open or self._held),
            ]
        for error in errors:  # told without the lock: others may tell us of theirs meanwhile
            if error is not None:
                self._fail(error)

    def _beat(self) -> None:
        level = False
        while self._error is None and not self._stopping.wait(self._table.heartbeat_ms / 1000):
            level = not level
            self._set("heartbeat", level)

    def _set(self, line: str, active: bool) -> None:
        error = self._try(line, active)
        if error is not None:
            self._fail(error)

    def _try(self, line: str, active: bool) -> Exception | None:
        """Set a line if there is one of that name; what went wrong."""
        if getattr(self._table, line) is None:
            return None
        try:
            self._lines.set(line, active)
        except Exception as error:
            return error
        return None

    def _fail(self, error: Exception) -> None:
        """A line is gone: the next verdict stops the station."""
        if self._error is None:
            self._error = error
            self._hooks.on_state(
                self.name, "down", f"{self.name}: {error}: is it still plugged in?"
            )


def open_gpio(table: GpioTable, cameras: Sequence[str], hooks: Hooks) -> GpioOutput:
    """The output that a table describes.

    Raises
    ------
    DeviceError
        There is no such chip or line, or another program holds it.
    """
    offsets = {name: number for name in _OUTPUTS if (number := getattr(table, name)) is not None}
    active = {"fault", "reject"} if table.hold_reject else {"fault"}
    lines = GpiodLines(table.chip, offsets, table.active_low, active)
    try:
        edges = GpiodEdges(table.chip, table.encoder) if table.encoder is not None else None
    except DeviceError:
        lines.close()
        raise
    return GpioOutput(table, lines, edges, cameras, hooks)
