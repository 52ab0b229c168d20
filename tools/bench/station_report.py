"""The section of docs/benchmarks.md about a whole station."""

from __future__ import annotations

from typing import Any

from tools.bench.page import caption, table

__all__ = ["station_section"]


def station_section(section: dict[str, Any]) -> str:
    """Signals, a fast line, cameras, viewers and a full database, each with its goal."""
    figures = section["figures"]
    signals, rate, cameras = figures["signals"], figures["rate"], figures["cameras"]
    viewers, records = figures["viewers"], figures["records"]
    order = "in order" if rate["in_order"] else "**not in order**"
    lost = rate["parts"] - min(rate["rows"], rate["signals"])
    return (
        "## A whole station\n\n"
        "Simulated cameras, a Modbus TCP server as PLC on the loopback, records on the disk; a "
        "stand-in for the model waits 10 ms for each part.\n\n"
        f"**From the trigger to the signal, beyond inference.** {signals['parts']} parts, one "
        "camera, records on; until the result has reached the PLC, and until the verdict stands. "
        "Milliseconds; goal: p99 at most 5.\n\n"
        + table(
            ["until", "p50", "p99", "max"],
            [
                ["verdict", *_three(signals["verdict_ms"])],
                ["signal at the PLC", *_three(signals["signal_ms"])],
            ],
        )
        + f"\n**A fast line.** {rate['parts']} parts at 30 a second, {rate['minutes']:g} minutes, "
        f"PLC and records: {lost} lost, {order}, {rate['rejected_by_machine']} rejected for the "
        "machine's sake. Goal: none, and memory within 2% after the first minute. "
        + str(rate.get("note", ""))
        + "\n\n"
        + table(
            [
                "p50 beyond inference",
                "p99",
                "max",
                "after a minute",
                "at the end",
                "most",
                "growth",
            ],
            [
                [
                    *(f"{ms} ms" for ms in _three(rate["beyond_ms"])),
                    f"{rate['first_mb']} MB",
                    f"{rate['last_mb']} MB",
                    f"{rate['max_mb']} MB",
                    f"**{rate['growth_percent']}%**",
                ]
            ],
        )
        + f"\n**Cameras.** Processor time of a part, capture to record, with one camera: "
        f"{cameras['one_ms']} ms; with {cameras['cameras']}: {cameras['many_ms']} ms, "
        f"**{cameras['percent']:+}%** (goal: within 15%).\n\n"
        f"**Viewers.** Inference of the marker reader with nobody watching, and with "
        f"{viewers['viewers']} pages open on the same machine, turn about, {viewers['parts']} "
        "parts each. Milliseconds; goal: p99 at most 5% longer.\n\n"
        + table(
            ["pages", "p50", "p99", "max"],
            [
                ["0", *_three(viewers["without_ms"])],
                [viewers["viewers"], *_three(viewers["with_ms"])],
            ],
        )
        + f"\np99: **{viewers['p99_percent']:+}%**. The pages' own work is done by the same cores "
        "here; on a line it is not.\n\n"
        f"**Records.** {records['rows']:,} rows, {records['megabytes']} MB: one part by its id in "
        f"{records['part_ms']} ms (goal: 10), the newest 20 NG parts of a lot in "
        f"{records['lot_ms']} ms, a station's start on them in {records['start_ms']} ms (goal: "
        "3000).\n\n" + caption(section)
    )


def _three(figures: dict[str, float]) -> list[float]:
    return [figures[name] for name in ("p50", "p99", "max")]
