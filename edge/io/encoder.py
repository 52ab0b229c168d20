"""How far the belt has gone: steps of an encoder, now and at any moment a little while ago."""

from __future__ import annotations

import bisect
import threading
from collections import deque
from collections.abc import Callable

from edge.io.lines import Edges

__all__ = ["Encoder"]

HISTORY = 8192
"""Edges that are remembered: at 1000 a second, eight seconds, far more than trigger to verdict."""

WAIT_S = 0.2
"""Seconds until it looks whether to stop."""


class Encoder:
    """Counts the edges of a line from a thread of its own.

    Parameters
    ----------
    edges
        The line; closed with the encoder.
    on_error
        Told, once, that the line is gone.
    """

    def __init__(self, edges: Edges, on_error: Callable[[Exception], None]) -> None:
        self._edges, self._on_error = edges, on_error
        self._times: deque[float] = deque(maxlen=HISTORY)
        self._count = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="encoder", daemon=True)
        self._thread.start()

    def now(self) -> float:
        """Steps since the start."""
        return float(self._count)

    def at(self, moment: float) -> float:
        """Steps until ``moment``, ``time.monotonic()``; the oldest known for what is older."""
        with self._lock:
            later = len(self._times) - bisect.bisect_right(self._times, moment)
            return float(self._count - later)

    def stop(self) -> None:
        """Stop counting."""
        self._stopping.set()
        self._thread.join()
        self._edges.close()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                moments = self._edges.wait(WAIT_S)
                with self._lock:
                    self._times.extend(moments)
                    self._count += len(moments)
        except Exception as error:
            self._on_error(error)
