"""What a shadow came to: one sentence, and a page that needs nothing but itself."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import cv2
import numpy as np

from edge.judge import Language, Reason
from edge.records.evidence import as_jpeg
from edge.records.overlay import overlay

__all__ = ["judgement", "report_page", "rows"]

QUALITY = 85
"""Of the pictures on the page."""

WIDE = 900
"""Pixels of a picture on the page; larger ones are scaled down."""

WORDS: Mapping[str, tuple[str, str]] = {
    "title": ("Two bundles on the same parts", "两个模型包对同一批产品的判定"),
    "counts": ("active: what counts", "当前：实际生效"),
    "looks": ("candidate: what looks on", "候选：仅旁观"),
    "since": ("since", "开始时间"),
    "seen": ("parts that could be compared", "可比较的产品"),
    "compared": ("compared", "已比较"),
    "same_ok": ("both OK", "均为 OK"),
    "same_ng": ("both NG", "均为 NG"),
    "rejects": ("OK, NG by the candidate", "当前 OK，候选 NG"),
    "passes": ("NG, OK by the candidate", "当前 NG，候选 OK"),
    "content": (
        "same verdict, but another field or defect",
        "判定相同，但字段或缺陷不同",
    ),
    "took": (
        "looking took, p50 / p99 (the candidate with the lowest priority)",
        "检测耗时 p50 / p99（候选以最低优先级运行）",
    ),
    "active": ("active", "当前"),
    "candidate": ("candidate", "候选"),
    "interval": ("95% interval", "95% 区间"),
    "none": ("no parts differ", "没有差异"),
    "some": (
        "{shown} of {count} differences, the newest first",
        "{count} 处差异中的 {shown} 处，最新在前",
    ),
    "nothing": ("No part has been compared.", "尚未比较任何产品。"),
    "judgement": (
        "On {compared} of {seen} parts the candidate rejects {rejects} that the active one passes "
        "({rejects_share}), and passes {passes} that the active one rejects ({passes_share}).",
        "在 {seen} 件中的 {compared} 件上，候选多拒收 {rejects} 件（{rejects_share}），"
        "多放行 {passes} 件（{passes_share}）。",
    ),
}
"""(English, Chinese)."""

STYLE = """
body { font: 16px/1.5 system-ui, "Noto Sans CJK SC", sans-serif; margin: 2rem auto;
  max-width: 80rem; padding: 0 1rem; color: #1a1d21; background: #fff; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { text-align: left; padding: .25rem 1.5rem .25rem 0; border-bottom: 1px solid #d5d9de;
  font-weight: normal; }
.said { font-size: 1.25rem; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; align-items: end; }
figure { margin: 0; } img { width: 100%; } h3 { margin: 2rem 0 .5rem; }
.OK { color: #04673a; font-weight: bold; } .NG { color: #a8071a; font-weight: bold; }
"""


def _word(key: str, language: Language, **values: object) -> str:
    text = WORDS[key][0 if language == "en" else 1]
    return text.format(**values) if values else text


def _share(count: int, total: int, interval: tuple[float, float] | None, language: Language) -> str:
    if interval is None:
        return "–"
    low, high = (f"{100 * end:.2f}" for end in interval)
    return f"{100 * count / total:.2f}%, {_word('interval', language)} {low}–{high}%"


def judgement(summary: Mapping[str, Any], language: Language) -> str:
    """One sentence on a pair, from :func:`edge.loop.comparisons.summary_of`."""
    if not summary["compared"]:
        return _word("nothing", language)
    shares = {
        f"{name}_share": _share(summary[name], summary["compared"], summary[f"{name}_95"], language)
        for name in ("rejects", "passes")
    }
    numbers = {name: f"{summary[name]:,}" for name in ("compared", "seen", "rejects", "passes")}
    return _word("judgement", language, **numbers, **shares)


def rows(summary: Mapping[str, Any], language: Language) -> list[tuple[str, str]]:
    """What the table of a pair says."""
    took = (
        f"{summary[name]['p50']:.0f} / {summary[name]['p99']:.0f} ms"
        for name in ("active_ms", "candidate_ms")
        if summary[name]["p50"] is not None
    )
    counts = ("seen", "compared", "same_ok", "same_ng", "rejects", "passes", "content")
    return [
        (_word("counts", language), summary["active"]),
        (_word("looks", language), summary["candidate"]),
        (_word("since", language), summary["since"]),
        *((_word(name, language), f"{summary[name]:,}") for name in counts),
        (_word("took", language), ", ".join(took)),
    ]


def report_page(
    pairs: Iterable[tuple[Mapping[str, Any], Iterable[Mapping[str, Any]]]], language: Language
) -> bytes:
    """An HTML page with everything in it, pictures too: it opens anywhere, and without a network.

    Parameters
    ----------
    pairs
        The summary of each, and its differences as :class:`edge.loop.comparisons.Comparisons`
        gives them.
    language
        Of the words and reasons.
    """
    title = escape(_word("title", language))
    body = [f"<h1>{title}</h1>"]
    for summary, differences in pairs:
        heading = f"{summary['candidate']} / {summary['active']}, {summary['station']}"
        body.append(f"<h2>{escape(heading)}</h2>")
        body.append(f'<p class="said">{escape(judgement(summary, language))}</p><table>')
        body += [
            f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
            for name, value in rows(summary, language)
        ]
        body.append("</table>")
        shown = [_difference(each, language) for each in differences]
        count = summary["rejects"] + summary["passes"] + summary["content"]
        some = _word("some", language, shown=len(shown), count=f"{count:,}")
        body.append(f"<p>{escape(some if count else _word('none', language))}</p>")
        body += shown
    text = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )
    return text.encode("utf-8", "replace")


def _difference(difference: Mapping[str, Any], language: Language) -> str:
    kind = _word(difference["difference"], language)
    image = cv2.imdecode(np.frombuffer(difference["picture"] or b"", np.uint8), cv2.IMREAD_COLOR)
    sides = []
    for side in ("active", "candidate"):
        outcome = difference[side]
        said = [Reason(**reason).text(language) for reason in outcome["reasons"]]
        said += [f"{name}: {value}" for name, value in outcome["fields"].items()]
        said += [
            f"{defect['label']} {defect['score']:.2f}"
            for found in outcome["defects"].values()
            for defect in found
        ]
        words = "".join(f"<div>{escape(line)}</div>" for line in said)
        drawn = "" if image is None else _picture(np.asarray(image, np.uint8), outcome)
        verdict = outcome["verdict"]
        name = escape(_word(side, language))
        head = f'{name}: <span class="{verdict}">{verdict}</span>'
        sides.append(f"<figure><figcaption>{head}{words}</figcaption>{drawn}</figure>")
    part = f"{difference['part']}, {difference['time']}: {kind}"
    return f'<h3>{escape(part)}</h3><div class="pair">{"".join(sides)}</div>'


def _picture(image: np.ndarray[Any, np.dtype[np.uint8]], outcome: Mapping[str, Any]) -> str:
    drawn = overlay(image, dict(outcome))
    if drawn.shape[1] > WIDE:
        size = (WIDE, max(1, round(drawn.shape[0] * WIDE / drawn.shape[1])))
        drawn = np.asarray(cv2.resize(drawn, size, interpolation=cv2.INTER_AREA), np.uint8)
    data = base64.b64encode(as_jpeg(drawn, QUALITY) or b"").decode("ascii")
    return f'<img alt="" src="data:image/jpeg;base64,{data}">'
