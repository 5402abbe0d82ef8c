"""Runs an application on a loopback port, in a thread of its own, without a log."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from capi_lab.errors import CapiLabError
from capi_lab.sandbox.app import Line, application

__all__ = ["Serving"]

_LOOPBACK = "127.0.0.1"


class Serving:
    """A running server.

    Parameters
    ----------
    line : Line
    port : int
        0 takes a free one.

    Raises
    ------
    CapiLabError
        The port is taken.
    """

    def __init__(self, line: Line, port: int) -> None:
        self._line = line
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((_LOOPBACK, port))
        except OSError as error:
            self._socket.close()
            raise CapiLabError(f"port {port} cannot be used: {error.strerror}") from None
        self._socket.listen(128)
        self.url = f"http://{_LOOPBACK}:{self._socket.getsockname()[1]}"
        # Without a log: an access log holds paths, an error log may hold more.
        config = uvicorn.Config(
            application(line),
            log_config=None,
            access_log=False,
            lifespan="off",
            loop="asyncio",
            http=_protocol(line),
            server_header=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capi_lab sandbox", daemon=True)

    def start(self) -> None:
        """Serve until `stop`; connections made from now on wait until the server is up."""
        self._thread.start()
        self._running.wait()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._running.set()
        await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Cut what is held, let go what is under way, and wait for the thread's end."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._line.release)
            self._server.should_exit = True
            self._thread.join()
        self._socket.close()


def _protocol(line: Line) -> type[H11Protocol]:
    """Make a protocol whose connections can be found by who is at the other end, so that they can be reset."""

    class Known(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if self.client is not None:
                line.transports[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            if self.client is not None:
                line.transports.pop(self.client, None)
            super().connection_lost(exc)

    return Known
