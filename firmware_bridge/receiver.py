"""The box's side of the conversation: a message in, its answer out, whatever the line is.

``docs/protocol.md``, section 3, box column.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from firmware_bridge import disk
from firmware_bridge.coming import NO_ROOM
from firmware_bridge.incoming import Lacking, Transfer
from firmware_bridge.repair import repair
from firmware_bridge.slots import Slots
from firmware_bridge.state import LETTERS
from firmware_bridge.trials import Trial, Trials
from models.bundle import MAX_ENVELOPE, Manifest, verify_envelope
from models.errors import (
    BundleError,
    LineguardError,
    StorageError,
    TransferError,
    UntrustedError,
)

__all__ = ["BoxFacts", "Receiver"]

T = TypeVar("T")

MARGIN = 4 * 2**20
"""Bytes that a transfer must leave free: the station writes to the same disk meanwhile."""

MAX_BASES = 8
"""Files that a delta is offered on: more would only make the answer longer."""

MAX_TEXT = 1000
"""Characters of a reason: one line for people, whatever a library says."""

MAX_NUMBER = 2**53
"""Of any field; more than any disk holds."""


@dataclass(frozen=True)
class BoxFacts:
    """What a box is.

    Attributes
    ----------
    name
        As people call it.
    hardware
        Targets whose code it runs, e.g. ``arm64``.
    engines
        Version by name of each engine that is installed.
    """

    name: str
    hardware: tuple[str, ...]
    engines: Mapping[str, str]


class Receiver:
    """A box as it appears to a host. Any thread may call it; one at a time is heard.

    Parameters
    ----------
    root
        Folder of the slots.
    facts
        What the box is.
    trial
        Tries a bundle before it may become active.

    Raises
    ------
    StorageError
        The folder cannot be read or written.
    """

    def __init__(self, root: Path, facts: BoxFacts, trial: Trial) -> None:
        self._root, self._facts = root, facts
        self._slots = Slots(root)
        self._trials = Trials(self._slots, trial)
        self._transfer: Transfer | None = None
        self._owner: object = None  # of the transfer
        self._asker: object = None  # whose request is being answered
        self._mutex = threading.RLock()
        self._requests: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "hello": self._hello,
            "offer": self._offer,
            "file": self._file,
            "check": self._check,
            "stage": self._stage,
            "activate": self._activate,
            "status": self._status,
            "confirm": self._confirm,
            "rollback": self._rollback,
            "log": self._log,
        }
        # Whoever else is writing has repaired what there was when it started.
        with contextlib.suppress(TransferError), self._slots.writing():
            repair(self._slots)

    def handle(self, message: object, sender: object = None) -> dict[str, Any] | None:
        """Answer one message; ``None`` for ``data``, which has no answer. Raises nothing.

        Parameters
        ----------
        sender
            Whose it is: a transfer belongs to whoever has offered it.
        """
        with self._mutex:
            request = message if isinstance(message, dict) else {}
            name, number = request.get("m"), request.get("id")
            self._asker = sender
            if name == "data":
                self._data(request)
                return None
            shown = name[:20] if isinstance(name, str) else ""
            head = {"m": shown, "id": number if type(number) is int else 0}
            try:
                if type(number) is not int or shown not in self._requests:
                    raise TransferError(f"{shown or 'message'}: is no request", "malformed")
                self.tick()
                return head | self._requests[shown](request)
            except Exception as error:
                code, text = _explain(error)
                self._slots.journal.add("refused", f"{shown}: {code}: {text}")
                return head | {"error": code, "text": text}

    def tick(self) -> None:
        """Do what is due without a message: ends and starts of trials. Call it twice a second."""
        with self._mutex, contextlib.suppress(LineguardError, OSError):  # tried again next time
            self._trials.tick()

    def disconnect(self, sender: object = None) -> None:
        """A session has ended: what has come of its transfer stays, and others may write."""
        with self._mutex:
            if self._transfer is not None and self._owner is sender:
                self._transfer.close()
                self._transfer, self._owner = None, None
                self._slots.lock.release()

    def _hello(self, request: dict[str, Any]) -> dict[str, Any]:
        busy = self._transfer is not None and self._owner is not self._asker
        try:
            with self._slots.writing():
                pass
        except TransferError:
            busy = True
        return {
            "box": self._facts.name,
            "hardware": list(self._facts.hardware),
            "engines": dict(self._facts.engines),
            "slots": self._show_slots(),
            "free": disk.free_bytes(self._root),
            "counter": self._slots.state.counter,
            "keys": [bytes.fromhex(key.id) for key in self._slots.trusted()],
            "busy": busy,
        }

    def _offer(self, request: dict[str, Any]) -> dict[str, Any]:
        envelope = _take(request, "envelope", bytes, MAX_ENVELOPE)
        try:
            manifest = verify_envelope(envelope, self._slots.trusted())
        except UntrustedError as error:
            raise TransferError(str(error), "untrusted") from error
        except BundleError as error:
            raise TransferError(str(error), "altered") from error
        self._admit(manifest)
        self.disconnect(self._asker)
        if self._transfer is not None:
            raise TransferError("another host is sending a bundle to this box: wait", "busy")
        transfer = Transfer(self._root / "incoming", envelope, manifest)
        with self._slots.writing():
            files = self._open(transfer)
            self._slots.lock.take()  # until it is staged, or the session ends
        self._transfer, self._owner = transfer, self._asker
        self._slots.journal.add("offer", f"{manifest.name} {manifest.version}")
        return {"transfer": bytes.fromhex(transfer.id), "files": files}

    def _admit(self, manifest: Manifest) -> None:
        """Refuse what this box must not or cannot run."""
        named, facts, engine = f"{manifest.name} {manifest.version}", self._facts, manifest.engine
        self._slots.admit(manifest)
        if not set(manifest.hardware) & set(facts.hardware):
            wanted, have = ", ".join(manifest.hardware), ", ".join(facts.hardware)
            raise TransferError(f"{named} is for {wanted}, this box is {have}", "hardware")
        version = facts.engines.get(engine.name)
        if version is None or not engine.admits(version):
            raise TransferError(
                f"{named} needs {engine.name} {engine.min} to {engine.max}, this box has "
                f"{version or 'none'}: make a bundle for it, or update the box",
                "engine",
            )

    def _open(self, transfer: Transfer) -> list[dict[str, Any]]:
        contents = self._slots.contents()
        found = transfer.survey({sha256: file for _, sha256, file in contents})
        folder = self._root / "incoming"
        there = sorted(folder.iterdir()) if folder.is_dir() else []
        others = [each for each in there if each.name != transfer.id]
        self._check_room(transfer.manifest, found, others)
        for each in others:
            disk.remove(each)
        transfer.open(found)
        files = []
        for entry, lacking in zip(transfer.manifest.files, found, strict=True):
            near = sorted(contents, key=lambda each: each[0] != entry.path)
            bases = dict.fromkeys(bytes.fromhex(sha256) for _, sha256, _ in near)
            need = lacking.source is None
            base = list(bases)[:MAX_BASES] if need else []
            files.append({"need": need, "at": lacking.at, "base": base})
        return files

    def _check_room(self, manifest: Manifest, found: list[Lacking], others: list[Path]) -> None:
        """Refuse what would not fit: the parts, a patch of the largest, the slot, and a margin."""
        pairs = zip(manifest.files, found, strict=True)
        lacking = [entry.bytes - each.at for entry, each in pairs if each.source is None]
        needed = sum(lacking) + max(lacking, default=0) + MARGIN
        if not disk.links_work(self._root / "lock"):
            needed += 2 * manifest.total  # copies: of what a slot has already, and in the new slot
        free = disk.free_bytes(self._root)
        free += sum(file.stat().st_size for each in others for file in each.glob("*.part"))
        if needed > free:
            raise TransferError(
                f"{manifest.name} {manifest.version} needs {needed / 2**20:.1f} MiB, "
                f"{free / 2**20:.1f} are free on {self._root}: delete what is not needed there",
                "room",
            )

    def _file(self, request: dict[str, Any]) -> dict[str, Any]:
        transfer = self._mine(request)
        index, at, size = (_take(request, key, int) for key in ("index", "at", "bytes"))
        coding, base = _take(request, "coding", str), None
        if coding == "bsdiff":
            wanted = _take(request, "base", bytes).hex()
            base = next((file for _, have, file in self._slots.contents() if have == wanted), None)
            if base is None:
                raise TransferError(f"base {wanted[:12]}… is not here: send it whole", "state")
        transfer.begin(index, at, coding, base, size)
        return {}

    def _check(self, request: dict[str, Any]) -> dict[str, Any]:
        self._mine(request).check(_take(request, "index", int))
        return {"ok": True}

    def _stage(self, request: dict[str, Any]) -> dict[str, Any]:
        state, wanted = self._slots.state, _take(request, "transfer", bytes).hex()
        slot = state.slots[state.idle]
        lost = slot.state == "STAGED" and slot.manifest == wanted  # the answer, it seems
        if self._transfer is None and lost:
            return {"slot": state.idle}
        transfer = self._mine(request)
        letter = self._slots.receive(transfer.envelope, transfer.manifest, transfer.sources())
        self.disconnect(self._owner)
        disk.remove(transfer.folder)
        return {"slot": letter}

    def _activate(self, request: dict[str, Any]) -> dict[str, Any]:
        hold = _take(request, "hold", bool)
        letter = self._slots.state.idle
        state = self._slots.state.slots[letter].state
        if state not in {"STAGED", "TRIAL"}:
            raise TransferError("no bundle is staged: flash one", "state")
        if state == "STAGED" and hold and not self._trials.idle():
            with self._slots.writing():
                self._slots.hold(letter)
        elif state == "STAGED":
            self._trials.start()
        return {"state": self._slots.state.slots[letter].state}

    def _status(self, request: dict[str, Any]) -> dict[str, Any]:
        state, fault = self._slots.state, self._slots.fault
        return {
            "slots": self._show_slots(),
            "state": "FAULT" if fault else "READY" if state.active else "EMPTY",
            "fault": fault,
            "trial": self._trials.last,
            "counter": state.counter,
        }

    def _confirm(self, request: dict[str, Any]) -> dict[str, Any]:
        self._activate({"hold": False})
        return {"slots": self._show_slots()}

    def _rollback(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._slots.writing():
            self._slots.rollback()
        return {"slots": self._show_slots()}

    def _log(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"entries": self._slots.journal.entries(_take(request, "after", int))}

    def _data(self, request: dict[str, Any]) -> None:
        data = request.get("d")
        if self._transfer is not None and self._owner is self._asker:
            self._transfer.data(data if isinstance(data, bytes) else None)

    def _mine(self, request: dict[str, Any]) -> Transfer:
        """The transfer that a request is for: the one that its sender has offered."""
        wanted, transfer = _take(request, "transfer", bytes).hex(), self._transfer
        if transfer is None or self._owner is not self._asker or wanted != transfer.id:
            raise TransferError("no such transfer is open: offer the bundle again", "state")
        return transfer

    def _show_slots(self) -> dict[str, Any]:
        state = self._slots.state
        shown: dict[str, Any] = {}
        for letter in LETTERS:
            slot = state.slots[letter]
            shown[letter] = {
                "state": slot.state,
                "active": letter == state.active,
                "manifest": bytes.fromhex(slot.manifest) if slot.manifest else None,
                "tries": slot.tries,
                "held": slot.held,
            }
            if slot.complete:
                with contextlib.suppress(BundleError):
                    manifest = self._slots.manifest(letter)
                    shown[letter] |= {
                        "name": manifest.name,
                        "version": manifest.version,
                        "counter": manifest.counter,
                    }
        return shown


def _take(request: Mapping[str, Any], key: str, kind: type[T], most: int = MAX_NUMBER) -> T:
    """A field of a request: of its type; a number from 0 to ``most``, bytes no longer than that."""
    value = request.get(key)
    if type(value) is not kind:
        raise TransferError(f"{key}: must be a {kind.__name__}", "malformed")
    size = len(value) if isinstance(value, bytes | str) else value
    if isinstance(size, int) and not 0 <= size <= most:
        raise TransferError(f"{key}: must be 0 to {most}", "malformed")
    return value


def _explain(error: Exception) -> tuple[str, str]:
    """Code and text of an answer."""
    said = "; ".join(str(error).splitlines())[:MAX_TEXT]
    cause = error.__cause__ if isinstance(error, StorageError) else error
    if isinstance(cause, OSError) and cause.errno in NO_ROOM:
        return "room", f"the disk of the box is full ({said}): free some space there"
    if isinstance(error, TransferError):
        return error.code, said
    if isinstance(error, LineguardError | OSError):
        return "internal", f"{said}: see the log of the box"
    return "internal", f"{type(error).__name__} {said}: report it"
