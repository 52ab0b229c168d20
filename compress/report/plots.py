"""Plots of a compression as SVG: what it costs against what it keeps, and which layers mind."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from compress.result import Accuracy, LayerSensitivity, Result

__all__ = ["front", "pareto_plot", "sensitivity_plot"]

STYLE = {"svg.fonttype": "none", "svg.hashsalt": "lineguard", "font.size": 9}
"""Text stays text, which is small; and the same result gives the same bytes."""

LAYERS = 60
"""That a plot shows, the most sensitive ones: more cannot be read."""

COLOURS = {"original": "#444444", "ships": "#1c6b2a", "passed": "#3b6ea5", "dropped": "#8c1c13"}


@dataclass(frozen=True)
class _Point:
    name: str
    kind: str
    cost: float
    accuracy: Accuracy


def pareto_plot(result: Result) -> str:
    """Accuracy over processor time, of all that both are known of; empty if that is one alone.

    Returns
    -------
    An ``<img>`` that holds its picture.
    """
    points = _points(result)
    if len(points) < 2:
        return ""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 4.5), layout="constrained")
        axes = figure.subplots()
        for kind, colour in COLOURS.items():
            some = [point for point in points if point.kind == kind]
            if not some:
                continue
            x = [point.cost for point in some]
            axes.plot(x, [p.accuracy.value for p in some], "o", color=colour, label=kind)
            low, high = [p.accuracy.low for p in some], [p.accuracy.high for p in some]
            axes.vlines(x, low, high, color=colour, linewidth=1)
        for point in points:
            if point.kind in ("original", "ships"):
                where = (point.cost, point.accuracy.value)
                axes.annotate(point.name, where, (5, 5), textcoords="offset points", fontsize=8)
        best = front([(point.cost, point.accuracy.value) for point in points])
        axes.plot(*zip(*best, strict=True), color="#d08b2f", linewidth=1, label="Pareto front")
        if result.original.accuracy:
            gate = result.original.accuracy.value * (1 - result.asked.drop)
            axes.axhline(gate, color="#8c1c13", linestyle="--", linewidth=0.8, label="gate")
        axes.set_xlabel("processor time of one inference, original = 1")
        axes.set_ylabel(result.asked.metric)
        axes.set_xlim(left=0)
        axes.grid(alpha=0.3)
        axes.legend(loc="best", fontsize=8)
        return _image(figure, "accuracy over processor time")


def _points(result: Result) -> list[_Point]:
    points = []
    if result.original.accuracy:
        points.append(_Point("original", "original", 1.0, result.original.accuracy))
    for artefact in result.artefacts:
        if artefact.accuracy and artefact.speed:
            kind = "ships" if artefact.ships else "passed" if artefact.passed else "dropped"
            cost = 1 / artefact.speed.cpu_ratio
            points.append(_Point(artefact.name, kind, cost, artefact.accuracy))
    for each in result.tries:
        if each.accuracy and each.speed:
            kind = "passed" if each.outcome in ("chosen", "passed") else "dropped"
            points.append(_Point(each.name, kind, 1 / each.speed.cpu_ratio, each.accuracy))
    return points


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those that no other one beats in both: ``(cost, value)``, cheapest first."""
    best: list[tuple[float, float]] = []
    for cost, value in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or value > best[-1][1]:
            best.append((cost, value))
    return best


def sensitivity_plot(layers: Sequence[LayerSensitivity]) -> str:
    """Loss by layer, the most sensitive ones on top; ``layers`` of one stage and unit.

    Of pruning: each share of channels that was tried is a column, and the dot is the share that was
    taken. Of quantising: red bars are layers that were left in FP32.

    Returns
    -------
    An ``<img>`` that holds its picture.
    """
    known = [each for each in layers if each.points]
    worst = sorted(known, key=lambda each: (-max(y for _, y in each.points), each.layer))[:LAYERS]
    if not worst:
        return ""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 1.2 + 0.17 * len(worst)), layout="constrained")
        axes = figure.subplots()
        if worst[0].stage == "prune":
            columns = sorted({x for each in worst for x, _ in each.points})
            values = np.full((len(worst), len(columns)), np.nan)
            for row, each in enumerate(worst):
                for x, y in each.points:
                    values[row, columns.index(x)] = y
            shown = axes.imshow(values, aspect="auto", cmap="YlOrRd", vmin=0)
            figure.colorbar(shown, label=worst[0].unit, shrink=0.6)
            axes.set_xticks(range(len(columns)), [f"{x:.0%}" for x in columns])
            taken = [float(np.interp(e.taken, columns, range(len(columns)))) for e in worst]
            rows = [row for row, each in enumerate(worst) if each.taken > 0]
            axes.plot([taken[row] for row in rows], rows, "o", color="black", markersize=3)
            axes.set_xlabel("share of channels taken away; dot: what was chosen")
        else:
            colours = [COLOURS["passed" if each.taken > 0 else "dropped"] for each in worst]
            axes.barh(range(len(worst)), [each.points[0][1] for each in worst], color=colours)
            axes.set_ylim(len(worst) - 0.5, -0.5)
            axes.set_xlabel(f"{worst[0].unit}; red: left in FP32")
            axes.grid(axis="x", alpha=0.3)
        axes.set_yticks(range(len(worst)), [each.layer for each in worst], fontsize=7)
        return _image(figure, f"sensitivity of layers to {worst[0].stage}")


def _image(figure: Figure, words: str) -> str:
    """As a picture of its own: names within two plots of one page would clash."""
    out = io.BytesIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    data = base64.b64encode(out.getvalue()).decode()
    return f'<img class=plot src="data:image/svg+xml;base64,{data}" alt="{words}">'
