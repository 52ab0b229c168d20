"""What the benches of the line have found, as sections of docs/benchmarks.md."""

from __future__ import annotations

from typing import Any

from tools.bench.page import caption, table

__all__ = ["delta_section", "line_section", "zmodem_section"]


def line_section(section: dict[str, Any]) -> str:
    """How much of a line a flash uses."""
    f = section["figures"]
    clean: list[list[object]] = [
        [
            f"{int(rate):,}",
            "97%",
            f"**{r['simulated']:.1f}%**",
            f"{r['simulated_with_opening']:.1f}%",
            f"**{r['real']:.1f}%**",
            f"{r['real_with_opening']:.1f}%",
            f"{r['bytes'] / 1e6:.1f} MB in {r['seconds']:.1f} s",
            f"{r['before_sending']:.2f} s",
            f"{r['cpu']:.1f}%",
        ]
        for rate, r in f["clean"].items()
    ]
    goals = {"1e-06": "93%", "1e-05": "85%"}
    errors: list[list[object]] = [
        [
            flip,
            goals[flip],
            f"**{r['mean']:.1f}%** ({r['least']:.1f} to {r['most']:.1f})",
            r["seeds"],
        ]
        for flip, r in f["errors"].items()
    ]
    slow: list[list[object]] = [
        [f"{int(rate):,}", f"{r['without']:.1f}%", f"{r['with']:.1f}%", f"**{r['slower']:.2f}%**"]
        for rate, r in f["turnaround"].items()
    ]
    head = ["baud", "goal", "simulated", "and opening", "real", "and opening", "real run"]
    return (
        "## A flash over a serial line\n\n"
        "Bytes of the bundle, which are random and no coding makes shorter, in ten bits each, in "
        "per cent of what the line could have carried from `hello` until the bundle is staged: "
        "signature, frames, hashes and read-back are in it, the trial is not. Opening is what "
        "comes before: the session, and raising the baud with its test. Simulated: "
        f"{f['simulated_bytes'] / 1e6:.0f} MB in simulated time, where only the line takes any. "
        "Real: `lineguard agent` on a pseudo-terminal, and a process between that carries bytes at "
        "the baud which the terminals are set to; here the host's compressing before the first "
        "byte counts too, and is shown. Processor time of the host is in per cent of one core; "
        "the goal at 3 M is at most 25%.\n\n"
        + table([*head, "compressing", "host"], clean)
        + "\nWith flipped bits in both directions, at 921,600 in simulated time, "
        f"{f['noisy_bytes'] / 1e6:.0f} MB, seeds from 1:\n\n"
        + table(["bit error rate", "goal", "mean (least to most)", "seeds"], errors)
        + "\nWith a turnaround of 16 ms, as a USB adapter adds, half of it each way, in simulated "
        "time; the goal is within 1%:\n\n"
        + table(["baud", "without", "with", "slower by"], slow)
        + "\n"
        + caption(section)
    )


def zmodem_section(section: dict[str, Any]) -> str:
    """The same model by ZMODEM."""
    f = section["figures"]
    rows: list[list[object]] = [
        [
            "clean" if float(flip) == 0 else f"bit error rate {flip}",
            f"`{name}`" if name != "lineguard" else "`lineguard flash`",
            r["runs"],
            r["failed"],
            *(
                [f"{r['seconds']:.1f}", f"{r['share']:.1f}%", f"**{r['times']:.2f}**"]
                if "times" in r
                else ["", "", ""]
            ),
        ]
        for flip, ways in f["lines"].items()
        for name, r in ways.items()
    ]
    return (
        "## Against ZMODEM\n\n"
        f"`{f['model']}` ({f['bytes'] / 1e6:.2f} MB) through the same cable at {f['rate']:,} "
        "baud, turn about, bits flipped by the same seeds (from 1). `sz` and `rz` are Debian's "
        "lrzsz 0.12.21, quiet and binary: as it comes, with its best option on a clean line "
        "(`-8`), and with the best one under errors (`-w 8192`). Its time is from the start of "
        "`sz` to its end; ours from opening the session at 115,200 until the bundle is staged. "
        "Share: bytes of the model over what the line could have carried. Compression makes "
        f"{f['bytes'] / f['sent']:.2f} of ours: {f['sent'] / 1e6:.2f} MB are sent. Goal: at least "
        "1.03 clean, 1.2 at 1e-6.\n\n"
        + table(
            ["line", "way", "runs", "failed", "median s", "share", "times as long as ours"], rows
        )
        + "\n"
        + caption(section)
    )


def delta_section(section: dict[str, Any]) -> str:
    """A retrained head."""
    f = section["figures"]
    rows: list[list[object]] = [
        [
            name,
            f"{r['parameters']:,}",
            f"{r['share']:.1f}%",
            r["coding"],
            f"{r['bytes']:,}",
            f"**{r['delta']:.1f}%**",
        ]
        for name, r in f["parts"].items()
    ]
    return (
        "## A retrained head\n\n"
        f"`{f['model']}`, {f['steps']} steps of training for a part of its head (AdamW, real "
        "boards, the rest frozen, seed 0), exported and coded on the export from before, in per "
        f"cent of the whole file ({f['bytes']:,} bytes; {f['full']:.1f}% of them without anything "
        "to begin from). The second column of per cents is what the retrained parameters take as "
        "they are stored, two bytes each. Goal: at most 8%.\n\n"
        + table(["retrained", "parameters", "of the file", "coding", "bytes", "delta"], rows)
        + "\n"
        + caption(section)
    )
