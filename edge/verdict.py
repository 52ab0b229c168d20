"""A part on its way through the station, and the verdict that every one of them gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from edge.camera.base import Frame
from edge.deadline import Deadline
from edge.judge import Judgement, Reason
from edge.setting import Setting
from models.results import Findings

__all__ = ["Outcome", "Part", "Verdict", "rejected"]


@dataclass(frozen=True)
class Part:
    """One trigger of one camera.

    Attributes
    ----------
    setting
        What it is judged by.
    camera
        Its name.
    captured
        When it was triggered, ``time.monotonic()`` seconds.
    time
        The same moment on the wall clock, UTC.
    deadline
        By when its verdict is due.
    queued
        When it was handed to inference, ``time.monotonic()`` seconds.
    frame
        Its picture; ``None`` if there was none, or where nobody wants to see it any more.
    truth
        What the simulated line printed on it; ``None`` on a real one.
    """

    setting: Setting
    camera: str
    captured: float
    time: datetime
    deadline: Deadline
    queued: float
    frame: Frame | None
    truth: object = None


@dataclass(frozen=True)
class Outcome:
    """What inference and judge made of a part.

    Attributes
    ----------
    judgement
        OK, or NG with its reasons.
    findings
        Region name to what was found; ``None`` where the engine failed.
    stages
        Seconds by stage: ``capture``, ``wait``, ``pre``, ``infer``, ``post``, ``judge``.
    """

    judgement: Judgement
    findings: Mapping[str, Findings | None] = field(default_factory=dict)
    stages: Mapping[str, float] = field(default_factory=dict)


def rejected(code: str, **values: object) -> Outcome:
    """An outcome for what befell the machine, not the part: NG with that one reason."""
    said = {name: str(value) for name, value in values.items()}
    return Outcome(Judgement(False, (Reason("", code, said),)))


@dataclass(frozen=True)
class Verdict:
    """The one and only answer for a part.

    Attributes
    ----------
    number
        Counts the parts of its camera from 1.
    part
        The part, with its frame.
    outcome
        What it was decided by.
    latency
        Trigger to verdict, seconds.
    publish
        How much of that passed after the outcome stood: waiting for the parts before it, seconds.
    golden
        Name of the golden part that it is: none of the production, and counted nowhere.
    """

    number: int
    part: Part
    outcome: Outcome
    latency: float
    publish: float
    golden: str | None = None

    @property
    def id(self) -> str:
        """Names the part among all that the station ever saw; fit for a file name."""
        return f"{self.part.setting.run}-{self.part.camera}-{self.number}"

    @property
    def ok(self) -> bool:
        """Whether the part passes."""
        return self.outcome.judgement.ok

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why not; empty if and only if it passes."""
        return self.outcome.judgement.reasons

    @property
    def late(self) -> bool:
        """Whether it is NG because no outcome stood at its deadline."""
        return any(reason.code == "late" for reason in self.reasons)

    def without_picture(self) -> Verdict:
        """The same, holding no pixels: a queue of these is small."""
        return replace(self, part=replace(self.part, frame=None))

    def as_record(self) -> dict[str, Any]:
        """What is written down of it: plain values, fit for JSON; times in milliseconds."""
        stages = {**self.outcome.stages, "publish": self.publish}
        job = self.part.setting.station.job
        golden = {} if self.golden is None else {"golden": self.golden}
        return golden | {
            "id": self.id,
            "camera": self.part.camera,
            "part": self.number,
            "time": self.part.time.isoformat(timespec="milliseconds"),
            "product": job.product,
            "lot": job.lot,
            "verdict": "OK" if self.ok else "NG",
            "reasons": [
                {"rule": r.rule, "code": r.code, "en": r.text("en"), "zh": r.text("zh")}
                for r in self.reasons
            ],
            "fields": dict(self.outcome.judgement.fields),
            "read": {
                region: [{"text": line.text, "score": round(line.score, 4)} for line in f.lines]
                for region, f in self.outcome.findings.items()
                if f is not None
            },
            "defects": {
                region: [
                    {
                        "label": defect.label,
                        "score": round(defect.score, 4),
                        "box": defect.box.astype(float).round(1).tolist(),
                    }
                    for defect in f.defects
                ]
                for region, f in self.outcome.findings.items()
                if f is not None
            },
            "latency_ms": round(self.latency * 1000, 2),
            "stages_ms": {stage: round(s * 1000, 2) for stage, s in stages.items()},
        }
