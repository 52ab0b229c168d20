"""A part as a row, and a row as a record: what quality engineers read six months later."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.judge import Reason
from edge.setting import Setting
from edge.verdict import Verdict

__all__ = [
    "GONE",
    "Row",
    "SettingsRow",
    "frame_hash",
    "from_ms",
    "record_of",
    "row_of",
    "settings_of",
    "to_ms",
]

GONE: Mapping[str, tuple[str, str]] = {
    "not_wanted": ("the policy keeps none of such parts", "按策略不保存此类图像"),
    "no_picture": ("the camera gave none", "相机没有图像"),
    "writing": ("it is being written", "正在写入"),
    "busy": ("too many came at once", "同时到达的图像过多"),
    "no_room": ("the disk was full", "磁盘已满"),
    "failed": ("it could not be written", "无法写入"),
    "lost": ("the station was cut off before it was written", "写入前设备中断"),
    "removed": ("it made room for newer ones", "已删除，为新图像腾出空间"),
}
"""Why a row has no picture -> (English, Chinese)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MS = timedelta(milliseconds=1)


@dataclass(frozen=True)
class SettingsRow:
    """What parts were judged by; written once and referred to.

    Attributes
    ----------
    digest
        sha256 of the rest, hex.
    station
        Name of the station.
    bundle
        JSON of name, version and manifest; ``None`` if the models came as files.
    document
        JSON of cameras, models, regions and rules, every threshold with them.
    """

    digest: str
    station: str
    bundle: str | None
    document: str


@dataclass
class Row:
    """One part on its way to the database.

    Attributes
    ----------
    id
        Of the verdict.
    at
        Of the trigger, ms since 1970 UTC.
    settings
        What it was judged by.
    columns
        The other columns of ``parts``, but for those of the picture.
    gone
        Key of :data:`GONE`: why it has no picture, or not yet.
    """

    id: str
    at: int
    settings: SettingsRow
    columns: Mapping[str, object] = field(repr=False)
    gone: str = "not_wanted"


def frame_hash(image: NDArray[np.uint8]) -> str:
    """blake2b-128 of the pixels, row by row, as 32 hex digits (RFC 7693)."""
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).hexdigest()


def to_ms(time: datetime) -> int:
    """Milliseconds since 1970 UTC, the rest cut off; ``time`` has a zone."""
    return (time - _EPOCH) // _MS


def from_ms(ms: int) -> datetime:
    """The moment, UTC."""
    return _EPOCH + ms * _MS


def settings_of(setting: Setting) -> SettingsRow:
    """What parts of this setting are judged by. Sources are left out: they may hold passwords."""
    station = setting.station
    document = _json(
        station.model_dump(
            mode="json",
            include={
                "station": True,
                "cameras": {"__all__": {"name", "policy", "mm_per_pixel"}},
                "models": True,
                "regions": True,
                "rules": True,
            },
        )
    )
    name, bundle = station.station.name, None
    if setting.bundle is not None:
        known = setting.bundle
        bundle = _json({"name": known.name, "version": known.version, "manifest": known.manifest})
    digest = hashlib.sha256(_json([name, bundle, document]).encode()).hexdigest()
    return SettingsRow(digest, name, bundle, document)


def row_of(verdict: Verdict, settings: SettingsRow, hash_of_frame: str | None) -> Row:
    """Everything of a verdict that is kept, as columns."""
    record = verdict.as_record()
    read = {
        region: [
            {
                "text": line.text,
                "score": round(line.score, 4),
                "quad": np.round(line.quad.astype(float), 1).tolist(),
            }
            for line in found.lines
        ]
        for region, found in verdict.outcome.findings.items()
        if found is not None
    }
    reasons = [{"rule": r.rule, "code": r.code, "values": dict(r.values)} for r in verdict.reasons]
    columns = {
        "camera": record["camera"],
        "number": record["part"],
        "product": _clean(record["product"]),
        "lot": None if record["lot"] is None else _clean(record["lot"]),
        "verdict": record["verdict"],
        "reasons": _json(reasons),
        "fields": _json(record["fields"]),
        "read": _json(read),
        "defects": _json(record["defects"]),
        "frame_hash": hash_of_frame,
        "latency_ms": record["latency_ms"],
        "stages_ms": _json(record["stages_ms"]),
        "golden": None if verdict.golden is None else _clean(verdict.golden),
    }
    return Row(verdict.id, to_ms(verdict.part.time), settings, columns)


def record_of(row: sqlite3.Row) -> dict[str, Any]:
    """A row as :meth:`edge.verdict.Verdict.as_record` gives it, and what only the records know."""
    reasons = [
        reason | {language: Reason(**reason).text(language) for language in ("en", "zh")}
        for reason in json.loads(row["reasons"])
    ]
    golden = {} if row["golden"] is None else {"golden": row["golden"]}
    return golden | {
        "seq": row["seq"],
        "id": row["id"],
        "station": row["station"],
        "camera": row["camera"],
        "part": row["number"],
        "time": from_ms(row["at"]).isoformat(timespec="milliseconds"),
        "product": row["product"],
        "lot": row["lot"],
        "verdict": row["verdict"],
        "reasons": reasons,
        "fields": json.loads(row["fields"]),
        "read": json.loads(row["read"]),
        "defects": json.loads(row["defects"]),
        "frame_hash": row["frame_hash"],
        "bundle": None if row["bundle"] is None else json.loads(row["bundle"]),
        "settings": row["digest"],
        "latency_ms": row["latency_ms"],
        "stages_ms": json.loads(row["stages_ms"]),
        "evidence": row["evidence"],
        "evidence_gone": row["evidence_gone"],
    }


def _clean(text: str) -> str:
    """Half a surrogate pair has no UTF-8, and must not keep a part out of the records."""
    return text.encode("utf-8", "replace").decode()


def _json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if "NaN" in text or "Infinity" in text:  # a model gone mad; JSON knows neither
        finite = json.loads(text, parse_constant=lambda _: None)
        text = json.dumps(finite, ensure_ascii=False, separators=(",", ":"))
    return _clean(text)
