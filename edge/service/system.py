"""What a box's system holds for lineguard, beside the program: one source for every way to install.

Below ``files/`` lies what is written, as it will lie: ``lib`` is ``/usr/lib`` in a package and
``/etc`` otherwise, ``etc`` is what the plant decides, ``prefix`` is the program's own folder.
``systemd.unit(5)``, ``sysusers.d(5)``, ``tmpfiles.d(5)``, ``journald.conf.d(5)``, ``udev(7)``.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from string import Template

__all__ = [
    "MODELS",
    "PREFIX",
    "STATE",
    "configuration",
    "program_files",
    "script",
    "system_files",
]

PREFIX = PurePosixPath("/opt/lineguard")
"""The program; never written after it was installed."""

STATE = PurePosixPath("/var/lib/lineguard")
"""All that changes: the station file, bundles, records, keys of the display."""

MODELS = ("ppocrv4-det-onnx", "ppocrv4-rec-onnx", "ppocr-cls-onnx", "ppocr-keys")
"""Of the zoo, what every box reads print with; detectors of ours come with the program."""

_HERE = Path(__file__).parent
_EXECUTABLE = frozenset({"bin/lineguard"})


def system_files(prefix: PurePosixPath = PREFIX, below: str = "usr/lib") -> dict[str, str]:
    """Units, users, rules of devices and limits of the journal.

    Parameters
    ----------
    prefix
        Where the program is.
    below
        ``usr/lib`` for a package, ``etc`` for what was installed by hand.

    Returns
    -------
    dict
        Text of each file, by its path seen from ``/``.
    """
    return {f"{below}/{name}": text for name, text in _read("lib", prefix).items()}


def configuration() -> dict[str, str]:
    """What the plant decides once: never written over. As :func:`system_files`."""
    return {f"etc/{name}": text for name, text in _read("etc", PREFIX).items()}


def program_files(prefix: PurePosixPath = PREFIX) -> dict[str, tuple[str, int]]:
    """Text and mode of what stands beside the modules, by its path seen from ``prefix``."""
    return {
        name: (text, 0o755 if name in _EXECUTABLE else 0o644)
        for name, text in _read("prefix", prefix).items()
    }


def script(name: str) -> str:
    """Lines for ``sh``: ``setup``, ``stop`` or ``purge``; their first lines say what they take."""
    return (_HERE / f"{name}.sh").read_text("utf-8")


def _read(kind: str, prefix: PurePosixPath) -> dict[str, str]:
    folder = _HERE / "files" / kind
    values = {"prefix": str(prefix), "common": (_HERE / "common.conf").read_text("utf-8")}
    return {
        path.relative_to(folder).as_posix(): Template(path.read_text("utf-8")).substitute(values)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
