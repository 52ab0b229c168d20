"""What models of each family are measured by, picture by picture.

::

    metric = make_metric(recipe, dictionary=characters)
    before, after = metric.evaluate(first, items), metric.evaluate(second, items)
    print(before.value, interval(metric, before.per_item, seed=0))
"""

from __future__ import annotations

from collections.abc import Sequence

from compress.metrics.base import Counts, Evaluation, Feeds, Metric, Network, Progress, groups
from compress.metrics.defects import DefectMetric
from compress.metrics.raw import RawMetric
from compress.metrics.text import ClsMetric, DetMetric, RecMetric
from compress.recipe import Recipe
from models.ppyoloe.config import DetectorConfig

__all__ = [
    "Counts",
    "Evaluation",
    "Feeds",
    "Metric",
    "Network",
    "Progress",
    "groups",
    "make_metric",
]


def make_metric(
    recipe: Recipe,
    *,
    dictionary: Sequence[str] = (),
    config: DetectorConfig | None = None,
    labels: Sequence[str] = (),
    original: Network | None = None,
) -> Metric:
    """What a recipe measures by.

    Parameters
    ----------
    dictionary
        Of a recogniser.
    config, labels
        Of a detector: what goes with the model, and the class names of the data.
    original
        Of a raw model: the FP32 one.
    """
    if recipe.family == "ppocr_rec":
        return RecMetric(dictionary, recipe.mode)
    if recipe.family == "ppocr_det":
        return DetMetric(recipe.max_side)
    if recipe.family == "ppocr_cls":
        return ClsMetric()
    if recipe.family == "ppyoloe":
        if config is None:
            raise ValueError("a detector needs its configuration")
        return DefectMetric(config, labels, "AP" if recipe.metric == "ap" else "AP50")
    if recipe.input is None or original is None:
        raise ValueError("a raw model needs its input and its original")
    return RawMetric(recipe.input, str(original.inputs[0].name), original)
