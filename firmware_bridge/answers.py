"""What a box says of itself, checked before anybody believes it.

A newer box may say more than this; ``docs/protocol.md``, section 3, names what there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from models.errors import TransferError

__all__ = ["FileSaid", "Hello", "Offered", "SlotSaid", "Status", "TrialSaid", "read_answer"]


def _printable(text: str) -> str:
    """Without the characters that a terminal obeys."""
    return "".join(char if char.isprintable() else " " for char in text)[:300]


_Text = Annotated[str, AfterValidator(_printable)]
_Hash = Annotated[bytes, Field(min_length=32, max_length=32)]


class _Answer(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class SlotSaid(_Answer):
    """One slot; ``name`` and ``version`` where a whole bundle lies there."""

    state: _Text
    active: bool
    manifest: _Hash | None
    held: bool = False
    name: _Text = ""
    version: _Text = ""


class Hello(_Answer):
    """Answer to ``hello``."""

    box: _Text


class TrialSaid(_Answer):
    """The newest trial since the agent has started."""

    manifest: _Hash
    state: Literal["running", "passed", "failed"]
    reason: _Text = ""
    p99_ms: float | None = None


class Status(_Answer):
    """Answer to ``status``."""

    slots: dict[_Text, SlotSaid] = Field(max_length=2)
    state: _Text
    trial: TrialSaid | None

    @property
    def fault(self) -> bool:
        """Whether the active bundle is damaged, and the box does not inspect."""
        return self.state == "FAULT"

    def find(self, manifest: bytes) -> tuple[str, SlotSaid] | None:
        """Letter and slot of this bundle, the active one first; a damaged one does not count."""
        slots = self.slots.items()
        found = [
            (letter, slot)
            for letter, slot in slots
            if slot.manifest == manifest and not (slot.active and self.fault)
        ]
        return max(found, key=lambda each: each[1].active, default=None)

    @property
    def runs(self) -> str:
        """What the box inspects with: ``pcb 1.0.0 (slot a)``, or ``nothing``."""
        for letter, slot in self.slots.items():
            if slot.active and not self.fault:
                return f"{slot.name or '?'} {slot.version} (slot {letter})"
        return "nothing, for its bundle is damaged" if self.fault else "nothing"


class FileSaid(_Answer):
    """What a box has of one file of an offer."""

    need: bool
    at: int = Field(ge=0)
    base: list[_Hash]


class Offered(_Answer):
    """Answer to ``offer``."""

    transfer: _Hash
    files: list[FileSaid]


A = TypeVar("A", bound=_Answer)


def read_answer(kind: type[A], answer: Mapping[str, Any]) -> A:
    """Take an answer for what it should be.

    Raises
    ------
    TransferError
        ``malformed``: it is something else.
    """
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = _printable(".".join(str(step) for step in first["loc"]))
        raise TransferError(
            f"the box's answer makes no sense ({place}: {first['msg']}): update it or the host",
            "malformed",
        ) from error
