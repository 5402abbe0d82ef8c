"""Flag what may be one conversion under unlike ids, beside what chance alone would flag.

Nothing here is merged: that two orders of 20.00 lie a minute apart proves nothing. What can be said is how many such
agreements there are, and how many there would be if the two streams had nothing to do with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, reduce
from html import escape
from typing import Any

import ibis
import numpy as np
import pandas as pd

from capi_lab.engine import materialise, place_beside, to_frame
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.reconcile.by_key import microseconds
from capi_lab.reconcile.chance import DAY_US, beyond_chance, default_shifts, exposures, refuse_near
from capi_lab.reconcile.given import Given, as_reconciled
from capi_lab.reconcile.near import pairs_near
from capi_lab.reconcile.streams import Streams, channel_streams, ledger_streams

__all__ = ["LinkCandidates", "link_candidates"]

_SIDES = {"ledger": ledger_streams, "channels": channel_streams}
_EVIDENCE = {"all": (True, False), "person_key": (True,), "time_and_value": (False,)}


@dataclass(frozen=True, repr=False)
class LinkCandidates:
    """Pairs that may be one conversion, and how many chance would give.

    Parameters
    ----------
    between : str
        ``ledger`` (events × conversions) or ``channels`` (browser events × server events).
    within : timedelta
        Farthest apart in time.
    level : float
        Of the intervals.
    agree, keys : list of str
        Columns that had to agree, and the person's keys that were compared.
    candidate_table, block_table : Ibis table
        `table` and `blocks` where they lie.
    null : DataFrame
        One row per channel and shift: ``channel``, ``shift`` (timedelta), ``exposure`` (share of the period left),
        ``pairs`` and of them ``person_key`` (a key agreed).
    streams : DataFrame
        One row per channel: ``channel``, ``events``, ``others`` (conversions, or server events), ``days`` both cover.
    """

    between: str
    within: timedelta
    level: float
    agree: list[str]
    keys: list[str]
    candidate_table: ibis.Table
    block_table: ibis.Table
    null: pd.DataFrame
    streams: pd.DataFrame

    @cached_property
    def table(self) -> pd.DataFrame:
        """Candidates, best first: more keys, fewer rivals, nearer.

        ``channel``, ``row_id``, ``conversion_id`` (between channels: ``other_row_id``, the server's event, and
        ``conversion_id`` of whichever is tied), ``event_id``, ``other_event_id``, what agreed, ``seconds_apart``
        (event minus other), ``keys_agree``, ``keys_differ`` (names, comma-separated), ``n_keys_agree``, ``rivals``
        (other candidates that claim the same event or the same other side).
        """
        frame = to_frame(self.candidate_table)
        distance = frame["seconds_apart"].abs()
        frame = frame.assign(_distance=distance)
        other = "conversion_id" if self.between == "ledger" else "other_row_id"
        order = ["n_keys_agree", "rivals", "_distance", "channel", "row_id", other]
        frame = frame.sort_values(order, ascending=[False, *[True] * 5], ignore_index=True)
        return frame.drop(columns="_distance")

    @cached_property
    def blocks(self) -> pd.DataFrame:
        """Candidates per block: channel, meaning of the name, and the values that agree.

        ``events``, ``others``, ``observed``, ``expected`` (from the shifts) and ``expected_uniform`` =
        events × others × 2 within / period, which is chance in a steady stream where no key is compared.
        """
        frame = to_frame(self.block_table)
        names = ["channel", "event_name", *self.agree]
        return frame.sort_values(names, ignore_index=True)

    def summary(self) -> pd.DataFrame:
        """Observed, expected by chance, and the difference with its interval.

        Returns
        -------
        DataFrame
            One row per channel and ``evidence`` (``all``; where keys were compared also ``person_key`` and
            ``time_and_value``): ``events``, ``others``, ``observed`` (pairs), ``expected``, ``excess``, ``low``,
            ``high``; missing where the logs are too short for a null. See `capi_lab.reconcile.chance`.
        """
        rows = []
        found = self.table.groupby(["channel", self.table["n_keys_agree"] > 0]).size()
        kinds = _EVIDENCE if self.keys else {"all": (True, False)}
        for stream in self.streams.itertuples(index=False):
            null = self.null[self.null["channel"] == stream.channel]
            keyed = null["person_key"].to_numpy("float64")
            counts = {True: keyed, False: null["pairs"].to_numpy("float64") - keyed}
            for evidence, parts in kinds.items():
                observed = int(sum(found.get((stream.channel, part), 0) for part in parts))
                null_counts = np.sum([counts[part] for part in parts], axis=0)
                exposure, sizes = null["exposure"].to_numpy("float64"), (int(stream.events), int(stream.others))
                figures = beyond_chance(observed, null_counts, exposure, self.level, sizes=sizes)
                rows.append((stream.channel, evidence, stream.events, stream.others, observed, *figures))
        names = ["channel", "evidence", "events", "others", "observed", "expected", "excess", "low", "high"]
        return pd.DataFrame(rows, columns=names)

    def __repr__(self) -> str:
        what = "events x conversions" if self.between == "ledger" else "browser x server events"
        agree = ", ".join(self.agree) or "nothing but time and name"
        lines = [
            f"Candidates, {what}, flagged and not merged: at most {self.within} apart, agreeing in {agree}; "
            f"keys compared: {', '.join(self.keys) or 'none'}"
        ]
        for row in self.summary().itertuples(index=False):
            lines.append(
                f"  {row.channel:<6} {row.evidence:<15}{row.observed:>9,} observed, "
                + (
                    f"{row.expected:,.1f} by chance: {row.excess:,.1f} beyond it "
                    f"({self.level:.0%} interval {row.low:,.1f} to {row.high:,.1f})"
                    if not np.isnan(row.expected)
                    else "chance not known: the logs overlap too briefly to shift one of them"
                )
            )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f'<pre style="font-family:monospace">{escape(repr(self))}</pre>'


def link_candidates(
    rec: Given,
    *,
    between: str = "ledger",
    within: timedelta = timedelta(minutes=10),
    agree: Sequence[str] | None = None,
    keys: Sequence[str] = ("email", "phone", "user_key", "external_id"),
    require_key: bool = False,
    shifts: Sequence[timedelta] | None = None,
    level: float = 0.95,
    platform: str = "meta",
) -> LinkCandidates:
    """Flag pairs that may be one conversion under unlike ids; merge nothing.

    Parameters
    ----------
    rec : Reconciled, or (conversions, events)
        The tables in any form `reconcile` takes.
    between : str
        ``"ledger"``: events no id tied × conversions their channel did not see. ``"channels"``: browser events without
        a server event of the same id or conversion × server events without a browser's.
    within : timedelta
        Farthest apart in ``event_time``; the bound counts as near.
    agree : sequence of str, optional
        Columns that must be there and equal on both sides; amounts to a thousandth. Default: ``value`` and
        ``currency``, as far as both tables have them. Leads without a value: ``agree=()``.
    keys : sequence of str
        A person's keys, compared by digest where the platform hashes them, so that raw and hashed values meet. A pair
        whose keys all differ is no candidate; one without comparable keys rests on time and value alone.
    require_key : bool
        Only pairs in which a key agrees.
    shifts : sequence of timedelta, optional
        For the null. Default: ten whole days each way, or equal steps in a log under three weeks.
    level : float
        Of the intervals.
    platform : str
        Where tables are given: whose dedup rule and names.

    Returns
    -------
    LinkCandidates

    Raises
    ------
    InputError
        A shift not longer than twice ``within``; ``level`` or ``within`` out of range.
    UnknownNameError
        A column of ``agree`` that not both sides have; no such ``between``.

    Notes
    -----
    What chance gives is counted by shifting the events in time and counting again (every true pair is then apart);
    a shift d meets the other stream in 1 − |d|/period of its time, and counts are weighed accordingly. For two steady
    independent streams the mean is sum over blocks of events × others × 2 within / period; days and hours with more
    traffic raise it, which whole-day shifts follow and that formula does not. People who order the same thing for the
    same price at the same hour every day would be taken for chance.
    """
    if between not in _SIDES:
        raise UnknownNameError("pair of streams", between, _SIDES)
    if within < timedelta(0) or not 0 < level < 1:
        raise InputError("within must not be negative, and level must lie between 0 and 1")
    near = microseconds(within)
    chosen = None if shifts is None else [microseconds(shift) for shift in shifts]
    refuse_near(chosen or [], near)
    parts = [
        _flag(streams, between, near, chosen, require_key=require_key)
        for streams in _SIDES[between](as_reconciled(rec, platform), agree, keys)
    ]
    return LinkCandidates(
        between=between,
        within=within,
        level=level,
        agree=parts[0].streams.agree,
        keys=parts[0].streams.keys,
        candidate_table=_stacked([part.candidates for part in parts]),
        block_table=_stacked([part.blocks for part in parts]),
        null=pd.concat([part.null for part in parts], ignore_index=True),
        streams=pd.DataFrame([part.size for part in parts]),
    )


@dataclass(frozen=True)
class _Part:
    streams: Streams
    candidates: ibis.Table
    blocks: ibis.Table
    null: pd.DataFrame
    size: dict[str, Any]


def _flag(streams: Streams, between: str, near: int, chosen: list[int] | None, *, require_key: bool) -> _Part:
    """Find one channel's candidates and count them again under every shift."""
    start, end = _common_period(streams, near)
    period = max(end - start, 0)
    left = streams.left.filter(streams.left.left_us.between(start, end))
    right = streams.right.filter(streams.right.right_us.between(start, end))
    shifts = default_shifts(period, near) if chosen is None else [d for d in chosen if abs(d) < period]
    on = streams.on
    pairs = _allowed(pairs_near(left, right, on, near), streams.keys, require_key=require_key)
    candidates = materialise(_candidates(pairs, streams, between))
    moved = left.cross_join(place_beside(pd.DataFrame({"shift": pd.Series(shifts or [0], dtype="int64")}), left))
    moved = moved.mutate(left_us=moved.left_us + moved["shift"]).drop("event_id")
    moved = moved if shifts else moved.limit(0)
    shifted = _allowed(pairs_near(moved, right, on, near), streams.keys, require_key=require_key)
    counts = materialise(
        shifted.group_by("shift", *on).aggregate(n=shifted.count(), keyed=(shifted.n_keys_agree > 0).sum())
    )
    per_shift = counts.group_by("shift").aggregate(pairs=counts.n.sum(), person_key=counts.keyed.sum())
    found = to_frame(per_shift).set_index("shift").reindex(shifts).fillna(0).astype("int64")
    weights = exposures(shifts, period)
    null = pd.DataFrame(
        {
            "channel": pd.Series([streams.channel] * len(shifts), dtype="str"),
            "shift": pd.to_timedelta(pd.Series(shifts, dtype="int64"), unit="us"),
            "exposure": weights,
            "pairs": found["pairs"].to_numpy(),
            "person_key": found["person_key"].to_numpy(),
        }
    )
    events, others = (int(to_frame(t.aggregate(n=t.count()))["n"].iloc[0]) for t in (left, right))
    size = {"channel": streams.channel, "events": events, "others": others, "days": period / DAY_US}
    blocks = _blocks(streams, left, right, pairs, counts, float(weights.sum()), 2 * near / max(period, 1))
    return _Part(streams, candidates, blocks, null, size)


def _common_period(streams: Streams, near: int) -> tuple[int, int]:
    """Return the stretch (microseconds) in which either stream can meet the other."""
    times = [
        to_frame(table.aggregate(low=table[name].min(), high=table[name].max())).iloc[0]
        for table, name in ((streams.left, "left_us"), (streams.right, "right_us"))
    ]
    if any(pd.isna(time["low"]) for time in times):
        return 0, -1
    return int(max(t["low"] for t in times)) - near, int(min(t["high"] for t in times)) + near


def _allowed(pairs: ibis.Table, keys: list[str], *, require_key: bool) -> ibis.Table:
    """Count keys that agree and differ; drop pairs whose keys speak against them, and pairs the ledger tells apart."""
    agree = [(pairs[f"x_{key}"] == pairs[f"y_{key}"]).fill_null(False) for key in keys]
    differ = [(pairs[f"x_{key}"] != pairs[f"y_{key}"]).fill_null(False) for key in keys]
    zero = ibis.literal(0).cast("int64")
    pairs = pairs.mutate(
        n_keys_agree=reduce(lambda a, b: a + b, [flag.cast("int64") for flag in agree], zero),
        keys_agree=_names(keys, agree),
        keys_differ=_names(keys, differ),
    )
    kept = pairs.n_keys_agree > 0 if require_key else (pairs.n_keys_agree > 0) | (pairs.keys_differ == "")
    return pairs.filter(kept & (pairs.own_conversion.isnull() | pairs.own.isnull()))


def _names(keys: list[str], flags: list[Any]) -> Any:
    text = ibis.literal("")
    for key, flag in zip(keys, flags, strict=True):
        text = text + ibis.ifelse(flag, f",{key}", "")
    return text.substr(1)


def _candidates(pairs: ibis.Table, streams: Streams, between: str) -> ibis.Table:
    mine = pairs.count().over(ibis.window(group_by=pairs.row_id))
    theirs = pairs.count().over(ibis.window(group_by=pairs.other_id))
    ids: dict[str, Any] = {"conversion_id": pairs.other_id}
    if between == "channels":
        ids = {"other_row_id": pairs.other_id, "conversion_id": ibis.coalesce(pairs.own_conversion, pairs.own)}
    return pairs.select(
        channel=ibis.literal(streams.channel),
        row_id=pairs.row_id,
        **ids,
        event_id=pairs.event_id,
        other_event_id=pairs.other_event_id,
        **streams.agreeing(pairs),
        seconds_apart=(pairs.left_us - pairs.right_us) / 1e6,
        keys_agree=pairs.keys_agree,
        keys_differ=pairs.keys_differ,
        n_keys_agree=pairs.n_keys_agree,
        rivals=mine + theirs - 2,
    )


def _blocks(
    streams: Streams,
    left: ibis.Table,
    right: ibis.Table,
    pairs: ibis.Table,
    counts: ibis.Table,
    weight: float,
    share: float,
) -> ibis.Table:
    """Count each block's streams, its candidates, and what chance gives, both ways."""
    on = streams.on
    blocks = left.group_by(on).aggregate(events=ibis._.count())
    blocks = blocks.join(right.group_by(on).aggregate(others=ibis._.count()), on)
    blocks = blocks.left_join(pairs.group_by(on).aggregate(observed=ibis._.count()), on)
    blocks = blocks.drop([name for name in blocks.columns if name.endswith("_right")])
    blocks = blocks.left_join(counts.group_by(on).aggregate(shifted=ibis._.n.sum()), on)
    blocks = blocks.drop([name for name in blocks.columns if name.endswith("_right")])
    expected = blocks.shifted.fill_null(0) / weight if weight > 0 else ibis.null("float64")
    return blocks.select(
        channel=ibis.literal(streams.channel),
        event_name="meant",
        **streams.agreeing(blocks),
        events="events",
        others="others",
        observed=blocks.observed.fill_null(0),
        expected=expected,
        expected_uniform=(blocks.events * blocks.others).cast("float64") * share,
    )


def _stacked(tables: list[ibis.Table]) -> ibis.Table:
    return ibis.union(*tables) if len(tables) > 1 else tables[0]
