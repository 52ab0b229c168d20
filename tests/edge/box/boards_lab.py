"""Folders that look like ``/`` of real boards, as their kernels and device trees have it.

Processors and features as in ``/proc/cpuinfo`` of these boards; clocks, capacities and thermal
zones as in the kernel's device trees (``bcm2711.dtsi``, ``rk356x.dtsi``, ``rk3588s.dtsi``,
``imx8mp.dtsi``); GPIO labels as ``gpiodetect`` prints them.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bundle_lab import PAYLOAD, make_key, make_manifest

from edge.box.finding import Case, Finding
from edge.box.profile import detect
from edge.box.root import Root
from firmware_bridge.slots import Slots
from models.bundle import sign, trust

A53 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
A72 = "fp asimd evtstrm crc32 cpuid"
A76 = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
    "asimddp"
)
ARMV7 = "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm crc32"


@dataclass(frozen=True)
class Cpu:
    """A core: its part, clock in kHz, capacity."""

    part: int
    khz: int
    capacity: int = 1024
    variant: int = 0


@dataclass(frozen=True)
class Board:
    """What a board's files say."""

    model: str
    compatible: Sequence[str]
    cpus: Sequence[Cpu]
    features: str
    machine: str = "aarch64"
    bits: int = 64
    kernel: str = "6.6.51"
    zones: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    """Milli-degrees now, passive and critical, by type."""
    gpio: Mapping[str, str] = field(default_factory=dict)
    """Label by parent device, in the order of the chips."""
    chip_numbers: Sequence[int] = ()
    tty: Mapping[str, int] = field(default_factory=dict)
    """Type of each port: 0 is none."""
    video: Sequence[str] = ()
    more: Mapping[str, str] = field(default_factory=dict)


BOARDS = {
    "rpi4": Board(
        "Raspberry Pi 4 Model B Rev 1.4",
        ("raspberrypi,4-model-b", "brcm,bcm2711"),
        [Cpu(0xD08, 1_800_000)] * 4,
        A72,
        zones={"cpu-thermal": (47_225, 0, 90_000)},
        gpio={"fe200000.gpio": "pinctrl-bcm2711", "soc:firmware:gpio": "raspberrypi-exp-gpio"},
        tty={"ttyS0": 4, "ttyAMA0": 11},
        video=("bcm2835-codec-decode", "bcm2835-isp"),
        more={"sys/devices/platform/soc/soc:firmware/get_throttled": "0\n"},
    ),
    "rpi5": Board(
        "Raspberry Pi 5 Model B Rev 1.0",
        ("raspberrypi,5-model-b", "brcm,bcm2712"),
        [Cpu(0xD0B, 2_400_000, variant=4)] * 4,
        A76,
        zones={"cpu-thermal": (52_350, 0, 110_000)},
        gpio={
            "107d508500.gpio": "gpio-brcmstb@107d508500",
            "1f000d0000.gpio": "pinctrl-rp1",
        },
        chip_numbers=(0, 4),  # as on the kernels of its first year
        tty={"ttyAMA10": 11, "ttyAMA0": 11},
        more={
            "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled": "0\n",
            "sys/class/rtc/rtc0/since_epoch": "1795324800\n",
        },
    ),
    "rk3568": Board(
        "Radxa ROCK3 Model A",
        ("radxa,rock3a", "rockchip,rk3568"),
        [Cpu(0xD05, 1_800_000, variant=2)] * 4,
        A76,
        kernel="5.10.160",
        zones={"cpu-thermal": (45_000, 70_000, 95_000), "gpu-thermal": (44_000, 70_000, 95_000)},
        gpio={f"fe7{n}0000.gpio": f"gpio{n}" for n in range(5)},
        tty={"ttyS2": 4, "ttyS1": 0},
        more={"sys/class/tty/console/active": "tty0 ttyS2\n"},
    ),
    "rk3588": Board(
        "Radxa ROCK 5B",
        ("radxa,rock-5b", "rockchip,rk3588"),
        [
            *[Cpu(0xD05, 1_800_000, 397, 2)] * 4,
            *[Cpu(0xD0B, 2_400_000, 1024, 4)] * 2,
            *[Cpu(0xD0B, 2_352_000, 1003, 4)] * 2,
        ],
        A76,
        kernel="6.1.43",
        zones=dict.fromkeys(
            ("soc-thermal", "bigcore0-thermal", "littlecore-thermal"), (41600, 75000, 115000)
        ),
        tty={"ttyFIQ0": 99},
    ),
    "rk3588-old": Board(  # a device tree without capacities: the kernel calls all cores equal
        "Orange Pi 5",
        ("rockchip,rk3588s-orangepi-5", "rockchip,rk3588"),
        [*[Cpu(0xD05, 1_800_000, 1024, 2)] * 4, *[Cpu(0xD0B, 2_400_000, 1024, 4)] * 4],
        A76,
        kernel="5.10.110",
    ),
    "imx8mp": Board(
        "NXP i.MX8MPlus EVK board",
        ("fsl,imx8mp-evk", "fsl,imx8mp"),
        [Cpu(0xD03, 1_800_000)] * 4,
        A53,
        zones={"cpu-thermal": (51_000, 85_000, 95_000), "soc-thermal": (52_000, 85_000, 95_000)},
        gpio={f"302{n}0000.gpio": f"302{n}0000.gpio" for n in range(5)},
        tty={"ttymxc0": 62, "ttymxc1": 62},
    ),
    "rpi4-32": Board(  # Raspberry Pi OS (32-bit), which boots a 64-bit kernel all the same
        "Raspberry Pi 4 Model B Rev 1.4",
        ("raspberrypi,4-model-b", "brcm,bcm2711"),
        [Cpu(0xD08, 1_800_000)] * 4,
        A72,
        bits=32,
    ),
    "rpi2": Board(
        "Raspberry Pi 2 Model B Rev 1.1",
        ("raspberrypi,2-model-b", "brcm,bcm2836"),
        [Cpu(0xC07, 900_000)] * 4,
        ARMV7,
        machine="armv7l",
        bits=32,
    ),
    "pc": Board(
        "",
        (),
        [Cpu(0, 4_000_000)] * 4,
        "fpu sse2 avx2 avx512f avx512_vnni",
        machine="x86_64",
        more={
            "sys/class/dmi/id/sys_vendor": "Advantech\n",
            "sys/class/dmi/id/product_name": "ARK-1250L\n",
        },
    ),
}


def write(root: Path, name: str, content: str | bytes) -> Path:
    """Put a file below a root."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def make_board(root: Path, name: str) -> Root:
    """Write a board's files."""
    board = BOARDS[name]
    count = len(board.cpus)
    files: dict[str, str | bytes] = {
        "proc/cpuinfo": _cpuinfo(board),
        "proc/sys/kernel/osrelease": f"{board.kernel}\n",
        "proc/sys/kernel/arch": f"{board.machine}\n",
        "proc/self/exe": b"\x7fELF" + bytes([board.bits // 32]) + bytes(59),
        "proc/meminfo": "MemTotal:  3884224 kB\nMemFree:  100000 kB\nMemAvailable:  3200000 kB\n",
        "proc/vmstat": "nr_free_pages 1000\noom_kill 0\n",
        "proc/mounts": "/dev/mmcblk0p2 / ext4 rw,noatime 0 0\n",
        "sys/block/mmcblk0/device/type": "SD\n",
        "sys/devices/system/cpu/online": f"0-{count - 1}\n",
        "sys/devices/system/cpu/present": f"0-{count - 1}\n",
        "etc/group": "root:x:0:\ndialout:x:20:\nvideo:x:44:\ngpio:x:986:\n",
        "run/systemd/timesync/synchronized": "",
        **board.more,
    }
    if board.model:
        files["proc/device-tree/model"] = f"{board.model}\0"
        files["proc/device-tree/compatible"] = "".join(f"{each}\0" for each in board.compatible)
    for number, cpu in enumerate(board.cpus):
        folder = f"sys/devices/system/cpu/cpu{number}"
        files[f"{folder}/cpufreq/cpuinfo_max_freq"] = f"{cpu.khz}\n"
        if board.machine == "aarch64":
            files[f"{folder}/cpu_capacity"] = f"{cpu.capacity}\n"
            register = 0x41 << 24 | cpu.variant << 20 | 0xF << 16 | cpu.part << 4
            files[f"{folder}/regs/identification/midr_el1"] = f"{register:#018x}\n"
    for number, (kind, (now, passive, critical)) in enumerate(board.zones.items()):
        folder = f"sys/class/thermal/thermal_zone{number}"
        files |= {f"{folder}/type": f"{kind}\n", f"{folder}/temp": f"{now}\n"}
        for trip, (what, at) in enumerate((("passive", passive), ("critical", critical))):
            if at:
                files[f"{folder}/trip_point_{trip}_type"] = f"{what}\n"
                files[f"{folder}/trip_point_{trip}_temp"] = f"{at}\n"
    for port, driver in board.tty.items():
        files |= {f"sys/class/tty/{port}/device/uevent": "", f"dev/{port}": ""}
        if port.startswith("ttyS"):
            files[f"sys/class/tty/{port}/type"] = f"{driver}\n"
    files["sys/class/tty/tty1/uevent"] = ""
    for number, label in enumerate(board.video):
        folder = f"sys/class/video4linux/video{10 + number}"
        files |= {f"{folder}/name": f"{label}\n", f"{folder}/index": "0\n"}
    for path, content in files.items():
        write(root, path, content)
    numbers = board.chip_numbers or range(len(board.gpio))
    for number, (parent, label) in zip(numbers, board.gpio.items(), strict=True):
        device = f"sys/devices/platform/{parent}"
        write(root, f"{device}/gpiochip{number}/uevent", "")
        write(root, f"{device}/gpio/gpiochip{512 + number}/label", f"{label}\n")
        write(root, f"dev/gpiochip{number}", "")
        link = root / f"sys/bus/gpio/devices/gpiochip{number}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"../../../devices/platform/{parent}/gpiochip{number}")
    return Root(root)


def _cpuinfo(board: Board) -> str:
    blocks = []
    for number, cpu in enumerate(board.cpus):
        if board.machine == "x86_64":
            lines = [
                f"processor\t: {number}",
                "model name\t: Intel(R) Celeron(R) J6412 @ 2.00GHz",
                f"flags\t\t: {board.features}",
            ]
        else:
            lines = [
                f"processor\t: {number}",
                "BogoMIPS\t: 108.00",
                f"Features\t: {board.features}",
                "CPU implementer\t: 0x41",
                f"CPU architecture: {8 if board.machine == 'aarch64' else 7}",
                f"CPU variant\t: {cpu.variant:#x}",
                f"CPU part\t: {cpu.part:#05x}",
                "CPU revision\t: 3",
            ]
        blocks.append("\n".join(lines))
    tail = (
        f"\n\nRevision\t: c03114\nModel\t\t: {board.model}\n" if "Raspberry" in board.model else ""
    )
    return "\n\n".join(blocks) + "\n" + tail


def case_of(root: Root, **fields: object) -> Case:
    """A case of a board, on a day when its clock is right."""
    return Case(root, detect(root), **{"now": 1_795_324_800.0, **fields})  # type: ignore[arg-type]


def told(findings: Sequence[Finding], level: str) -> list[str]:
    """What was found at that level."""
    return [f"{each.name}: {each.found}" for each in findings if each.level == level]


@dataclass(frozen=True)
class Forbidding(Root):
    """A machine whose devices belong to others, whoever runs the test."""

    def may(self, name: str, mode: int = os.R_OK | os.W_OK) -> bool:
        return "dev/" not in name


def flashed(folder: Path, **fields: Any) -> Path:
    """Slots with a confirmed bundle."""
    payload = fields.pop("payload", PAYLOAD)
    manifest = make_manifest(payload, **fields)
    trust(make_key().public, folder / "slots/trusted")
    slots = Slots(folder / "slots")
    sources = [write(folder / "sent", path, content) for path, content in payload.items()]
    with slots.writing():
        letter = slots.receive(sign(manifest, make_key()), manifest, sources)
        slots.begin_trial(letter)
        slots.pass_trial(letter, manifest.counter, "passed")
    return slots.root


STATION = """
[station]
name = "press"
deadline_ms = 5000
[models.pcb]
family = "ppyoloe"
det = "det.onnx"
labels = ["open"]
{cores}
[[cameras]]
name = "top"
source = "v4l2:/dev/video0"
[[regions]]
name = "board"
camera = "top"
model = "pcb"
[[rules]]
name = "sound"
kind = "no_defect"
region = "board"
[[outputs]]
kind = "serial"
port = "/dev/ttyUSB0"
"""


GARBAGE = [b"", b"\0" * 100, b"\xff\xfe\x80", b"-", b"99999999999999999999999", b"\n" * 50, b"0x"]


def spoil(root: Path, chance: random.Random, share: float) -> None:
    """Take files away, or put something else in their place."""
    for path in sorted(root.rglob("*")):
        if not os.path.lexists(path) or chance.random() > share:
            continue
        kind = chance.choice(["gone", "garbage", "garbage", "folder", "pipe", "loop"])
        if path.is_dir() and not path.is_symlink():
            if kind == "gone":
                shutil.rmtree(path)
            continue
        path.unlink()
        if kind == "garbage":
            path.write_bytes(chance.choice([*GARBAGE, chance.randbytes(300)]))
        elif kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "loop":
            path.symlink_to(path.name)
