"""Everything about a box that can be looked at, each thing apart and within its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from edge.box.checks import CHECKS, Timed
from edge.box.finding import Case, Finding, Level

__all__ = ["Examiner", "examine", "exit_code", "worst"]

_ORDER: tuple[Level, ...] = ("ok", "warning", "fault")


@dataclass
class _Running:
    """A check at work: what it has said until now, and how it ended."""

    timed: Timed
    said: list[Finding] = field(default_factory=list)
    error: str = ""
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self, case: Case) -> None:
        try:
            for finding in self.timed.check(case):
                self.said.append(finding)
        except Exception as error:  # whatever half a board throws at a check, the others go on
            self.error = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        finally:
            self.ended.set()

    def findings(self) -> list[Finding]:
        """What is known of it now."""
        name, said = self.timed.name, list(self.said)
        if not self.ended.is_set():
            found = f"gave no answer within {self.timed.seconds:g} s"
            mend = "its driver or disk hangs: look at `dmesg`, unplug what is new, restart the box"
            zh = f"{self.timed.seconds:g} 秒内没有响应：驱动或磁盘卡死，请拔掉新接的设备并重启"
            return [*said, Finding("fault", name, found, mend, zh)]
        if self.error:
            found = f"could not be found out ({self.error})"
            zh = f"无法检查（{self.error}）：请反馈"
            return [*said, Finding("warning", name, found, "tell us, with what `--json` says", zh)]
        return said


class Examiner:
    """Looks at a box again and again.

    Each check has a thread of its own, and one that hangs is left behind: the kernel may never
    answer for a broken device. It is not begun again before it has ended.

    Parameters
    ----------
    checks
        In the order in which their findings come.
    """

    def __init__(self, checks: Sequence[Timed] = CHECKS) -> None:
        self._checks = checks
        self._hung: dict[Timed, _Running] = {}

    def examine(self, case: Case) -> list[Finding]:
        """Look at everything."""
        start = time.monotonic()
        hung = {each: run for each, run in self._hung.items() if not run.ended.is_set()}
        running = [hung.get(each) or _Running(each) for each in self._checks]
        for each in running:
            if each.timed not in hung:
                threading.Thread(
                    target=each.run, args=(case,), name=f"check {each.timed.name}", daemon=True
                ).start()
        for each in running:
            if each.timed not in hung:
                each.ended.wait(max(0.0, start + each.timed.seconds - time.monotonic()))
        self._hung = {each.timed: each for each in running if not each.ended.is_set()}
        return [finding for each in running for finding in each.findings()]


def examine(case: Case, checks: Sequence[Timed] = CHECKS) -> list[Finding]:
    """Look at everything, once."""
    return Examiner(checks).examine(case)


def worst(findings: Sequence[Finding]) -> Level:
    """The worst of them; ``ok`` of none."""
    return max((each.level for each in findings), key=_ORDER.index, default="ok")


def exit_code(findings: Sequence[Finding]) -> int:
    """0 nothing to do, 1 warnings, 3 a fault: as of the whole command."""
    return {"ok": 0, "warning": 1, "fault": 3}[worst(findings)]
