"""A light barrier on a line of the box: each edge is a part."""

from __future__ import annotations

from collections.abc import Callable

from edge.io.hooks import Hooks
from edge.io.lines import Edges
from edge.trigger.base import PolledTrigger

__all__ = ["GpioTrigger"]

WAIT_S = 0.2
"""Seconds until it looks whether to stop; an edge is told at once."""


class GpioTrigger(PolledTrigger):
    """Fires at each edge, with the moment that the kernel noted at the interrupt.

    Parameters
    ----------
    name
        How messages call it.
    request
        Gets the line, e.g. ``lambda: GpiodEdges("/dev/gpiochip0", 17, debounce_ms=5)``; called
        again after the line was lost.
    hooks
        Told of that.
    """

    def __init__(self, name: str, request: Callable[[], Edges], hooks: Hooks) -> None:
        super().__init__(name, hooks)
        self._request = request
        self._edges: Edges | None = None

    def open(self) -> None:
        """Request the line."""
        self._edges = self._request()

    def wait(self) -> list[float]:
        """The edges since the last look."""
        return [] if self._edges is None else self._edges.wait(WAIT_S)

    def close(self) -> None:
        """Let go of the line."""
        if self._edges is not None:
            self._edges.close()
            self._edges = None
