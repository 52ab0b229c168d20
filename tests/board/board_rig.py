"""What a board is made of: made once for each lock file, and kept; lineguard itself each time."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from board_debian import fetch_packages, make_initramfs, take_kernel, unpack_system
from board_tools import PYTHON, call

__all__ = ["Rig", "make_disk", "rig"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LOCK = ROOT / "locks/box.txt"
SITE = f"usr/local/lib/{PYTHON}/dist-packages"

MADE_FROM = [HERE / name for name in ("board_debian.py", "board_rig.py", "board-init")]
"""What the kept files follow from, beside the lock file and what Debian has."""

GLIBC = range(17, 37)
"""Minor versions that wheels may ask for: Debian 12 has 2.36."""

COMMAND = f"""#!/usr/bin/{PYTHON}
import sys
from tools.cli import main
sys.exit(main())
"""
"""``lineguard`` on the board: what pip writes names the Python of this machine."""


@dataclass(frozen=True)
class Rig:
    """Files to start a board with.

    Attributes
    ----------
    kernel, initramfs
        What it boots.
    system
        Disk with Debian, Python and the packages of the box's lock file.
    program
        Disk with lineguard.
    """

    kernel: Path
    initramfs: Path
    system: Path
    program: Path


@functools.cache
def rig() -> Rig:
    """The rig; made if need be, which takes a minute."""
    cache = _cache()
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / _key()
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run may be making it
        if not folder.is_dir():
            for old in cache.iterdir():
                if old.is_dir():
                    shutil.rmtree(old)
            with tempfile.TemporaryDirectory(dir=cache, prefix="making-") as scratch:
                _make(Path(scratch))
                (Path(scratch) / "done").rename(folder)
    program = Path(_kept().name) / "program.img"
    _make_program(program)
    return Rig(folder / "vmlinuz", folder / "initramfs.gz", folder / "system.img", program)


def make_disk(target: Path, content: Path, megabytes: int) -> None:
    """Write a disk image with an ext4 file system that holds ``content``."""
    target.unlink(missing_ok=True)
    with target.open("wb") as file:
        file.truncate(megabytes << 20)
    call("mke2fs", "-q", "-t", "ext4", "-E", "root_owner=0:0", "-d", content, target)


@functools.cache
def _kept() -> tempfile.TemporaryDirectory[str]:
    """A folder that goes with this process."""
    return tempfile.TemporaryDirectory(prefix="lineguard-board-")


def _cache() -> Path:
    chosen = os.environ.get("LINEGUARD_BOARD")
    if chosen:
        return Path(chosen).absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "lineguard/board"


def _key() -> str:
    """Changes with whatever the kept files are made from."""
    parts = [part.read_bytes() for part in (*MADE_FROM, LOCK)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _make(scratch: Path) -> None:
    """Make the kept files in ``SCRATCH/done``."""
    done, system = scratch / "done", scratch / "system"
    packages = fetch_packages(scratch / "apt")
    kernel = take_kernel(packages, scratch / "kernel")
    unpack_system(packages, system)
    make_initramfs(kernel, system / "bin/busybox", scratch / "initramfs", scratch / "initramfs.gz")
    for name in ("dev", "opt/lineguard", "proc", "run", "sys", "tmp", "var/lib/lineguard"):
        (system / name).mkdir(parents=True, exist_ok=True)
    _put(system / "sbin/board-init", (HERE / "board-init").read_text())
    _put(system / "usr/local/bin/lineguard", COMMAND)
    (system / "etc/passwd").write_text("root:x:0:0:root:/tmp:/bin/sh\n")
    (system / SITE).mkdir(parents=True, exist_ok=True)
    (system / SITE / "lineguard.pth").write_text("/opt/lineguard\n")
    _install_wheels(system / SITE)
    _compile(system / "usr/lib" / PYTHON, system / SITE)
    make_disk(scratch / "system.img", system, 900)
    done.mkdir()
    shutil.copy(kernel, done / "vmlinuz")
    (scratch / "initramfs.gz").rename(done / "initramfs.gz")
    (scratch / "system.img").rename(done / "system.img")


def _put(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script)
    path.chmod(0o755)


def _install_wheels(site: Path) -> None:
    """Install the box's lock file as pip does on a board, from wheels for aarch64."""
    platforms = [f"manylinux_2_{minor}_aarch64" for minor in reversed(GLIBC)]
    platforms.append("manylinux2014_aarch64")
    _pip(
        "install",
        "--require-hashes",
        "--no-deps",
        "--no-compile",
        *(f"--platform={each}" for each in platforms),
        f"--target={site}",
        f"--requirement={LOCK}",
        env={"CC": "false"},  # cobs alone has no wheel for aarch64: as on a box without a compiler
    )


def _make_program(target: Path) -> None:
    """Build the wheel of lineguard as it is now, and install it into a disk of its own."""
    with tempfile.TemporaryDirectory(prefix="lineguard-board-") as scratch:
        site = Path(scratch) / "site"
        wheels = Path(scratch) / "wheels"
        how = ("--no-deps", "--no-build-isolation", f"--wheel-dir={wheels}")
        call(sys.executable, "-m", "pip", "wheel", *how, ROOT)
        (wheel,) = wheels.glob("lineguard-*.whl")
        _pip("install", "--no-deps", "--no-compile", f"--target={site}", str(wheel))
        _compile(site)
        make_disk(target, site, 64)


def _pip(*arguments: str, env: Mapping[str, str] | None = None) -> None:
    """Run our pip for the Python of the board."""
    python = call(PYTHON, "-c", "import sys; print(sys.executable)").strip()
    call(sys.executable, "-m", "pip", "--python", python, *arguments, env=env)


def _compile(*folders: Path) -> None:
    """Byte code is the same on every processor, and slow to make on an emulated one."""
    how = ("-m", "compileall", "-q", "-j0", "--invalidation-mode", "unchecked-hash")
    call(PYTHON, *how, *folders, good=(0, 1))  # tests of packages may be no Python at all
