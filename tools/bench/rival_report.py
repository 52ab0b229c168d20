"""The section of docs/benchmarks.md about rivals in compressing."""

from __future__ import annotations

from typing import Any

from tools.bench.page import caption, table

__all__ = ["rivals_section"]

HEAD = ["model", "accuracy", "95%", "relative drop", "95%", "speed", "size", "notes"]


def rivals_section(section: dict[str, Any]) -> str:
    """A table for each recipe, and whether ours is behind anybody in it."""
    figures = section["figures"]
    return (
        "## INT8 beside ACT and `quantize_static`\n\n"
        "Everybody gets the stock model and the recipe's own pictures to calibrate with and to "
        "learn from, and is measured by the recipe's metric on its evaluation set: with 95% "
        "bootstrap intervals over pictures, the drop paired. Speed is how many times as little "
        "processor time an inference takes as the FP32 original's, which is what the converter "
        "gives, in turns on ONNX Runtime. `quantize_static` follows `quant_pre_process`; ACT is "
        "`AutoCompression` without a configuration; both are left at their defaults. ACT's first "
        "try, quantising after training, is passed over: it is kept if answers stay within 2e-5. "
        f"An epoch of ACT ended after {figures['minutes']:g} minutes at the latest. Goal: ours at "
        "least as accurate at no more latency.\n\n"
        + "\n".join(_recipe(each) for each in figures["recipes"])
        + "\n"
        + caption(section)
    )


def _recipe(figures: dict[str, Any]) -> str:
    rows, pictures = figures["rows"], figures["pictures"]
    first = rows[0]
    cells: list[list[object]] = []
    for row in rows:
        known, timed = "value" in row, "cpu_ratio" in row
        words = [*([row["why"]] if row["why"] else []), *row["notes"]]
        cells.append(
            [
                f"**{row['name']}**" if _is_ours(row) else row["name"],
                f"{row['value']:.4f}" if known else "-",
                f"{row['low']:.4f} to {row['high']:.4f}" if known else "-",
                f"{row['drop']:+.2%}" if known and row is not first else "-",
                f"{row['drop_low']:+.2%} to {row['drop_high']:+.2%}"
                if known and row is not first
                else "-",
                f"{row['cpu_ratio']:.2f}" if timed else "-",
                f"{row['bytes'] / first['bytes']:.2f}" if timed else "-",
                "; ".join(words).replace("|", "/"),
            ]
        )
    quick = ", cut down by `--quick`: the figures say little" if figures["quick"] else ""
    shape = "x".join(str(n) for size in figures["shape"].values() for n in size)
    return (
        f"### {figures['recipe']}\n\n"
        f"{figures['metric']} on {pictures['evaluation']} pictures; {pictures['calibration']} to "
        f"calibrate with, {pictures['tuning']} more to learn from{quick}. Timed at {shape}, "
        f"{_many(figures['threads'])}.\n\n" + table(HEAD, cells) + "\n" + _answer(rows)
    )


def _many(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"


def _answer(rows: list[dict[str, Any]]) -> str:
    """Whom ours are behind, and in what; what failed is ahead of nobody."""
    said = []
    for ours in (row for row in rows if _is_ours(row) and "value" in row):
        behind = []
        for row in rows[1:]:
            where = [
                what
                for what, key in (("accuracy", "value"), ("speed", "cpu_ratio"))
                if row.get(key, 0.0) > ours[key] and not _is_ours(row)
            ]
            behind += [f"{row['name']} in {' and '.join(where)}"] if where else []
        said.append(f"{ours['name']} is behind {', '.join(behind) if behind else 'nobody'}")
    return f"{'; '.join(said)}.\n"


def _is_ours(row: dict[str, Any]) -> bool:
    return str(row["name"]).startswith("lineguard")
