"""PP-YOLOE on the box: opens its engine and looks at regions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.engines import open_engine
from edge.station.schema import PpyoloeModel, Region
from models.errors import EngineError, ModelError
from models.ppyoloe.config import read_config, sidecar
from models.ppyoloe.detector import INPUT, Detector
from models.results import Findings
from models.stopwatch import Stopwatch
from models.zoo import resolve

__all__ = ["open_detector", "open_ppyoloe"]


def open_detector(
    det: str,
    labels: Sequence[str] | None = None,
    *,
    threads: int,
    cores: Sequence[int] | None = None,
) -> Detector:
    """Open the engine of a detector; what goes with it stands in the JSON file beside it.

    Parameters
    ----------
    det
        Path, or ``zoo:NAME``.
    labels
        What its classes are taken to be; whatever it says itself if ``None``.
    threads, cores
        Of the engine.

    Raises
    ------
    ModelError
        A file is missing or altered, the engine refuses it, or the labels are not the network's.
    """
    path = resolve(det)
    beside = sidecar(path)
    config = read_config(beside)
    if labels is not None and tuple(labels) != config.labels:
        raise ModelError(
            f"{beside}: the classes are {_listed(config.labels)}, the station has "
            f"{_listed(labels)}: write labels = [{_listed(config.labels)}] there"
        )
    width, height = config.size
    sample = {INPUT: (1, 3, height, width)}
    engine = open_engine(path, threads=threads, cores=cores, sample=sample)
    try:
        detector = Detector(engine, config)
        detector.detect(np.zeros((height, width, 3), np.uint8))  # says whether the outputs fit
    except ModelError as error:
        raise EngineError(f"{path}: {error}") from error
    return detector


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(f'"{label}"' for label in labels)


class _Ppyoloe:
    def __init__(self, detector: Detector, threshold: float) -> None:
        self._detector, self._threshold = detector, threshold

    def inspect(self, image: NDArray[np.uint8], region: Region, watch: Stopwatch) -> Findings:
        return self._detector.find(image, region.box, watch, self._threshold)


def open_ppyoloe(model: PpyoloeModel, min_score: float | None) -> _Ppyoloe:
    """Open a PP-YOLOE model of a station; errors as :func:`open_detector`.

    It reports whatever any rule may ask for: what scores ``min_score``, the smallest that a rule
    gives, or the model's own threshold.
    """
    detector = open_detector(
        model.det, model.labels, threads=model.threads, cores=model.cores or None
    )
    own = detector.config.threshold
    return _Ppyoloe(detector, own if min_score is None else min(own, min_score))
