"""Files that a box runs, made from a program: ``.nb`` of Paddle Lite and ONNX, both FP32.

::

    export_nb(program, Path("det.arm.nb"), "arm")
    export_onnx(program, Path("det.onnx"))
"""

from __future__ import annotations

from compress.export.lite import NbTarget, export_nb
from compress.export.onnx import export_onnx

__all__ = ["NbTarget", "export_nb", "export_onnx"]
