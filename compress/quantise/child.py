"""The child process of the quantiser for Lite: ``python -m compress.quantise.child QUESTION``.

``QUESTION`` is JSON: ``{"model": path, "feeds": [path of .npz], "out": path, "algo": "hist",
"types": [...], "skip": [...]}``. A line ``calibrated N`` is printed for each input that was seen.
Exit code 0 means that it is done; anything else comes with Paddle's own words.
"""

from __future__ import annotations

import ctypes
import json
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["die_with_parent", "main"]

PR_SET_PDEATHSIG = 1
"""Of prctl(2)."""


def die_with_parent() -> None:
    """Have the system kill this process with the one that started it.

    It has minutes of work, for which nobody would wait.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _loader(files: list[str]) -> Any:
    """Inputs from files, one at a time, as often as the quantiser asks."""
    import paddle

    class Inputs(paddle.io.Dataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return len(files)

        def __getitem__(self, number: int) -> tuple[Any, ...]:
            print(f"calibrated {number + 1}", flush=True)
            with np.load(files[number]) as feeds:
                return tuple(feeds[name] for name in names)

    with np.load(files[0]) as feeds:
        names = sorted(feeds)
        given = [
            paddle.static.data(name, [-1] * feeds[name].ndim, str(feeds[name].dtype))
            for name in names
        ]
    return paddle.io.DataLoader(
        Inputs(), feed_list=given, return_list=False, batch_size=None, shuffle=False
    )


def main(question: str) -> int:
    """Answer one question; returns the exit code."""
    die_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # dying is expected: no dumps
    asked = json.loads(question)
    import paddle
    from paddleslim.quant import quant_post_static  # type: ignore[import-untyped]

    paddle.enable_static()
    paddle.set_device("cpu")
    model, out = Path(asked["model"]), Path(asked["out"])
    quant_post_static(
        executor=paddle.static.Executor(paddle.CPUPlace()),
        model_dir=str(model.parent),
        model_filename=model.name,
        params_filename=model.with_suffix(".pdiparams").name,
        quantize_model_path=str(out.parent),
        save_model_filename=out.name,
        save_params_filename=out.with_suffix(".pdiparams").name,
        data_loader=_loader(asked["feeds"]),
        batch_nums=len(asked["feeds"]),
        algo=asked["algo"],
        quantizable_op_type=asked["types"],
        skip_tensor_list=asked["skip"] or None,
        onnx_format=False,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
