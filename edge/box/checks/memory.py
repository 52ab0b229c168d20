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
        yield warn("memory", "the kernel does not say", "mount /proc; is this a container?")
        return
    found = f"{total} MiB, {free} MiB available"
    if total < TOTAL_MIB:
        yield bad("memory", found, f"take a board with 1 GB: a station needs {TOTAL_MIB} MiB")
    elif free < FREE_MIB:
        yield warn("memory", found, "stop what else runs: `ps -eo rss,comm --sort=-rss | head`")
    else:
        yield fine("memory", found)
    killed = re.search(r"^oom_kill (\d{1,15})$", case.root.text("proc/vmstat"), re.MULTILINE)
    if killed and int(killed[1]):
        found = f"ran out {int(killed[1])} times since the board was started: programs were killed"
        yield warn("memory", found, "see whose by `dmesg | grep -i oom`; give models fewer threads")
