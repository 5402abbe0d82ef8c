"""How a platform's door works: the types of one route's facts.

A route is one endpoint that takes conversions. A platform can have several (Google's Data Manager and Ads API,
Microsoft's two unrelated products). Facts only: `wire` turns rows into requests and replies into outcomes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

from capi_lab.errors import UnknownNameError
from capi_lab.platforms.needs import Need
from capi_lab.platforms.rules import Assumption, DedupRule
from capi_lab.platforms.sending import Corrections, Reading, Sending, TokenRule
from capi_lab.platforms.server import Server
from capi_lab.sources import Source

__all__ = [
    "Auth",
    "AuthStyle",
    "BadRow",
    "FieldRule",
    "Limits",
    "OutcomeStatus",
    "Route",
    "Setting",
    "StatusRule",
    "TimeFormat",
]


class AuthStyle(StrEnum):
    """Where the credential goes; `encode` never sees it."""

    BEARER = "bearer"
    """``Authorization: Bearer <token>``"""
    HEADER = "header"
    """A header of its own."""
    BODY = "body"
    """A field of the JSON body, so that it never reaches URL logs."""


class TimeFormat(StrEnum):
    """How an instant is written."""

    SECONDS = "epoch seconds"
    MILLISECONDS = "epoch milliseconds"
    RFC3339 = "RFC 3339 with Z"
    ISO_UTC = "YYYY-MM-DDTHH:MM:SSZ"
    ADS = "YYYY-MM-DD HH:MM:SS+00:00"


class BadRow(StrEnum):
    """What one bad row does to its batch."""

    SINKS_BATCH = "sinks the batch"
    """The whole request is rejected, whether or not the row is named."""
    REJECTED_ALONE = "rejected alone"
    """The others are taken; the reply names the bad ones by index."""
    BY_FLAG = "by flag"
    """The request says whether the others are taken; we say yes."""


class OutcomeStatus(StrEnum):
    """What became of a row that was sent."""

    ACCEPTED = "accepted"
    """The API took it, or says it has it already. Not: matched."""
    REJECTED = "rejected"
    """It will not be taken as it is."""
    RETRY = "retry"
    """The same row may be sent again later."""
    UNKNOWN = "unknown"
    """The reply does not tell."""


@dataclass(frozen=True, slots=True)
class Auth:
    """How a route is entered.

    Parameters
    ----------
    style : AuthStyle
    field : str
        Name of header or body field.
    credentials : tuple of str
        Environment variables that may hold the secret; the first holds the access token itself.
    note : str
    headers : mapping
        Further headers to the environment variables they come from; all are needed.
    token : TokenRule or None
        How a token is got where none is given; None: it is made by hand.
    """

    style: AuthStyle
    field: str
    credentials: tuple[str, ...]
    note: str = ""
    headers: Mapping[str, str] = dataclasses.field(default_factory=lambda: MappingProxyType({}))
    token: TokenRule | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """Something the caller must or may say about the own account. Never a secret.

    Parameters
    ----------
    name, meaning : str
    pattern : str
        The whole value must match.
    required : bool
    default : str or None
    counts : bool
        Are rows sent with it counted? A mark of tests can keep them out.
    account : bool
        It says where rows end up: under another value the same row is another matter.
    trial : bool
        Only for trying things out: refused where rows are meant to count.
    """

    name: str
    meaning: str
    pattern: str = r".+"
    required: bool = True
    default: str | None = None
    counts: bool = True
    account: bool = False
    trial: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How much and how old.

    Parameters
    ----------
    batch_rows : int
        Most rows in one request.
    max_age : timedelta
        An older event is refused.
    max_age_of : mapping
        Exceptions by our ``action_source``.
    future : timedelta
        How far a time may lie ahead of the clock.
    identifiers : int or None
        Most user identifiers per event.
    click_max_age : timedelta or None
        An older click id is of no use.
    click_min_age : timedelta or None
        A younger click is not known to the platform yet.
    fresh : timedelta or None
        An older event is taken, but is of less use.
    """

    batch_rows: int
    max_age: timedelta
    max_age_of: Mapping[str, timedelta] = field(default_factory=lambda: MappingProxyType({}))
    future: timedelta = timedelta(0)
    identifiers: int | None = None
    click_max_age: timedelta | None = None
    click_min_age: timedelta | None = None
    fresh: timedelta | None = None


@dataclass(frozen=True, slots=True)
class FieldRule:
    """One field of the request body.

    Parameters
    ----------
    path : str
        Dotted, ``[]`` for list members: ``data[].user_data.em``; ``[a=b]`` for those whose field ``a`` is ``b``.
    type : str
    required : str
        ``yes``, ``no``, or the condition.
    column : str or None
        Our column it comes from; None where a setting or constant gives it.
    note : str
    names_event : bool
        The conversion action, which stands for the event's name in a body without one.
    """

    path: str
    type: str
    required: str = "no"
    column: str | None = None
    note: str = ""
    names_event: bool = False


@dataclass(frozen=True, slots=True)
class StatusRule:
    """What a code in a reply means.

    Parameters
    ----------
    code : str
        As the reply spells it; ``code/subcode`` where there are two; ``200..299`` for a range.
    status : OutcomeStatus
    meaning : str
    remedy : str
        In plain words; empty where there is nothing to do.
    retry_after : timedelta or None
        Wait at least this long before a retry.
    row_fault : bool
        Some row of the request is at fault: where a bad row sinks its batch, the others can be sent without it.
        False for credentials, settings and quotas, which no smaller batch would mend.
    """

    code: str
    status: OutcomeStatus
    meaning: str
    remedy: str = ""
    retry_after: timedelta | None = None
    row_fault: bool = True

    def covers(self, code: str) -> bool:
        """Say whether this rule is about ``code``; ``80000..80014`` is a range."""
        low, dots, high = self.code.partition("..")
        if not dots or not code.isascii() or not code.isdigit():
            return code == self.code
        return len(code) < 10 and int(low) <= int(code) <= int(high)


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint that takes conversions.

    Parameters
    ----------
    name, title : str
    method, url : str
        ``{name}`` in the URL is a setting.
    auth : Auth
    settings : tuple of Setting
    limits : Limits
    needs : tuple of Need
        What makes a row one that can be sent: each reader's only list of refusals.
    time : TimeFormat
    fields : tuple of FieldRule
        Every field we can emit; nothing else may be in a body.
    codes : tuple of StatusRule
    bad_row : BadRow
    resend : bool or Assumption
        Does a resend with the same key count once? True only where documented.
    dedup : DedupRule
    server : Server
        What the other side does with a request.
    hosts : tuple of str
        The live hosts; everything else is a sandbox.
    sending : Sending
    reading : Reading or None
        None: the platform has no report we can read.
    corrections : Corrections
    sources : mapping
        Field name to its `Source`.
    """

    name: str
    title: str
    method: str
    url: str
    auth: Auth
    settings: tuple[Setting, ...]
    limits: Limits
    needs: tuple[Need, ...]
    time: TimeFormat
    fields: tuple[FieldRule, ...]
    codes: tuple[StatusRule, ...]
    bad_row: BadRow
    resend: bool | Assumption
    dedup: DedupRule
    server: Server
    hosts: tuple[str, ...]
    sending: Sending
    reading: Reading | None
    corrections: Corrections
    sources: Mapping[str, Source]

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", MappingProxyType(dict(self.sources)))

    def status_of(self, code: str) -> StatusRule | None:
        """Return the rule of a code; None for one nobody has told us of: unknown codes never crash."""
        return next((rule for rule in self.codes if rule.covers(code)), None)

    def setting(self, name: str) -> Setting:
        """Return the setting called ``name``."""
        for one in self.settings:
            if one.name == name:
                return one
        raise UnknownNameError("setting", name, [one.name for one in self.settings])
