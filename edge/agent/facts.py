"""What this box is: its name, whose code it runs, and which engines are installed."""

from __future__ import annotations

import platform
from importlib import metadata

from firmware_bridge.receiver import BoxFacts

__all__ = ["box_facts"]

HARDWARE = {
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv7l": "armv7",
    "armv8l": "armv7",  # a 64-bit core that runs 32-bit Linux
    "x86_64": "x86-64",
    "amd64": "x86-64",
}
"""What the kernel calls a processor, and what a bundle calls it."""

ENGINES = {"onnxruntime": "onnxruntime", "paddle_lite": "paddlelite"}
"""Python package of each engine that a bundle can be for."""


def box_facts() -> BoxFacts:
    """Ask this machine; nothing native is loaded."""
    machine = platform.machine().lower()
    engines = {}
    for name, package in ENGINES.items():
        try:
            engines[name] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return BoxFacts(platform.node() or "box", (HARDWARE.get(machine, machine),), engines)
