"""Watches for slow changes while parts pass; an output of the loop, which judges nothing."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from edge.camera.capture import State
from edge.judge.drift import Measure, Shift, Watch, brightness
from edge.setting import Setting
from edge.station import Region
from edge.station.drift import DriftTable
from edge.verdict import Verdict
from models.atomic import write_atomic
from models.errors import StorageError
from models.results import Findings

__all__ = ["DriftWatch", "Told"]

_log = logging.getLogger(__name__)

Told = Callable[[str, str | None, str | None], None]
"""Told what has drifted, and in English and Chinese how; ``None``, when it has come back."""

MOST = 256
"""References that are kept: 20 products of four regions with three measures each."""

QUANTITIES = {
    "brightness": (
        "brightness {now:.0f}, was {was:.0f} when it was learnt: see to lamp and lens",
        "亮度 {now:.0f}，学习时为 {was:.0f}：请检查光源和镜头",
    ),
    "reading": (
        "reads with a score of {now:.2f}, was {was:.2f} when it was learnt: see to print and focus",
        "识别置信度 {now:.2f}，学习时为 {was:.2f}：请检查印字和对焦",
    ),
    "defects": (
        "good parts show defects of score {now:.2f}, was {was:.2f}: see to lens, light and parts",
        "合格品的缺陷置信度 {now:.2f}，学习时为 {was:.2f}：请检查镜头、光源和来料",
    ),
}
"""What is measured -> what is said of its change, (English, Chinese)."""

Quantity = Literal["brightness", "reading", "defects"]

_Key = tuple[str, str, str]
"""Camera, region, quantity."""


class _Kept(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    references: dict[str, list[float]]


class DriftWatch:
    """Compares the newest parts with those that were learnt, region by region.

    Parameters
    ----------
    table
        What the station file says.
    path
        Where what was learnt is kept over a restart.
    tell
        Called when something has drifted, again with newer figures, and when it has come back.
    """

    name = "drift"
    pictures = True

    def __init__(self, table: DriftTable, path: Path, tell: Told) -> None:
        self._table, self._path, self._tell = table, path, tell
        self._measures: dict[str, Measure] = {
            "brightness": Measure(table.brightness, relative=True),
            "reading": Measure(table.score),
            "defects": Measure(table.score, quantile=0.9),
        }
        self._known = self._load()
        self._watches: dict[_Key, tuple[str, Watch]] = {}
        self._drifted: set[_Key] = set()
        self._setting: Setting | None = None
        self._digests: dict[str, str] = {}
        self._renew = threading.Event()

    def renew(self) -> None:
        """Learn all anew, from the next part on: somebody has made sure that all is well."""
        self._renew.set()

    def verdict(self, verdict: Verdict) -> None:
        """Measure the part."""
        if self._renew.is_set():
            self._renew.clear()
            self._known.clear()
            self._drop()
            self._save()
        setting, frame = verdict.part.setting, verdict.part.frame
        if verdict.golden is not None or setting.lock is not None or frame is None:
            return
        for region in setting.station.regions_of(verdict.part.camera):
            found = verdict.outcome.findings.get(region.name)
            if (light := brightness(frame.image, region.box)) is not None:
                self._add(setting, region, "brightness", light, good=verdict.ok)
            if found is not None:
                quantity = _QUANTITY[setting.station.models[region.model].finds]
                score = _SCORES[quantity](found, verdict.ok)
                if score is not None:
                    self._add(setting, region, quantity, score, good=verdict.ok)

    def camera(self, camera: str, state: State, reason: str) -> None:
        """Nothing of its."""

    def close(self) -> None:
        """What has been learnt is kept already."""

    def _add(
        self, setting: Setting, region: Region, quantity: Quantity, value: float, *, good: bool
    ) -> None:
        key = (region.camera, region.name, quantity)
        kind = f"{self._digest(setting, region)} {quantity}"
        watched, watch = self._watches.get(key, ("", None))
        if watch is None or watched != kind:  # another product, region or model
            self._drop(key)
            learnt = self._known.get(kind, [])
            watch = Watch(
                self._measures[quantity], self._table.reference, self._table.window, learnt
            )
            self._watches[key] = (kind, watch)
        if not watch.add(value, good=good):
            return
        if kind not in self._known and watch.reference is not None:
            self._known[kind] = [round(float(each), 4) for each in watch.reference]
            while len(self._known) > MOST:
                del self._known[next(iter(self._known))]
            self._save()
        if watch.shift is not None or key in self._drifted:
            self._say(key, watch.shift)

    def _drop(self, *keys: _Key) -> None:
        """Forget what is watched, all if none is named; what has drifted is over."""
        for key in keys or list(self._watches):
            self._watches.pop(key, None)
            if key in self._drifted:
                self._say(key, None)

    def _say(self, key: _Key, shift: Shift | None) -> None:
        camera, region, quantity = key
        name = f"{camera} {region} {quantity}"
        if shift is None:
            self._drifted.discard(key)
            self._tell(name, None, None)
            return
        self._drifted.add(key)
        en, zh = (text.format(was=shift.was, now=shift.now) for text in QUANTITIES[quantity])
        self._tell(name, en, zh)

    def _digest(self, setting: Setting, region: Region) -> str:
        """Names what values depend on: product, place and model."""
        if setting is not self._setting:
            self._setting = setting
            self._digests.clear()
        if region.name not in self._digests:
            station = setting.station
            parts = (
                station.job.product,
                region.model_dump_json(),
                station.models[region.model].model_dump_json(),
                setting.bundle.manifest if setting.bundle else "",
            )
            digest = hashlib.sha256("\0".join(parts).encode("utf-8", "replace"))
            self._digests[region.name] = digest.hexdigest()[:16]
        return self._digests[region.name]

    def _load(self) -> dict[str, list[float]]:
        try:
            return _Kept.model_validate_json(self._path.read_bytes()).references
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError) as error:
            _log.warning("%s: cannot be read (%s): all is learnt anew", self._path, error)
            return {}

    def _save(self) -> None:
        try:
            write_atomic(self._path, _Kept(references=self._known).model_dump_json().encode())
        except StorageError as error:  # the next run learns anew
            _log.warning("%s", error)


def _reading(found: Findings, good: bool) -> float | None:
    """Parts that were rejected count too: print that fades makes rejects."""
    if not found.lines:
        return None
    return sum(line.score for line in found.lines) / len(found.lines)


def _faint(found: Findings, good: bool) -> float | None:
    """The surest defect of a part that passed: one that is near to be rejected, or none."""
    return max((each.score for each in found.defects), default=0.0) if good else None


_QUANTITY: dict[str, Quantity] = {"text": "reading", "defects": "defects"}
_SCORES = {"reading": _reading, "defects": _faint}
