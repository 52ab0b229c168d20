"""INT8 as others make it: plain ``quantize_static``, and ACT of PaddleSlim, each at its defaults.

Left to itself (``config=None``), ACT tries to quantise after training, and keeps that if answers
stay within 2e-5 of the original's; else it puts rounding into the program and trains it for an
epoch, the FP32 original being its teacher. The search of that trial is by a package (smac 1.4) that
ACT installs when it is called, and its comparison of answers takes networks that give one number.
So the trial counts as failed here without being made, which is what it comes to anyway: no
quantised network that gives maps or boxes is within 2e-5. All else is ACT's own choice. Of what it
takes for a transformer it prunes a quarter first, which wants labels among the inputs; where that
fails, it is told to do what it does with every other network.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from paddle.base.proto import framework_pb2

from compress.attributes import attribute
from compress.export.children import convert_in_child
from compress.metrics import Feeds, Progress
from models.errors import ModelError

__all__ = ["Lessons", "act_int8", "plain_int8", "teach"]

OPSET = "13"
"""The one that ACT itself converts to, and the least with a scale for each channel."""

PROGRAM = "model.pdmodel"

LOG = "act.log"

IDLE = ("feed", "fetch")
"""Variables that last as weights do, and hold none."""

TRIED = "ptq_hpo"
"""What ACT calls its trial of quantising after training."""

USUAL = {"QuantAware": None, "Distillation": None}
"""What ACT comes to with all networks but transformers; ``None`` is its default for each."""

SILENT_S = 1200.0
"""How long ACT may take between two batches, to build its graphs and to save among other things."""


class Lessons(Protocol):
    """The batches of an epoch."""

    def __iter__(self) -> Iterator[Feeds]:
        """From the first on."""

    def __len__(self) -> int:
        """How many."""


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: Iterable[Feeds]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, Any] | None:
        feeds = next(self._feeds, None)
        return None if feeds is None else dict(feeds)


def plain_int8(model: Path, out: Path, calibration: Iterable[Feeds]) -> str:
    """Write ``out``, the FP32 ONNX model as ONNX Runtime's own tools quantise it, nothing set.

    Returns
    -------
    What had to be set all the same; mostly nothing.

    Raises
    ------
    ModelError
        They refuse the model.
    """
    told = ""
    with tempfile.TemporaryDirectory(prefix="lineguard-plain-") as scratch:
        ready = Path(scratch) / "ready.onnx"
        try:
            try:
                with _within(scratch):  # where it leaves what it could not get through
                    quant_pre_process(str(model.absolute()), str(ready))
            except Exception:  # with detectors it does not get through, as is known
                told = "skip_symbolic_shape"
                quant_pre_process(str(model), str(ready), skip_symbolic_shape=True)
            quantize_static(str(ready), str(out), _Reader(calibration))
        except Exception as error:  # they raise whatever comes
            said = str(error).strip().partition("\n")[0] or repr(error)
            raise ModelError(f"{model.name}: quantize_static refuses it ({said})") from error
    return told


@contextlib.contextmanager
def _within(folder: str) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def act_int8(
    program: Path, folder: Path, lessons: Lessons, minutes: float, progress: Progress
) -> dict[str, Any]:
    """Write what ACT makes of a program into a folder: ``model.pdmodel``, and ``model.onnx`` of it.

    Parameters
    ----------
    lessons
        Gone through anew for each epoch.
    minutes
        Of an epoch, at most.

    Returns
    -------
    ``strategies``, and steps of each of their ``epochs``; ``stopped``: whether minutes ended one;
    ``finite``: whether all weights are numbers still; ``refused``: why its own choice failed, and
    ``converted``: why there is no ``model.onnx``; empty if that is not so.

    Raises
    ------
    ModelError
        It crashed, hangs, or left no model.
    """
    refused = ""
    for config in (None, USUAL):
        with tempfile.TemporaryDirectory(prefix="lineguard-act-") as scratch:
            given, out = Path(scratch) / "given", Path(scratch) / "out"
            given.mkdir()
            _put_down(program, given / PROGRAM)
            found = _in_child(given, out, config, lessons, minutes, progress)
            shutil.copy(given / LOG, folder / LOG)  # for people: it has the losses
            if not found["why"]:
                for suffix in (".pdmodel", ".pdiparams"):
                    name = Path(PROGRAM).with_suffix(suffix).name
                    shutil.copy(out / name, folder / name)
                break
            if config is not None:
                raise ModelError(f"ACT fails ({found['why']}), as it does of its own ({refused})")
            refused = f"{'+'.join(found['strategies'])}: {found['why']}"
    made = folder / "made.onnx"
    question = {"to": "onnx", "model": str(folder / PROGRAM), "out": str(made), "opset": OPSET}
    converted = ""
    try:
        convert_in_child(question, made, "paddle2onnx")
        made.rename(folder / "model.onnx")
    except ModelError as error:
        converted = str(error).partition(" (")[0]  # the rest is about the operator
    return {**found, "refused": refused, "converted": converted}


def _put_down(program: Path, copy: Path) -> None:
    """A program for ACT, which writes where it reads, and asks where training operators stand."""
    desc = framework_pb2.ProgramDesc()
    desc.ParseFromString(program.read_bytes())
    for op in desc.blocks[0].ops:
        known = {each.name for each in op.attrs}
        for name, value in (("op_role", 0), ("op_device", "")):
            if name not in known:
                op.attrs.add().CopyFrom(attribute(name, value))
    copy.write_bytes(desc.SerializeToString(deterministic=True))
    shutil.copy(program.with_suffix(".pdiparams"), copy.with_suffix(".pdiparams"))


def teach(pipe: Connection, lessons: Lessons, minutes: float, progress: Progress) -> dict[str, Any]:
    """Give batches to who asks for them at the other end, until he says what he did.

    He sends ``"begin"`` for an epoch and its first batch, ``"next"`` for another one, of which
    ``None`` is the end, and anything else as his answer.

    Returns
    -------
    His answer; with it the steps of all ``epochs`` that he went through to their end, and whether
    one was ``stopped`` by the minutes.

    Raises
    ------
    EOFError
        He is gone.
    ModelError
        He says nothing for too long.
    """
    epochs: list[int] = []
    steps, begun, batches, stopped = 0, 0.0, iter(lessons), False
    while pipe.poll(SILENT_S):
        said = pipe.recv()
        if isinstance(said, Mapping):
            return {**said, "epochs": epochs, "stopped": stopped}
        if said == "begin":
            steps, begun, batches = 0, time.monotonic(), iter(lessons)
        late = steps > 0 and time.monotonic() - begun > minutes * 60
        feeds = None if late else next(batches, None)
        stopped = stopped or late
        if feeds is None:
            epochs.append(steps)
        else:
            steps += 1
            progress(steps, len(lessons))
        pipe.send(None if feeds is None else dict(feeds))
    raise ModelError(f"ACT has said nothing for {SILENT_S:g} s: it hangs, or the machine is busy")


def _in_child(
    given: Path, out: Path, config: Any, lessons: Lessons, minutes: float, bar: Progress
) -> dict[str, Any]:
    """What the child says at its end: ACT's static mode and its crashes stay there."""
    # A fork of a process with threads, as Paddle has, may hang.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_act, args=(given, out, config, theirs), daemon=True)
    child.start()
    theirs.close()  # so that its end is noticed
    try:
        return teach(ours, lessons, minutes, bar)
    except (EOFError, ConnectionError):
        child.join()
        log = given / LOG
        text = log.read_text("utf-8", "replace") if log.is_file() else ""
        raise ModelError(f"ACT died ({child.exitcode}), and last said: {_last(text)}") from None
    finally:
        child.kill()
        child.join()
        ours.close()


def _last(text: str) -> str:
    """The last line in which anything is written."""
    return next((line.strip()[:200] for line in reversed(text.splitlines()) if line.strip()), "-")


def _act(given: Path, out: Path, config: Any, asked: Connection) -> None:
    os.chdir(given)  # it leaves folders wherever it is
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    import paddle
    from paddleslim.auto_compression import (  # type: ignore[import-untyped]
        AutoCompression,
        compressor,
    )

    def refuse(command: Any) -> int:
        raise OSError(f"it wanted to run {command!r}")

    def epoch() -> Iterator[dict[str, Any]]:
        asked.send("begin")
        while (feeds := asked.recv()) is not None:
            yield feeds
            asked.send("next")

    os.system = refuse  # it installs packages
    compressor.post_quant_hpo.quant_post_hpo = lambda *_, **__: None
    compressor.post_quant_hpo.g_min_emd_loss = float("inf")
    paddle.enable_static()
    act = AutoCompression(
        model_dir=str(given),
        model_filename=PROGRAM,
        params_filename=Path(PROGRAM).with_suffix(".pdiparams").name,
        save_dir=str(out),
        config=config,
        train_dataloader=epoch,
    )
    strategies = ["qat_dis" if name == TRIED else name for name in act._strategy]
    try:
        act.compress()
    except Exception as error:  # whatever its passes raise
        why = f"{type(error).__name__}: {error}".strip().partition("\n")[0][:200]
        asked.send({"strategies": strategies, "why": why})
        return
    program, _, _ = paddle.static.load_inference_model(
        str(out / Path(PROGRAM).stem), paddle.static.Executor(paddle.CPUPlace())
    )
    weights = [v.get_value() for v in program.list_vars() if v.persistable and v.name not in IDLE]
    finite = all(np.isfinite(np.asarray(each)).all() for each in weights)
    asked.send({"strategies": strategies, "why": "", "finite": finite})
