"""The child process that is measured: ``python -m tools.measure.worker SPEC``.

``SPEC`` is the JSON that :func:`tools.measure.subjects.open_subject` takes, or ``{"kind": "line"}``
with a station. What a native library dies of ends this process, and no bench.

It says, one JSON object a line on standard output: ``ready`` with facts, then for each command of
standard input, ``{"seconds": s, "queries": n, "samples": m}``, any number of ``queries``, and
``done``. ``error`` is the last that it says. It ends when standard input does.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import resource
import sys
import threading
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from models.errors import LineguardError

__all__ = ["Tell", "main", "measuring_costs", "run_queries"]

FLUSH_NS = 200_000_000
"""How much of what was measured is lost if this process dies; telling it takes 50 us."""

Tell = Callable[[Mapping[str, Any]], None]


def run_queries(
    run: Callable[[int], Mapping[str, float]], asked: Mapping[str, Any], tell: Tell
) -> None:
    """Run one query after the other for at least so many seconds and so many queries.

    Nothing but the clock is between a query and the figures that are told of it.
    """
    clock = time.perf_counter_ns
    samples, least = int(asked["samples"]), int(asked["queries"])
    begun = clock()
    end, flush = begun + int(asked["seconds"] * 1e9), begun + FLUSH_NS
    waiting: list[tuple[int, int, dict[str, int]]] = []
    done = 0
    while True:
        start = clock()
        stages = run(samples)
        now = clock()
        waiting.append((start, now - start, {k: int(v * 1e9) for k, v in stages.items()}))
        done += 1
        if now >= flush:
            tell({"queries": waiting})
            waiting = []
            flush = clock() + FLUSH_NS
        if done >= least and now >= end:
            break
    tell({"queries": waiting})


def measuring_costs() -> float:
    """Nanoseconds that measuring adds to a query: the loop of this file around nothing at all."""
    told: list[Mapping[str, Any]] = []
    run_queries(lambda samples: {}, {"seconds": 0, "queries": 2000, "samples": 1}, told.append)
    queries = [query for message in told for query in message["queries"]]
    # From one query's beginning to the next: what the clock does not see is counted too.
    gaps = sorted(b[0] - a[0] for a, b in pairwise(queries))
    return float(gaps[len(gaps) // 2])


def main(spec: Mapping[str, Any], tell: Tell) -> None:
    """Open what ``spec`` names, and run what is asked for until nobody asks any more."""
    start = time.perf_counter()
    if spec["kind"] == "line":
        from tools.measure.line import run_line

        run_line(spec, _asked(), tell)
        tell({"done": True})
        return
    from tools.measure.subjects import open_subject

    subject = open_subject(spec)
    opened = time.perf_counter() - start
    costs = measuring_costs()
    tell({"ready": subject.facts, "open_s": opened, "overhead_ns": costs})
    commands = _asked()
    while True:
        run_queries(subject.run, commands.get(), tell)
        tell({"done": True})


def _asked() -> queue.SimpleQueue[dict[str, Any]]:
    """Commands as they come; the process ends when no more can."""
    commands: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            commands.put(json.loads(line))
        os._exit(0)

    threading.Thread(target=read, name="commands", daemon=True).start()
    return commands


def _answering() -> Tell:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # native libraries print what they like

    def tell(message: Mapping[str, Any]) -> None:
        try:
            print(json.dumps(message), file=answers, flush=True)
        except OSError:
            os._exit(0)  # nobody listens any more

    return tell


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # dying is expected: no dumps on a small disk
    logging.disable(logging.WARNING)
    say = _answering()
    code = 0
    try:
        main(json.loads(sys.argv[1]), say)
    except LineguardError as error:
        say({"error": str(error), "code": error.exit_code})
        code = 1
    sys.stderr.flush()
    os._exit(code)  # whatever hangs in native threads
