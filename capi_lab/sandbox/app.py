"""The application: finds the door a request is for, lets the fault switches act on the line, and answers."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import replace
from random import Random
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from capi_lab.platforms.server import Refusal
from capi_lab.sandbox.doors import Answer, Call, Door
from capi_lab.sandbox.doors.door import reply
from capi_lab.sandbox.switches import Switches
from capi_lab.sandbox.tokens import Tokens
from capi_lab.words import ServerFault

__all__ = ["Line", "application"]

_HTML = b"<!doctype html><html><head><title>Gateway</title></head><body><h1>Please try again</h1></body></html>"
_JSON = MappingProxyType({"Content-Type": "application/json"})
_BROKEN = (500, 503)
_LINGER = struct.pack("ii", 1, 0)


class Line:
    """Everything between the socket and the doors.

    Parameters
    ----------
    doors : sequence of Door
    switches : Switches
    tokens : Tokens
    clock : callable
        Epoch seconds.
    tell : callable
        Answers questions to a route's report.
    patience : float
        Seconds for which a request that is to time out is held before its connection is cut.
    slowness : float
        Seconds by which a slow reply is late.
    max_bytes : int
        Longer bodies are refused.
    """

    def __init__(
        self,
        doors: Sequence[Door],
        switches: Switches,
        tokens: Tokens,
        clock: Callable[[], float],
        tell: Callable[[Door, Call, float], Answer],
        *,
        patience: float,
        slowness: float,
        max_bytes: int,
    ) -> None:
        self.doors = tuple(doors)
        self.switches = switches
        self.tokens = tokens
        self.clock = clock
        self.tell = tell
        self.lock = threading.Lock()
        self.failures: list[Exception] = []
        self.transports: MutableMapping[tuple[str, int], asyncio.Transport] = {}
        self._patience = patience
        self._slowness = slowness
        self._max_bytes = max_bytes
        self._released = asyncio.Event()

    def release(self) -> None:
        """Cut every connection that is held; called from the server's own loop."""
        self._released.set()

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        for door in self.doors:
            found = door.path.fullmatch(request.url.path) or door.changes.fullmatch(request.url.path)
            if found is not None and request.method == door.route.method:
                break
        else:
            beside = await self._renewed(request) or await self._told(request)
            return beside or _response(Answer(404, _JSON, b'{"error":"no such endpoint"}'))
        name = f"{door.spec.name}/{door.route.name}"
        with self.lock:
            fault, rng = self.switches.draw(name)
        if fault is ServerFault.RESET_BEFORE:
            return self._cut(request)
        body = await self._body(request)
        if body is None:
            return _response(Answer(413, _JSON, b"{}"))
        call = _call(request, body, found)
        early = self._early(door, call, fault, rng)
        if early is not None:
            return _response(early)
        if fault is ServerFault.TIMEOUT_BEFORE:
            return await self._hold(request)
        if fault is ServerFault.HTML_REPLY and rng.random() < 0.5:
            return _response(Answer(200, {"Content-Type": "text/html"}, _HTML))
        with self.lock:
            answer = door.receive(call, fault, rng, self.clock())
        return await self._sent(request, answer, fault)

    async def _renewed(self, request: Request) -> Response | None:
        """Answer as a token endpoint, if it is one."""
        routes = [door.route for door in self.doors if door.route.auth.token is not None]
        at = [one for one in routes if one.auth.token and urlsplit(one.auth.token.url).path == request.url.path]
        if not at or request.method != "POST":
            return None
        form = dict(parse_qsl((await self._body(request) or b"").decode("latin-1")))
        # Two ways in can share one endpoint: the scope says whose token it is, if anything does.
        wanted = form.get("scope", "")
        route = next((one for one in at if one.auth.token and one.auth.token.scope == wanted), at[0])
        with self.lock:
            return _response(reply(*self.tokens.renew(route, form, self.clock())))

    async def _told(self, request: Request) -> Response | None:
        """Answer a question to a route's report, if it is one."""
        for door in self.doors:
            found = None if door.question is None else door.question.fullmatch(request.url.path)
            if found is None or door.route.reading is None or request.method != door.route.reading.method:
                continue
            call = _call(request, await self._body(request) or b"", found)
            with self.lock:
                return _response(door.stopped(call, self.clock()) or self.tell(door, call, self.clock()))
        return None

    async def _body(self, request: Request) -> bytes | None:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._max_bytes:
                return None
        return bytes(body)

    def _early(self, door: Door, call: Call, fault: ServerFault | None, rng: Random) -> Answer | None:
        """Refuse a request before the platform has looked at it."""
        if fault in (ServerFault.THROTTLED, ServerFault.THROTTLED_SILENTLY):
            answer = _in_words(door, Refusal.THROTTLED)
            wait = 1 if fault is ServerFault.THROTTLED else None
            return replace(answer, status=429, headers={**answer.headers, **door.pace(call, wait)})
        if fault is ServerFault.SERVER_ERROR:
            return replace(_in_words(door, Refusal.BROKEN), status=rng.choice(_BROKEN))
        return None

    async def _sent(self, request: Request, answer: Answer, fault: ServerFault | None) -> Response:
        """Send an answer, or what is left of it."""
        match fault:
            case ServerFault.TIMEOUT_AFTER:
                return await self._hold(request)
            case ServerFault.RESET_AFTER:
                return _Broken(answer, self._transport(request))
            case ServerFault.TRUNCATED_REPLY:
                return _response(replace(answer, body=answer.body[: len(answer.body) // 2]))
            case ServerFault.HTML_REPLY:
                return _response(Answer(200, {"Content-Type": "text/html"}, _HTML))
            case ServerFault.SLOW_REPLY:
                await asyncio.sleep(self._slowness)
        return _response(answer)

    async def _hold(self, request: Request) -> Response:
        """Say nothing until the other side gives up, or patience ends."""
        gone = asyncio.ensure_future(_disconnected(request))
        freed = asyncio.ensure_future(self._released.wait())
        await asyncio.wait((gone, freed), timeout=self._patience, return_when=asyncio.FIRST_COMPLETED)
        for task in (gone, freed):
            task.cancel()
        await asyncio.gather(gone, freed, return_exceptions=True)
        return self._cut(request)

    def _cut(self, request: Request) -> Response:
        """Reset the connection."""
        return _Broken(None, self._transport(request))

    def _transport(self, request: Request) -> asyncio.Transport | None:
        client = request.client
        return None if client is None else self.transports.get((client.host, client.port))


class _Broken(Response):
    """Half an answer, or none, and then a reset."""

    def __init__(self, answer: Answer | None, transport: asyncio.Transport | None) -> None:
        super().__init__()
        self._answer = answer
        self._transport = transport

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer, transport = self._answer, self._transport
        if answer is not None:
            head = [(key.lower().encode(), value.encode()) for key, value in answer.headers.items()]
            head.append((b"content-length", str(len(answer.body) or 2).encode()))
            await send({"type": "http.response.start", "status": answer.status, "headers": head})
            half = answer.body[: len(answer.body) // 2] or b"{"
            await send({"type": "http.response.body", "body": half, "more_body": True})
            await asyncio.sleep(0.01)  # so that the half is on its way before the reset overtakes it
        if transport is not None and not transport.is_closing():
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
            transport.abort()
            for _ in range(3):  # until the server knows that nobody waits for the rest
                await asyncio.sleep(0)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _in_words(door: Door, why: Refusal) -> Answer:
    """Refuse in the platform's words; where it has none, with an empty object."""
    if why in door.server.refusals:
        return door.refuse(why)
    return Answer(500, _JSON, b"{}")


def _call(request: Request, body: bytes, found: re.Match[str]) -> Call:
    return Call(
        path=request.url.path,
        query=dict(request.query_params),
        headers={key.decode().lower(): value.decode("latin-1") for key, value in request.headers.raw},
        body=body,
        settings={key: value for key, value in found.groupdict().items() if value is not None},
    )


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, dict(answer.headers))


def application(line: Line) -> Any:
    """Return the ASGI application in front of a line."""

    async def endpoint(request: Request) -> Response:
        try:
            return await line.answer(request)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except Exception as error:
            line.failures.append(error)
            return _response(Answer(500, _JSON, b'{"error":"the sandbox itself failed"}'))

    return Starlette(routes=[Route("/{path:path}", endpoint, methods=["GET", "POST"])])
