"""The tables of ``station.toml``: what may be written there, within which bounds, and why.

A bound's reason stands in the description of its key, which a fault quotes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, Field, ValidationInfo

from edge.camera import check_source
from edge.judge.fields import Box, Many, Name, Table
from edge.judge.rules import Job, LeafRule, Rule
from models.errors import InputError

__all__ = [
    "Camera",
    "JsonlOutput",
    "Line",
    "Model",
    "PpocrModel",
    "PpyoloeModel",
    "Region",
    "Station",
    "leaves",
]


def _source(source: str) -> str:
    try:
        check_source(source)
    except InputError as error:
        raise ValueError(str(error)) from error
    return source


def _path(path: str, info: ValidationInfo) -> str:
    """Make a path stand on its own: relative ones start at the folder of the station file."""
    if path.startswith("zoo:"):
        if not re.fullmatch(r"zoo:[a-z0-9][a-z0-9._-]*", path):
            raise ValueError("must be zoo: and a name in small letters, digits, . _ -")
        return path
    if not path.isprintable():
        raise ValueError("must not hold control characters")
    try:
        return str((info.context or {}).get("folder", Path()) / Path(path).expanduser())
    except RuntimeError as error:  # ~nobody
        raise ValueError("names the home of a user that does not exist") from error


def _distinct(values: tuple[object, ...]) -> tuple[object, ...]:
    if len(set(values)) < len(values):
        raise ValueError("names one twice")
    return values


_Path = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_path)]


class Line(Table):
    """The station as a whole."""

    name: Name = Field(description="letters, digits, _ and -, at most 64; stands in every record")
    deadline_ms: int = Field(
        ge=10,
        le=60_000,
        description="trigger to verdict; no engine answers in 10 ms, no gate is a minute off",
    )


class Camera(Table):
    """One camera and how its parts wait."""

    name: Name = Field(description="letters, digits, _ and -, at most 64")
    source: Annotated[str, Field(max_length=4096), AfterValidator(_source)] = Field(
        repr=False, description="e.g. v4l2:/dev/video0?width=1280&height=720"
    )
    policy: Literal["every", "freshest"] = Field(
        "every", description="every: each triggered part is judged; freshest: the newest picture"
    )
    queue: int = Field(
        8, ge=1, le=64, description="parts that may wait; each holds a whole picture in memory"
    )
    stall_s: float = Field(
        2.0,
        ge=0.1,
        le=600,
        description="silence after which the camera is lost; shorter is jitter, longer is a break",
    )
    mm_per_pixel: float | None = Field(
        None, gt=0, le=100, description="for rules that speak of millimetres"
    )


class _ModelTable(Table):
    finds: ClassVar[Literal["text", "defects"]]

    threads: int = Field(1, ge=1, le=64, description="of the engine; more than cores only slows it")
    cores: Annotated[Many[Annotated[int, Field(ge=0, le=1023)]], AfterValidator(_distinct)] = Field(
        (), max_length=64, description="the engine's threads stay on these; all if left out"
    )


class PpocrModel(_ModelTable):
    """PP-OCR: finds and reads lines of print."""

    finds = "text"

    family: Literal["ppocr"]
    det: _Path | None = Field(None, description="finds the lines; regions of mode page need it")
    rec: _Path = Field(description="reads a line: zoo:NAME or a path beside the station file")
    cls: _Path | None = Field(None, description="tells upright from upside down")
    dictionary: _Path = Field(description="the characters that rec knows: zoo:NAME or a path")


class PpyoloeModel(_ModelTable):
    """PP-YOLOE: finds defects."""

    finds = "defects"

    family: Literal["ppyoloe"]
    det: _Path = Field(description="finds defects: zoo:NAME or a path beside the station file")
    labels: Annotated[
        Many[Annotated[str, Field(min_length=1, max_length=64)]], AfterValidator(_distinct)
    ] = Field(min_length=1, max_length=1000, description="class names in the model's own order")


Model: TypeAlias = Annotated[PpocrModel | PpyoloeModel, Field(discriminator="family")]
"""Any named model; a new family is one more class in the union."""


class Region(Table):
    """What one model looks at in the pictures of one camera."""

    name: Name = Field(description="letters, digits, _ and -, at most 64")
    camera: str = Field(description="name of a camera")
    model: str = Field(description="name of a model")
    mode: Literal["page", "fixed", "label"] = Field(
        "page",
        description="page: find all lines; fixed: the box is one line; "
        "label: the box is one line, either way up",
    )
    box: Box | None = Field(
        None, description="[x0, y0, x1, y1] pixels; the whole frame if left out"
    )


class JsonlOutput(Table):
    """Verdicts as one JSON object a line."""

    kind: Literal["jsonl"]
    path: _Path = Field(description="file that is appended to; relative to the station file")


class Station(Table):
    """A whole ``station.toml``."""

    station: Line
    job: Job = Job()
    cameras: Many[Camera] = Field(
        min_length=1, max_length=16, description="one to 16; a box has no cores for more"
    )
    models: dict[Name, Model] = Field(
        min_length=1, max_length=16, description="one to 16; each stays in memory"
    )
    regions: Many[Region] = Field(
        min_length=1, max_length=64, description="one to 64; each is an inference for every part"
    )
    rules: Many[Rule] = Field(
        min_length=1, max_length=128, description="one to 128; without one every part would pass"
    )
    outputs: Many[JsonlOutput] = Field((), max_length=8, description="at most 8")

    def camera(self, name: str) -> Camera:
        """The camera of that name; ``KeyError`` if there is none."""
        return {camera.name: camera for camera in self.cameras}[name]

    def regions_of(self, camera: str) -> tuple[Region, ...]:
        """The regions of a camera, in the order of the file."""
        return tuple(region for region in self.regions if region.camera == camera)

    def rules_of(self, camera: str) -> tuple[Rule, ...]:
        """The rules of a camera, those that name other rules included: what ``judge`` takes."""
        mine = {region.name for region in self.regions_of(camera)}
        known = {rule.name: rule for rule in self.rules}
        return tuple(
            rule for rule in self.rules if any(leaf.region in mine for leaf in leaves(rule, known))
        )

    def min_score_of(self, model: str) -> float | None:
        """The smallest ``min_score`` that a rule asks of a model; ``None`` if none gives any."""
        mine = {region.name for region in self.regions if region.model == model}
        leafs = (rule for rule in self.rules if isinstance(rule, LeafRule))
        scores = (rule.min_score for rule in leafs if rule.region in mine)
        return min((score for score in scores if score is not None), default=None)

    def with_job(self, job: Job) -> Station:
        """The same station, making something else."""
        return self.model_copy(update={"job": job})


def leaves(rule: Rule, known: dict[str, Rule]) -> list[LeafRule]:
    """The rules about regions that ``rule`` comes down to; unknown names come to nothing."""
    found: list[LeafRule] = []
    waiting, met = [rule], {rule.name}
    while waiting:
        each = waiting.pop()
        if isinstance(each, LeafRule):
            found.append(each)
            continue
        waiting += [known[name] for name in each.rules if name in known and name not in met]
        met.update(each.rules)
    return found
