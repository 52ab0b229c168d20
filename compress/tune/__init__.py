"""A model learns again what it lost, or what it never knew."""

from __future__ import annotations

__all__: list[str] = []
