"""The challenge over REST: how it stands, and what an operator says of it."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from edge.challenge.desk import ChallengeDesk, WrongMomentError
from edge.display.answers import ChallengeAnswer, ChallengeStep, problems
from edge.display.guard import Refusal

__all__ = ["challenge_control", "challenge_view"]


def challenge_view(desk: Callable[[], ChallengeDesk | None]) -> APIRouter:
    """What only looks."""
    routes = APIRouter()

    @routes.get("/challenge", response_model=ChallengeAnswer, responses=problems(404))
    async def challenge() -> Response:
        """How the challenge with golden parts stands; 404 if the station has none."""
        return JSONResponse(_known(desk()).snapshot())

    return routes


def challenge_control(desk: Callable[[], ChallengeDesk | None]) -> APIRouter:
    """What changes something."""
    routes = APIRouter()

    @routes.post("/challenge", response_model=ChallengeAnswer, responses=problems(404, 409))
    def step(said: ChallengeStep) -> Response:
        """Start a challenge, go on with it, or break it off; 409 if it is not the moment."""
        known = _known(desk())
        acts = {"start": lambda: known.start(said.by), "placed": known.placed, "abort": known.abort}
        try:
            acts[said.action]()
        except WrongMomentError as error:
            raise Refusal(409, str(error), "look how the challenge stands") from error
        return JSONResponse(known.snapshot())

    return routes


def _known(desk: ChallengeDesk | None) -> ChallengeDesk:
    if desk is None:
        raise Refusal(404, "the station has no challenge", "add [challenge] to its file")
    return desk
