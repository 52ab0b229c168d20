"""The simulated line: parts with known faults, as pictures, as a camera, as labelled sets."""

from __future__ import annotations

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
    "render",
    "render_dataset",
]
