"""Which events their key drops: one group of equal keys at a time, settled in the engine wherever it can be.

The rows come in narrow: ``row_id``, ``channel``, ``clock``, and the key's parts as ``k0``, ``k1`` ... all present. Out
come ``row_id``, ``drop_reason`` and ``duplicate_of`` of those that are dropped.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import ibis
import pandas as pd

from capi_lab.engine import to_frame
from capi_lab.platforms.rules import DedupRule, Keep
from capi_lab.words import Channel, DropReason

__all__ = ["DROPPED", "drop_by_key", "microseconds", "no_drops"]

DROPPED = {"row_id": "string", "drop_reason": "string", "duplicate_of": "string"}


def drop_by_key(
    rows: ibis.Table, key: list[str], rule: DedupRule, *, same_channel: bool, never_kept: ibis.Table | None = None
) -> ibis.Table:
    """Return the rows their key drops.

    Parameters
    ----------
    rows : Ibis table
    key : list of str
        The columns of the key in ``rows``.
    rule : DedupRule
    same_channel : bool
        Do repeats within one channel merge?
    never_kept : Ibis table, optional
        ``row_id`` of rows that are dropped for another reason, and so absorb nothing.
    """
    if rule.keep is Keep.PIXEL:
        return _pixel_wins(rows, key, same_channel=same_channel)
    if rule.window is None:
        return _first_wins(rows, key, same_channel=same_channel)
    return _within_window(rows, key, rule, rule.window, never_kept, same_channel=same_channel)


def no_drops() -> ibis.Table:
    """Return an empty table of dropped rows."""
    return ibis.memtable(pd.DataFrame({name: pd.Series([], dtype="str") for name in DROPPED}), schema=DROPPED)


def microseconds(duration: timedelta) -> int:
    """Return a duration in whole microseconds."""
    return round(duration.total_seconds() * 1_000_000)


# -- no end to the window: the group as a whole decides ----------------------------------------------------


def _repeated(rows: ibis.Table, key: list[str]) -> ibis.Table:
    return rows.semi_join(rows.group_by(key).aggregate(n=rows.count()).filter(ibis._.n > 1), key)


def _first_wins(rows: ibis.Table, key: list[str], *, same_channel: bool) -> ibis.Table:
    """Keep the first received; without merging inside a channel, also the others of its channel."""
    few = _repeated(rows, key)
    order = ibis.window(group_by=key, order_by=[few.clock, ibis.desc(few.channel), few.row_id])
    few = few.mutate(winner=few.row_id.first().over(order), winner_channel=few.channel.first().over(order))
    same = few.channel == few.winner_channel
    gone = few.filter((few.row_id != few.winner) & (ibis.literal(same_channel) | ~same))
    reason = ibis.ifelse(
        gone.channel == gone.winner_channel,
        str(DropReason.DUPLICATE_SAME_CHANNEL),
        str(DropReason.DUPLICATE_OTHER_CHANNEL),
    )
    return gone.select(row_id="row_id", drop_reason=reason, duplicate_of="winner")


def _pixel_wins(rows: ibis.Table, key: list[str], *, same_channel: bool) -> ibis.Table:
    """Keep the first of the browser's, whenever it came; only a group without one keeps the server's."""
    few = _repeated(rows, key)
    order = ibis.window(group_by=key, order_by=[ibis.desc(few.channel), few.clock, few.row_id])
    few = few.mutate(
        winner=few.row_id.first().over(order),
        winner_channel=few.channel.first().over(order),
        winner_clock=few.clock.first().over(order),
    )
    same = few.channel == few.winner_channel
    gone = few.filter((few.row_id != few.winner) & (ibis.literal(same_channel) | ~same))
    reason = ibis.cases(
        (gone.channel == gone.winner_channel, str(DropReason.DUPLICATE_SAME_CHANNEL)),
        (gone.clock < gone.winner_clock, str(DropReason.BROWSER_PREFERRED)),
        else_=str(DropReason.DUPLICATE_OTHER_CHANNEL),
    )
    return gone.select(row_id="row_id", drop_reason=reason, duplicate_of="winner")


# -- a window: pairs in the engine, longer histories one event at a time -----------------------------------


def _within_window(
    rows: ibis.Table,
    key: list[str],
    rule: DedupRule,
    window: timedelta,
    never_kept: ibis.Table | None,
    *,
    same_channel: bool,
) -> ibis.Table:
    flag = ibis.literal(value=False)
    if never_kept is not None:
        rows = rows.left_join(never_kept.select(other_row_id="row_id"), [("row_id", "other_row_id")])
        flag = rows.other_row_id.notnull()
    rows = rows.mutate(never_kept=flag)
    pixel = rows.channel == str(Channel.PIXEL)
    keys = rows.group_by(key).aggregate(
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
        _drop_in_pairs(pairs, rule, window),
        _replay_keys(rows, others, key, rule, window, same_channel=same_channel),
    )


def _drop_in_pairs(pairs: ibis.Table, rule: DedupRule, window: timedelta) -> ibis.Table:
    """One browser and one server event: the second is dropped inside the window, unless a near-tie favours it."""
    end = ibis.interval(microseconds=microseconds(window))
    pixel_first = pairs.pixel_clock <= pairs.capi_clock
    first_clock = ibis.ifelse(pixel_first, pairs.pixel_clock, pairs.capi_clock)
    inside = pairs.filter(pairs.last_clock <= first_clock + end)
    pixel_first = inside.pixel_clock <= inside.capi_clock
    swapped = ibis.literal(value=False)
    if rule.prefer:
        within = ibis.interval(microseconds=microseconds(rule.prefer.within))
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


def _replay_keys(
    rows: ibis.Table, keys: ibis.Table, key: list[str], rule: DedupRule, window: timedelta, *, same_channel: bool
) -> ibis.Table:
    # "pixel" sorts after "capi"
    history = rows.semi_join(keys, key).order_by([*key, "clock", ibis.desc("channel"), "row_id"])
    frame = to_frame(history)
    found = list(_replay(frame, key, rule, window, same_channel=same_channel))
    return ibis.memtable(pd.DataFrame(found, columns=list(DROPPED)).astype("str"), schema=DROPPED)


@dataclass(slots=True)
class _Kept:
    """One counted conversion: which row stands for it, and since when its window runs."""

    row: int
    since: int
    channel: str


def _replay(
    frame: pd.DataFrame, key: list[str], rule: DedupRule, length: timedelta, *, same_channel: bool
) -> Iterator[tuple[str, str, str]]:
    """Go through each key's events in order of receipt; yield those dropped.

    ``frame`` is sorted by key, clock, browser first, row_id.
    """
    window = microseconds(length)
    within = microseconds(rule.prefer.within) if rule.prefer else -1
    preferred = rule.prefer.channel if rule.prefer else None
    rows, channels = frame["row_id"].tolist(), frame["channel"].tolist()
    clocks = frame["clock"].astype("int64").tolist()
    never_kept = frame["never_kept"].tolist()
    codes = frame.groupby(key, sort=False).ngroup().tolist() if len(frame) else []
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
