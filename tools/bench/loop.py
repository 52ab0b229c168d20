"""What the loop costs beyond the engine's own time, part by part."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.camera.capture import State
from edge.loop import Line, open_models
from edge.station import Station
from edge.verdict import Verdict
from tools.demonstration import demo_station

__all__ = ["one_of_the_demo", "overhead"]

RATES = {"carton": 2.0, "cap": 8.0, "marker": 8.0, "board": 4.0}
"""Parts a second: far enough apart that none waits for the one before."""

WARM = 5
"""Parts that are not counted: textures, threads and caches are made during them."""


class _Kept:
    name = "kept"
    pictures = False

    def __init__(self) -> None:
        self.verdicts: list[Verdict] = []

    def verdict(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)

    def camera(self, camera: str, state: State, reason: str) -> None:
        pass

    def close(self) -> None:
        pass


def one_of_the_demo(kind: str, rate: float, parts: int = 0) -> Station:
    """The demonstration's station with one of its cameras; 0 parts are without end."""
    station = demo_station(4, seed=3, rate=rate)
    camera = station.camera(kind)
    source = f"{camera.source.partition('&')[0]}&rate={rate}&seed=3&parts={parts}"
    return station.model_copy(
        update={
            "cameras": (camera.model_copy(update={"source": source}),),
            "regions": station.regions_of(kind),
            "rules": station.rules_of(kind),
        }
    )


def overhead(kind: str, parts: int) -> dict[str, Any]:
    """Run one camera of the demonstration alone.

    Returns
    -------
    Medians in milliseconds of the engine's time and of everything else between trigger and
    verdict, split into pre- and post-processing and the loop itself; and their shares of the
    engine's time, per cent.
    """
    station = one_of_the_demo(kind, RATES[kind], parts + WARM)
    kept = _Kept()
    Line(station, open_models(station), [kept]).run()
    stages = [verdict.outcome.stages for verdict in kept.verdicts[WARM:]]
    engine = np.array([s["infer"] for s in stages])
    families = np.array([s["pre"] + s["post"] for s in stages])
    total = np.array([verdict.latency for verdict in kept.verdicts[WARM:]])
    loop = total - engine - families
    return {
        "parts": len(stages),
        "engine_ms": round(float(np.median(engine)) * 1000, 2),
        "pre_post_ms": round(float(np.median(families)) * 1000, 2),
        "loop_ms": round(float(np.median(loop)) * 1000, 2),
        "pre_post_percent": round(float(np.median(families / engine)) * 100, 1),
        "loop_percent": round(float(np.median(loop / engine)) * 100, 1),
        "all_percent": round(float(np.median((families + loop) / engine)) * 100, 1),
    }
