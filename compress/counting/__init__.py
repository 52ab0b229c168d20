"""How many instructions an inference takes on an ARM core, counted in emulation.

::

    counted = count_instructions(Path("det.onnx"), feeds, find_arm64(Path("arm64")), "cortex-a76")
    print(counted.total, counted.kinds["dot"])

Counts repeat almost exactly on any machine, loaded or not, and say which of two models does less;
they are not time.
"""

from __future__ import annotations

from compress.counting.emulator import CORES, Arm64, count_instructions, find_arm64

__all__ = ["CORES", "Arm64", "count_instructions", "find_arm64"]
