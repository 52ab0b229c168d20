"""From the figures of the peers, and of runs that are repeated, to docs/benchmarks.md."""

from __future__ import annotations

from typing import Any

from tools.bench.page import caption, table

__all__ = ["boards_section", "peers_section", "repeat_section"]


def peers_section(section: dict[str, Any]) -> str:
    """Reading of whole pictures, beside RapidOCR and PaddleOCR."""
    figures = section["figures"]
    rows: list[list[object]] = [
        [
            name,
            f["images"],
            f["megapixels"],
            peer,
            f"{p['theirs_ms']:.0f}",
            f"{p['ours_ms']:.0f}",
            _times(p),
            f"{p['their_recall']:.1%}",
            f"{f['our_recall']:.1%}",
        ]
        for name, f in figures["sets"].items()
        for peer, p in f["peers"].items()
    ]
    return (
        "## Page mode against its peers\n\n"
        f"Same ONNX weights on the same ONNX Runtime, {figures['threads']} threads each, the same "
        "images read turn about. Medians in milliseconds; the ratio with its 95% bootstrap "
        "interval over images; recall is the share of labelled lines that were read exactly, "
        "white space left out. PaddleOCR is its own code with its own defaults and the classifier "
        "of upside-down lines, which all three use. Goal: at least 2.0 times as fast as RapidOCR "
        "at equal or better recall.\n\n"
        + table(
            [
                "images",
                "n",
                "MP",
                "peer",
                "its time",
                "ours",
                "times as fast",
                "its recall",
                "ours",
            ],
            rows,
        )
        + "\nWhere it comes from: our detector sees the frame at its own size up to 960 pixels, as "
        "PaddleOCR's does, RapidOCR's scales it up to a short side of 736; lines are read at their "
        "own width, theirs are padded to 320 and more; crops are cut and scaled in one step.\n\n"
        + caption(section)
    )


def boards_section(section: dict[str, Any]) -> str:
    """Finding of defects, beside PaddleDetection's own code around the same engine."""
    figures = section["figures"]
    rows: list[list[object]] = [
        [
            f"{row['set']} {row['size'][0]}x{row['size'][1]}",
            row["threshold"],
            *(
                f"{side['pre']:.2f} + {side['infer']:.1f} + {side['post']:.2f}"
                for side in (row["their_ms"], row["our_ms"])
            ),
            _times(row["around"]),
            _times(row["whole"]),
            f"{row['differing']} of {row['boxes']}",
        ]
        for row in figures["rows"]
    ]
    return (
        "## Finding defects with the official code\n\n"
        f"`{figures['model']}`, {figures['images']} pictures of a set turn about, "
        f"{figures['threads']} threads each: a plain session of the same ONNX Runtime between the "
        f"transforms and the post-processing of {figures['official']} (its own classes and "
        "operators, multi-class NMS included), and ours. Before + in + after the network, medians "
        "in milliseconds; how many times as fast we are around the network, and in all, with 95% "
        "bootstrap intervals over pictures. Boxes of both sides differ that have no partner of "
        "the same class within 0.1 pixels and 0.001 of its score on the other.\n\n"
        + table(
            ["set", "threshold", "official", "ours", "around it", "in all", "boxes that differ"],
            rows,
        )
        + "\n"
        + caption(section)
    )


def repeat_section(section: dict[str, Any]) -> str:
    """The same bench, run again and again."""
    f = section["figures"]
    ratios = ", ".join(f"{each['ratio']:.3f}" for each in f["runs"])
    return (
        "## The same bench again\n\n"
        f"`lineguard bench ab {f['a']} {f['b']}` at {f['side']}x{f['side']} pixels, "
        f"{f['threads']} threads, {len(f['runs'])} times from nothing, {f['queries']} queries of "
        f"each in {f['rounds']} rounds. Ratios of the medians: {ratios}. A run and the next agree "
        f"within 3% in **{f['within']} of {f['pairs']}** pairs; any two within {f['most']}%. "
        "Goal: 9 of 10.\n\n" + caption(section)
    )


def _times(ratio: dict[str, float]) -> str:
    return f"**{ratio['ratio']:.2f}** ({ratio['low']:.2f} to {ratio['high']:.2f})"
