"""Slots A and B of a box: which bundle is active, and which is on its way to be so.

``docs/protocol.md``, section 4, is what this does. Only the slot that is not active is ever
written, and each step is on the disk before the next one begins.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from firmware_bridge import disk
from firmware_bridge.journal import Journal
from firmware_bridge.state import LETTERS, MAX_TRIES, NEW_BOX, Letter, Slot, State
from models.atomic import write_atomic
from models.bundle import (
    ENVELOPE,
    FILES,
    MAX_ENVELOPE,
    Manifest,
    PublicKey,
    load_trusted,
    manifest_id,
    verify_envelope,
)
from models.errors import BundleError, StorageError, TransferError

__all__ = ["Slots"]


class Slots:
    """The slots below one folder.

    What changes them must stand within :meth:`writing`.

    Parameters
    ----------
    root
        Folder of the box; made if it is missing.

    Attributes
    ----------
    fault
        Why the active bundle cannot be used, as start-up has found; empty if it can.

    Raises
    ------
    StorageError
        The folder cannot be made.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            (root / "trusted").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"{root}: cannot be made ({error.strerror}): check --root"
            ) from error
        self.lock = disk.Lock(root / "lock")
        self.journal = Journal(root / "journal.jsonl")
        self.fault = ""

    @property
    def state(self) -> State:
        """What ``state.json`` says now; a new box's if there is none.

        Raises
        ------
        StorageError
            It cannot be read, or is spoilt; start-up mends the latter.
        """
        path = self.root / "state.json"
        try:
            return State.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return NEW_BOX
        except OSError as error:
            raise StorageError(f"{path}: cannot be read ({error.strerror}): check it") from error
        except ValidationError as error:
            raise StorageError(
                f"{path}: is spoilt: start the agent anew, which mends it"
            ) from error

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one writer meanwhile.

        Raises
        ------
        TransferError
            ``busy``: another host or process writes.
        StorageError
            This user may not write there.
        """
        try:
            mine = self.lock.take()
        except OSError as error:
            name = f"{self.root / 'lock'}: cannot be written ({error.strerror})"
            raise StorageError(f"{name}: run this as the user of the agent") from error
        if not mine:
            raise TransferError("another host or process is writing to this box: wait", "busy")
        try:
            yield
        finally:
            self.lock.release()

    def trusted(self) -> tuple[PublicKey, ...]:
        """Whose bundles this box takes."""
        return load_trusted(self.root / "trusted")

    def read(self, letter: Letter) -> Manifest:
        """The manifest in a slot, its signature checked.

        Raises
        ------
        BundleError
            It is missing, altered, or signed by nobody who is trusted.
        """
        path = self.root / letter / ENVELOPE
        try:
            with path.open("rb") as file:
                return verify_envelope(file.read(MAX_ENVELOPE + 1), self.trusted())
        except OSError as error:
            raise BundleError(f"{path}: cannot be read ({error.strerror}): flash it") from error

    def manifest(self, letter: Letter) -> Manifest:
        """As :meth:`read`, and it must be the one that ``state.json`` names."""
        manifest = self.read(letter)
        if manifest_id(manifest.to_cbor()) != self.state.slots[letter].manifest:
            raise BundleError(f"slot {letter}: another bundle lies there: flash it again")
        return manifest

    def compare(self, letter: Letter, manifest: Manifest) -> None:
        """Compare every file of a slot, from the disk; ``BundleError`` if one is another."""
        for entry in manifest.files:
            path = self.root / letter / FILES / entry.path
            if not disk.holds(path, entry.bytes, entry.sha256):
                raise BundleError(f"{path}: is not what its manifest says: flash it again")

    def verify(self, letter: Letter) -> Manifest:
        """:meth:`manifest` and :meth:`compare`: the whole bundle."""
        manifest = self.manifest(letter)
        self.compare(letter, manifest)
        return manifest

    def contents(self) -> list[tuple[str, str, Path]]:
        """Path in the bundle, sha256 and file of all that lies in complete slots, not compared."""
        found = []
        for letter in LETTERS:
            if self.state.slots[letter].complete:
                with contextlib.suppress(BundleError):
                    for entry in self.manifest(letter).files:
                        file = self.root / letter / FILES / entry.path
                        found.append((entry.path, entry.sha256, file))
        return found

    def admit(self, manifest: Manifest) -> None:
        """Refuse (``old``) what is below the highest security counter that was confirmed."""
        counter = self.state.counter
        if manifest.counter < counter:
            raise TransferError(
                f"{manifest.name} {manifest.version} has security counter {manifest.counter}, "
                f"this box has confirmed {counter}: flash a newer one",
                "old",
            )

    def receive(self, envelope: bytes, manifest: Manifest, sources: Sequence[Path]) -> Letter:
        """Put a bundle into the slot that is not active: STAGED when this returns.

        Parameters
        ----------
        envelope, manifest
            The bundle's, checked.
        sources
            A file for each of ``manifest.files``; they become files of the slot by one more name.

        Raises
        ------
        TransferError
            ``state`` while that slot is being tried; ``content`` if a file is not the manifest's.
        OSError, StorageError
            The disk failed. Then, and after ``content``, the slot is EMPTY.
        """
        state = self.state
        letter = state.idle
        if state.slots[letter].state == "TRIAL":
            raise TransferError(f"slot {letter} is being tried: wait for its end", "state")
        named = f"{manifest.name} {manifest.version}"
        self.write(
            state.put(letter, Slot(state="RECEIVING")), "receiving", f"slot {letter}: {named}"
        )
        try:
            self._fill(letter, envelope, manifest, sources)
            self.compare(letter, manifest)
        except (BundleError, OSError) as error:
            with contextlib.suppress(OSError, StorageError):  # else it is RECEIVING until start-up
                disk.remove(self.root / letter)
                self.write(self.state.put(letter, Slot()), "failed", f"slot {letter}: {error}")
            if isinstance(error, BundleError):
                raise TransferError(str(error), "content") from error
            raise
        slot = Slot(state="STAGED", manifest=manifest_id(manifest.to_cbor()))
        self.write(self.state.put(letter, slot), "staged", f"slot {letter}: {named}")
        return letter

    def _fill(
        self, letter: Letter, envelope: bytes, manifest: Manifest, sources: Sequence[Path]
    ) -> None:
        folder = self.root / letter
        disk.remove(folder)
        disk.make_folder(folder)
        disk.write_new(folder / ENVELOPE, envelope)
        made = {folder, folder / FILES}
        disk.make_folder(folder / FILES)
        for entry, source in zip(manifest.files, sources, strict=True):
            target = folder / FILES / entry.path
            for parent in reversed(target.parents):
                if folder / FILES in parent.parents:
                    disk.make_folder(parent)
                    made.add(parent)
            disk.place(source, target)
        for each in made:
            disk.sync(each)

    def hold(self, letter: Letter) -> None:
        """A staged bundle waits until the station is idle."""
        slot = self.state.slots[letter].model_copy(update={"held": True})
        self.write(self.state.put(letter, slot), "held", f"slot {letter} waits for an idle line")

    def begin_trial(self, letter: Letter) -> Manifest:
        """Count a start of the trial, durably.

        Raises
        ------
        BundleError
            There were enough, or the bundle is damaged: :meth:`fail_trial` must follow.
        """
        state = self.state
        slot = state.slots[letter]
        if slot.tries >= MAX_TRIES:
            raise BundleError(f"the trial was started {MAX_TRIES} times and never ended: flash it")
        manifest = self.verify(letter)
        tried = Slot(state="TRIAL", manifest=slot.manifest, tries=slot.tries + 1)
        self.write(state.put(letter, tried), "trial", f"slot {letter}: start {tried.tries}")
        return manifest

    def pass_trial(self, letter: Letter, counter: int, words: str) -> None:
        """Make a slot CONFIRMED and active, in one write."""
        state = self.state
        slot = Slot(state="CONFIRMED", manifest=state.slots[letter].manifest)
        state = state.put(letter, slot, active=letter, counter=max(counter, state.counter))
        self.write(state, "confirmed", f"slot {letter} is active: {words}")
        self.fault = ""
        self.follow(state)

    def fail_trial(self, letter: Letter, reason: str) -> None:
        """Make a slot EMPTY; nothing else changes."""
        self.write(self.state.put(letter, Slot()), "failed", f"slot {letter}: {reason}")
        with contextlib.suppress(OSError):  # start-up does it else
            disk.remove(self.root / letter)

    def rollback(self) -> Letter:
        """Make the other slot active again; gives which.

        Raises
        ------
        TransferError
            ``state`` if it holds no confirmed bundle, ``old`` if the box must not go back to it,
            ``content`` if it is damaged.
        """
        state = self.state
        other = state.idle
        if state.active is None or state.slots[other].state != "CONFIRMED":
            raise TransferError("there is no other confirmed bundle: flash one", "state")
        try:
            manifest = self.verify(other)
        except BundleError as error:
            raise TransferError(str(error), "content") from error
        self.admit(manifest)
        state = state.put(other, state.slots[other], active=other)
        self.write(state, "rollback", f"slot {other} is active: {manifest.name} {manifest.version}")
        self.fault = ""
        self.follow(state)
        return other

    def write(self, state: State, event: str, text: str) -> None:
        """Replace ``state.json``, then say so in the journal; ``StorageError`` if it cannot be."""
        data = json.dumps(state.model_dump(), indent=1).encode() + b"\n"
        write_atomic(self.root / "state.json", data)
        self.journal.add(event, text)

    def follow(self, state: State) -> None:
        """Bring ``current`` to where ``state.json`` says; start-up does it if this fails."""
        if state.active is not None:
            with contextlib.suppress(OSError):
                disk.point(self.root / "current", state.active)
