"""A transfer on its way in: files that grow, resume at any chunk, and count when they are whole.

``incoming/ID/N.part`` is a file of the bundle as far as it has come, ``N.patch`` a delta from which
it will be made, and ``N.whole`` has been compared with the manifest and is on the disk. A whole one
may be a slot's file by another name, so it is never opened for writing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from firmware_bridge import disk
from firmware_bridge.coming import CODINGS, Coming, most_bytes
from models.bundle import CHUNK, ENVELOPE, FileEntry, Manifest, manifest_id
from models.errors import TransferError

__all__ = ["Lacking", "Transfer"]


@dataclass(frozen=True)
class Lacking:
    """What is there of one file.

    Attributes
    ----------
    at
        Leading bytes that are right; all of them if the file is not lacking.
    source
        A whole file with this content; ``None`` if it is lacking.
    """

    at: int
    source: Path | None = None


class Transfer:
    """One bundle on its way in.

    Parameters
    ----------
    incoming
        Folder of all transfers.
    envelope, manifest
        The bundle's, checked.
    """

    def __init__(self, incoming: Path, envelope: bytes, manifest: Manifest) -> None:
        self.envelope, self.manifest = envelope, manifest
        self.id = manifest_id(manifest.to_cbor())
        self.folder = incoming / self.id
        self._at: dict[int, int] = {}
        self._index = 0
        self._coming: Coming | None = None

    def survey(self, have: Mapping[str, Path]) -> list[Lacking]:
        """What is there of each file, compared by hash; writes nothing.

        Parameters
        ----------
        have
            Files of the slots by sha256.
        """
        found = []
        for index, entry in enumerate(self.manifest.files):
            sources = [self._path(index, "whole"), have.get(entry.sha256)]
            right = (
                each for each in sources if each and disk.holds(each, entry.bytes, entry.sha256)
            )
            source = next(right, None)
            at = entry.bytes if source else _leading(self._path(index, "part"), entry)
            found.append(Lacking(at, source))
        return found

    def open(self, found: list[Lacking]) -> None:
        """Make the folder, and give what is there already its place in it; durably."""
        disk.make_folder(self.folder.parent)
        disk.make_folder(self.folder)
        disk.remove(self.folder / ENVELOPE)
        disk.write_new(self.folder / ENVELOPE, self.envelope)
        for index, lacking in enumerate(found):
            whole = self._path(index, "whole")
            disk.remove(self._path(index, "patch"))
            if lacking.source is None:
                disk.remove(whole)
                self._at[index] = lacking.at
            elif lacking.source != whole:
                disk.remove(whole)
                disk.place(lacking.source, whole)
            if lacking.at == 0 or lacking.source is not None:
                disk.remove(self._path(index, "part"))
        disk.sync(self.folder)

    def begin(self, index: int, at: int, coding: str, base: Path | None, size: int) -> None:
        """Expect a file; what comes of another one that was not finished stays for later.

        Parameters
        ----------
        at
            Bytes of the content that are kept; the coded stream starts behind them.
        base
            What a patch is for.
        size
            Bytes that will come, coded.

        Raises
        ------
        TransferError
            ``state`` or ``malformed``: this file cannot come now, or not like this.
        """
        self.close()
        entry = self._entry(index)
        if self._path(index, "whole").exists():
            raise TransferError(f"{entry.path} is here already: send another", "state")
        if at > self._at.get(index, 0) or (at % CHUNK and at != entry.bytes):
            raise TransferError(f"{entry.path}: cannot go on at byte {at}: offer again", "state")
        if coding not in CODINGS or (coding == "bsdiff") != (base is not None):
            raise TransferError(f"{entry.path}: coding {coding!r:.20}: send it raw", "malformed")
        if coding == "bsdiff" and at:
            raise TransferError(f"{entry.path}: a patch begins at 0, not at {at}", "malformed")
        if size > most_bytes(entry.bytes - at, coding):
            raise TransferError(
                f"{entry.path}: {size} bytes are too many: send it raw", "malformed"
            )
        self._at[index] = at
        part = self._path(index, "part")
        self._index, self._coming = index, Coming(entry, part, at, coding, base, size)

    def data(self, data: bytes | None) -> None:
        """Take the next bytes. Nothing is answered: what is wrong is told by :meth:`check`."""
        if self._coming is not None:
            self._coming.take(data)

    def check(self, index: int) -> None:
        """The file is whole and on the disk when this returns.

        Raises
        ------
        TransferError
            ``content``, ``malformed`` or ``room``: what came was thrown away; ``state``: not all
            of it has come.
        """
        entry = self._entry(index)
        coming, self._coming = self._coming, None
        if coming is not None and self._index == index:
            try:
                coming.finish()
            except TransferError as error:
                if error.code != "state":  # nothing of it is left
                    self._at[index] = 0
                raise
            disk.rename(self._path(index, "part"), self._path(index, "whole"))
        elif not self._path(index, "whole").exists():
            if coming is not None:
                coming.close()
            raise TransferError(f"{entry.path} was not announced: send `file` first", "state")

    def sources(self) -> list[Path]:
        """The whole files, in order; ``TransferError`` (``state``) if one is not whole yet."""
        found = []
        for index, entry in enumerate(self.manifest.files):
            whole = self._path(index, "whole")
            if not whole.exists():
                raise TransferError(f"{entry.path} has not come yet: send it", "state")
            found.append(whole)
        return found

    def close(self) -> None:
        """Stop taking data; what has come stays."""
        if self._coming is not None:
            self._coming.close()
            self._coming = None

    def _entry(self, index: int) -> FileEntry:
        if not 0 <= index < len(self.manifest.files):
            raise TransferError(f"there is no file {index}: offer again", "malformed")
        return self.manifest.files[index]

    def _path(self, index: int, kind: str) -> Path:
        return self.folder / f"{index}.{kind}"


def _leading(path: Path, entry: FileEntry) -> int:
    """Bytes of a part that are right, up to the end of a chunk."""
    good = 0
    try:
        if path.lstat().st_nlink > 1:
            return 0
        with path.open("rb") as file:
            for chunk in entry.chunks:
                data = file.read(CHUNK)
                if hashlib.sha256(data).hexdigest() != chunk:
                    break
                good += len(data)
    except OSError:
        return 0
    return good
