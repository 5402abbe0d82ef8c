"""What the outbox keeps, as values: digests, the rows of one request, what became of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from capi_lab.platforms.checks import utc
from capi_lab.send.words import SendState

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["KEY", "NOBODY", "VERSION", "Change", "Parcel", "Settlement", "digest", "digests", "micros"]

KEY, VERSION = 16, 8
"""Bytes of a digest that stands for an id, and of one that stands for a content."""
NOBODY = bytes(KEY)
"""Stands where no person is known, and where one was erased."""


def digest(text: str) -> bytes:
    """Return the key that stands for an id in the outbox: the first 16 bytes of its SHA-256."""
    return hashlib.sha256(text.encode()).digest()[:KEY]


def digests(ids: pd.Series) -> bytes:
    """Return the keys of many ids, one after the other."""
    packed = bytearray()  # and not a list of them: a bytes object is three times what is in it
    for one in ids:
        packed += digest(one)
    return bytes(packed)


def micros(moment: datetime) -> int:
    """Return a moment as microseconds since 1970, as the outbox keeps times."""
    return int(utc(moment).value) // 1000  # a Timestamp says nanoseconds, whatever its unit


@dataclass(frozen=True, slots=True)
class Parcel:
    """The rows of one request, as the outbox keeps them.

    Parameters
    ----------
    conversions, versions, people : bytes
        Digests, one after the other.
    deadline : int
        When the last of them is too old to be taken.
    """

    conversions: bytes
    versions: bytes
    people: bytes
    deadline: int

    @property
    def size(self) -> int:
        """How many rows."""
        return len(self.conversions) // KEY

    def part(self, positions: Sequence[int]) -> Parcel:
        """Return some of the rows."""
        return Parcel(
            b"".join(self.conversions[KEY * i : KEY * (i + 1)] for i in positions),
            b"".join(self.versions[VERSION * i : VERSION * (i + 1)] for i in positions),
            b"".join(self.people[KEY * i : KEY * (i + 1)] for i in positions),
            self.deadline,
        )


@dataclass(frozen=True, slots=True)
class Change:
    """What one row becomes, where it is not what its parcel becomes."""

    position: int
    state: SendState
    code: str = ""
    not_before: int | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of a parcel.

    Parameters
    ----------
    parcel : int
    state : SendState
        Of all its rows but those of ``changes``.
    at : int
    code, trace : str
        ``trace`` is the platform's id of the request.
    http, not_before : int or None
    tries : int
        How often it was sent.
    changes : tuple of Change
    """

    parcel: int
    state: SendState
    at: int
    code: str = ""
    trace: str = ""
    http: int | None = None
    not_before: int | None = None
    tries: int = 1
    changes: tuple[Change, ...] = ()
