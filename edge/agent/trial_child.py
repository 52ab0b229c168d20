"""The child process of a trial: ``python -m edge.agent.trial_child FILES ALIVE``.

The manifest comes on standard input, as JSON; its payload lies in the folder ``FILES``. The last
line of standard output is the result; any exit code but 0 is a death, which is what this process is
for. It ends when nobody holds the other end of the pipe with the descriptor ``ALIVE`` any more.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from edge.agent.golden import golden_fault, least_score, percentile_99
from edge.agent.trial import RUNS
from edge.families import Inspector, open_inspector
from edge.station.schema import Model, Region
from firmware_bridge.trials import TrialResult
from models.bundle import Golden, Manifest
from models.errors import LineguardError
from models.images import load_image
from models.results import Findings
from models.stopwatch import Stopwatch

__all__ = ["inspect_golden", "main"]


def main(files: Path, manifest: Manifest) -> TrialResult:
    """Try the bundle whose payload lies in ``files``."""
    try:
        inspectors = {
            name: open_inspector(
                name, _model(name, table, files), least_score(manifest.golden, name)
            )
            for name, table in manifest.models.items()
        }
        seen = [(golden, load_image(files / golden.image)) for golden in manifest.golden]
        for golden, image in seen:  # warms up, too
            if fault := golden_fault(golden, inspect_golden(inspectors, golden, image)):
                return TrialResult(False, f"{golden.image}: {fault}")
        took = []
        for _ in range(-(-RUNS // len(seen))):
            for golden, image in seen:
                start = time.perf_counter()
                inspect_golden(inspectors, golden, image)
                took.append((time.perf_counter() - start) * 1000)
    except LineguardError as error:
        return TrialResult(False, "; ".join(str(error).splitlines()))
    p99, bound = percentile_99(took), manifest.bounds.p99_ms
    if p99 > bound:
        reason = f"p99 of {len(took)} inspections is {p99:.1f} ms, the bound is {bound:g} ms"
        return TrialResult(False, reason, p99, len(took))
    return TrialResult(True, "", p99, len(took))


def _model(name: str, table: Mapping[str, Any], files: Path) -> Model:
    """A table of the manifest as a station's, its paths those of the slot."""
    try:
        model: Model = TypeAdapter(Model).validate_python(dict(table), context={"folder": files})
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in fault["loc"][1:])
        raise LineguardError(f"models.{name}.{place}: {fault['msg']}") from error
    return model


def inspect_golden(
    inspectors: Mapping[str, Inspector], golden: Golden, image: NDArray[np.uint8]
) -> Findings:
    """What a model finds on its golden picture; ``LineguardError`` if its engine fails."""
    region = Region(
        name="golden", camera="golden", model=golden.model, mode=golden.mode, box=golden.box
    )
    try:
        return inspectors[golden.model].inspect(image, region, Stopwatch())
    except LineguardError as error:
        raise LineguardError(f"{golden.image}: {error}") from error


def _end_with(descriptor: int) -> None:
    os.read(descriptor, 1)  # returns when the parent is gone
    os.killpg(0, signal.SIGKILL)  # children that try an engine, too


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # dying is expected: no dumps on a small disk
    threading.Thread(target=_end_with, args=(int(sys.argv[2]),), daemon=True).start()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # native libraries print what they like
    result = main(Path(sys.argv[1]), Manifest.model_validate_json(sys.stdin.buffer.read()))
    print(json.dumps(asdict(result)), file=answers, flush=True)
    os._exit(0)  # whatever hangs in native threads
