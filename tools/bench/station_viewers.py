"""People who watch a display: a process that asks for what an open page asks for."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import threading
from collections.abc import Iterator
from multiprocessing.synchronize import Semaphore

import httpx

__all__ = ["viewers"]

TIMEOUT_S = 10.0
"""The station gives a sign of life every half second."""


@contextlib.contextmanager
def viewers(address: str, count: int) -> Iterator[None]:
    """So many pages are open: each follows the events, and fetches each picture it is told of.

    Parameters
    ----------
    address
        Of the display, ``http://127.0.0.1:8765/``.
    """
    if not count:
        yield
        return
    context = multiprocessing.get_context("spawn")
    watching = context.Semaphore(0)
    process = context.Process(target=_watch_all, args=(address, count, watching), daemon=True)
    process.start()
    for _ in range(count):
        watching.acquire()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _watch_all(address: str, count: int, watching: Semaphore) -> None:
    threads = [threading.Thread(target=_watch, args=(address, watching)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _watch(address: str, watching: Semaphore) -> None:
    seen: dict[str, str] = {}
    with (
        httpx.Client(base_url=f"{address}api/v1/", timeout=TIMEOUT_S) as client,
        client.stream("GET", "events") as events,
    ):
        kind = ""
        for line in events.iter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data" and kind == "state":
                if not seen:
                    watching.release()
                for camera in json.loads(value)["cameras"]:
                    part = camera.get("part")
                    if part and seen.get(camera["name"]) != part["id"]:
                        seen[camera["name"]] = part["id"]
                        path = f"cameras/{camera['name']}/picture.jpg"
                        client.get(path, params={"part": part["id"]})
