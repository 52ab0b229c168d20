"""How much of a line a flash uses: at several bauds, with bit errors, with a slow turnaround."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tools.bench.line_cable import Cable
from tools.bench.line_flash import Run, agent, make_parcel, over_cable, simulated

__all__ = ["ERRORS", "ERROR_RATE", "RATES", "Progress", "line_use"]

RATES = (115_200, 921_600, 3_000_000)

ERRORS = (1e-6, 1e-5)
"""Chances that a bit flips."""

ERROR_RATE = 921_600
"""Baud of the lines that flip bits."""

SEEDS = range(1, 6)

TURNAROUND_S = 0.016
"""What a USB adapter waits by default before it hands on what has come: half of it each way."""

SIMULATED, NOISY = 7_000_000, 3_000_000
"""Bytes of a bundle in simulated time: as the board detector has, and for each seed of errors."""

REAL = {115_200: 600_000, 921_600: 3_000_000, 3_000_000: 6_000_000}
"""And of one in real time: a minute of each line at most."""

Progress = Callable[[Iterable[str]], Iterable[str]]
"""Goes through names and shows how far it is."""


def line_use(progress: Progress) -> dict[str, Any]:
    """Flash bundles of random bytes, which no coding makes shorter.

    Returns
    -------
    Shares of the line's rate, per cent: ``clean`` by baud, ``errors`` by the chance of a flipped
    bit, ``turnaround`` by baud.
    """
    jobs: dict[str, Callable[[Path], object]] = {}
    for rate in RATES:
        jobs[f"real {rate}"] = lambda folder, rate=rate: _real(folder, rate)  # type: ignore[misc]
        for latency in (0.0, TURNAROUND_S):
            jobs[f"simulated {rate} {latency}"] = lambda folder, rate=rate, latency=latency: (  # type: ignore[misc]
                _simulated(folder, rate, SIMULATED, latency=latency)
            )
    for flip in ERRORS:
        jobs[f"errors {flip}"] = lambda folder, flip=flip: [  # type: ignore[misc]
            _simulated(folder, ERROR_RATE, NOISY, flip=flip, seed=seed) for seed in SEEDS
        ]
    runs: dict[str, Any] = {}
    for name in progress(jobs):
        with tempfile.TemporaryDirectory() as folder:
            runs[name] = jobs[name](Path(folder))
    return {
        "simulated_bytes": SIMULATED,
        "noisy_bytes": NOISY,
        "clean": {
            str(rate): _clean(runs[f"simulated {rate} 0.0"], runs[f"real {rate}"]) for rate in RATES
        },
        "errors": {str(flip): _spread(runs[f"errors {flip}"]) for flip in ERRORS},
        "turnaround": {
            str(rate): _turnaround(
                runs[f"simulated {rate} 0.0"], runs[f"simulated {rate} {TURNAROUND_S}"]
            )
            for rate in RATES
        },
    }


def _simulated(
    folder: Path, rate: int, size: int, *, flip: float = 0.0, latency: float = 0.0, seed: int = 1
) -> Run:
    with make_parcel(folder, size, seed) as parcel:
        root = folder / f"box-{seed}"
        return simulated(parcel, root, rate, flip=flip, latency=latency / 2, seed=seed)


def _real(folder: Path, rate: int) -> Run:
    root = folder / "box"
    with make_parcel(folder, REAL[rate], 1) as parcel, Cable() as cable, agent(cable.box, root):
        return over_cable(parcel, cable, rate)


def _clean(line: Run, real: Run) -> dict[str, float]:
    return {
        "simulated": _percent(line.share),
        "simulated_with_opening": _percent(line.share_with_opening),
        "bytes": real.payload,
        "seconds": round(real.seconds, 2),
        "opening": round(real.opening, 2),
        "before_sending": round(real.planning, 2),
        "real": _percent(real.share),
        "real_with_opening": _percent(real.share_with_opening),
        "cpu": _percent(real.cpu / (real.seconds + real.opening)),
    }


def _spread(runs: list[Run]) -> dict[str, float]:
    shares = [_percent(run.share) for run in runs]
    return {
        "seeds": len(runs),
        "mean": round(statistics.fmean(shares), 2),
        "least": min(shares),
        "most": max(shares),
    }


def _turnaround(without: Run, with_it: Run) -> dict[str, float]:
    return {
        "without": _percent(without.share),
        "with": _percent(with_it.share),
        "slower": _percent(with_it.seconds / without.seconds - 1),
    }


def _percent(share: float) -> float:
    return round(100 * share, 2)
