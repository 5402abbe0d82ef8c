"""What a sandbox was sent and what became of it: bodies in an unnamed temporary file, a byte a row in memory.

Nothing of a body is held longer than the sandbox lives, and nothing of it is logged.
"""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from capi_lab.errors import InputError

__all__ = ["Kept", "KeptRequest"]


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """One request that reached the platform's books, whether or not its rows were taken.

    Parameters
    ----------
    platform, route : str
    number : int
        Counted over all routes, from 1.
    request_id : str
        As the reply named it.
    at : float
        Time of receipt, epoch seconds.
    path : str
    headers : mapping
        Without credentials.
    rows : str
        Name of the list the rows are in.
    place : (int, int)
        Where the body lies.
    marks : bytes
        A `Mark` for each row.
    accounts : tuple of str
        Of the rows: one that holds for all, or one each.
    codes : mapping
        Position to code, of rows that were refused or told of.
    """

    platform: str
    route: str
    number: int
    request_id: str
    at: float
    path: str
    headers: Mapping[str, str]
    rows: str
    place: tuple[int, int] = field(repr=False)
    marks: bytes = field(repr=False)
    accounts: tuple[str, ...] = field(repr=False)
    codes: Mapping[int, str] = field(repr=False)


class Kept:
    """All requests of a sandbox, in the order they came."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()
        self._end = 0
        self.requests: list[KeptRequest] = []

    def write(self, body: bytes) -> tuple[int, int]:
        """Put a body away; return where it lies."""
        with self._lock:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="capi_lab_sandbox")  # noqa: SIM115 - closed by `close`
            self._file.seek(self._end)
            self._file.write(body)
            place = (self._end, len(body))
            self._end += len(body)
            return place

    def body(self, request: KeptRequest) -> dict[str, Any]:
        """Return the parsed body of a request."""
        start, length = request.place
        with self._lock:
            if self._file is None:
                raise InputError("the sandbox has ended and forgotten what it was sent")
            self._file.seek(start)
            text = self._file.read(length)
        parsed: dict[str, Any] = json.loads(text)
        return parsed

    def row_id(self, request: KeptRequest, at: int) -> str:
        """Name a row among all that were received."""
        return f"{request.number}/{at}"

    def of(self, platform: str, route: str | None = None) -> Iterator[KeptRequest]:
        """Yield the requests of a platform, or of one of its routes."""
        for one in list(self.requests):
            if one.platform == platform and route in (None, one.route):
                yield one

    def close(self) -> None:
        """Forget the bodies."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
