"""Average precision as COCO computes it. Host only: faster-coco-eval is not on a box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray

from models.ppyoloe.dataset import Dataset
from models.results import Defect

__all__ = ["CocoScores", "coco_scores"]

LOOSE_IOU = 0.33
"""Overlap at which the published reference on DeepPCB is measured."""

COCO_IOUS = np.linspace(0.5, 0.95, 10)
"""COCO's ten thresholds; their mean is AP."""

MAX_DETECTIONS = 100
"""Best ones of each class and picture that COCO looks at."""


@dataclass(frozen=True)
class CocoScores:
    """Average precision, 0 to 1; ``None`` where nothing is labelled to be found.

    Attributes
    ----------
    ap
        Mean over IoU 0.50 to 0.95 and over the classes.
    ap50, ap75, ap33
        At one IoU.
    per_class
        Label to ``{"ap": ..., "ap50": ...}``.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    ap33: float | None
    per_class: dict[str, dict[str, float | None]]


def coco_scores(dataset: Dataset, detections: Mapping[int, Sequence[Defect]]) -> CocoScores:
    """Score what was found against a set with faster-coco-eval, the field's implementation.

    Parameters
    ----------
    detections
        What was found, by picture id, with scores far below any threshold in use: AP is an area
        under a curve, and what is left out of the curve is missing in it. 0.01 is customary.
    """
    # The evaluator takes annotation id 0 for "not matched", and no ids beyond 64 bits.
    image_of = {picture.id: number for number, picture in enumerate(dataset.pictures, 1)}
    class_of = {label: number for number, label in enumerate(dataset.labels, 1)}
    truth = COCO(_truth(dataset))
    results = [
        {
            "image_id": image_of[picture],
            "category_id": class_of[defect.label],
            "bbox": _xywh(defect.box),
            "score": float(defect.score),
        }
        for picture, defects in detections.items()
        for defect in defects
    ]
    evaluation = COCOeval_faster(truth, truth.loadRes(results), "bbox")
    evaluation.params.iouThrs = np.concatenate(([LOOSE_IOU], COCO_IOUS))
    evaluation.params.maxDets = [MAX_DETECTIONS]
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluation.evaluate()
    evaluation.accumulate()
    # IoU, recall, class, area, detections; -1 where nothing is labelled
    precision = np.asarray(evaluation.eval["precision"], np.float64)[:, :, :, 0, 0]
    return CocoScores(
        ap=_mean(precision[1:]),
        ap50=_mean(precision[1]),
        ap75=_mean(precision[6]),
        ap33=_mean(precision[0]),
        per_class={
            label: {"ap": _mean(precision[1:, :, index]), "ap50": _mean(precision[1, :, index])}
            for index, label in enumerate(dataset.labels)
        },
    )


def _mean(precision: NDArray[np.float64]) -> float | None:
    known = precision[precision > -1]
    return float(known.mean()) if known.size else None


def _xywh(box: NDArray[np.float32]) -> list[float]:
    x0, y0, x1, y1 = (float(value) for value in box)
    return [x0, y0, x1 - x0, y1 - y0]


def _truth(dataset: Dataset) -> dict[str, list[dict[str, object]]]:
    """The set as a COCO document with ids of its own, counted from 1."""
    annotations: list[dict[str, object]] = []
    for image, picture in enumerate(dataset.pictures, 1):
        for box, index, crowd in zip(picture.boxes, picture.classes, picture.crowd, strict=True):
            x, y, width, height = _xywh(box)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(index) + 1,
                    "bbox": [x, y, width, height],
                    "area": width * height,
                    "iscrowd": int(crowd),
                }
            )
    return {
        "images": [
            {"id": number, "width": each.width, "height": each.height}
            for number, each in enumerate(dataset.pictures, 1)
        ],
        "annotations": annotations,
        "categories": [
            {"id": number, "name": label} for number, label in enumerate(dataset.labels, 1)
        ],
    }
