"""The station file: what is inspected, with what, and what makes a part good."""

from __future__ import annotations

from edge.judge.rules import Job, Rule
from edge.station.load import example_station, load_station
from edge.station.schema import (
    Camera,
    JsonlOutput,
    Line,
    Model,
    PpocrModel,
    PpyoloeModel,
    Region,
    Station,
)

__all__ = [
    "Camera",
    "Job",
    "JsonlOutput",
    "Line",
    "Model",
    "PpocrModel",
    "PpyoloeModel",
    "Region",
    "Rule",
    "Station",
    "example_station",
    "load_station",
]
