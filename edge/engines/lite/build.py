"""Compiles ``shim.cc`` against an unpacked release of Paddle Lite, on the board or for it."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from edge.engines.lite.built import (
    SHIM,
    LiteBuild,
    elf_machine,
    read_build,
    this_machine,
)
from edge.engines.lite.child import ABI, LIBRARY
from edge.engines.lite.probe import library_version
from models.atomic import write_atomic
from models.errors import EngineError, InputError, StorageError

__all__ = ["Release", "build_lite", "find_compiler", "find_release"]

HEADER = "paddle_api.h"
SOURCE = Path(__file__).with_name("shim.cc")

COMPILE_SECONDS = 300.0
"""It takes two seconds on a PC and half a minute on the slowest board."""

_LAYOUTS = ("*", "*/cxx")
"""Where ``include`` and ``lib`` lie: in a release, or in a folder that it was unpacked into."""

_COMPILERS = {"aarch64": "aarch64-linux-gnu-g++", "arm": "arm-linux-gnueabihf-g++"}
_PACKAGES = {
    "g++": "g++",
    "aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu",
    "arm-linux-gnueabihf-g++": "g++-arm-linux-gnueabihf",
}

# How std::string is spelt in what the library exports: by the old or new ABI of libstdc++, or by
# the libc++ of Android.
_OLD_STRING, _NEW_STRING, _ANDROID = b"set_model_from_fileERKSs", b"NSt7__cxx11", b"NSt6__ndk1"


@dataclass(frozen=True)
class Release:
    """What is needed of an unpacked release.

    Attributes
    ----------
    include, library
        Folder of its headers, and the shared library.
    machine
        Processor that the library is for.
    old_strings
        Whether it was compiled with ``_GLIBCXX_USE_CXX11_ABI=0``.
    """

    include: Path
    library: Path
    machine: str
    old_strings: bool


def find_release(folder: Path) -> Release:
    """Find header and library below ``folder``.

    Raises
    ------
    InputError
        One is missing, is for no Linux, or they are there more than once.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder: unpack a release of Paddle Lite for Linux")
    bases = [folder, *(base for layout in _LAYOUTS for base in sorted(folder.glob(layout)))]
    found = [base for base in bases if (base / "lib" / LIBRARY).is_file()]
    if not found:
        raise InputError(
            f"{folder}: holds no cxx/lib/{LIBRARY}: "
            "give the unpacked folder of a Paddle Lite release with its C++ library"
        )
    if len(found) > 1:
        several = ", ".join(str(base.relative_to(folder)) for base in found)
        raise InputError(f"{folder}: holds several releases ({several}): give one of them")
    include, library = found[0] / "include", found[0] / "lib" / LIBRARY
    if not (include / HEADER).is_file():
        raise InputError(
            f"{include / HEADER}: is missing: unpack the release again, with its include folder"
        )
    machine = elf_machine(library)
    data = library.read_bytes()
    if _ANDROID in data:
        raise InputError(f"{library}: is for Android: take the release for ARM Linux (armlinux)")
    return Release(include, library, machine, _OLD_STRING in data)


def find_compiler(machine: str, cxx: str | None) -> tuple[str, str]:
    """Choose a compiler for a processor, and ask it what it is.

    Returns
    -------
    tuple
        Its path, and the first line that it says of itself.

    Raises
    ------
    EngineError
        It is not installed, does not work, or compiles for another processor.
    """
    name = cxx or ("g++" if machine == this_machine() else _COMPILERS.get(machine, "g++"))
    path = shutil.which(name)
    if path is None:
        package = _PACKAGES.get(name)
        mend = f"apt-get install {package}" if package else "give --cxx one that is"
        raise EngineError(f"{name}: is not installed: {mend}")
    target = _first_line(path, "-dumpmachine")
    compiles_for = _machine_of(target)
    if compiles_for != machine:
        better = _COMPILERS.get(machine, "the compiler of its kind")
        raise EngineError(
            f"{name}: compiles for {compiles_for} ({target}), but the library is for {machine}: "
            + (f"give --cxx {better}" if machine != this_machine() else "leave out --cxx")
        )
    return path, _first_line(path, "--version")


def build_lite(
    release: Release, cxx: str | None, out: Path, tell: Callable[[str], None]
) -> LiteBuild:
    """Compile the shim, unless the same was compiled before, and put it to use.

    Parameters
    ----------
    release
        What to compile it for.
    cxx
        A compiler; ``None`` chooses one by the library's processor.
    out
        Folder of builds; see :mod:`edge.engines.lite.built`.
    tell
        Told what is being done, a line each.

    Raises
    ------
    EngineError
        No compiler, or it refuses the header; or the result cannot be loaded on this machine.
    StorageError
        ``out`` cannot be written.
    """
    tell(f"library: {release.library} for {release.machine}")
    compiler, about = find_compiler(release.machine, cxx)
    flags = _flags(release)
    key = _key(release, about, flags)
    folder = out / key
    try:
        build = read_build(folder)
        tell(f"compiled before: {folder}")
    except EngineError:
        tell(f"compiling with {about}")
        try:
            build = _compile(
                release, compiler, flags, LiteBuild(folder, key, release.machine, ABI, about)
            )
        except OSError as error:
            raise StorageError(
                f"{out}: cannot be written ({error.strerror}): give --out another folder"
            ) from error
    if build.machine == this_machine():
        tell("loading it")
        library_version(build)
    try:
        _put_to_use(out / build.machine, key)
    except OSError as error:
        raise StorageError(
            f"{out}: cannot be written ({error.strerror}): give --out another folder"
        ) from error
    return build


def _flags(release: Release) -> list[str]:
    return [
        *("-std=c++17", "-O2", "-fPIC", "-shared", "-w"),
        f"-D_GLIBCXX_USE_CXX11_ABI={0 if release.old_strings else 1}",
        "-Wl,-rpath,$ORIGIN",
        "-Wl,-z,defs",  # what the library lacks is told now, not on the box
    ]


def _key(release: Release, about: str, flags: list[str]) -> str:
    """Hash of all that the result depends on."""
    hashed = hashlib.sha256()
    files = [SOURCE, *sorted(release.include.rglob("*.h")), release.library]
    for file in files:
        hashed.update(hashlib.sha256(file.read_bytes()).digest())
    hashed.update("\0".join([about, *flags]).encode())
    return hashed.hexdigest()[:16]


def _compile(release: Release, compiler: str, flags: list[str], build: LiteBuild) -> LiteBuild:
    """Make the folder of a build, whole or not at all."""
    out = build.folder.parent
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=out) as scratch:
        made = Path(scratch) / build.key
        made.mkdir()
        made.chmod(0o755)
        shutil.copyfile(release.library, made / LIBRARY)
        command = [
            *(compiler, *flags, f"-I{release.include}", str(SOURCE)),
            *("-o", str(made / SHIM), f"-L{made}", f"-l:{LIBRARY}"),
        ]
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=COMPILE_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise EngineError(
                f"{compiler}: was not done within {COMPILE_SECONDS:g} s: free some memory"
            ) from error
        if done.returncode or not (made / SHIM).is_file():
            raise EngineError(
                f"{release.include / HEADER}: {compiler} cannot compile against it "
                f"({_complaint(done.stderr)}): give a whole release 2.x; "
                f"by hand: {shlex.join(command)}"
            )
        write_atomic(made / "lite.json", build.facts())
        if build.folder.exists():  # not whole, or it would have been taken
            shutil.rmtree(build.folder)
        made.rename(build.folder)
    return replace(build, folder=build.folder.resolve())


def _put_to_use(link: Path, key: str) -> None:
    """Let the name of the processor mean this build; at every moment it means one."""
    with tempfile.TemporaryDirectory(prefix=".link-", dir=link.parent) as scratch:
        new = Path(scratch) / link.name
        new.symlink_to(key)
        os.replace(new, link)


def _first_line(compiler: str, question: str) -> str:
    try:
        done = subprocess.run(
            [compiler, question], capture_output=True, timeout=COMPILE_SECONDS, check=True
        )
        return done.stdout.decode("utf-8", "replace").splitlines()[0].strip()
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        raise EngineError(
            f"{compiler}: is no working C++ compiler ({error}): install it again"
        ) from error


def _machine_of(target: str) -> str:
    """The processor of a compiler's target, such as ``arm-linux-gnueabihf``."""
    name = target.partition("-")[0]
    if name.startswith("arm"):
        return "arm"
    return {"amd64": "x86_64", "i486": "i386", "i586": "i386", "i686": "i386"}.get(name, name)


def _complaint(stderr: bytes) -> str:
    """The first line that says what is wrong."""
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines()]
    telling = [line for line in lines if "error:" in line or "undefined reference" in line]
    return next(iter(telling or [line for line in lines if line]), "it says nothing")
