"""Stretches of one key's events that nothing outside can reach, and the closed form of the short ones.

Where more than a window passes between two events of a key, whatever was kept before can no longer absorb what comes
after: the two sides are sessions of their own. Inside a session no longer than the window nothing expires, so the
verdicts depend on order alone and can be read off with window functions instead of a walk through the history.
"""

from __future__ import annotations

from typing import Any

import ibis

from capi_lab.words import Channel, DropReason

__all__ = ["SESSION", "cut_into_sessions", "drop_in_sessions", "pixel_wins"]

SESSION = "session"


def cut_into_sessions(rows: ibis.Table, key: list[str], window: int | None) -> ibis.Table:
    """Give every event the number of its session within its key, and say which sessions outlast the window.

    Parameters
    ----------
    rows : Ibis table
        ``row_id``, ``channel``, ``clock`` (microseconds), ``never_kept`` and the key.
    key : list of str
    window : int or None
        Microseconds; None: no end, one session per key.

    Returns
    -------
    Ibis table
        The same rows with ``session``, ``at`` (place in it, from 0) and ``long`` (bool). Equal clocks are taken browser
        first, then by ``row_id``.
    """
    rows = rows.mutate(late=(rows.channel != str(Channel.PIXEL)).cast("int8"))
    if window is None:
        rows = rows.mutate(session=ibis.literal(0, "int64"))
    else:
        order = ibis.window(group_by=key, order_by=[rows.clock, rows.late, rows.row_id])
        rows = rows.mutate(gap=rows.clock - rows.clock.lag().over(order))
        cut = ibis.ifelse(rows.gap > window, 1, 0).cast("int64")
        so_far = ibis.window(group_by=key, order_by=[rows.clock, rows.late, rows.row_id], preceding=None, following=0)
        rows = rows.mutate(session=cut.sum().over(so_far)).drop("gap")
    group = [*key, SESSION]
    order = ibis.window(group_by=group, order_by=[rows.clock, rows.late, rows.row_id])
    whole = ibis.window(group_by=group)
    span = rows.clock.max().over(whole) - rows.clock.min().over(whole)
    is_long = ibis.literal(value=False) if window is None else span > window
    return rows.mutate(at=ibis.row_number().over(order), long=is_long).drop("late")


def drop_in_sessions(rows: ibis.Table, key: list[str], *, same_channel: bool, within: int | None) -> ibis.Table:
    """Return what is dropped in sessions inside which nothing expires.

    Parameters
    ----------
    rows : Ibis table
        From `cut_into_sessions`, without the long ones.
    key : list of str
    same_channel : bool
    within : int or None
        Microseconds by which a browser event may come after the server's and still be the one kept; None: it never is.

    Returns
    -------
    Ibis table
        ``row_id``, ``drop_reason``, ``duplicate_of``.
    """
    group = [*key, SESSION]
    return _one_stays(rows, group, within) if same_channel else _across_channels(rows, group, within)


def _one_stays(rows: ibis.Table, group: list[str], within: int | None) -> ibis.Table:
    """Keep the first, or the first browser event where that comes soon enough after a first server event."""
    pixel = (rows.channel == str(Channel.PIXEL)) & ~rows.never_kept
    able_first = ibis.window(group_by=group, order_by=[rows.never_kept, rows.at])
    pixel_first = ibis.window(group_by=group, order_by=[ibis.ifelse(pixel, 0, 1), rows.at])
    rows = rows.mutate(
        first_row=rows.row_id.first().over(able_first),
        first_at=rows.at.first().over(able_first),
        first_channel=rows.channel.first().over(able_first),
        nobody=rows.never_kept.first().over(able_first),
    )
    swapped = ibis.literal(value=False)
    keeper = rows.first_row
    channel = rows.first_channel
    if within is not None:
        rows = rows.mutate(
            first_clock=rows.clock.first().over(able_first),
            pixel_row=rows.row_id.first().over(pixel_first),
            pixel_clock=rows.clock.first().over(pixel_first),
            has_pixel=ibis.ifelse(pixel, 1, 0).max().over(ibis.window(group_by=group)) == 1,
        )
        swapped = (
            (rows.first_channel != str(Channel.PIXEL))
            & rows.has_pixel
            & (rows.pixel_clock - rows.first_clock <= within)
        )
        keeper = ibis.ifelse(swapped, rows.pixel_row, rows.first_row)
        channel = ibis.ifelse(swapped, ibis.literal(str(Channel.PIXEL)), rows.first_channel)
    rows = rows.mutate(keeper=keeper, keeper_channel=channel, swapped=swapped)
    # What comes before the first that can be kept has nothing to absorb it.
    gone = rows.filter((rows.row_id != rows.keeper) & (rows.at >= rows.first_at) & ~rows.nobody)
    reason = ibis.cases(
        (gone.row_id == gone.first_row, str(DropReason.BROWSER_PREFERRED)),
        (gone.channel == gone.keeper_channel, str(DropReason.DUPLICATE_SAME_CHANNEL)),
        else_=str(DropReason.DUPLICATE_OTHER_CHANNEL),
    )
    return gone.select(row_id="row_id", drop_reason=reason, duplicate_of="keeper")


def _across_channels(rows: ibis.Table, group: list[str], within: int | None) -> ibis.Table:
    """Only the other channel absorbs, and what is kept stays kept: so the first browser event divides a session.

    Server events before it are kept and wait. The k-th browser event takes the place of the k-th of them while it
    comes soon enough; the first that does not fails, and with it all later ones, which that server event absorbs.
    Server events after the first browser event are absorbed by it, unless it failed itself.
    """
    pixel = rows.channel == str(Channel.PIXEL)
    whole = ibis.window(group_by=group)
    rows = rows.mutate(pixel_at=rows.at.min(where=pixel).over(whole))
    rows = rows.filter(rows.pixel_at.notnull())
    rows = rows.mutate(
        kind=ibis.cases(
            (rows.channel == str(Channel.PIXEL), "pixel"),
            (rows.at > rows.pixel_at, "after"),
            (rows.never_kept, "nothing"),
            else_="before",
        )
    )
    rows = rows.filter(rows.kind != "nothing")
    rows = rows.mutate(rank=ibis.row_number().over(group_by=[*group, rows.kind], order_by=rows.at))
    pixels = rows.filter(rows.kind == "pixel")
    waiting = rows.filter(rows.kind == "before").select(*group, "rank", server_row="row_id", server_clock="clock")
    met = pixels.select(*group, "rank", "row_id", "clock").inner_join(waiting, [*group, "rank"])
    late = ibis.literal(value=True) if within is None else met.clock - met.server_clock > within
    met = met.mutate(failed=ibis.ifelse(late, met["rank"], ibis.null("int64")).min().over(group_by=group))
    swapped = met.filter(met.failed.isnull() | (met["rank"] < met.failed)).select(
        row_id="server_row", drop_reason=ibis.literal(str(DropReason.BROWSER_PREFERRED)), duplicate_of="row_id"
    )
    failed = met.filter(met["rank"] == met.failed).select(*group, "failed", "server_row")
    other = ibis.literal(str(DropReason.DUPLICATE_OTHER_CHANNEL))
    absorbed = pixels.inner_join(failed, group)
    absorbed = absorbed.filter(absorbed["rank"] >= absorbed.failed).select(
        row_id="row_id", drop_reason=other, duplicate_of="server_row"
    )
    first_pixel = pixels.filter(pixels["rank"] == 0).select(*group, pixel_row="row_id")
    first_pixel = first_pixel.anti_join(failed.filter(failed.failed == 0), group)
    after = rows.filter(rows.kind == "after").inner_join(first_pixel, group)
    after = after.select(row_id="row_id", drop_reason=other, duplicate_of="pixel_row")
    return ibis.union(swapped, absorbed, after)


def pixel_wins(rows: ibis.Table, key: list[str], *, same_channel: bool) -> ibis.Table:
    """Keep the first of the browser's, whenever it came; only a group without one keeps the server's.

    Parameters
    ----------
    rows : Ibis table
        ``row_id``, ``channel``, ``clock`` and the key.
    key : list of str
    same_channel : bool

    Returns
    -------
    Ibis table
        ``row_id``, ``drop_reason``, ``duplicate_of`` of what is dropped.
    """
    order = ibis.window(group_by=key, order_by=[ibis.desc(rows.channel), rows.clock, rows.row_id])
    rows = rows.mutate(
        winner=rows.row_id.first().over(order),
        winner_channel=rows.channel.first().over(order),
        winner_clock=rows.clock.first().over(order),
    )
    same = rows.channel == rows.winner_channel
    gone = rows.filter((rows.row_id != rows.winner) & (ibis.literal(same_channel) | ~same))
    reason: Any = ibis.cases(
        (gone.channel == gone.winner_channel, str(DropReason.DUPLICATE_SAME_CHANNEL)),
        (gone.clock < gone.winner_clock, str(DropReason.BROWSER_PREFERRED)),
        else_=str(DropReason.DUPLICATE_OTHER_CHANNEL),
    )
    return gone.select(row_id="row_id", drop_reason=reason, duplicate_of="winner")
