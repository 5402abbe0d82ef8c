"""Tie the events of both channels to the conversions of the ledger.

By order id first (the event carries it), then by the event id both channels share. Nothing is tied by
looking alike: value, time and person are no proof.
"""

from __future__ import annotations

from typing import Any

import ibis

from capi_lab.platforms.spec import PlatformSpec
from capi_lab.words import Link

__all__ = ["canonical_event", "linked"]


def canonical_event(names: Any, spec: PlatformSpec) -> Any:
    """Translate reported event names (Ibis strings) to canonical ones; null for names the platform does not define."""
    folded = names.lower().re_replace("[^a-z0-9]", "")
    return folded.cases(*sorted(spec.reported_names.items()), else_=ibis.null("string"))


def linked(events: ibis.Table, conversions: ibis.Table, spec: PlatformSpec) -> ibis.Table:
    """Add ``conversion_id`` (of the ledger, or missing) and ``link`` to events.

    Parameters
    ----------
    events, conversions : Ibis table
        Checked against their contracts.
    spec : PlatformSpec
        Whose event names; an event named like *another* standard event than the conversion's is a report
        of something else (``InitiateCheckout`` with the order's id) and is not tied. Custom names are.

    Returns
    -------
    Ibis table
        Same rows. The id the event itself carried stays as ``reported_conversion_id``.

    Notes
    -----
    An event id that stands on several conversions of the ledger ties nothing: it would be a guess.
    """
    missing = ibis.null("string")
    own_id = events.conversion_id if "conversion_id" in events.columns else missing
    event_id = events.event_id if "event_id" in events.columns else missing
    rows = events.select(
        linked_row_id=events.row_id,
        reported=own_id,
        shared=event_id,
        meant=canonical_event(events.event_name, spec),
    )
    by_order = conversions.select(order_conversion="conversion_id", order_event="event_name")
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
    joined = rows.left_join(by_order, rows.reported == by_order.order_conversion)
    joined = joined.left_join(by_event, joined.shared == by_event.event_key)
    same_order = joined.meant.isnull() | (joined.meant == joined.order_event)
    same_event = joined.meant.isnull() | (joined.meant == joined.event_event)
    order = ibis.ifelse(same_order, joined.order_conversion, missing)
    event = ibis.ifelse(same_event, joined.event_conversion, missing)
    links = joined.select(
        "linked_row_id",
        linked_conversion=ibis.coalesce(order, event),
        link=ibis.cases(
            (order.notnull(), str(Link.ORDER_ID)),
            (event.notnull(), str(Link.EVENT_ID)),
            else_=str(Link.NONE),
        ),
    )
    result = events.rename(reported_conversion_id="conversion_id") if "conversion_id" in events.columns else events
    result = result.join(links, result.row_id == links.linked_row_id)
    return result.rename(conversion_id="linked_conversion").drop("linked_row_id")
