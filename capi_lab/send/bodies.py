"""Conversions to the very bytes that leave, a piece of the table at a time: a million bodies are never all there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from capi_lab.platforms.route import Route
from capi_lab.platforms.sending import Correction
from capi_lab.platforms.wire import Corrector, Request, Wire
from capi_lab.send.parcels import VERSION

if TYPE_CHECKING:
    import pandas as pd

    from capi_lab.platforms.rows import Rows

__all__ = ["CONVERSION", "PIECE", "Encode", "Letter", "encoder", "letters", "pieces"]

CONVERSION = "conversion"
"""What an entry of the outbox is about, where it is no correction."""
PIECE = 10_000
"""Rows prepared at once: enough that preparing costs little, few enough that memory does not grow with the table."""

Encode = Callable[["pd.DataFrame | Rows"], list[Request]]
_dump = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def encoder(wire: Wire, chosen: Mapping[str, str], kind: str) -> Encode:
    """Return what turns rows into requests: conversions, or corrections of a kind."""
    if kind == CONVERSION:
        return partial(wire.encode, settings=chosen)
    if not isinstance(wire, Corrector):
        raise TypeError("this wire takes no corrections")
    return partial(wire.correct, settings=chosen, kind=Correction(kind))


def pieces(n: int, batch: int) -> Iterator[slice]:
    """Cut a table into pieces of whole batches."""
    step = max(batch, PIECE // batch * batch)
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


@dataclass(frozen=True, slots=True)
class Letter:
    """One request as bytes, row by row, so that some of its rows can go without the others.

    Parameters
    ----------
    request : Request
        With what surrounds the rows in place of the body.
    name : str
        Of the list the rows are in.
    rows : tuple of bytes
        Each as JSON.
    """

    request: Request
    name: str
    rows: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"Letter({self.request.url!r}, {len(self.rows)} rows)"

    @property
    def versions(self) -> bytes:
        """A digest of every row's content, one after the other."""
        return b"".join(hashlib.sha256(row).digest()[:VERSION] for row in self.rows)

    def part(self, positions: Sequence[int]) -> Letter:
        """Return a request with some of the rows."""
        ids = tuple(self.request.row_ids[i] for i in positions)
        return Letter(replace(self.request, row_ids=ids), self.name, tuple(self.rows[i] for i in positions))

    def body(self, secret: Mapping[str, str] | None = None) -> bytes:
        """Return the body; ``secret`` is laid beside the rows where the credential belongs there."""
        around = {**self.request.json, **(secret or {})}
        head = _dump(around)[:-1].encode() + (b"," if around else b"")
        first, *more = self.rows or (b"",)
        rows = [b"".join((head, b'"', self.name.encode(), b'":[', first)), *more]
        rows[-1] += b"]}"
        return b",".join(rows)  # the one time that all of it is copied


def letters(requests: Sequence[Request], route: Route, most: int | None = None) -> list[Letter]:
    """Write requests as bytes, of at most ``most`` rows each."""
    lists = {rule.path.partition("[]")[0] for rule in route.fields if rule.column is not None and "[]" in rule.path}
    lists |= {path.partition("[]")[0] for path in route.corrections.fields if "[]" in path}
    written = []
    for request in requests:
        (name,) = lists & set(request.json)
        around = {key: value for key, value in request.json.items() if key != name}
        rows = tuple(_dump(row).encode() for row in request.json[name])
        written.append(Letter(replace(request, json=around), name, rows))
    if most is None:
        return written
    return [
        one if len(one.rows) <= most else one.part(range(at, min(at + most, len(one.rows))))
        for one in written
        for at in range(0, len(one.rows), most)
    ]
