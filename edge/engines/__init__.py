"""Inference engines: one small protocol, three libraries behind it.

::

    engine = open_engine(path, threads=2, cores=(2, 3), sample={"x": (1, 3, 48, 320)})
    pin_current_thread((2, 3))  # in the thread that runs it
    answers = engine.run({"x": array})
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge.engines.base import Array, Engine, Precision, TensorSpec, zeros
from edge.engines.registry import engine_kind, model_files
from edge.engines.threads import pin_all_threads, pin_current_thread, pinned
from edge.engines.trial import try_model
from models.errors import EngineError

__all__ = [
    "Array",
    "Engine",
    "Precision",
    "TensorSpec",
    "open_engine",
    "pin_all_threads",
    "pin_current_thread",
    "pinned",
]

# Builds for Linux report to their makers (Privacy.md of 1.31): nothing leaves a plant.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def open_engine(
    path: Path,
    *,
    threads: int,
    cores: Sequence[int] | None = None,
    sample: Mapping[str, tuple[int, ...]] | None = None,
    trial: bool = True,
) -> Engine:
    """Open a model with the engine that its suffix names.

    Parameters
    ----------
    path
        ``.onnx``, ``.nb``, or ``.pdmodel`` with its ``.pdiparams`` beside it.
    threads
        Of one inference, the calling one included.
    cores
        Which cores they may use; ``None`` leaves that to the kernel. The thread that runs the
        engine must still be pinned by :func:`pin_current_thread`.
    sample
        Input shapes, by name, for the trial and for a first run that warms the engine. Without it
        the model is loaded, not run, in both.
    trial
        Whether a child process tries the model first (once; the answer is kept). ``False`` only
        for a file that this process has just tried.

    Raises
    ------
    EngineError
        A file is missing; the library is not installed, refuses the model, or dies of it; the
        sample does not fit; or the machine has not these cores.
    """
    if threads < 1 or (cores is not None and threads > len(cores)):
        on = "" if cores is None else f" on cores {', '.join(map(str, cores))}"
        raise EngineError(f"{path}: {threads} threads{on}: give 1 or more, one core for each")
    files = model_files(path)
    kind = engine_kind(path)
    with pinned(cores):
        if trial:
            try_model(files, kind.library(), threads, sample)
        engine = kind.make(path, threads)
        if sample is not None:
            engine.run(zeros(path, engine.inputs, sample))
    return engine
