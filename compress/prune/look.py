"""What a program computes on the way, operator by operator."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from paddle import inference

from compress.attributes import attribute
from compress.pdmodel import save_program
from compress.program import Op, Program
from edge.engines import Array
from models.errors import EngineError

__all__ = ["look"]

Feeds = Mapping[str, Array]


def look(
    program: Program, every: Iterable[Feeds], names: Sequence[str]
) -> Iterator[dict[str, Array]]:
    """Values of variables for each input, with as little computed as they need.

    Raises
    ------
    EngineError
        The program does not run on such inputs.
    """
    last = max((i for i, op in enumerate(program.ops) if set(names) & set(op.makes())), default=-1)
    ops = [_fast(op) for op in program.ops[: last + 1] if op.type != "fetch"]
    for number, name in enumerate(names):
        column = {"col": attribute("col", number)}
        ops.append(Op("fetch", {"X": [name]}, {"Out": ["fetch"]}, column))
    # It reads its inputs' description from the feed operators: all of them stay.
    ops[:0] = [op for op in program.ops[last + 1 :] if op.type == "feed"]
    seen = Program(ops, program.variables, program.parameters, program.head)
    with tempfile.TemporaryDirectory(prefix="lineguard-look-") as scratch:
        path = Path(scratch) / "model.pdmodel"
        save_program(seen, path)
        config = inference.Config(str(path), str(path.with_suffix(".pdiparams")))
        config.switch_ir_optim(False)  # it fuses away what is to be looked at
        config.disable_glog_info()
        config.set_cpu_math_library_num_threads(1)
        predictor = inference.create_predictor(config)
    outputs = dict(zip(names, predictor.get_output_names(), strict=True))
    for feeds in every:
        for name, value in feeds.items():
            predictor.get_input_handle(name).copy_from_cpu(value)
        try:
            predictor.run()
        except (RuntimeError, ValueError) as error:
            given = ", ".join(f"{name} {list(value.shape)}" for name, value in feeds.items())
            said = next((line for line in str(error).splitlines() if "Error: " in line), str(error))
            raise EngineError(
                f"Paddle cannot run the program on {given} ({said.strip()}): give other shapes"
            ) from error
        yield {
            name: predictor.get_output_handle(output).copy_to_cpu()
            for name, output in outputs.items()
        }


def _fast(op: Op) -> Op:
    """A convolution through oneDNN: Paddle's own is ten times slower."""
    if op.type not in ("conv2d", "depthwise_conv2d"):
        return op
    use = {"use_mkldnn": attribute("use_mkldnn", True)}
    return Op(op.type, op.inputs, op.outputs, op.attributes | use)
