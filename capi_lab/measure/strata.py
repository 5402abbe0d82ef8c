"""What a row carries that a platform could use, and by what it could therefore match it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import and_, or_
from typing import Any

import ibis
import pandas as pd

from capi_lab.engine import TableLike, as_table, to_frame
from capi_lab.errors import ContractError, InputError
from capi_lab.identity import KEY_RULES
from capi_lab.identity.usable import folded, trimmed, usable
from capi_lab.measure.grouped import How, Part, rate_sums, with_day
from capi_lab.platforms import platform as platform_named
from capi_lab.reconcile.screen import apart, value_of, whole
from capi_lab.tables import CONVERSIONS, EVENTS, Table
from capi_lab.words import Channel, KeySet, Stratum

__all__ = ["PERSON", "carried", "flag", "possessed", "rows_of", "stratum_sums", "with_stratum"]

PERSON = (("email",), ("phone",), ("first_name", "last_name", "postal_code"))
"""Match keys that name one person: any of these groups, whole. An own id or a country does not."""
_IP = "client_ip"


def rows_of(data: TableLike, platform: str | None, channel: str | None) -> tuple[ibis.Table, str, str]:
    """Open events or conversions, and keep those the question is about.

    Parameters
    ----------
    data : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        Contract ``events`` where it has ``row_id``, else ``conversions``.
    platform : str or None
        Events of another platform take no part.
    channel : str or None
        Of events; None for both.

    Returns
    -------
    table : Ibis table
    row : str
        Its id.
    what : str
        What a row is, in words.
    """
    opened: Any = data if isinstance(data, pd.DataFrame) else as_table(data, _ANYTHING)
    if "row_id" not in opened.columns:
        return as_table(opened, CONVERSIONS), "conversion_id", "conversions"
    table = as_table(opened, EVENTS)
    if channel is not None:
        table = table.filter(table.channel == str(Channel(channel)))
    if platform is not None and "platform" in table.columns:
        table = table.filter(table.platform.isnull() | (table.platform == platform))
    return table, "row_id", _WORDS.get(str(channel), "events")


def flag(table: ibis.Table, name: str) -> Any:
    """Return a column that must be true, false or missing.

    Raises
    ------
    ContractError
        It is not there, or something else.
    """
    if name not in table.columns:
        raise ContractError("rows", [(name, "column is missing", None)])
    kind = table[name].type()
    if not (kind.is_boolean() or kind.is_null()):
        raise ContractError("rows", [(name, f"is {kind}, must be true, false or missing", None)])
    return table[name].cast("boolean")


def carried(
    table: ibis.Table, platform: str, columns: Sequence[str] | None = None
) -> tuple[ibis.Table, dict[str, str]]:
    """Say of each row which of a platform's match keys and ids it carries in a form the platform can use.

    Parameters
    ----------
    table : Ibis table
        Events or conversions.
    platform : str
    columns : sequence of str, optional
        Only these. Default: all the platform takes, match keys first.

    Returns
    -------
    table : Ibis table
        With a boolean column for each, never missing.
    names : dict
        Match key or id to that column.

    Notes
    -----
    A match key is usable where `capi_lab.identity.usable` says so; a click or browser id where it looks like one of
    the platform's. A key whose column the table lacks is carried by no row.
    """
    spec = platform_named(platform).spec
    rules, ids = KEY_RULES[platform], [one.param for one in spec.click_ids]
    wanted = [*rules, *ids] if columns is None else [name for name in columns if name in rules or name in ids]
    keys = [key for key in wanted if key in rules and key in table.columns]
    texts = {f"_text_{key}": trimmed(value_of(table, key)) for key in keys}
    read = apart(table, texts | {"_place": folded(value_of(table, "country"))}, "_barrier")
    answers, names = {}, {}
    for name in wanted:
        names[name] = f"_has_{name}"
        if name not in table.columns:
            answer = ibis.literal(value=False)
        elif name in rules:
            answer = usable(read[f"_text_{name}"], rules[name], read["_place"])
        else:
            answer = whole(value_of(read, name), spec.click_id(name).pattern)
        answers[names[name]] = answer.fill_null(False)
    return apart(read.drop("_barrier"), answers, "_barrier").drop("_barrier", "_place", *texts), names


def with_stratum(table: ibis.Table, platform: str | None, *, by_keys: bool = False) -> ibis.Table:
    """Add ``stratum`` (`capi_lab.words.Stratum`, or `KeySet`) unless the table brings one.

    Raises
    ------
    InputError
        The table brings none, and no platform says which keys count.
    """
    if "stratum" in table.columns:
        return table
    if platform is None:
        raise InputError("say whose match keys and click ids count: platform='meta'")
    wide, has, names = _possessed(table, platform)
    cases: list[tuple[Any, str]]
    if by_keys:
        cases = [
            (has["click_id"], KeySet.CLICK_ID),
            (has["email"] & has["phone"], KeySet.EMAIL_PHONE),
            (has["email"], KeySet.EMAIL_ONLY),
            (has["phone"], KeySet.PHONE_ONLY),
            (has["name"], KeySet.NAME_ONLY),
            (has[_IP], KeySet.IP_ONLY),
        ]
    else:
        cases = [
            (has["click_id"], Stratum.CLICK_ID),
            (has["email"] | has["phone"] | has["name"], Stratum.PII_ONLY),
            (has[_IP], Stratum.IP_ONLY),
        ]
    stratum = ibis.cases(*((test, str(word)) for test, word in cases), else_=str(Stratum.NONE))
    return wide.mutate(stratum=stratum).drop(*names)


def _possessed(table: ibis.Table, platform: str) -> tuple[ibis.Table, dict[str, Any], list[str]]:
    """Say of each row whether it has a usable click id, e-mail, phone, name with postal code, address."""
    clicks = [one.param for one in platform_named(platform).spec.click_ids if one.is_click]
    people = [key for group in PERSON for key in group if set(group) <= set(KEY_RULES[platform])]
    wide, names = carried(table, platform, [*clicks, *dict.fromkeys(people), _IP])
    no = ibis.literal(value=False)
    has = {"click_id": reduce(or_, [wide[names[one]] for one in clicks], no)}
    for word, group in zip(("email", "phone", "name"), PERSON, strict=True):
        has[word] = reduce(and_, [wide[names[key]] for key in group]) if set(group) <= set(names) else no
    has[_IP] = wide[names[_IP]] if _IP in names else no
    return wide, has, list(names.values())


def possessed(data: TableLike, platform: str, keep: Sequence[str] = ()) -> pd.DataFrame:
    """Say of each row what a platform could match it by, and what it carries that the platform cannot use.

    Parameters
    ----------
    data : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        Events (the server's) or conversions.
    platform : str
    keep : sequence of str
        Columns to bring along, those of them that the table has.

    Returns
    -------
    DataFrame
        Indexed by the rows' id, in its order: boolean ``click_id``, ``email``, ``phone``, ``name``, ``client_ip``
        (usable), ``bad_click_id``, ``bad_email``, ``bad_phone`` (there, and not usable).
    """
    table, row, _ = rows_of(data, platform, Channel.CAPI)
    wide, has, _ = _possessed(table, platform)
    columns: dict[str, Any] = {"_row": wide[row], **has}
    spec = platform_named(platform).spec
    groups = {"click_id": [one.param for one in spec.click_ids if one.is_click], "email": ["email"], "phone": ["phone"]}
    for word, keys in groups.items():
        there = [wide[key].nullif("").notnull() for key in keys if key in wide.columns]
        columns[f"bad_{word}"] = reduce(or_, there, ibis.literal(value=False)) & ~has[word]
    columns |= {name: wide[name] for name in keep if name in table.columns}
    return to_frame(wide.select(**columns)).set_index("_row").sort_index()


def stratum_sums(
    rows: TableLike, platform: str | None, answer: str | None, *, by_keys: bool, clock: str | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Count rows, and those with an answer, by platform, day and stratum; and sum over customers.

    Parameters
    ----------
    rows : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        Events (the server's) or conversions.
    platform : str, optional
        Whose keys count; what rows that name no platform are of.
    answer : str, optional
        Boolean column; rows where it is missing take no part. Without, rows are only counted.
    by_keys : bool
        Strata are `KeySet`.
    clock : str, optional
        Column whose UTC day counts; where it is missing, ``event_time``.

    Returns
    -------
    cells : DataFrame
        ``platform``, ``day``, ``stratum``, ``k``, ``n``.
    sums : DataFrame
        ``platform``, ``stratum`` and what `capi_lab.measure.rates.interval_of` takes, over customers.
    """
    table, row, what = rows_of(rows, platform, Channel.CAPI)
    table = with_stratum(table, platform, by_keys=by_keys)
    name = ibis.literal(platform or "all")
    named = table.platform.fill_null(name) if "platform" in table.columns else name
    if clock is not None and clock in table.columns:
        table = table.mutate(event_time=ibis.coalesce(table[clock], table.event_time))
    table = with_day(table.drop("day") if "day" in table.columns else table, ["day"]).mutate(platform=named)
    every = ibis.literal(value=True)
    hit = flag(table, answer) if answer else every
    part = Part(hit, hit.notnull() if answer else every, f"{what}, {answer} known" if answer else what)
    groups = ["platform", "stratum"]
    cells = rate_sums(table, "rate", {"r": part}, ["platform", "day", "stratum"], How(cluster=None), row)
    sums = rate_sums(table, "rate", {"r": part}, groups, How(), row) if answer else cells
    return cells[["platform", "day", "stratum", "k", "n"]], sums


_ANYTHING = Table("rows", ())
_WORDS = {str(Channel.CAPI): "server events", str(Channel.PIXEL): "pixel events"}
