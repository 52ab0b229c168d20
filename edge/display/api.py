"""The REST interface ``/api/v1`` and the pages: what is asked for and what is answered."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from importlib.resources import files
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sse_starlette import EventSourceResponse
from starlette.exceptions import HTTPException

from edge.display import answers
from edge.display.challenge_api import challenge_control, challenge_view
from edge.display.guard import Guard, Refusal
from edge.display.hub import MOST_VIEWERS, Hub
from edge.display.job import Control, JobDesk, OutdatedError
from edge.display.models_api import ModelDesk
from edge.display.records_api import record_routes
from edge.display.state import RECENT, DisplayState
from edge.display.token import matches
from edge.display.trigger_api import trigger_routes
from edge.display.upload import decode, inspect_picture
from edge.judge import Job
from edge.metrics.scrape import CONTENT_TYPE, Sources, metrics_text
from models.errors import ImageError, StorageError

__all__ = ["API", "Api"]

_log = logging.getLogger(__name__)

API = "/api/v1"

INSPECT = f"{API}/inspect"

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
"""Of the pages, by suffix; nothing else is served."""

_bearer = HTTPBearer(auto_error=False, description="the text of the station's token_file")


_problems = answers.problems

_ANY = _problems(421, 422)
_TOKEN = _problems(400, 401, 403, 408, 413)


class Api:
    """The application, and what it holds.

    Parameters
    ----------
    state
        What the display knows.
    line
        The running line.
    token
        What a change needs.
    names, language
        See :class:`edge.station.Display`.
    """

    def __init__(
        self, state: DisplayState, line: Control, token: str, names: tuple[str, ...], language: str
    ) -> None:
        self._state, self._line, self._token = state, line, token
        self._desk = JobDesk(line, state.clock)
        self.hub = Hub(self._snapshot, self._counters, lambda: round(_wall(state.clock) * 1000))
        self._encoder = anyio.CapacityLimiter(1)
        self._scraping = anyio.CapacityLimiter(1)
        self._sources = Sources(
            line,
            cameras=state.cameras,
            faults=state.fault_counts,
            job_changes=lambda: self._desk.read()["version"] - 1,
            viewers=lambda: self.hub.viewers,
            kept=state.kept,
        )
        self._inspecting = False
        self._pages = _load_pages(language)
        app = FastAPI(
            title="lineguard",
            version="1",
            description="A station: its state, its job, its newest parts.",
            openapi_url=f"{API}/openapi.json",
            docs_url=None,
            redoc_url=None,
            responses=_ANY,
        )
        app.include_router(self._open_routes())
        app.include_router(record_routes(line, API))
        app.include_router(ModelDesk(line).routes(API, self._authorised))
        app.include_router(challenge_view(lambda: state.challenge), prefix=API)
        guarded = self._guarded_routes()
        guarded.include_router(challenge_control(lambda: state.challenge), prefix=API)
        guarded.include_router(trigger_routes(line), prefix=API)
        app.include_router(guarded)
        app.add_exception_handler(HTTPException, _on_http)
        app.add_exception_handler(RequestValidationError, _on_invalid)
        app.add_exception_handler(Exception, _on_bug)
        app.add_api_route("/{page:path}", self._page, methods=["GET"], include_in_schema=False)
        self.app = Guard(app, names, INSPECT)

    def _open_routes(self) -> APIRouter:
        routes = APIRouter()
        get = routes.get

        @get(f"{API}/state", response_model=answers.StateAnswer)
        async def state() -> Response:
            """What is seen at a glance."""
            return JSONResponse(self._snapshot())

        @get(
            f"{API}/events",
            responses={200: {"content": {"text/event-stream": {}}}, **_problems(503)},
            response_class=EventSourceResponse,
        )
        async def events() -> Response:
            """Follow the state: events `state`, `details` and, twice a second, `beat`."""
            if self.hub.full:
                raise Refusal(503, f"{MOST_VIEWERS} pages are open", "close one")
            return EventSourceResponse(self.hub.watch(), ping=0)

        @get(f"{API}/counters", response_model=answers.Counters)
        async def counters() -> Response:
            """The shift: counts, reasons, latency, trend, and what cameras lost."""
            return JSONResponse(self._counters())

        @get(f"{API}/shadow", response_model=answers.ShadowAnswer, responses=_problems(404))
        async def shadow() -> Response:
            """How a bundle that looks on agrees with the one that counts."""
            if self._state.shadow is None:
                raise Refusal(404, "no bundle looks on", "add [shadow] to the station file")
            return JSONResponse(self._state.shadow())

        @get(f"{API}/cameras", response_model=list[answers.CameraAnswer])
        async def cameras() -> Response:
            """Every camera and the part that it shows."""
            return JSONResponse(self._state.snapshot()["cameras"])

        @get(
            f"{API}/cameras/{{camera}}/picture.jpg",
            response_class=Response,
            responses={
                200: {
                    "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}
                },
                304: {"description": "you have it"},
                **_problems(404),
            },
        )
        async def picture(
            camera: str,
            part: Annotated[
                str | None, Query(max_length=200, description="id; else the newest")
            ] = None,
            if_none_match: Annotated[str | None, Header()] = None,
        ) -> Response:
            """The picture of a part, at most 1280 pixels wide."""
            return await self._picture(camera, part, if_none_match)

        @get(f"{API}/parts", response_model=list[answers.PartAnswer])
        async def parts(
            verdict: Annotated[str | None, Query(pattern="^(OK|NG)$")] = None,
            limit: Annotated[int, Query(ge=1, le=RECENT)] = RECENT,
        ) -> Response:
            """The newest parts first; older ones are in the records."""
            ng = None if verdict is None else verdict == "NG"
            return JSONResponse(self._state.parts(ng=ng, limit=limit))

        @get(f"{API}/parts/{{part}}", response_model=answers.PartAnswer, responses=_problems(404))
        async def one_part(part: str) -> Response:
            """One of the newest parts."""
            found = self._state.part(part)
            if found is None:
                raise Refusal(404, "the display no longer has this part", "look in the records")
            return JSONResponse(found)

        @get(f"{API}/job", response_model=answers.JobAnswer)
        async def job() -> Response:
            """What is made now; the `ETag` is what a change gives as `If-Match`."""
            return self._job(self._desk.read())

        @get(
            "/metrics",
            response_class=Response,
            responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
        )
        async def metrics() -> Response:
            """Everything that is counted, for Prometheus."""
            text = await anyio.to_thread.run_sync(
                metrics_text, self._state.counted, self._sources, limiter=self._scraping
            )
            return Response(text, media_type=CONTENT_TYPE)

        @get("/healthz", response_model=answers.Health, responses={503: {"model": answers.Health}})
        async def health() -> Response:
            """Whether the station is fit for work: 200, or 503 and why not."""
            reasons = [*self._state.health(), *self._line.stuck]
            return JSONResponse({"ok": not reasons, "reasons": reasons}, 503 if reasons else 200)

        return routes

    def _guarded_routes(self) -> APIRouter:
        routes = APIRouter(dependencies=[Depends(self._authorised)], responses=_TOKEN)

        @routes.put(
            f"{API}/job", response_model=answers.JobAnswer, responses=_problems(412, 428, 507)
        )
        async def change_job(
            change: answers.JobChange,
            if_match: Annotated[
                str | None, Header(description="ETag of the job it replaces")
            ] = None,
        ) -> Response:
            """Make something else from the next part on; 412 if somebody was faster."""
            return self._change_job(change, if_match)

        @routes.post(f"{API}/acknowledge", response_model=answers.Acknowledged)
        async def acknowledge(seen: answers.Acknowledgement) -> Response:
            """Say that faults have been seen; those that are over disappear."""
            return JSONResponse({"acknowledged": self._state.alarms.acknowledge(seen.faults)})

        binary = {"schema": {"type": "string", "format": "binary"}}
        body = {"required": True, "content": {"image/jpeg": binary, "image/png": binary}}

        @routes.post(
            INSPECT,
            response_model=answers.Record,
            responses=_problems(404, 415, 429, 503),
            openapi_extra={"requestBody": body},
        )
        async def inspect(
            request: Request, camera: Annotated[str, Query(max_length=64)]
        ) -> Response:
            """Have a picture inspected as one of a camera; one at a time, the line goes first."""
            return await self._inspect(request, camera)

        return routes

    async def _authorised(
        self, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> None:
        if given is None or not matches(given.credentials, self._token):
            wrong = "the token is wrong" if given else "this needs the token"
            mend = "send Authorization: Bearer and the text of the station's token_file"
            raise Refusal(401, wrong, mend, {"www-authenticate": "Bearer"})

    async def _page(self, page: str) -> Response:
        found = self._pages.get(page or "index.html")
        if found is None:
            raise Refusal(404, "there is nothing of that name", f"see {API}/openapi.json")
        body, kind = found
        return Response(body, media_type=kind, headers={"cache-control": "no-cache"})

    def _snapshot(self) -> dict[str, Any]:
        bundle = self._line.setting.bundle
        shown = asdict(bundle) if bundle else None
        return self._state.snapshot() | {"job": self._desk.read(), "bundle": shown}

    def _counters(self) -> dict[str, Any]:
        shift = self._state.shift
        lost = self._line.summary()["cameras"]
        shadow = self._state.shadow() if self._state.shadow is not None else None
        return shift.counts() | shift.details() | {"lost": lost, "shadow": shadow}

    async def _picture(self, camera: str, part: str | None, known: str | None) -> Response:
        newest = part is None
        part = part or self._state.held.newest_part(camera)
        etag = f'"{part}"'
        age = "no-cache" if newest else "private, max-age=86400, immutable"
        headers = {"etag": etag.encode("utf-8").decode("latin-1"), "cache-control": age}
        jpeg = None
        if part is not None:
            if known == headers["etag"]:
                return Response(status_code=304, headers=headers)
            try:
                jpeg = await anyio.to_thread.run_sync(
                    self._state.held.jpeg, camera, part, limiter=self._encoder
                )
            except ImageError as error:
                raise Refusal(404, str(error), "look at the next part") from error
        if jpeg is None:
            raise Refusal(404, "the display has no such picture", "look in the records")
        return Response(jpeg, media_type="image/jpeg", headers=headers)

    def _job(self, job: dict[str, Any]) -> Response:
        return JSONResponse(job, headers={"etag": f'"{job["version"]}"'})

    def _change_job(self, change: answers.JobChange, if_match: str | None) -> Response:
        if if_match is None:
            mend = "send If-Match with the ETag of the job that you saw"
            raise Refusal(428, "nobody knows which job this change is of", mend)
        said = if_match.strip('"')
        version = int(said) if said.isascii() and said.isdigit() and len(said) < 10 else -1
        try:
            job = Job(product=change.product, lot=change.lot)
            return self._job(self._desk.change(job, change.by, version))
        except OutdatedError:
            mend = "look at the job that is made now, then change that"
            raise Refusal(412, "somebody else has changed the job", mend) from None
        except StorageError as error:  # it would be another after a restart
            mend = "the job is as it was: make room on the disk, then change it again"
            raise Refusal(507, str(error), mend) from error

    async def _inspect(self, request: Request, camera: str) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        setting = self._line.setting
        if camera not in {each.name for each in setting.station.cameras}:
            raise Refusal(404, "there is no such camera", f"see {API}/cameras")
        if kind not in {"image/jpeg", "image/png"}:
            raise Refusal(415, "the body must be image/jpeg or image/png", "say its Content-Type")
        if self._inspecting:
            raise Refusal(429, "another picture is being inspected", "wait", {"retry-after": "2"})
        self._inspecting = True
        try:
            data = await request.body()
            size = self._state.size(camera)

            def work() -> dict[str, Any]:
                return inspect_picture(setting, camera, decode(data, size), self._state.clock())

            return JSONResponse(await anyio.to_thread.run_sync(work))
        finally:
            self._inspecting = False


def _wall(clock: Callable[[], datetime]) -> float:
    return clock().timestamp()


def _load_pages(language: str) -> dict[str, tuple[bytes, str]]:
    """Every page, in memory: no path that anybody asks for ever reaches the disk."""
    pages = {}
    for entry in files("edge.display").joinpath("pages").iterdir():
        kind = TYPES.get("." + entry.name.rpartition(".")[2])
        if kind is not None:
            pages[entry.name] = (entry.read_bytes(), kind)
    html, kind = pages["index.html"]
    pages["index.html"] = (html.replace(b'lang="en"', f'lang="{language}"'.encode(), 1), kind)
    return pages


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for these alone
    mend = getattr(error, "mend", f"see {API}/openapi.json")
    problem = {"error": error.detail, "mend": mend}
    return JSONResponse(problem, error.status_code, headers=error.headers)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for these alone
    first = error.errors()[0]
    place = ".".join(str(each) for each in first["loc"][1:]) or str(first["loc"][0])
    said = first["msg"]
    if first["type"] == "string_pattern_mismatch":
        said = "must be one line of text, with a visible character"
    words = f"{place}: {said}"
    return JSONResponse({"error": words[:300], "mend": f"see {API}/openapi.json"}, 422)


async def _on_bug(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return JSONResponse({"error": "the display has failed at this", "mend": "see the log"}, 500)
