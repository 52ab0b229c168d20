"""On what a measurement was made."""

from __future__ import annotations

import os
import platform
from datetime import date
from pathlib import Path

__all__ = ["machine"]


def machine() -> dict[str, str | int]:
    """Processor, cores that may be used, Python, ONNX Runtime, and the day."""
    import onnxruntime

    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "onnxruntime": str(onnxruntime.__version__),
        "date": date.today().isoformat(),
    }
