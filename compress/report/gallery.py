"""The worst changes side by side: what is right, the original's answer, the small one's."""

from __future__ import annotations

import base64
import difflib
from html import escape

import cv2
import numpy as np

from compress.result import Answer, Change, Changes

__all__ = ["gallery"]

COLUMNS = (("right", "truth"), ("original", "before"), ("compressed", "after"))
"""What a column is called, and what it shows of a change."""

EMPTY = "<i>nothing</i>"


def gallery(changes: Changes) -> str:
    """Counts and pictures."""
    parts = [
        f"<h2>What changes with {escape(changes.artefact)}</h2>",
        f"<p>Of {changes.worse + changes.better + changes.other + changes.same} pictures "
        f"{changes.worse} are answered worse than by the original, {changes.better} better, "
        f"{changes.other} otherwise but neither better nor worse, and {changes.same} the same.</p>",
    ]
    if changes.worst:
        parts.append(f"<p>The worst {len(changes.worst)}:</p><div class=gallery>")
        parts += [_card(number, each) for number, each in enumerate(changes.worst)]
        parts.append("</div>")
    return "\n".join(parts)


def _card(number: int, change: Change) -> str:
    answers = [getattr(change, field) for _, field in COLUMNS]
    marked = any(not isinstance(each, str) for each in answers)
    head = f"<figure><figcaption>{escape(change.key)}"
    lost = "" if not change.loss else f" <small>loses {change.loss:.2g}</small>"
    if not marked:
        line = f'<img src="{_uri(change.jpeg)}" alt="">' if change.jpeg else ""
        rows = "".join(
            f"<tr><td>{title}<td class=text>{_text(change.truth, answer)}"
            for (title, _), answer in zip(COLUMNS, answers, strict=True)
        )
        return f"{head}{lost}</figcaption>{line}<table>{rows}</table></figure>"
    cells = "".join(
        f"<div><b>{title}</b>{_marked(number, change, answer, field)}</div>"
        for (title, field), answer in zip(COLUMNS, answers, strict=True)
    )
    return f"{head}{lost}</figcaption><div class=three>{cells}</div></figure>"


def _uri(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _text(truth: Answer, answer: Answer) -> str:
    """A line of print, what differs from the truth marked."""
    if not isinstance(truth, str) or not isinstance(answer, str) or truth == answer:
        return escape(str(answer)) or EMPTY
    parts = []
    match = difflib.SequenceMatcher(None, truth, answer, autojunk=False)
    for kind, a0, a1, b0, b1 in match.get_opcodes():
        if kind == "equal":
            parts.append(escape(answer[b0:b1]))
        elif b1 > b0:
            parts.append(f"<mark>{escape(answer[b0:b1])}</mark>")
        else:
            parts.append(f'<mark title="{escape(truth[a0:a1])} is missing">‸</mark>')
    return "".join(parts) or EMPTY


def _marked(number: int, change: Change, answer: Answer, field: str) -> str:
    """The picture with what was found on it; the picture itself stands in the page once."""
    if isinstance(answer, str):
        return f"<p class=text>{escape(answer) or EMPTY}</p>"
    height, width = _size(change.jpeg)
    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{field}">']
    name = f"picture{number}"
    if field == COLUMNS[0][1]:
        image = f'<image id="{name}" width="{width}" height="{height}"'
        parts.append(f'{image} href="{_uri(change.jpeg)}"/>')
    else:
        parts.append(f'<use href="#{name}"/>')
    for mark in answer:
        points = " ".join(f"{x:g},{y:g}" for x, y in mark.points)
        parts.append(f'<polygon class="{field}" points="{points}"/>')
        said = " ".join(
            filter(None, [mark.label, "" if mark.score is None else f"{mark.score:.2f}"])
        )
        if said and mark.points:
            x, y = min(mark.points, key=lambda point: (point[1], point[0]))
            parts.append(f'<text x="{x:g}" y="{max(y - 3, 10):g}">{escape(said)}</text>')
    return "".join([*parts, "</svg>"])


def _size(jpeg: bytes) -> tuple[int, int]:
    """Height and width."""
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE) if jpeg else None
    return (1, 1) if image is None else (image.shape[0], image.shape[1])
