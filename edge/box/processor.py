"""The processor of a board: its cores, large and little, and what their instructions can do.

Sources: ``arch/arm64/kernel/cpuinfo.c`` (what ``/proc/cpuinfo`` says on ARM; the features are those
that all cores have), https://docs.kernel.org/arch/arm64/cpu-feature-registers.html (``midr_el1``),
https://docs.kernel.org/scheduler/sched-capacity.html (``cpu_capacity``; 1024 is the largest core),
Documentation/ABI/testing/sysfs-devices-system-cpu.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge.box.root import Root, cpu_list, printable

__all__ = ["Core", "features", "hardware", "read_cores"]

ARM = 0x41
"""Implementer of the parts below; others (Qualcomm, Apple) are not on the boards that we know."""

PARTS = {
    0xC07: ("Cortex-A7", 380),
    0xC08: ("Cortex-A8", 330),
    0xC09: ("Cortex-A9", 430),
    0xC0F: ("Cortex-A15", 700),
    0xC0E: ("Cortex-A17", 700),
    0xD04: ("Cortex-A35", 420),
    0xD03: ("Cortex-A53", 485),
    0xD05: ("Cortex-A55", 530),
    0xD07: ("Cortex-A57", 850),
    0xD08: ("Cortex-A72", 870),
    0xD09: ("Cortex-A73", 900),
    0xD0A: ("Cortex-A75", 960),
    0xD0B: ("Cortex-A76", 1024),
    0xD0D: ("Cortex-A77", 1200),
    0xD41: ("Cortex-A78", 1300),
    0xD42: ("Cortex-A78AE", 1300),
    0xD44: ("Cortex-X1", 1500),
    0xD46: ("Cortex-A510", 580),
    0xD47: ("Cortex-A710", 1350),
}
"""Name of each part, and roughly its work per clock, as ``capacity-dmips-mhz`` of device trees has
it; used only where the kernel itself gives no capacities."""

USUAL = 1024
"""Work per clock of a part that is not in the table."""

FEATURES = {
    "neon": ("neon", "asimd"),
    "dotprod": ("asimddp",),
    "fp16": ("asimdhp",),
    "i8mm": ("i8mm",),
    "avx2": ("avx2",),
    "avx512": ("avx512f",),
    "vnni": ("avx512_vnni", "avx_vnni"),
}
"""What we call a feature, and the kernel's words for it, any of which will do."""

MACHINES = {
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv7l": "armv7",
    "armv8l": "armv7",  # what a 64-bit kernel tells a program that asked for 32 bits
    "x86_64": "x86-64",
    "amd64": "x86-64",
}
"""What the kernel calls a processor, and what a bundle calls it."""

WITH = ("dotprod", "fp16", "i8mm")
"""Features that a bundle can insist on: ``arm64-dotprod``."""


@dataclass(frozen=True)
class Core:
    """One core.

    Attributes
    ----------
    number
        As the kernel counts.
    kind
        ``Cortex-A76``; its number in hex where we have no name, or the model of an x86 processor.
    capacity
        Its speed, of 1024 for the fastest core of the board.
    khz
        Its highest clock; 0 if it is not known.
    """

    number: int
    kind: str
    capacity: int
    khz: int


def read_cores(root: Root) -> tuple[Core, ...]:
    """The cores that are switched on, in the order of the kernel."""
    told = {
        int(block["processor"]): block
        for block in _blocks(root.text("proc/cpuinfo"))
        if 0 < len(block.get("processor", "")) <= 4
    }
    online = cpu_list(root.line("sys/devices/system/cpu/online")) or tuple(sorted(told))
    kinds, clocks, given, work = [], [], [], []
    for number in online:
        folder = f"sys/devices/system/cpu/cpu{number}"
        part = _part(told.get(number, {})) or _register(root, folder)
        name, speed = PARTS.get(part, ("", USUAL)) if part else ("", USUAL)
        model = printable(told.get(number, {}).get("model name", ""))
        kinds.append(name or (f"part {part:#05x}" if part else model) or "unknown")
        clocks.append(max(0, root.number(f"{folder}/cpufreq/cpuinfo_max_freq") or 0))
        given.append(root.number(f"{folder}/cpu_capacity") or 0)
        work.append(speed * (clocks[-1] or 1))
    # The kernel says 1024 of each core where the device tree has no capacities.
    trusted = min(given, default=0) > 0 and (len(set(given)) > 1 or len(set(kinds)) == 1)
    speeds = given if trusted else work
    most = max(speeds, default=1)
    return tuple(
        Core(number, kind, round(1024 * speed / most), khz)
        for number, kind, speed, khz in zip(online, kinds, speeds, clocks, strict=True)
    )


def features(root: Root) -> tuple[str, ...]:
    """Which of the features that engines care for all cores have."""
    found = [
        set(block.get("features", block.get("flags", "")).split())
        for block in _blocks(root.text("proc/cpuinfo"))
        if block.keys() & {"features", "flags"}
    ]
    common = set.intersection(*found) if found else set()
    return tuple(name for name, words in FEATURES.items() if common & set(words))


def hardware(root: Root) -> tuple[str, ...]:
    """Targets of bundles that this machine runs: ``arm64``, ``arm64-dotprod``.

    A bundle that must have an instruction names it, so that no board without it takes the bundle.
    """
    machine = root.machine
    base = MACHINES.get(machine, machine)
    if base == "arm64" and root.bits == 32:
        base = "armv7"  # a 64-bit kernel, but what is loaded must be 32-bit
    if not base.startswith("arm"):
        return (base,) if base else ()
    return base, *(f"{base}-{name}" for name in features(root) if name in WITH)


def _blocks(text: str) -> list[dict[str, str]]:
    """``/proc/cpuinfo`` as one table for each processor, keys in small letters."""
    blocks: list[dict[str, str]] = [{}]
    for line in text.splitlines():
        key, colon, value = (part.strip() for part in line.partition(":"))
        key = key.lower()
        if key == "processor" and value.isascii() and value.isdecimal():
            blocks.append({})
        if colon:
            blocks[-1].setdefault(key, value)
    return blocks


def _part(block: dict[str, str]) -> int:
    if block.get("cpu implementer", "").lower() != f"{ARM:#x}":
        return 0
    try:
        return int(block.get("cpu part", "0"), 16)
    except ValueError:
        return 0


def _register(root: Root, folder: str) -> int:
    """The same from ``MIDR_EL1``: bits 31 to 24 are the implementer, 15 to 4 the part."""
    register = root.number(f"{folder}/regs/identification/midr_el1") or 0
    return register >> 4 & 0xFFF if register >> 24 == ARM else 0
