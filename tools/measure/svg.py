"""Plots as SVG, drawn by hand: no plotting library is on a box, and reports must stay small."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

__all__ = ["courses", "distribution", "ratios", "scatter", "split", "timeline", "versus"]

WIDTH, HEIGHT = 760, 240
LEFT, RIGHT, TOP, BOTTOM = 56, 44, 22, 34

BINS = 60
"""Of the histogram: about as wide as a finger on the screen."""

COLUMNS = 600
"""Of the time line: no screen shows more, whatever a run lasted."""

TAIL = 0.999
"""Where the histogram ends; one query of minutes would press all others into one bin."""

PALETTE = ("#3b6ea5", "#d08b2f", "#5b9a5b", "#a55b8f", "#7a7a7a", "#b0563b", "#4aa3a3", "#8a7a3b")

Floats = NDArray[np.float64]


class _Axes:
    """Maps values to pixels, and draws the frame."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float], names: tuple[str, str]):
        self._x, self._y = _wide(x), _wide(y)
        self.parts = [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(names[1])} over '
            f'{escape(names[0])}">'
        ]
        base = HEIGHT - BOTTOM
        for value in _ticks(*self._x):
            at = self.x(value)
            self.parts.append(f'<path class="grid" d="M{at:.1f} {TOP}V{base}"/>')
            self.text(at, base + 14, _label(value), "middle")
        for value in _ticks(*self._y):
            at = self.y(value)
            self.parts.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>')
            self.text(LEFT - 6, at + 4, _label(value), "end")
        self.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, names[0], "middle")
        self.text(12, 12, names[1], "start")

    def x(self, value: float) -> float:
        low, high = self._x
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = self._y
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def text(self, x: float, y: float, words: str, anchor: str) -> None:
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
        )

    def line(self, points: Sequence[tuple[float, float]], colour: str) -> None:
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" stroke="{colour}"/>')

    def done(self) -> str:
        return "".join([*self.parts, "</svg>"])


def _wide(limits: tuple[float, float]) -> tuple[float, float]:
    low, high = limits
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers, four to eight of them."""
    step = 10 ** math.floor(math.log10((high - low) / 4))
    while (high - low) / step > 8:
        step *= 2 if (high - low) / step <= 16 else 5
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _label(value: float) -> str:
    return f"{value:,.6g}"


def distribution(ms: Floats, marks: Mapping[str, float]) -> str:
    """Histogram of latencies ``(N,) float64`` ms with their ECDF, ``marks`` drawn as lines."""
    top = float(np.quantile(ms, TAIL))
    low, high = _wide((float(ms.min()), top))
    counts, edges = np.histogram(np.minimum(ms, high), BINS, (low, high))
    axes = _Axes((low, high), (0, float(counts.max())), ("latency, ms", "queries"))
    for count, start, end in zip(counts, edges, edges[1:], strict=False):
        x, y = axes.x(start), axes.y(count)
        wide = max(axes.x(end) - x - 0.5, 0.5)
        axes.parts.append(
            f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" '
            f'height="{HEIGHT - BOTTOM - y:.1f}"/>'
        )
    below = np.searchsorted(np.sort(ms), edges, side="right") / len(ms) * counts.max()
    axes.line(list(zip(edges.tolist(), below.tolist(), strict=True)), PALETTE[1])
    axes.text(WIDTH - RIGHT + 4, TOP + 6, "100%", "start")
    axes.text(WIDTH - RIGHT + 4, HEIGHT - BOTTOM, "0%", "start")
    for number, (name, value) in enumerate(marks.items()):
        if low <= value <= high:
            at = axes.x(value)
            axes.parts.append(f'<path class="mark" d="M{at:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
            axes.text(at + 3, TOP + 10 + 12 * (number % 3), name, "start")
    return axes.done()


def versus(sides: Mapping[str, Floats]) -> str:
    """Histograms of several latencies ``(N,) float64`` ms on one scale, each median as a line."""
    high = max(float(np.quantile(ms, TAIL)) for ms in sides.values())
    low, high = _wide((min(float(ms.min()) for ms in sides.values()), high))
    bins = [np.histogram(np.minimum(ms, high), BINS, (low, high)) for ms in sides.values()]
    top = max(float(counts.max()) for counts, _ in bins)
    axes = _Axes((low, high), (0, top), ("latency, ms", "queries"))
    for number, ((name, ms), (counts, edges)) in enumerate(zip(sides.items(), bins, strict=True)):
        colour = PALETTE[number]
        for count, start, end in zip(counts, edges, edges[1:], strict=False):
            x, y = axes.x(start), axes.y(count)
            axes.parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(axes.x(end) - x - 0.5, 0.5):.1f}" '
                f'height="{HEIGHT - BOTTOM - y:.1f}" fill="{colour}" fill-opacity=".55"/>'
            )
        at = axes.x(float(np.median(ms)))
        axes.parts.append(
            f'<path stroke="{colour}" stroke-dasharray="3 3" '
            f'd="M{at:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
            f'<rect x="{WIDTH / 2 - 150 + 200 * number:.0f}" y="4" width="10" height="10" '
            f'fill="{colour}"/>'
        )
        axes.text(WIDTH / 2 - 135 + 200 * number, 13, name, "start")
    return axes.done()


def ratios(each: Floats, stated: tuple[float, float, float]) -> str:
    """What came of round after round ``(N,) float64``, and what is stated with its interval."""
    value, low, high = stated
    limits = (min(float(each.min()), low), max(float(np.quantile(each, 0.99)), high))
    axes = _Axes((1.0, float(len(each))), limits, ("round", "B's median over A's"))
    axes.parts.append(
        f'<rect x="{LEFT}" y="{axes.y(high):.1f}" width="{WIDTH - LEFT - RIGHT}" '
        f'height="{max(axes.y(low) - axes.y(high), 1):.1f}" fill="{PALETTE[1]}" '
        'fill-opacity=".25"/>'
    )
    axes.line([(1.0, value), (float(len(each)), value)], PALETTE[1])
    axes.line([(n, min(y, limits[1])) for n, y in enumerate(each.tolist(), 1)], PALETTE[0])
    return axes.done()


def timeline(
    at_s: Floats, ms: Floats, steady_s: float, others: Mapping[str, tuple[Floats, Floats]]
) -> list[str]:
    """Latencies over time: median, least and most of each column; and one plot for each of others.

    Parameters
    ----------
    at_s, ms
        ``(N,) float64``: when each query began, and how long it took.
    steady_s
        Where the steady state begins.
    others
        Name -> ``(M,) float64`` seconds and values: temperature, clock and so on.
    """
    span = (0.0, float(max([at_s[-1], *(x[-1] for x, _ in others.values() if len(x))])))
    top = float(np.quantile(ms, TAIL))
    axes = _Axes(span, (0, top * 1.05), ("seconds", "ms"))
    column = np.minimum((at_s / max(span[1], 1e-9) * COLUMNS).astype(int), COLUMNS - 1)
    starts = np.flatnonzero(np.diff(column, prepend=-1))
    groups = np.split(ms, starts[1:])
    xs = [float(at_s[start]) for start in starts]
    upper = [(x, min(float(g.max()), top * 1.05)) for x, g in zip(xs, groups, strict=True)]
    lower = [(x, float(g.min())) for x, g in zip(xs, groups, strict=True)]
    band = " ".join(f"{axes.x(x):.1f},{axes.y(y):.1f}" for x, y in upper + lower[::-1])
    axes.parts.append(f'<polygon points="{band}" fill="{PALETTE[0]}" fill-opacity=".25"/>')
    axes.line([(x, float(np.median(g))) for x, g in zip(xs, groups, strict=True)], PALETTE[0])
    at = axes.x(steady_s)
    axes.parts.append(f'<path class="mark" d="M{at:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
    axes.text(at + 3, TOP + 10, "steady from here", "start")
    return [axes.done(), *courses(others, span)]


def courses(
    series: Mapping[str, tuple[Floats, Floats]], span: tuple[float, float] | None = None
) -> list[str]:
    """One plot for each name: ``(M,) float64`` seconds and values; ``span`` is of the seconds."""
    plots = []
    for number, (name, (x, y)) in enumerate(series.items()):
        step = max(1, len(x) // COLUMNS)
        wide = span or (0.0, float(x[-1]))
        small = _Axes(wide, (min(0.0, float(y.min())), float(y.max()) * 1.05), ("seconds", name))
        points = list(zip(x[::step].tolist(), y[::step].tolist(), strict=True))
        small.line(points, PALETTE[(number + 1) % len(PALETTE)])
        plots.append(small.done())
    return plots


def scatter(
    points: Sequence[tuple[float, float, str, bool]], names: tuple[str, str], series: Sequence[str]
) -> str:
    """Points as circles: x, y, the series each belongs to, and whether no other beats it.

    Those that none beats are full and joined by a line; pointing at one tells its series.
    """
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    spare = (max(ys) - min(ys)) * 0.1
    axes = _Axes((0.0, max(xs) * 1.05), (min(ys) - spare, max(ys) + spare), names)
    axes.line(sorted((x, y) for x, y, _, front in points if front), "#999")
    for x, y, name, front in points:
        colour = PALETTE[series.index(name) % len(PALETTE)]
        fill = colour if front else "#fff"
        axes.parts.append(
            f'<circle cx="{axes.x(x):.1f}" cy="{axes.y(y):.1f}" r="5" fill="{fill}" '
            f'stroke="{colour}"><title>{escape(name)}: {x:.4g}, {y:.4g}</title></circle>'
        )
    for number, name in enumerate(series):
        axes.parts.append(
            f'<circle cx="{LEFT + 14}" cy="{TOP + 8 + 15 * number}" r="5" '
            f'fill="{PALETTE[number % len(PALETTE)]}"/>'
        )
        axes.text(LEFT + 24, TOP + 12 + 15 * number, name, "start")
    return axes.done()


def split(stages: Mapping[str, float]) -> str:
    """How the median of a query is split, ms by stage, as one bar with its words below."""
    total = sum(stages.values()) or 1.0
    rows = -(-len(stages) // 4)
    parts = [f'<svg viewBox="0 0 {WIDTH} {44 + 18 * rows}" role="img" aria-label="stages">']
    left = 0.0
    for number, (name, value) in enumerate(stages.items()):
        colour, wide = PALETTE[number % len(PALETTE)], value / total * WIDTH
        parts.append(
            f'<rect x="{left:.1f}" y="4" width="{wide:.1f}" height="26" fill="{colour}"/>'
            f'<rect x="{number % 4 * 190}" y="{38 + 18 * (number // 4)}" width="10" height="10" '
            f'fill="{colour}"/><text x="{number % 4 * 190 + 15}" y="{47 + 18 * (number // 4)}">'
            f"{escape(name)} {value / total:.0%}</text>"
        )
        left += wide
    return "".join([*parts, "</svg>"])
