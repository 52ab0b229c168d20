"""The boards that images are made for: what starts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.errors import InputError
from models.nearest import nearest

__all__ = ["BOARDS", "Board", "find_board"]


@dataclass(frozen=True)
class Board:
    """A board, or a kind of them.

    Attributes
    ----------
    name
        As on the command line.
    title
        For people.
    start
        What reads the first partition: firmware by the rules of UEFI, or the Raspberry Pi's own.
    packages
        Of Debian, beside those of every box.
    firmware
        Beginnings of the paths of what is started before the kernel, or with it.
    components
        Of Debian's archive.
    """

    name: str
    title: str
    start: Literal["uefi", "raspberry"]
    packages: tuple[str, ...]
    firmware: tuple[str, ...]
    components: tuple[str, ...] = ("main",)


LOADER = ("systemd-boot-efi",), ("usr/lib/systemd/boot/efi/systemd-bootaa64.efi",)

BOARDS = {
    each.name: each
    for each in (
        Board("qemu-virt", "QEMU's virt machine, with UEFI", "uefi", *LOADER),
        Board("generic-arm64", "any board with UEFI firmware", "uefi", *LOADER),
        Board(
            "rpi4",
            "Raspberry Pi 4 and Compute Module 4",
            "raspberry",
            ("raspi-firmware",),
            ("usr/lib/raspi-firmware/", "usr/lib/linux-image-"),
            ("main", "non-free-firmware"),
        ),
    )
}
"""By name. The first two are the same image under two names: QEMU is such a board."""


def find_board(name: str) -> Board:
    """The board of that name.

    Raises
    ------
    InputError
        There is none; with the nearest known one.
    """
    if name in BOARDS:
        return BOARDS[name]
    near = nearest(name, BOARDS)
    known = f"did you mean {near}?" if near else f"there are {', '.join(BOARDS)}"
    raise InputError(f"--board {name}: no such board: {known}")
