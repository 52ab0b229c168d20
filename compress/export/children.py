"""Converters run in a child process: they abort, crash or hang on what they do not understand."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from models.errors import ModelError

__all__ = ["convert_in_child", "reason"]

CONVERT_SECONDS = 300.0
"""The largest model of the zoo takes 10 s on an idle machine: whoever takes minutes hangs."""

CHILD = (sys.executable, "-m", "compress.export.child")


def convert_in_child(question: Mapping[str, str], made: Path, what: str) -> bytes:
    """Have a child write the file ``made``; gives what is in it.

    Parameters
    ----------
    question
        For ``compress.export.child``.
    made
        In a scratch folder: a child that dies leaves halves.
    what
        The thing and the converter, for messages: ``det.nb: Paddle Lite's opt``.

    Raises
    ------
    ModelError
        The child refused the model, died of it, took too long, or left no file.
    """
    try:
        child = subprocess.run(
            [*CHILD, json.dumps(dict(question))],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CONVERT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ModelError(
            f"{what} was not done within {CONVERT_SECONDS:g} s: give a smaller model"
        ) from None
    except OSError as error:
        raise ModelError(f"{what} cannot be started ({error.strerror}): free memory") from error
    said = reason((child.stdout + b"\n" + child.stderr).decode("utf-8", "replace"))
    mend = "take out or replace the operator it names"
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        raise ModelError(f"{what} dies of the model by {name} ({said}): {mend}")
    # Opt also leaves with 0 when it has made nothing.
    if child.returncode or not made.is_file() or not made.stat().st_size:
        raise ModelError(f"{what} refuses the model ({said}): {mend}")
    return made.read_bytes()


def reason(text: str) -> str:
    """The line in which a converter says what is wrong, if it says it in a way that is known."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for mark in ("Check failed", "not supported", "Error", "error", "[F "):
        for line in lines:
            if mark in line:
                # Lite's log lines begin with a date and the place in its source.
                return line.rpartition("] ")[2][:300]
    return lines[-1][:300] if lines else "it said nothing"
