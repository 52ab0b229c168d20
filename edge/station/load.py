"""From a file to a station, or to all that is wrong with it."""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from edge.judge.rules import Rule
from edge.station.bundle import ActiveBundle, active_bundle
from edge.station.check import Draft, check
from edge.station.lines import KeyPath, at_line, line_of, locate
from edge.station.schema import Camera, Model, Region, Station
from edge.station.words import lookup, plain_path, reason, show, show_path, table_of
from models.errors import BundleError, ConfigError, StorageError
from models.nearest import nearest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["example_station", "load_station"]

MAX_BYTES = 128 * 1024
"""Twenty times the example; keeps the time to find all faults of any file to a second or two."""

MAX_FAULTS = 100
"""Nobody reads more of them at once."""

_ENTRY: dict[str, TypeAdapter[Any]] = {
    "cameras": TypeAdapter(Camera),
    "models": TypeAdapter(Model),
    "regions": TypeAdapter(Region),
    "rules": TypeAdapter(Rule),
}


def load_station(path: Path, instead: Mapping[str, Mapping[str, Any]] | None = None) -> Station:
    """Read a station file. Touches no camera and no model.

    Paths in it are made to start at its folder. Where it names a bundle, the models of the one that
    is active now are added to its own.

    Parameters
    ----------
    path
        The file.
    instead
        Tables that stand in for its models of these names: of a bundle on trial.

    Raises
    ------
    ConfigError
        With every fault of the file, in its order, each ``FILE:LINE: KEY = VALUE: what is wrong``.
    """
    name = _printable(str(path))
    text = _read(path, name)
    try:
        raw = tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError([f"{name}: is nested too deeply: a station has three levels"]) from error
    except ValueError as error:  # a TOMLDecodeError, or a number with thousands of digits
        raise ConfigError([_syntax(name, text, str(error))]) from error
    context = {"folder": path.parent}
    station = None
    active, missing = _add_models(raw, path.parent)
    if instead and isinstance(raw.get("models"), dict):
        raw["models"] |= {name: dict(table) for name, table in instead.items()}
    faults: list[tuple[KeyPath, str]] = []
    broken: set[KeyPath] = set()
    try:
        station = Station.model_validate(raw, context=context)
    except ValidationError as error:
        found = _placed(error)
        broken = {place[:2] for place, _ in found}
        faults = _explain(found, raw)
    faults += check(_draft(raw, broken, context))
    if missing:  # what is told of models follows from it
        faults = [*missing, *(fault for fault in faults if fault[0] != ("models",))]
    if station is None or faults:
        raise ConfigError(_tell(name, text, raw, faults))
    return station.with_active(active)


def _add_models(
    raw: dict[str, Any], folder: Path
) -> tuple[ActiveBundle | None, list[tuple[KeyPath, str]]]:
    """Write the models of the bundle that ``raw`` names into it; or say why there are none."""
    root = lookup(raw, ("bundle", "root"))
    if not isinstance(root, str) or not root.isprintable():
        return None, []
    try:
        active = active_bundle(folder / Path(root).expanduser())
    except (BundleError, StorageError, RuntimeError) as error:
        return None, [(("bundle", "root"), str(error))]
    own = raw.setdefault("models", {})
    if not isinstance(own, dict):
        return None, []
    twice = [name for name in active.models if name in own]
    for name, table in active.models.items():
        own.setdefault(name, dict(table))
    words = f"is a model of the bundle {active.name} too: leave it out, or give it another name"
    return active, [(("models", name), words) for name in twice]


def example_station() -> str:
    """A commented station file to begin with."""
    return Path(__file__).with_name("example.toml").read_text("utf-8")


def _read(path: Path, name: str) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would make us wait for ever
            raise ConfigError([f"{name}: is no file: name a station file"])
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        mend = "begin with `lineguard station new`"
        raise ConfigError([f"{name}: does not exist: {mend}"]) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        cause = getattr(error, "strerror", None) or error
        raise ConfigError([f"{name}: cannot be read: {cause}"]) from error
    if len(data) > MAX_BYTES:
        limit = MAX_BYTES // 1024
        raise ConfigError([f"{name}: is larger than {limit} KiB: this is no station file"])
    try:
        return data.decode("utf-8-sig")  # some editors put a byte order mark
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{name}:{line}: is not UTF-8: save it as UTF-8"]) from error


def _syntax(name: str, text: str, message: str) -> str:
    place = re.search(r" ?\(at (?:line (\d+), column (\d+)|end of document)\)", message)
    if place is None:
        return f"{name}: is not TOML: {_printable(message)}"
    line = place[1] or text.count("\n") + 1
    column = f" at column {place[2]}" if place[2] else " at the end of the file"
    return f"{name}:{line}: is not TOML: {_printable(message[: place.start()])}{column}"


def _placed(error: ValidationError) -> list[tuple[KeyPath, ErrorDetails]]:
    """Pydantic's faults and where they stand.

    A list is also called too short if none of what it holds is sound; that is left out.
    """
    found = [(plain_path(each["loc"]), each) for each in error.errors(include_url=False)]
    places = {place[:depth] for place, _ in found for depth in range(len(place))}
    return [
        (place, each)
        for place, each in found
        if not (each["type"] == "too_short" and place in places)
    ]


def _explain(
    found: list[tuple[KeyPath, ErrorDetails]], raw: dict[str, Any]
) -> list[tuple[KeyPath, str]]:
    """Put them into words; a misspelt key is one fault, not also a missing one."""
    meant: set[KeyPath] = set()
    for place, error in found:
        table = table_of(place, raw)
        if error["type"] == "extra_forbidden" and table is not None:
            meant.add((*place[:-1], nearest(place[-1], table.model_fields) or ""))
    return [
        reason(error, place, raw)
        for place, error in found
        if not (error["type"] == "missing" and place in meant)
    ]


def _draft(raw: dict[str, Any], broken: set[KeyPath], context: dict[str, Path]) -> Draft:
    """Gather the tables that are sound in themselves."""
    sound: dict[str, dict[Any, Any]] = {}
    for section, adapter in _ENTRY.items():
        written = raw.get(section)
        entries: Any = ()
        if (section,) not in broken and isinstance(written, dict):
            entries = written.items()
        elif (section,) not in broken and isinstance(written, list):
            entries = enumerate(written)
        sound[section] = {
            key: adapter.validate_python(entry, context=context)
            for key, entry in entries
            if (section, key) not in broken
        }
    return Draft(raw, **sound)


def _tell(
    name: str, text: str, raw: dict[str, Any], faults: list[tuple[KeyPath, str]]
) -> list[str]:
    lines = locate(text)
    placed = sorted(((line_of(lines, place), place, words) for place, words in faults), key=_line)
    told = []
    for line, place, words in placed[:MAX_FAULTS]:
        value = None if "unknown key" in words else show(lookup(raw, place))
        equals = "" if value is None else f" = {value}"
        told.append(_printable(f"{at_line(name, line)}: {show_path(place)}{equals}: {words}"))
    if len(placed) > MAX_FAULTS:
        told.append(f"{name}: and {len(placed) - MAX_FAULTS} faults more: mend these first")
    return told


def _line(fault: tuple[int, KeyPath, str]) -> int:
    return fault[0]


def _printable(text: str) -> str:
    """Keep a fault on one line, whatever the file holds."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
