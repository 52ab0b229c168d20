"""The bundle that is active, the slot beside it, and whether this board runs what lies there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from edge.box.finding import Case, Finding, bad, fine, warn
from edge.engines.installed import installed_engines
from firmware_bridge.slots import Slots
from firmware_bridge.state import Letter, State
from models.bundle import FILES, Manifest
from models.errors import EngineError, LineguardError

__all__ = ["check_bundle", "check_fit"]

_FLASH = "flash a bundle: `lineguard flash BUNDLE --port ...` from the host"


def check_bundle(case: Case) -> Iterator[Finding]:
    """Read the slots as they are; nothing is repaired, that is the agent's."""
    folder = case.slots
    if folder is None:
        yield fine("bundle", "none asked for: give --root, the folder of `lineguard agent`")
        return
    if not folder.is_dir() or not (folder / "trusted").is_dir():
        mend = "start `lineguard agent` with this --root; then flash a bundle"
        yield warn("bundle", f"{folder} holds no slots yet", mend)
        return
    slots = Slots(folder)
    try:
        state, trusted = slots.state, slots.trusted()
    except LineguardError as error:
        yield bad("bundle", str(error), "start the agent anew; it mends what can be mended")
        return
    if not trusted:
        mend = f"`lineguard keys trust KEY.pub --trusted {folder / 'trusted'}`"
        yield warn("bundle", "no key is trusted: no bundle can be flashed", mend)
    if state.active is None:
        yield warn("bundle", "none is confirmed yet", _FLASH)
    else:
        yield from _active(case, slots, state, state.active)
    other = state.slots[state.idle]
    words = "" if other.state == "CONFIRMED" else ", waits for an idle line" if other.held else ""
    if other.state == "TRIAL":
        mend = "wait, or see `lineguard box log`"
        yield warn("bundle", f"slot {state.idle} is on trial, start {other.tries}", mend)
    else:
        yield fine("bundle", f"the other slot, {state.idle}: {other.state}{words}")


def check_fit(case: Case) -> Iterator[Finding]:
    """Whether this board is one that the active bundle was made for; a fault, or nothing.

    For whoever asks often: the manifest alone is read.
    """
    if case.slots is None:
        return
    slots = Slots(case.slots)
    try:
        letter = slots.state.active
        manifest = None if letter is None else slots.manifest(letter)
    except LineguardError as error:
        mend = "start the agent anew; it mends what can be mended"
        yield bad("bundle", str(error), mend, f"{error}：请重新启动 agent")
        return
    if manifest is not None and (foreign := _foreign(case, manifest)):
        found, zh = foreign
        named = f"{manifest.name} {manifest.version}"
        mend = "flash one that was made for this board"
        zh = f"槽 {letter} 的 {named} {zh}：请刷入适用于本机的模型包"
        yield bad("bundle", f"{named} in slot {letter}: {found}", mend, zh)


def _active(case: Case, slots: Slots, state: State, letter: Letter) -> Iterator[Finding]:
    try:
        manifest = slots.verify(letter)
    except LineguardError as error:
        mend = "`lineguard box rollback --root ...`, or flash it again"
        yield bad("bundle", f"the active one cannot be used: {error}", mend)
        return
    named = f"{manifest.name} {manifest.version} in slot {letter}"
    faults = [*_fits(case, manifest), *_nb_files(case, slots.root / letter / FILES, manifest)]
    link = slots.root / "current"
    if not link.is_symlink() or os.readlink(link) != letter:
        yield warn("bundle", "`current` does not lead to the active slot", "start the agent anew")
    for found, mend in faults:
        yield bad("bundle", f"{named}: {found}", mend)
    if not faults:
        sizes = f"{manifest.total / 2**20:.1f} MiB, every file as signed"
        yield fine("bundle", f"{named}: {sizes}, security counter {state.counter}")


def _foreign(case: Case, manifest: Manifest) -> tuple[str, str] | None:
    """What it is for, in English and Chinese, if not for this board."""
    have, wanted = case.profile.hardware, manifest.hardware
    if set(have) & set(wanted):
        return None
    lacks = ", ".join(sorted({name.rpartition("-")[2] for name in wanted if "-" in name} - {"64"}))
    targets, here = ", ".join(wanted), ", ".join(have)
    why, why_zh = (f" (it has no {lacks})", f"（缺少 {lacks}）") if lacks else ("", "")
    return (
        f"is for {targets}; this board is {here or 'unknown'}{why}",
        f"适用于 {targets}，本机为 {here or '未知'}{why_zh}",
    )


def _fits(case: Case, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Whether this board is one of its targets, and has its engine."""
    if foreign := _foreign(case, manifest):
        yield foreign[0], "flash one that was made for this board"
    engine = manifest.engine
    version = installed_engines().get(engine.name)
    if version is None:
        mend = "install it, or flash a bundle for an engine that is"
        yield f"needs {engine.name}, which is not installed", mend
        return
    if not engine.admits(version):
        found = f"needs {engine.name} {engine.min} to {engine.max}, installed is {version}"
        yield found, "install one of these, or flash a bundle for this version"


def _nb_files(case: Case, files: Path, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Whether Paddle Lite's files are in a precision that this board computes."""
    paths = [entry.path for entry in manifest.files if entry.path.endswith(".nb")]
    if not paths:
        return
    from edge.engines.nb import foreign_target, read_nb

    for path in paths:
        try:
            head = read_nb(files / path)
        except EngineError as error:
            yield str(error), _FLASH
            continue
        if foreign := foreign_target(head, case.profile.machine):
            yield f"{path} is made for {foreign}", "flash one that was made for this board"
        if head.precision not in case.profile.flavours:
            fit = ", ".join(case.profile.flavours)
            yield f"{path} is {head.precision}, this board computes {fit}", _FLASH
