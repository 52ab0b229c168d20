"""The file that a bundle is: an uncompressed tar of one form only.

All that a header says follows from a path and a size, so a bundle is read by writing what must
stand there and comparing: links, devices, other formats and other orders never have a meaning.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from models.atomic import write_atomic
from models.bundle.envelope import MAX_ENVELOPE, read_envelope, sign, verify_envelope
from models.bundle.keys import PrivateKey, PublicKey
from models.bundle.manifest import CHUNK, Manifest, file_entry
from models.errors import BundleError

__all__ = ["ENVELOPE", "FILES", "Bundle", "create_bundle", "open_bundle"]

ENVELOPE = "manifest.dsse"
"""Name of the first member, and of the file on a box."""

FILES = "files"
"""Folder of the payload."""

BLOCK = 512
END = bytes(2 * BLOCK)
"""Two blocks of zeros end a tar (POSIX.1-2017, pax, "ustar Interchange Format")."""

_MEND = "copy it again from where it was made"


class Bundle:
    """An open bundle whose signature and layout have been checked; any thread may read from it.

    Attributes
    ----------
    path
        The file.
    envelope
        The signed manifest as it stands in the file.
    manifest
        What the envelope says.
    """

    def __init__(
        self, path: Path, descriptor: int, envelope: bytes, manifest: Manifest, starts: list[int]
    ) -> None:
        self.path, self.envelope, self.manifest = path, envelope, manifest
        self._file, self._starts = descriptor, starts

    def read(self, index: int, at: int = 0) -> Iterator[bytes]:
        """Content of ``manifest.files[index]`` from ``at`` on, in chunks, each compared before.

        Parameters
        ----------
        at
            A multiple of :data:`CHUNK`, or the size of the file, of which nothing is left.

        Raises
        ------
        BundleError
            A chunk is not what the manifest says.
        """
        entry = self.manifest.files[index]
        if not 0 <= at <= entry.bytes or (at % CHUNK and at != entry.bytes):
            raise ValueError(f"{at} is not where a chunk begins")
        for number in range(-(-at // CHUNK), len(entry.chunks)):
            place = number * CHUNK
            size = min(CHUNK, entry.bytes - place)
            chunk = _pread(self.path, self._file, size, self._starts[index] + place)
            if hashlib.sha256(chunk).hexdigest() != entry.chunks[number]:
                raise BundleError(f"{self.path}: {entry.path}: was altered at {place}: {_MEND}")
            yield chunk

    def check(self) -> None:
        """Read everything; ``BundleError`` if a file is not what the manifest says."""
        for index, entry in enumerate(self.manifest.files):
            whole = hashlib.sha256()
            for chunk in self.read(index):
                whole.update(chunk)
            if whole.hexdigest() != entry.sha256:
                raise BundleError(f"{self.path}: {entry.path}: its chunks are not its sha256")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def __enter__(self) -> Bundle:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def create_bundle(
    path: Path, manifest: Manifest, payload: Mapping[str, bytes], key: PrivateKey
) -> None:
    """Write a bundle: the same bytes for the same manifest, payload and key.

    Parameters
    ----------
    payload
        Content of each of ``manifest.files``, by path.

    Raises
    ------
    BundleError
        The payload is not what the manifest says.
    StorageError
        The file cannot be written; it is then what it was.
    """
    if set(payload) != {entry.path for entry in manifest.files}:
        raise BundleError(f"{path}: the payload has not the files that the manifest names")
    for entry in manifest.files:
        if file_entry(entry.path, payload[entry.path]) != entry:
            raise BundleError(f"{path}: {entry.path} is not what the manifest says of it")
    envelope = sign(manifest, key)
    verify_envelope(envelope, [key.public])  # what no box could read must not leave the host
    parts = [_header("", ENVELOPE, len(envelope)), envelope, _padding(len(envelope))]
    for entry in manifest.files:
        parts += [_header(FILES, entry.path, entry.bytes), payload[entry.path]]
        parts.append(_padding(entry.bytes))
    write_atomic(path, b"".join([*parts, END]))


def open_bundle(path: Path, trusted: Sequence[PublicKey] | None) -> Bundle:
    """Open a bundle: signature, manifest and layout are checked now, content as it is read.

    Parameters
    ----------
    trusted
        Whose signature counts; ``None`` takes any bundle, to look at, never to install.

    Raises
    ------
    UntrustedError
        None of the trusted keys has signed it.
    BundleError
        It is no bundle, cut off, altered, or breaks a limit.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}): check the path") from error
    try:
        envelope, start = _read_envelope(path, descriptor)
        try:
            if trusted is None:
                manifest = Manifest.from_cbor(read_envelope(envelope).payload)
            else:
                manifest = verify_envelope(envelope, trusted)
        except BundleError as error:
            lines = [f"{path}: {line}" for line in str(error).splitlines()]
            raise type(error)("\n".join(lines)) from error
        starts = _check_layout(path, descriptor, manifest, start)
    except BaseException:
        os.close(descriptor)
        raise
    return Bundle(path, descriptor, envelope, manifest, starts)


def _read_envelope(path: Path, descriptor: int) -> tuple[bytes, int]:
    """The first member, and where the second begins."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # a pipe would make us wait for ever
        raise BundleError(f"{path}: is no file: name a bundle (.lgb)")
    header = os.pread(descriptor, BLOCK, 0)
    try:
        size = int(header[124:135], 8)
    except ValueError:
        size = 0
    if not 0 < size <= MAX_ENVELOPE or header != _header("", ENVELOPE, size):
        raise BundleError(f"{path}: does not begin with {ENVELOPE}: this is no bundle, or {_MEND}")
    padded = size + len(_padding(size))
    data = _pread(path, descriptor, padded, BLOCK)
    if any(data[size:]):
        raise BundleError(f"{path}: holds something behind {ENVELOPE}: {_MEND}")
    return data[:size], BLOCK + padded


def _check_layout(path: Path, descriptor: int, manifest: Manifest, start: int) -> list[int]:
    """Compare all that is not content; gives where the content of each file begins."""
    starts = []
    for entry in manifest.files:
        if _pread(path, descriptor, BLOCK, start) != _header(FILES, entry.path, entry.bytes):
            raise BundleError(f"{path}: {entry.path} is not where it should be: {_MEND}")
        starts.append(start + BLOCK)
        padding = _padding(entry.bytes)
        start += BLOCK + entry.bytes + len(padding)
        if _pread(path, descriptor, len(padding), start - len(padding)) != padding:
            raise BundleError(f"{path}: holds something behind {entry.path}: {_MEND}")
    if os.pread(descriptor, len(END) + 1, start) != END:
        raise BundleError(f"{path}: does not end where it should: {_MEND}")
    return starts


def _pread(path: Path, descriptor: int, size: int, at: int) -> bytes:
    try:
        data = os.pread(descriptor, size, at)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}): {_MEND}") from error
    if len(data) < size:
        raise BundleError(f"{path}: ends too early: it was cut off; {_MEND}")
    return data


def _header(folder: str, name: str, size: int) -> bytes:
    """The header block of a regular file (POSIX.1-2017, "ustar Interchange Format")."""

    def text(value: str, width: int) -> bytes:
        return value.encode("ascii").ljust(width, b"\0")

    def octal(value: int, width: int) -> bytes:
        return f"{value:0{width - 1}o}\0".encode("ascii")

    before = text(name, 100) + octal(0o644, 8) + octal(0, 8) + octal(0, 8)
    before += octal(size, 12) + octal(0, 12)
    behind = b"0" + bytes(100) + b"ustar\x0000" + bytes(64)
    behind += octal(0, 8) + octal(0, 8) + text(folder, 155) + bytes(12)
    total = sum(before) + 8 * ord(" ") + sum(behind)
    return before + octal(total, 7) + b" " + behind


def _padding(size: int) -> bytes:
    """Zeros up to the next whole block."""
    return bytes(-size % BLOCK)
