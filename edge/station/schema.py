"""The tables of ``station.toml``: what may be written there, within which bounds, and why.

A bound's reason stands in the description of its key, which a fault quotes.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, Field, PrivateAttr

from edge.camera import check_source
from edge.judge.fields import Box, Many, Name, Table
from edge.judge.rules import Job, LeafRule, Rule
from edge.station.bundle import ActiveBundle
from edge.station.challenge import ChallengeTable
from edge.station.drift import DriftTable
from edge.station.outputs import JsonlOutput, OutputTable
from edge.station.paths import FilePath as _Path
from edge.station.records import RecordsTable
from edge.station.shadow import ShadowTable
from edge.station.triggers import TriggerTable
from models.errors import InputError

__all__ = [
    "BundleTable",
    "Camera",
    "Display",
    "JsonlOutput",
    "Line",
    "Model",
    "PpocrModel",
    "PpyoloeModel",
    "RecordsTable",
    "Region",
    "ShadowTable",
    "Station",
    "leaves",
]


def _source(source: str) -> str:
    try:
        check_source(source)
    except InputError as error:
        raise ValueError(str(error)) from error
    return source


def _distinct(values: tuple[object, ...]) -> tuple[object, ...]:
    if len(set(values)) < len(values):
        raise ValueError("names one twice")
    return values


def _host_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?", name):
        raise ValueError("must be a host name: letters, digits, . and -, no port")
    return name.lower()


def _time_of_day(text: str) -> str:
    if not re.fullmatch(r"(?:[01]\d|2[0-3]):[0-5]\d", text, re.ASCII):
        raise ValueError("must be a time of day from 00:00 to 23:59")
    return text


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
    trigger: TriggerTable | None = Field(
        None, description="what says that a part is there; each picture is a part if left out"
    )


class _ModelTable(Table):
    finds: ClassVar[Literal["text", "defects"]]

    threads: int = Field(
        1,
        ge=1,
        le=64,
        description="of the engine; more than cores only slows it; a station that runs takes what "
        "suits the board if left out",
    )
    cores: Annotated[Many[Annotated[int, Field(ge=0, le=1023)]], AfterValidator(_distinct)] = Field(
        (),
        max_length=64,
        description="the engine's threads stay on these; those that suit the board if left out",
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


class BundleTable(Table):
    """The bundle that brings models."""

    root: _Path = Field(description="folder of `lineguard agent`; its active slot is what runs")


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


class Display(Table):
    """The page for operators, and the REST interface behind it."""

    host: Annotated[str, Field(max_length=255)] = Field(
        "127.0.0.1",
        description="address to listen on; 0.0.0.0 lets in tablets, and all others of the network",
    )
    port: int = Field(8765, ge=1, le=65535, description="TCP port")
    names: Many[Annotated[str, Field(max_length=255), AfterValidator(_host_name)]] = Field(
        (), max_length=16, description="names by which browsers call the box, besides its address"
    )
    token_file: _Path = Field(
        "display.token",
        validate_default=True,
        description="holds what changes of the job need; made, for its owner alone, if missing",
    )
    language: Literal["en", "zh"] = Field("en", description="that a page begins with")
    shifts: Annotated[
        Many[Annotated[str, AfterValidator(_time_of_day)]], AfterValidator(_distinct)
    ] = Field((), max_length=8, description="local times HH:MM at which the counters begin anew")


class Station(Table):
    """A whole ``station.toml``."""

    station: Line
    job: Job = Job()
    cameras: Many[Camera] = Field(
        min_length=1, max_length=16, description="one to 16; a box has no cores for more"
    )
    bundle: BundleTable | None = None
    models: dict[Name, Model] = Field(
        min_length=1, max_length=16, description="one to 16; each stays in memory"
    )
    regions: Many[Region] = Field(
        min_length=1, max_length=64, description="one to 64; each is an inference for every part"
    )
    rules: Many[Rule] = Field(
        min_length=1, max_length=128, description="one to 128; without one every part would pass"
    )
    outputs: Many[OutputTable] = Field((), max_length=8, description="at most 8")
    records: RecordsTable | None = None
    shadow: ShadowTable | None = None

    display: Display | None = None
    challenge: ChallengeTable | None = None
    drift: DriftTable | None = None

    _active: ActiveBundle | None = PrivateAttr(None)

    @property
    def active(self) -> ActiveBundle | None:
        """The bundle that some of its models come from."""
        return self._active

    def with_active(self, active: ActiveBundle | None) -> Station:
        """The same station, which knows where its models come from."""
        station = self.model_copy()
        station._active = active
        return station

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
