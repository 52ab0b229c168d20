"""Models for the engine tests: made once, in a folder that goes when the tests are over."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

from models.zoo import locate

DATA = Path(__file__).parents[2] / "data" / "wire_markers"

ZOO = {"det": "ppocrv4-det", "rec": "ppocrv4-rec", "cls": "ppocr-cls"}

# A convolution of fixed shape, in FP32 and quantised to INT8 by Paddle's own quantiser.
TINY = """
import sys
import numpy as np
import paddle
from paddle.static.quantization import PostTrainingQuantization

folder = sys.argv[1]
paddle.seed(1)
paddle.enable_static()
program, start = paddle.static.Program(), paddle.static.Program()
with paddle.static.program_guard(program, start):
    x = paddle.static.data("x", [1, 3, 16, 16], "float32")
    y = paddle.nn.functional.relu(paddle.static.nn.conv2d(x, 8, 3))
runner = paddle.static.Executor(paddle.CPUPlace())
runner.run(start)
paddle.static.save_inference_model(folder + "/tiny", [x], [y], runner, program=program)

class Noise(paddle.io.Dataset):
    def __len__(self):
        return 2
    def __getitem__(self, number):
        return (np.random.default_rng(number).random((3, 16, 16), dtype=np.float32),)

quantiser = PostTrainingQuantization(
    executor=runner, model_dir=folder, model_filename="tiny.pdmodel",
    params_filename="tiny.pdiparams", batch_nums=2, algo="abs_max", onnx_format=False,
    quantizable_op_type=["conv2d"],
    data_loader=paddle.io.DataLoader(Noise(), feed_list=[x], return_list=False, batch_size=1),
)
quantiser.quantize()
quantiser.save_quantized_model(
    folder, model_filename="tiny8.pdmodel", params_filename="tiny8.pdiparams"
)
"""


@lru_cache(maxsize=1)
def lab() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="lineguard-engines-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def onnx(part: str) -> Path:
    return locate(f"{ZOO[part]}-onnx")


def paddle(part: str) -> Path:
    return locate(f"{ZOO[part]}-paddle")


def nb(part: str, target: str = "x86", *, fp16: bool = False) -> Path:
    return convert(paddle(part), target, fp16=fp16)


@lru_cache(maxsize=1)
def tiny() -> tuple[Path, Path]:
    """A static-shape ``.pdmodel`` in FP32, and the same in INT8."""
    subprocess.run([sys.executable, "-c", TINY, str(lab())], check=True, capture_output=True)
    return lab() / "tiny.pdmodel", lab() / "tiny8.pdmodel"


@lru_cache
def convert(model: Path, target: str, *, fp16: bool = False) -> Path:
    out = lab() / f"{model.stem}-{target}-{fp16}"
    subprocess.run(
        [
            sys.executable,
            str(Path(sys.executable).with_name("paddle_lite_opt")),
            f"--model_file={model}",
            f"--param_file={model.with_suffix('.pdiparams')}",
            f"--optimize_out={out}",
            f"--valid_targets={target}",
            f"--enable_fp16={str(fp16).lower()}",
        ],
        check=True,
        capture_output=True,
    )
    made = out.with_name(f"{out.name}.nb")  # opt also leaves with 0 when it has made nothing
    assert made.stat().st_size > 1000
    return made


def model(part: str, suffix: str) -> Path:
    return {".onnx": onnx, ".nb": nb, ".pdmodel": paddle}[suffix](part)


def cut(source: Path, folder: Path, share: float) -> Path:
    """The first ``share`` of a file, with what stands beside it whole."""
    data = source.read_bytes()
    target = folder / source.name
    target.write_bytes(data[: int(len(data) * share)])
    beside = source.with_suffix(".pdiparams")
    if source.suffix == ".pdmodel":
        shutil.copy(beside, folder)
    return target
