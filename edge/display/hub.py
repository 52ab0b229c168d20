"""From the state to everybody who watches: one snapshot for all, the newest only.

There are no queues: a viewer who is slow finds the newest state when he comes back, and misses
those between. While nobody watches nothing is put together at all.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from sse_starlette import ServerSentEvent

__all__ = ["BEAT_S", "MOST_VIEWERS", "TICK_S", "Hub"]

TICK_S = 0.2
"""Between two snapshots: a glance takes no less, and each may cost an encoded picture."""

BEAT_S = 0.5
"""Between two signs of life; a page that hears none for two seconds calls itself stale."""

DETAILS_S = 2.0
"""Between two sets of percentiles and trend, which nobody reads faster."""

MOST_VIEWERS = 32
"""Open pages; each costs a connection and a few kilobytes a second."""


class Hub:
    """Sends events: ``state`` when it has changed, ``details``, and ``beat`` always.

    Parameters
    ----------
    snapshot, details
        Put together what is sent; quick, since the server's event loop calls them.
    clock
        Milliseconds since 1970 by the wall clock, for pages to show.
    """

    def __init__(
        self,
        snapshot: Callable[[], dict[str, Any]],
        details: Callable[[], dict[str, Any]],
        clock: Callable[[], int],
    ) -> None:
        self._make = {"state": snapshot, "details": details}
        self._clock = clock
        self._texts: dict[str, str] = {}
        self._versions = {"state": 0, "details": 0, "beat": 0}
        self._viewers: set[asyncio.Event] = set()
        self._ticking: asyncio.Task[None] | None = None
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def viewers(self) -> int:
        """How many watch."""
        return len(self._viewers)

    @property
    def full(self) -> bool:
        """Whether no more may watch."""
        return len(self._viewers) >= MOST_VIEWERS

    async def watch(self) -> AsyncIterator[ServerSentEvent]:
        """What one viewer is sent, until he leaves or the hub is closed."""
        news, self._loop = asyncio.Event(), asyncio.get_running_loop()
        self._viewers.add(news)
        if self._ticking is None or self._ticking.done():
            self._ticking = asyncio.create_task(self._tick())
        seen = dict.fromkeys(self._versions, -1)
        try:
            while not self._closed:
                await news.wait()
                news.clear()
                for name, version in self._versions.items():
                    if seen[name] != version and name in self._texts:
                        seen[name] = version
                        yield ServerSentEvent(self._texts[name], event=name)
        finally:
            self._viewers.discard(news)

    def close(self) -> None:
        """Let every viewer go; may be called from any thread."""
        self._closed = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for news in list(self._viewers):
            news.set()

    async def _tick(self) -> None:
        beat = details = -1e9
        while self._viewers and not self._closed:
            now = time.monotonic()
            self._put("state")
            if now - details >= DETAILS_S:
                details = now
                self._put("details")
            if now - beat >= BEAT_S - TICK_S / 2:
                beat = now
                self._texts["beat"] = json.dumps({"now": self._clock(), "monotonic": now})
                self._versions["beat"] += 1
            self._wake()
            await asyncio.sleep(TICK_S)

    def _put(self, name: str) -> None:
        text = json.dumps(self._make[name](), ensure_ascii=False, separators=(",", ":"))
        if text != self._texts.get(name):
            self._texts[name] = text
            self._versions[name] += 1
