"""What the station makes of one picture: every region looked at, and the job's rules over all."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date

import numpy as np
from numpy.typing import NDArray

from edge.judge import Judgement, Reason, judge
from edge.setting import Setting, SharedModel
from edge.verdict import Outcome
from models.errors import LineguardError
from models.results import Findings
from models.stopwatch import Stopwatch

__all__ = ["inspect"]

_log = logging.getLogger(__name__)


def _at_once(model: SharedModel) -> None:
    """Ask nobody before a model is used."""


def inspect(
    setting: Setting,
    camera: str,
    image: NDArray[np.uint8],
    today: date,
    watch: Stopwatch,
    before: Callable[[SharedModel], None] = _at_once,
) -> Outcome:
    """Look at all regions of a camera's picture, and judge what was found.

    Never raises for what befalls a region: what cannot be evaluated is NG.

    Parameters
    ----------
    setting
        The models and rules.
    camera
        Whose picture it is.
    image
        ``(H, W, 3) uint8`` BGR.
    today
        What dates are compared with.
    watch
        Counts the stages; what it holds already stays.
    before
        Called ahead of each use of a model; may wait, and what it raises ends the inspection.
    """
    findings: dict[str, Findings | None] = {}
    failures: list[Reason] = []
    for region, model in setting.regions(camera):
        before(model)
        try:
            findings[region.name] = model.inspect(image, region, watch)
        except LineguardError as error:
            _log.warning("region %s: %s", region.name, error)
            failures.append(Reason(region.name, "cannot_evaluate", {"error": str(error)}))
        except Exception:
            _log.exception("region %s could not be inspected", region.name)
            failures.append(Reason("", "engine_failed", {"region": region.name}))
    if failures:
        return Outcome(Judgement(False, tuple(failures)), findings, watch.seconds)
    with watch("judge"):
        scale = setting.station.camera(camera).mm_per_pixel
        judgement = judge(setting.rules(camera), findings, setting.station.job, today, scale)
    return Outcome(judgement, findings, watch.seconds)
