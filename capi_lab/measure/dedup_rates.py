"""Is every conversion counted once? Rates of dedup, what the platform counts too much, and what to look at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import ibis
import numpy as np
import pandas as pd

from capi_lab.engine import epoch_microseconds
from capi_lab.measure.grouped import RATE, How, Part, grouped, rate_table
from capi_lab.reconcile import Reconciled, link_candidates
from capi_lab.words import Channel, Outcome

__all__ = ["dedup_health", "dedup_rate", "overcount", "relative_event_coverage"]


def dedup_rate(
    rec: Reconciled,
    by: str | Sequence[str] | None = None,
    level: float = 0.95,
    *,
    cluster: str | None = "user_key",
) -> pd.DataFrame:
    """Measure which share of true pairs the platform's rule merges.

    Parameters
    ----------
    rec : Reconciled
    by, level, cluster
        As for `capi_lab.coverage`.

    Returns
    -------
    DataFrame
        One row per group: the columns of ``by``, ``rate``, ``k`` (pairs counted once), ``n`` (conversions both
        channels saw whose outcome is known), ``value``, ``low``, ``high``, ``method``, ``level``, ``denominator``,
        ``unknown`` (pairs whose outcome is not known). What is wrong with the others: `capi_lab.pair_causes`.
    """
    how = How(level, cluster)
    ledger, groups = grouped(rec.conversion_table, by, ("rate", "unknown"))
    outcomes = rec.pair_table.select(pair_id="conversion_id", pair_outcome="outcome")
    rows = ledger.join(outcomes, ledger.conversion_id == outcomes.pair_id)
    known = rows.pair_outcome != str(Outcome.UNKNOWN)
    words = "conversions both channels saw, outcome known"
    parts = {
        "dedup_rate": Part(rows.pair_outcome == str(Outcome.DEDUPLICATED), known, words),
        "all": Part(~known, rows.pair_id.notnull(), words),
    }
    found = rate_table(rows, "rate", parts, groups, how, "conversion_id")
    unknown = found.loc[found["rate"] == "all", "k"].to_numpy()
    return found[found["rate"] != "all"][[*groups, "rate", *RATE]].assign(unknown=unknown).reset_index(drop=True)


def overcount(
    rec: Reconciled,
    by: str | Sequence[str] | None = None,
    level: float = 0.95,
    *,
    cluster: str | None = "user_key",
) -> pd.DataFrame:
    """Measure how much more the platform counts than there is.

    Parameters
    ----------
    rec : Reconciled
    by, level, cluster
        As for `capi_lab.coverage`.

    Returns
    -------
    DataFrame
        One row per group: the columns of ``by``, ``rate``, ``k`` (events counted minus conversions seen; negative
        where more are merged away than counted twice), ``n`` (conversions seen), ``value``, ``low``, ``high``,
        ``method``, ``level``, ``denominator``, ``extra`` (counted beyond the first time), ``lost`` (seen, yet
        counted not at all).

    Notes
    -----
    ``overcount`` = (reported - |U|) / |U|, U being what the channels saw after true dedup. The interval combines
    those of the two errors (MOVER), which no conversion makes at once.
    """
    how = How(level, cluster)
    ledger, groups = grouped(rec.conversion_table, by, ("rate", "extra", "lost"))
    flags = {Channel.PIXEL: ledger.seen_pixel, Channel.CAPI: ledger.seen_capi}
    seen = ibis.or_(*[flags[channel] for channel in rec.rule.channels])
    words = "conversions the channels saw"
    parts = {
        "extra": Part(ibis.greatest(ledger.counted - 1, 0), seen, words),
        "lost": Part(ledger.counted == 0, seen, words),
    }
    found = rate_table(ledger, "rate", parts, groups, how, "conversion_id")
    extra, lost = (found[found["rate"] == name].reset_index(drop=True) for name in parts)
    value = extra["value"] - lost["value"]
    return (
        extra.assign(
            rate="overcount",
            extra=extra["k"],
            lost=lost["k"],
            k=extra["k"] - lost["k"],
            value=value,
            low=value - np.hypot(extra["value"] - extra["low"], lost["high"] - lost["value"]),
            high=value + np.hypot(extra["high"] - extra["value"], lost["value"] - lost["low"]),
            method="mover of " + extra["method"],
        )[[*groups, "rate", *RATE, "extra", "lost"]]
        .astype({"method": "str"})
        .reset_index(drop=True)
    )


def relative_event_coverage(
    rec: Reconciled,
    by: str | Sequence[str] | None = None,
    level: float = 0.95,
    *,
    cluster: str | None = "user_key",
) -> pd.DataFrame:
    """Compare server events with pixel events that carry a dedup key; Meta's "event coverage".

    Parameters
    ----------
    rec : Reconciled
    by : str or sequence of str, optional
        Columns of the events.
    level : float
    cluster : str or None
        Column of the ledger: events of one conversion stand together, and so do those of one customer. An event that
        is tied to no conversion stands alone.

    Returns
    -------
    DataFrame
        One row per group: the columns of ``by``, ``rate``, ``k`` (server events), ``n`` (pixel events), ``value``
        (k/n, can be above 1), ``low``, ``high``, ``method``, ``level``, ``denominator``. Both counts are of events
        that carry the id the rule compares.

    Notes
    -----
    It can look fine while both channels miss the same orders: it is no `capi_lab.coverage`. The interval is that of
    the server's share of all these events, s, turned into odds: k/n = s/(1-s).
    """
    events, groups = grouped(rec.event_table, by, ("rate",))
    how = How(level, "person" if cluster is not None else None)
    if cluster is not None:
        events = _with_person(events, rec.conversion_table, cluster)
    keyed = ibis.and_(*[events[name].notnull() for name in rec.rule.key if name in events.columns])
    words = "pixel events with a dedup key"
    part = Part(events.channel == str(Channel.CAPI), keyed, words)
    found = rate_table(events, "rate", {"relative_event_coverage": part}, groups, how, "row_id")
    odds = found[["value", "low", "high"]].astype("float64")
    with np.errstate(divide="ignore"):
        odds = odds / (1 - odds)
    found = found.assign(n=found["n"] - found["k"], **odds)
    found["method"] = (found["method"] + ", as odds").astype("str")
    return found[[*groups, "rate", *RATE]]


def _with_person(events: ibis.Table, ledger: ibis.Table, cluster: str) -> ibis.Table:
    """Add ``person``: the conversion's cluster, or the conversion."""
    events = events.drop("person") if "person" in events.columns else events
    own = ledger[cluster] if cluster in ledger.columns else ibis.null("string")
    who = ledger.select(of_order="conversion_id", person=own)
    joined = events.left_join(who, events.conversion_id == who.of_order)
    return joined.mutate(person=joined.person.fill_null(joined.conversion_id)).drop("of_order")


def dedup_health(
    rec: Reconciled,
    level: float = 0.95,
    *,
    within: timedelta = timedelta(minutes=10),
    cluster: str | None = "user_key",
) -> pd.DataFrame:
    """Look for what makes dedup fail, beside what chance alone would show.

    Parameters
    ----------
    rec : Reconciled
    level : float
    within : timedelta
        Farthest apart in time that two events may be one; see `capi_lab.link_candidates`.
    cluster : str or None
        As for `capi_lab.coverage`.

    Returns
    -------
    DataFrame
        One row per ``check``: ``k``, ``n``, ``value``, ``low``, ``high``, ``method``, ``level``, ``denominator``:

        - ``dedup_rate``, ``overcount``: as those functions.
        - ``pixel_without_id``, ``capi_without_id``: events that lack the id the rule compares.
        - ``pixel_repeats``, ``capi_repeats``: events whose key an earlier event of the same channel has.
        - ``id_of_several_orders``: events whose id stands on more than one conversion.
        - ``received_after_window``: events received later after they happened than the rule's window is long.
        - ``pairs_under_unlike_ids``: browser events that are, beyond chance, a server event under another id: what
          agrees in time, value and person, minus what agrees when one stream is shifted in time.

    Notes
    -----
    The null by time shift is that of `capi_lab.link_candidates`; missing where the logs are too short for one.
    """
    how = How(level, "person" if cluster is not None else None)
    events = _with_person(rec.event_table, rec.conversion_table, cluster) if cluster else rec.event_table
    ids = [name for name in rec.rule.key if name in events.columns and name != "event_name"]
    keyed = ibis.and_(*[events[name].notnull() for name in ids]) if ids else ibis.literal(value=False)
    same = ["channel", *[name for name in rec.rule.key if name in events.columns]]
    events = events.mutate(
        _keyed=keyed,
        _turn=ibis.row_number().over(group_by=same, order_by=[events.event_time, events.row_id]),
        # Not a count of distinct values, which Spark has no window of.
        _first=events.conversion_id.min().over(group_by=ids or ["row_id"]),
        _last=events.conversion_id.max().over(group_by=ids or ["row_id"]),
    )
    parts: dict[str, Part] = {}
    for channel in rec.rule.channels:
        mine = events.channel == str(channel)
        parts[f"{channel}_without_id"] = Part(~events["_keyed"], mine, f"{channel} events")
        parts[f"{channel}_repeats"] = Part(
            events["_turn"] > 0, mine & events["_keyed"], f"{channel} events with a dedup key"
        )
    parts["id_of_several_orders"] = Part(
        events["_first"] != events["_last"], events["_keyed"], "events with a dedup key"
    )
    if "received_time" in events.columns and rec.rule.window is not None:
        late = epoch_microseconds(events.received_time) - epoch_microseconds(events.event_time)
        length = rec.rule.window // timedelta(microseconds=1)
        parts["received_after_window"] = Part(late > length, late.notnull(), "events with a receipt time")
    checks = rate_table(events, "check", parts, [], how, "row_id")[["check", *RATE]]
    first = [f(rec, level=level, cluster=cluster).rename(columns={"rate": "check"}) for f in (dedup_rate, overcount)]
    tables = [*(table[["check", *RATE]] for table in first), checks]
    if len(rec.rule.channels) > 1:
        tables.append(_beyond_chance(rec, within, level))
    return pd.concat(tables, ignore_index=True)


def _beyond_chance(rec: Reconciled, within: timedelta, level: float) -> pd.DataFrame:
    """Count pairs under unlike ids beyond chance, as a share of the browser events without a partner."""
    found = link_candidates(rec, between="channels", within=within, level=level).summary()
    row = found[found["evidence"] == "all"].iloc[0]
    n = float(row["events"])
    numbers = {name: row[theirs] / n if n else np.nan for name, theirs in (("low", "low"), ("high", "high"))}
    return pd.DataFrame(
        {
            "check": ["pairs_under_unlike_ids"],
            "k": [row["excess"]],
            "n": [int(n)],
            "value": [row["excess"] / n if n else np.nan],
            **{name: [value] for name, value in numbers.items()},
            "method": ["time-shift null"],
            "level": [level],
            "denominator": ["pixel events without a server event of their id"],
        }
    )
