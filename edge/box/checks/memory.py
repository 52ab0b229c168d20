"""Memory: enough of it, and whether it has run out before.

https://docs.kernel.org/filesystems/proc.html#meminfo
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edge.box.finding import Case, Finding, bad, fine, warn

__all__ = ["check_memory"]

TOTAL_MIB = 600
"""A station that reads and inspects has 400, the system the rest."""

FREE_MIB = 100
"""Less than this, and the kernel begins to drop the code of running programs."""


def check_memory(case: Case) -> Iterator[Finding]:
    """Compare it with what a station needs."""
    pairs = re.findall(r"^(\w+):\s+(\d{1,15}) kB$", case.root.text("proc/meminfo"), re.MULTILINE)
    sizes = {name: int(size) // 1024 for name, size in pairs}
    total, free = sizes.get("MemTotal"), sizes.get("MemAvailable")
    if not total or free is None:
        zh = "内核没有提供内存信息：请挂载 /proc"
        yield warn("memory", "the kernel does not say", "mount /proc; is this a container?", zh)
        return
    found = f"{total} MiB, {free} MiB available"
    if total < TOTAL_MIB:
        mend = f"take a board with 1 GB: a station needs {TOTAL_MIB} MiB"
        yield bad(
            "memory", found, mend, f"内存仅 {total} MiB，工位需要 {TOTAL_MIB} MiB：请换 1 GB 的板"
        )
    elif free < FREE_MIB:
        mend = "stop what else runs: `ps -eo rss,comm --sort=-rss | head`"
        yield warn("memory", found, mend, f"可用内存仅 {free} MiB：请停止其他程序")
    else:
        yield fine("memory", found)
    killed = re.search(r"^oom_kill (\d{1,15})$", case.root.text("proc/vmstat"), re.MULTILINE)
    if killed and int(killed[1]):
        found = f"ran out {int(killed[1])} times since the board was started: programs were killed"
        mend = "see whose by `dmesg | grep -i oom`; give models fewer threads"
        zh = f"启动后内存曾 {killed[1]} 次耗尽，有程序被终止：请查看 dmesg，并减少模型线程"
        yield warn("memory", found, mend, zh)
