"""Tie events to conversions by keys the caller declares, where neither side leaves a choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import ibis

from capi_lab.engine import epoch_microseconds, materialise
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.platforms.spec import PlatformSpec
from capi_lab.reconcile.by_key import microseconds
from capi_lab.reconcile.link import meaning
from capi_lab.reconcile.near import pairs_near, report_of
from capi_lab.words import Link

__all__ = ["tied_by_declared"]


def tied_by_declared(
    events: ibis.Table,
    conversions: ibis.Table,
    spec: PlatformSpec,
    event_names: Mapping[str, str],
    fallbacks: Sequence[Sequence[str]],
    within: timedelta,
) -> ibis.Table:
    """Tie events that no id tied, by the first declared key that ties them.

    Parameters
    ----------
    events : Ibis table
        As `capi_lab.reconcile.link.linked` returns them.
    conversions : Ibis table
    spec, event_names
        As for `linked`: an event ties only to a conversion its name means.
    fallbacks : sequence of sequences of str
        Each a key: columns both tables have, compared exactly. Hash or normalise beforehand where spellings differ.
    within : timedelta
        Farthest apart in ``event_time``.

    Returns
    -------
    Ibis table
        Same rows; ``link`` is ``declared_key`` where tied here, and ``link_keys`` names the columns.

    Notes
    -----
    Inside the distance the event must find one conversion and the conversion one report of that channel, whether or
    not those are tied already: two orders of one person within the hour tie nothing. A conversion its channel
    already reported takes no second event. Copies that share an event id are one report and are tied together.
    """
    keys = [(key,) if isinstance(key, str) else tuple(key) for key in fallbacks]
    _refuse(keys, events, conversions, within)
    events = events.drop(*[c for c in ("link_keys",) if c in events.columns]).mutate(link_keys=ibis.null("string"))
    for key in keys:
        ties = materialise(_ties(events, conversions, spec, event_names, key, microseconds(within)))
        joined = events.left_join(ties, [("row_id", "tied_row_id")])
        tied = joined.tied_to.notnull()
        events = joined.mutate(
            conversion_id=ibis.coalesce(joined.conversion_id, joined.tied_to),
            link=ibis.ifelse(tied, str(Link.DECLARED_KEY), joined.link),
            link_keys=ibis.ifelse(tied, ", ".join(key), joined.link_keys),
        ).drop("tied_row_id", "tied_to")
    return events


def _refuse(keys: list[tuple[str, ...]], events: ibis.Table, conversions: ibis.Table, within: timedelta) -> None:
    if within < timedelta(0):
        raise InputError("fallback_within must not be negative")
    common = [name for name in events.columns if name in conversions.columns and name not in ("link", "conversion_id")]
    for key in keys:
        if not key:
            raise InputError("a fallback needs at least one column, e.g. fallbacks=[('email',)]")
        for name in key:
            if name not in common:
                raise UnknownNameError("column of both events and conversions", name, common)
            ours, theirs = events[name].type(), conversions[name].type()
            if ours.copy(nullable=True) != theirs.copy(nullable=True):
                raise InputError(
                    f"fallback column '{name}' is {ours} in events and {theirs} in conversions: make equal"
                )


def _ties(
    events: ibis.Table,
    conversions: ibis.Table,
    spec: PlatformSpec,
    event_names: Mapping[str, str],
    key: tuple[str, ...],
    within: int,
) -> ibis.Table:
    parts = [f"k{i}" for i in range(len(key))]
    reports = events.filter([events[name].notnull() for name in key]).select(
        tied_row_id="row_id",
        channel="channel",
        report=report_of(events),
        already="conversion_id",
        meant=meaning(events.event_name, spec, event_names),
        left_us=epoch_microseconds(events.event_time),
        **{part: events[name] for part, name in zip(parts, key, strict=True)},
    )
    orders = conversions.filter([conversions[name].notnull() for name in key]).select(
        tied_to="conversion_id",
        meant=meaning(conversions.event_name, spec, event_names),
        right_us=epoch_microseconds(conversions.event_time),
        **{part: conversions[name] for part, name in zip(parts, key, strict=True)},
    )
    pairs = pairs_near(reports, orders, ["meant", *parts], within)
    one_order = pairs.group_by("channel", "report").aggregate(n=pairs.tied_to.nunique()).filter(ibis._.n == 1)
    one_report = pairs.group_by("channel", "tied_to").aggregate(n=pairs.report.nunique()).filter(ibis._.n == 1)
    seen = events.filter(events.conversion_id.notnull()).select("channel", tied_to="conversion_id").distinct()
    ties = pairs.filter(pairs.already.isnull())
    ties = ties.semi_join(one_order, ["channel", "report"]).semi_join(one_report, ["channel", "tied_to"])
    return ties.anti_join(seen, ["channel", "tied_to"]).select("tied_row_id", "tied_to")
