"""``/api/v1/models``: what judges, which bundles lie in the slots, and another one made active.

Nothing is loaded here: the changeover of the loop follows the active slot, as after a flash.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Depends, Header
from fastapi.responses import JSONResponse, Response

from edge.display import answers
from edge.display.guard import Refusal
from edge.display.job import Control
from firmware_bridge.slots import Slots
from firmware_bridge.state import LETTERS, State
from models.errors import BundleError, StorageError, TransferError

__all__ = ["ModelDesk"]


class ModelDesk:
    """The one place where pages look at bundles and change them.

    Parameters
    ----------
    line
        The running line.
    """

    def __init__(self, line: Control) -> None:
        self._line = line
        self._switching = threading.Lock()

    def routes(self, api: str, authorised: Callable[..., Any]) -> APIRouter:
        """The routes below ``api``; a switch needs to be ``authorised``."""
        routes = APIRouter()

        @routes.get(f"{api}/models", response_model=answers.ModelsAnswer)
        async def models() -> Response:
            """What judges now, and what lies in the slots; the `ETag` is what a switch gives."""
            answer, etag = await anyio.to_thread.run_sync(self.read)
            return JSONResponse(answer, headers={"etag": etag})

        @routes.post(
            f"{api}/models/switch",
            status_code=202,
            response_model=answers.SlotAnswer,
            dependencies=[Depends(authorised)],
            responses=answers.problems(400, 401, 403, 404, 408, 409, 412, 413, 428, 507),
        )
        async def switch(
            change: answers.ModelSwitch,
            if_match: Annotated[
                str | None, Header(description="ETag of the models that somebody saw")
            ] = None,
        ) -> Response:
            """Make another confirmed bundle active; it takes over once it is loaded and tried.

            What comes of it stands in `/api/v1/state`: `bundle`, or a fault of that name.
            """
            if if_match is None:
                mend = "send If-Match with the ETag of the models that you saw"
                raise Refusal(428, "nobody knows what this is to replace", mend)
            answer = await anyio.to_thread.run_sync(self._switch, change, if_match)
            return JSONResponse(answer, 202)

        return routes

    def read(self) -> tuple[dict[str, Any], str]:
        """The answer, and its ETag."""
        setting = self._line.setting
        station, bundle = setting.station, setting.bundle
        root = Path(station.bundle.root) if station.bundle else None
        slots, etag = [], '"files"'
        if root is not None:
            try:
                box = Slots(root)
                state = box.state
                slots, etag = [_show(box, state, letter) for letter in LETTERS], _etag(state)
            except StorageError:  # told as a fault by whoever follows the slots
                slots, etag = [], '"unknown"'
        running = asdict(bundle) if bundle else None
        models = [
            {
                "name": name,
                "family": model.family,
                "files": {
                    role: value
                    for role in ("det", "rec", "cls", "dictionary")
                    if (value := getattr(model, role, None)) is not None
                },
                "threads": model.threads,
                "cores": list(model.cores),
                "regions": [region.name for region in station.regions if region.model == name],
                "bundle": str(bundle) if bundle else None,
            }
            for name, model in station.models.items()
        ]
        return {"bundle": running, "slots": slots, "models": models}, etag

    def _switch(self, change: answers.ModelSwitch, if_match: str) -> dict[str, Any]:
        table = self._line.setting.station.bundle
        if table is None:
            mend = "name a [bundle] in the station file, and flash one"
            raise Refusal(409, "the models of this station come as files", mend)
        try:
            box = Slots(Path(table.root))
            with self._switching, box.writing():
                state = box.state
                if if_match != _etag(state):
                    mend = "look at the models that judge now, then switch those"
                    raise Refusal(412, "somebody else has changed the active bundle", mend)
                self._check(box, state, change)
                letter = box.rollback()  # there are two slots: the other one is the one
                return _show(box, box.state, letter)
        except TransferError as error:
            raise Refusal(409, str(error), "look at the slots, flash it if it is not there") from (
                error
            )
        except StorageError as error:
            raise Refusal(507, str(error), "nothing has changed: mend that, then try again") from (
                error
            )

    def _check(self, box: Slots, state: State, change: answers.ModelSwitch) -> None:
        """That what is asked for is the confirmed bundle of the other slot."""
        shown = {letter: _show(box, state, letter) for letter in LETTERS}
        wanted = [
            letter
            for letter in LETTERS
            if change.slot == letter
            or (change.version is not None and shown[letter]["version"] == change.version)
        ]
        if not wanted:
            versions = [each["version"] for each in shown.values() if each["version"]]
            mend = f"one of {', '.join(versions)}" if versions else "flash one"
            raise Refusal(404, f"no slot holds version {change.version!r}", mend)
        if state.active in wanted:
            raise Refusal(409, "this bundle is the active one already", "choose the other")
        if state.slots[wanted[0]].state != "CONFIRMED":
            said = f"slot {wanted[0]} is {state.slots[wanted[0]].state}, not CONFIRMED"
            raise Refusal(409, said, "flash a bundle and wait for the end of its trial")


def _show(box: Slots, state: State, letter: Any) -> dict[str, Any]:
    slot = state.slots[letter]
    name = version = None
    if slot.complete:
        try:
            manifest = box.read(letter)
            name, version = manifest.name, manifest.version
        except BundleError:  # shown without a name; a switch to it says why not
            pass
    return {
        "slot": letter,
        "state": slot.state,
        "active": state.active == letter,
        "name": name,
        "version": version,
        "manifest": slot.manifest,
    }


def _etag(state: State) -> str:
    """Changes with what is active and what lies beside it."""
    return f'"{hashlib.sha256(state.model_dump_json().encode()).hexdigest()[:32]}"'
