"""Faults between the tables of a station file: names that lead nowhere, things that do not fit.

Works on what is sound of a file, so that these faults are told together with all others, and says
nothing that only follows from another fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edge.camera.source import parse_source
from edge.judge.fields import Box
from edge.judge.rules import GroupRule, LeafRule, NoDefectRule, PresenceRule, Rule
from edge.station.lines import KeyPath
from edge.station.outputs import GPIO_CHIP, GPIO_LINES
from edge.station.schema import Camera, Model, PpocrModel, PpyoloeModel, Region, leaves
from edge.station.triggers import GpioTrigger, VisionTrigger
from edge.station.words import lookup, show, show_path, suggest

__all__ = ["Draft", "check"]

Fault = tuple[KeyPath, str]

_REFERENCES = (
    ("regions", "camera", "cameras"),
    ("regions", "model", "models"),
    ("rules", "region", "regions"),
    ("rules", "rules", "rules"),
    ("outputs", "camera", "cameras"),
)
"""Section and key that name something, and the section where it stands."""


@dataclass(frozen=True)
class Draft:
    """What is sound of a station file, and all of it as it was written.

    ``cameras``, ``regions`` and ``rules`` hold the sound tables by their position in the file.
    """

    raw: Mapping[str, Any]
    cameras: Mapping[int, Camera]
    models: Mapping[str, Model]
    regions: Mapping[int, Region]
    rules: Mapping[int, Rule]

    def written(self, section: str, key: str = "name") -> list[str] | None:
        """What each table of a section, sound or not, says for ``key``; ``None`` if one is silent.

        In that case nobody can tell which names there are meant to be.
        """
        entries = self.raw.get(section)
        if section == "models":
            return list(entries) if isinstance(entries, dict) and entries else None
        if not isinstance(entries, list) or not entries:
            return None
        values = [entry.get(key) if isinstance(entry, dict) else None for entry in entries]
        texts = [value for value in values if isinstance(value, str)]
        return texts if len(texts) == len(values) else None


def check(draft: Draft) -> Iterator[Fault]:
    """Yield every fault between tables."""
    for section in ("cameras", "regions", "rules"):
        yield from _twice(section, draft)
    for section, key, target in _REFERENCES:
        yield from _unknown(section, key, target, draft)
    regions = {region.name: region for region in draft.regions.values()}
    cameras = {camera.name: camera for camera in draft.cameras.values()}
    for position, region in draft.regions.items():
        path: KeyPath = ("regions", position)
        model = draft.models.get(region.model)
        if isinstance(model, PpocrModel) and region.mode == "page" and model.det is None:
            yield (*path, "mode"), f'page needs a model with det, "{region.model}" has none'
        if isinstance(model, PpyoloeModel) and "mode" in region.model_fields_set:
            yield (*path, "mode"), f'is for print, but model "{region.model}" finds defects'
        yield from _outside((*path, "box"), region.box, cameras.get(region.camera))
    for position, rule in draft.rules.items():
        if isinstance(rule, LeafRule):
            yield from _leaf(("rules", position), rule, regions, cameras, draft.models)
    yield from _groups(draft, regions)
    yield from _unjudged(draft)
    yield from _gates(draft)
    yield from _shadow(draft)
    yield from _challenge(draft)
    yield from _triggers(draft)


def _challenge(draft: Draft) -> Iterator[Fault]:
    """A challenge that nobody could start, that never falls due, or of parts that nobody sees."""
    challenge = draft.raw.get("challenge")
    if not isinstance(challenge, dict):
        return
    if "display" not in draft.raw:
        yield ("challenge",), "needs [display]: operators start it there"
    elif challenge.get("every") == "shift" and not lookup(draft.raw, ("display", "shifts")):
        yield ("challenge", "every"), "needs shifts in [display]: when they begin, it is due"
    cameras = draft.written("cameras")
    parts = challenge.get("parts")
    for position, part in enumerate(parts if isinstance(parts, list) else ()):
        camera = part.get("camera") if isinstance(part, dict) else None
        path: KeyPath = ("challenge", "parts", position, "camera")
        if cameras is not None and isinstance(camera, str) and camera not in cameras:
            yield path, f"there is none of that name in cameras: {suggest(camera, cameras)}"


def _triggers(draft: Draft) -> Iterator[Fault]:
    """Triggers that leave no time to inspect, want what is not there, or disturb each other."""
    deadline = lookup(draft.raw, ("station", "deadline_ms"))
    users = dict(_line_users(draft))
    for position, camera in draft.cameras.items():
        trigger = camera.trigger
        if trigger is None:
            continue
        path: KeyPath = ("cameras", position, "trigger")
        wait = trigger.delay_ms + (trigger.picture_ms or 0)
        if isinstance(deadline, int) and 0 < deadline <= wait:
            yield (
                (*path, "picture_ms" if trigger.picture_ms else "delay_ms"),
                f"delay_ms and picture_ms must be less than deadline_ms, {deadline}, together: "
                "else no time is left to inspect",
            )
        if camera.policy == "freshest":
            yield (
                ("cameras", position, "policy"),
                "skips pictures, and every trigger wants one of its own: leave policy out",
            )
        if isinstance(trigger, VisionTrigger):
            yield from _outside((*path, "box"), trigger.box, camera)
        if isinstance(trigger, GpioTrigger):
            mine = (show_path(path), trigger.source)
            user, source = users.setdefault((trigger.chip, trigger.line), mine)
            if source != trigger.source:
                yield (*path, "line"), f"{user} uses that line already, and differently"


def _line_users(draft: Draft) -> Iterator[tuple[tuple[str, int], tuple[str, object]]]:
    """Lines of chips that outputs use."""
    outputs = draft.raw.get("outputs")
    for position, entry in enumerate(outputs if isinstance(outputs, list) else ()):
        if isinstance(entry, dict) and entry.get("kind") == "gpio":
            for key in GPIO_LINES:
                line = entry.get(key)
                if isinstance(line, int):
                    chip = str(entry.get("chip", GPIO_CHIP))
                    yield (chip, line), (f"outputs[{position}].{key}", None)


def _shadow(draft: Draft) -> Iterator[Fault]:
    """A shadow without a second bundle."""
    shadow = draft.raw.get("shadow")
    if isinstance(shadow, dict) and "bundle" not in shadow and "bundle" not in draft.raw:
        yield ("shadow",), "needs a bundle, or [bundle], whose other slot it is then"


def _gates(draft: Draft) -> Iterator[Fault]:
    """Gates that a part reaches before its verdict is due."""
    deadline = lookup(draft.raw, ("station", "deadline_ms"))
    outputs = draft.raw.get("outputs")
    for position, entry in enumerate(outputs if isinstance(outputs, list) else ()):
        gate = entry.get("gate_ms") if isinstance(entry, dict) else None
        if isinstance(gate, int) and isinstance(deadline, int) and 0 < gate <= deadline:
            yield (
                ("outputs", position, "gate_ms"),
                f"must be more than deadline_ms, {deadline}: a part must not get there unjudged",
            )


def _twice(section: str, draft: Draft) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for position, name in enumerate(draft.written(section) or ()):
        if first.setdefault(name, position) != position:
            yield (section, position, "name"), f"is the name of {section}[{first[name]}] already"


def _unknown(section: str, key: str, target: str, draft: Draft) -> Iterator[Fault]:
    """Names that lead nowhere, in sound tables and others."""
    known = draft.written(target)
    entries = draft.raw.get(section)
    if known is None or not isinstance(entries, list):
        return
    for position in range(len(entries)):
        path = (section, position, key)
        value = lookup(draft.raw, path)
        named = enumerate(value) if isinstance(value, list) else ()
        places = [(path, value), *(((*path, number), name) for number, name in named)]
        for place, name in places:
            if isinstance(name, str) and name not in known:
                yield place, f"there is none of that name in {target}: {suggest(name, known)}"


def _outside(path: KeyPath, box: Box | None, camera: Camera | None) -> Iterator[Fault]:
    """A box beyond the size that the source asks its camera for."""
    if box is None or camera is None:
        return
    source = parse_source(camera.source)
    for option, edge in (("width", box[2]), ("height", box[3])):
        size = int(float(source.text(option, "0")))  # a number: the source has been checked
        if 0 < size < edge:
            yield path, f'lies outside the picture: camera "{camera.name}" has {option} {size}'


def _leaf(
    path: KeyPath,
    rule: LeafRule,
    regions: Mapping[str, Region],
    cameras: Mapping[str, Camera],
    models: Mapping[str, Model],
) -> Iterator[Fault]:
    region = regions.get(rule.region)
    if region is None:
        return
    camera = cameras.get(region.camera)
    if isinstance(rule, PresenceRule):
        yield from _outside((*path, "zone"), rule.zone, camera)
    if isinstance(rule, NoDefectRule) and rule.min_size_mm and camera and not camera.mm_per_pixel:
        yield (*path, "min_size_mm"), f'camera "{camera.name}" has no mm_per_pixel: set it there'
    model = models.get(region.model)
    labels = _labels(rule)
    if isinstance(model, PpocrModel) and labels is not None:
        yield (*path, "region"), f'needs a model that finds defects, "{region.model}" reads print'
    if isinstance(model, PpyoloeModel) and labels is None:
        yield (*path, "region"), f'needs a model that reads print, "{region.model}" finds defects'
    if isinstance(model, PpyoloeModel):
        for key, label in (labels or {}).items():
            if label not in model.labels:
                yield (*path, *key), f"no such class in the model: {suggest(label, model.labels)}"


def _labels(rule: LeafRule) -> dict[KeyPath, str] | None:
    """The classes that a rule about defects names; ``None`` for a rule about print."""
    if isinstance(rule, NoDefectRule):
        return {("labels", number): label for number, label in enumerate(rule.labels)}
    label = getattr(rule, "label", None)
    return None if label is None else {("label",): label}


def _groups(draft: Draft, regions: Mapping[str, Region]) -> Iterator[Fault]:
    """Rules that come back to themselves, and rules that speak of two cameras."""
    known = {rule.name: rule for rule in draft.rules.values()}
    circling: set[str] = set()
    for position, rule in draft.rules.items():
        if not isinstance(rule, GroupRule):
            continue
        circle = _circle(rule, known)
        if circle and not circling.intersection(circle):
            yield ("rules", position, "rules"), f"goes round in a circle: {' > '.join(circle)}"
        circling.update(circle)
        found = (regions.get(leaf.region) for leaf in leaves(rule, known))
        cameras = sorted({region.camera for region in found if region})
        if len(cameras) > 1:
            yield (
                ("rules", position, "rules"),
                f"speaks of cameras {', '.join(cameras)}: a part is judged by one camera at a time",
            )


def _circle(rule: GroupRule, known: Mapping[str, Rule]) -> list[str]:
    """The names on a way from ``rule`` back to itself; none if there is no way."""
    ways: list[list[str]] = [[rule.name]]
    met: set[str] = set()
    while ways:
        way = ways.pop()
        last = known.get(way[-1])
        for name in last.rules if isinstance(last, GroupRule) else ():
            if name == rule.name:
                return [*way, name]
            if name not in met:
                met.add(name)
                ways.append([*way, name])
    return []


def _unjudged(draft: Draft) -> Iterator[Fault]:
    """Cameras of which no rule says anything: all their parts would pass."""
    cameras = draft.written("cameras")
    regions = draft.written("regions")
    homes = draft.written("regions", "camera")
    if cameras is None or regions is None or homes is None or len(regions) != len(homes):
        return
    rules = draft.raw.get("rules")
    entries = rules if isinstance(rules, list) else []
    leafs = [rule for rule in entries if isinstance(rule, dict) and "rules" not in rule]
    spoken = [rule.get("region") for rule in leafs]
    if any(name not in regions for name in spoken) or any(name not in cameras for name in homes):
        return  # told already; whom they mean is not known
    judged = {home for region, home in zip(regions, homes, strict=True) if region in spoken}
    for position, name in enumerate(cameras):
        if name not in judged:
            yield ("cameras", position), f"{show(name)} has no rule: every part would pass it"
