"""The process of a shadow: ``python -m edge.loop.shadow_child CHANNEL ALIVE``.

It opens the models of the candidate, looks at each picture that comes, compares what it finds with
what counted, and writes that down. What becomes of it is no matter to the line: an engine may
abort it, fill its memory or hang. It ends when nobody holds the other end of the pipe with the
descriptor ``ALIVE`` any more.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import signal
import sys
import threading
from collections import deque
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from edge.judge import Job
from edge.loop.compare import difference, inspection_ms, plain_outcome
from edge.loop.comparisons import Compared, Comparisons, Pair, summary_of
from edge.loop.inspection import inspect
from edge.loop.line import open_models
from edge.records.evidence import as_jpeg
from edge.records.row import settings_of
from edge.setting import Setting
from edge.station import Station
from models.errors import LineguardError
from models.stopwatch import Stopwatch

__all__ = ["main", "work"]

QUALITY = 90
"""Of the JPEGs, as of the records."""

RECENT = 1000
"""Newest parts whose latencies the display shows."""

FAILURES = frozenset({"engine_failed", "cannot_evaluate"})
"""Reasons that speak of the models, not of the part."""


def work(channel: Connection) -> None:
    """Judge what comes until nothing comes any more.

    First comes a dict with ``station``, the :class:`edge.station.Station` of the candidate, and
    ``store``, the path of the comparisons. Then, for each part, a dict as
    :class:`edge.loop.shadow.Shadow` makes it, and the pixels. Each is answered by JSON: ``summary``
    and ``failed`` (why the candidate could not judge, or empty), or ``error``.
    """
    try:
        start = channel.recv()
        station: Station = start["station"]
        setting = Setting.of("shadow", station, open_models(station))
        store = Comparisons(Path(start["store"]), make=True)
        digest = settings_of(setting).digest
        _answer(channel, {"digest": digest})
        took: deque[tuple[float, float]] = deque(maxlen=RECENT)
        while True:
            head = channel.recv()
            image = np.frombuffer(channel.recv_bytes(), np.uint8).reshape(head["shape"])
            _answer(channel, _look(setting, store, head, image, took))
    except EOFError:
        return
    except LineguardError as error:
        _answer(channel, {"error": "; ".join(str(error).splitlines())})
    except Exception as error:
        _answer(channel, {"error": repr(error)})


def _look(
    setting: Setting,
    store: Comparisons,
    head: dict[str, Any],
    image: np.ndarray[Any, np.dtype[np.uint8]],
    took: deque[tuple[float, float]],
) -> dict[str, Any]:
    of_job = setting.with_job(Job(**head["job"]))
    today = date.fromisoformat(head["today"])
    outcome = inspect(of_job, head["camera"], image, today, Stopwatch())
    candidate = plain_outcome(outcome)
    pair: Pair = head["pair"]
    kind = difference(head["active"], candidate)
    compared = Compared(
        head["part"],
        head["time"],
        head["active"],
        candidate,
        head["active_ms"],
        inspection_ms(outcome),
        kind,
    )
    picture = as_jpeg(image, QUALITY) if store.wants(pair, kind) else None
    store.add(pair, compared, head["seen"], picture)
    took.append((compared.active_ms, compared.candidate_ms))
    counts = store.counts(pair)
    failed = [each for each in outcome.judgement.reasons if each.code in FAILURES]
    return {
        "summary": None if counts is None else summary_of(counts, took),
        "failed": "; ".join(each.text() for each in failed),
    }


def _answer(channel: Connection, said: dict[str, Any]) -> None:
    channel.send_bytes(json.dumps(said).encode())


def _end_with(descriptor: int) -> None:
    os.read(descriptor, 1)  # returns when the parent is gone
    os.killpg(0, signal.SIGKILL)  # children that try an engine, too


def main(channel: int, alive: int) -> None:
    """Work with these descriptors until the end of the process."""
    os.setpgid(0, 0)  # so that its children can be ended with it
    logging.disable(logging.CRITICAL)  # the parent says what is to be said, once
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no dumps on a small disk
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()
    with contextlib.suppress(OSError):  # nobody listens any more
        work(Connection(channel))
    os._exit(0)  # whatever hangs in native threads


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
