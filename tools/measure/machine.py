"""On what a measurement is made, and what that machine does meanwhile.

All of it comes from ``/proc`` and ``/sys``; what a machine does not tell is left out. The wall
clock is never asked: it may jump.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Monitor", "Second", "machine_facts", "peak_memory"]

TICK_S = 1.0
"""Temperatures and clocks change over seconds; looking at them takes half a millisecond."""

_TICKS = os.sysconf("SC_CLK_TCK")

ROOT = Path("/")


@dataclass(frozen=True)
class Second:
    """What the machine did in one second.

    Attributes
    ----------
    at
        ``time.monotonic()`` seconds.
    others
        Share of all processors, 0 to 1, that was taken by what is not the bench: other processes,
        and other machines on the same host.
    mhz, celsius, rss_mb
        Mean clock of the processors, the hottest sensor, and the memory of what is measured;
        ``None`` where the system does not tell.
    """

    at: float
    others: float
    mhz: float | None
    celsius: float | None
    rss_mb: float | None


def machine_facts(root: Path = ROOT) -> dict[str, Any]:
    """Processor, cores, governor, kernel, memory and Python of this machine; what emulates it."""
    cpus = sorted(os.sched_getaffinity(0))
    facts: dict[str, Any] = {
        "cpu": _cpu_name(root),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "affinity": cpus,
        "governor": sorted(_each(root, "sys/devices/system/cpu/cpu*/cpufreq/scaling_governor")),
        "max_mhz": _max_mhz(root),
        "kernel": platform.release(),
        "memory_mb": _memory_mb(root),
        "python": platform.python_version(),
        "emulator": "QEMU" if _in_qemu(root) else "",
    }
    return {name: value for name, value in facts.items() if value not in (None, [], "")}


def _cpu_name(root: Path) -> str:
    board = _read(root / "proc/device-tree/model").rstrip("\0")  # Raspberry Pi 4 Model B Rev 1.4
    for line in _read(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in {"model name", "Model"}:
            return f"{board}: {value.strip()}" if board else value.strip()
    return board or platform.machine()


def _in_qemu(root: Path) -> bool:
    """Whether this is a machine of QEMU's: by its firmware's word, or by its device tree."""
    maker = _read(root / "sys/class/dmi/id/sys_vendor")
    return maker == "QEMU" or "dummy-virt" in _read(root / "proc/device-tree/compatible")


def _max_mhz(root: Path) -> float | None:
    khz = [
        float(each) for each in _each(root, "sys/devices/system/cpu/cpu*/cpufreq/cpuinfo_max_freq")
    ]
    return max(khz) / 1000 if khz else None


def _memory_mb(root: Path) -> int | None:
    return _kilobytes(_read(root / "proc/meminfo"), "MemTotal")


def peak_memory(pid: int, root: Path = ROOT) -> int | None:
    """The most memory that a living process ever had, in MB; ``None`` if it is gone."""
    return _kilobytes(_read(root / f"proc/{pid}/status"), "VmHWM")


def _kilobytes(text: str, key: str) -> int | None:
    for line in text.splitlines():
        if line.startswith(f"{key}:"):
            return round(int(line.split()[1]) / 1024)
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _each(root: Path, pattern: str) -> set[str]:
    return {text for path in root.glob(pattern) if (text := _read(path))}


class Monitor:
    """Watches the machine once a second, from a thread of its own.

    Parameters
    ----------
    pids
        Asked each second: the processes that belong to the bench, beside this one.
    root
        Where ``proc`` and ``sys`` are.

    Attributes
    ----------
    seconds
        What was seen.
    throttled
        Why the processor was held back while this watched, in one line; empty if it was not, or
        does not tell.
    """

    def __init__(self, pids: Callable[[], Iterable[int]], root: Path = ROOT) -> None:
        self._pids, self._root = pids, root
        self.seconds: list[Second] = []
        self.throttled = ""
        self._freqs = sorted(root.glob("sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq"))
        self._zones = sorted(root.glob("sys/class/thermal/thermal_zone*/temp"))
        self._counters = sorted(
            root.glob("sys/devices/system/cpu/cpu*/thermal_throttle/*_throttle_count")
        )
        self._firmware = sorted(root.glob("sys/devices/platform/soc/*/get_throttled"))
        self._count = self._throttle_count()
        self._busy = self._machine_busy()
        self._own: dict[int, float] = self._own_busy()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="bench monitor", daemon=True)

    def __enter__(self) -> Monitor:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(TICK_S):
            self.look()

    def look(self) -> None:
        """Note what has happened since the last time."""
        busy, own = self._machine_busy(), self._own_busy()
        total = busy[1] - self._busy[1]
        ours = sum(ticks - self._own.get(pid, 0.0) for pid, ticks in own.items())
        spent = busy[0] - self._busy[0] - ours
        self._busy, self._own = busy, own
        others = min(1.0, max(0.0, spent / total)) if total > 0 else 0.0
        pid = next(iter(self._pids()), None)
        rss = None if pid is None else _kilobytes(_read(self._root / f"proc/{pid}/status"), "VmRSS")
        self.seconds.append(Second(time.monotonic(), others, self._mhz(), self._celsius(), rss))
        self._look_for_throttling()

    def _look_for_throttling(self) -> None:
        if self._throttle_count() > self._count:
            self.throttled = "the processor was held back for its heat"
        for path in self._firmware:
            try:
                bits = int(_read(path), 16)
            except ValueError:
                continue
            if bits & 0xF:  # Raspberry Pi: low voltage, capped, throttled, too hot, all as of now
                self.throttled = f"the firmware holds the processor back (get_throttled {bits:#x})"

    def _throttle_count(self) -> int:
        return sum(int(_read(path) or 0) for path in self._counters)

    def _machine_busy(self) -> tuple[float, float]:
        """Ticks that somebody used, other machines on this host included, and all ticks."""
        ticks = [
            float(each) for each in _read(self._root / "proc/stat").split("\n")[0].split()[1:9]
        ]
        # user nice system idle iowait irq softirq steal: see proc(5)
        return sum(ticks) - sum(ticks[3:5]), sum(ticks)

    def _own_busy(self) -> dict[int, float]:
        found = {}
        for pid in (os.getpid(), *self._pids()):
            fields = _read(self._root / f"proc/{pid}/stat").rpartition(")")[2].split()
            if fields:
                found[pid] = sum(float(each) for each in fields[11:15])  # its dead children too
        return found

    def _mhz(self) -> float | None:
        if self._freqs:
            khz = [float(text) for path in self._freqs if (text := _read(path))]
            return sum(khz) / len(khz) / 1000 if khz else None
        mhz = [
            float(line.partition(":")[2])
            for line in _read(self._root / "proc/cpuinfo").splitlines()
            if line.startswith("cpu MHz")
        ]
        return sum(mhz) / len(mhz) if mhz else None

    def _celsius(self) -> float | None:
        found = []
        for path in self._zones:
            try:
                found.append(int(_read(path)) / 1000)
            except ValueError:
                continue
        return max(found) if found else None
