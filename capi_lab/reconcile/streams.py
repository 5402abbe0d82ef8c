"""The two streams whose members may be one and the same without sharing an id.

A stream row is narrow: an id, a time in microseconds, what the name means, the columns that must agree, and the
person's keys in a form that can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import pandas as pd

from capi_lab.engine import epoch_microseconds, materialise, place_beside, to_frame
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.identity import hash_column
from capi_lab.platforms import platform as platform_named
from capi_lab.reconcile.link import meaning
from capi_lab.reconcile.near import report_of
from capi_lab.reconcile.reconciled import Reconciled
from capi_lab.words import Channel

__all__ = ["Streams", "channel_streams", "ledger_streams"]

_AGREE = ("value", "currency")
_RESULT = ("channel", "row_id", "conversion_id", "event_id", "event_name", "kept", "link")


@dataclass(frozen=True)
class Streams:
    """Two streams to lay side by side.

    Parameters
    ----------
    channel : str
        Whose events the left stream holds.
    left, right : Ibis table
        ``row_id``, ``left_us`` / ``other_id``, ``right_us``; ``meant`` and the columns that must agree as ``a0``,
        ``a1`` ... in both; ``x_<key>`` left and ``y_<key>`` right.
    agree, keys : list of str
    amounts : list of str
        Those of ``agree`` that are compared as whole thousandths.
    """

    channel: str
    left: ibis.Table
    right: ibis.Table
    agree: list[str]
    keys: list[str]
    amounts: list[str]

    @property
    def on(self) -> list[str]:
        """Columns both sides must be equal in."""
        return ["meant", *(f"a{i}" for i in range(len(self.agree)))]

    def agreeing(self, table: ibis.Table) -> dict[str, Any]:
        """Return the columns that agreed, named and in units as the caller had them."""
        columns = {name: table[part] for name, part in zip(self.agree, self.on[1:], strict=True)}
        return {name: value / 1000 if name in self.amounts else value for name, value in columns.items()}


def ledger_streams(rec: Reconciled, agree: Sequence[str] | None, keys: Sequence[str]) -> list[Streams]:
    """Events no id tied, against the conversions their channel did not see: one pair of streams a channel."""
    events, ledger = rec.event_table, rec.conversion_table
    columns, persons = _columns(events, ledger, agree), _keys(events, ledger, keys)
    loose = _one_per_report(events.filter(events.conversion_id.isnull()), rec)
    loose = _narrow(loose, rec, columns, persons, id="row_id", channel="channel", own="conversion_id")
    ledger = ledger.mutate(meant=_meant(ledger, rec))
    orders = _narrow(
        ledger, rec, columns, persons, id="conversion_id", own="conversion_id",
        seen_pixel="seen_pixel", seen_capi="seen_capi",
    )  # fmt: skip
    unseen = {Channel.PIXEL: orders.filter(~orders.seen_pixel), Channel.CAPI: orders.filter(~orders.seen_capi)}
    amounts = _amounts(events, columns)
    return [
        Streams(
            str(channel),
            _left(loose.filter(loose.channel == str(channel)), columns, persons),
            _right(unseen[channel], columns, persons),
            columns,
            persons,
            amounts,
        )
        for channel in Channel
    ]


def channel_streams(rec: Reconciled, agree: Sequence[str] | None, keys: Sequence[str]) -> list[Streams]:
    """Browser events without a server event of the same id or conversion, against server events without a browser's."""
    events = rec.event_table
    columns, persons = _columns(events, events, agree), _keys(events, events, keys)
    reports = _one_per_report(events, rec)
    reports = _narrow(reports, rec, columns, persons, id="row_id", channel="channel", own="conversion_id")
    alone = {}
    for mine, theirs in ((Channel.PIXEL, Channel.CAPI), (Channel.CAPI, Channel.PIXEL)):
        other = reports.filter(reports.channel == str(theirs))
        ids = other.filter(other.event_id.notnull()).select("meant", "event_id").distinct()
        orders = events.filter((events.channel == str(theirs)) & events.conversion_id.notnull())
        side = reports.filter(reports.channel == str(mine)).anti_join(ids, ["meant", "event_id"])
        alone[mine] = materialise(side.anti_join(orders.select(own="conversion_id").distinct(), "own"))
    left, right = _left(alone[Channel.PIXEL], columns, persons), _right(alone[Channel.CAPI], columns, persons)
    return [Streams(str(Channel.PIXEL), left, right, columns, persons, _amounts(events, columns))]


def _meant(table: ibis.Table, rec: Reconciled) -> Any:
    return meaning(table.event_name, platform_named(rec.platform).spec, rec.event_names)


def _one_per_report(events: ibis.Table, rec: Reconciled) -> ibis.Table:
    """Keep the earliest row of each report: a retry is not a second chance to agree."""
    events = events.mutate(meant=_meant(events, rec), report=report_of(events))
    order = ibis.window(
        group_by=[events.channel, events.meant, events.report], order_by=[events.event_time, events.row_id]
    )
    return events.mutate(nth=ibis.row_number().over(order)).filter(ibis._.nth == 0)


def _columns(events: ibis.Table, others: ibis.Table, agree: Sequence[str] | None) -> list[str]:
    common = [name for name in events.columns if name in others.columns]
    if agree is None:
        return [name for name in _AGREE if name in common]
    if isinstance(agree, str):
        raise InputError("agree must be a sequence of columns, e.g. ('value', 'currency')")
    for name in agree:
        if name not in common:
            raise UnknownNameError("column of both tables", name, common)
        if name in _RESULT:
            raise InputError(f"'{name}' cannot be a column to agree in: the result has one of that name")
    return list(agree)


def _keys(events: ibis.Table, others: ibis.Table, keys: Sequence[str]) -> list[str]:
    if isinstance(keys, str):
        raise InputError("keys must be a sequence of columns, e.g. ('email',)")
    return [name for name in keys if name in events.columns and name in others.columns]


def _narrow(table: ibis.Table, rec: Reconciled, agree: list[str], keys: list[str], **names: str) -> ibis.Table:
    """Cut a table down to what is compared, and materialise it: every count reads it again."""
    country = table.country if "country" in table.columns else ibis.null("string")
    narrow = materialise(
        table.select(
            "meant",
            us=epoch_microseconds(table.event_time),
            event_id=table.event_id if "event_id" in table.columns else ibis.null("string"),
            country=country.fill_null(""),
            **{ours: table[theirs] for ours, theirs in names.items()},
            **{f"a{i}": _exact(table[name]) for i, name in enumerate(agree)},
            **{f"x_{key}": table[key] for key in keys},
        )
    )
    hashed = [key for key in keys if _is_hashed(key, rec.platform)]
    for key in hashed:
        narrow = _comparable(narrow, f"x_{key}", key, rec.platform)
    return materialise(narrow) if hashed else narrow


def _left(narrow: ibis.Table, agree: list[str], keys: list[str]) -> ibis.Table:
    parts = [f"a{i}" for i in range(len(agree))]
    return _complete(narrow, parts).select(
        "meant", "event_id", *parts, *(f"x_{key}" for key in keys), row_id="id", left_us="us", own_conversion="own"
    )


def _right(narrow: ibis.Table, agree: list[str], keys: list[str]) -> ibis.Table:
    parts = [f"a{i}" for i in range(len(agree))]
    renamed = {f"y_{key}": narrow[f"x_{key}"] for key in keys}
    renamed |= {"other_id": narrow.id, "right_us": narrow.us, "other_event_id": narrow.event_id}
    narrow = narrow.select("meant", "own", *parts, **renamed)
    return _complete(narrow, parts)


def _complete(table: ibis.Table, parts: list[str]) -> ibis.Table:
    return table.filter([table[part].notnull() for part in parts]) if parts else table


def _amounts(events: ibis.Table, agree: list[str]) -> list[str]:
    return [name for name in agree if events[name].type().is_floating()]


def _exact(column: Any) -> Any:
    """Compare amounts to a thousandth, as whole numbers: 19.99 read from two files is one amount."""
    return (column * 1000).round().cast("int64") if column.type().is_floating() else column


def _comparable(table: ibis.Table, column: str, key: str, platform: str) -> ibis.Table:
    """Replace a key by its digest, so that raw and hashed values meet; what cannot be hashed compares with nothing."""
    import pyarrow as pa

    values = to_frame(table.filter(table[column].notnull()).select(raw=column, place="country").distinct())
    digests = hash_column(values["raw"], key, platform, values["place"].replace("", None))
    columns = {"raw": values["raw"], "place": values["place"], "digest": digests}
    rows = {name: pa.array(column.astype("object"), pa.string(), from_pandas=True) for name, column in columns.items()}
    known = place_beside(pa.table(rows), table)
    joined = table.left_join(known, [table[column] == known.raw, table.country == known.place])
    return joined.mutate(**{column: joined.digest}).drop("raw", "place", "digest")


def _is_hashed(key: str, platform: str) -> bool:
    """Ask the platform's rule: keys it does not take, or takes in clear text, are compared as they are."""
    try:
        hash_column(pd.Series([], dtype="str"), key, platform)
    except InputError:
        return False
    return True
