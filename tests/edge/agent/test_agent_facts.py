"""What a box says it is."""

from __future__ import annotations

import platform
from importlib import metadata

import onnxruntime
import pytest

from edge.agent import box_facts


@pytest.mark.parametrize(
    ("machine", "hardware"),
    [("aarch64", "arm64"), ("armv7l", "armv7"), ("x86_64", "x86-64"), ("riscv64", "riscv64")],
)
def test_hardware_is_named_as_bundles_do(
    machine: str, hardware: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert box_facts().hardware == (hardware,)


def test_engines_are_those_that_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert box_facts().engines["onnxruntime"] == onnxruntime.__version__
    assert box_facts().name == platform.node()

    def none(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", none)
    assert box_facts().engines == {}
