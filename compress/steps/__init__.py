"""Steps of a compression, each from a model that passed to the next one."""

from __future__ import annotations

__all__: list[str] = []
