"""What a box does when it starts: takes away what a cut has left, and finds a whole bundle."""

from __future__ import annotations

import contextlib
import os

from pydantic import ValidationError

from firmware_bridge import disk
from firmware_bridge.slots import Slots
from firmware_bridge.state import LETTERS, NEW_BOX, Slot, State
from models.bundle import manifest_id
from models.errors import BundleError, StorageError

__all__ = ["repair"]

LEFTOVERS = (".state.json.", ".journal.jsonl.", ".current.new", ".lock.link")
"""How files are called that were about to be put in place when the power went."""


def repair(slots: Slots) -> None:
    """See to it that the active bundle is whole; ``slots.fault`` says why if none is.

    Raises
    ------
    StorageError
        The disk cannot be read or written.
    """
    try:
        for path in sorted(slots.root.iterdir()):
            if path.name.startswith(LEFTOVERS):
                disk.remove(path)
        state = _load(slots)
        for letter in LETTERS:
            if state.slots[letter].state == "RECEIVING":
                state = state.put(letter, Slot())
                slots.write(state, "repair", f"slot {letter} was not complete: it is empty now")
        state = _whole(slots, state)
        for letter in LETTERS:
            if state.slots[letter].state == "EMPTY":
                disk.remove(slots.root / letter)
    except OSError as error:
        name = error.filename or slots.root
        raise StorageError(f"{name}: {error.strerror}: check the disk and its owner") from error
    slots.follow(state)


def _load(slots: Slots) -> State:
    """``state.json``; where it is lost or spoilt, what ``current`` points to is active.

    Nothing but a confirmed bundle has ever been pointed to.
    """
    path, link = slots.root / "state.json", slots.root / "current"
    why = "lost"
    try:
        if path.exists() or not link.is_symlink():
            return slots.state
    except StorageError as error:
        if not isinstance(error.__cause__, ValidationError):
            raise  # a disk that does not answer now may do so at the next start
        why = "spoilt"
    state = NEW_BOX
    for letter in LETTERS:
        if link.is_symlink() and os.readlink(link) == letter:
            with contextlib.suppress(BundleError):
                manifest = slots.read(letter)
                slots.compare(letter, manifest)
                slot = Slot(state="CONFIRMED", manifest=manifest_id(manifest.to_cbor()))
                state = state.put(letter, slot, active=letter, counter=manifest.counter)
    slots.write(state, "repair", f"state.json was {why}: active is {state.active or 'none'} now")
    return state


def _whole(slots: Slots, state: State) -> State:
    """Change over to the other slot if the active one is damaged and the other one is not."""
    slots.fault = ""
    if state.active is None:
        return state
    try:
        slots.verify(state.active)
    except BundleError as error:
        damaged, other = state.active, state.idle
        try:
            if state.slots[other].state != "CONFIRMED":
                raise BundleError("nothing confirmed lies there: flash a bundle")
            slots.verify(other)
        except BundleError as second:
            # Left as it is: a disk may read better next time, and a flash goes to the other slot.
            slots.fault = f"slot {damaged}: {error}; slot {other}: {second}"
            slots.journal.add("fault", slots.fault)
            return state
        state = state.put(other, state.slots[other], active=other).put(damaged, Slot())
        slots.write(state, "repair", f"slot {damaged}: {error}; slot {other} is active now")
    return state
