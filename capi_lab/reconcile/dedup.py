"""Replay a platform's dedup rule over your own log, exactly.

The rule is a `DedupRule` read from the platform's spec. In order of receipt, an event is dropped if a kept
event with the same key was received within the window before it; which channels may absorb which, which
copy of a near-tie stays, and what happens without an event id are the rule's own fields.

Most keys are settled inside the engine by one aggregate; the few whose history is longer (repeats, chains
beyond the window) are replayed one event at a time. Both give what a plain greedy loop over the whole log
gives: `tests/reconcile/test_dedup.py` holds that loop.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import ibis
import pandas as pd

from capi_lab.engine import TableLike, as_table, materialise, same_kind, to_frame
from capi_lab.errors import InputError
from capi_lab.platforms import platform as platform_named
from capi_lab.platforms.rules import DedupRule, Keep
from capi_lab.tables import EVENTS
from capi_lab.words import Channel, DropReason

__all__ = ["dedup", "dedup_readings", "mark", "replayed", "window_of"]

_DROPPED = {"row_id": "string", "drop_reason": "string", "duplicate_of": "string"}


def dedup(events: TableLike, platform: str, *, same_channel: bool | None = None) -> pd.DataFrame | ibis.Table:
    """Mark every event as kept or dropped, as the platform would.

    Parameters
    ----------
    events : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        Contract `capi_lab.tables.EVENTS`, of one platform. The clock is ``received_time``, and
        ``event_time`` where that is missing.
    platform : str
        Whose rule; a name in `capi_lab.PLATFORMS`.
    same_channel : bool, optional
        Do repeats within one channel merge too? Default: the spec's assumption
        (``PLATFORMS[platform].spec.dedup.same_channel``).

    Returns
    -------
    DataFrame, or Ibis table where the input was a path or an Ibis table
        All rows of ``events`` with ``kept`` (bool), ``drop_reason`` (see `capi_lab.words.DropReason`;
        missing where kept) and ``duplicate_of`` (``row_id`` of the kept event that stands for it).
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
    rule = replayed(platform_named(platform).spec.dedup, platform)
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


def dedup_readings(events: TableLike, platform: str) -> pd.DataFrame:
    """Count kept events under both readings of what the platform does not document.

    Parameters
    ----------
    events : as for `dedup`
    platform : str

    Returns
    -------
    DataFrame
        One row per reading: ``reading``, ``assumed`` (bool, the spec's choice), ``events``, ``kept``, ``dropped``.
    """
    rule = replayed(platform_named(platform).spec.dedup, platform)
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
    """Add ``kept``, ``drop_reason`` and ``duplicate_of`` to a checked events table."""
    rows = _narrow(table, rule)
    has_key = ibis.and_(*[rows[name].notnull() for name in rule.key])
    no_key_pixels = rows.filter(~has_key & (rows.channel == _first(rule)))
    by_fallback = None
    if rule.fallback and any(name in rows.columns for name in rule.fallback.keys):
        # A browser event without the key is never dropped, so these verdicts depend on nothing else.
        keyed_servers = rows.filter(has_key & (rows.channel != _first(rule)))
        by_fallback = materialise(_fallback(keyed_servers, no_key_pixels, rule))
    dropped = _by_key(rows.filter(has_key), by_fallback, rule, same_channel=same_channel)
    if rule.fallback and by_fallback is not None:
        dropped = materialise(dropped)
        kept_pixels = rows.filter(rows.channel == _first(rule)).anti_join(dropped, "row_id")
        no_key_servers = rows.filter(~has_key & (rows.channel != _first(rule)))
        late = _fallback(no_key_servers, kept_pixels, rule)
        early = by_fallback.anti_join(dropped, "row_id")
        reason = ibis.literal(str(DropReason.FALLBACK_KEY))
        both = ibis.union(late, early).mutate(drop_reason=reason).select(*_DROPPED)
        dropped = ibis.union(dropped, both)
    marks = dropped.rename(dropped_row_id="row_id")
    joined = table.drop(*[c for c in ("kept", "drop_reason", "duplicate_of") if c in table.columns]).left_join(
        marks, [("row_id", "dropped_row_id")]
    )
    return (
        joined.mutate(kept=joined.dropped_row_id.isnull())
        .drop("dropped_row_id")
        .relocate("kept", "drop_reason", "duplicate_of", after="event_time")
    )


def _first(rule: DedupRule) -> str:
    return str(rule.fallback.first) if rule.fallback else str(Channel.PIXEL)


def _narrow(table: ibis.Table, rule: DedupRule) -> ibis.Table:
    """Keep only what the rule reads, with its clock; an id column the table lacks is all missing."""
    clock = table.event_time
    if "received_time" in table.columns:
        clock = table.received_time.fill_null(clock)
    columns: dict[str, Any] = {"row_id": table.row_id, "channel": table.channel, "clock": clock}
    missing = ibis.null("string")
    for name in rule.key:
        columns[name] = table[name] if name in table.columns else missing
    if rule.fallback:
        columns |= {name: table[name] for name in rule.fallback.keys if name in table.columns}
    return table.select(**columns)


# -- by key ------------------------------------------------------------------------------------------------


def _by_key(rows: ibis.Table, by_fallback: ibis.Table | None, rule: DedupRule, *, same_channel: bool) -> ibis.Table:
    """Return row_id, drop_reason, duplicate_of of the rows their key drops."""
    never_kept = ibis.literal(value=False)
    if by_fallback is not None:
        ids = by_fallback.select(fallback_row_id="row_id")
        rows = rows.left_join(ids, [("row_id", "fallback_row_id")])
        never_kept = rows.fallback_row_id.notnull()
    rows = rows.mutate(never_kept=never_kept)
    pixel = rows.channel == str(Channel.PIXEL)
    keys = rows.group_by(list(rule.key)).aggregate(
        n_pixel=pixel.sum(),
        n_capi=(~pixel).sum(),
        n_never_kept=rows.never_kept.sum(),
        pixel_clock=rows.clock.min(where=pixel),
        capi_clock=rows.clock.min(where=~pixel),
        last_clock=rows.clock.max(),
        pixel_row=rows.row_id.min(where=pixel),
        capi_row=rows.row_id.min(where=~pixel),
    )
    mixed = (keys.n_pixel > 0) & (keys.n_capi > 0)
    repeats = (keys.n_pixel > 1) | (keys.n_capi > 1)
    keys = keys.filter(mixed | repeats) if same_channel else keys.filter(mixed)
    # A pair: one event of each channel, close enough to be seen without any history.
    one_each = (keys.n_pixel == 1) & (keys.n_capi == 1) & (keys.n_never_kept == 0)
    pairs, others = keys.filter(one_each), keys.filter(~one_each)
    return ibis.union(
        _drop_in_pairs(pairs, rule),
        _replay_keys(rows, others, rule, same_channel=same_channel),
    )


def _drop_in_pairs(pairs: ibis.Table, rule: DedupRule) -> ibis.Table:
    """One browser and one server event: the second is dropped inside the window, unless a near-tie favours it."""
    window = ibis.interval(microseconds=window_of(rule))
    pixel_first = pairs.pixel_clock <= pairs.capi_clock
    first_clock = ibis.ifelse(pixel_first, pairs.pixel_clock, pairs.capi_clock)
    inside = pairs.filter(pairs.last_clock <= first_clock + window)
    pixel_first = inside.pixel_clock <= inside.capi_clock
    swapped = ibis.literal(value=False)
    if rule.prefer:
        within = ibis.interval(microseconds=_microseconds(rule.prefer.within))
        swapped = ~pixel_first & (inside.pixel_clock <= inside.capi_clock + within)
    pixel_kept = pixel_first | swapped
    return inside.select(
        row_id=ibis.ifelse(pixel_kept, inside.capi_row, inside.pixel_row),
        drop_reason=ibis.ifelse(
            swapped,
            ibis.literal(str(DropReason.BROWSER_PREFERRED)),
            ibis.literal(str(DropReason.DUPLICATE_OTHER_CHANNEL)),
        ),
        duplicate_of=ibis.ifelse(pixel_kept, inside.pixel_row, inside.capi_row),
    )


def _replay_keys(rows: ibis.Table, keys: ibis.Table, rule: DedupRule, *, same_channel: bool) -> ibis.Table:
    history = rows.semi_join(keys, list(rule.key)).order_by(
        [*rule.key, "clock", ibis.desc("channel"), "row_id"]  # "pixel" sorts after "capi"
    )
    frame = to_frame(history)
    dropped = pd.DataFrame(list(_replay(frame, rule, same_channel=same_channel)), columns=list(_DROPPED))
    return ibis.memtable(dropped.astype("str"), schema=_DROPPED)


@dataclass(slots=True)
class _Kept:
    """One counted conversion: which row stands for it, and since when its window runs."""

    row: int
    since: int
    channel: str


def _replay(frame: pd.DataFrame, rule: DedupRule, *, same_channel: bool) -> Iterator[tuple[str, str, str]]:
    """Go through each key's events in order of receipt; yield those dropped.

    ``frame`` is sorted by key, clock, browser first, row_id.
    """
    window = window_of(rule)
    within = _microseconds(rule.prefer.within) if rule.prefer else -1
    preferred = rule.prefer.channel if rule.prefer else None
    rows, channels = frame["row_id"].tolist(), frame["channel"].tolist()
    clocks = frame["clock"].astype("int64").tolist()
    never_kept = frame["never_kept"].tolist()
    codes = frame.groupby(list(rule.key), sort=False).ngroup().tolist() if len(frame) else []
    for _, group in itertools.groupby(range(len(rows)), key=codes.__getitem__):
        live: dict[str, deque[_Kept]] = {str(channel): deque() for channel in Channel}
        absorbed: list[tuple[int, _Kept]] = []
        for i in group:
            channel, clock = channels[i], clocks[i]
            for queue in live.values():
                while queue and queue[0].since < clock - window:
                    queue.popleft()
            keeper = _absorber(live, channel, same_channel=same_channel)
            if keeper is None:
                if not never_kept[i]:
                    live[channel].append(_Kept(i, clock, channel))
                continue
            near = channel == preferred != keeper.channel and clock - keeper.since <= within
            if near and not never_kept[i]:
                live[keeper.channel].popleft()
                yield rows[keeper.row], str(DropReason.BROWSER_PREFERRED), rows[i]
                # The same conversion goes on under the preferred copy; its window still runs from the first.
                keeper.row, keeper.channel = i, channel
                live[channel].append(keeper)
            else:
                absorbed.append((i, keeper))
        for i, keeper in absorbed:
            same = channels[i] == keeper.channel
            reason = DropReason.DUPLICATE_SAME_CHANNEL if same else DropReason.DUPLICATE_OTHER_CHANNEL
            yield rows[i], str(reason), rows[keeper.row]


def _absorber(live: dict[str, deque[_Kept]], channel: str, *, same_channel: bool) -> _Kept | None:
    """Return the first received of the kept events that may absorb one of ``channel``."""
    queues: Iterable[deque[_Kept]] = (
        queue for name, queue in live.items() if queue and (same_channel or name != channel)
    )
    return min((queue[0] for queue in queues), key=lambda kept: kept.since, default=None)


# -- without a key -----------------------------------------------------------------------------------------


def _fallback(later: ibis.Table, first: ibis.Table, rule: DedupRule) -> ibis.Table:
    """Match events to the earliest one of the first channel inside the window; row_id, duplicate_of.

    Two events are compared on the first key that both carry: so, for each key, the later events are
    split by which stronger keys they carry, and the first ones must lack those.
    """
    assert rule.fallback is not None  # noqa: S101 - for the type checker; callers asked already
    keys = [name for name in rule.fallback.keys if name in later.columns]
    found = []
    for level, key in enumerate(keys):
        for carried in itertools.product((False, True), repeat=level):
            mine, theirs = [later[key].notnull()], [first[key].notnull()]
            for stronger, has in zip(keys, carried, strict=False):
                mine.append(later[stronger].notnull() if has else later[stronger].isnull())
                if has:
                    theirs.append(first[stronger].isnull())
            found.append(_earliest(later.filter(mine), first.filter(theirs), key, rule))
    matches = ibis.union(*found) if len(found) > 1 else found[0]
    order = ibis.row_number().over(group_by=matches.row_id, order_by=[matches.clock, matches.duplicate_of])
    return matches.mutate(order=order).filter(lambda t: t.order == 0).select("row_id", "duplicate_of")


def _earliest(later: ibis.Table, first: ibis.Table, key: str, rule: DedupRule) -> ibis.Table:
    """Per later event, the earliest first-channel event with the same name and key inside the window."""
    name = rule.key[0]
    stream = ibis.union(
        *[
            rows.select(event_name=rows[name], key=rows[key], clock=rows.clock, row_id=rows.row_id, first=flag)
            for rows, flag in ((first, ibis.literal(value=True)), (later, ibis.literal(value=False)))
        ]
    )
    frame = ibis.range_window(
        preceding=ibis.interval(microseconds=window_of(rule)),
        following=0,
        group_by=[stream.event_name, stream.key],
        order_by=stream.clock,
    )
    start = stream.clock.min(where=stream.first).over(frame)
    hits = stream.mutate(start=start).filter(lambda t: ~t.first & t.start.notnull())
    starts = first.group_by(event_name=first[name], key=first[key], clock=first.clock).aggregate(
        duplicate_of=first.row_id.min()
    )
    joined = hits.join(
        starts.rename(start_clock="clock"),
        [
            hits.event_name == starts.event_name,
            hits.key == starts.key,
            hits.start == starts.clock,
        ],
    )
    return joined.select(row_id="row_id", clock="start", duplicate_of="duplicate_of")


def replayed(rule: DedupRule, platform: str) -> DedupRule:
    """Return the rule if every part of it can be replayed here.

    Raises
    ------
    InputError
        The rule is written down, but has a part this module does not replay: better no answer than a wrong one.
    """
    parts = {
        "no known window": rule.window is None,
        f"keep: {rule.keep}": rule.keep is not Keep.FIRST,
        "a merge of fields": rule.merge is not None,
        "a second key": bool(rule.instead),
        "a key blind to case": bool(rule.blind_to_case),
        "missing values that match": bool(rule.missing_matches),
        "one channel only": len(rule.channels) < len(Channel),
    }
    lacking = [part for part, needed in parts.items() if needed]
    if lacking:
        raise InputError(f"the dedup rule of {platform} is written down but not replayed yet: {', '.join(lacking)}")
    return rule


def window_of(rule: DedupRule) -> int:
    """Return the window in microseconds; `replayed` has asked for one."""
    return _microseconds(rule.window) if rule.window is not None else 0


def _microseconds(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1_000_000)
