"""The loop: from triggers to verdicts."""

from edge.loop.line import Line, open_models

__all__ = ["Line", "open_models"]
