"""The trial of a bundle: its models open, see what they must on golden pictures, and are in time.

All of it happens in a child process, whatever becomes of the child.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from firmware_bridge.trials import TrialResult
from models.bundle import FILES, Manifest

__all__ = ["RUNS", "trial_seconds", "try_bundle"]

RUNS = 50
"""Timed inspections, at least: the 99th percentile of fewer is no more than their maximum."""

OPEN_S = 120.0
"""Seconds to open a model, on the slowest box, tried in a child of its own first."""

PATIENCE = 4.0
"""How many times its bound an inspection may take before the trial is called hung."""

CHILD = (sys.executable, "-m", "edge.agent.trial_child")


def trial_seconds(manifest: Manifest) -> float:
    """Seconds after which a trial hangs."""
    inspections = RUNS + 2 * len(manifest.golden)
    slowest = PATIENCE * manifest.bounds.p99_ms / 1000
    return OPEN_S * (1 + len(manifest.models)) + inspections * slowest


def try_bundle(folder: Path, manifest: Manifest) -> TrialResult:
    """Try the bundle in a slot's folder; its files must have been compared with the manifest.

    The child ends if this process does.
    """
    alive, ours = os.pipe()  # the child reads its end once we are gone, however we went
    try:
        child = subprocess.Popen(
            [*CHILD, str(folder.absolute() / FILES), str(alive)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[alive],
            start_new_session=True,  # so that the children of the child can be ended with it
        )
    except OSError as error:
        os.close(ours)
        return TrialResult(False, f"the trial cannot be started ({error.strerror})")
    finally:
        os.close(alive)
    limit = trial_seconds(manifest)
    try:
        out, err = child.communicate(manifest.model_dump_json().encode(), timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        return TrialResult(False, f"the trial had not ended after {limit:.0f} s: it hangs")
    finally:
        os.close(ours)
    if child.returncode == 0:
        try:
            return TrialResult(**json.loads(out.splitlines()[-1]))
        except (ValueError, IndexError, TypeError):
            return TrialResult(False, "the trial ended without a result")
    return TrialResult(False, _death(child.returncode, err))


def _death(code: int, err: bytes) -> str:
    said = err.decode("utf-8", "replace").strip().splitlines()
    last = f", last said {said[-1].strip()[:200]!r}" if said else ""
    if code == -signal.SIGKILL:
        return f"the trial was killed, as for want of memory (SIGKILL){last}: make a smaller model"
    if code < 0:
        name = signal.Signals(-code).name
        return f"the trial died of {name}{last}: convert the model for this engine and processor"
    return f"the trial ended with exit code {code}{last}"
