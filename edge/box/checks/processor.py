"""Processor, its instructions, the width of programs, the kernel."""

from __future__ import annotations

from collections.abc import Iterator

from edge.box.finding import Case, Finding, bad, fine, warn
from edge.box.root import Root, cpu_list
from models.bundle.manifest import release

__all__ = ["check_processor"]

GPIO_V2 = (5, 10)
"""The first kernel with the interface that gpiod 2 uses."""


def check_processor(case: Case) -> Iterator[Finding]:
    """Name the board, and say what of it lies idle or is missing."""
    root, profile = case.root, case.profile
    arm = profile.hardware[:1] in (("arm64",), ("armv7",))
    able = ", ".join(profile.features) or "no vector instructions known"
    yield fine("board", f"{profile.board}{f' ({profile.soc})' if profile.soc else ''}")
    if not profile.cores:
        mend = "mount /proc and /sys; is this a container?"
        yield warn("processor", "the kernel says nothing of its cores", mend)
    elif arm and "neon" not in profile.features:
        mend = "take another board: engines for ARM are built for NEON"
        yield bad("processor", f"{profile.layout}: has no NEON", mend)
    else:
        note = "" if not arm or "dotprod" in profile.features else "; no dot product: INT8 is slow"
        yield fine("processor", f"{profile.layout}: {able}{note}")
    if profile.machine in ("aarch64", "x86_64") and profile.bits == 32:
        yield warn(
            "programs",
            f"are 32-bit under a 64-bit kernel ({profile.machine})",
            "install the 64-bit system: ONNX Runtime has no package for 32 bits",
        )
    online = cpu_list(root.line("sys/devices/system/cpu/online"))
    present = cpu_list(root.line("sys/devices/system/cpu/present"))
    if idle := [str(number) for number in present if online and number not in online]:
        mend = "look for maxcpus= or isolcpus= in /proc/cmdline, or for heat"
        yield warn("processor", f"cores {', '.join(idle)} are switched off", mend)
    if governors := _governors(root) & {"powersave", "userspace"}:
        yield warn(
            "processor",
            f"its clock is kept low (governor {', '.join(sorted(governors))})",
            "write `performance` to /sys/devices/system/cpu/cpufreq/policy*/scaling_governor",
        )
    number = release(profile.kernel)[:2]
    if number and number < GPIO_V2:
        mend = "install a newer one: GPIO needs Linux 5.10"
        yield warn("kernel", f"Linux {profile.kernel}", mend)
    else:
        yield fine("kernel", f"Linux {profile.kernel or 'of unknown release'}")


def _governors(root: Root) -> set[str]:
    names = root.names("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")
    drivers = {root.line(name.replace("governor", "driver")) for name in names}
    # Of Intel's and AMD's own drivers "powersave" is the usual governor; it does follow the load.
    own = any(driver.startswith(("intel_", "amd-")) for driver in drivers)
    return set() if own else {root.line(name) for name in names}
