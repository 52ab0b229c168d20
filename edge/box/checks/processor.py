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
        zh = "内核没有提供处理器信息：请挂载 /proc 和 /sys"
        yield warn("processor", "the kernel says nothing of its cores", mend, zh)
    elif arm and "neon" not in profile.features:
        mend = "take another board: engines for ARM are built for NEON"
        zh = f"{profile.layout} 没有 NEON，无法运行推理引擎：请更换开发板"
        yield bad("processor", f"{profile.layout}: has no NEON", mend, zh)
    else:
        note = "" if not arm or "dotprod" in profile.features else "; no dot product: INT8 is slow"
        yield fine("processor", f"{profile.layout}: {able}{note}")
    if profile.machine in ("aarch64", "x86_64") and profile.bits == 32:
        yield warn(
            "programs",
            f"are 32-bit under a 64-bit kernel ({profile.machine})",
            "install the 64-bit system: as it is, bundles for arm64 are refused",
            f"64 位内核（{profile.machine}）上运行的是 32 位程序：请安装 64 位系统",
        )
    online = cpu_list(root.line("sys/devices/system/cpu/online"))
    present = cpu_list(root.line("sys/devices/system/cpu/present"))
    if idle := [str(number) for number in present if online and number not in online]:
        mend = "look for maxcpus= or isolcpus= in /proc/cmdline, or for heat"
        zh = f"处理器核 {', '.join(idle)} 已关闭：请检查 /proc/cmdline 和散热"
        yield warn("processor", f"cores {', '.join(idle)} are switched off", mend, zh)
    if governors := _governors(root) & {"powersave", "userspace"}:
        yield warn(
            "processor",
            f"its clock is kept low (governor {', '.join(sorted(governors))})",
            "write `performance` to /sys/devices/system/cpu/cpufreq/policy*/scaling_governor",
            "处理器频率被限制：请将 scaling_governor 设为 performance",
        )
    number = release(profile.kernel)[:2]
    if number and number < GPIO_V2:
        mend = "install a newer one: GPIO needs Linux 5.10"
        zh = f"Linux {profile.kernel} 过旧，GPIO 需要 5.10：请升级内核"
        yield warn("kernel", f"Linux {profile.kernel}", mend, zh)
    else:
        yield fine("kernel", f"Linux {profile.kernel or 'of unknown release'}")


def _governors(root: Root) -> set[str]:
    names = root.names("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")
    drivers = {root.line(name.replace("governor", "driver")) for name in names}
    # Of Intel's and AMD's own drivers "powersave" is the usual governor; it does follow the load.
    own = any(driver.startswith(("intel_", "amd-")) for driver in drivers)
    return set() if own else {root.line(name) for name in names}
