"""Debian's build of ONNX Runtime has much to say with its first model."""

import os
from typing import Any

import onnxruntime
import pytest

from edge.box.engine_child import SELF_TEST
from edge.engines.onnxruntime_engine import OnnxRuntimeEngine, _begin_quietly


def test_what_debians_build_says_of_itself_is_left_out(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = onnxruntime.InferenceSession
    opened: list[Any] = []

    def talking(*args: Any, **options: Any) -> Any:
        os.write(2, b"" if opened else b"Schema error\n")
        opened.append(args[0])
        return real(*args, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", talking)
    monkeypatch.setattr(onnxruntime, "__file__", "/usr/lib/python3/dist-packages/onnxruntime/x.py")
    _begin_quietly.cache_clear()
    for _ in range(2):
        assert OnnxRuntimeEngine(SELF_TEST, 1).outputs == ("conv", "product")
    os.write(2, b"of others\n")
    assert capfd.readouterr().err == "of others\n"
    assert len(opened) == 3  # one of them once a process
