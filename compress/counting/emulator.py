"""QEMU's user mode with a plugin that counts, and an ARM64 system to run in it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

import edge
from compress.result import InstructionCounts
from edge.engines import Array
from models.errors import EngineError, InputError

__all__ = ["CORES", "ROOT_VARIABLE", "Arm64", "count_instructions", "find_arm64"]

ROOT_VARIABLE = "LINEGUARD_ARM64"
"""Environment variable that says where the ARM64 system lies."""

_OLD = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
_NEW = f"{_OLD} atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp ssbs"

CORES: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "cortex-a53": (0xD03, _OLD),
        "cortex-a72": (0xD08, _OLD),
        "cortex-a76": (0xD0B, _NEW),
    }
)
"""QEMU's name of a core -> its part number and features, as Linux tells them in /proc/cpuinfo.

Engines choose their kernels by them; ``asimddp`` is the dot product.
"""

RUNS = 3
"""Inferences that are counted, and divided by."""

PATIENCE_S = 900.0
"""For an emulated process: a large FP32 model takes a minute on a busy machine."""

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Arm64:
    """What it takes to run ARM64 code here.

    Attributes
    ----------
    qemu
        ``qemu-aarch64`` that takes plugins.
    compiler
        Of C, for the plugin.
    root
        Folder with an ARM64 Linux, of which Python, numpy and the engine are used.
    python
        In it.
    """

    qemu: Path
    compiler: Path
    root: Path
    python: Path


def find_arm64(root: Path | None = None) -> Arm64:
    """Find QEMU, a C compiler, and the Python in an ARM64 system.

    Parameters
    ----------
    root
        Of the system; else the environment variable ``LINEGUARD_ARM64`` names it.

    Raises
    ------
    EngineError
        Names everything that is missing, and how to get it.
    """
    missing = []
    qemu, compiler = shutil.which("qemu-aarch64"), shutil.which("cc") or shutil.which("gcc")
    if qemu is None:
        missing.append("qemu-aarch64 is not here: install Debian's qemu-user")
    if compiler is None:
        missing.append("cc is not here: install Debian's gcc")
    named = os.environ.get(ROOT_VARIABLE)
    folder = root or (Path(named) if named else None)
    python = None
    if folder is None:
        missing.append(
            f"no ARM64 system is named: set {ROOT_VARIABLE} to a folder with one, "
            "as docs/compress.md has it"
        )
    else:
        python = _python(folder)
        if python is None:
            missing.append(
                f"{folder}: has no usr/bin/python3.N: name the root of an ARM64 Linux with Python"
            )
    if qemu is None or compiler is None or folder is None or python is None:
        raise EngineError("; ".join(missing))
    return Arm64(Path(qemu), Path(compiler), folder.resolve(), python)


def _python(root: Path) -> Path | None:
    found = [path for path in (root / "usr/bin").glob("python3.*") if path.suffix[1:].isdigit()]
    return max(found, key=lambda path: int(path.suffix[1:])).resolve() if found else None


def count_instructions(
    model: Path, feeds: Mapping[str, Array], arm64: Arm64, core: str, *, runs: int = RUNS
) -> InstructionCounts:
    """Run a model on an emulated core, on one thread.

    Parameters
    ----------
    model
        ``.onnx``, or ``.nb`` if the system has Paddle Lite's Python module.
    feeds
        What it is run on.
    core
        One of ``CORES``.

    Returns
    -------
    Counts of one inference, the mean of ``runs``.

    Raises
    ------
    EngineError
        The plugin cannot be built or loaded, or the model cannot be run there; with the words of
        whoever said so.
    InputError
        There is no such core here.
    """
    if core not in CORES:
        raise InputError(f"{core}: is no core that is known here: choose of {', '.join(CORES)}")
    with tempfile.TemporaryDirectory(prefix="lineguard-arm64-") as name:
        scratch = Path(name)
        plugin, out = scratch / "count.so", scratch / "counts"
        build = ["-O2", "-shared", "-fPIC", "-o", plugin, _HERE / "plugin.c"]
        _call(model, [arm64.compiler, *build], {})
        with (scratch / "feeds.npz").open("wb") as file:
            np.savez(file, **feeds)
        prefix = _system(scratch / "system", arm64.root, core)
        command = [
            *_fixed_addresses(), arm64.qemu, "-cpu", core, "-L", prefix,
            "-plugin", f"{plugin},out={out}",
            arm64.python, _HERE / "guest.py", model.resolve(), scratch / "feeds.npz", runs,
            Path(edge.__file__).parents[1],
        ]  # fmt: skip
        said = _call(model, command, _environment(arm64.root))
        try:
            first, last = (_parse(line) for line in out.read_text().splitlines())
        except (OSError, ValueError) as error:
            raise EngineError(f"{model}: the emulated process was not counted ({error})") from error
    kinds = {kind: round((last[kind] - first[kind]) / runs) for kind in last}
    return InstructionCounts(
        core=core, total=sum(kinds.values()), kinds=kinds, engine=said.strip().splitlines()[-1]
    )


def _parse(line: str) -> dict[str, int]:
    return {name: int(count) for name, count in (pair.split("=") for pair in line.split())}


def _fixed_addresses() -> list[str]:
    """Where memory lies decides how much of it an unrolled loop takes first."""
    setarch = shutil.which("setarch")
    return [setarch, platform.machine(), "--addr-no-randomize"] if setarch else []


def _environment(root: Path) -> dict[str, str]:
    """Of the emulated process; hashes and thread counts are fixed, since they change counts."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
        "PYTHONHOME": str(root / "usr"),
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _system(prefix: Path, root: Path, core: str) -> Path:
    """The ARM64 system as the emulated process sees it: its own, but with the core's facts.

    QEMU would show it this machine's ``/proc/cpuinfo`` and ``/sys``, of which ONNX Runtime dies.
    """
    prefix.mkdir()
    for entry in root.iterdir():
        if entry.name not in ("dev", "proc", "sys", "tmp"):
            (prefix / entry.name).symlink_to(entry)
    (prefix / "proc").mkdir()
    part, features = CORES[core]
    facts = {
        "processor": "0",
        "BogoMIPS": "108.00",
        "Features": features,
        "CPU implementer": "0x41",
        "CPU architecture": "8",
        "CPU variant": "0x0",
        "CPU part": f"{part:#x}",
        "CPU revision": "0",
    }
    (prefix / "proc/cpuinfo").write_text("".join(f"{k}\t: {v}\n" for k, v in facts.items()) + "\n")
    cpu = prefix / "sys/devices/system/cpu"
    (cpu / "cpu0/topology").mkdir(parents=True)
    for name in ("possible", "present", "online"):
        (cpu / name).write_text("0\n")
    (cpu / "kernel_max").write_text("255\n")
    for name in ("physical_package_id", "core_id", "core_siblings_list", "cluster_cpus_list"):
        (cpu / "cpu0/topology" / name).write_text("0\n")
    return prefix


def _call(model: Path, command: Sequence[object], environment: Mapping[str, str]) -> str:
    """Run a program; gives what it says."""
    words = [str(each) for each in command]
    try:
        done = subprocess.run(
            words, env=environment or None, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, errors="replace", timeout=PATIENCE_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise EngineError(
            f"{model}: cannot be counted: took over {PATIENCE_S:.0f} s: give it a smaller input"
        ) from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["without a word"])[-1]
        raise EngineError(
            f"{model}: cannot be counted: exit code {done.returncode}, {last}: see that the ARM64 "
            "system has numpy and the model's engine, and that QEMU takes plugins of API 1"
        )
    return done.stdout
