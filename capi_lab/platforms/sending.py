"""What a sender has to know of a route beside its body: pace, safe resends, tokens, read-back, corrections.

Facts only, like the rest of a spec; `capi_lab.send` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from capi_lab.platforms.needs import Condition

__all__ = ["Correction", "Corrections", "Pace", "Probe", "Reading", "Sending", "TokenRule"]

_EMPTY: Mapping[str, Any] = MappingProxyType({})


class Correction(StrEnum):
    """What is said later about a conversion that was sent."""

    RETRACT = "retract"
    RESTATE = "restate"


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a route may be asked.

    Parameters
    ----------
    limits : tuple of (int, timedelta)
        So many requests in any such stretch of time; empty where no figure is published.
    parallel : int
        Requests under way at once.
    """

    limits: tuple[tuple[int, timedelta], ...] = ()
    parallel: int = 1


@dataclass(frozen=True, slots=True)
class Probe:
    """A request that shows whether settings and credential work, and records nothing.

    Parameters
    ----------
    method, url : str
        ``{name}`` is a setting. Empty where an invented conversion is sent under ``overlay``.
    body : mapping
    overlay : mapping
        Settings under which the platform checks and does not record.
    asks : tuple of str
        Settings without which there is no probe.
    good : tuple of int
        HTTP statuses that mean "it works".
    note : str
    """

    method: str = ""
    url: str = ""
    body: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    overlay: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    asks: tuple[str, ...] = ()
    good: tuple[int, ...] = (200,)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Sending:
    """How requests are sent and sent again.

    Parameters
    ----------
    pace : Pace
    timeout : timedelta
        How long to wait for an answer. Too short makes doubts: the rows may be there.
    resend_key : Condition
        Of a row whose resend the platform can recognise; only of use where `Route.resend` holds.
    request_id : tuple of str
        Where a reply names itself, for support: ``body:<dotted path>`` or ``header:<name>``, the first that is there.
    probe : Probe or None
        None: there is no way to try without recording.
    """

    pace: Pace
    timeout: timedelta
    resend_key: Condition
    request_id: tuple[str, ...]
    probe: Probe | None


@dataclass(frozen=True, slots=True)
class Reading:
    """How to ask what became of what was sent; `capi_lab.load.reports` reads the answer.

    Parameters
    ----------
    method, url : str
        ``{name}`` is a setting, ``{start}`` and ``{end}`` the stretch asked for, ``{request_id}`` a request of ours.
    query, body : mapping
        Values with the same placeholders; a list in ``body`` with a placeholder of its own is filled from a setting
        that holds several, separated by commas.
    asks : tuple of str
        Optional settings that are needed here.
    per_request : bool
        Asked once for each request that was accepted.
    first_after, until : timedelta or None
        Too early, too late to ask for a request.
    longest : timedelta or None
        The longest stretch there may be between ``{start}`` and ``{end}``.
    """

    method: str
    url: str
    query: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    body: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    asks: tuple[str, ...] = ()
    per_request: bool = False
    first_after: timedelta | None = None
    until: timedelta | None = None
    longest: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Corrections:
    """What can be said later about a conversion that was sent.

    Parameters
    ----------
    kinds : mapping
        Our word to the platform's; what is not here the platform does not know.
    method, url : str
        ``{name}`` is a setting; empty where a correction goes the way of a conversion.
    max_age : timedelta or None
        An older conversion cannot be corrected; None: not published.
    fields : tuple of str
        Every field of a correction's body, dotted, ``[]`` for list members.
    note : str
        What to do where a kind is lacking.
    """

    kinds: Mapping[Correction, str] = field(default_factory=lambda: MappingProxyType({}))
    method: str = "POST"
    url: str = ""
    max_age: timedelta | None = None
    fields: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class TokenRule:
    """How an access token is got from something that lives longer.

    Parameters
    ----------
    url : str
        Token endpoint.
    scope : str
        Empty where none is sent.
    refresh : mapping
        Form field to the environment variable it comes from, for ``grant_type=refresh_token``.
    optional : frozenset of str
        Fields of ``refresh`` that may be absent.
    service_account : str
        Environment variable with the path of a Google key file; empty where there is no such thing.
    life : timedelta
        How long a token lives where the answer does not say.
    """

    url: str
    scope: str = ""
    refresh: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    optional: frozenset[str] = frozenset()
    service_account: str = ""
    life: timedelta = timedelta(hours=1)
