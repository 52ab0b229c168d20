"""Training with rounding: a program learns to answer right although eight bits round it.

Rounding is put into the program as operators of its own, whose gradient passes straight through
(Bengio et al., "Estimating or Propagating Gradients Through Stochastic Neurons", 2013). What comes
out is a program as any other, so whatever tunes programs tunes this one, with the FP32 original as
its teacher; afterwards the rounding is taken out again, and the weights that have learnt to be
rounded go the usual ways to ONNX and Paddle Lite.

::

    train_aware(model, out, feeds, lambda rounded, tuned: tune(rounded, tuned, ...), target="onnx")
    quantise_onnx(...)  # of out, exported
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from paddle import inference

from compress.attributes import attribute
from compress.metrics.base import Feeds, Progress
from compress.pdmodel import load_program, save_program
from compress.program import Op, Program
from compress.quantise.outcome import check_coloured, check_skip, varies
from compress.quantise.ranges import Histogram, Method, Range, range_of
from models.errors import ModelError

__all__ = ["AwareTarget", "add_rounding", "observe_layers", "take_rounding", "train_aware"]

AwareTarget = Literal["onnx", "lite"]
"""``onnx``: 255 steps from the least to the greatest number; ``lite``: 127 on each side of zero."""

ROUNDS_WEIGHTS = "fake_channel_wise_quantize_dequantize_abs_max"
ROUNDS_ACTIVATIONS = "fake_quantize_dequantize_moving_average_abs_max"

_LAYERS = {"conv2d": "Filter", "depthwise_conv2d": "Filter", "matmul_v2": "Y"}
"""Where a layer's weights stand."""

_TAKEN = {"conv2d": "Input", "depthwise_conv2d": "Input", "matmul_v2": "X"}

Result = TypeVar("Result")


def train_aware(
    model: Path,
    out: Path,
    calibration: Iterable[Feeds],
    train: Callable[[Path, Path], Result],
    *,
    target: AwareTarget,
    method: Method = "mse",
    skip: Collection[str] = (),
    progress: Progress | None = None,
) -> Result:
    """Write ``out`` (``.pdmodel``), the program with weights that have learnt to be rounded.

    Parameters
    ----------
    train
        Is given the program with rounding in it, and where to write it trained.
    skip
        Layers that will stay FP32, by the names of their weights.

    Returns
    -------
    What ``train`` gives.

    Raises
    ------
    InputError
        Nothing to calibrate on, blank pictures alone, or a layer to skip that there is not.
    ModelError
        The program cannot be run, or what was trained is another.
    StorageError
        A file cannot be written.
    """
    program = load_program(model)
    ranges = observe_layers(model, calibration, target=target, method=method, progress=progress)
    check_skip(model, skip, [_weight(op) for op in _layers(program, target)])
    add_rounding(program, ranges, target=target, skip=skip)
    with tempfile.TemporaryDirectory(prefix="lineguard-aware-") as scratch:
        rounded, tuned = Path(scratch) / "rounded.pdmodel", Path(scratch) / "tuned.pdmodel"
        save_program(program, rounded)
        result = train(rounded, tuned)
        learnt = load_program(tuned)
    take_rounding(learnt)
    save_program(learnt, out)
    return result


def observe_layers(
    model: Path,
    calibration: Iterable[Feeds],
    *,
    target: AwareTarget,
    method: Method = "mse",
    progress: Progress | None = None,
) -> dict[str, Range]:
    """Run the program on real inputs; gives the range of what each layer takes, by variable.

    Raises
    ------
    InputError
        Nothing to calibrate on, or blank pictures alone.
    ModelError
        Paddle cannot run the program, or it gives numbers that are not finite.
    """
    program = load_program(model)
    wanted = list(dict.fromkeys(op.input(_TAKEN[op.type]) for op in _layers(program, target)))
    given = {name: Histogram() for name in wanted if name in program.feeds}
    made = {name: Histogram() for name in wanted if name not in given}
    _fetch_alone(program, list(made))
    pictures, coloured = 0, False
    total = len(calibration) if isinstance(calibration, list | tuple) else 0
    with tempfile.TemporaryDirectory(prefix="lineguard-aware-") as scratch:
        path = Path(scratch) / "watched.pdmodel"
        save_program(program, path)
        predictor = _predictor(model, path)
        for feeds in calibration:
            for name, value in feeds.items():
                predictor.get_input_handle(name).copy_from_cpu(value)
            predictor.run()
            seen = [predictor.get_output_handle(n).copy_to_cpu() for n in made]
            pairs = [*((n, feeds[n]) for n in given), *zip(made, seen, strict=True)]
            for name, values in pairs:
                if not np.isfinite(values).all():
                    raise ModelError(
                        f"{model}: {name} is not finite on calibration input {pictures + 1}: "
                        "take that picture out, or tune the model again"
                    )
                (given if name in given else made)[name].add(values)
            pictures, coloured = pictures + 1, coloured or varies(feeds)
            if progress:
                progress(pictures, total)
    check_coloured(model, pictures, coloured)
    return {name: range_of(each, method) for name, each in {**given, **made}.items()}


def add_rounding(
    program: Program,
    ranges: Mapping[str, Range],
    *,
    target: AwareTarget,
    skip: Collection[str] = (),
) -> int:
    """Round weights, and what the layers take, in place.

    A layer whose input has no range stays as it is. Grids of activations stay as they are while
    weights learn: a range that moves with each batch moves the target as well.

    Parameters
    ----------
    ranges
        From :func:`observe_layers`.

    Returns
    -------
    How many layers are rounded.
    """
    rounded: dict[str, str] = {}
    done = 0
    for op in _layers(program, target):
        taken, weight = op.input(_TAKEN[op.type]), _weight(op)
        low, high = ranges.get(taken, (0.0, 0.0))
        if weight in skip or high <= low:
            continue
        if taken not in rounded:
            rounded[taken] = _round_activation(program, taken, low, high, target)
        if weight not in rounded:
            rounded[weight] = _round_weight(program, weight, op.type)
        program.rewire(op, _TAKEN[op.type], [rounded[taken]])
        program.rewire(op, _LAYERS[op.type], [rounded[weight]])
        done += 1
    return done


def take_rounding(program: Program) -> None:
    """Take out what :func:`add_rounding` put in, in place; weights keep what they have learnt."""
    for op in program.of_type(ROUNDS_WEIGHTS, ROUNDS_ACTIVATIONS):
        gone = [*op.makes(), *(name for name in op.reads() if name != op.input("X"))]
        program.bypass(op, "X", "Out")
        program.drop(gone)


def _layers(program: Program, target: AwareTarget) -> list[Op]:
    types = [kind for kind in _LAYERS if target == "onnx" or kind != "matmul_v2"]
    return [
        op
        for op in program.of_type(*types)
        if op.input(_LAYERS[op.type]) in program.parameters
        and op.input(_TAKEN[op.type]) not in program.parameters
    ]


def _weight(op: Op) -> str:
    return op.input(_LAYERS[op.type])


def _round_weight(program: Program, name: str, kind: str) -> str:
    made = program.new_variable(name, f"{name}.rounded")
    program.variables[made].persistable = False
    program.variables[made].is_parameter = False
    scale = program.new_variable(name, f"{name}.step")
    program.variables[scale].persistable = False
    program.variables[scale].is_parameter = False
    dims = program.variables[scale].type.lod_tensor.tensor.dims
    axis = 1 if kind == "matmul_v2" else 0
    dims[:] = [program.parameters[name].shape[axis]]
    op = Op(
        ROUNDS_WEIGHTS,
        {"X": [name]},
        {"Out": [made], "OutScale": [scale]},
        {
            "bit_length": attribute("bit_length", 8),
            "quant_axis": attribute("quant_axis", axis),
            "round_type": attribute("round_type", 0),
            "is_test": attribute("is_test", False),
        },
    )
    program.insert(op, after=program.of_type("feed")[-1])
    return made


def _round_activation(
    program: Program, name: str, low: float, high: float, target: AwareTarget
) -> str:
    # 127 steps on each side of zero; or 255 of the whole range, which is nine bits of twice it.
    bits, reach = (9, high - low) if target == "onnx" else (8, max(-low, high))
    scale = program.new_parameter(np.array([reach], np.float32), f"{name}.reach")
    after = program.maker(name)
    if after is None:
        raise ModelError(f"{name}: no operator makes it: the program is not whole")
    made = program.new_variable(name, f"{name}.rounded")
    op = Op(
        ROUNDS_ACTIVATIONS,
        {"X": [name], "InScale": [scale]},
        {"Out": [made], "OutScale": [scale]},
        {
            "bit_length": attribute("bit_length", bits),
            "moving_rate": attribute("moving_rate", 0.9),
            "round_type": attribute("round_type", 0),
            "is_test": attribute("is_test", True),
        },
    )
    program.insert(op, after=after)
    return made


def _fetch_alone(program: Program, names: list[str]) -> None:
    """Have the program put out these variables and nothing else."""
    program.remove(*program.of_type("fetch"))
    for number, name in enumerate(names):
        fetch = Op("fetch", {"X": [name]}, {"Out": ["fetch"]}, {"col": attribute("col", number)})
        program.insert(fetch, after=program.ops[-1])


def _predictor(model: Path, path: Path) -> inference.Predictor:
    config = inference.Config(str(path), str(path.with_suffix(".pdiparams")))
    config.switch_ir_optim(False)  # every variable is asked for by its name: none may be fused
    config.disable_glog_info()
    config.set_cpu_math_library_num_threads(1)
    try:
        return inference.create_predictor(config)
    except Exception as error:  # Paddle's own share no base but Exception
        said = str(error).strip().partition("\n")[0]
        raise ModelError(f"{model}: Paddle cannot run it ({said}): export it again") from error
