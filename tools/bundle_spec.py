"""The file that ``lineguard bundle create`` makes a bundle from, or all that is wrong with it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import ErrorDetails

from edge.judge.fields import Box, Many, Name
from edge.station.lines import KeyPath
from edge.station.schema import Model
from edge.station.words import lookup, plain_path, reason, show, suggest, table_of
from models.bundle import MODEL_FILES, Bounds, EngineRange, ExpectedDefect, Facts
from models.errors import ConfigError, ModelError
from models.nearest import nearest
from models.zoo import resolve
from tools.toml_file import Fault, printable, read_toml, tell_faults

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Picture", "Spec", "load_spec"]

SUFFIXES = {"onnxruntime": ".onnx", "paddle_lite": ".nb"}
"""Of the networks that an engine opens."""

_WORDS = {
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "float_type": "must be a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_type": "must be a whole number",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "missing": "is missing",
    "model_type": "must be a table",
    "string_pattern_mismatch": "does not fit",
    "string_too_short": "must not be empty",
    "string_type": "must be a text in quotes",
    "too_long": "must hold at most {max_length}",
    "too_short": "must hold at least {min_length}",
    "tuple_type": "must be a list in [ ]",
}


class _Table(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


def _beside(path: str, info: ValidationInfo) -> str:
    """Make a path stand on its own: relative ones start at the folder of the file."""
    return str((info.context or {}).get("folder", Path()) / path)


class Picture(_Table):
    """A golden picture; what it says nothing of is found out when the bundle is made."""

    image: Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_beside)] = Field(
        description="a path, relative to this file"
    )
    model: str = Field(description="name of a model")
    mode: Literal["page", "fixed", "label"] = Field("page", description="as in a station file")
    box: Box | None = Field(None, description="[x0, y0, x1, y1] pixels; all if left out")
    texts: Many[Annotated[str, Field(max_length=1000)]] | None = Field(
        None, description="what must be read; found out if left out"
    )
    defects: Many[ExpectedDefect] | None = Field(
        None, description="what must be found; found out if left out"
    )


class Spec(Facts):
    """A whole ``bundle.toml``; its paths stand on their own."""

    models: dict[Name, Model] = Field(
        min_length=1, max_length=16, description="[models.NAME] as in a station file"
    )
    golden: Many[Picture] = Field((), max_length=256, description="pictures of the trial")
    bounds: Bounds | None = Field(None, description="what the trial must hold")


def load_spec(path: Path) -> Spec:
    """Read a spec, and see that the files it names are there.

    Raises
    ------
    ConfigError
        With every fault of the file, in its order, each ``FILE:LINE: KEY = VALUE: what is wrong``.
    """
    name = printable(str(path))
    text = read_toml(path, name, "a bundle.toml")
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"{name}: is not TOML: {printable(str(error))}"]) from error
    spec = None
    faults: list[Fault] = []
    try:
        spec = Spec.model_validate(raw, context={"folder": path.parent})
    except ValidationError as error:
        faults = list(_explain(error.errors(include_url=False), raw))
    told = {place for place, _ in faults}
    faults += [fault for fault in _loose(raw, path.parent) if fault[0] not in told]
    if spec is None or faults:
        raise ConfigError(tell_faults(name, text, raw, faults))
    return spec


def _loose(raw: dict[str, Any], folder: Path) -> Iterator[Fault]:
    """Names that lead nowhere, and things that do not fit, whatever else may be wrong."""
    engine = lookup(raw, ("engine", "name"))
    suffix = SUFFIXES.get(engine) if isinstance(engine, str) else None
    models = raw.get("models")
    tables = models if isinstance(models, dict) else {}
    for name in tables:
        family = lookup(raw, ("models", name, "family"))
        for key in MODEL_FILES.get(family, ()) if isinstance(family, str) else ():
            place: KeyPath = ("models", name, key)
            reference = lookup(raw, place)
            if not isinstance(reference, str):
                continue
            try:
                file = resolve(reference, folder)
            except (ModelError, OSError, ValueError, RuntimeError) as error:
                yield place, str(error)
                continue
            if key != "dictionary" and suffix and file.suffix != suffix:
                yield place, f"is no {suffix}, which {engine} opens: convert it, or change engine"
    golden = raw.get("golden")
    for number in range(len(golden)) if isinstance(golden, list) else ():
        image, model = (lookup(raw, ("golden", number, key)) for key in ("image", "model"))
        if isinstance(image, str) and not os.path.isfile(folder / image.replace("\0", "")):
            yield ("golden", number, "image"), "no such file: give a path beside this file"
        if isinstance(model, str) and tables and model not in tables:
            yield ("golden", number, "model"), f"is none of models: {suggest(model, tables)}"
        table = tables.get(model) if isinstance(model, str) else None
        reads = isinstance(table, dict) and table.get("family") == "ppocr" and "det" not in table
        if reads and lookup(raw, ("golden", number, "mode")) in (None, "page"):
            yield ("golden", number, "mode"), f"page needs a det, and {show(model)} has none"


def _explain(errors: list[ErrorDetails], raw: dict[str, Any]) -> Iterator[Fault]:
    """Put them into words; a misspelt key is one fault, not also a missing one."""
    meant: set[KeyPath] = set()
    for error in errors:
        place = plain_path(error["loc"])
        table = _table(place, raw)
        if error["type"] == "extra_forbidden" and table is not None:
            meant.add((*place[:-1], nearest(place[-1], table.model_fields) or ""))
    for error in errors:
        place, words = _reason(error, raw)
        if not (error["type"] == "missing" and place in meant):
            yield place, words


def _reason(error: ErrorDetails, raw: dict[str, Any]) -> Fault:
    """Where a fault of pydantic's stands, and what to write instead."""
    place, kind = plain_path(error["loc"]), error["type"]
    if place[0] == "models" and len(place) > 1:
        return reason(error, place, raw)
    table = _table(place, raw)
    known = table.model_fields if table else {}
    if kind == "extra_forbidden":
        return place, f"unknown key: {suggest(place[-1], known)}"
    if kind == "value_error":
        return place, str(error["ctx"]["error"])
    context = error.get("ctx", {})
    if kind == "literal_error":
        return place, f"is not known: one of {context['expected']}"
    words = _WORDS[kind].format_map(context) if kind in _WORDS else error["msg"]
    field = known.get(str(place[-1]))
    return place, f"{words} ({field.description})" if field and field.description else words


def _table(place: KeyPath, raw: dict[str, Any]) -> type[BaseModel] | None:
    """The table that ``place`` is a key of."""
    if len(place) == 1:
        return Spec
    if place[0] == "models":
        return table_of(place, raw)
    if place[0] == "golden":
        return ExpectedDefect if "defects" in place[2:-1] else Picture
    tables: dict[str, type[BaseModel]] = {"engine": EngineRange, "bounds": Bounds}
    return tables.get(str(place[0]))
