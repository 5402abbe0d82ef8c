"""What both decoders need to read Google's errors; nothing here raises, whatever came back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from capi_lab.platforms.route import OutcomeStatus, Route
from capi_lab.platforms.wire import (
    Outcome,
    Reply,
    Request,
    all_rows,
    as_dict,
    as_list,
    by_http_status,
    from_rule,
    retry_after,
    safe_text,
)

__all__ = ["NOTHING_RECORDED", "best", "judged", "reasons", "refused", "rows_named", "validated_only"]

NOTHING_RECORDED = "validateOnly: the request was checked, nothing was recorded"
_WITHOUT = "refused only because of other rows of the request: send again without those"
_PASSING = (408, 409, 425, 429)


def reasons(error: Mapping[str, Any]) -> list[str]:
    """Return the reasons that concern the whole of a ``google.rpc`` error, the most telling first."""
    found = [safe_text(as_dict(detail).get("reason")) for detail in as_list(error.get("details"))]
    return [reason for reason in [*found, safe_text(error.get("status"))] if reason]


def best(route: Route, codes: Iterable[str]) -> str:
    """Return the first code that the route knows; else the first; else nothing."""
    listed = list(codes)
    known = (code for code in listed if route.status_of(code))
    return next(known, listed[0] if listed else "")


def judged(route: Route, row_id: str, code: str, reply: Reply) -> Outcome:
    """Return the outcome of a row that the reply blames, or of a request that it blames as a whole."""
    passing = reply.status in _PASSING or reply.status >= 500
    unknown = OutcomeStatus.RETRY if passing else OutcomeStatus.REJECTED
    status, message, wait = from_rule(route, code, reply, unknown=unknown)
    return Outcome(row_id, status, code, message, wait)


def rows_named(request: Request, found: Mapping[int, Outcome], others: Sequence[Outcome]) -> list[Outcome]:
    """Put together what is said of single rows and what holds for the others."""
    return [found.get(position, others[position]) for position in range(len(request.row_ids))]


def refused(
    route: Route, named: Mapping[int, str], whole: Sequence[str], status: Sequence[str], reply: Reply, request: Request
) -> list[Outcome]:
    """Read a request that was refused as a whole.

    Parameters
    ----------
    route : Route
    named : mapping
        Position of a row to the code it is blamed with.
    whole : sequence of str
        Codes that blame no row.
    status : sequence of str
        Codes that merely say that there is an error; asked where there is nothing better.
    reply : Reply
    request : Request
    """
    ids = request.row_ids
    # What is the account's fault or a quota's stays so, even where the reply names a row with it.
    shared = [code for code in named.values() if (rule := route.status_of(code)) and not rule.row_fault]
    if whole or shared or not named:
        code = best(route, [*whole, *shared, *status])
        if not code:
            return by_http_status(reply, request)
        others = [judged(route, row_id, code, reply) for row_id in ids]
    else:
        others = all_rows(request, OutcomeStatus.RETRY, "", _WITHOUT, retry_after(reply))
    fallback = best(route, status)
    found = {position: judged(route, ids[position], code or fallback, reply) for position, code in named.items()}
    return rows_named(request, found, others)


def validated_only(request: Request) -> bool:
    """Say whether the request asked for a check only: then nothing in it was accepted."""
    return as_dict(request.json).get("validateOnly") is True
