"""A program in which eight bits are simulated: what Paddle Lite's ``.nb`` for ARM is made from.

Paddle computes the simulation in FP32, which is the only way to see what INT8 on ARM will answer
without the board: INT8 of Paddle Lite for x86 gives wrong numbers.
"""

from __future__ import annotations

import copy
import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from compress.export.children import reason
from compress.metrics.base import Feeds, Progress
from compress.pdmodel import load_program, save_program
from compress.program import Program
from compress.quantise.outcome import Quantised, check_coloured, check_skip, varies
from edge.engines import Array, open_engine
from models.errors import ModelError, StorageError

__all__ = [
    "LITE_TYPES",
    "LiteMethod",
    "lite_layers",
    "quantise_lite",
    "quantised_layers",
    "simulate",
]

LiteMethod = Literal["hist", "mse"]
"""How ranges are chosen: so that 99.99% of the numbers fit, or for the least squared error."""

LITE_TYPES = ("conv2d", "depthwise_conv2d")
"""Operators that get eight bits. Products of matrices give NaN in the recogniser."""

PASSES: dict[LiteMethod, int] = {"hist": 2, "mse": 1}
"""How often each input is run."""

LINES = 200
"""Of what the child says, that are looked through for the reason."""

SECONDS = 3600.0
"""Mean squared errors of a detector on a hundred pictures take ten minutes; this is a hang."""

CHILD = (sys.executable, "-m", "compress.quantise.child")
"""Paddle's static mode would leak into whatever runs beside it, and it may crash."""


def lite_layers(program: Program) -> tuple[str, ...]:
    """Layers that can be quantised, by the names of their weights, in order."""
    return tuple(op.input("Filter") for op in program.of_type(*LITE_TYPES))


def quantise_lite(
    model: Path,
    out: Path,
    calibration: Iterable[Feeds],
    *,
    method: LiteMethod = "hist",
    skip: Collection[str] = (),
    progress: Progress | None = None,
) -> Quantised:
    """Write ``out`` (``.pdmodel``) and its ``.pdiparams``: the program with simulated rounding.

    Parameters
    ----------
    model
        The FP32 program, simplified.
    skip
        Layers that stay FP32, by the names of their weights.

    Raises
    ------
    InputError
        Nothing to calibrate on, blank pictures alone, or a layer to skip that there is not.
    ModelError
        The quantiser refuses the program, dies of it, or gives numbers that are not finite.
    StorageError
        The files cannot be written.
    """
    program = load_program(model)
    known = lite_layers(program)
    check_skip(model, skip, known)
    if not known:
        raise ModelError(f"{model}: has no convolution: there is nothing to gain")
    with tempfile.TemporaryDirectory(prefix="lineguard-int8-") as scratch:
        folder = Path(scratch)
        files = _put_down(model, calibration, folder)
        ready = copy.deepcopy(program)
        for op in ready.ops:
            op.put(op_role=0)  # the quantiser looks where training operators stand
        save_program(ready, folder / "model.pdmodel")
        question = {
            "model": str(folder / "model.pdmodel"),
            "out": str(folder / "made" / "model.pdmodel"),
            "feeds": [str(file) for file in files],
            "algo": method,
            "types": list(LITE_TYPES),
            "skip": list(skip),
        }
        _ask(model, question, PASSES[method] * len(files), progress)
        made = load_program(folder / "made" / "model.pdmodel")
    _check(model, made)
    layers = quantised_layers(made)
    for op in made.of_type(*LITE_TYPES):
        if op.input("Filter") not in layers:
            op.attributes.pop("quantization_type", None)  # stands on skipped ones as well
    save_program(made, out)
    skipped = {
        name: "asked" if name in skip else "Paddle does not quantise it"
        for name in known
        if name not in layers
    }
    size = sum(file.stat().st_size for file in (out, out.with_suffix(".pdiparams")))
    return Quantised(layers, skipped, 0, size)


def quantised_layers(program: Program) -> tuple[str, ...]:
    """Layers that compute in simulated eight bits, by the names of their weights, in order."""
    found = []
    for op in program.of_type(*LITE_TYPES):
        maker = program.maker(op.input("Input"))
        if maker is not None and maker.type.startswith("fake_quantize"):
            found.append(op.input("Filter"))
    return tuple(found)


def simulate(program: Path, feeds: Iterable[Feeds], *, threads: int = 1) -> list[dict[str, Array]]:
    """What INT8 on ARM will answer, computed by Paddle.

    Raises
    ------
    EngineError
        Paddle cannot open or run the program.
    """
    engine = open_engine(program, threads=threads)
    answers = [engine.run(each) for each in feeds]
    engine.close()
    return answers


def _put_down(model: Path, calibration: Iterable[Feeds], folder: Path) -> list[Path]:
    files: list[Path] = []
    coloured = False
    for feeds in calibration:
        coloured = coloured or varies(feeds)
        files.append(folder / f"{len(files)}.npz")
        try:
            np.savez(files[-1], **feeds)
        except OSError as error:
            raise StorageError(
                f"{files[-1]}: cannot be written ({error.strerror}): free some space"
            ) from error
    check_coloured(model, len(files), coloured)
    return files


def _ask(
    model: Path, question: Mapping[str, object], total: int, progress: Progress | None
) -> None:
    """Have the child quantise, and tell how far it is."""
    what, mend = f"{model}: PaddleSlim's quantiser", "take out or replace the operator it names"
    said: deque[str] = deque(maxlen=LINES)
    done = 0
    with tempfile.TemporaryFile("w+b") as errors:
        child = subprocess.Popen(
            [*CHILD, json.dumps(dict(question))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        watch = threading.Timer(SECONDS, child.kill)
        watch.start()
        try:
            for line in child.stdout or ():
                said.append(line)
                if line.startswith("calibrated "):
                    done = min(done + 1, total)
                    if progress:
                        progress(done, total)
            code = child.wait()
        finally:
            late = not watch.is_alive()
            watch.cancel()
            child.kill()
            child.wait()
        errors.seek(0)
        text = "".join(said) + errors.read().decode("utf-8", "replace")
    if late:
        raise ModelError(f"{what} was not done within {SECONDS:g} s: give it fewer pictures")
    if code < 0:
        raise ModelError(f"{what} dies of the model by {signal.Signals(-code).name}: {mend}")
    if code:
        raise ModelError(f"{what} refuses the model ({reason(text)}): {mend}")
    if progress:
        progress(total, total)


def _check(model: Path, made: Program) -> None:
    """Refuse weights and scales that are not finite, and ranges of nothing."""
    for name, value in made.parameters.items():
        if not np.isfinite(value).all():
            raise ModelError(
                f"{model}: {name} is not finite once it is quantised: skip the layer that takes it"
            )
    for op in made.of_type("fake_quantize_range_abs_max"):
        if not float(np.max(made.parameters[op.input("InScale")])) > 0:
            raise ModelError(
                f"{model}: {op.input('X')} has no range on the calibration pictures: "
                "skip the layer that takes it, or name other pictures"
            )
