"""The child process of a trial: ``python -m edge.engines.trial_child QUESTION``.

``QUESTION`` is JSON: ``{"model": path, "threads": n, "sample": {name: [shape]} or null}``.
Exit code 0 means that the model can be opened and run; 1 comes with
``{"reason": text, "lasting": bool}`` as the last line of standard output. Anything else is a death,
which is what this process is for.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import numpy as np

from edge.engines.base import Engine, zeros
from edge.engines.registry import engine_kind
from models.errors import EngineError

__all__ = ["main"]

REPEATS_WITHIN = 1e-3
"""Two runs on the same input differ by rounding at most; more is memory that nobody has filled."""

PASSING = (ImportError, InterruptedError, TimeoutError)
"""A library that is not installed may be so tomorrow; and a busy box is no fault of the model."""


def main(question: str) -> int:
    """Answer one question; returns the exit code."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # dying is expected: no dumps on a small disk
    asked = json.loads(question)
    path = Path(asked["model"])
    try:
        engine = engine_kind(path).make(path, asked["threads"])
        if asked["sample"] is not None:
            _run_twice(path, engine, {name: tuple(s) for name, s in asked["sample"].items()})
    except EngineError as error:
        # The reason is kept by the hash of the model, whose path may be another one next time.
        reason = str(error).removeprefix(f"{path}: ")
        print(json.dumps({"reason": reason, "lasting": not isinstance(error.__cause__, PASSING)}))
        return 1
    return 0


def _run_twice(path: Path, engine: Engine, sample: dict[str, tuple[int, ...]]) -> None:
    feeds = zeros(path, engine.inputs, sample)
    first, second = engine.run(feeds), engine.run(feeds)
    for name, answer in first.items():
        again = second[name]
        if answer.shape != again.shape or not np.allclose(
            answer, again, rtol=0, atol=REPEATS_WITHIN, equal_nan=True
        ):
            raise EngineError(
                f"{path}: output {name} differs from run to run on the same input: "
                "convert it again for this engine and processor"
            )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
