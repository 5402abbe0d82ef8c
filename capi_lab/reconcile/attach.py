"""Bring click ids, and the times they were seen, from a click log to the orders of the same person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import reduce
from operator import and_
from typing import Any

import ibis
import pandas as pd

from capi_lab.engine import (
    TableLike,
    as_table,
    from_epoch_microseconds,
    joins_asof,
    materialise,
    same_backend,
    same_kind,
    to_frame,
)
from capi_lab.errors import ContractError, InputError
from capi_lab.platforms import PLATFORMS
from capi_lab.reconcile.attribute import claim, tying_keys
from capi_lab.reconcile.lastclick import (
    NO_CLICK,
    Claim,
    IdTie,
    Level,
    Spelling,
    answered,
    first_given,
    levels,
    row_of,
    time_of,
)
from capi_lab.tables import CLICK_ID_COLUMNS, CLICKS, CONVERSIONS
from capi_lab.words import OwnId

__all__ = ["PERSON_KEYS", "On", "attach_clicks", "attachments", "with_keys"]

PERSON_KEYS = ("user_key", "visitor_id", "fbp", "ttp")
"""Columns that name a person or a browser, strongest first."""

_EVER = timedelta(days=36_525)
_LATE = 2**62  # microseconds; later than any time

On = str | Sequence[str | Sequence[str]] | None


def attach_clicks(
    conversions: TableLike, clicks: TableLike, *, on: On = None, window: timedelta | None = None
) -> pd.DataFrame | ibis.Table:
    """Give orders the click ids their buyers arrived with, and the times of those clicks.

    Parameters
    ----------
    conversions, clicks : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        Contracts `capi_lab.tables.CONVERSIONS` and `capi_lab.tables.CLICKS`.
    on : str or sequence, optional
        Columns of both tables that say whose a click is, strongest first. A sequence in it counts as one key, all of
        which must agree: ``("user_key", ("client_ip", "user_agent"))``. Default: those of ``user_key``,
        ``visitor_id`` (GA4's client id, Segment's anonymous id), ``fbp`` and ``ttp`` that both tables have; ``()`` for
        times of ids alone. Addresses are never taken by themselves: many people share one.
    window : timedelta, optional
        How long before the conversion the click may be. Default: how long each platform keeps the id (its spec).

    Returns
    -------
    DataFrame, or Ibis table where ``conversions`` was a path or an Ibis table
        All conversions. For each id in the clicks (``gclid``, ``fbclid`` ...) its column, filled where it was missing,
        and

        - ``<id>_time`` (datetime64[us, UTC]): when the clicks saw the id the row has now; missing where they did not.
        - ``<id>_tied_by`` (str): the key by which it was attached (``client_ip+user_agent`` for two), or what the
          clicks say of an id the order had (`capi_lab.words.OwnId`); missing where there is no id.

        ``click_time``, where it was missing, is the earliest of these times. Count the words with `attachments`.

    Raises
    ------
    ContractError
        A table breaks its contract, or a column of ``on`` is missing or no text.
    InputError
        ``window`` is not positive.

    Notes
    -----
    For each id of the conversions contract: the last click with that parameter, not later than the conversion and not
    older than ``window``, of the first key that gives one; equally late clicks: the greatest ``click_row_id``. An id
    the order has is never replaced. Two spellings of one click (an ``fbc`` holds an ``fbclid``) are one id, named as
    the bare one; a missing ``fbc`` is made of an ``fbclid`` and its time as Meta documents. Ids a platform refuses
    beside each other (``gclid`` and ``wbraid``): the order's own stays, else the later one. Neither row order nor file
    split changes a result.

    A platform reads one ``click_time`` a row. For a row with ids of several days choose before sending:
    ``orders.assign(click_time=orders["gclid_time"])``.

    Cannot be known: whether the person on the click and on the order is the same where a device is shared; clicks the
    log did not see. That an id was attached says nothing about whether the platform credits the click.
    """
    if window is not None and (not isinstance(window, timedelta) or window <= timedelta(0)):
        raise InputError("window= must be a positive timedelta")
    left = as_table(conversions, CONVERSIONS)
    right = as_table(clicks, CLICKS, beside=left)
    same_backend(left, right)
    left, keys = with_keys(left, right, on)
    right, _ = with_keys(right, left, keys=keys)
    ids = _ids_in(right, window)
    if isinstance(conversions, pd.DataFrame):  # the rest of it needs not go through the engine and back
        names = {"conversion_id", "event_time", "click_time", *CLICK_ID_COLUMNS, *(key.name for key in keys)}
        left = left.select(*[name for name in left.columns if name in names])
    attached, changed = _attached(left, right, ids, [key.name for key in keys])
    attached = attached.drop(*[key.name for key in keys if key.parts])
    if not isinstance(conversions, pd.DataFrame):
        return same_kind(conversions, attached)
    new = to_frame(attached.select("conversion_id", *changed)).set_index("conversion_id")
    new = new.loc[conversions["conversion_id"]].set_axis(conversions.index)
    return conversions.assign(**{name: new[name] for name in changed})


def attachments(attached: TableLike, *, by: str | None = None) -> pd.DataFrame:
    """Count, for each click id, the orders it was attached to, and by what.

    Parameters
    ----------
    attached : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        What `attach_clicks` gave.
    by : str, optional
        Column to count by, e.g. ``"browser"``.

    Returns
    -------
    DataFrame
        ``param``, ``tied_by`` (a key, or a `capi_lab.words.OwnId`; missing for orders without the id), ``k`` (orders),
        ``n`` (all orders of the group) and ``share`` (k of n), after the column ``by``. Sorted.

    Raises
    ------
    ContractError
        There is no column of `attach_clicks`, or ``by`` is missing.
    """
    table = as_table(attached, CONVERSIONS)
    found = [param for param in CLICK_ID_COLUMNS if f"{param}_tied_by" in table.columns]
    absent = [] if found else ["gclid_tied_by"]
    absent += [by] if by is not None and by not in table.columns else []
    if absent:
        raise ContractError("attached", [(name, "column is missing", None) for name in absent])
    groups = [] if by is None else [by]
    parts = [
        table.group_by(*groups, tied_by=table[f"{param}_tied_by"])
        .aggregate(k=ibis._.count())
        .mutate(param=ibis.literal(param))
        for param in found
    ]
    counts = to_frame(ibis.union(*[part.select(*groups, "param", "tied_by", "k") for part in parts]))
    n = counts.groupby([*groups, "param"], dropna=False)["k"].transform("sum")
    return counts.assign(n=n, share=counts["k"] / n).sort_values([*groups, "param", "tied_by"], ignore_index=True)


@dataclass(frozen=True, slots=True)
class _Key:
    """One key of both tables; with ``parts``, columns joined into one."""

    name: str
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Id:
    """One click id and its spellings, the bare one first."""

    tie: IdTie
    platform: str
    life: timedelta
    conflicts: frozenset[str] = frozenset()
    made: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.tie.columns[0].name

    def claim(self, window: timedelta, *, own: Sequence[Spelling] = ()) -> Claim:
        """Ask for the click of an order's own id in these columns; without any, for a click of the person."""
        ids = (IdTie(tuple(own), self.tie.params),) if own else ()
        return Claim(self.platform, window, True, ids, tuple(one.name for one in self.tie.params))


def with_keys(
    table: ibis.Table, other: ibis.Table, on: On = None, *, keys: Sequence[_Key] | None = None
) -> tuple[ibis.Table, list[_Key]]:
    """Settle the keys and put those of several columns into one column each, missing where a part is."""
    if keys is None:
        asked = [on] if isinstance(on, str) else list(on) if on is not None else None
        if asked is None:
            asked = [name for name in PERSON_KEYS if name in table.columns and name in other.columns]
        keys = [_Key(one) if isinstance(one, str) else _Key("+".join(one), tuple(one)) for one in asked]
        tying_keys(table, other, [part for key in keys for part in key.parts or (key.name,)])
    for key in keys:
        if key.parts:
            # Each part behind its length: no two pairs of values make the same text.
            texts = [table[part].nullif("") for part in key.parts]
            whole = reduce(lambda a, b: a + b, [text.length().cast("string") + ":" + text for text in texts])
            table = table.mutate(**{key.name: whole})
    return table, list(keys)


def _ids_in(clicks: ibis.Table, window: timedelta | None) -> list[_Id]:
    """List the click ids the clicks hold that a conversion has a column for."""
    kinds = to_frame(clicks.select("platform", "param").distinct())
    found = []
    for name, params in sorted(kinds.groupby("platform")["param"].agg(list).items()):
        rules = PLATFORMS[name].spec.click_ids if name in PLATFORMS else ()
        for tie in claim(name, sorted(params), _EVER, CLICK_ID_COLUMNS, end_inside=True).ids:
            spelled = {one.name for one in tie.columns}
            mine = [rule for rule in rules if rule.param in spelled]
            if not mine:  # a column of the contract under a platform we have no rules for
                continue
            conflicts = {other for rule in mine for other in rule.excludes}
            conflicts |= {rule.param for rule in rules if spelled & set(rule.excludes)}
            made = {rule.param: rule.wraps.made for rule in mine if rule.wraps and rule.wraps.made}
            life = window or max(rule.life for rule in mine)
            found.append(_Id(tie, name, life, frozenset(conflicts), made))
    return found


def _attached(
    conversions: ibis.Table, clicks: ibis.Table, ids: Sequence[_Id], keys: Sequence[str]
) -> tuple[ibis.Table, list[str]]:
    """Return the conversions with everything attached, and the names of the columns that are new or filled."""
    given = list(conversions.columns)
    spelled = [one.name for each in ids for one in each.tie.columns]
    lacking = [*dict.fromkeys([*spelled, *(["click_time"] if ids else [])])]
    types = {"click_time": "timestamp('UTC')"}
    conversions = conversions.mutate(
        **{name: ibis.null(types.get(name, "string")) for name in lacking if name not in given}
    )
    ties: list[Level] = []
    mine: dict[str, tuple[range, list[str]]] = {}
    for each in ids:
        own = [one for one in each.tie.columns if one.name in given]  # a column that was not there answers nothing
        known = levels(conversions, clicks, each.claim(_EVER, own=own), [])
        person = levels(conversions, clicks, each.claim(each.life), keys)
        mine[each.name] = (range(len(ties), len(ties) + len(known)), [one.word for one in person])
        ties += [*known, *person]
    if not ties:
        return conversions, [name for name in lacking if name not in given]
    # Once: the steps below would each carry the whole of it in their SQL.
    table = materialise(answered(conversions, ties, asof=joins_asof(conversions, clicks)))
    table = _candidates(table, ids, mine, given)
    table = _filled(_settled(table, ids), clicks, ids)
    marks = [f"{each.name}_{what}" for each in ids for what in ("time", "tied_by")]
    earliest = ibis.least(*[table[f"_at_{each.name}"].fill_null(_LATE) for each in ids], ibis.literal(_LATE))
    time = from_epoch_microseconds(earliest.nullif(_LATE))
    table = table.mutate(
        click_time=table.click_time.fill_null(time),
        **{f"{each.name}_time": from_epoch_microseconds(table[f"_at_{each.name}"]) for each in ids},
        **{f"{each.name}_tied_by": table[f"_by_{each.name}"] for each in ids},
    )
    kept = [name for name in dict.fromkeys([*given, *lacking]) if name not in marks]
    filled = [name for name in kept if name in {*spelled, "click_time"}]
    return table.select(*kept, *marks), [*filled, *marks]


def _candidates(
    table: ibis.Table, ids: Sequence[_Id], mine: dict[str, tuple[range, list[str]]], given: Sequence[str]
) -> ibis.Table:
    """For each id: the order's own (bare), its click in the log, the person's last click, and the key that gave it."""
    columns: dict[str, Any] = {}
    for each in ids:
        known, words = mine[each.name]
        clicks = [table[f"_lc_{known.stop + i}"] for i in range(len(words))]
        own = [one.read(table[one.name]) for one in each.tie.columns if one.name in given]
        there = [(one.notnull(), table[f"_lc_{i}"]) for one, i in zip(own, known, strict=True)]
        columns[f"_own_{each.name}"] = ibis.coalesce(*own) if own else ibis.null("string")
        columns[f"_known_{each.name}"] = ibis.cases(*there, else_=NO_CLICK) if there else ibis.literal(NO_CLICK)
        columns[f"_click_{each.name}"] = first_given(clicks) if clicks else ibis.literal(NO_CLICK)
        found = [(click != NO_CLICK, word) for click, word in zip(clicks, words, strict=True)]
        none = ibis.null("string")
        columns[f"_word_{each.name}"] = ibis.cases(*found, else_=none) if found else none
    return table.mutate(**columns)


def _settled(table: ibis.Table, ids: Sequence[_Id]) -> ibis.Table:
    """Decide which candidates are attached: none over the order's own id, none beside another it must not join."""
    columns: dict[str, Any] = {}
    for each in ids:
        beside = [table[other].nullif("").isnull() for other in sorted(each.conflicts) if other in table.columns]
        click = table[f"_click_{each.name}"]
        free = reduce(and_, [table[f"_own_{each.name}"].isnull(), *beside])
        columns[f"_click_{each.name}"] = ibis.ifelse(free, click, NO_CLICK)
        columns[f"_seen_{each.name}"] = click != NO_CLICK
    table = table.mutate(**columns)
    columns = {}
    for each in ids:
        click = table[f"_click_{each.name}"]
        rivals = [table[f"_click_{one.name}"] for one in ids if one.name in each.conflicts]
        columns[f"_new_{each.name}"] = reduce(and_, [click > rival for rival in rivals], click != NO_CLICK)
    table = table.mutate(**columns)
    columns = {}
    for each in ids:
        own, known, seen, new = (table[f"_{what}_{each.name}"] for what in ("own", "known", "seen", "new"))
        chosen = ibis.ifelse(new, table[f"_click_{each.name}"], NO_CLICK)
        columns[f"_row_{each.name}"] = row_of(chosen)
        columns[f"_at_{each.name}"] = time_of(ibis.ifelse(own.notnull(), known, chosen))
        columns[f"_by_{each.name}"] = ibis.cases(
            (new, table[f"_word_{each.name}"]),
            (own.isnull(), ibis.null("string")),
            (known != NO_CLICK, str(OwnId.CLICK_ID)),
            (seen, str(OwnId.KEPT)),
            else_=str(OwnId.OWN),
        )
    return table.mutate(**columns)


def _filled(table: ibis.Table, clicks: ibis.Table, ids: Sequence[_Id]) -> ibis.Table:
    """Fill the columns of each id from the click that was chosen."""
    rows = table
    for each in ids:
        mine = clicks.filter(clicks.platform == each.platform, clicks.param.isin([one.name for one in each.tie.params]))
        names = {"row": "click_row_id", "param": "param", "id": "click_id"}
        given = mine.select(**{f"_{what}_of_{each.name}": mine[name] for what, name in names.items()})
        table = table.left_join(given, rows[f"_row_{each.name}"] == given[f"_row_of_{each.name}"])
    columns: dict[str, Any] = {}
    for each in ids:
        param, value = table[f"_param_of_{each.name}"], table[f"_id_of_{each.name}"]
        bare = ibis.cases(*[(param == one.name, one.read(value)) for one in each.tie.params])
        for one in each.tie.columns:
            choices = [table[one.name].nullif(""), ibis.ifelse(param == one.name, value, ibis.null("string"))]
            if one.wraps is None:
                choices.append(bare)
            elif one.name in each.made:
                inner = table[each.name].nullif("").fill_null(bare)
                choices.append(_made(each.made[one.name], inner, table[f"_at_{each.name}"]))
            columns[one.name] = ibis.coalesce(*choices)
    return table.mutate(**columns)


def _made(pattern: str, bare: Any, at: Any) -> Any:
    """Write the outer id of a bare one and the time it was seen; missing where either is."""
    text: Any = ibis.literal("")
    head, _, rest = pattern.partition("{milliseconds}")
    middle, _, tail = rest.partition("{id}")
    return text + head + (at // 1000).cast("string") + middle + bare + tail
