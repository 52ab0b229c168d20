"""A model is tried in a child process before this process dares to open it.

Native libraries abort, or crash, on a model that they do not understand; a child can die of it
without taking the line along. The answer is kept, good or bad, by the hash of all that it depends
on, so that a second start costs one hash of the model.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from edge.engines.deaths import NOT_ITS_FAULT, death
from models.atomic import write_atomic
from models.errors import EngineError, StorageError

__all__ = ["trials_folder", "try_model"]

TRIAL_SECONDS = 60.0
"""Loading and two inferences take seconds on the slowest box: whoever takes a minute hangs."""

CHILD = (sys.executable, "-m", "edge.engines.trial_child")


def trials_folder() -> Path | None:
    """Where answers are kept: ``$LINEGUARD_CACHE``, else ``lineguard`` in the user's cache.

    ``None`` for a user without a home.
    """
    chosen = os.environ.get("LINEGUARD_CACHE")
    if chosen:
        return Path(chosen) / "trials"
    try:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        return None
    return Path(cache) / "lineguard" / "trials"


def try_model(
    files: Sequence[Path],
    distribution: str,
    threads: int,
    sample: Mapping[str, tuple[int, ...]] | None,
) -> None:
    """Have a child open the model and run it on zeros, unless that was done before.

    Parameters
    ----------
    files
        The model, and the files beside it that belong to it.
    distribution
        The Python package of the engine, or what else names its library; another version of it
        makes an old answer void.
    threads, sample
        As :func:`edge.engines.open_engine`.

    Raises
    ------
    EngineError
        The child refused the model, died of it, or took too long; or the model cannot be read.
    """
    folder = trials_folder()
    kept = folder and folder / f"{_key(files, distribution, threads, sample)}.json"
    reason = _recall(kept)
    if reason is None:
        reason, lasting = _ask_child(files[0], threads, sample)
        if kept and lasting:
            _keep(kept, reason)
    elif reason:
        reason += f" [tried before; to try again, delete {kept}]"
    if reason:
        raise EngineError(f"{files[0]}: {reason}")


def _key(
    files: Sequence[Path],
    distribution: str,
    threads: int,
    sample: Mapping[str, tuple[int, ...]] | None,
) -> str:
    """Hash of all that the answer depends on."""
    hashed = hashlib.sha256()
    try:
        for file in files:
            hashed.update(hashlib.sha256(file.read_bytes()).digest())
    except OSError as error:
        raise EngineError(
            f"{error.filename}: cannot be read ({error.strerror}): copy the model again"
        ) from error
    circumstances = (
        files[0].suffix,
        distribution,
        _version(distribution),
        threads,
        None if sample is None else sorted((name, list(shape)) for name, shape in sample.items()),
        _processor(),
    )
    hashed.update(json.dumps(circumstances).encode())
    return hashed.hexdigest()


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "none"


def _processor() -> str:
    """Kind and abilities: a card that moves to another board is tried again there."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            abilities = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        abilities = ""
    return f"{platform.machine()} {abilities.strip()}"


def _recall(kept: Path | None) -> str | None:
    """Return the answer that was kept: ``""`` for a good model, ``None`` if there is none."""
    if kept is None:
        return None
    try:
        answer = json.loads(kept.read_bytes())
    except (OSError, ValueError):
        return None
    reason = answer.get("reason") if isinstance(answer, dict) else None
    return reason if isinstance(reason, str) else None


def _keep(kept: Path, reason: str) -> None:
    with contextlib.suppress(StorageError):  # a read-only box tries its models at every start
        write_atomic(kept, json.dumps({"reason": reason}).encode())


def _ask_child(
    model: Path, threads: int, sample: Mapping[str, tuple[int, ...]] | None
) -> tuple[str, bool]:
    """Return why the model cannot be opened (``""`` if it can) and whether that will last."""
    question = json.dumps({"model": str(model), "threads": threads, "sample": sample})
    try:
        child = subprocess.run(
            [*CHILD, question],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TRIAL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        limit = f"{TRIAL_SECONDS:g} s"
        return f"was not opened and run within {limit} in a trial: give a smaller model", False
    except OSError as error:
        return f"cannot be tried ({error.strerror}): {CHILD[0]} must be able to start", False
    said = child.stderr.decode("utf-8", "replace").strip().splitlines()
    last = f", last said {said[-1].strip()!r}" if said else ""
    if child.returncode == 0:
        return "", True
    if child.returncode < 0:
        number = -child.returncode
        what = death(number) or f"its trial was killed by signal {number}"
        mend = "convert it again for this engine and processor"
        return f"{what}{last}: {mend}", number not in NOT_ITS_FAULT
    try:
        answer = json.loads(child.stdout.splitlines()[-1])
        return str(answer["reason"]), bool(answer["lasting"])
    except (ValueError, IndexError, KeyError, TypeError):
        return f"its trial ended with exit code {child.returncode}{last}", False
