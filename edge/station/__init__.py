"""The station file: what is inspected, with what, and what makes a part good."""

from __future__ import annotations

from edge.judge.rules import Job, Rule
from edge.station.bundle import ActiveBundle, BundleName
from edge.station.candidate import candidate_station
from edge.station.job_file import JobFile
from edge.station.load import example_station, load_station
from edge.station.schema import (
    BundleTable,
    Camera,
    Display,
    JsonlOutput,
    Line,
    Model,
    PpocrModel,
    PpyoloeModel,
    RecordsTable,
    Region,
    ShadowTable,
    Station,
)

__all__ = [
    "ActiveBundle",
    "BundleName",
    "BundleTable",
    "Camera",
    "Display",
    "Job",
    "JobFile",
    "JsonlOutput",
    "Line",
    "Model",
    "PpocrModel",
    "PpyoloeModel",
    "RecordsTable",
    "Region",
    "Rule",
    "ShadowTable",
    "Station",
    "candidate_station",
    "example_station",
    "load_station",
]
