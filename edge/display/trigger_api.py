"""``POST /api/v1/trigger``: a program says that a part is before a camera."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from edge.display.answers import Triggered, problems
from edge.display.guard import Refusal
from edge.display.job import Control

__all__ = ["trigger_routes"]


def trigger_routes(line: Control) -> APIRouter:
    """The one route; ``line`` is what runs."""
    routes = APIRouter()

    @routes.post(
        "/trigger", status_code=202, response_model=Triggered, responses=problems(404, 409, 503)
    )
    def trigger(camera: Annotated[str, Query(max_length=64)]) -> Response:
        """A part is before this camera now. Its verdict goes where all go, by the deadline."""
        triggers = {each.name: each.trigger for each in line.setting.station.cameras}
        if camera not in triggers:
            raise Refusal(404, "there is no such camera", "look at the cameras")
        table = triggers[camera]
        if table is None or table.kind != "software":
            mend = 'set trigger = { kind = "software" } in the station file'
            raise Refusal(409, "this camera is not triggered by programs", mend)
        moment = line.trigger(camera)
        if moment is None:
            raise Refusal(503, "the line takes no part now", "wait until it runs")
        return JSONResponse(
            {"camera": camera, "time": moment.isoformat(timespec="milliseconds")}, 202
        )

    return routes
