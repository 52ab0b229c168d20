"""The section of docs/benchmarks.md about what a station costs a box."""

from __future__ import annotations

from typing import Any

from tools.bench.page import caption, table

__all__ = ["box_section"]


def box_section(section: dict[str, Any]) -> str:
    """Start, memory, idle processor time and disk, each with its goal."""
    figures = section["figures"]
    memory, start, install = figures["memory"], figures["start"], figures["install"]
    largest = ", ".join(f"{name} {size}" for name, size in install["largest"].items())
    rows: list[list[object]] = [
        ["`import edge`", f"**{figures['import']['edge_ms']} ms**", "500 ms"],
        ["all that `lineguard run` imports", f"{figures['import']['run_ms']} ms", ""],
        ["command to first verdict", f"**{start['later_s']} s**", "6 s, on the emulated board"],
        ["likewise, the very first time", f"{start['first_s']} s", ""],
        ["most resident memory", f"**{memory['peak_mb']} MB**", "400 MB"],
        ["resident, and with shared pages by their share",
         f"{memory['rss_mb']} MB, {memory['pss_mb']} MB", ""],
        ["processor, nothing triggered", f"**{figures['idle_percent']}%** of a core", "3%"],
        ["of that, decoding the pictures", f"{figures['decoding_percent']}%", ""],
        ["installed on the disk", f"**{install['all_mb']} MB**", "350 MB"],
    ]  # fmt: skip
    return (
        "## What a station costs a box\n\n"
        "On this machine, no ARM: det, rec and cls of PP-OCRv4 and the detector of boards; two "
        "cameras whose pictures, 1280x960 and 320x320, are decoded five times a second; records "
        f"and display. Memory is after {memory['parts']} parts in a minute, medians of fresh "
        "processes for the start; the very first start tries each model in a process of its own. "
        "Installed: what the package for ARM64 and Debian 12 brings, and the byte code that is "
        f"made of it; the largest, in MB: {largest}.\n\n"
        + table(["what", "measured", "goal"], rows)
        + "\n"
        + caption(section)
    )
