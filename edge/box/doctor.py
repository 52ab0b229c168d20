"""Everything about a box that can be looked at, each thing apart and within its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from edge.box.checks import CHECKS, Timed
from edge.box.finding import Case, Finding, Level

__all__ = ["examine", "exit_code", "worst"]

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
            return [*said, Finding("fault", name, found, mend)]
        if self.error:
            found = f"could not be found out ({self.error})"
            return [*said, Finding("warning", name, found, "tell us, with what `--json` says")]
        return said


def examine(case: Case, checks: Sequence[Timed] = CHECKS) -> list[Finding]:
    """Look at everything; the findings come in the order of the checks.

    Each check has a thread of its own, and one that hangs is left behind: the kernel may never
    answer for a broken device.
    """
    start = time.monotonic()
    running = [_Running(each) for each in checks]
    for each in running:
        threading.Thread(
            target=each.run, args=(case,), name=f"check {each.timed.name}", daemon=True
        ).start()
    for each in running:
        each.ended.wait(max(0.0, start + each.timed.seconds - time.monotonic()))
    return [finding for each in running for finding in each.findings()]


def worst(findings: Sequence[Finding]) -> Level:
    """The worst of them; ``ok`` of none."""
    return max((each.level for each in findings), key=_ORDER.index, default="ok")


def exit_code(findings: Sequence[Finding]) -> int:
    """0 nothing to do, 1 warnings, 3 a fault: as of the whole command."""
    return {"ok": 0, "warning": 1, "fault": 3}[worst(findings)]
