"""What a row carries that a platform could use, and by what it could therefore match it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import and_, or_
from typing import Any

import ibis
import pandas as pd

from capi_lab.engine import TableLike, as_table
from capi_lab.errors import ContractError, InputError
from capi_lab.identity import KEY_RULES
from capi_lab.identity.usable import folded, trimmed, usable
from capi_lab.platforms import platform as platform_named
from capi_lab.reconcile.screen import apart, value_of, whole
from capi_lab.tables import CONVERSIONS, EVENTS, Table
from capi_lab.words import Channel, Stratum

__all__ = ["PERSON", "carried", "flag", "rows_of", "with_stratum"]

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


def with_stratum(table: ibis.Table, platform: str | None) -> ibis.Table:
    """Add ``stratum`` (`capi_lab.words.Stratum`) unless the table brings one.

    Raises
    ------
    InputError
        The table brings none, and no platform says which keys count.
    """
    if "stratum" in table.columns:
        return table
    if platform is None:
        raise InputError("say whose match keys and click ids count: platform='meta'")
    clicks = [one.param for one in platform_named(platform).spec.click_ids if one.is_click]
    people = [group for group in PERSON if set(group) <= set(KEY_RULES[platform])]
    wide, names = carried(table, platform, [*clicks, *dict.fromkeys(sum(people, ())), _IP])
    no = ibis.literal(value=False)
    click = reduce(or_, [wide[names[one]] for one in clicks], no)
    person = reduce(or_, [reduce(and_, [wide[names[key]] for key in group]) for group in people], no)
    address = wide[names[_IP]] if _IP in names else no
    stratum = ibis.cases(
        (click, str(Stratum.CLICK_ID)),
        (person, str(Stratum.PII_ONLY)),
        (address, str(Stratum.IP_ONLY)),
        else_=str(Stratum.NONE),
    )
    return wide.mutate(stratum=stratum).drop(*names.values())


_ANYTHING = Table("rows", ())
_WORDS = {str(Channel.CAPI): "server events", str(Channel.PIXEL): "pixel events"}
