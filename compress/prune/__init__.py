"""Channels that a network can do without: which go together, what they cost, and away with them."""

from __future__ import annotations

__all__: list[str] = []
