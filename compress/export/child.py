"""The child process of a conversion: ``python -m compress.export.child QUESTION``.

``QUESTION`` is JSON: ``{"to": "arm" | "x86" | "onnx", "model": path, "out": path, "opset": n}``.
Exit code 0 means that it is done; anything else comes with the converter's own words.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

__all__ = ["main"]

DISCARDED = ("lite_conv_scale_fuse_pass",)
"""Passes of Paddle Lite 2.13's opt that change what a model computes.

This one folds a ``scale`` into the convolution before it, and does not see that the convolution
has taken up an activation by then: ``scale(hard_swish(conv(x)))`` becomes
``hard_swish(scale(conv(x)))``. Source: ``lite/core/optimizer/mir/fusion/conv_scale_fuser.cc``, and
``lite/core/optimizer/optimizer.cc`` for the order of the passes.
"""


def main(question: str) -> int:
    """Answer one question; returns the exit code."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # dying is expected: no dumps
    asked = json.loads(question)
    model, out = Path(asked["model"]), Path(asked["out"])
    if asked["to"] == "onnx":
        _to_onnx(model, out, int(asked["opset"]))
    else:
        _to_nb(model, out, asked["to"])
    return 0


def _to_nb(model: Path, out: Path, target: str) -> None:
    from paddlelite import lite

    kind, precision = lite.TargetType, lite.PrecisionType
    place, precisions = {
        "arm": (kind.ARM, (precision.FP32, precision.INT32, precision.INT64, precision.Any)),
        "x86": (kind.X86, (precision.FP32, precision.INT64, precision.Any)),
    }[target]
    config = lite.CxxConfig()
    config.set_model_file(str(model))
    config.set_param_file(str(model.with_suffix(".pdiparams")))
    config.set_valid_places([lite.Place(place, p, lite.DataLayoutType.NCHW) for p in precisions])
    for name in DISCARDED:
        config.add_discarded_pass(name)
    # It adds the suffix itself.
    lite.create_paddle_predictor(config).save_optimized_model(str(out.with_suffix("")))


def _to_onnx(model: Path, out: Path, opset: int) -> None:
    import paddle2onnx

    data = paddle2onnx.export(str(model), str(model.with_suffix(".pdiparams")), opset_version=opset)
    out.write_bytes(data)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
