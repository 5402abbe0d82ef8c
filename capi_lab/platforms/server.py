"""What the server behind a route does, as far as it is known: whom it lets in, what it refuses and with which words.

The wires read replies; this is what they are read from. `capi_lab.sandbox` answers by these values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

__all__ = ["Refusal", "Server"]


class Refusal(StrEnum):
    """Why a request is refused as a whole, or what a row is told that is there already."""

    NO_TOKEN = "no token"  # noqa: S105 - a word, no secret
    WRONG_TOKEN = "wrong token"  # noqa: S105
    EXPIRED_TOKEN = "expired token"  # noqa: S105
    BAD_VERSION = "unknown or retired version"
    UNREADABLE = "unreadable body"
    EMPTY = "no rows"
    TOO_MANY = "too many rows"
    UNKNOWN_FIELD = "unknown field"
    BAD_FIELD = "malformed field"
    MISSING_FIELD = "missing field"
    NO_FLAG = "the flag that every request must carry is missing"
    THROTTLED = "too many requests"
    BROKEN = "server error"
    BAD_ROW = "a row it does not like"
    THERE = "there already"
    THERE_BY_CLICK = "there already, known by its click"
    TWICE = "twice in one request"
    TOO_MANY_CHANGES = "too many changes of rows that are there"
    CHANGED = "changed before"
    NOT_THERE = "nothing there to change"
    WITHDRAWN = "taken back before"
    RESTATED = "given that value before"


def _none() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Server:
    """One route's server.

    Parameters
    ----------
    refusals : mapping of Refusal to str
        With which code of ``route.codes``; a reason that is not here is none: such a request is taken.
    statuses : mapping
        Code to the HTTP status it comes with; ``""`` for all others.
    needs : mapping
        Rule of a `Need`, or ``rule/reason`` where a rule has several, to the code a row that breaks it is refused with.
        A need that is not here is ours alone: the platform takes the row.
    late : mapping
        Rule to the reason it is counted under afterwards: the request is taken, the row comes to nothing.
    malformed : mapping
        Path of a field to the code of a malformed value, where it is not ``refusals[BAD_FIELD]``.
    dropped : mapping
        Path of a field to the code of a warning: a malformed value is left out and the row taken.
    other_fields : tuple of str
        Paths the server knows and we never send; ``.*`` at the end for everything below.
    words : mapping
        Path of a field to the words it may hold, each with ours (empty where we have none). A word that is a number
        may come as one.
    in_path : mapping
        Setting to the words that stand for it in the URL, each with its value.
    headers : mapping
        Header to the setting that goes in it.
    lacking : mapping
        A header, of a setting or of a credential, to the code it is missed with.
    nulls : bool
        A null is as good as a field that is not there.
    new_refresh_token : bool
        Whoever renews a token gets a new refresh token with it, to be used from then on.
    versions : tuple of str
        Versions that are served, where there is a list.
    version_months : int or None
        A version named by its month is served this long.
    """

    refusals: Mapping[Refusal, str]
    statuses: Mapping[str, int]
    needs: Mapping[str, str]
    late: Mapping[str, str] = field(default_factory=_none)
    malformed: Mapping[str, str] = field(default_factory=_none)
    dropped: Mapping[str, str] = field(default_factory=_none)
    other_fields: tuple[str, ...] = ()
    words: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    in_path: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    headers: Mapping[str, str] = field(default_factory=_none)
    lacking: Mapping[str, str] = field(default_factory=_none)
    nulls: bool = True
    new_refresh_token: bool = False
    versions: tuple[str, ...] = ()
    version_months: int | None = None

    def status(self, code: str, default: int = 400) -> int:
        """Return the HTTP status a code comes with."""
        return self.statuses.get(code, self.statuses.get("", default))
