"""What goes with a PP-YOLOE network: the JSON file beside it, of the same stem.

``pcb.onnx`` has its labels, its input size and its thresholds in ``pcb.json``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from models.atomic import write_atomic
from models.errors import ModelError
from models.nearest import nearest

__all__ = ["STRIDE", "DetectorConfig", "read_config", "sidecar", "write_config"]

STRIDE = 32
"""The network halves its input five times: input sides are multiples of this."""

MAX_SIDE = 4096
"""Pixels of the input; its buffers would not fit a box beyond."""

MAX_BYTES = 2**20
"""Of the file; a thousand labels take a tenth of it."""

_Side = Annotated[int, Field(ge=STRIDE, le=MAX_SIDE, multiple_of=STRIDE)]
_Label = Annotated[str, Field(min_length=1, max_length=64)]
_Triple = tuple[float, float, float]
_Positive = Annotated[float, Field(gt=0)]


class DetectorConfig(BaseModel):
    """How a frame becomes the network's input, and its outputs defects."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    family: Literal["ppyoloe"] = "ppyoloe"
    variant: str = Field(pattern=r"^[a-z0-9+_-]{1,16}$", description="t, s, m, l or x")
    labels: tuple[_Label, ...] = Field(
        min_length=1, max_length=1000, description="class names in the network's own order"
    )
    size: tuple[_Side, _Side] = Field(description="width and height of the largest input, pixels")
    fit: Literal["tile", "letterbox", "resize"] = Field(
        description="tile: full scale, cut up if larger; letterbox: scaled, ratio kept; "
        "resize: stretched"
    )
    overlap: int = Field(128, ge=0, description="pixels that neighbouring tiles share at least")
    mean: _Triple = Field((0.0, 0.0, 0.0), description="of RGB, taken from pixels of 0 to 1")
    std: tuple[_Positive, _Positive, _Positive] = Field(
        (1.0, 1.0, 1.0), description="of RGB, what is left is divided by it"
    )
    threshold: float = Field(0.4, gt=0, lt=1, description="score from which a defect counts")
    nms_iou: float = Field(
        0.6, gt=0, lt=1, description="overlap of two boxes of a class above which they are one"
    )

    @model_validator(mode="after")
    def _whole(self) -> DetectorConfig:
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("labels: names one twice")
        if not all(label.isprintable() and label.strip() for label in self.labels):
            raise ValueError("labels: must be printable")
        if self.fit == "tile" and self.overlap > min(self.size) // 2:
            raise ValueError("overlap: must be at most half of the tile")  # else tiles multiply
        return self


def sidecar(model: Path) -> Path:
    """Where the configuration of a model file lies.

    >>> sidecar(Path("pcb.onnx")).name
    'pcb.json'
    """
    return model.with_suffix(".json")


def read_config(path: Path) -> DetectorConfig:
    """Read a configuration.

    Raises
    ------
    ModelError
        It is missing or unreadable, or has faults: one line each, all of them at once.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ({error.strerror}): it holds the labels, input size and "
            "thresholds of the model beside it; copy it from where the model was trained"
        ) from error
    if len(data) > MAX_BYTES:
        raise ModelError(f"{path}: is larger than {MAX_BYTES} bytes: this is no configuration")
    try:
        return DetectorConfig.model_validate_json(data)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise ModelError("\n".join(f"{path}: {_explain(fault)}" for fault in faults)) from error


def write_config(path: Path, config: DetectorConfig) -> None:
    """Write it; ``StorageError`` if that fails."""
    write_atomic(path, (config.model_dump_json(indent=2) + "\n").encode())


def _explain(fault: ErrorDetails) -> str:
    """One fault in words that say what to write instead."""
    kind, place = fault["type"], ".".join(str(step) for step in fault["loc"])
    if kind == "json_invalid":
        return f"is not JSON ({fault['msg'].removeprefix('Invalid JSON: ')}): copy it again"
    if kind == "value_error":
        return str(fault["ctx"]["error"])
    if kind == "missing":
        field = DetectorConfig.model_fields.get(place)
        return f"{place}: is missing: {field.description if field else 'write it'}"
    if kind == "extra_forbidden":
        known = DetectorConfig.model_fields
        near = nearest(place, known)
        return f"{place}: unknown key: " + (
            f'did you mean "{near}"?' if near else f"there are {', '.join(known)}"
        )
    words = fault["msg"].removeprefix("Input ").removeprefix("String ").removeprefix("Tuple ")
    value = fault["input"]
    shown = f" = {value!r}"[:60] if isinstance(value, str | int | float) else ""
    return f"{place}{shown}: {words}"
