"""What stands before the application: whose requests are heard, how long, and how much of them.

A page of another site may send a browser's requests to this box (CSRF), or have its own name lead
here (DNS rebinding). Neither knows the token; here neither is answered at all.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["BODY_S", "HEADERS", "MAX_BODY", "MAX_UPLOAD", "Guard", "PatientProtocol", "Refusal"]

MAX_BODY = 16 * 1024
"""Of a request in JSON: a job is a twentieth of that."""

MAX_UPLOAD = 20 * 2**20
"""Of a picture to be inspected: what a camera of 20 megapixels writes as PNG."""

DRAINED = 64 * 2**20
"""Of a body that is too large, still read and thrown away: a client that is writing does not hear
the answer before it has finished."""

HEAD_S = 10.0
"""For a request's head to arrive; a second on the worst of radio links."""

BODY_S = 30.0
"""For its body: 20 MiB in less needs a network of 6 Mbit/s."""

SEND_S = 20.0
"""For a client to take what it is sent; it reads nothing any more if that is not enough."""

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""Of every answer: nothing but our own files is run, shown or connected to."""

_RAW_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


class Refusal(HTTPException):
    """An answer that says what is wrong, and what to do about it."""

    def __init__(
        self, status: int, error: str, mend: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(status, error, headers)
        self.mend = mend


class Guard:
    """Checks ``Host`` and ``Origin``, bounds bodies and time, adds headers; an ASGI middleware.

    Parameters
    ----------
    app
        What is guarded.
    names
        Names by which browsers may call this box. Its own name, ``localhost`` and addresses in
        figures always may: rebinding needs a name that somebody else owns.
    upload
        The path whose body may be a picture.
    """

    def __init__(self, app: ASGIApp, names: Sequence[str], upload: str) -> None:
        self._app, self._upload = app, upload
        own = socket.gethostname().lower()
        self._names = {"localhost", own, f"{own}.local", *names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                more = [each for each in _RAW_HEADERS if each[0] not in given]
                message = {**message, "headers": [*message["headers"], *more]}
            await asyncio.wait_for(send(message), SEND_S)

        refusal = self._refusal(scope["method"], headers)
        if refusal is not None:
            await _answer(refusal, sent)
            return
        limit = MAX_UPLOAD if scope["path"] == self._upload else MAX_BODY
        await self._app(scope, _Body(receive, headers, limit), sent)

    def _refusal(self, method: str, headers: dict[str, str]) -> Refusal | None:
        host = headers.get("host", "")
        if not self._known(host):
            return Refusal(
                421, f"this box is not called {host[:100]!r}", "add the name to names in [display]"
            )
        if method in {"GET", "HEAD"}:
            return None
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return Refusal(403, "a page of another site asks", "open the display of this box")
        if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
            return Refusal(403, "a page of another site asks", "open the display of this box")
        return None

    def _known(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name.rstrip(".") in self._names:
            return True
        try:
            ipaddress.ip_address(name.partition("%")[0])
        except ValueError:
            return False
        return True


class _Body:
    """A request's body, bounded in bytes and time; what comes after it is passed on."""

    def __init__(self, receive: Receive, headers: dict[str, str], limit: int) -> None:
        self._receive, self._limit = receive, limit
        self._size, self._done = 0, False
        self._until: float | None = None
        length = headers.get("content-length", "")
        self._promised = int(length) if length.isdigit() and len(length) < 20 else 0

    async def __call__(self) -> Message:
        if self._done:
            return await self._receive()
        if self._promised > self._limit:
            await self._drain()
            raise self._too_large()
        message = await self._next()
        self._size += len(message.get("body", b""))
        if self._size > self._limit:
            await self._drain()
            raise self._too_large()
        return message

    async def _next(self) -> Message:
        if self._until is None:  # not before somebody asks for it
            self._until = time.monotonic() + BODY_S
        try:
            message = await asyncio.wait_for(self._receive(), self._until - time.monotonic())
        except asyncio.TimeoutError:
            self._done = True
            raise Refusal(
                408, f"the body did not arrive within {BODY_S:.0f} s", "send it faster"
            ) from None
        self._done = not message.get("more_body", False)
        return message

    async def _drain(self) -> None:
        drained = 0
        while not self._done and max(self._promised, drained) <= DRAINED:
            drained += len((await self._next()).get("body", b""))

    def _too_large(self) -> Refusal:
        limit = f"{self._limit // 2**20} MiB" if self._limit >= 2**20 else f"{self._limit} bytes"
        return Refusal(
            413, f"the body is larger than {limit}", "send less", {"connection": "close"}
        )


async def _answer(refusal: Refusal, send: Send) -> None:
    body = json.dumps({"error": refusal.detail, "mend": refusal.mend}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    headers.append((b"connection", b"close"))  # a body, if there is one, stays unread
    await send({"type": "http.response.start", "status": refusal.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class PatientProtocol(H11Protocol):
    """HTTP/1.1 of uvicorn, which hangs up on clients that do not finish the head of a request.

    uvicorn itself has a limit for the pause between two requests alone.
    """

    _head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._head = self.loop.call_later(HEAD_S, self.transport.close)

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of a head, unless this was it."""
        super().data_received(data)
        busy = self.cycle is not None and not self.cycle.response_complete
        if busy and self._head is not None:
            self._head.cancel()
            self._head = None
        elif not busy and self._head is None:
            self._head = self.loop.call_later(HEAD_S, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        if self._head is not None:
            self._head.cancel()
        super().connection_lost(exc)
