"""Eight bits: ONNX for ONNX Runtime, fake-quant programs for Paddle Lite."""

from __future__ import annotations

__all__: list[str] = []
