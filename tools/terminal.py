"""The station on a terminal: a verdict that is seen from across the room, and why."""

from __future__ import annotations

from collections import Counter, deque
from types import TracebackType

from rich.align import Align
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from typing_extensions import Self

from edge.camera.capture import State
from edge.judge import Language
from edge.verdict import Verdict

__all__ = ["Terminal"]

KEPT = 6
"""Rejected parts that are listed: what fits under the verdict on 24 lines."""

_WORDS = {
    "en": ("OK", "NG", "FAULT", "waiting", "last rejected parts", "parts"),
    "zh": ("合格", "不合格", "设备故障", "等待", "最近的不合格品", "产品"),
}


class Terminal:
    """Shows verdicts as they come; an output of the loop.

    Colour, word and place tell apart: OK is green, NG is red, and a fault of the machine is a
    yellow bar of its own above the verdict, never a colour of it.
    """

    name = "terminal"
    pictures = False

    def __init__(self, title: str, language: Language, console: Console) -> None:
        self._title, self._language, self._console = title, language, console
        self._verdict: Verdict | None = None
        self._rejected: deque[Verdict] = deque(maxlen=KEPT)
        self._count: Counter[bool] = Counter()
        self._faults: dict[str, str] = {}
        self._live = Live(self._picture(), console=console, refresh_per_second=10, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def verdict(self, verdict: Verdict) -> None:
        """Show it."""
        self._verdict = verdict
        self._count[verdict.ok] += 1
        if not verdict.ok:
            self._rejected.append(verdict)
        if self._console.is_terminal:
            self._live.update(self._picture())
        else:  # a log: one line each
            self._console.print(self._line(verdict), soft_wrap=True)

    def camera(self, camera: str, state: State, reason: str) -> None:
        """Show a fault as long as it lasts."""
        self.fault(camera, reason if state == "lost" else None)

    def fault(self, name: str, text: str | None) -> None:
        """Show a fault of an output or of the records, or with ``None`` no more. Any thread."""
        if text is not None:
            self._faults[name] = text
        else:
            self._faults.pop(name, None)
        if self._console.is_terminal:
            self._live.update(self._picture())
        elif text is not None:
            self._console.print(f"{_WORDS[self._language][2]} {name}: {text}", soft_wrap=True)

    def close(self) -> None:
        """Leave the last picture to whoever ends the display."""

    def _line(self, verdict: Verdict) -> Text:
        ok, ng, *_ = _WORDS[self._language]
        why = "; ".join(reason.text(self._language) for reason in verdict.reasons)
        part = f"{verdict.part.camera} #{verdict.number}"
        word, style = (ok, "green") if verdict.ok else (ng, "red")
        return Text.assemble(
            (f"{word:4}", style), f" {part:12} {verdict.latency * 1000:6.0f} ms  {why}".rstrip()
        )

    def _picture(self) -> Group:
        ok, ng, fault, waiting, rejected, parts = _WORDS[self._language]
        blocks: list[Panel | Table] = []
        for name, why in self._faults.copy().items():
            blocks.append(Panel(Text(f"⚠ {fault}  {name}: {why}", "bold black on yellow")))
        verdict = self._verdict
        if verdict is None:
            word, style, why = waiting, "dim", ""
        else:
            word, style = (ok, "bold white on green") if verdict.ok else (ng, "bold white on red")
            why = "\n".join(reason.text(self._language) for reason in verdict.reasons)
        mark = "…" if verdict is None else "✔" if verdict.ok else "✘"
        face = Align.center(Text(f"\n\n{mark} {word}\n\n"))
        head = f"{self._title} · {parts} {self._count.total() if verdict else 0}"
        if verdict is not None:
            head += f" · {ok} {self._count[True]} · {ng} {self._count[False]}"
            head += f" · {verdict.part.camera} #{verdict.number} · {verdict.latency * 1000:.0f} ms"
        blocks.append(Panel(Group(face, Align.center(Text(why))), title=head, style=style))
        table = Table(box=None, title=rejected, title_justify="left", title_style="dim")
        for each in reversed(self._rejected):
            reasons = "; ".join(reason.text(self._language) for reason in each.reasons)
            table.add_row(f"{each.part.camera} #{each.number}", Text(reasons, "red"))
        if self._rejected:
            blocks.append(table)
        return Group(*blocks)
