"""Memory of ``lineguard run`` over ten thousand parts."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

__all__ = ["growth"]

FIRST = 500
"""Parts after which every shape has been seen: some seventy of them cartons, with their many
widths of line."""

STEP = 500

RATES = {"carton": 2, "cap": 6, "marker": 6}
"""Parts a second of each camera: what two cores carry without a part waiting for long."""


def _resident(pid: int) -> int:
    """Resident bytes of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def growth(parts: int, watch: Callable[[Iterable[str]], Iterable[str]]) -> dict[str, Any]:
    """Run the demonstration's station for ``parts`` parts and watch its resident memory.

    Parameters
    ----------
    watch
        Passes the run's output on, line by line, and shows how far it is.

    Returns
    -------
    Megabytes after 500 parts, at the end and at most, and every 500 parts; growth in per cent;
    counts.
    """
    text = Path(__file__).parents[1].joinpath("demo.toml").read_text("utf-8")
    for kind, rate in RATES.items():
        text = text.replace(f'"line:?kind={kind}"', f'"line:?kind={kind}&rate={rate}&seed=5"')
    command = [str(Path(sys.executable).with_name("lineguard")), "run", "--json", "--parts"]
    samples: dict[int, int] = {}
    seen = late = 0
    with tempfile.TemporaryDirectory() as folder:
        station = Path(folder) / "station.toml"
        station.write_text(text, "utf-8")
        run = subprocess.Popen(
            [*command, str(parts), str(station)], stdout=subprocess.PIPE, text=True
        )
        assert run.stdout is not None  # noqa: S101 - asked for a pipe
        for line in watch(run.stdout):
            record = json.loads(line)
            if "summary" in record:
                late = record["summary"]["late"]
                continue
            seen += 1
            if seen % STEP == 0 and seen < parts:
                samples[seen] = _resident(run.pid)
        run.wait()
    last = max(samples)
    return {
        "parts": seen,
        "late": late,
        "first_mb": round(samples[FIRST] / 1e6, 1),
        "last_mb": round(samples[last] / 1e6, 1),
        "max_mb": round(max(samples.values()) / 1e6, 1),
        "last_at": last,
        "growth_percent": round((samples[last] / samples[FIRST] - 1) * 100, 2),
        "curve_mb": [round(size / 1e6, 1) for size in samples.values()],
    }
