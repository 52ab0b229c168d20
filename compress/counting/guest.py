"""The emulated process: ``python guest.py MODEL FEEDS.npz RUNS CODE``.

It opens a model as a box does, and says when an inference begins by asking for its parent, which
the plugin sees. It runs in the Python of the emulated system, so it comes with nothing but itself
and the folder of lineguard's own code, ``CODE``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["main"]

WARM_UPS = 2
"""Inferences that are not counted: the first ones pack weights and allocate."""


def main(model: str, feeds: str, runs: str, code: str) -> int:
    """Run the model; returns the exit code."""
    sys.path.append(code)  # last: a packed install has packages of the host beside it
    import numpy as np

    from edge.engines import open_engine

    with np.load(feeds, allow_pickle=False) as file:
        inputs = {name: file[name] for name in file.files}
    engine = open_engine(Path(model), threads=1, trial=False)
    for _ in range(WARM_UPS):
        engine.run(inputs)
    os.getppid()
    for _ in range(int(runs)):
        engine.run(inputs)
    os.getppid()
    print(f"{engine.name} {engine.version}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
