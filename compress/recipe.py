"""What a model is to become, from which pictures, and what it must still be able to do.

A recipe is a TOML file; ``tools.recipe_file`` reads it and says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, Strict, StringConstraints, model_validator

__all__ = [
    "METRICS",
    "Aware",
    "Family",
    "Gate",
    "Input",
    "Method",
    "MetricName",
    "Prune",
    "Quantise",
    "Quick",
    "Recipe",
    "Source",
    "Table",
    "Target",
    "Tune",
    "Which",
    "quick_recipe",
]

Family = Literal["ppocr_det", "ppocr_rec", "ppocr_cls", "ppyoloe", "raw"]
MetricName = Literal["hmean", "exact", "accuracy", "ap50", "ap", "agreement"]
Method = Literal["minmax", "percentile", "mse"]
Target = Literal["arm64-lite", "armv7-lite", "arm64-onnx", "x86-onnx"]
Which = Literal["calibration", "tuning", "evaluation"]

METRICS: dict[Family, tuple[MetricName, ...]] = {
    "ppocr_det": ("hmean",),
    "ppocr_rec": ("exact",),
    "ppocr_cls": ("accuracy",),
    "ppyoloe": ("ap50", "ap"),
    "raw": ("agreement",),
}
"""What a model of each family is measured by; the first one where the recipe does not say."""

T = TypeVar("T")
_Many = Annotated[tuple[T, ...], Strict(False)]
_Triple = Annotated[tuple[float, float, float], Strict(False)]
_Positive = Annotated[float, Field(gt=0)]
_Minutes = Annotated[float, Field(gt=0, le=7 * 24 * 60)]
_Path = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class Table(BaseModel):
    """One table of a recipe: strict, frozen, and closed to unknown keys."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Source(Table):
    """``[[calibration]]``, ``[[tuning]]``, ``[[evaluation]]``: where pictures come from.

    Those of a file are shuffled, always alike, before some are skipped and some are taken: two
    sources of the same file that do not reach into each other share no picture.
    """

    path: _Path = Field(
        description="a label file, a COCO file, or a folder of pictures; relative to the data"
    )
    images: _Path | None = Field(None, description="folder of the pictures of a COCO file")
    skip: int = Field(0, ge=0, description="pictures to leave out")
    count: int | None = Field(None, ge=1, description="pictures to take; left out: all")
    group: str | None = Field(
        None, min_length=1, max_length=40, description="under which name the report counts it"
    )


class Input(Table):
    """``[input]``: how a picture becomes the input of a ``raw`` model."""

    width: int = Field(ge=8, le=4096, description="pixels")
    height: int = Field(ge=8, le=4096, description="pixels")
    colour: Literal["bgr", "rgb"] = "bgr"
    mean: _Triple = Field((0.0, 0.0, 0.0), description="of each channel, of pixels of 0 to 1")
    std: Annotated[tuple[_Positive, _Positive, _Positive], Strict(False)] = Field(
        (1.0, 1.0, 1.0), description="what is left is divided by it"
    )


class Gate(Table):
    """``[gate]``: what the result must hold to be shipped."""

    metric: MetricName | None = Field(None, description="left out: the family's own")
    drop: float = Field(
        0.01, ge=0, lt=1, description="share of the metric that may be lost against FP32"
    )
    group_drop: float | None = Field(
        None, ge=0, lt=1, description="the same within each group; left out: as drop"
    )
    speed: float | None = Field(None, gt=0, description="how many times as fast it must be")
    size: float | None = Field(None, gt=0, description="share of the size that it may have")


class Prune(Table):
    """``[prune]``: channels are taken out until so much is left."""

    flops: float = Field(gt=0.05, lt=1, description="share of the FLOPs to keep")
    ratios: _Many[Annotated[float, Field(gt=0, lt=1)]] = Field(
        (0.125, 0.25, 0.5),
        min_length=1,
        max_length=9,
        description="shares of a group's channels, at which its sensitivity is measured",
    )
    count: int = Field(64, ge=1, description="pictures that sensitivity is measured on")
    skip: _Many[str] = Field((), description="parameters whose channels stay")


class Tune(Table):
    """``[tune]``: training from the FP32 original as teacher, and from labels where there are."""

    minutes: _Minutes | None = None
    steps: int | None = Field(None, ge=1, le=1_000_000)
    learning_rate: float = Field(1e-4, gt=0, le=0.1)
    batch: int = Field(16, ge=1, le=256, description="pictures a step")
    labels: bool = Field(False, description="learn from the labels too (recogniser only)")

    @model_validator(mode="after")
    def _one(self) -> Tune:
        if (self.minutes is None) == (self.steps is None):
            raise ValueError("say how long: either minutes or steps")
        return self


class Quantise(Table):
    """``[quantise]``: weights and activations to INT8."""

    methods: _Many[Method] = Field(
        ("minmax", "percentile", "mse"),
        min_length=1,
        description="tried in this order; then for each layer the one that suits it",
    )
    skip: _Many[str] = Field((), description="nodes that stay FP32 in any case")
    most_skipped: int = Field(
        8, ge=0, le=200, description="further layers that may stay FP32 to pass the gate"
    )


class Aware(Tune):
    """``[aware]``: training with rounding, where quantising alone misses the gate."""

    learning_rate: float = Field(3e-6, gt=0, le=0.1)


class Quick(Table):
    """``[quick]``: what ``--quick`` divides, to see in minutes whether all of it works."""

    pictures: int = Field(10, ge=1, description="every count")
    time: int = Field(20, ge=1, description="minutes and steps")


class Recipe(Table):
    """A whole file."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="small letters, digits, . _ and -"
    )
    title: str = Field("", max_length=200)
    model: _Path = Field(description="a .pdmodel with its .pdiparams beside it, or zoo:NAME")
    family: Family
    dictionary: _Path | None = Field(None, description="of a recogniser: a path, or zoo:NAME")
    mode: Literal["fixed", "label"] = Field(
        "fixed", description="how lines are read: upright, or either way up"
    )
    max_side: int = Field(960, ge=32, le=4096, description="of a text detector's input, pixels")
    targets: _Many[Target] = Field(min_length=1, description="what it is to run on")
    budget: _Minutes = Field(60, description="minutes; no further try is begun after them")
    seed: int = Field(0, ge=0)
    overlap: Literal["refuse", "leave out"] = Field(
        "refuse", description="leave out: do not learn from what is in a later set as well"
    )
    calibration: _Many[Source] = Field(min_length=1, description="[[calibration]]")
    tuning: _Many[Source] = Field((), description="[[tuning]]")
    evaluation: _Many[Source] = Field(min_length=1, description="[[evaluation]]")
    input: Input | None = None
    gate: Gate = Gate()
    prune: Prune | None = None
    tune: Tune | None = None
    quantise: Quantise | None = None
    aware: Aware | None = None
    quick: Quick = Quick()

    @property
    def metric(self) -> MetricName:
        """What it is measured by."""
        return self.gate.metric or METRICS[self.family][0]

    def sources(self, which: Which) -> tuple[Source, ...]:
        """Where the pictures of one of the three sets come from."""
        found: tuple[Source, ...] = getattr(self, which)
        return found

    def faults(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """What does not go together: the key, and what is wrong with it."""
        known = METRICS[self.family]
        if self.metric not in known:
            yield ("gate", "metric"), f"{self.family} is measured by {' or '.join(known)}"
        if (self.family == "ppocr_rec") != (self.dictionary is not None):
            need = self.family == "ppocr_rec"
            yield (
                ("dictionary",),
                "is missing: a recogniser has one"
                if need
                else f"a model of family {self.family} has none: leave it out",
            )
        if (self.family == "raw") != (self.input is not None):
            need = self.family == "raw"
            yield (
                ("input",),
                "is missing: a raw model does not say how pictures become its input"
                if need
                else f"a model of family {self.family} knows its input: leave it out",
            )
        if self.tune and self.tune.labels and self.family != "ppocr_rec":
            yield ("tune", "labels"), "only a recogniser learns from labels here: leave it out"
        if (self.tune or self.aware) and not self.tuning:
            yield ("tuning",), "is missing: [tune] and [aware] learn from its pictures"
        if self.tuning and not (self.tune or self.aware):
            yield ("tuning",), "nothing learns from it: write [tune] or [aware], or leave it out"
        if self.prune and not self.tune:
            yield ("prune",), "a pruned model has forgotten much: write [tune] as well"
        if self.aware and not self.quantise:
            yield ("aware",), "goes with [quantise]: write it as well"


def quick_recipe(recipe: Recipe) -> Recipe:
    """The same with fewer pictures and less time, by its ``[quick]``.

    Sources without a count are cut by ``load_items``, which knows how many pictures they have.
    """
    less = recipe.quick.time

    def shorter(tune: Tune | None) -> dict[str, float | int | None] | None:
        if tune is None:
            return None
        minutes = None if tune.minutes is None else tune.minutes / less
        steps = None if tune.steps is None else max(1, tune.steps // less)
        return tune.model_dump() | {"minutes": minutes, "steps": steps}

    prune = recipe.prune
    changed = {
        "budget": recipe.budget / less,
        "tune": shorter(recipe.tune),
        "aware": shorter(recipe.aware),
        "prune": prune
        and prune.model_dump() | {"count": max(1, prune.count // recipe.quick.pictures)},
    }
    return Recipe.model_validate(recipe.model_dump() | changed)
