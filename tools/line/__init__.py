"""The simulated line: parts with known faults, as pictures, as a camera, as labelled sets."""

from __future__ import annotations

from edge.camera import register
from tools.line.camera import LineCamera
from tools.line.dataset import Summary, render_dataset
from tools.line.render import KINDS, render
from tools.line.world import DEMO_JOB, TODAY, Job, PartTruth

__all__ = [
    "DEMO_JOB",
    "KINDS",
    "TODAY",
    "Job",
    "LineCamera",
    "PartTruth",
    "Summary",
    "register_line",
    "render",
    "render_dataset",
]


def register_line() -> None:
    """Make ``line:`` a camera source. Called by whoever wants it: no box has this room."""
    register("line", LineCamera.from_source)
