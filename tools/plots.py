"""Plots of a training and of a detector's errors. Host only: matplotlib is not on a box."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.ppyoloe.score import Curve

__all__ = ["escape_plot", "training_plot"]

LOSSES = ("loss", "cls", "iou", "dfl")
"""The sum, and its parts: varifocal, GIoU and distribution focal loss."""


def training_plot(
    losses: Sequence[Mapping[str, float]], scores: Sequence[Mapping[str, float | None]]
) -> bytes:
    """Losses, learning rate and AP over the steps of a training.

    Parameters
    ----------
    losses
        ``step``, ``loss``, ``cls``, ``iou``, ``dfl`` and ``lr`` each.
    scores
        ``step``, ``ap`` and ``ap50`` each; ``None`` where there was nothing to find.

    Returns
    -------
    A PNG file.
    """
    figure = Figure(figsize=(9, 6), layout="constrained")  # no pyplot: it keeps global state
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    steps = [each["step"] for each in losses]
    for name in LOSSES:
        width = 1.6 if name == "loss" else 0.9
        above.plot(steps, [each[name] for each in losses], label=name, linewidth=width)
    above.set_ylabel("loss")
    above.set_ylim(bottom=0)
    right = above.twinx()
    for name, style in (("ap", "o-"), ("ap50", "s--")):
        known = [(each["step"], each[name]) for each in scores if each[name] is not None]
        if known:
            right.plot(*zip(*known, strict=True), style, label=name.upper(), color="black")
    right.set_ylabel("average precision")
    right.set_ylim(0, 1)
    lines = [*above.get_lines(), *right.get_lines()]
    if lines:
        names = [str(each.get_label()) for each in lines]
        figure.legend(lines, names, loc="outside upper center", ncols=len(lines))
    below.plot(steps, [each["lr"] for each in losses], color="tab:purple")
    below.set_ylabel("learning rate")
    below.set_xlabel("step")
    for axes in (above, below):
        axes.grid(alpha=0.3)
    return _png(figure)


def escape_plot(curve: Curve, threshold: float) -> bytes:
    """Escape rate and false-reject rate over the threshold, with the chosen one.

    Returns
    -------
    A PNG file.
    """
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes: Axes = figure.subplots()
    for rates, label, colour in (
        (curve.escape_rate, "escapes: defective parts passed", "tab:red"),
        (curve.false_reject_rate, "false rejects: sound parts rejected", "tab:blue"),
    ):
        if rates is None:
            axes.plot([], [], color=colour, label=f"{label}: there are none to measure with")
        else:
            # a rate holds from just above the threshold before to its own
            axes.step(
                np.append(0, curve.thresholds),
                np.append(rates[0], rates) * 100,
                where="pre",
                color=colour,
                label=label,
            )
    axes.axvline(threshold, color="black", linestyle=":", label=f"threshold {threshold:.4g}")
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("threshold")
    axes.set_ylabel("% of parts")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return _png(figure)


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()
