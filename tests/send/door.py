"""A tiny platform on a real socket: takes what it is sent, remembers it, and misbehaves when told to."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

LISTS = ("data", "events", "elements", "OfflineConversions", "conversions", "conversionAdjustments",
         "OfflineConversionAdjustments")  # fmt: skip
IDS = ("event_id", "transactionId", "orderId", "eventId", "ConversionTime")

Answer = tuple[int, dict[str, str], Any]
CUT = "cut the line before anything is kept"
LOSE = "keep it, then cut the line"


def taken(rows: list[dict[str, Any]]) -> Answer:
    """What every platform's success looks like, all in one: each wire reads its own part."""
    return 200, {"TrackingId": "trace-1"}, {
        "events_received": len(rows), "fbtrace_id": "trace-1", "code": 0, "message": "OK", "request_id": "trace-1",
        "requestId": "trace-1", "results": [{"orderId": "x"}] * len(rows), "PartialErrors": [],
        "eventsReceived": len(rows), "elements": [{"status": 201}] * len(rows),
    }  # fmt: skip


class Door:
    """Counts what arrived: ``kept`` is how often each id was kept, ``seen`` what came, ``headers`` of each request."""

    def __init__(self) -> None:
        self.kept: Counter[str] = Counter()
        self.sizes: list[int] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.script: Callable[[int, list[dict[str, Any]]], Answer | str | None] = lambda number, rows: None
        self._lock = Lock()
        self.url = ""

    def handle(self, path: str, headers: dict[str, str], text: bytes) -> Answer | str:
        body = json.loads(text) if text else {}
        name = next((one for one in LISTS if one in body), None)
        rows = body[name] if name else []
        with self._lock:
            number = len(self.paths)
            self.paths.append(path)
            self.headers.append(headers)
            self.bodies.append(body)
            self.sizes.append(len(rows))
            said = self.script(number, rows)
            if said is None or said == LOSE or (isinstance(said, tuple) and said[0] == 299):
                self.kept.update(next(str(row[one]) for one in IDS if one in row) for row in rows)
        return taken(rows) if said is None else said


@contextmanager
def door() -> Iterator[Door]:
    """Open one on a free port of this machine."""
    box = Door()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            said = box.handle(self.path, dict(self.headers), text)
            if isinstance(said, str):
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            status, headers, body = said
            written = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for key, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(written)))
            self.end_headers()
            self.wfile.write(written)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        box.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield box
        finally:
            server.shutdown()
            thread.join()
