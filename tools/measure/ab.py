"""B beside A: measured in turn on one machine, or from two results."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import InputError, LineguardError
from tools.measure.analyse import cautions, named_percentiles
from tools.measure.compare import Comparison, compare_apart, compare_rounds
from tools.measure.document import Document, Figure, Scenario
from tools.measure.machine import Monitor, machine_facts, peak_memory
from tools.measure.run import moments, stamp
from tools.measure.session import Interrupted, Worker
from tools.measure.steady import warm_rounds

__all__ = ["PER_ROUND", "ROUNDS", "against", "compare_documents", "measure_ab", "plan_rounds"]

ROUNDS, PER_ROUND = 60, 10
"""Default length: with it, in simulations of a noisy machine, 3% are found 97 times of a hundred,
and equal ones are told apart twice."""

SETTLE = 1
"""Queries of each round that do not count: the other's weights are still in the caches."""

WARM = 10
"""Queries of each before the first round: more warm-up than that is looked for."""

UNSTEADY = (
    "it never became steady: both ran in turn, so that their ratio holds, but no time by itself"
)

LEAST = 10
"""Rounds, fewer of which say nothing."""

FEWEST, MOST = 20, 1000
"""Rounds that are planned: with fewer no median is sure, and more take long to resample."""

Floats = NDArray[np.float64]


def _silent(done: int, rounds: int) -> None:
    """Nobody watches."""


def plan_rounds(seconds: float, both_s: float) -> tuple[int, int]:
    """How many rounds, and of how many queries each that count, take about ``seconds``.

    As many rounds as there is time for, of the usual length; where there is little, shorter ones,
    and then fewer, but never so few that they say nothing.

    Parameters
    ----------
    both_s
        One query of each.
    """
    queries = seconds / max(both_s, 1e-6)
    rounds = min(MOST, max(ROUNDS, int(queries / (PER_ROUND + SETTLE))))
    per_round = max(1, int(queries / rounds) - SETTLE)
    return min(rounds, max(FEWEST, int(queries / (per_round + SETTLE)))), per_round


def measure_ab(
    a: Mapping[str, Any],
    b: Mapping[str, Any],
    stopping: Callable[[], bool],
    *,
    rounds: int = ROUNDS,
    per_round: int = PER_ROUND,
    seconds: float | None = None,
    progress: Callable[[int, int], None] = _silent,
) -> Document:
    """Measure two subjects in turn, each open in a child process of its own.

    Parameters
    ----------
    rounds, per_round
        How long: so many rounds, of so many queries of each that count.
    seconds
        For about so long instead, whatever the subjects take: see :func:`plan_rounds`.
    progress
        Told how many rounds are done, and of how many.

    Raises
    ------
    LineguardError
        One cannot be opened, or failed before there were enough rounds to say anything.
    Interrupted
        ``stopping`` before that.
    """
    said = stamp()
    fault = ""
    took: tuple[list[Floats], list[Floats]] = ([], [])
    workers: list[Worker] = []
    try:
        facts = []
        for spec in (a, b):
            workers.append(Worker(spec, stopping))
            facts.append(workers[-1].ready()["ready"])
        warm = [_round(worker, WARM) for worker in workers]
        if seconds is not None:
            both_s = sum(float(np.median(each)) for each in warm) / 1000
            rounds, per_round = plan_rounds(seconds, both_s)
        begun = time.monotonic()
        with Monitor(lambda: [worker.pid for worker in workers]) as monitor:
            try:
                for number in range(rounds):
                    # Each begins every other round: what slows down over a round favours neither.
                    both = {}
                    for side in (0, 1) if number % 2 == 0 else (1, 0):
                        both[side] = _round(workers[side], per_round + SETTLE)[SETTLE:]
                    for side in (0, 1):
                        took[side].append(both[side])
                    progress(number + 1, rounds)
            except Interrupted:
                if len(took[0]) < LEAST:
                    raise
                fault = f"interrupted after {len(took[0])} of {rounds} rounds"
            except LineguardError as error:
                if len(took[0]) < LEAST:
                    raise
                fault = str(error)
            peaks = [peak_memory(worker.pid) for worker in workers]
    finally:
        for worker in workers:
            worker.close()
    warming = warm_rounds(*took)
    steady = [side[warming or 0 :] for side in took]
    found = compare_rounds(*steady)
    queries = len(steady[0]) * per_round
    scenario = Scenario(name="SingleStream", seconds=0, queries=queries)
    machine = machine_facts()
    notes = [
        note
        for note in cautions({}, scenario, monitor.seconds, machine)
        if "MLPerf" not in note  # its rules know no comparison
    ]
    notes += [monitor.throttled] if monitor.throttled else []
    notes += [UNSTEADY] if warming is None else []
    notes += [f"warm-up: the first {warming} of {len(took[0])} rounds"] if warming else []
    figures, missing = _figures(found, *map(np.concatenate, steady))
    for name, peak in zip("ab", peaks, strict=True):
        if peak is not None:
            figures[f"{name}.memory.peak"] = Figure(value=peak, low=peak, high=peak, unit="MB")
    in_ns = [tuple(tuple((each * 1e6).round().astype(int).tolist()) for each in s) for s in took]
    return Document(
        kind="comparison",
        **said,
        scenario=scenario,
        complete=not fault,
        fault=fault,
        what={"a": facts[0], "b": facts[1]},
        machine=machine,
        figures=figures,
        missing=missing,
        notes=tuple(notes),
        answer=found.answer,
        rounds={"a": in_ns[0], "b": in_ns[1]},
        series=moments(monitor.seconds, begun),
    )


def _round(worker: Worker, queries: int) -> Floats:
    told = [
        query[1] for message in worker.run(0, queries, 1) for query in message.get("queries", ())
    ]
    return np.array(told, np.float64) / 1e6


def _figures(found: Comparison, a: Floats, b: Floats) -> tuple[dict[str, Figure], dict[str, str]]:
    """What may be stated, and what not and why."""
    figures = {f"ratio.{name}": Figure.of(each) for name, each in found.ratios.items()}
    effect = round(found.a12, 2)
    figures["a12"] = Figure(value=effect, low=effect, high=effect, places=2)
    missing: dict[str, str] = {}
    for side, values in (("a", a), ("b", b)):
        stated, unknown = named_percentiles(values)
        figures |= {f"{side}.{name}": each for name, each in stated.items()}
        # A ratio of percentiles that one side may not state is none either.
        for name, why in unknown.items():
            if figures.pop(f"ratio.{name}", None) is not None:
                missing[f"ratio.{name}"] = why
    return figures, missing


def against(a: Document, b: Document) -> tuple[dict[str, Figure], str, list[str]]:
    """Ratios of two runs that were made apart, the answer, and what else differed.

    Raises
    ------
    InputError
        They cannot be compared: of another scenario, or with too few queries.
    """
    if a.kind != "run" or b.kind != "run":
        raise InputError("only results of single runs can be compared: this is a comparison")
    if (a.scenario.name, a.scenario.samples) != (b.scenario.name, b.scenario.samples):
        raise InputError(
            f"{a.title} and {b.title}: other scenarios ({a.scenario.samples} and "
            f"{b.scenario.samples} samples a query): measure both the same way"
        )
    one, other = a.samples.steady_ms(), b.samples.steady_ms()
    if min(len(one), len(other)) < LEAST * PER_ROUND:
        raise InputError(
            f"{a.title} and {b.title}: {len(one)} and {len(other)} steady queries: "
            f"it takes {LEAST * PER_ROUND} of each"
        )
    found = compare_apart(one, other)
    notes = [
        "measured apart: what changed on the machine between the runs is in the ratio; "
        "`lineguard bench ab` measures in turn"
    ]
    notes += [
        f"{key}: {a.machine.get(key)} and {b.machine.get(key)}"
        for key in ("cpu", "kernel", "governor", "affinity")
        if a.machine.get(key) != b.machine.get(key)
    ]
    for name, each in (("A", a), ("B", b)):
        notes += [f"{name} is incomplete: {each.fault}"] if not each.complete else []
    return _figures(found, one, other)[0], found.answer, notes


def compare_documents(a: Document, b: Document) -> Document:
    """The comparison of two results; errors as :func:`against`."""
    figures, answer, notes = against(a, b)
    return Document(
        kind="comparison",
        **stamp(),
        scenario=b.scenario,
        complete=a.complete and b.complete,
        fault="" if a.complete and b.complete else "one of the runs is incomplete",
        what={"a": a.what, "b": b.what},
        machine=b.machine,
        figures=figures,
        notes=tuple(notes),
        answer=answer,
    )
