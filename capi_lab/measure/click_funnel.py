"""Where click ids die between the ad and the platform's credit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

import ibis
import numpy as np
import pandas as pd

from capi_lab.engine import TableLike, as_table, place_beside
from capi_lab.errors import ContractError, InputError, UnknownNameError
from capi_lab.measure.click_funnel_result import ClickIdFunnel
from capi_lab.measure.click_journeys import fixes_of, journeys
from capi_lab.measure.click_rows import ClickIds, Landings, arrivals, looked_up
from capi_lab.measure.grouped import RATE, How, Part, rate_table
from capi_lab.measure.lags import LAGS, band_of
from capi_lab.measure.rates import check_level
from capi_lab.platforms import PLATFORMS
from capi_lab.reconcile import Reconciled
from capi_lab.reconcile.attach import On
from capi_lab.tables import CONVERSIONS, EVENTS, RECEIPTS, VISITS, Column, Table
from capi_lab.words import ClickFix, ClickStep

__all__ = ["click_id_funnel"]

_ATTRIBUTION = Table("attribution", (Column("conversion_id", required=True, unique=True, is_id=True),))
_OF_LANDING = ("landing_path", "hop")
_OF_ORDERS = ("browser", "lag_band", *_OF_LANDING)
_AFTER = {  # what a step can only be asked of
    ClickStep.BOUGHT: "clicks bought while the log ran",
    ClickStep.LANDED: "clicks bought while the log ran",
    ClickStep.REDIRECTED: "clicks that landed with the id, and whose next page the log shows",
    ClickStep.CAME: "orders in the ledger",
    ClickStep.CHECKOUT: "orders after an ad click, and whose checkout the log shows",
    ClickStep.ORDER: "orders after an ad click, the id not lost before",
    ClickStep.EVENT: "orders with the id",
    ClickStep.ACCEPTED: "orders with the id not lost before, and a reply that tells",
    ClickStep.ATTRIBUTED: "orders with the id not lost before, whose attribution is known",
}
_CLICK_STEPS = (ClickStep.BOUGHT, ClickStep.LANDED, ClickStep.REDIRECTED)
_IN_HAND = (ClickStep.CHECKOUT, ClickStep.ORDER, ClickStep.EVENT)
_ORDER_STEPS = (*_IN_HAND, ClickStep.ACCEPTED, ClickStep.ATTRIBUTED)
_RESERVED = {"unit", "step", "lost", "not_observed", *RATE, *map(str, ClickStep), "fix", "tied_by", "click", "has_id",
             "lag", "click_row_id", "sent", "reply", "reply_code", "engine", "id"}  # fmt: skip


def click_id_funnel(
    clicks: TableLike | None,
    visits: TableLike | None,
    conversions: TableLike,
    events: TableLike | Reconciled | None = None,
    *,
    platform: str,
    receipts: TableLike | None = None,
    attribution: TableLike | None = None,
    by: str | Sequence[str] | None = None,
    on: On = None,
    window: timedelta | None = None,
    checkout: str = r"(?i)/(?:checkout|cart|basket|order|thank)",
    level: float = 0.95,
    cluster: str | None = "user_key",
) -> ClickIdFunnel:
    """Show where click ids are lost on the way from the ad to the platform's credit, and what would keep them.

    Parameters
    ----------
    clicks : DataFrame, Arrow table, Parquet path or glob, or Ibis table, optional
        Contract ``clicks``. Rows with no landing page, visitor, person, agent or address are clicks the network says
        it sold (`capi_lab.load.google_click_view`); the others were seen to arrive.
    visits : as ``clicks``, optional
        Contract ``visits``: the access log, with ids of URLs and, if it has cookies, of these
        (`capi_lab.load.access_log` with ``kind="visits"``).
    conversions : as ``clicks``
        Contract ``conversions``: the orders, with the ids as they came into them (not filled by `attach_clicks`).
    events : as ``clicks``, or Reconciled, optional
        What the server sent; events that name no order take no part, unless `capi_lab.reconcile` has linked them.
    platform : str
        Whose click ids. A funnel is one platform's.
    receipts : as ``clicks``, optional
        What became of the events, contract ``receipts``.
    attribution : as ``clicks``, optional
        ``conversion_id`` and ``attributed`` (bool or missing): the platform's word, or `capi_lab.attribute`'s replay of
        its rule. Default: the column ``attributed`` of the conversions, if there is one.
    by : str or sequence of str, optional
        ``browser``, ``landing_path``, ``hop`` (``redirect`` or ``none``), ``lag_band`` (time from click to order:
        ``1h``, ``1d``, ``7d``, ``30d``, ``later``), columns of the conversions, or of the clicks (a campaign). Steps
        before what they name is known are then left out.
    on : as for `capi_lab.attach_clicks`
        What ties a landing to an order although the id may be lost. Default: those of ``user_key``, ``visitor_id``,
        ``fbp``, ``ttp`` that both have. A cookie's id is lost with the click id, so that a log-in or account
        (``user_key``) tells more.
    window : timedelta, optional
        How long before an order a click counts. Default: the platform's click window.
    checkout : str
        Regular expression of checkout pages' URLs.
    level, cluster
        As for `capi_lab.coverage`; clicks are taken for independent.

    Returns
    -------
    ClickIdFunnel
        ``table``, ``fixes``, ``lost``, ``rows(step)``, ``notes``.

    Raises
    ------
    ContractError
        A table breaks its contract.
    UnknownNameError
        ``platform``, or a column of ``by`` or ``cluster``, is not there.
    InputError
        ``by`` names a column of the result, ``checkout`` is no regular expression, or ``level`` no level.

    Notes
    -----
    Two parts with denominators of their own. *Clicks*: bought → landed (the id is in the log, or in clicks seen to
    arrive) → past redirects (a landing answered by a redirect, and the first page within a minute to the same address
    and agent: is the id still there?). *Orders*: those whose buyer's last click lies inside the window, found by the
    person and never by the id, so that the denominator does not hang on what is measured → known at the checkout (the
    last such page in the two hours before the order) → on the order → on the server's event → accepted → attributed.
    Any of the platform's click ids counts, be it of this click or of an earlier one.

    A later sighting proves an earlier one: an id on the order was known before, whatever a page showed. What was not
    observed is no loss: it is counted in ``not_observed`` and leaves the denominator of that step only. An order with
    an id whose buyer is not tied to a click joins at ``event``.

    Cannot be known: the person behind a device two share; landings the log did not see (a cache, gaps); buyers who came
    by a click and left no key. What buyers with a key lose need not be what the others lose.
    """
    if platform not in PLATFORMS:
        raise UnknownNameError("platform", platform, PLATFORMS)
    check_level(level)
    try:
        re.compile(checkout)
    except re.error:
        raise InputError("checkout= is no regular expression") from None
    ids = ClickIds(platform, window)
    orders = as_table(conversions, CONVERSIONS)
    seen = None if visits is None else as_table(visits, VISITS, beside=orders)
    sent = events.event_table if isinstance(events, Reconciled) else events
    sent = None if sent is None else as_table(sent, EVENTS, beside=orders)
    replies = None if receipts is None else as_table(receipts, RECEIPTS, beside=orders)
    if replies is not None and "platform" in replies.columns:
        replies = replies.filter(replies.platform.isnull() | (replies.platform == platform))
    groups = [by] if isinstance(by, str) else list(dict.fromkeys(by or []))
    for name in groups:
        if name in _RESERVED:
            raise InputError(f"cannot group by '{name}': the result has a column of that name; rename it in the table")
    here = [name for name in groups if name in orders.columns]
    extra = [name for name in groups if name not in (*here, *_OF_ORDERS)]
    cluster = cluster if cluster != "user_key" or "user_key" in orders.columns else None
    if cluster is not None and cluster not in orders.columns:
        raise UnknownNameError("column of the conversions", cluster, orders.columns)
    landings = arrivals(clicks, seen, orders, ids, on, extra)
    for name in extra:
        if landings.rows[name].isna().all():
            raise UnknownNameError("column to group by", name, [*_OF_ORDERS, *orders.columns])
    found = journeys(
        orders, landings, seen, sent, replies, _marks(attribution, orders), ids,
        on=on, checkout=checkout, keep=[*here, *([cluster] if cluster else [])],
    )  # fmt: skip
    rows = found.rows.assign(lag_band=band_of(found.rows["lag"]))
    for name in extra:
        rows[name] = looked_up(landings.rows.set_index("id")[name], rows["click"])
    rows = _settled(rows, found.unseen)
    of_clicks = _click_rates(landings, groups, How(level, None))
    of_orders = _order_rates(rows, found.unseen, groups, How(level, cluster), whole=set(groups) <= {*here, "browser"})
    parts = [part for part in (of_clicks, of_orders) if len(part)] or [of_orders]
    table = pd.concat(parts, ignore_index=True)
    if groups:
        order = {str(step): place for place, step in enumerate(ClickStep)}
        bands = {name: place for place, name in enumerate(LAGS)}
        table = table.assign(_step=table["step"].map(order)).sort_values(
            [*groups, "_step"], key=lambda column: column.map(bands) if column.name == "lag_band" else column,
            ignore_index=True,
        )  # fmt: skip
    return ClickIdFunnel(
        platform=platform,
        by=tuple(groups),
        table=table.drop(columns="_step", errors="ignore"),
        unseen={str(step): why for step, why in {**landings.unseen, **found.unseen}.items()},
        notes=(*landings.notes, *_notes(rows)),
        lost=_lost(landings.rows, landings.unseen, rows, groups),
    )


def _marks(attribution: TableLike | None, orders: ibis.Table) -> ibis.Table | None:
    """Check what is said of attribution; without any, take the orders' own."""
    if attribution is None:
        return orders if "attributed" in orders.columns and orders.attributed.type().is_boolean() else None
    if isinstance(attribution, pd.DataFrame):  # a duration beside it may not go through the engine
        attribution = attribution[[n for n in ("conversion_id", "attributed") if n in attribution]]
    marks = as_table(attribution, _ATTRIBUTION, beside=orders)
    if "attributed" not in marks.columns or not marks.attributed.type().is_boolean():
        raise ContractError("attribution", [("attributed", "column is missing, or not true, false or missing", None)])
    return marks


def _settled(rows: pd.DataFrame, unseen: dict[ClickStep, str]) -> pd.DataFrame:
    """Walk the steps: ``passed_<step>`` and ``asked_<step>`` (in the denominator), ``open_<step>``, and ``lost_at``.

    Within the shop a later sighting proves an earlier one; an acceptance does not prove that the id was on the event.
    """
    tied, has = rows["tied_by"].notna().to_numpy(), rows["has_id"].to_numpy(dtype=bool)
    there = tied | has
    states = {step: rows[str(step)].to_numpy() for step in _ORDER_STEPS}
    lost_at = np.full(len(rows), "", dtype=object)
    columns: dict[str, np.ndarray] = {}
    for place, step in enumerate(_ORDER_STEPS):
        later = [s for s in _IN_HAND[place:] if s not in unseen] if step in _IN_HAND else [step]
        proven = np.any([states[s] == 1 for s in later], axis=0) if later else np.zeros(len(rows), dtype=bool)
        # Without its id nobody would have known of an order that no person's click is tied to.
        known = tied if step in (ClickStep.CHECKOUT, ClickStep.ORDER) else np.ones(len(rows), dtype=bool)
        passed = there & proven
        lost = there & (states[step] == 0) & ~proven
        asked = (passed | lost) & known
        if step in unseen:
            passed = lost = asked = np.zeros(len(rows), dtype=bool)
        if step is ClickStep.CHECKOUT:
            asked &= states[step] >= 0
        columns |= {f"passed_{step}": passed & asked, f"asked_{step}": asked, f"open_{step}": there & ~asked}
        lost_at[lost] = str(step)
        there = there & ~lost
    rows = rows.assign(**columns, lost_at=pd.Series(lost_at, rows.index, dtype="str"))
    return rows.assign(fix=fixes_of(rows, rows["lost_at"]))


def _click_rates(landings: Landings, groups: list[str], how: How) -> pd.DataFrame:
    """Measure the steps of clicks; by what only a landing shows, those after it."""
    rows = landings.rows
    if any(name not in rows.columns for name in groups):
        return _nothing(groups)
    steps = [step for step in _CLICK_STEPS if step not in landings.unseen]
    if set(groups) & {"browser", *_OF_LANDING}:
        steps = [step for step in steps if step is ClickStep.REDIRECTED]
        rows = rows[rows["landed"]]
    passed = {ClickStep.BOUGHT: rows["bought"], ClickStep.LANDED: rows["bought"] & rows["landed"],
              ClickStep.REDIRECTED: rows["landed"] & (rows["redirected"] == 1)}  # fmt: skip
    asked = {ClickStep.BOUGHT: rows["bought"], ClickStep.LANDED: rows["bought"],
             ClickStep.REDIRECTED: rows["landed"] & (rows["redirected"] >= 0)}  # fmt: skip
    open_ = dict.fromkeys(_CLICK_STEPS, rows["bought"] & False)
    open_[ClickStep.REDIRECTED] = rows["landed"] & (rows["redirected"] < 0)
    return _rates(rows, "id", "clicks", steps, passed, asked, open_, groups, how)


def _order_rates(
    rows: pd.DataFrame, unseen: dict[ClickStep, str], groups: list[str], how: How, *, whole: bool
) -> pd.DataFrame:
    """Measure the steps of orders; those that came by a click as a share of all only by what all orders have."""
    came = rows["tied_by"].notna()
    steps = [step for step in (ClickStep.CAME, *_ORDER_STEPS) if step not in unseen]
    steps = steps if whole else [step for step in steps if step is not ClickStep.CAME]
    passed = {ClickStep.CAME: came} | {step: rows[f"passed_{step}"] for step in _ORDER_STEPS}
    asked = {ClickStep.CAME: came | True} | {step: rows[f"asked_{step}"] for step in _ORDER_STEPS}
    open_ = {ClickStep.CAME: came & False} | {step: rows[f"open_{step}"] for step in _ORDER_STEPS}
    part = came | True if whole else came | rows["has_id"].astype(bool)
    return _rates(rows[part], "conversion_id", "orders", steps, passed, asked, open_, groups, how)


def _rates(
    rows: pd.DataFrame, row: str, unit: str, steps: list[ClickStep], passed: dict[ClickStep, pd.Series],
    asked: dict[ClickStep, pd.Series], open_: dict[ClickStep, pd.Series], groups: list[str], how: How,
) -> pd.DataFrame:  # fmt: skip
    if rows.empty or not steps:
        return _nothing(groups)
    flags = {f"_{i}{name}": flag[step].loc[rows.index] for i, step in enumerate(steps)
             for name, flag in (("k", passed), ("n", asked))}  # fmt: skip
    keys = [how.cluster] if isinstance(how.cluster, str) else []
    frame = rows[list(dict.fromkeys([row, *groups, *keys]))].assign(**flags)
    table = place_beside(frame, None)
    parts = {str(s): Part(table[f"_{i}k"], table[f"_{i}n"], _AFTER[s]) for i, s in enumerate(steps)}
    found = rate_table(table, "step", parts, groups, how, row).drop(columns=["rows_k", "rows_n"])
    sure = found["step"].eq(str(ClickStep.BOUGHT)) & (found["n"] > 0)
    found.loc[sure, ["low", "high"]] = 1.0
    found.loc[sure, "method"] = "by definition"
    counts = pd.concat([rows[groups].assign(step=str(step), not_observed=open_[step].loc[rows.index].astype("int64"))
                        for step in steps])  # fmt: skip
    counts = counts.groupby([*groups, "step"], dropna=False, as_index=False)["not_observed"].sum()
    found = found.merge(counts, on=[*groups, "step"], how="left")
    lost = (found["n"] - found["k"]).where(found["step"] != str(ClickStep.CAME), 0)
    found = found.assign(unit=unit, lost=lost.astype("int64"))
    return found[[*groups, "unit", "step", *RATE, "lost", "not_observed"]]


def _nothing(groups: list[str]) -> pd.DataFrame:
    return pd.DataFrame(columns=[*groups, "unit", "step", *RATE, "lost", "not_observed"])


def _lost(clicks: pd.DataFrame, unseen: dict[ClickStep, str], orders: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    """List what each step lost, one row per click or order, with what would have kept it."""
    at = np.where(clicks["bought"] & ~clicks["landed"], str(ClickStep.LANDED), "")
    at = np.where(clicks["landed"] & (clicks["redirected"] == 0), str(ClickStep.REDIRECTED), at)
    if ClickStep.LANDED in unseen:
        at = np.where(at == str(ClickStep.LANDED), "", at)
    first = clicks.assign(step=pd.Series(at, clicks.index, dtype="str"), unit="clicks")
    second = orders.assign(step=orders["lost_at"], unit="orders")
    names = ["step", "unit", "fix", "conversion_id", "click_row_id", "tied_by", "lag", "lag_band", "browser",
             "landing_path", "hop", "reply_code", *groups]  # fmt: skip
    names = list(dict.fromkeys(names))
    parts = [part[part["step"] != ""].reindex(columns=names) for part in (first, second)]
    parts = [part for part in parts if len(part)] or parts[:1]
    order = {str(step): place for place, step in enumerate(ClickStep)}
    table = pd.concat(parts).assign(_step=lambda f: f["step"].map(order))
    return table.sort_values(["_step", "conversion_id", "click_row_id"], ignore_index=True).drop(columns="_step")


def _notes(rows: pd.DataFrame) -> list[str]:
    """Say what the denominators rest on, and what can be had at once."""
    notes = []
    ways = rows["tied_by"].value_counts().sort_index(kind="stable")
    if len(ways):
        told = ", ".join(f"{key} {n:,}" for key, n in ways.items())
        notes.append(f"orders tied to a click by the person: {told}")
    else:
        notes.append("no order is tied to a click by the person: what is lost before the order cannot be seen (on=)")
    alone = int((rows["has_id"].astype(bool) & rows["tied_by"].isna()).sum())
    if alone:
        notes.append(f"orders with an id whose buyer is not tied to a click in the log: {alone:,}, from 'event' on")
    lost = rows["lost_at"].isin([str(ClickStep.CHECKOUT), str(ClickStep.ORDER)]) & rows["tied_by"].notna()
    mended = int((lost & (rows["fix"] != str(ClickFix.ASK_CONSENT))).sum())
    if mended:
        notes.append(f"ids cl.attach_clicks can bring to orders that lost them: up to {mended:,}")
    return notes
