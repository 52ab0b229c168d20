"""What this box is: its name, whose code it runs, and which engines are installed."""

from __future__ import annotations

import platform

from edge.box.processor import hardware
from edge.box.root import Root
from edge.engines.installed import installed_engines
from firmware_bridge.receiver import BoxFacts

__all__ = ["box_facts"]


def box_facts() -> BoxFacts:
    """Ask this machine; nothing native is loaded into this process."""
    return BoxFacts(platform.node() or "box", hardware(Root()), installed_engines())
