"""The last click before a conversion, as one Ibis expression.

For each platform that may claim a conversion, clicks are tied to it by click id where it carries one that stands in
the clicks, else by the first of the keys (own user id, browser id ...) under which a click lies inside the window; the
latest of the platforms' claims is the answer. Each tie asks the same: the greatest (time, row id) of the clicks with an
equal key that is not later than the conversion. Engines that join as-of on such a pair do that; the others run one
ordered window over all asks and clicks. Times are microseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import ibis

from capi_lab.engine import epoch_microseconds
from capi_lab.platforms.rules import Wrapped
from capi_lab.reconcile.by_key import microseconds
from capi_lab.words import Tie

__all__ = [
    "NO_CLICK",
    "RESULT",
    "Claim",
    "IdTie",
    "Level",
    "Spelling",
    "answered",
    "first_given",
    "last_clicks",
    "levels",
    "row_of",
    "time_of",
]

RESULT = ("attributed", "click_row_id", "click_platform", "tied_by", "lag")
"""The columns `last_clicks` adds, in this order."""

# A click as one text: its time as 19 digits, then its row id. Such texts sort like (time, row id). Room is left for the
# years -90,000 to 160,000: who takes milliseconds for seconds has clicks in the year 58,000.
_DIGITS, _SHIFT = 19, 4_000_000_000_000_000_000
NO_CLICK = ""
"""No click, in the form of `answered`; less than any."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """A column or parameter that holds a click id, bare or inside another id."""

    name: str
    wraps: Wrapped | None = None

    def read(self, value: Any) -> Any:
        """Return the click id in a value; missing where there is none."""
        value = value.nullif("")
        return value if self.wraps is None else value.re_extract(self.wraps.pattern, 1).nullif("")


@dataclass(frozen=True, slots=True)
class IdTie:
    """One click id: the conversions' columns and the clicks' parameters it stands in."""

    columns: tuple[Spelling, ...]
    params: tuple[Spelling, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """What lets one platform claim a conversion.

    Parameters
    ----------
    platform : str
    window : timedelta
        From click to conversion.
    includes_end : bool
        Does a conversion exactly one window later count?
    ids : tuple of IdTie
    params : tuple of str
        The clicks that count: those of these parameters.
    """

    platform: str
    window: timedelta
    includes_end: bool
    ids: tuple[IdTie, ...]
    params: tuple[str, ...]

    @property
    def longest(self) -> int:
        """The longest lag inside the window, in microseconds."""
        return microseconds(self.window) - (not self.includes_end)


@dataclass(frozen=True, slots=True)
class Level:
    """One tie of one claim: what the conversions ask for, and the clicks that can answer.

    Parameters
    ----------
    claim : Claim
    word : str
        What ``tied_by`` says.
    asked : Ibis value
        The key, a column of the conversions.
    clicks : Ibis table
        ``click_row_id``, ``click_time`` and ``key`` (may be missing).
    """

    claim: Claim
    word: str
    asked: Any
    clicks: ibis.Table


def levels(conversions: ibis.Table, clicks: ibis.Table, claim: Claim, keys: Sequence[str]) -> list[Level]:
    """Return a claim's ties, strongest first."""
    mine = clicks.filter(clicks.platform == claim.platform, clicks.param.isin(claim.params))

    def keyed(key: Any) -> ibis.Table:
        return mine.select("click_row_id", "click_time", key=key)

    found = []
    for tie in claim.ids:
        bare = ibis.cases(*[(mine.param == one.name, one.read(mine.click_id)) for one in tie.params])
        found += [Level(claim, str(Tie.CLICK_ID), one.read(conversions[one.name]), keyed(bare)) for one in tie.columns]
    return found + [Level(claim, key, conversions[key].nullif(""), keyed(mine[key].nullif(""))) for key in keys]


def last_clicks(
    conversions: ibis.Table, clicks: ibis.Table, claims: Sequence[Claim], keys: Sequence[str], *, asof: bool
) -> ibis.Table:
    """Add `RESULT` to conversions; ``lag`` in microseconds (int64).

    Parameters
    ----------
    conversions, clicks : Ibis table
        Checked against their contracts.
    claims : sequence of Claim
    keys : sequence of str
        Columns of both tables, strongest first.
    asof : bool
        Does the engine join as-of on a (time, row id) pair? `capi_lab.engine.joins_asof` says so.

    Returns
    -------
    Ibis table
        Same rows. Where several clicks are equally late, the greatest ``click_row_id`` is the last.
    """
    conversions = conversions.drop(*[name for name in RESULT if name in conversions.columns])
    ties = [level for claim in claims for level in levels(conversions, clicks, claim, keys)]
    if not ties:
        nothing = {name: ibis.null("string") for name in RESULT[1:4]}
        return conversions.mutate(attributed=ibis.literal(value=False), **nothing, lag=ibis.null("int64"))
    table = answered(conversions, ties, asof=asof)
    # What each tie gives inside the window; then each platform's claim; then the latest of those.
    given: dict[str, list[tuple[str, Any]]] = {claim.platform: [] for claim in claims}
    for i, tie in enumerate(ties):
        given[tie.claim.platform].append((tie.word, table[f"_lc_{i}"]))
    table = table.mutate(_lc_best=_latest([_claimed(found) for found in given.values() if found]))
    best = table._lc_best
    row = row_of(best)
    from_tie = [(best == table[f"_lc_{i}"], tie) for i, tie in enumerate(ties)]
    none = ibis.null("string")
    return table.select(
        *conversions.columns,
        attributed=row.notnull(),
        click_row_id=row,
        click_platform=row.notnull().ifelse(ibis.cases(*[(same, tie.claim.platform) for same, tie in from_tie]), none),
        tied_by=row.notnull().ifelse(ibis.cases(*[(same, tie.word) for same, tie in from_tie]), none),
        lag=table._lc_at - time_of(best),
    )


def answered(conversions: ibis.Table, ties: Sequence[Level], *, asof: bool) -> ibis.Table:
    """Ask each tie for its click.

    Returns
    -------
    Ibis table
        The conversions with ``_lc_at``, their time in microseconds, and ``_lc_0``, ``_lc_1`` ...: each tie's last click
        inside its window, as `row_of` and `time_of` read it; ``""`` where there is none.
    """
    asks = conversions.mutate(
        _lc_at=epoch_microseconds(conversions.event_time), **{f"_lc_ask{i}": tie.asked for i, tie in enumerate(ties)}
    )
    table = (_by_asof if asof else _by_window)(asks, ties)
    return table.mutate(
        **{
            f"_lc_{i}": ibis.ifelse(
                table[f"_lc_{i}"] >= _digits(table._lc_at - tie.claim.longest), table[f"_lc_{i}"], NO_CLICK
            ).fill_null(NO_CLICK)
            for i, tie in enumerate(ties)
        }
    )


def row_of(click: Any) -> Any:
    """Return a click's row id; missing for `NO_CLICK`."""
    return click.substr(_DIGITS).nullif("")


def time_of(click: Any) -> Any:
    """Return a click's time in microseconds; missing for `NO_CLICK`."""
    return click.substr(0, _DIGITS).nullif("").cast("int64") - _SHIFT


def _digits(at: Any) -> Any:
    return (at + _SHIFT).cast("string")


def _latest(clicks: Sequence[Any]) -> Any:
    return ibis.greatest(*clicks) if len(clicks) > 1 else clicks[0]


def _claimed(found: Sequence[tuple[str, Any]]) -> Any:
    """Return one platform's click: the latest of those its ids name, else that of the first key that gives one."""
    named = [click for word, click in found if word == Tie.CLICK_ID]
    return first_given(([_latest(named)] if named else []) + [click for word, click in found if word != Tie.CLICK_ID])


def first_given(clicks: Sequence[Any]) -> Any:
    """Return the first of several answers that is a click."""
    return ibis.cases(*[(click != NO_CLICK, click) for click in clicks], else_=NO_CLICK)


def _by_asof(asks: ibis.Table, ties: Sequence[Level]) -> ibis.Table:
    """Add each tie's click as ``_lc_0``, ``_lc_1`` ... by joins on the pair itself.

    No id is empty, so nothing of the next microsecond is before that microsecond with an empty id.
    """
    asks = asks.mutate(_lc_asked=ibis.struct({"at": asks._lc_at + 1, "row": ibis.literal("")}))
    joined = asks
    for i, tie in enumerate(ties):
        clicks = tie.clicks.filter(tie.clicks.key.notnull())
        pair = ibis.struct({"at": epoch_microseconds(clicks.click_time), "row": clicks.click_row_id})
        given = clicks.select(**{f"_lc_key{i}": clicks.key, f"_lc_pair{i}": pair})
        same = asks[f"_lc_ask{i}"] == given[f"_lc_key{i}"]
        joined = joined.asof_join(given, on=asks._lc_asked >= given[f"_lc_pair{i}"], predicates=[same])
    pairs = [joined[f"_lc_pair{i}"] for i in range(len(ties))]
    return joined.mutate(**{f"_lc_{i}": _digits(pair["at"]) + pair["row"] for i, pair in enumerate(pairs)})


def _by_window(asks: ibis.Table, ties: Sequence[Level]) -> ibis.Table:
    """Add the same by one run over all streams in order of time, clicks first, that carries the greatest along."""
    streams = []
    for i, tie in enumerate(ties):
        clicks = tie.clicks.filter(tie.clicks.key.notnull())
        clicks = clicks.mutate(at=epoch_microseconds(clicks.click_time))
        asking = asks.filter(asks[f"_lc_ask{i}"].notnull())
        tie_number = ibis.literal(i, "int64")
        streams.append(
            asking.select(
                _lc_id=asking.conversion_id,
                tie=tie_number,
                key=asking[f"_lc_ask{i}"],
                at=asking._lc_at,
                packed=ibis.null("string"),
            )
        )
        packed = _digits(clicks.at) + clicks.click_row_id
        streams.append(
            clicks.select(_lc_id=ibis.null("string"), tie=tie_number, key=clicks.key, at=clicks.at, packed=packed)
        )
    stream = ibis.union(*streams)
    frame = ibis.window(
        group_by=[stream.tie, stream.key],
        order_by=[stream.at, stream.packed.isnull()],
        preceding=None,
        following=0,
    )
    carried = stream.mutate(packed=stream.packed.max().over(frame))
    carried = carried.filter(carried._lc_id.notnull(), carried.packed.notnull())
    found = carried.group_by("_lc_id").aggregate(
        **{f"_lc_{i}": carried.packed.max(where=carried.tie == i) for i in range(len(ties))}
    )
    return asks.left_join(found, asks.conversion_id == found._lc_id)
