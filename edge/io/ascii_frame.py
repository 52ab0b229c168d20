"""Lines of ASCII that a microcontroller can make and check, like ``$A,17*9B9F``."""

from __future__ import annotations

import binascii

__all__ = ["MAX_LINE", "Reader", "frame"]

MAX_LINE = 80
"""Characters of a line without its end: what a small microcontroller has room for."""


def frame(*fields: str | int) -> bytes:
    r"""A line of these fields.

    The checksum is CRC-16/XMODEM over what stands between ``$`` and ``*``, four hex digits.

    >>> frame("A", 17)
    b'$A,17*9B9F\r\n'
    """
    body = ",".join(map(str, fields)).encode("ascii")
    return b"$%b*%04X\r\n" % (body, binascii.crc_hqx(body, 0))


class Reader:
    """Finds lines in what comes, however it is cut up; noise is passed over."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, data: bytes) -> list[list[str]]:
        """The fields of each whole and right line that ``data`` completes."""
        *lines, rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        self._rest = rest[-MAX_LINE:]
        return [fields for line in lines if (fields := _fields(line)) is not None]


def _fields(line: bytes) -> list[str] | None:
    body, star, check = line.rpartition(b"$")[2].rpartition(b"*")
    if not star or b"$" not in line or len(line) > MAX_LINE or not body.isascii():
        return None
    if check != b"%04X" % binascii.crc_hqx(body, 0):
        return None
    return body.decode("ascii").split(",")
