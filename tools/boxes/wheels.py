"""The packages of a lock file, for another machine's Python, without that machine.

``pip download --platform`` chooses the wheels; markers are evaluated here, since pip evaluates
them for the Python that it runs in (pip, "pip download", section "Overview").
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from models.errors import DeviceError, InputError

__all__ = [
    "ARCHITECTURES",
    "FROM_DEBIAN",
    "INSTEAD_FOR_32_BITS",
    "LOCK",
    "NOT_FOR_32_BITS",
    "PYTHONS",
    "Target",
    "build_wheel",
    "fetch_wheels",
    "unpack_wheel",
    "wheels_cache",
]

SOURCE = Path(__file__).resolve().parents[2]
"""Where lineguard itself is built from: a box is made from a checkout."""

LOCK = SOURCE / "locks/box.txt"

ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64", "armhf": "armv7l"}
"""Debian's names of processors, and the kernel's."""

PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}
"""Releases of Debian, and the Python of each."""

GLIBC = range(17, 37)
"""Minor versions that wheels may ask for: Debian 12 has 2.36."""

FROM_DEBIAN = {
    "cffi": "python3-cffi-backend",
    "cryptography": "python3-cryptography",
    "gpiod": "python3-libgpiod",
    "numpy": "python3-numpy",
    "onnxruntime": "python3-onnxruntime",
    "opencv-python-headless": "python3-opencv",
    "protobuf": "python3-protobuf",
    "pydantic": "python3-pydantic",
    "pydantic-core": "python3-pydantic-core",
    "rapidfuzz": "python3-rapidfuzz",
    "zstandard": "python3-zstandard",
}
"""What the registries have no wheels of for 32 bits, and Debian 13 has. pydantic itself has no
compiled part, but takes one release of its core and no other."""

NOT_FOR_32_BITS = frozenset({"bsdiff4", "tree-sitter", "tree-sitter-toml"})
"""Nobody has them for 32 bits, and a box does without: it applies patches, but makes none."""

INSTEAD_FOR_32_BITS = {
    "cbor2": "cbor2==5.9.0"
    " --hash=sha256:27695cbd70c90b8de5c4a284642c2836449b14e2c2e07e3ffe0744cb7669a01b\n"
}
"""The last one with a wheel that needs no compiler. Debian 13's, 5.6.5, does not write the
shortest form of every float, which a manifest must have."""

PURE = frozenset({"cobs"})
"""Has no wheel for ARM, and does the same without its part in C: built here without a compiler."""

LEFT_OUT = ("*/tests/*", "zstandard/_cffi.*", "onnxruntime/transformers/*")
"""Of packages: tests, what zstandard needs on PyPy alone, tools for other models; 25 MB."""

DOWNLOAD_S = 1800.0
"""For all wheels: 150 MB through a thin line."""


@dataclass(frozen=True)
class Target:
    """What a box's Python is.

    Attributes
    ----------
    architecture
        A key of :data:`ARCHITECTURES`.
    python
        As ``3.11``.
    """

    architecture: str
    python: str

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise InputError(f"{self.architecture}: no such architecture: there are {known}")
        if self.python not in PYTHONS.values():
            known = ", ".join(PYTHONS.values())
            raise InputError(f"Python {self.python}: Debian has none: choose of {known}")
        if self.narrow and self.python != PYTHONS["trixie"]:
            raise InputError(
                f"{self.architecture}: Debian 12 (bookworm) has no ONNX Runtime for 32 bits: "
                "choose Debian 13 (trixie)"
            )

    @property
    def narrow(self) -> bool:
        """Whether it has 32 bits: then what is compiled comes from Debian."""
        return self.architecture == "armhf"

    @property
    def machine(self) -> str:
        """As ``uname -m`` says it there."""
        return ARCHITECTURES[self.architecture]


def wheels_cache() -> Path:
    """Where downloads are kept for the next time."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "lineguard/wheels"


def build_wheel(folder: Path) -> Path:
    """Build lineguard's own wheel, as it is in this checkout, into ``folder``.

    Raises
    ------
    InputError
        This is no checkout.
    DeviceError
        It cannot be built.
    """
    if not LOCK.is_file():
        raise InputError(f"{LOCK}: does not exist: boxes are made from a checkout of lineguard")
    how = ("--no-deps", "--no-build-isolation", f"--wheel-dir={folder}")
    _run("wheel", *how, str(SOURCE))
    (wheel,) = folder.glob("lineguard-*.whl")
    return wheel


def fetch_wheels(
    lock: Path, target: Target, cache: Path, without: Collection[str] = ()
) -> list[Path]:
    """Bring what a lock file asks for; kept in ``cache`` for the next time.

    For 32 bits that is what has no compiled part: the rest is Debian's, see :data:`FROM_DEBIAN`.

    Parameters
    ----------
    lock
        Requirements with hashes, as ``locks/box.txt``.
    target
        Whose wheels.
    cache
        Folder of what was downloaded before; made if missing.
    without
        Names of packages that are left out.

    Raises
    ------
    DeviceError
        A package cannot be downloaded, or has no wheel for that machine.
    InputError
        The lock file cannot be read.
    """
    wanted = _requirements(lock, target)
    if target.narrow:
        without = {*without, *FROM_DEBIAN, *NOT_FOR_32_BITS}
        wanted |= {name: line for name, line in INSTEAD_FOR_32_BITS.items() if name in wanted}
    wanted = {name: line for name, line in wanted.items() if name not in without}
    text = "".join(wanted.values())
    key = hashlib.sha256(f"{target}\n{text}".encode()).hexdigest()[:16]
    folder = cache / key
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="making-") as name:
            done = Path(name) / "done"
            done.mkdir()
            _download([line for name, line in wanted.items() if name not in PURE], target, done)
            _build([line for name, line in wanted.items() if name in PURE], done)
            done.rename(folder)
    return sorted(folder.glob("*.whl"))


def unpack_wheel(wheel: Path, site: Path) -> Iterator[Path]:
    """Put a wheel's modules below ``site``; gives each file that was written.

    Scripts, headers and data are left out: nothing on a box asks for them.
    """
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            inner = _place(member.filename)
            if member.is_dir() or inner is None or any(fnmatch(inner, each) for each in LEFT_OUT):
                continue
            path = site / inner
            if not path.resolve().is_relative_to(site.resolve()):
                raise InputError(f"{wheel.name}: {member.filename} lies outside: get it again")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(member))
            yield path


def _place(member: str) -> str | None:
    """Where a member of a wheel belongs, seen from site-packages (PEP 427)."""
    first, _, rest = member.partition("/")
    if not first.endswith(".data"):
        return member
    kind, _, inner = rest.partition("/")
    return inner if kind in {"purelib", "platlib"} else None


def _requirements(lock: Path, target: Target) -> dict[str, str]:
    """Name and line, with its hashes, of each package that the target needs."""
    try:
        lines = lock.read_text("utf-8").replace("\\\n", " ").splitlines()
    except OSError as error:
        raise InputError(f"{lock}: cannot be read ({error.strerror}): give a lock file") from error
    environment = {
        "implementation_name": "cpython",
        "implementation_version": f"{target.python}.0",
        "os_name": "posix",
        "platform_machine": target.machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{target.python}.0",
        "python_version": target.python,
        "sys_platform": "linux",
    }
    wanted: dict[str, str] = {}
    for line in lines:
        told, *hashes = line.split(" --hash=")
        if not told.strip() or told.lstrip().startswith("#"):
            continue
        requirement = Requirement(told.strip())
        if requirement.marker is None or requirement.marker.evaluate(environment):
            pin = f"{requirement.name}{requirement.specifier}"
            hashed = "".join(f" --hash={each.strip()}" for each in hashes)
            wanted[canonicalize_name(requirement.name)] = f"{pin}{hashed}\n"
    return wanted


def _download(lines: list[str], target: Target, folder: Path) -> None:
    platforms = [f"manylinux_2_{minor}_{target.machine}" for minor in reversed(GLIBC)]
    platforms += [f"manylinux2014_{target.machine}", f"linux_{target.machine}"]
    short = f"cp{target.python.replace('.', '')}"
    _pip(
        "download",
        lines,
        "--only-binary=:all:",
        *(f"--platform={each}" for each in platforms),
        f"--python-version={target.python}",
        "--implementation=cp",
        *(f"--abi={abi}" for abi in (short, "abi3", "none")),
        f"--dest={folder}",
    )


def _build(lines: list[str], folder: Path) -> None:
    _pip("wheel", lines, "--no-binary=:all:", "--no-build-isolation", f"--wheel-dir={folder}")


def _pip(what: str, lines: list[str], *how: str) -> None:
    if not lines:
        return
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(lines)
        file.flush()
        _run(what, "--no-deps", "--require-hashes", *how, f"--requirement={file.name}")


def _run(what: str, *how: str) -> None:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip", what, "--quiet", *how],
            env=os.environ | {"CC": "false", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DeviceError(f"pip took over {DOWNLOAD_S:.0f} s: check the network") from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "ERROR" in line]
        raise DeviceError(f"pip {what} fails ({(said or ['no reason given'])[-1]})")
