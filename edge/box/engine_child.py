"""The self-test of an engine, in a process that may die of it: ``python -m edge.box.engine_child``.

The last argument is the engine's name. The last line of standard output is JSON: ``version``, and
``problem`` (empty if it computes rightly); exit code 0 in either case. 1 means that the engine is
not installed. Anything else is a death.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import numpy as np

from models.errors import EngineError

__all__ = ["SELF_TEST", "main"]

SELF_TEST = Path(__file__).with_name("selftest.onnx")
"""One convolution in float32 and one product in INT8, whose numbers come with the question."""


def main(name: str) -> int:
    """Test one engine; returns the exit code."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # dying is expected: no dumps on a small disk
    try:
        version, problem = {"onnxruntime": _onnxruntime, "paddle_lite": _paddle_lite}[name]()
    except ImportError:
        return 1
    except EngineError as error:
        if isinstance(error.__cause__, ImportError):
            return 1
        raise
    print(json.dumps({"version": version, "problem": problem}))
    return 0


def _onnxruntime() -> tuple[str, str]:
    """Both kinds of kernels against numpy: they are chosen by what the processor can do."""
    from edge.engines.onnxruntime_engine import OnnxRuntimeEngine

    chance = np.random.default_rng(20261122)
    image = chance.normal(size=(1, 3, 9, 9)).astype(np.float32)
    kernel = chance.normal(size=(8, 3, 3, 3)).astype(np.float32)
    left = chance.integers(0, 256, (16, 64), np.uint8)
    right = chance.integers(-128, 128, (64, 32), np.int8)
    engine = OnnxRuntimeEngine(SELF_TEST, 1)
    answer = engine.run({"image": image, "kernel": kernel, "left": left, "right": right})
    windows = np.lib.stride_tricks.sliding_window_view(image[0], (3, 3, 3))[0]
    if not np.allclose(answer["conv"][0], np.einsum("yxcij,ocij->oyx", windows, kernel), atol=1e-4):
        return engine.version, "computes wrongly in float32"
    if not np.array_equal(answer["product"], left.astype(np.int32) @ right.astype(np.int32)):
        return engine.version, "computes wrongly in INT8"
    return engine.version, ""


def _paddle_lite() -> tuple[str, str]:
    """Only loaded: a model for it must come from the very same version."""
    from edge.engines.lite import find_build, library_version

    build = find_build()
    if build is not None:
        version = library_version(build)
        return (version or "of unknown version"), "" if version else "does not load"
    from paddlelite import lite

    return str(lite.LightPredictor().get_version()), ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[-1]))
