"""What a board is, and how a station should use it: found out, or said by people."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from pydantic import Field

from edge.box.devices import Chip, Zone, gpio_chips, serial_ports, zones
from edge.box.processor import Core, features, hardware, read_cores
from edge.box.root import Root, printable
from edge.box.video import list_nodes
from edge.judge.fields import Many, Table
from models.errors import InputError

__all__ = ["BOARD_FILE", "Override", "Profile", "detect"]

BOARD_FILE = "etc/lineguard/board.toml"
"""Where people put what is found out wrongly."""

LITTLE = 0.6
"""A core with less than this of the fastest one's capacity is a little one: the threads of one
inference wait for the slowest of them. Clusters of big cores differ by their clocks alone."""

MAX_THREADS = 4
"""Of an inference: small models gain little from more, and the cores are missed elsewhere."""

SPARED_FROM = 4
"""Equal cores from which one is left to cameras and outputs; fewer are all needed."""


class Override(Table):
    """A board file: what stands there is believed instead of what was found out."""

    board: str | None = Field(None, min_length=1, max_length=200, description="its name")
    cores: Many[int] = Field((), max_length=64, description="those for inference")
    threads: int | None = Field(None, ge=1, le=64, description="of one inference")
    flavours: Many[Literal["int8", "fp16", "fp32"]] = Field(
        (), max_length=3, description="precisions of .nb models, the best first: int8, fp16, fp32"
    )


@dataclasses.dataclass(frozen=True)
class Profile:
    """A board.

    Attributes
    ----------
    board, soc
        Its name, and that of its chip as the device tree has it (``rockchip,rk3588``).
    machine, kernel, bits
        What the kernel calls the processor, its release, and the width of programs.
    cores, features
        See :mod:`edge.box.processor`.
    threads, inference, rest
        Proposed: how many threads an inference has, on which cores it stays, and where all else
        goes. No cores at all where pinning gains nothing.
    hardware
        Targets of bundles that it runs.
    flavours
        Precisions that a ``.nb`` model may have here, the one to try first in front.
    zones, gpio, serial, video
        Thermal zones, GPIO chips, serial ports and video devices.
    """

    board: str
    soc: str
    machine: str
    kernel: str
    bits: int
    cores: tuple[Core, ...]
    features: tuple[str, ...]
    threads: int
    inference: tuple[int, ...]
    rest: tuple[int, ...]
    hardware: tuple[str, ...]
    flavours: tuple[str, ...]
    zones: tuple[Zone, ...]
    gpio: tuple[Chip, ...]
    serial: tuple[str, ...]
    video: tuple[tuple[str, str], ...]

    @property
    def layout(self) -> str:
        """The cores in words: ``4x Cortex-A55 1.8 GHz + 4x Cortex-A76 2.4 GHz``."""
        kinds: dict[tuple[str, int], int] = {}
        for core in self.cores:
            kinds[core.kind, core.khz] = kinds.get((core.kind, core.khz), 0) + 1
        clock = {khz: f" {khz / 1e6:.3g} GHz" if khz else "" for _, khz in kinds}
        named = (f"{number}x {kind}{clock[khz]}" for (kind, khz), number in kinds.items())
        return " + ".join(named) or "unknown cores"

    def as_record(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {**dataclasses.asdict(self), "layout": self.layout}


def detect(root: Root | None = None, override: Override | None = None) -> Profile:
    """Find out what this board is.

    Parameters
    ----------
    root
        Its files; those of this machine if left out.
    override
        What people say of it.

    Raises
    ------
    InputError
        ``override`` names a core that the board has not got, or more threads than cores.
    """
    root = root or Root()
    said = override or Override()
    cores, found = read_cores(root), features(root)
    inference, rest = _split(cores)
    if said.cores:
        inference, rest = _said(cores, said.cores)
    threads = said.threads or min(MAX_THREADS, len(inference) or len(cores) or 1)
    if inference and threads > len(inference):
        given = ", ".join(map(str, inference))
        raise InputError(f"threads = {threads}: inference has cores {given}: give one for each")
    compatible = [printable(each) for each in root.text("proc/device-tree/compatible").split("\0")]
    return Profile(
        board=said.board or _name(root),
        soc=next((each for each in reversed(compatible) if each), ""),
        machine=root.machine,
        kernel=root.kernel,
        bits=root.bits,
        cores=cores,
        features=found,
        threads=threads,
        inference=inference,
        rest=rest,
        hardware=hardware(root),
        flavours=said.flavours or _flavours(root, found),
        zones=zones(root),
        gpio=gpio_chips(root),
        serial=serial_ports(root),
        video=list_nodes(root),
    )


def _name(root: Root) -> str:
    """From the device tree, or the BIOS of a PC."""
    words = root.line("proc/device-tree/model") or root.line("sys/firmware/devicetree/base/model")
    bios = [root.line(f"sys/class/dmi/id/{key}") for key in ("sys_vendor", "product_name")]
    return words or " ".join(filter(None, bios)) or f"{root.machine or 'unknown'} board"


def _split(cores: tuple[Core, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Cores of inference, and of the rest; none and none where there is nothing to divide."""
    big = [core.number for core in cores if core.capacity >= 1024 * LITTLE]
    little = [core.number for core in cores if core.number not in big]
    if little:
        return tuple(big), tuple(little)
    if len(big) >= SPARED_FROM:
        # The first core: most boards leave the interrupts of their devices to it.
        return tuple(big[1:]), tuple(big[:1])
    return (), ()


def _said(
    cores: tuple[Core, ...], chosen: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    known = [core.number for core in cores]
    if missing := [number for number in chosen if number not in known]:
        there = ", ".join(map(str, known)) or "none that is known"
        raise InputError(f"cores = {list(chosen)}: there is no core {missing[0]}, only {there}")
    rest = tuple(number for number in known if number not in chosen)
    return tuple(sorted(set(chosen))), rest or tuple(known)


def _flavours(root: Root, found: tuple[str, ...]) -> tuple[str, ...]:
    """Which precisions Paddle Lite computes here, by what is usually fastest.

    INT8 gains by the dot product instructions; without them it has been measured slower than FP32
    on some boards. FP16 needs its own instructions, and a Paddle Lite that was built with them.
    """
    base = next(iter(hardware(root)), "")
    if not base.startswith("arm"):
        return ("fp32",)  # Paddle Lite's INT8 is wrong on x86
    fast = ("int8",) if "dotprod" in found else ()
    half = ("fp16",) if "fp16" in found else ()
    slow = () if fast else ("int8",)
    return (*fast, *half, "fp32", *slow)
