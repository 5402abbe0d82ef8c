"""What crosses the wire, as plain values, and what every wire can do.

A wire is pure: rows and settings in, requests out; a reply in, one outcome per row out. It knows no clock, no
network and no credential.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from capi_lab.platforms.route import OutcomeStatus, Route
from capi_lab.platforms.sending import Correction

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from capi_lab.platforms.rows import Rows
    from capi_lab.platforms.spec import PlatformSpec

__all__ = [
    "Corrector",
    "Level",
    "Outcome",
    "Problem",
    "Reply",
    "Request",
    "Wire",
    "all_rows",
    "as_dict",
    "as_int",
    "as_list",
    "by_http_status",
    "from_rule",
    "retry_after",
    "safe_text",
    "without_named",
]


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, without its credential.

    Parameters
    ----------
    method, url : str
    headers : mapping
    json : object
        The body.
    row_ids : tuple of str
        ``conversion_id`` of each row, in the order of the body.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    json: Any = field(repr=False)
    row_ids: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Parameters
    ----------
    status : int
        HTTP status.
    headers : mapping
    json : object
        The parsed body; None where there was none or it was no JSON.
    """

    status: int
    headers: Mapping[str, str]
    json: Any = field(repr=False)


class Outcome(NamedTuple):
    """What became of one row; a tuple, since there is one for every row that was sent.

    Parameters
    ----------
    row_id : str
    status : OutcomeStatus
    code : str
        The platform's own; empty where it gave none.
    message : str
        Ours, from the spec; never the platform's text, which may echo the row.
    retry_after : float or None
        Seconds to wait before a retry.
    """

    row_id: str
    status: OutcomeStatus
    code: str = ""
    message: str = ""
    retry_after: float | None = None


class Level(StrEnum):
    """How bad a problem is."""

    ERROR = "error"
    """The platform would refuse the row, or it would be worthless."""
    WARNING = "warning"
    """It can be sent; something is lost or suspicious."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a row before it is sent.

    Parameters
    ----------
    row_id : str
        ``conversion_id``; empty where the settings are at fault.
    rule : str
        E.g. ``M03``: letter of the route, number below 20 for errors; the message says it in words.
    level : Level
    message : str
        Never holds a value of the row.
    """

    row_id: str
    rule: str
    level: Level
    message: str


@runtime_checkable
class Wire(Protocol):
    """One route of one platform."""

    @property
    def spec(self) -> PlatformSpec:
        """The platform's facts."""

    @property
    def route(self) -> Route:
        """The facts of this one endpoint."""

    def encode(self, rows: pd.DataFrame | Rows, settings: Mapping[str, str]) -> list[Request]:
        """Turn conversions into requests of at most ``route.limits.batch_rows`` rows."""

    def validate(self, rows: pd.DataFrame | Rows, settings: Mapping[str, str], *, now: datetime) -> list[Problem]:
        """Say what is wrong with each row before anything is sent."""

    def decode(self, reply: Reply, request: Request) -> list[Outcome]:
        """Say what became of each row; never raises, whatever came back."""


@runtime_checkable
class Corrector(Protocol):
    """A wire whose platform takes corrections: `Route.corrections` says which."""

    def correct(self, rows: pd.DataFrame | Rows, settings: Mapping[str, str], *, kind: Correction) -> list[Request]:
        """Turn corrections of one kind into requests; the replies are read by `Wire.decode`.

        The rows are the conversions as they were sent, with the new ``value`` and a column ``correction_time``.
        """


# -- reading replies: whatever shape they have, nothing here raises ----------------------------------------


def as_dict(value: object) -> Mapping[str, Any]:
    """Return a dict, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> Sequence[Any]:
    """Return a list, or an empty one for anything else."""
    return value if isinstance(value, list) else []


def as_int(value: object) -> int | None:
    """Return a whole number given as number or decimal text (int64 travels as text); None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and len(value) <= 19 and value.isascii() and value.removeprefix("-").isdigit():
        return int(value)
    return None


def safe_text(value: object, limit: int = 80) -> str:
    """Return a code as the platform spells it; anything that is no short plain token becomes empty."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)[:limit]
    if isinstance(value, str) and 0 < len(value) <= limit and value.isascii():
        return value if value.replace("_", "").replace("/", "").replace("-", "").replace(".", "").isalnum() else ""
    return ""


def retry_after(reply: Reply) -> float | None:
    """Read ``Retry-After`` in seconds; None where it is absent or a date."""
    for name, value in reply.headers.items():
        if name.lower() == "retry-after" and isinstance(value, str) and value.strip().isascii():
            try:
                seconds = float(value.strip())
            except ValueError:
                return None
            return seconds if 0 <= seconds < float("inf") else None
    return None


def all_rows(
    request: Request, status: OutcomeStatus, code: str = "", message: str = "", wait: float | None = None
) -> list[Outcome]:
    """Give every row of a request the same outcome."""
    return [Outcome(row_id, status, code, message, wait) for row_id in request.row_ids]


def without_named(request: Request, positions: Collection[int], code: str, message: str) -> list[Outcome]:
    """Judge a batch that was refused for the rows at ``positions``: those are rejected, the others may go again.

    Positions outside the request name nobody: then no row is known to be free of fault, and all are rejected.
    """
    named = {at for at in positions if 0 <= at < len(request.row_ids)}
    if not named:
        return all_rows(request, OutcomeStatus.REJECTED, code, message)
    other = "refused only because of another row of the request: send it again without that one"
    return [
        Outcome(row_id, OutcomeStatus.REJECTED, code, message)
        if at in named
        else Outcome(row_id, OutcomeStatus.RETRY, code, other)
        for at, row_id in enumerate(request.row_ids)
    ]


def from_rule(
    route: Route, code: str, reply: Reply, *, unknown: OutcomeStatus
) -> tuple[OutcomeStatus, str, float | None]:
    """Look a code up in the route's facts: status, message, seconds to wait. ``unknown`` is for codes not there."""
    rule = route.status_of(code)
    if rule is None:
        return (
            unknown,
            "a code we do not know: see the platform's documentation",
            retry_after(reply),
        )
    wait = retry_after(reply)
    if wait is None and rule.retry_after is not None:
        wait = rule.retry_after.total_seconds()
    message = rule.meaning + (f": {rule.remedy}" if rule.remedy else "")
    return rule.status, message, wait if rule.status is OutcomeStatus.RETRY else None


def by_http_status(reply: Reply, request: Request) -> list[Outcome]:
    """Judge a reply whose body says nothing: by its HTTP status alone."""
    status, code = reply.status, f"http {reply.status}"
    if status in (408, 425, 429) or 500 <= status < 600:
        message = "the platform could not take it now; send the same rows again later"
        return all_rows(request, OutcomeStatus.RETRY, code, message, retry_after(reply))
    if status in (401, 403):
        return all_rows(request, OutcomeStatus.REJECTED, code, "the credential was refused; check token and access")
    if 400 <= status < 500:
        return all_rows(request, OutcomeStatus.REJECTED, code, "the request was refused and the reply does not say why")
    return all_rows(request, OutcomeStatus.UNKNOWN, code, "the reply cannot be read; the rows may or may not be there")
