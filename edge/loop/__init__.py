"""The loop: from triggers to verdicts."""

from edge.loop.changeover import Changeover
from edge.loop.line import Line, open_models

__all__ = ["Changeover", "Line", "open_models"]
