"""Eight bits: ONNX for ONNX Runtime, fake-quant programs for Paddle Lite."""
