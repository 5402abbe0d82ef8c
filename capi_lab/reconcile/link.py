"""Tie the events of both channels to the conversions of the ledger.

By order id first (the event carries it), then by the event id both channels share. Nothing is tied by
looking alike: value, time and person are no proof. `declared` ties by keys the caller vouches for; `candidates`
flags what looks alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ibis

from capi_lab.platforms.spec import PlatformSpec, fold_event_name
from capi_lab.words import Link

__all__ = ["linked", "meaning"]


def meaning(names: Any, spec: PlatformSpec, event_names: Mapping[str, str]) -> Any:
    """Translate event names (Ibis strings) to canonical ones; a name nobody defines means itself, folded."""
    folded = names.lower().re_replace("[^a-z0-9]", "")
    known = dict(spec.reported_names) | {fold_event_name(k): v for k, v in event_names.items()}
    return folded.cases(*sorted(known.items()), else_=folded)


def linked(
    events: ibis.Table, conversions: ibis.Table, spec: PlatformSpec, event_names: Mapping[str, str]
) -> ibis.Table:
    """Add ``conversion_id`` (of the ledger, or missing) and ``link`` to events.

    Parameters
    ----------
    events, conversions : Ibis table
        Checked against their contracts.
    spec : PlatformSpec
        Whose event names. An event is a report of a conversion only if its name means the same: a checkout
        step or a refund that carries the order's id is a report of something else and is not tied.
    event_names : mapping
        Further names and what they mean: ``{"our_purchase": "purchase"}``.

    Returns
    -------
    Ibis table
        Same rows. The id the event itself carried stays as ``reported_conversion_id``; ``other_name`` marks
        events that carry a conversion's id under a name that means something else.

    Notes
    -----
    An event id that stands on several conversions of the ledger ties nothing: it would be a guess. Order ids are
    compared without a leading ``#``: people see ``#1001``, systems send either.
    """
    missing = ibis.null("string")
    own_id = events.conversion_id if "conversion_id" in events.columns else missing
    event_id = events.event_id if "event_id" in events.columns else missing
    rows = events.select(
        linked_row_id=events.row_id,
        reported=own_id,
        shared=event_id,
        meant=meaning(events.event_name, spec, event_names),
    )
    rows = rows.mutate(reported=_bare(rows.reported))
    conversions = conversions.mutate(event_name=meaning(conversions.event_name, spec, event_names))
    by_order = (
        conversions.group_by(order_key=_bare(conversions.conversion_id))
        .aggregate(n=ibis._.count(), order_conversion=ibis._.conversion_id.min(), order_event=ibis._.event_name.min())
        .filter(ibis._.n == 1)
        .drop("n")
    )
    if "event_id" in conversions.columns:
        by_event = (
            conversions.filter(conversions.event_id.notnull())
            .group_by("event_id")
            .aggregate(
                n=ibis._.count(), event_conversion=ibis._.conversion_id.min(), event_event=ibis._.event_name.min()
            )
            .filter(ibis._.n == 1)
            .drop("n")
            .rename(event_key="event_id")
        )
    else:
        by_event = by_order.limit(0).select(
            event_key=missing, event_conversion="order_conversion", event_event="order_event"
        )
    joined = rows.left_join(by_order, rows.reported == by_order.order_key)
    joined = joined.left_join(by_event, joined.shared == by_event.event_key)
    order = ibis.ifelse(joined.meant == joined.order_event, joined.order_conversion, missing)
    event = ibis.ifelse(joined.meant == joined.event_event, joined.event_conversion, missing)
    links = joined.select(
        "linked_row_id",
        linked_conversion=ibis.coalesce(order, event),
        link=ibis.cases(
            (order.notnull(), str(Link.ORDER_ID)),
            (event.notnull(), str(Link.EVENT_ID)),
            else_=str(Link.NONE),
        ),
        other_name=(joined.order_conversion.notnull() | joined.event_conversion.notnull())
        & order.isnull()
        & event.isnull(),
    )
    events = events.drop(*[c for c in ("link", "other_name", "reported_conversion_id") if c in events.columns])
    result = events.rename(reported_conversion_id="conversion_id") if "conversion_id" in events.columns else events
    result = result.join(links, result.row_id == links.linked_row_id)
    return result.rename(conversion_id="linked_conversion").drop("linked_row_id")


def _bare(ids: Any) -> Any:
    """Drop a leading ``#`` for comparing."""
    return ids.re_replace("^#", "")
