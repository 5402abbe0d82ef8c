"""Replay a platform's dedup rule over your own log, exactly.

The rule is a `DedupRule` read from the platform's spec. In order of receipt, an event is dropped if a kept
event with the same key was received within the window before it; which channels may absorb which, which
copy of a near-tie stays, and what happens without an event id are the rule's own fields.

Most keys are settled inside the engine by one aggregate, repeats by window functions; the few whose history is
longer than the window are replayed one event at a time (`by_key`). All of it gives what a plain greedy loop over the
whole log gives: `tests/reconcile/test_dedup.py` holds that loop.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import ibis
import pandas as pd

from capi_lab.engine import TableLike, as_table, epoch_microseconds, is_empty, materialise, same_kind, to_frame
from capi_lab.errors import InputError
from capi_lab.platforms import platform as platform_named
from capi_lab.platforms.rules import DedupRule
from capi_lab.reconcile.by_key import DROPPED, drop_by_key
from capi_lab.reconcile.fallback import acquainted, matches
from capi_lab.reconcile.merged import merged_fields
from capi_lab.tables import EVENTS
from capi_lab.words import DropReason

__all__ = ["dedup", "dedup_readings", "mark"]


def dedup(
    events: TableLike,
    platform: str,
    *,
    same_channel: bool | None = None,
    route: str | None = None,
    rule: DedupRule | None = None,
) -> pd.DataFrame | ibis.Table:
    """Mark every event as kept or dropped, as the platform would.

    Parameters
    ----------
    events : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        Contract `capi_lab.tables.EVENTS`, of one platform. The clock is ``received_time``, and
        ``event_time`` where that is missing.
    platform : str
        Whose rule; a name in `capi_lab.PLATFORMS`.
    same_channel : bool, optional
        Do repeats within one channel merge too? Default: what the spec documents or assumes
        (``PLATFORMS[platform].spec.dedup.same_channel``).
    route : str, optional
        Where the platform's routes have rules of their own. Default: its default route.
    rule : DedupRule, optional
        Replay this instead, to see what hangs on an assumption:
        ``dataclasses.replace(PLATFORMS[platform].spec.dedup, window=timedelta(days=2))``.

    Returns
    -------
    DataFrame, or Ibis table where the input was a path or an Ibis table
        All rows of ``events`` with ``kept`` (bool), ``drop_reason`` (see `capi_lab.words.DropReason`;
        missing where kept), ``duplicate_of`` (``row_id`` of the kept event that stands for it) and ``merged``
        (columns a kept event takes over from its copies, comma-separated).
        A DataFrame's ``attrs["kept_by_reading"]`` counts kept rows under both readings of the assumption.

    Raises
    ------
    ContractError
        The events break their contract.
    InputError
        The events belong to several platforms.
    UnknownNameError
        No such platform.

    Notes
    -----
    Events received at the same microsecond are taken browser first, then by ``row_id``, so that neither row
    order nor file split changes a result. An event whose key has a missing part never matches by key.
    """
    rule = rule or platform_named(platform).spec.route(route).dedup
    table = as_table(events, EVENTS)
    _refuse_other_platforms(table, platform)
    chosen = rule.merges_same_channel if same_channel is None else same_channel
    marked = mark(table, rule, same_channel=chosen)
    result = same_kind(events, marked)
    if isinstance(result, pd.DataFrame):
        other = _count_kept(mark(table, rule, same_channel=not chosen))
        ours = int(result["kept"].sum())
        result.attrs["kept_by_reading"] = {
            "same channel kept apart": other if chosen else ours,
            "same channel merged": ours if chosen else other,
        }
        if isinstance(events, pd.DataFrame):
            result = result.set_index("row_id", drop=False).loc[events["row_id"]].set_axis(events.index)
    return result


def dedup_readings(events: TableLike, platform: str, *, route: str | None = None) -> pd.DataFrame:
    """Count kept events under both readings of what the platform does not document.

    Parameters
    ----------
    events : as for `dedup`
    platform, route : str

    Returns
    -------
    DataFrame
        One row per reading: ``reading``, ``assumed`` (bool, the spec's choice), ``events``, ``kept``, ``dropped``.
    """
    rule = platform_named(platform).spec.route(route).dedup
    table = as_table(events, EVENTS)
    _refuse_other_platforms(table, platform)
    rows = []
    total = int(to_frame(table.aggregate(n=table.count()))["n"].iloc[0])
    for merged, words in ((False, "same channel kept apart"), (True, "same channel merged")):
        kept = _count_kept(mark(table, rule, same_channel=merged))
        rows.append(
            {
                "reading": words,
                "assumed": rule.merges_same_channel == merged,
                "events": total,
                "kept": kept,
                "dropped": total - kept,
            }
        )
    return pd.DataFrame(rows)


def _count_kept(marked: ibis.Table) -> int:
    return int(to_frame(marked.aggregate(n=marked.kept.sum()))["n"].fillna(0).iloc[0])


def _refuse_other_platforms(table: ibis.Table, platform: str) -> None:
    if "platform" not in table.columns:
        return
    others = table.filter(table.platform.notnull() & (table.platform != platform))
    n = int(to_frame(others.aggregate(n=others.count()))["n"].iloc[0])
    if n:
        raise InputError(
            f"column 'platform' names another platform than {platform!r} in {n:,} rows: "
            "filter the events, each platform deduplicates its own"
        )


def mark(table: ibis.Table, rule: DedupRule, *, same_channel: bool) -> ibis.Table:
    """Add ``kept``, ``drop_reason``, ``duplicate_of`` and ``merged`` to a checked events table."""
    rows = _narrow(table, rule)
    rows = rows.filter(rows.channel.isin([str(channel) for channel in rule.channels]))
    key, instead = ([name for name in rows.columns if name[0] == tag and name[1:].isdigit()] for tag in "ki")
    people = [name for name in rule.fallback.keys if name in rows.columns] if rule.fallback else []
    complete = ibis.and_(*[rows[name].notnull() for name in key])
    keyed = rows.filter(complete)
    # What lacks a part of the key is little, and asked for more than once.
    others = materialise(rows.filter(~complete)) if instead or people else rows.limit(0)
    early = _taken_for_copies(keyed, others, rule, people)
    drops = [drop_by_key(keyed, key, rule, same_channel=same_channel, never_kept=early)]
    if instead:
        second = others.filter(ibis.and_(*[others[name].notnull() for name in instead]))
        if not is_empty(second):
            drops.append(drop_by_key(second, instead, rule, same_channel=same_channel))
    dropped = ibis.union(*drops) if len(drops) > 1 else drops[0]
    copies = [] if early is None else [early.anti_join(dropped, "row_id")]
    if rule.fallback and people:
        first = str(rule.fallback.first)
        late = others.filter(others.channel != first)
        if not is_empty(late):
            known = acquainted(rows.filter(rows.channel == first), late, people).anti_join(dropped, "row_id")
            copies.append(matches(late, known, people, _fallback_window(rule)))
    if copies:
        reason = ibis.literal(str(DropReason.FALLBACK_KEY))
        dropped = ibis.union(dropped, *(materialise(one.mutate(drop_reason=reason).select(*DROPPED)) for one in copies))
    result = table.drop(*[c for c in ("kept", "drop_reason", "duplicate_of", "merged") if c in table.columns])
    marks = dropped.rename(dropped_row_id="row_id")
    result = result.left_join(marks, [("row_id", "dropped_row_id")])
    result = result.mutate(kept=result.dropped_row_id.isnull()).drop("dropped_row_id")
    if rule.merge:
        merged = merged_fields(table, dropped, _clock(table), rule.merge)
        result = result.left_join(merged, [("row_id", "merged_row_id")]).drop("merged_row_id")
    else:
        result = result.mutate(merged=ibis.null("string"))
    return result.relocate("kept", "drop_reason", "duplicate_of", "merged", after="event_time")


def _taken_for_copies(keyed: ibis.Table, others: ibis.Table, rule: DedupRule, people: list[str]) -> ibis.Table | None:
    """Match events that have the key to browser events that lack it.

    A browser event without the key is never dropped, so these verdicts depend on nothing else.
    """
    if not rule.fallback or rule.fallback.needs_no_id or not people:
        return None
    first = str(rule.fallback.first)
    lacking = others.filter(others.channel == first)
    if is_empty(lacking):
        return None
    later = acquainted(keyed.filter(keyed.channel != first), lacking, people)
    return materialise(matches(later, lacking, people, _fallback_window(rule)))


def _fallback_window(rule: DedupRule) -> timedelta:
    """Return the fallback's own window, or the rule's; without either, a fallback has no meaning."""
    window = rule.fallback.window if rule.fallback and rule.fallback.window else rule.window
    if window is None:
        raise InputError("a fallback needs a window of its own where the rule has none")
    return window


def _clock(table: ibis.Table) -> Any:
    """Return when each event was received, or else happened, in microseconds."""
    at = table.received_time.fill_null(table.event_time) if "received_time" in table.columns else table.event_time
    return epoch_microseconds(at)


def _narrow(table: ibis.Table, rule: DedupRule) -> ibis.Table:
    """Keep only what the rule reads: the key's parts as ``k0``, ``k1`` ..., those of the stand-in key as ``i0`` ...

    A column the table lacks is all missing. Folding case and letting missing values match happens here, once.
    """

    def part(name: str) -> Any:
        value = table[name] if name in table.columns else ibis.null("string")
        value = value.lower() if name in rule.blind_to_case else value
        return value.fill_null("") if name in rule.missing_matches else value

    columns: dict[str, Any] = {
        "row_id": table.row_id,
        "channel": table.channel,
        "event_name": table.event_name,
        "clock": _clock(table),
    }
    columns |= {f"k{i}": part(name) for i, name in enumerate(rule.key)}
    if rule.missing_matches:  # all of them missing is no key at all
        there = [table[name].notnull() for name in rule.missing_matches if name in table.columns]
        some = ibis.or_(*there) if there else ibis.literal(value=False)
        columns["k0"] = ibis.ifelse(some, columns["k0"], ibis.null("string"))
    columns |= {f"i{i}": part(name) for i, name in enumerate(rule.instead)}
    if rule.fallback:
        columns |= {name: table[name] for name in rule.fallback.keys if name in table.columns}
    return table.select(**columns)
