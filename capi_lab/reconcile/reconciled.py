"""Lay two channels' events beside the ledger and replay what the platform would count."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

import ibis
import pandas as pd

from capi_lab.engine import TableLike, as_table, materialise, same_backend, to_frame
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.platforms import platform as platform_named
from capi_lab.platforms.rules import DedupRule
from capi_lab.reconcile.causes import pair_table
from capi_lab.reconcile.declared import tied_by_declared
from capi_lab.reconcile.dedup import dedup_readings, mark
from capi_lab.reconcile.link import linked
from capi_lab.tables import CONVERSIONS, EVENTS
from capi_lab.words import Channel, Outcome

__all__ = ["Reconciled", "reconcile"]


@dataclass(frozen=True, repr=False)
class Reconciled:
    """A ledger with what each channel saw of it, and what the platform would count.

    Parameters
    ----------
    platform : str
    same_channel : bool
        Which reading of the platform's undocumented rule was replayed.
    event_table, conversion_table : Ibis table
        The results where they lie; `events` and `conversions` are the same in pandas.
    rule : DedupRule
        What was replayed.
    report_table : Ibis table
        The events as they came, for `readings`.
    route : str or None
        Whose rule, where the platform's routes differ.
    left_out : int
        Events that belong to other platforms and take no part.
    sampled : tuple of str
        Channels whose log is a sample.
    order : dict
        Ids of the caller's frames in their order, where frames were given: ``{"events": ..., "conversions": ...}``.
    event_names : dict
        What names of the caller's own mean, as given to `reconcile`.
    """

    platform: str
    same_channel: bool
    event_table: ibis.Table
    conversion_table: ibis.Table
    rule: DedupRule
    report_table: ibis.Table | None = None
    route: str | None = None
    left_out: int = 0
    sampled: tuple[str, ...] = ()
    order: Mapping[str, pd.Series] = field(default_factory=dict)
    event_names: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def events(self) -> pd.DataFrame:
        """Events with ``kept``, ``drop_reason``, ``duplicate_of``, ``conversion_id`` and ``link``."""
        return self._in_order(to_frame(self.event_table), "events", "row_id")

    @cached_property
    def conversions(self) -> pd.DataFrame:
        """The ledger with ``seen_pixel``, ``seen_capi`` (bool) and ``counted``.

        The last is how many of its events the platform would count, of the channels the rule reads: the server's
        alone, for a route that knows no pixel.
        """
        return self._in_order(to_frame(self.conversion_table), "conversions", "conversion_id")

    @cached_property
    def pair_table(self) -> ibis.Table:
        """`pairs` where they lie; worked out when first asked for."""
        found = pair_table(
            self.conversion_table, self.event_table, self.rule, same_channel=self.same_channel, sampled=self.sampled
        )
        return materialise(found)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Conversions seen by both channels, by id: what became of each, what is wrong with it, and the evidence.

        ``conversion_id``, ``counted``, ``outcome`` (see `capi_lab.words.Outcome`), ``cause`` (see
        `capi_lab.words.PairCause`; missing where nothing is wrong), and the two reports the verdict rests on:
        ``first_`` and ``second_`` ``row_id``, ``channel``, ``event_name``, ``id`` (of the dedup key), ``value``,
        ``currency``; ``clock_difference`` and ``time_difference`` (second minus first, in seconds: of the clock the
        rule reads, and of ``event_time``), ``value_difference``; ``ledger_value``, ``ledger_currency``;
        ``counted_value`` (what the platform counts); ``other_row_id``, ``other_conversion_id`` (the order that has the
        same id). A pair that is deduplicated can have a cause: the count is right, the reports are not.
        """
        return to_frame(self.pair_table.order_by("conversion_id"))

    @cached_property
    def causes(self) -> pd.DataFrame:
        """Pairs by ``outcome`` and ``cause``: ``k`` of ``n``, the conversions both channels saw; most frequent first.

        For intervals see `capi_lab.pair_causes`.
        """
        pairs = self.pair_table
        table = to_frame(pairs.group_by("outcome", "cause").aggregate(k=pairs.count()))
        table = table.sort_values(["k", "outcome", "cause"], ascending=[False, True, True], ignore_index=True)
        return table.assign(n=table["k"].sum())

    def _in_order(self, frame: pd.DataFrame, table: str, key: str) -> pd.DataFrame:
        """Put rows where the caller had them; engines promise no order."""
        if table not in self.order:
            return frame
        return frame.set_index(key, drop=False).loc[self.order[table]].reset_index(drop=True)

    @cached_property
    def readings(self) -> pd.DataFrame:
        """Events kept under both readings of what the platform does not document; see `capi_lab.dedup_readings`.

        `InputError` where this result does not hold the events it was made from.
        """
        if self.report_table is None:
            raise InputError("this result does not hold the events it was made from")
        return dedup_readings(self.report_table, self.platform, route=self.route)

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """Channels of which the log holds an event; one that it lacks was not watched, or is not there."""
        found = set(to_frame(self.event_table.select("channel").distinct())["channel"])
        return tuple(channel for channel in Channel if channel in found)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Totals: conversions, seen by whom, events, linked, kept, and pairs by outcome."""
        ledger, events, pairs = self.conversion_table, self.event_table, self.pair_table
        totals = to_frame(
            ledger.aggregate(
                conversions=ledger.count(),
                seen_pixel=ledger.seen_pixel.sum(),
                seen_capi=ledger.seen_capi.sum(),
                seen_both=(ledger.seen_pixel & ledger.seen_capi).sum(),
                seen_none=(~ledger.seen_pixel & ~ledger.seen_capi).sum(),
                counted=ledger.counted.sum(),
            )
        ).iloc[0]
        seen = to_frame(
            events.aggregate(
                events=events.count(),
                linked=events.conversion_id.notnull().sum(),
                kept=events.kept.sum(),
                other_name=events.other_name.sum(),
            )
        ).iloc[0]
        outcomes = to_frame(pairs.group_by("outcome").aggregate(n=pairs.count())).set_index("outcome")["n"]
        counts = {name: int(n) for name, n in {**totals, **seen}.items() if not pd.isna(n)}
        return counts | {str(outcome): int(outcomes.get(str(outcome), 0)) for outcome in Outcome}

    def __repr__(self) -> str:
        s = self.summary
        n = s["conversions"]

        def share(k: int) -> str:
            return f"{k:>12,}  {k / n:7.1%}" if n else f"{k:>12,}"

        lines = [
            f"Reconciled for {self.platform}: {n:,} conversions, {s['events']:,} events ({s['linked']:,} linked)",
            f"  seen by the pixel        {share(s.get('seen_pixel', 0))}",
            f"  seen by the server       {share(s.get('seen_capi', 0))}",
            f"  seen by both             {share(s.get('seen_both', 0))}",
            f"  seen by neither          {share(s.get('seen_none', 0))}",
            f"  pairs deduplicated       {s['deduplicated']:>12,}",
            f"  pairs double-counted     {s['double_counted']:>12,}",
            f"  pairs over-merged        {s['over_merged']:>12,}",
        ]
        if s["unknown"]:
            lines.append(f"  pairs not to be judged   {s['unknown']:>12,}")
        if s.get("other_name"):
            lines.append(
                f"  {s['other_name']:,} events carry an order's id under a name that means something else; if it means "
                "the same, say so with event_names={'theirs': 'ours'}"
            )
        if self.left_out:
            lines.append(f"  events of other platforms, left out {self.left_out:,}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from html import escape

        return f'<pre style="font-family:monospace">{escape(repr(self))}</pre>'


def reconcile(
    conversions: TableLike,
    events: TableLike,
    platform: str = "meta",
    *,
    same_channel: bool | None = None,
    event_names: Mapping[str, str] | None = None,
    route: str | None = None,
    fallbacks: Sequence[Sequence[str]] = (),
    fallback_within: timedelta = timedelta(hours=1),
    sampled: Collection[str] = (),
) -> Reconciled:
    """Lay the events of both channels beside the ledger.

    Parameters
    ----------
    conversions, events : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        Contracts ``conversions`` and ``events``. Events whose ``platform`` is another one take no part.
    platform : str
        Whose dedup rule is replayed.
    same_channel : bool, optional
        As for `capi_lab.dedup`.
    event_names : mapping, optional
        What names of your own mean: ``{"our_purchase": "purchase"}``. The platform's standard names, in any
        spelling, and the ledger's own names are understood.
    route : str, optional
        As for `capi_lab.dedup`.
    fallbacks : sequence of sequences of str
        Keys that tie an event to a conversion where no id does, in this order: ``[("email",), ("fbclid", "value")]``.
        Compared exactly, and only where they leave no choice on either side; ``link`` is then ``declared_key`` and
        ``link_keys`` names the columns. Default: none, nothing is tied by looking alike.
    fallback_within : timedelta
        How far apart in ``event_time`` a declared key may tie.
    sampled : collection of str
        Channels whose log is a sample of what was sent, e.g. ``["pixel"]``. A pair's outcome and cause are then
        ``unknown`` unless two reports prove them, whatever was left out.

    Returns
    -------
    Reconciled

    Raises
    ------
    ContractError
        A table breaks its contract.
    InputError
        The ledger is empty.
    UnknownNameError
        No such platform; a column of ``fallbacks`` that not both tables have; ``sampled`` names no channel.

    Notes
    -----
    A conversion counts as seen by a channel when at least one of that channel's events is linked to it,
    kept or not.
    """
    spec = platform_named(platform).spec
    rule = spec.route(route).dedup
    ledger = as_table(conversions, CONVERSIONS, beside=events if isinstance(events, ibis.Table) else None)
    reports = as_table(events, EVENTS, beside=ledger)
    same_backend(ledger, reports)
    absent = {name: ibis.null("string") for name in ("event_id", "conversion_id") if name not in reports.columns}
    reports = reports.mutate(**absent) if absent else reports
    left_out = 0
    if "platform" in reports.columns:
        foreign = reports.platform.notnull() & (reports.platform != platform)
        left_out = int(to_frame(reports.aggregate(n=foreign.sum()))["n"].fillna(0).iloc[0])
        reports = reports.filter(~foreign) if left_out else reports
    if int(to_frame(ledger.aggregate(n=ledger.count()))["n"].iloc[0]) == 0:
        raise InputError("the ledger has no conversions: nothing to reconcile")
    _refuse_strange_channels(sampled)
    chosen = rule.merges_same_channel if same_channel is None else same_channel
    marked = materialise(linked(mark(reports, rule, same_channel=chosen), ledger, spec, event_names or {}))
    if fallbacks:
        marked = materialise(tied_by_declared(marked, ledger, spec, event_names or {}, fallbacks, fallback_within))
    seen = materialise(_seen(ledger, marked, rule))
    order = {}
    if isinstance(conversions, pd.DataFrame):
        order["conversions"] = conversions["conversion_id"]
    if isinstance(events, pd.DataFrame) and not left_out:
        order["events"] = events["row_id"]
    return Reconciled(
        platform=platform,
        same_channel=chosen,
        event_table=marked,
        conversion_table=seen,
        rule=rule,
        sampled=tuple(sampled),
        report_table=reports,
        route=route,
        left_out=left_out,
        order=order,
        event_names=dict(event_names or {}),
    )


def _seen(ledger: ibis.Table, events: ibis.Table, rule: DedupRule) -> ibis.Table:
    """Add seen_pixel, seen_capi and counted to the ledger; a channel the rule does not read counts nothing."""
    reports = events.filter(events.conversion_id.notnull())
    per = reports.group_by(seen_id=reports.conversion_id).aggregate(
        seen_pixel=(reports.channel == str(Channel.PIXEL)).any(),
        seen_capi=(reports.channel == str(Channel.CAPI)).any(),
        counted=(reports.kept & reports.channel.isin([str(channel) for channel in rule.channels])).sum().cast("int64"),
    )
    joined = ledger.drop(*[c for c in ("seen_pixel", "seen_capi", "counted") if c in ledger.columns]).left_join(
        per, [("conversion_id", "seen_id")]
    )
    return joined.mutate(
        seen_pixel=joined.seen_pixel.fill_null(False),
        seen_capi=joined.seen_capi.fill_null(False),
        counted=joined.counted.fill_null(0),
    ).drop("seen_id")


def _refuse_strange_channels(sampled: Collection[str]) -> None:
    for name in sampled:
        if name not in tuple(Channel):
            raise UnknownNameError("channel", name, [str(channel) for channel in Channel])
