"""What became of each conversion both channels reported, and what is wrong with it where something is.

Each verdict rests on two reports, ``first`` and ``second``: of two that are counted, the first kept of either channel;
else the kept one and its copy. The browser's is ``first``; of two reports of one channel, the earlier. They are
compared by the parts of the platform's own dedup key, so that one diagnosis serves every rule. What two reports do not
show is ``unknown``.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any

import ibis

from capi_lab.engine import epoch_microseconds
from capi_lab.platforms.rules import DedupRule
from capi_lab.reconcile.beside import (
    beside_each_other,
    carried,
    id_columns,
    key_id,
    reports_of,
    seen_by_both,
    shared_with_others,
    with_several_ids,
)
from capi_lab.reconcile.ids import differ_by_padding, differ_by_prefix
from capi_lab.words import Channel, Outcome, PairCause

__all__ = ["CLOCK_TOLERANCE", "EVIDENCE", "VALUE_TOLERANCE", "pair_table"]

CLOCK_TOLERANCE = timedelta(minutes=5)
"""Clocks that differ by less are no finding: browsers run minutes off, orders are booked while they are paid."""

VALUE_TOLERANCE = 0.005
"""Amounts that differ by less, in major units, differ by rounding."""

EVIDENCE = (
    "first_row_id", "second_row_id", "first_channel", "second_channel", "first_event_name", "second_event_name",
    "first_id", "second_id", "clock_difference", "time_difference", "first_value", "second_value", "value_difference",
    "ledger_value", "counted_value", "first_currency", "second_currency", "ledger_currency",
    "other_row_id", "other_conversion_id",
)  # fmt: skip
"""The columns a diagnosis rests on; none of them tells who the person is."""

# What two reports alone prove, whatever else a sampled log leaves out.
_SEEN_IN_TWO = (
    PairCause.MISSING_EVENT_ID, PairCause.ID_TYPE_OR_PADDING, PairCause.ID_PREFIX_OR_CASE,
    PairCause.EVENT_NAME_DIFFERS, PairCause.ID_REUSED, PairCause.NEW_ID_ON_RELOAD,
    PairCause.PIXEL_AFTER_SERVER_FALLBACK,
)  # fmt: skip


def pair_table(
    ledger: ibis.Table, events: ibis.Table, rule: DedupRule, *, same_channel: bool, sampled: Collection[str] = ()
) -> ibis.Table:
    """Diagnose every conversion both channels reported.

    Parameters
    ----------
    ledger : Ibis table
        With ``seen_pixel``, ``seen_capi`` and ``counted``.
    events : Ibis table
        Marked by the rule and linked to the ledger.
    rule : DedupRule
        The one the events are marked by. Where it reads one channel only, the reports of that channel are judged.
    same_channel : bool
        The reading the events are marked by.
    sampled : collection of str
        Channels whose log is a sample. Then a verdict stands only where two reports prove it.

    Returns
    -------
    Ibis table
        ``conversion_id``, ``counted``, ``outcome``, ``cause``, and the
        columns of `EVIDENCE`. Differences are the second report's minus the first's: ``clock_difference`` of the
        clock the rule reads, ``time_difference`` of ``event_time``, in seconds.
    """
    both = seen_by_both(ledger)
    linked = events.filter(events.conversion_id.notnull())
    linked = linked.filter(linked.channel.isin([str(channel) for channel in rule.channels]))
    absent = {carried(name) for name in (*id_columns(rule), "event_id")} - set(linked.columns)
    linked = linked.mutate(**{name: ibis.null("string") for name in sorted(absent)})
    both = both.cross_join(linked.aggregate(ids_in_log=key_id(linked, rule).count()))
    reports = reports_of(linked, both, rule)
    repeats = reports.group_by("conversion_id", "channel").aggregate(n=ibis._.count()).filter(ibis._.n > 1)
    several, plain = reports.semi_join(repeats, "conversion_id"), reports.anti_join(repeats, "conversion_id")
    pairs = beside_each_other(both, plain, several, rule)
    facts = _facts(pairs, rule, same_channel=same_channel)
    again = with_several_ids(several).rename(again_id="conversion_id")
    other = shared_with_others(pairs, linked, ledger, rule).rename(other_id="conversion_id")
    facts = facts.left_join(again, facts.conversion_id == again.again_id)
    facts = facts.left_join(other, facts.conversion_id == other.other_id)
    return _verdicts(facts, sampled=bool(sampled))


# -- the verdict ---------------------------------------------------------------------------------------------


def _facts(pairs: ibis.Table, rule: DedupRule, *, same_channel: bool) -> ibis.Table:
    """Add what the two reports show, each fact a column."""
    currency, value = _money_differs(pairs)
    facts = _compared_ids(pairs, rule) | {
        "too_early": _fallback_came_too_early(pairs, rule),
        "names_differ": _names_differ(pairs, rule),
        "times_differ": _times_differ(pairs, rule),
        "too_far": _too_far_apart(pairs, rule, same_channel=same_channel),
        "skewed": _skewed(pairs),
        "currency_differs": currency,
        "value_differs": value,
        "copies": pairs.first_copy_of == pairs.second_copy_of,
        "no_receipt": pairs.first_received.isnull() | pairs.second_received.isnull(),
    }
    shown = id_columns(rule)[0] in ("event_id", "conversion_id")
    return pairs.select(
        "conversion_id",
        "counted",
        "ids_in_log",
        *(name for name in EVIDENCE if name in pairs.columns),
        clock_difference=_clock_difference(pairs),
        time_difference=_time_difference(pairs),
        first_id=pairs.first_k0 if shown else ibis.null("string"),
        second_id=pairs.second_k0 if shown else ibis.null("string"),
        value_difference=pairs.second_value - pairs.first_value,
        counted_value=_counted_value(pairs),
        **{name: fact.fill_null(name == "copies") for name, fact in facts.items()},
    )


def _verdicts(pairs: ibis.Table, *, sampled: bool) -> ibis.Table:
    """Name the outcome and the cause."""
    tied_up = pairs.other_row_id.notnull()
    by_id = pairs.by_id.fill_null(False)
    silent = (pairs.counted > 1) & pairs.both_lacking & (pairs.no_receipt | (pairs.ids_in_log == 0))
    twice = _first_of(
        (silent, PairCause.UNKNOWN),
        (pairs.lacking & pairs.too_early, PairCause.PIXEL_AFTER_SERVER_FALLBACK),
        (pairs.lacking, PairCause.MISSING_EVENT_ID),
        (pairs.unlike & by_id, PairCause.ID_REUSED),
        (pairs.unlike & pairs.again.fill_null(False), PairCause.NEW_ID_ON_RELOAD),
        (pairs.unlike, PairCause.UNKNOWN),
        (pairs.padded, PairCause.ID_TYPE_OR_PADDING),
        (pairs.prefixed, PairCause.ID_PREFIX_OR_CASE),
        (pairs.names_differ, PairCause.EVENT_NAME_DIFFERS),
        (pairs.times_differ | (pairs.too_far & pairs.skewed), PairCause.CLOCK_SKEW),
        (pairs.too_far, PairCause.OUTSIDE_WINDOW),
        otherwise=PairCause.UNKNOWN,
    )
    once = _first_of(
        (tied_up & by_id, PairCause.ID_REUSED),
        (tied_up | pairs.lacking, PairCause.MISSING_EVENT_ID),
        (~pairs.copies, PairCause.UNKNOWN),
        (pairs.currency_differs, PairCause.CURRENCY_DIFFERS),
        (pairs.value_differs, PairCause.VALUE_DIFFERS),
        (pairs.skewed, PairCause.CLOCK_SKEW),
        otherwise=None,
    )
    never = _first_of(
        (tied_up & by_id, PairCause.ID_REUSED),
        (tied_up, PairCause.MISSING_EVENT_ID),
        otherwise=PairCause.UNKNOWN,
    )
    cause = ibis.cases((pairs.counted == 0, never), (pairs.counted == 1, once), else_=twice)
    vague = silent
    if sampled:  # a report that was left out may absorb one of these, or be counted beside them
        vague = ~((pairs.counted > 1) & twice.isin([str(cause) for cause in _SEEN_IN_TWO]))
    outcome = ibis.cases(
        (vague, str(Outcome.UNKNOWN)),
        (pairs.counted == 1, str(Outcome.DEDUPLICATED)),
        (pairs.counted > 1, str(Outcome.DOUBLE_COUNTED)),
        else_=str(Outcome.OVER_MERGED),
    )
    cause = ibis.ifelse(vague, str(PairCause.UNKNOWN), cause)
    return pairs.select("conversion_id", "counted", outcome.name("outcome"), cause.name("cause"), *EVIDENCE)


def _first_of(*cases: tuple[Any, PairCause], otherwise: PairCause | None) -> Any:
    """Return the cause of the first case that holds."""
    last = ibis.null("string") if otherwise is None else str(otherwise)
    return ibis.cases(*((holds, str(cause)) for holds, cause in cases), else_=last)


def _seconds(first: Any, second: Any) -> Any:
    return (epoch_microseconds(second) - epoch_microseconds(first)) / 1_000_000


def _clock_difference(pairs: ibis.Table) -> Any:
    return _seconds(pairs.first_clock, pairs.second_clock)


def _time_difference(pairs: ibis.Table) -> Any:
    return _seconds(pairs.first_happened, pairs.second_happened)


def _compared_ids(pairs: ibis.Table, rule: DedupRule) -> dict[str, Any]:
    """Compare the two reports id by id.

    A rule in which missing values match takes two missing ids for equal; without any of them there is no key.
    """
    there = pairs.second_row_id.notnull()
    one_only = unlike = padded = prefixed = ibis.literal(value=False)
    lacks: dict[str, Any] = {}
    for side in ("first", "second"):
        parts = [pairs[f"{side}_k{i}"].isnull() for i in range(len(id_columns(rule)))]
        lacks[side] = ibis.and_(*parts) if rule.missing_matches else ibis.or_(*parts)
    for i, name in enumerate(id_columns(rule)):
        a, b = (tuple(pairs[f"{side}_{form}{i}"] for form in "kuc") for side in ("first", "second"))
        if name in rule.missing_matches:
            one_only = one_only | (a[0].isnull() != b[0].isnull())
        same = (a[0].lower() == b[0].lower()) if name in rule.blind_to_case else (a[0] == b[0])
        differs = ~same.fill_null(True)
        padding, prefix = differ_by_padding(a, b), differ_by_prefix(a, b)
        padded = padded | (differs & padding)
        prefixed = prefixed | (differs & ~padding & prefix)
        unlike = unlike | (differs & ~padding & ~prefix)
    return {
        "lacking": there & (lacks["first"] | lacks["second"] | one_only),
        "both_lacking": lacks["first"] & lacks["second"],
        "unlike": unlike,
        "padded": padded,
        "prefixed": prefixed,
    }


def _names_differ(pairs: ibis.Table, rule: DedupRule) -> Any:
    a, b = pairs.first_event_name, pairs.second_event_name
    if "event_name" not in rule.key:
        return ibis.literal(value=False)
    return (a.lower() != b.lower()) if "event_name" in rule.blind_to_case else (a != b)


def _times_differ(pairs: ibis.Table, rule: DedupRule) -> Any:
    return pairs.first_happened != pairs.second_happened if "event_time" in rule.key else ibis.literal(value=False)


def _too_far_apart(pairs: ibis.Table, rule: DedupRule, *, same_channel: bool) -> Any:
    if rule.window is None:
        return ibis.literal(value=False)
    comparable = (pairs.first_channel != pairs.second_channel) | ibis.literal(same_channel)
    return comparable & (_clock_difference(pairs).abs() > rule.window.total_seconds())


def _skewed(pairs: ibis.Table) -> Any:
    """Find reported times that differ, one of them impossible: before the order, or after its own receipt."""
    tolerance = round(CLOCK_TOLERANCE.total_seconds())
    apart = _time_difference(pairs).abs() > tolerance
    impossible = ibis.literal(value=False)
    for side in ("first", "second"):
        happened, received = pairs[f"{side}_happened"], pairs[f"{side}_received"]
        impossible = impossible | (_seconds(pairs.ledger_time, happened) < -tolerance)
        impossible = impossible | (_seconds(received, happened) > tolerance).fill_null(False)
    return apart & impossible


def _fallback_came_too_early(pairs: ibis.Table, rule: DedupRule) -> Any:
    """Find pairs the fallback would have merged, had they come the other way round."""
    if rule.fallback is None:
        return ibis.literal(value=False)
    window = rule.fallback.window or rule.window
    ahead = -1 if rule.fallback.first is Channel.PIXEL else 1  # the pixel's report is the first of the two
    leads, late = ("first", "second") if ahead == -1 else ("second", "first")
    gap = _clock_difference(pairs) * ahead
    found = (pairs.first_channel != pairs.second_channel) & (pairs.first_event_name == pairs.second_event_name)
    found = found & (gap > 0)
    if window is not None:
        found = found & (gap <= window.total_seconds())
    if rule.fallback.needs_no_id:
        found = found & pairs[f"{late}_k0"].isnull()
    person, undecided = ibis.literal(value=False), ibis.literal(value=True)
    for i in range(len(rule.fallback.keys)):
        a, b = pairs[f"{leads}_f{i}"], pairs[f"{late}_f{i}"]
        carried = a.notnull() & b.notnull()
        person = person | (undecided & carried & (a == b))
        undecided = undecided & ~carried
    return found & person


def _money_differs(pairs: ibis.Table) -> tuple[Any, Any]:
    """Find reports that disagree with the ledger or with each other: by currency, by value."""
    currency, value = ibis.literal(value=False), ibis.literal(value=False)
    for a, b in (("first", "ledger"), ("second", "ledger"), ("first", "second")):
        currency = currency | (pairs[f"{a}_currency"] != pairs[f"{b}_currency"].upper()).fill_null(False)
        gap = (pairs[f"{a}_value"] - pairs[f"{b}_value"]).abs() > VALUE_TOLERANCE
        value = value | gap.fill_null(False)
    return currency, value


def _counted_value(pairs: ibis.Table) -> Any:
    """Return the value the platform counts: the kept report's, or what that takes over from its copy."""
    first = ibis.ifelse(pairs.first_takes_value, pairs.second_value.fill_null(pairs.first_value), pairs.first_value)
    second = ibis.ifelse(pairs.second_takes_value, pairs.first_value.fill_null(pairs.second_value), pairs.second_value)
    one = ibis.cases((pairs.first_kept, first), (pairs.second_kept, second), else_=ibis.null("float64"))
    return ibis.ifelse(pairs.counted == 1, one, ibis.null("float64"))
