"""Fuzz a decoder, guided by coverage: ``python -m tools.fuzz.decoders TARGET [FOLDER] [-OPTION]``.

Folders and options are libFuzzer's: ``tests/fuzz/corpus/TARGET`` to begin with,
``-max_total_time=600`` for ten minutes. By hand only: atheris has wheels for some Pythons and
machines alone, so it is in no lock. In an environment of its own::

    python3.11 -m venv fuzz
    fuzz/bin/pip install atheris==3.0.0 -e .
"""

from __future__ import annotations

import resource
import sys

__all__ = ["main"]

MEMORY = 64
"""MiB that a target may take beyond what the process has when it begins."""


def main(arguments: list[str]) -> None:
    """Fuzz until told to end; a finding ends it, and is written to a file ``crash-...``."""
    try:
        import atheris  # type: ignore[import-untyped]
    except ImportError:
        sys.exit("atheris is not installed here: the top of tools/fuzz/decoders.py says how to")

    with atheris.instrument_imports(include=["firmware_bridge", "models"]):
        from tools.fuzz.targets import TARGETS, good_bundle

    target = TARGETS.get(arguments[1] if len(arguments) > 1 else "")
    if target is None:
        sys.exit(f"name a target: {', '.join(TARGETS)}")
    good_bundle()  # made once, uncounted
    limit = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 + MEMORY
    options = [f"-rss_limit_mb={limit}", "-timeout=5", "-max_len=16384", *arguments[2:]]
    atheris.Setup([arguments[0], *options], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
