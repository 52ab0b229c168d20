"""A verdict as the page draws it: its record, and where on the picture everything was found."""

from __future__ import annotations

from typing import Any

from edge.verdict import Verdict

__all__ = ["describe"]


def describe(verdict: Verdict, size: tuple[int, int] | None) -> dict[str, Any]:
    """Plain values, fit for JSON.

    The record, with the values of each reason, and

    ``size``
        Width and height of the picture in pixels, or ``None``; all coordinates are in these.
    ``boxes``
        What was looked at: ``region`` and ``box`` (xyxy, ``None`` is the whole picture).
    ``lines``
        What was read: ``region``, ``text``, ``score``, ``quad``, and whether a reason is about it
        (``bad``).
    ``found``
        Defects: ``region``, ``label``, ``score``, ``box``, ``bad``.
    """
    record = verdict.as_record()
    setting, camera = verdict.part.setting, verdict.part.camera
    blamed = _blamed(verdict)
    lines, found = [], []
    for region, findings in verdict.outcome.findings.items():
        if findings is None:
            continue
        texts, labels = blamed.get(region, (set(), set()))
        lines += [
            {
                "region": region,
                "text": line.text,
                "score": round(line.score, 4),
                "quad": line.quad.astype(float).round(1).tolist(),
                "bad": _is_blamed(line.text, texts),
            }
            for line in findings.lines
        ]
        found += [
            {
                "region": region,
                "label": defect.label,
                "score": round(defect.score, 4),
                "box": defect.box.astype(float).round(1).tolist(),
                "bad": defect.label in labels,
            }
            for defect in findings.defects
        ]
    regions = setting.station.regions_of(camera)
    return record | {
        "size": list(size) if size else None,
        "reasons": [
            {
                "rule": reason.rule,
                "code": reason.code,
                "en": reason.text("en"),
                "zh": reason.text("zh"),
                "values": dict(reason.values),
            }
            for reason in verdict.reasons
        ],
        "boxes": [{"region": r.name, "box": list(r.box) if r.box else None} for r in regions],
        "lines": lines,
        "found": found,
    }


def _blamed(verdict: Verdict) -> dict[str, tuple[set[str], set[str]]]:
    """Region -> the texts and the classes that reasons are about."""
    station = verdict.part.setting.station
    regions = {rule.name: getattr(rule, "region", None) for rule in station.rules}
    blamed: dict[str, tuple[set[str], set[str]]] = {}
    for reason in verdict.reasons:
        region = regions.get(reason.rule)
        if region is None:
            continue
        texts, labels = blamed.setdefault(region, (set(), set()))
        if text := reason.values.get("read"):
            texts.add(text)
        if date := reason.values.get("date"):  # told as it was understood, not as it stands there
            texts.update({date, date.replace("-", "")})
        if label := reason.values.get("label"):
            labels.add(label)
    return blamed


def _is_blamed(text: str, blamed: set[str]) -> bool:
    """Whether a reason quotes the line, or a part of it, or it with others."""
    tight = "".join(text.split())
    quoted = ("".join(each.split()) for each in blamed)
    return bool(tight) and any(each and (each in tight or tight in each) for each in quoted)
