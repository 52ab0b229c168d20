"""Programs to simplify: the zoo's, our own detector's, and small ones put together here."""

from __future__ import annotations

import atexit
import copy
import shutil
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from paddle import inference
from paddle.base.proto import framework_pb2

from compress.attributes import attribute
from compress.pdmodel import save_program
from compress.program import Op, Program
from models.ppyoloe.network import PPYOLOE
from models.ppyoloe.train.export import export_paddle
from models.ppyoloe.train.weights import load_pdparams, put
from models.zoo import locate, zoo_model

Picture = NDArray[np.float32]

PICTURES = Path(__file__).parents[1] / "data" / "wire_markers"

CLOSE = 1e-4
"""What a rewrite may change of an answer, by rounding."""


@lru_cache(maxsize=1)
def lab() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="lineguard-compress-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@lru_cache
def model(name: str) -> Path:
    """A ``.pdmodel``: ``det``, ``rec`` or ``cls`` of the zoo, or ``xs``, the PCB detector."""
    if name != "xs":
        return locate(
            {"det": "ppocrv4-det", "rec": "ppocrv4-rec", "cls": "ppocr-cls"}[name] + "-paddle"
        )
    weights = zoo_model("pcb-defects-xs").folder / "model.pdparams"
    network = PPYOLOE("xs", 6)
    put(network, load_pdparams(weights), str(weights))
    export_paddle(network, lab() / "xs")
    return lab() / "xs.pdmodel"


def pictures(name: str, count: int = 3) -> list[Picture]:
    """Real crops as the model takes them, small."""
    kind, size = {
        "det": ("det", (160, 160)),
        "rec": ("rec", (48, 160)),
        "cls": ("rec", (48, 192)),
        "xs": ("det", (160, 160)),
    }[name]
    mean, std = {"det": (0.45, 0.226), "xs": (0.0, 1.0)}.get(name, (0.5, 0.5))
    found = []
    for path in sorted((PICTURES / kind).glob("*.jpg"))[:count]:
        pixels = cv2.resize(np.asarray(cv2.imread(str(path))), size[::-1]).astype(np.float32) / 255
        found.append(
            np.ascontiguousarray(((pixels - mean) / std).transpose(2, 0, 1)[None], np.float32)
        )
    return found


class Builder:
    """Puts a small program together, one operator after the other, on an input ``x``."""

    def __init__(self, channels: int, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        head = framework_pb2.ProgramDesc()
        head.blocks.add(idx=0, parent_idx=-1)
        head.version.version = 2006002
        self.program = Program([], {}, {}, head)
        for name, kind in (("feed", "FEED_MINIBATCH"), ("fetch", "FETCH_LIST")):
            known = framework_pb2.VarDesc(name=name, persistable=True)
            known.type.type = framework_pb2.VarType.Type.Value(kind)
            self.program.variables[name] = known
        self.variable("x", (-1, channels, -1, -1))
        self.add("feed", {"X": "feed"}, {"Out": "x"}, col=0)
        self.last = "x"
        self.channels = channels
        self.number = 0

    def variable(self, name: str, shape: Sequence[int]) -> str:
        known = framework_pb2.VarDesc(name=name, need_check_feed=name == "x")
        known.type.type = framework_pb2.VarType.LOD_TENSOR
        known.type.lod_tensor.tensor.data_type = framework_pb2.VarType.FP32
        known.type.lod_tensor.tensor.dims.extend(shape)
        self.program.variables[name] = known
        return name

    def parameter(self, *shape: int, low: float | None = None) -> str:
        value = self.rng.standard_normal(shape).astype(np.float32)
        if low is not None:
            value = np.abs(value) + np.float32(low)
        return self.program.new_parameter(value, "w")

    def add(self, kind: str, inputs: dict[str, str], outputs: dict[str, str], **values: Any) -> Op:
        op = Op(
            kind,
            {slot: [name] for slot, name in inputs.items()},
            {slot: [name] for slot, name in outputs.items()},
            {name: attribute(name, value) for name, value in values.items()},
        )
        self.program.ops.append(op)
        return op

    def out(self, channels: int | None = None, size: int = -1) -> str:
        self.number += 1
        self.channels = channels or self.channels
        return self.variable(f"t{self.number}", (-1, self.channels, size, size))

    def conv(
        self, channels: int, kernel: int = 1, *, padding: int = 0, depthwise: bool = False,
        filters: str = "",
    ) -> str:  # fmt: skip
        """A convolution without bias."""
        before, groups = self.channels, self.channels if depthwise else 1
        made = before if depthwise else channels
        weights = filters or self.parameter(made, before // groups, kernel, kernel)
        inputs = {"Input": self.last, "Filter": weights}
        self.last = self.out(made)
        self.add(
            "depthwise_conv2d" if depthwise else "conv2d", inputs, {"Output": self.last},
            strides=[1, 1], paddings=[padding, padding], dilations=[1, 1], groups=groups,
            data_format="NCHW", padding_algorithm="EXPLICIT",
        )  # fmt: skip
        return self.last

    def transposed(self, channels: int, groups: int = 1) -> str:
        weights = self.parameter(self.channels, channels // groups, 2, 2)
        inputs = {"Input": self.last, "Filter": weights}
        self.last = self.out(channels)
        self.add(
            "conv2d_transpose", inputs, {"Output": self.last}, strides=[2, 2], paddings=[0, 0],
            dilations=[1, 1], groups=groups, data_format="NCHW", padding_algorithm="EXPLICIT",
        )  # fmt: skip
        return self.last

    def bias(self) -> str:
        inputs = {"X": self.last, "Y": self.parameter(self.channels)}
        self.last = self.out()
        self.add("elementwise_add", inputs, {"Out": self.last}, axis=1)
        return self.last

    def one(self, kind: str, *, swapped: bool = False) -> str:
        """An elementwise operator with a parameter of one number."""
        value = self.parameter(1, low=0.3)
        inputs = {"X": value, "Y": self.last} if swapped else {"X": self.last, "Y": value}
        self.last = self.out()
        self.add(kind, inputs, {"Out": self.last}, axis=-1)
        return self.last

    def scale(self, scale: float, bias: float = 0.0, *, after: bool = True) -> str:
        inputs = {"X": self.last}
        self.last = self.out()
        self.add(
            "scale", inputs, {"Out": self.last}, scale=scale, bias=bias, bias_after_scale=after
        )
        return self.last

    def batch_norm(self) -> str:
        channels = self.channels
        mean, variance = self.parameter(channels), self.parameter(channels, low=0.5)
        inputs = {
            "X": self.last, "Scale": self.parameter(channels), "Bias": self.parameter(channels),
            "Mean": mean, "Variance": variance,
        }  # fmt: skip
        self.last = self.out()
        outputs = {
            "Y": self.last, "MeanOut": mean, "VarianceOut": variance,
            "SavedMean": self.variable(f"{self.last}.m", (channels,)),
            "SavedVariance": self.variable(f"{self.last}.v", (channels,)),
        }  # fmt: skip
        self.add(
            "batch_norm", inputs, outputs, epsilon=1e-5, momentum=0.9, is_test=True,
            data_layout="NCHW", use_global_stats=False, trainable_statistics=False,
        )  # fmt: skip
        return self.last

    def plain(self, kind: str, **values: Any) -> str:
        """An operator of one input ``X`` and one output ``Out``."""
        inputs = {"X": self.last}
        self.last = self.out()
        self.add(kind, inputs, {"Out": self.last}, **values)
        return self.last

    def dropout(self, how: str) -> str:
        inputs = {"X": self.last}
        self.last = self.out()
        outputs = {"Out": self.last, "Mask": self.variable(f"{self.last}.m", (-1,))}
        self.add(
            "dropout", inputs, outputs, dropout_prob=0.25, is_test=True,
            dropout_implementation=how,
        )  # fmt: skip
        return self.last

    def pool(self, kind: str, **values: Any) -> str:
        ready = {"strides": [2, 2], "paddings": [0, 0], "ksize": [2, 2], "adaptive": False}
        same = {"global_pooling": False, "ceil_mode": False, "data_format": "NCHW"}
        ready |= {"exclusive": True, "padding_algorithm": "EXPLICIT", **same, **values}
        size = 1 if ready["adaptive"] else -1
        inputs = {"X": self.last}
        self.last = self.out(size=size)
        self.add("pool2d", inputs, {"Out": self.last}, pooling_type=kind, **ready)
        return self.last

    def joined(self, kind: str, first: str, second: str) -> str:
        """An elementwise operator of two variables."""
        self.last = self.out()
        self.add(kind, {"X": first, "Y": second}, {"Out": self.last}, axis=-1)
        return self.last

    def concat(self, *names: str) -> str:
        """Variables one behind the other along the channels."""
        widths = [(self.program.shape(name) or ())[1] for name in names]
        self.last = self.out(sum(widths))
        self.program.ops.append(
            Op("concat", {"X": list(names)}, {"Out": [self.last]}, {"axis": attribute("axis", 1)})
        )
        return self.last

    def done(self, *fetched: str) -> Program:
        for number, name in enumerate(fetched or (self.last,)):
            self.add("fetch", {"X": name}, {"Out": "fetch"}, col=number)
        return self.program


def run(program: Program, feeds: dict[str, Picture]) -> list[NDArray[Any]]:
    """What Paddle makes of a program, operator by operator.

    Not the engine: the passes of Paddle Inference 2.6 are wrong on some small networks (an output
    of a batch norm that a ReLU takes as well, a constant that nobody takes).
    """
    path = Path(tempfile.mkdtemp(dir=lab())) / "model.pdmodel"
    if not program.parameters:  # Paddle takes an empty file for a broken one
        program = copy.deepcopy(program)
        program.new_parameter(np.zeros(1, np.float32), "none")
    save_program(program, path)
    weights = path.with_suffix(".pdiparams")
    config = inference.Config(str(path), str(weights))
    config.switch_ir_optim(False)
    config.disable_glog_info()
    config.set_cpu_math_library_num_threads(1)
    predictor = inference.create_predictor(config)
    for name, value in feeds.items():
        predictor.get_input_handle(name).copy_from_cpu(value)
    predictor.run()
    shutil.rmtree(path.parent)
    return [predictor.get_output_handle(n).copy_to_cpu() for n in predictor.get_output_names()]


def types(program: Program) -> list[str]:
    """Types of its operators, without feed and fetch."""
    return [op.type for op in program.ops if op.type not in ("feed", "fetch")]
