"""PP-OCRv4 on the box: opens its engines and reads regions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.engines import Engine, open_engine
from edge.station.schema import PpocrModel, Region
from models.ppocr.reader import Reader
from models.ppocr.rec import HEIGHT, check_dictionary, load_dictionary
from models.results import Findings
from models.stopwatch import Stopwatch
from models.zoo import resolve

__all__ = ["ZOO_READER", "open_ppocr", "open_reader"]

INPUT = "x"
"""What every PP-OCR network calls its input."""

SAMPLES = {"det": (1, 3, 320, 320), "rec": (1, 3, HEIGHT, 320), "cls": (1, 3, 48, 192)}
"""Input shapes for the trial in a child process and for warming up."""

ZOO_READER = {
    "det": "zoo:ppocrv4-det-onnx",
    "rec": "zoo:ppocrv4-rec-onnx",
    "cls": "zoo:ppocr-cls-onnx",
    "dictionary": "zoo:ppocr-keys",
}
"""The models that are taken where none is named."""


def open_reader(
    rec: str,
    dictionary: str,
    det: str | None = None,
    cls: str | None = None,
    *,
    threads: int,
    cores: Sequence[int] | None = None,
) -> Reader:
    """Open the engines of a reader.

    Parameters
    ----------
    rec, dictionary, det, cls
        Paths, or ``zoo:NAME``.
    threads, cores
        Of each engine; they run one after the other, never side by side.

    Raises
    ------
    ModelError
        A file is missing or altered, an engine refuses it, or the dictionary is not the
        recogniser's.
    """

    def engine(reference: str, role: str) -> Engine:
        sample = {INPUT: SAMPLES[role]}
        return open_engine(resolve(reference), threads=threads, cores=cores, sample=sample)

    keys = resolve(dictionary)
    characters = load_dictionary(keys)
    recogniser = engine(rec, "rec")
    (probabilities,) = recogniser.run({INPUT: np.zeros(SAMPLES["rec"], np.float32)}).values()
    check_dictionary(characters, probabilities.shape[-1], keys)
    return Reader(
        recogniser,
        characters,
        engine(det, "det") if det else None,
        engine(cls, "cls") if cls else None,
    )


class _Ppocr:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def inspect(self, image: NDArray[np.uint8], region: Region, watch: Stopwatch) -> Findings:
        return Findings(lines=self._reader.read(image, region.mode, region.box, watch))


def open_ppocr(model: PpocrModel, min_score: float | None) -> _Ppocr:
    """Open a PP-OCR model of a station; errors as :func:`open_reader`.

    ``min_score`` changes nothing: every line is reported, however unsure.
    """
    return _Ppocr(
        open_reader(
            model.rec,
            model.dictionary,
            model.det,
            model.cls,
            threads=model.threads,
            cores=model.cores or None,
        )
    )
