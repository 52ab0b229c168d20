"""What the REST interface answers, for its description: the answers themselves are plain dicts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "Acknowledged",
    "Acknowledgement",
    "BundleAnswer",
    "CameraAnswer",
    "ChallengeAnswer",
    "ChallengeStep",
    "Counters",
    "EndedChallenge",
    "FaultAnswer",
    "GoldenAnswer",
    "Health",
    "JobAnswer",
    "JobChange",
    "ModelAnswer",
    "ModelSwitch",
    "ModelsAnswer",
    "NextGolden",
    "PartAnswer",
    "Problem",
    "ReasonAnswer",
    "ReasonCount",
    "Record",
    "RecordAnswer",
    "RecordRow",
    "RecordsAnswer",
    "ShadowAnswer",
    "ShadowCounts",
    "ShiftCounts",
    "SignalAnswer",
    "SlotAnswer",
    "StateAnswer",
    "Triggered",
    "problems",
]

_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
"""What breaks a line: names of people and lots stand on one."""

_PRINTABLE = rf"^[^{_CONTROL}]*$"

_VISIBLE = rf"^[^{_CONTROL}]*[^{_CONTROL}\s][^{_CONTROL}]*$"


class Problem(BaseModel):
    """Why a request was not done."""

    error: str = Field(description="what is wrong, in one line")
    mend: str = Field(description="what to do about it")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Refusals of a route, for its description."""
    return {status: {"model": Problem} for status in statuses}


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
    kind: Literal["camera", "inspection", "output", "records", "station", "box", "upkeep", "drift"]
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


class ShadowCounts(BaseModel):
    """What two bundles said of the same parts."""

    station: str
    active: str
    candidate: str
    since: str
    seen: int = Field(description="parts that could have been compared")
    compared: int
    same_ok: int
    same_ng: int
    rejects: int = Field(description="passed, but NG by the candidate")
    passes: int = Field(description="rejected, but OK by the candidate")
    content: int = Field(description="of the same verdict, but with another field or defect")
    rejects_95: tuple[float, float] | None = Field(description="95% interval of the share")
    passes_95: tuple[float, float] | None
    active_ms: dict[str, float | None] = Field(description="p50 and p99 of the newest parts")
    candidate_ms: dict[str, float | None]


class ShadowAnswer(BaseModel):
    """How it goes with a bundle that looks on, and is obeyed by nobody."""

    phase: Literal["waiting", "opening", "comparing", "off", "done"]
    en: str | None = Field(description="why it is off")
    zh: str | None
    active: str | None
    candidate: str | None
    counts: ShadowCounts | None


class Counters(ShiftCounts):
    """The shift with its reasons, its latency and its trend."""

    reasons: list[ReasonCount]
    latency_ms: dict[str, float] = Field(description="p50, p90, p99, max of the newest parts")
    minutes: int = Field(description="how long the station has run")
    trend: list[tuple[int, int, int]] = Field(description="minutes ago, OK, NG")
    lost: dict[str, dict[str, int]] = Field(description="camera to what it lost since the start")
    shadow: ShadowAnswer | None


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
    golden: str | None = Field(None, description="name of the golden part that it is")


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


class NextGolden(BaseModel):
    """A golden part, and what the station must say of it."""

    name: str
    camera: str
    expected: Literal["OK", "NG"]


class GoldenAnswer(BaseModel):
    """A golden part that was shown, and what came of it."""

    name: str
    camera: str
    expected: Literal["OK", "NG"]
    reason: str | None = Field(description="code that it must be rejected for, if one is asked")
    label: str | None = Field(description="defect that it must show, if one is asked")
    part: str = Field(description="id of its verdict")
    verdict: Literal["OK", "NG"]
    reasons: list[dict[str, str]]
    right: bool


class EndedChallenge(BaseModel):
    """The newest challenge of this run that has ended."""

    id: str
    at: str
    by: str
    ending: Literal["passed", "wrong", "aborted", "timeout", "stopped"]
    shown: list[GoldenAnswer]


class ChallengeAnswer(BaseModel):
    """How the challenge stands."""

    locked: bool = Field(description="whether every part of the production is rejected")
    due_since: str | None
    until: str | None = Field(description="how long the one that was passed counts")
    running: bool
    by: str | None = Field(description="who is at it")
    steps: int
    parts: list[NextGolden] = Field(description="that are shown, in this order")
    step: int = Field(description="from 1; 0 while none is under way")
    confirm: bool = Field(description="whether it waits for `placed`")
    next: NextGolden | None = Field(description="that is waited for")
    shown: list[GoldenAnswer]
    last: EndedChallenge | None


class ChallengeStep(BaseModel):
    """What an operator does."""

    model_config = ConfigDict(extra="forbid", strict=True)

    action: Literal["start", "placed", "abort"] = Field(
        description="start it; the part that was asked for lies there; break it off"
    )
    by: Annotated[str, Field(max_length=64, pattern=_VISIBLE)] = Field(description="who does it")


class StateAnswer(BaseModel):
    """What is seen at a glance."""

    station: str
    job: JobAnswer
    shift: ShiftCounts
    ng_count: int = Field(description="rejected parts since the start")
    bundle: BundleAnswer | None = Field(description="that judges; none: models come as files")
    cameras: list[CameraAnswer]
    faults: list[FaultAnswer]
    challenge: ChallengeAnswer | None = Field(description="none: the station file asks for none")


class BundleAnswer(BaseModel):
    """The bundle that judges."""

    name: str
    version: str
    manifest: str = Field(description="sha256, hex")


class SlotAnswer(BaseModel):
    """One of the two slots of the box."""

    slot: Literal["a", "b"]
    state: Literal["EMPTY", "RECEIVING", "STAGED", "TRIAL", "CONFIRMED"]
    active: bool = Field(description="what judges, or takes over within seconds")
    name: str | None
    version: str | None
    manifest: str | None = Field(description="sha256, hex")


class ModelSwitch(BaseModel):
    """Which confirmed bundle is to be active: one of both."""

    model_config = ConfigDict(extra="forbid", strict=True)

    slot: Literal["a", "b"] | None = None
    version: Annotated[str, Field(min_length=1, max_length=64)] | None = None

    @model_validator(mode="after")
    def _one(self) -> ModelSwitch:
        if (self.slot is None) == (self.version is None):
            raise ValueError("name a slot or a version, and not both")
        return self


class Triggered(BaseModel):
    """A part that was triggered."""

    camera: str
    time: str = Field(description="of the trigger, as its record has it")


class ModelAnswer(BaseModel):
    """An open model."""

    name: str
    family: str
    files: dict[str, str] = Field(description="role to path, or zoo:NAME")
    threads: int
    cores: list[int] = Field(description="where its threads stay; none: anywhere")
    regions: list[str] = Field(description="what it looks at")
    bundle: str | None = Field(description="that the models come from")


class ModelsAnswer(BaseModel):
    """What judges, and what lies in the slots."""

    bundle: BundleAnswer | None = Field(description="none: models come as files")
    slots: list[SlotAnswer]
    models: list[ModelAnswer]


class SignalAnswer(BaseModel):
    """What an output told a machine about a part."""

    output: str
    said: str
    time: str
    acknowledged: str | None
    error: str | None


class RecordRow(BaseModel):
    """A part as the records have it."""

    seq: int = Field(description="the order in which verdicts came, whatever clocks say")
    id: str
    station: str
    camera: str
    part: int
    time: str
    product: str
    lot: str | None
    verdict: Literal["OK", "NG"]
    reasons: list[ReasonAnswer]
    fields: dict[str, str]
    read: dict[str, Any]
    defects: dict[str, Any]
    frame_hash: str | None = Field(description="blake2b-128 of the pixels")
    bundle: BundleAnswer | None
    settings: str = Field(description="digest of what it was judged by")
    latency_ms: float
    stages_ms: dict[str, float]
    golden: str | None = Field(None, description="name of the golden part that it is")
    evidence: str | None = Field(description="path of its picture, below the records")
    evidence_gone: str | None = Field(description="or why there is none")


class RecordAnswer(RecordRow):
    """All that is known of it."""

    signals: list[SignalAnswer]
    thresholds: dict[str, Any] | None


class RecordsAnswer(BaseModel):
    """Some records, the newest first."""

    records: list[RecordRow]
    next: int | None = Field(description="`cursor` for older ones; none: these were the last")


class Health(BaseModel):
    """Whether the station is fit for work."""

    ok: bool
    reasons: list[str]
