"""The sources that trigger cameras: one may trigger several, each with a delay of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge.deadline import Deadline
from edge.io.hooks import Hooks, LinkState
from edge.station import Camera
from edge.station.triggers import TriggerTable
from edge.trigger.base import Fire, Trigger
from edge.trigger.opening import open_trigger

__all__ = ["Sources"]


class Sources:
    """All triggers of a station that have a source of their own.

    Parameters
    ----------
    cameras
        The station's cameras.
    fire
        Told the name of each camera that has a part, and the moment; must not wait.
    on_fault
        Told the name of each camera whose source is lost, and why; ``None`` when it is back.

    Raises
    ------
    InputError
        A library is missing.
    """

    def __init__(
        self,
        cameras: Sequence[Camera],
        fire: Callable[[str, float], object],
        on_fault: Callable[[str, str | None], None],
    ) -> None:
        self._fire, self._on_fault = fire, on_fault
        together: dict[TriggerTable, list[str]] = {}
        for camera in cameras:
            if camera.trigger is not None:
                together.setdefault(camera.trigger.source, []).append(camera.name)
        self._triggers: list[tuple[Trigger, Fire]] = []
        for table, names in together.items():
            trigger = open_trigger(table, f"trigger of {', '.join(names)}", self._hooks(names))
            if trigger is not None:
                self._triggers.append((trigger, self._fires(names)))

    def start(self) -> None:
        """Begin."""
        for trigger, fire in self._triggers:
            trigger.start(fire)

    def stop(self, deadline: Deadline) -> None:
        """Fire no more; returns by ``deadline``. What hangs then is left behind."""
        for until in (Deadline.after(0), deadline):  # first tell all of them, then wait
            for trigger, _ in self._triggers:
                trigger.stop(until)

    def _fires(self, names: Sequence[str]) -> Fire:
        def fire(moment: float) -> None:
            for name in names:
                self._fire(name, moment)

        return fire

    def _hooks(self, names: Sequence[str]) -> Hooks:
        def on_state(trigger: str, state: LinkState, reason: str) -> None:
            for name in names:
                self._on_fault(name, reason if state == "down" else None)

        return Hooks(on_state=on_state)
