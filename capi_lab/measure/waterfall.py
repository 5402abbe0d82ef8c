"""The waterfall: from the ledger's conversions down to the attributed ones, each counted once."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import numpy as np
import pandas as pd

from capi_lab.engine import TableLike, as_table, place_beside, to_frame
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.measure.rates import interval_of
from capi_lab.measure.waterfall_result import Remark, Waterfall
from capi_lab.reconcile import Reconciled
from capi_lab.reconcile.buckets import bucketed, marks_of, receipts_of, strangers
from capi_lab.tables import REPORTS
from capi_lab.words import Bucket, Channel, Fate, ReceiptStatus, Step

__all__ = ["waterfall"]

_LABEL = ["kind", "step", "bucket", "reason", "fate"]
_CELL = [*_LABEL[1:], "seen_pixel"]  # where a conversion ends, and whether the pixel saw it
_RATE = ["k", "n", "value", "low", "high", "method"]
_RESERVED = {*_LABEL, *_RATE, "k_pixel", "conversions_k", "conversions_n"}
_SILENT = {
    Channel.PIXEL: "the log holds no event of the pixel: what it reported is not known",
    Channel.CAPI: "the log holds no event of the server, and no receipt is of a send: what it sent is not known",
}
_STEPS, _FATES, _BUCKETS = [str(s) for s in Step], [str(f) for f in Fate], [str(b) for b in Bucket]


def waterfall(
    rec: Reconciled,
    receipts: TableLike | None = None,
    reports: TableLike | None = None,
    *,
    marks: TableLike | None = None,
    by: str | Sequence[str] | None = None,
    level: float = 0.95,
    cluster: str | None = "user_key",
) -> Waterfall:
    """Count how far each conversion got, and where and why the others stopped.

    Every conversion of the ledger is in exactly one bucket. What was *ignored* (not meant to be sent) is apart from
    what *failed* (should have got there and did not), and both from what merely is not matched or attributed.

    Parameters
    ----------
    rec : Reconciled
    receipts : DataFrame, Arrow table, Parquet path or glob, or Ibis table, optional
        What became of the server's copies, contract ``receipts``; several rows of a conversion are allowed. An
        acceptance stands; else the last row by ``sent_at`` counts; ``skipped`` counts only where nothing was sent.
        Rows of another ``platform`` take no part. Without receipts a logged server event is taken to have arrived,
        and the step ``accepted`` is not measured.
    reports : as ``receipts``, optional
        What the platform reports back, contract ``reports``. These are totals: they cannot be tied to conversions
        and stand in `Waterfall.reported`, beside the steps, never mixed into them.
    marks : as ``receipts``, optional
        ``conversion_id`` with any of ``eligible``, ``matched``, ``attributed`` (bool or missing) and
        ``ineligible_reason``, as `capi_lab.eligible` and `capi_lab.attribute` give them. A column here stands in
        place of the ledger's column of that name; without either, the ledger's are used where it has them.
    by : str or sequence of str, optional
        Columns of the ledger to group by. A missing value is a group of its own.
    level : float
        Of the intervals.
    cluster : str or None
        As for `capi_lab.coverage`.

    Returns
    -------
    Waterfall
        ``table``, ``amounts``, ``buckets``, ``reported``, ``conservation``, ``notes``, ``silent``.

    Raises
    ------
    ContractError
        Receipts, reports or marks break their contract.
    UnknownNameError
        A column of ``by`` is not in the ledger.
    InputError
        ``level`` is no level, marks hold nothing to use, or ``by`` names a column of the result.

    Notes
    -----
    Steps, and what passes them:

    - ``truth``: the ledger.
    - ``pixel``: seen by the pixel.
    - ``server``: seen by the pixel or sent by the server. What the server adds is ``k - k_pixel``.
    - ``accepted``: seen by the pixel, or the server's copy was accepted. A browser gets no reply: that its request
      arrived is taken from the log.
    - ``counted``: the platform counts it once or more (its dedup rule, replayed).
    - ``matched``, ``attributed``: as the marks say. Accepted is not matched is not attributed.

    Pixel and server are two ways in, not one after the other: from ``server`` on each step is a part of the one
    before. A double-counted conversion is one conversion here, in a bucket of its own. A route that knows no pixel
    (Microsoft's offline conversions, Google's Ads API) has no step ``pixel``, and what only the pixel saw was not sent.
    """
    ledger = rec.conversion_table
    groups = [by] if isinstance(by, str) else list(dict.fromkeys(by or []))
    for name in groups:
        if name not in ledger.columns:
            raise UnknownNameError("column of the ledger", name, ledger.columns)
        if name in _RESERVED or name.startswith("amount"):
            raise InputError(f"cannot group by '{name}': the result has a column of that name; rename it in the ledger")
    if cluster not in (None, "user_key") and cluster not in ledger.columns:
        raise UnknownNameError("column of the ledger", cluster, ledger.columns)
    if not 0 < level < 1:
        raise InputError("level must lie between 0 and 1, e.g. 0.95")
    cluster = cluster if cluster in ledger.columns else None
    money = [name for name in ("value", "currency") if name in ledger.columns]
    keep = dict.fromkeys([*groups, *([cluster] if cluster else []), *money])
    replies = None if receipts is None else receipts_of(rec, receipts)
    told = None if marks is None else marks_of(rec, marks)
    rows, steps = bucketed(rec, replies, told, list(keep))

    cells = to_frame(rows.group_by(_CELL).aggregate(units=rows.count()))
    labels, passes = _labels(cells, steps)
    coded = _coded(rows, cells)
    table = _rates(coded.mutate(weight=ibis.literal(1.0)), labels, passes, groups, cluster, level)
    table = table.astype({"k": "int64", "k_pixel": "int64", "n": "int64"})
    amounts = _amounts(coded, labels, passes, groups, cluster, level)
    table = table[[*groups, *_LABEL, "k", "k_pixel", *_RATE[1:]]]
    silent = _silent(rec, table, replies)
    return Waterfall(
        platform=rec.platform,
        steps=tuple(steps),
        by=tuple(groups),
        table=_with_amounts(table, amounts, groups),
        amounts=amounts,
        reported=_reported(rec, reports),
        remarks=(*(Remark(_SILENT[channel]) for channel in silent), *_remarks(rec, rows, replies, told)),
        silent=silent,
        bucket_table=rows.drop(*[name for name in rows.columns if name.startswith("_")]),
        ledger=ledger,
        order=rec.order.get("conversions"),
    )


def _labels(cells: pd.DataFrame, steps: list[Step]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List the rows of the result in reading order, and which conversions belong to each.

    Parameters
    ----------
    cells : DataFrame
        The combinations that occur, with ``units``; their position is their code.
    steps : list of Step

    Returns
    -------
    labels : DataFrame
        Kind, step, bucket, reason, fate; the position is the code. What a step loses stands before it, what got
        through at the end.
    passes : DataFrame
        ``cell``, ``label``, ``by_pixel``: a cell belongs to its bucket and to the steps it passed.
    """
    found = cells.groupby(_LABEL[1:], dropna=False, as_index=False)["units"].sum().assign(kind="bucket")
    none = pd.array([None] * len(steps), dtype="str")
    fixed = pd.DataFrame({"kind": "step", "step": [str(s) for s in steps], "bucket": none, "reason": none})
    labels = pd.concat([found, fixed.assign(fate=none, units=0)], ignore_index=True)
    labels = labels.assign(
        _step=labels["step"].map(_STEPS.index),
        _last=np.select([labels["fate"] == str(Fate.THROUGH), labels["kind"] == "step"], [2, 1], 0),
        _fate=labels["fate"].map({name: i for i, name in enumerate(_FATES)}),
        _bucket=labels["bucket"].map({name: i for i, name in enumerate(_BUCKETS)}),
        _many=-labels["units"],
    )
    order = ["_step", "_last", "_fate", "_bucket", "_many", "reason"]
    labels = labels.sort_values(order, ignore_index=True)[_LABEL]
    coded = cells.reset_index(names="cell").rename(columns={"seen_pixel": "by_pixel"})
    numbered = labels.reset_index(names="label")
    own = coded.merge(numbered[numbered["kind"] == "bucket"], on=_LABEL[1:])[["cell", "label", "by_pixel"]]
    step_codes = numbered[numbered["kind"] == "step"].set_index("step")["label"]
    passed = [
        (cell.cell, step_codes[str(step)], cell.by_pixel)
        for cell in coded.itertuples(index=False)
        for step in steps
        if _passes(step, Step(cell.step), steps, through=cell.fate == str(Fate.THROUGH), by_pixel=cell.by_pixel)
    ]
    return labels, pd.concat([own, pd.DataFrame(passed, columns=own.columns)], ignore_index=True)


def _passes(step: Step, end: Step, steps: list[Step], *, through: bool, by_pixel: bool) -> bool:
    """Say whether a conversion that ends at ``end`` got past ``step``."""
    if step is Step.PIXEL:
        return by_pixel
    return through or step is Step.TRUTH or steps.index(step) < steps.index(end)


def _coded(rows: ibis.Table, cells: pd.DataFrame) -> ibis.Table:
    """Put a small number in place of what says where a conversion ends; long texts are slow to group by."""
    kept = [name for name in rows.columns if name.startswith("_")]
    codes = cells[_CELL].reset_index(names="cell").assign(reason=cells["reason"].fillna("").astype("str"))
    table = place_beside(codes.rename(columns={name: f"cell_{name}" for name in _CELL}), rows)
    rows = rows.mutate(reason=rows.reason.fill_null(""))  # no reason is an empty text, and missing ones would not meet
    return rows.join(table, [(name, f"cell_{name}") for name in _CELL]).select("conversion_id", "cell", *kept)


def _rates(
    rows: ibis.Table,
    labels: pd.DataFrame,
    passes: pd.DataFrame,
    groups: list[str],
    cluster: str | None,
    level: float,
) -> pd.DataFrame:
    """Turn weighted rows into one rate per group and label; where a group has nothing of a label the rate is 0."""
    by = [f"by_{i}" for i in range(len(groups))]  # a column of the ledger may have any name, also one of ours below
    sums = to_frame(_sums(rows, passes, groups, cluster)).rename(columns={"units": "conversions_k"})
    truth = labels.index[labels["step"].eq(str(Step.TRUTH)) & labels["kind"].eq("step")][0]
    whole = sums[sums["label"] == truth].rename(
        columns={"k": "n", "kk": "nn", "kkkk": "nnnn", "conversions_k": "conversions_n"}
    )
    whole = whole[[*by, "n", "nn", "nnnn", "clusters", "conversions_n", "negative"]]
    if by:
        whole = whole.sort_values(by, ignore_index=True)
    cells = whole.merge(labels.reset_index(names="label"), how="cross")  # group by group, in the order of the labels
    numbers = ["k", "kk", "kn", "k_pixel", "conversions_k"]
    table = cells.merge(sums[[*by, "label", *numbers]], how="left", on=[*by, "label"])
    table[numbers] = table[numbers].fillna(0)
    table = table.join(interval_of(table.assign(units=table["conversions_n"]), level))
    known = table["label"].eq(truth) & (table["n"] > 0)
    table.loc[known, ["low", "high"]] = 1.0
    table.loc[known, "method"] = "by definition"
    negative = table["negative"] > 0
    table.loc[negative, ["low", "high"]] = np.nan
    table.loc[negative, "method"] = "none: negative amounts"
    table = table[[*by, *_LABEL, "k", "k_pixel", *_RATE[1:], "conversions_k", "conversions_n"]]
    names = dict(zip(by, groups, strict=True))
    return table.rename(columns=names).astype({"conversions_k": "int64", "conversions_n": "int64"})


def _sums(rows: ibis.Table, passes: pd.DataFrame, groups: list[str], cluster: str | None) -> ibis.Table:
    """Sum weights per label, and their squares over clusters."""
    by = [f"by_{i}" for i in range(len(groups))]
    own = [rows[f"_{name}"].name(ours) for name, ours in zip(groups, by, strict=True)]
    weight = rows.weight
    alone = ibis.literal(value=True) if cluster is None else rows[f"_{cluster}"].isnull()
    person = rows.conversion_id if cluster is None else ibis.ifelse(alone, rows.conversion_id, rows[f"_{cluster}"])
    names = [*by, "alone", "person"]
    cells = rows.group_by([*own, alone.name("alone"), person.name("person"), "cell"]).aggregate(
        k=weight.sum(), units=weight.count(), negative=(weight < 0).sum()
    )
    cells = cells.mutate(n=cells.k.sum().over(group_by=names))  # a window, not a join: missing groups must meet
    table = place_beside(passes.rename(columns={"cell": "of_cell"}), rows)
    long = cells.join(table, cells.cell == table.of_cell)
    one = long.group_by([*names, "label"]).aggregate(
        k=long.k.sum(),
        k_pixel=ibis.ifelse(long.by_pixel, long.k, 0.0).sum(),
        n=long.n.max(),
        units=long.units.sum(),
        negative=long.negative.sum(),
    )
    return one.group_by([*by, "label"]).aggregate(
        k=one.k.sum(),
        k_pixel=one.k_pixel.sum(),
        kk=(one.k * one.k).sum(),
        kn=(one.k * one.n).sum(),
        kkkk=(one.k * one.k * one.k * one.k).sum(),
        clusters=one.count(),
        units=one.units.sum(),
        negative=one.negative.sum(),
    )


def _amounts(
    rows: ibis.Table,
    labels: pd.DataFrame,
    passes: pd.DataFrame,
    groups: list[str],
    cluster: str | None,
    level: float,
) -> pd.DataFrame:
    """Do the same in money, currency by currency; conversions without a value take no part."""
    keys = list(dict.fromkeys([*groups, "currency"]))
    columns = [*keys, *_LABEL, "k", "k_pixel", *_RATE[1:], "conversions_k", "conversions_n"]
    if "_value" not in rows.columns:
        return pd.DataFrame({name: pd.Series(dtype=_dtype(name)) for name in columns})
    if "_currency" not in rows.columns:
        rows = rows.mutate(_currency=ibis.null("string"))
    rows = rows.filter(rows["_value"].notnull()).mutate(weight=rows["_value"])
    return _rates(rows, labels, passes, keys, cluster, level)[columns]


def _dtype(name: str) -> str:
    if name in ("conversions_k", "conversions_n"):
        return "int64"
    return "float64" if name in ("k", "k_pixel", "n", "value", "low", "high") else "str"


def _with_amounts(table: pd.DataFrame, amounts: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    """Add one column per currency: ``amount_EUR``, and ``amount_without_currency``."""
    keys = [*groups, *_LABEL]
    for currency in sorted(amounts["currency"].dropna().unique()) + [None] * int(amounts["currency"].isna().any()):
        mine = amounts["currency"].isna() if currency is None else amounts["currency"] == currency
        name = f"amount_{'without_currency' if currency is None else currency}"
        part = amounts.loc[mine, [*keys, "k"]].rename(columns={"k": name})
        table = table.merge(part, how="left", on=keys)
        table[name] = table[name].fillna(0.0)
    return table


def _reported(rec: Reconciled, reports: TableLike | None) -> pd.DataFrame:
    """Add up the platform's own counts over the ledger's days, with the bounds it gives."""
    columns = ["metric", "stratum", "days", "k", "low_k", "high_k", "n", "value", "low", "high"]
    empty = {"metric": "str", "stratum": "str", "days": "int64", "n": "int64"}
    if reports is None:
        return pd.DataFrame({name: pd.Series(dtype=empty.get(name, "float64")) for name in columns})
    ledger = rec.conversion_table
    given = as_table(reports, REPORTS, beside=ledger)
    span = to_frame(ledger.aggregate(n=ledger.count(), first=ledger.event_time.min(), last=ledger.event_time.max()))
    n, first, last = span.loc[0, ["n", "first", "last"]]
    absent = {"stratum": "string", "low": "float64", "high": "float64"}
    given = given.mutate(**{name: ibis.null(kind) for name, kind in absent.items() if name not in given.columns})
    given = given.filter(given.platform == rec.platform)
    daily = to_frame(
        given.group_by("day", "metric", stratum=given.stratum.fill_null("all")).aggregate(
            k=given["count"].sum(),
            low_k=ibis.coalesce(given.low, given["count"]).sum(),
            high_k=ibis.coalesce(given.high, given["count"]).sum(),
        )
    )
    daily = daily[daily["day"].between(first.floor("D"), last.floor("D"))]
    parts = daily[daily["stratum"] != "all"]
    told = daily[daily["stratum"] == "all"]
    # Where the platform gives strata only, they add up to the whole.
    whole = parts.merge(told[["day", "metric"]], how="left", on=["day", "metric"], indicator=True)
    whole = whole[whole["_merge"] == "left_only"].drop(columns="_merge").assign(stratum="all")
    sums = pd.concat([told, whole, parts], ignore_index=True).groupby(["metric", "stratum"], as_index=False)
    table = sums.agg(days=("day", "nunique"), k=("k", "sum"), low_k=("low_k", "sum"), high_k=("high_k", "sum")).assign(
        n=int(n)
    )
    for name, count in (("value", "k"), ("low", "low_k"), ("high", "high_k")):
        table[name] = table[count] / table["n"]
    metrics = {name: i for i, name in enumerate(REPORTS.column("metric").allowed)}
    order = table.assign(_m=table["metric"].map(metrics), _s=table["stratum"] != "all")
    return order.sort_values(["_m", "_s", "stratum"], ignore_index=True)[columns]


def _silent(rec: Reconciled, table: pd.DataFrame, receipts: ibis.Table | None) -> tuple[Channel, ...]:
    """Name the channels the rule reads of which nothing is known: no event, nor, of the server, a receipt of a send."""
    passed = table[table["kind"] == "step"].groupby("step")["k"].sum()
    pixel, either = passed.get(str(Step.PIXEL), 0), passed[str(Step.SERVER)]
    heard = {Channel.PIXEL: pixel > 0, Channel.CAPI: either > pixel}
    found = [c for c in rec.rule.channels if not heard[c] and c not in rec.channels]
    if Channel.CAPI in found and receipts is not None:
        tried = receipts.filter(receipts.status != str(ReceiptStatus.SKIPPED))
        if to_frame(tried.aggregate(n=tried.count()))["n"].iloc[0]:
            found.remove(Channel.CAPI)
    return tuple(found)


def _remarks(
    rec: Reconciled, rows: ibis.Table, receipts: ibis.Table | None, marks: ibis.Table | None
) -> tuple[Remark, ...]:
    """Say in words what the buckets cannot show."""
    found = []
    if Channel.PIXEL not in rec.rule.channels:
        found.append(Remark("this route reads what the server sends only: the pixel's events take no part"))
    facts = to_frame(
        rows.group_by(
            leaked=~rows.eligible.fill_null(True) & rows.brought_by.notnull(),
            bare=rows.eligible.isnull(),
            sent=rows.sent,
            why=rows.ineligible_reason.nullif("").fill_null("unknown"),
            reply=rows.reply.fill_null("no receipt"),
        ).aggregate(n=rows.count())
    )

    def counted(what: str, part: pd.DataFrame, name: str) -> Remark:
        counts = part.groupby(name)["n"].sum().sort_index().sort_values(ascending=False, kind="stable")
        each = ", ".join(f"{word} {n:,}" for word, n in counts.items())
        return Remark(f"{what}: {int(counts.sum()):,} ({each})", int(counts.min()))

    if facts["leaked"].any():
        found.append(counted("marked ineligible and brought all the same", facts[facts["leaked"]], "why"))
    if receipts is not None and facts["sent"].any():
        found.append(counted("server copies sent", facts[facts["sent"]], "reply"))
    for what, given in (("receipts", receipts), ("marks", marks)):
        if given is not None and (n := strangers(rec, given)):
            found.append(Remark(f"{what} of conversions the ledger does not have: {n:,}", n))
    bare = int(facts.loc[facts["bare"], "n"].sum())
    if marks is not None and bare:
        found.append(Remark(f"conversions whose eligibility is not marked: {bare:,}", bare))
    return tuple(found)
