"""What the REST interface answers, for its description: the answers themselves are plain dicts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Acknowledged",
    "Acknowledgement",
    "CameraAnswer",
    "Counters",
    "FaultAnswer",
    "Health",
    "JobAnswer",
    "JobChange",
    "ModelAnswer",
    "PartAnswer",
    "Problem",
    "ReasonAnswer",
    "ReasonCount",
    "Record",
    "ShiftCounts",
    "StateAnswer",
]

_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
"""What breaks a line: names of people and lots stand on one."""

_PRINTABLE = rf"^[^{_CONTROL}]*$"

_VISIBLE = rf"^[^{_CONTROL}]*[^{_CONTROL}\s][^{_CONTROL}]*$"


class Problem(BaseModel):
    """Why a request was not done."""

    error: str = Field(description="what is wrong, in one line")
    mend: str = Field(description="what to do about it")


class JobChange(BaseModel):
    """What is to be made from the next part on."""

    model_config = ConfigDict(extra="forbid", strict=True)

    product: Annotated[str, Field(max_length=200, pattern=_PRINTABLE)] = ""
    lot: Annotated[str, Field(max_length=200, pattern=_VISIBLE)] | None = Field(
        None, description="what rules of kind code compare with"
    )
    by: Annotated[str, Field(max_length=64, pattern=_VISIBLE)] = Field(description="who changes it")


class JobAnswer(BaseModel):
    """What is made now; ``version`` is what a change must give as ``If-Match``."""

    product: str
    lot: str | None
    version: int
    by: str | None = Field(description="who changed it last, if it was changed here")
    at: str | None = Field(description="when, on the wall clock")
    products: list[str] = Field(description="made lately, the newest first")


class Acknowledgement(BaseModel):
    """Which faults somebody has seen."""

    model_config = ConfigDict(extra="forbid", strict=True)

    faults: Annotated[list[str], Field(max_length=64)] | None = Field(
        None, description="their ids; all of them if left out"
    )


class Acknowledged(BaseModel):
    """Which of them were news."""

    acknowledged: list[str]


class FaultAnswer(BaseModel):
    """A fault of the machine."""

    id: str
    kind: Literal["camera", "inspection", "output", "records", "station"]
    name: str
    en: str
    zh: str
    since: str
    count: int
    active: bool
    acknowledged: bool


class ShiftCounts(BaseModel):
    """What the shift came to so far."""

    model_config = ConfigDict(populate_by_name=True)

    since: str
    parts: int
    ok: int
    ng: int
    late: int
    yield_: float | None = Field(alias="yield", description="0 to 1")


class ReasonCount(BaseModel):
    """How often parts were rejected for one reason."""

    rule: str
    code: str
    count: int


class Counters(ShiftCounts):
    """The shift with its reasons, its latency and its trend."""

    reasons: list[ReasonCount]
    latency_ms: dict[str, float] = Field(description="p50, p90, p99, max of the newest parts")
    minutes: int = Field(description="how long the station has run")
    trend: list[tuple[int, int, int]] = Field(description="minutes ago, OK, NG")
    lost: dict[str, dict[str, int]] = Field(description="camera to what it lost since the start")


class ReasonAnswer(BaseModel):
    """Why a part is NG."""

    rule: str
    code: str
    en: str
    zh: str
    values: dict[str, str] = {}


class Record(BaseModel):
    """What the station says of a picture."""

    camera: str
    time: str
    product: str
    lot: str | None
    verdict: Literal["OK", "NG"]
    reasons: list[ReasonAnswer]
    fields: dict[str, str]
    read: dict[str, Any]
    defects: dict[str, Any]
    latency_ms: float
    stages_ms: dict[str, float]


class PartAnswer(Record):
    """A part of the line; coordinates are pixels of a picture of ``size``."""

    id: str
    part: int = Field(description="counts the parts of its camera from 1")
    size: tuple[int, int] | None
    boxes: list[dict[str, Any]]
    lines: list[dict[str, Any]]
    found: list[dict[str, Any]]


class CameraAnswer(BaseModel):
    """A camera and the part that it shows."""

    name: str
    state: Literal["starting", "running", "lost", "ended", "stopped"]
    reason: str
    ok: int
    ng: int
    rate: float | None = Field(description="parts a minute")
    at: float | None = Field(description="when the part came, by the clock of beat.monotonic")
    part: PartAnswer | None
    picture: bool = Field(description="whether its picture can be had")
    newest_ng: str | None = Field(description="id of the newest rejected part")


class StateAnswer(BaseModel):
    """What is seen at a glance."""

    station: str
    job: JobAnswer
    shift: ShiftCounts
    ng_count: int = Field(description="rejected parts since the start")
    cameras: list[CameraAnswer]
    faults: list[FaultAnswer]


class ModelAnswer(BaseModel):
    """An open model."""

    name: str
    family: str
    files: dict[str, str] = Field(description="role to path, or zoo:NAME")
    threads: int
    regions: list[str] = Field(description="what it looks at")
    bundle: str | None = Field(description="that the models come from")


class Health(BaseModel):
    """Whether the station is fit for work."""

    ok: bool
    reasons: list[str]
