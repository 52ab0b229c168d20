"""Two outcomes of one part side by side: what is kept of each, and in what they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from edge.agent.golden import MIN_IOU, box_iou
from edge.verdict import Outcome

__all__ = ["Difference", "difference", "inspection_ms", "plain_outcome"]

Difference: TypeAlias = Literal["same", "rejects", "passes", "content"]
"""``rejects``: OK, but NG by the candidate; ``passes``: the other way round; ``content``: the same
verdict, but another text in a field, or other defects."""

_NOT_ITS_OWN = frozenset({"capture", "wait", "publish"})
"""Stages in which nobody looks at the part."""


def plain_outcome(outcome: Outcome) -> dict[str, Any]:
    """``verdict``, ``reasons``, ``fields``, ``read`` and ``defects`` as plain values, fit for JSON.

    Coordinates are pixels of the frame; ``reasons`` are what :class:`edge.judge.Reason` takes.
    """
    found = {name: each for name, each in outcome.findings.items() if each is not None}
    return {
        "verdict": "OK" if outcome.judgement.ok else "NG",
        "reasons": [
            {"rule": each.rule, "code": each.code, "values": dict(each.values)}
            for each in outcome.judgement.reasons
        ],
        "fields": dict(outcome.judgement.fields),
        "read": {
            region: [
                {
                    "text": line.text,
                    "score": round(float(line.score), 4),
                    "quad": np.round(line.quad.astype(float), 1).tolist(),
                }
                for line in each.lines
            ]
            for region, each in found.items()
        },
        "defects": {
            region: [
                {
                    "label": defect.label,
                    "score": round(float(defect.score), 4),
                    "box": np.round(defect.box.astype(float), 1).tolist(),
                }
                for defect in each.defects
            ]
            for region, each in found.items()
        },
    }


def inspection_ms(outcome: Outcome) -> float:
    """Milliseconds that looking and judging took, without any waiting."""
    own = (took for stage, took in outcome.stages.items() if stage not in _NOT_ITS_OWN)
    return round(sum(own) * 1000, 2)


def difference(active: Mapping[str, Any], candidate: Mapping[str, Any]) -> Difference:
    """In what two outcomes differ, as :func:`plain_outcome` gives them."""
    if active["verdict"] != candidate["verdict"]:
        return "rejects" if active["verdict"] == "OK" else "passes"
    if active["fields"] != candidate["fields"]:
        return "content"
    regions = {*active["defects"], *candidate["defects"]}
    alike = all(
        _same_defects(active["defects"].get(name, ()), candidate["defects"].get(name, ()))
        for name in regions
    )
    return "same" if alike else "content"


def _same_defects(ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> bool:
    """Whether each has one of its label at its place; the surest choose first."""
    if sorted(each["label"] for each in ours) != sorted(each["label"] for each in theirs):
        return False
    left = list(theirs)
    for one in sorted(ours, key=lambda each: -each["score"]):
        box = np.asarray(one["box"], np.float32)
        near = [other for other in left if other["label"] == one["label"]]
        best = max(near, key=lambda other: box_iou(box, np.asarray(other["box"], np.float32)))
        if box_iou(box, np.asarray(best["box"], np.float32)) < MIN_IOU:
            return False
        left.remove(best)
    return True
