"""What this box is: its name, whose code it runs, and which engines are installed."""

from __future__ import annotations

import platform
from importlib import metadata

from edge.box.processor import hardware
from edge.box.root import Root
from firmware_bridge.receiver import BoxFacts

__all__ = ["box_facts"]

ENGINES = {"onnxruntime": "onnxruntime", "paddle_lite": "paddlelite"}
"""Python package of each engine that a bundle can be for."""


def box_facts() -> BoxFacts:
    """Ask this machine; nothing native is loaded."""
    engines = {}
    for name, package in ENGINES.items():
        try:
            engines[name] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return BoxFacts(platform.node() or "box", hardware(Root()), engines)
