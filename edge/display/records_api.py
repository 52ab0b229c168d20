"""``/api/v1/records``: parts of the past, and their pictures, as the records have them.

What is asked for becomes a bound value of SQL, and no path: pictures lie where their rows say.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import anyio
from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from edge.display import answers
from edge.display.guard import Refusal
from edge.display.job import Control
from edge.judge import TEMPLATES
from edge.records import query
from edge.records.evidence import as_jpeg
from edge.records.overlay import overlay
from edge.records.row import GONE
from models.errors import ImageError, InputError
from models.images import load_image
from models.nearest import nearest

__all__ = ["MOST", "PATIENCE_S", "record_routes"]

T = TypeVar("T")

MOST = 200
"""Records of one answer; a cursor leads to the next."""

PATIENCE_S = 5.0
"""For a search; one that takes longer reads millions of rows, while the line needs the disk."""

QUALITY = 90
"""Of a JPEG with the overlay."""

_KEEP = {"cache-control": "private, max-age=86400"}

_JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
    **answers.problems(404, 503),
}

_Text = Annotated[str | None, Query(max_length=200)]


def record_routes(line: Control, api: str) -> APIRouter:
    """The routes below ``api``; ``line`` says where the records are, if there are any."""
    routes = APIRouter()
    working = anyio.CapacityLimiter(1)

    async def ask(question: Callable[[query.Records], T], patience: float = math.inf) -> T:
        def work() -> T:
            with query.Records(folder, patience) as records:
                return question(records)

        folder = _folder(line)
        try:
            return await anyio.to_thread.run_sync(work, limiter=working)
        except InputError as error:
            mend = "or run `lineguard records` on the box, which takes its time"
            raise Refusal(503, str(error), mend) from error

    @routes.get(
        f"{api}/records", response_model=answers.RecordsAnswer, responses=answers.problems(404, 503)
    )
    async def search(
        part: _Text = None,
        lot: _Text = None,
        verdict: Annotated[str | None, Query(pattern="^(OK|NG)$")] = None,
        since: Annotated[datetime | None, Query(description="first included")] = None,
        until: Annotated[datetime | None, Query(description="last not included")] = None,
        reason: Annotated[
            str | None, Query(max_length=200, description="a code, or RULE:CODE")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 20,
        cursor: Annotated[
            int | None, Query(ge=1, le=2**53, description="`next` of the answer before")
        ] = None,
    ) -> Response:
        """Recorded parts, the newest first; a time without a zone is the box's own."""
        _check_reason(reason)
        wanted = query.Query(part, lot, verdict, _aware(since), _aware(until), reason, cursor)
        found = await ask(lambda records: records.find(wanted, limit), PATIENCE_S)
        following = found[-1]["seq"] if len(found) == limit else None
        return JSONResponse({"records": found, "next": following})

    @routes.get(
        f"{api}/records/{{part}}",
        response_model=answers.RecordAnswer,
        responses=answers.problems(404, 503),
    )
    async def one(part: str) -> Response:
        """All that is known of a part: also what machines were told, and the thresholds."""

        def read(records: query.Records) -> dict[str, Any]:
            record = _found(records, part)
            return record | {
                "signals": records.signals(part),
                "thresholds": records.settings(record["settings"]),
            }

        return JSONResponse(await ask(read))

    @routes.get(f"{api}/records/{{part}}/picture", response_class=Response, responses=_JPEG)
    async def picture(part: str) -> Response:
        """The picture of a part as it was kept."""

        def read(records: query.Records) -> bytes:
            path = _picture(records, _found(records, part))
            try:
                return path.read_bytes()
            except OSError as error:
                raise _lost(part) from error

        return Response(await ask(read), media_type="image/jpeg", headers=_KEEP)

    @routes.get(f"{api}/records/{{part}}/overlay", response_class=Response, responses=_JPEG)
    async def drawn(part: str) -> Response:
        """The same with what was found drawn in."""

        def draw(records: query.Records) -> bytes:
            record = _found(records, part)
            try:
                image = load_image(_picture(records, record))
            except ImageError as error:
                raise _lost(part) from error
            jpeg = as_jpeg(overlay(image, record), QUALITY)
            if jpeg is None:
                raise _lost(part)
            return jpeg

        return Response(await ask(draw), media_type="image/jpeg", headers=_KEEP)

    return routes


def _folder(line: Control) -> Path:
    table = line.setting.station.records
    if table is None:
        mend = "add [records] to the station file and start it anew"
        raise Refusal(404, "this station keeps no records", mend)
    return Path(table.path)


def _found(records: query.Records, part: str) -> dict[str, Any]:
    record = records.part(part)
    if record is None:
        raise Refusal(404, "there is no such part in the records", "search for its lot or time")
    return record


def _picture(records: query.Records, record: dict[str, Any]) -> Path:
    path = records.picture(record)
    if path is None:
        why = GONE[record["evidence_gone"]][0]
        mend = "[records] says which pictures are kept, and for how many megabytes"
        raise Refusal(404, f"this part has no picture: {why}", mend)
    return path


def _lost(part: str) -> Refusal:
    return Refusal(404, f"the picture of {part} is gone or damaged", "look at its record")


def _check_reason(reason: str | None) -> None:
    code = (reason or "").rpartition(":")[2]
    if reason is not None and code not in TEMPLATES:
        near = nearest(code, TEMPLATES)
        mend = f"did you mean {near}?" if near else f"one of {', '.join(TEMPLATES)}"
        raise Refusal(422, "reason: no part is rejected for that", mend)


def _aware(time: datetime | None) -> datetime | None:
    try:
        return time.astimezone() if time is not None and time.tzinfo is None else time
    except (OverflowError, ValueError) as error:
        raise Refusal(422, "since, until: is no time of this world", "name a year") from error
