"""Where a compiled shim lies, and what is known of it.

::

    FOLDER/
        aarch64 -> 3f0c…            the one in use on such a processor
        3f0c…/
            liblineguard_lite.so    the shim
            libpaddle_light_api_shared.so
            lite.json               what they were made of

A folder is complete when it gets its name, and is never changed afterwards.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from edge.engines.lite.child import ABI, LIBRARY
from models.errors import EngineError, InputError

__all__ = [
    "SHIM",
    "LiteBuild",
    "builds_folder",
    "elf_machine",
    "find_build",
    "read_build",
    "this_machine",
]

SHIM = "liblineguard_lite.so"

_FACTS = "lite.json"
_MEND = "lineguard box build-lite RELEASE_DIR"

# e_machine of the ELF header: System V ABI, and its supplements for each processor
_MACHINES = {3: "i386", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv"}


@dataclass(frozen=True)
class LiteBuild:
    """A compiled shim beside its library.

    Attributes
    ----------
    folder
        Where both lie.
    key
        Hash of the shim's source, the header, the library and the compiler.
    machine
        Processor it is for: ``x86_64``, ``aarch64`` or ``arm``.
    abi
        Of the shim's functions.
    compiler
        Its first line about itself.
    """

    folder: Path
    key: str
    machine: str
    abi: int
    compiler: str

    @property
    def shim(self) -> Path:
        """The library to load."""
        return self.folder / SHIM

    def facts(self) -> bytes:
        """What ``lite.json`` holds."""
        facts = {key: value for key, value in asdict(self).items() if key != "folder"}
        return json.dumps(facts, indent=2).encode() + b"\n"


def read_build(folder: Path) -> LiteBuild:
    """Read what was built into a folder.

    Raises
    ------
    EngineError
        It is not whole, or was made for another lineguard.
    """
    try:
        facts = json.loads((folder / _FACTS).read_bytes())
        build = LiteBuild(
            folder.resolve(),
            str(facts["key"]),
            str(facts["machine"]),
            int(facts["abi"]),
            str(facts["compiler"]),
        )
        missing = [name for name in (SHIM, LIBRARY) if not (folder / name).is_file()]
        if missing:
            raise ValueError(f"{missing[0]} is missing")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineError(
            f"{folder}: holds no whole build of Paddle Lite ({error}): {_MEND}"
        ) from error
    if build.abi != ABI:
        raise EngineError(
            f"{folder}: was built for another lineguard "
            f"(interface {build.abi} instead of {ABI}): {_MEND}"
        )
    return build


def builds_folder() -> Path | None:
    """Where builds are kept: ``$LINEGUARD_LITE``, else ``lite`` beside the trials of models.

    ``None`` for a user without a home.
    """
    if chosen := os.environ.get("LINEGUARD_LITE"):
        return Path(chosen)
    from edge.engines.trial import trials_folder

    trials = trials_folder()
    return trials and trials.with_name("lite")


def find_build() -> LiteBuild | None:
    """Find the build for this processor; ``None`` if there is none, and none was asked for.

    Raises
    ------
    EngineError
        ``$LINEGUARD_LITE`` is set, but holds none for this processor; or there is one that cannot
        be used. Nothing else is then tried in its place: who has built it, wants it.
    """
    folder = builds_folder()
    if folder is None:
        return None
    chosen = folder / this_machine()
    if not os.path.lexists(chosen):
        if os.environ.get("LINEGUARD_LITE"):
            raise EngineError(
                f"{folder}: LINEGUARD_LITE names it, but it holds no Paddle Lite for "
                f"{this_machine()}: {_MEND} --out {folder}"
            )
        return None
    return read_build(chosen)


def this_machine() -> str:
    """Processor that this very program is for: on a 64-bit kernel it may still be a 32-bit one."""
    return elf_machine(Path(sys.executable))


def elf_machine(path: Path) -> str:
    """Processor that a program or library is for.

    Raises
    ------
    InputError
        It is none, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(20)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if len(head) < 20 or head[:4] != b"\x7fELF":
        raise InputError(f"{path}: is no ELF library: take the one for Linux")
    order = "little" if head[5] == 1 else "big"
    number = int.from_bytes(head[18:20], order)  # type: ignore[arg-type]
    return _MACHINES.get(number, f"processor {number}")
