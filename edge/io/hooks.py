"""Whom an output with a link of its own tells how it fares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from edge.io.base import Signalled

__all__ = ["Hooks", "LinkState"]

LinkState = Literal["up", "down"]


def _no_signal(signalled: Signalled) -> None:
    """Nobody asked."""


def _no_state(name: str, state: LinkState, reason: str) -> None:
    """Nobody asked."""


def _recorded(part: str) -> bool:
    return True


@dataclass(frozen=True)
class Hooks:
    """What a link calls, from its own thread; must not wait, but for ``recorded``.

    Attributes
    ----------
    on_signal
        Told what became of each signal; a second time if one that failed got through after all.
    on_state
        Told ``(name, state, reason)`` when a link goes up or down.
    recorded
        Asked, by the id of a verdict, whether its record is written; waits for that, not for long.
        Without records the answer is yes.
    """

    on_signal: Callable[[Signalled], None] = _no_signal
    on_state: Callable[[str, LinkState, str], None] = _no_state
    recorded: Callable[[str], bool] = _recorded
