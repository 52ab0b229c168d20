"""``state.json``: which slot holds what, and which is active. The truth of a box."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["LETTERS", "MAX_TRIES", "NEW_BOX", "Letter", "Slot", "State"]

Letter = Literal["a", "b"]

LETTERS: tuple[Letter, Letter] = ("a", "b")

MAX_TRIES = 3
"""Starts of a trial: a bundle that takes the box down each time must not do so for ever."""


class _Table(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Slot(_Table):
    """What ``state.json`` says of one slot.

    Attributes
    ----------
    manifest
        Id of the bundle; ``None`` where none counts.
    tries
        Starts of its trial.
    held
        Whether a staged bundle is to be tried as soon as the station is idle.
    """

    state: Literal["EMPTY", "RECEIVING", "STAGED", "TRIAL", "CONFIRMED"] = "EMPTY"
    manifest: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    tries: int = Field(0, ge=0, le=MAX_TRIES)
    held: bool = False

    @property
    def complete(self) -> bool:
        """Whether all of a bundle lies there."""
        return self.state in {"STAGED", "TRIAL", "CONFIRMED"}


class State(_Table):
    """All of ``state.json``. ``active`` is ``None`` until a first bundle is confirmed."""

    format: Literal[1]
    active: Letter | None
    counter: int = Field(ge=0, lt=2**32)
    slots: dict[Letter, Slot]

    @model_validator(mode="after")
    def _consistent(self) -> State:
        if set(self.slots) != set(LETTERS):
            raise ValueError("slots: must be a and b")
        if self.active is not None and self.slots[self.active].state != "CONFIRMED":
            raise ValueError("active: must be CONFIRMED")
        if any(slot.complete and slot.manifest is None for slot in self.slots.values()):
            raise ValueError("slots: a complete one must name its manifest")
        return self

    @property
    def idle(self) -> Letter:
        """The slot that may be written."""
        return "b" if self.active == "a" else "a"

    def put(self, letter: Letter, slot: Slot, **fields: object) -> State:
        """The same with another slot, and other ``fields``."""
        table = {**self.__dict__, **fields, "slots": {**self.slots, letter: slot}}
        return State.model_validate(table)


NEW_BOX = State(format=1, active=None, counter=0, slots={"a": Slot(), "b": Slot()})
"""Of a box that has never been flashed."""
