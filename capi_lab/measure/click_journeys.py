"""Which orders follow an ad click, and where its id was known on the way to them and behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

import ibis
import numpy as np
import pandas as pd

from capi_lab.engine import joins_asof, place_beside, to_frame
from capi_lab.identity.agents import browser_of
from capi_lab.identity.cookies import AFTER_AD_CLICK
from capi_lab.measure.click_rows import PERSON, ClickIds, Landings, flat, looked_up
from capi_lab.platforms.route import OutcomeStatus
from capi_lab.reconcile.attach import On, with_keys
from capi_lab.reconcile.buckets import last_replies
from capi_lab.reconcile.lastclick import Claim, last_clicks
from capi_lab.tables import VISITS
from capi_lab.words import Channel, ClickFix, ClickStep, Consent

__all__ = ["fixes_of", "journeys"]

_SESSION, _AFTER = pd.Timedelta("2h"), pd.Timedelta("10min")
_NO_COOKIES = "no visit carries a click id that does not stand in its URL: the log has no cookies"


def journeys(
    orders: ibis.Table,
    landings: Landings,
    visits: ibis.Table | None,
    events: ibis.Table | None,
    receipts: ibis.Table | None,
    attribution: ibis.Table | None,
    ids: ClickIds,
    *,
    on: On,
    checkout: str,
    keep: Sequence[str],
) -> Landings:
    """Say of each order that followed an ad click, or carries an id, where that id was known.

    Parameters
    ----------
    orders : Ibis table
        Contract ``conversions``.
    landings : Landings
    visits, events, receipts, attribution : Ibis table, optional
    ids : ClickIds
    on : as for `capi_lab.attach_clicks`
    checkout : str
        Regular expression of a checkout page's URL.
    keep : sequence of str
        Columns of the orders to carry along.

    Returns
    -------
    Landings
        Its ``rows``: all orders with ``tied_by``, ``click_row_id``, ``lag``; for each step what was seen there (1, 0,
        or -1 for not known).
    """
    unseen: dict[ClickStep, str] = {}
    landed = landings.rows[landings.rows["landed"]]
    orders, found = _tied(orders, landed, ids, on)
    own = ids.carried(orders)
    names = ["user_agent", "client_ip", "browser", "consent_ad_user_data", *found.keys, *keep]
    names = [name for name in dict.fromkeys(names) if name in orders.columns]
    has = ibis.literal(value=False) if own is None else own.notnull()
    rows = to_frame(orders.select("conversion_id", "event_time", *names, has_id=has))
    rows = rows.merge(found.rows, on="conversion_id", how="left").sort_values("conversion_id", ignore_index=True)
    facts = landed.set_index("id")[["click_row_id", "landing_path", "hop"]]
    rows = rows.join(facts, on="click")
    agents = browser_of(rows["user_agent"]) if "user_agent" in rows else None
    if "browser" not in rows:
        rows["browser"] = agents["browser"] if agents is not None else None
    rows["engine"] = agents["engine"] if agents is not None else None
    order = np.full(len(rows), -1) if own is None else rows["has_id"].to_numpy().astype("int8")
    if own is None:
        unseen[ClickStep.ORDER] = "the orders have no column for the id"
    if landed.empty or not found.keys:
        none = "give visits, or clicks seen to arrive" if landed.empty else "nothing ties orders to landings: see on="
        unseen |= dict.fromkeys((ClickStep.CAME, ClickStep.CHECKOUT, ClickStep.ORDER), none)
    states = {ClickStep.ORDER: order}
    states[ClickStep.CHECKOUT], why = _at_checkout(rows, visits, ids, found.keys, checkout)
    if why:
        unseen.setdefault(ClickStep.CHECKOUT, why)
    rows, states[ClickStep.EVENT], why = _on_event(rows, events, ids)
    if why:
        unseen[ClickStep.EVENT] = why
    rows, states[ClickStep.ACCEPTED] = _accepted(rows, receipts)
    states[ClickStep.ATTRIBUTED] = np.full(len(rows), -1)
    if attribution is not None:
        marks = to_frame(attribution.select("conversion_id", "attributed")).set_index("conversion_id")["attributed"]
        said = looked_up(marks, rows["conversion_id"])
        states[ClickStep.ATTRIBUTED] = np.where(said.isna(), -1, said.eq(True))
    for step, given, how in (
        (ClickStep.ACCEPTED, receipts, "give receipts="),
        (ClickStep.ATTRIBUTED, attribution, "give attribution="),
    ):
        if given is None:
            unseen[step] = how
    return Landings(rows.assign(**{str(step): state for step, state in states.items()}), unseen)


@dataclass(frozen=True)
class _Tied:
    """For each order the click of its buyer: ``click``, ``tied_by``, ``lag``; and the keys that could tie."""

    rows: pd.DataFrame
    keys: list[str]


def _tied(orders: ibis.Table, landed: pd.DataFrame, ids: ClickIds, on: On) -> tuple[ibis.Table, _Tied]:
    """Find the buyer's last click by the person alone, so that it does not matter whether the id was kept."""
    asked = ids.claim()
    persons = [name for name in dict.fromkeys([*PERSON, *flat(on)]) if name in landed and landed[name].notna().any()]
    table = landed[["click_time", *persons]].assign(
        click_row_id=landed["id"], click_id=landed["id"], platform=ids.platform, param=asked.ids[0].params[0].name
    )
    clicks = place_beside(table, orders)
    orders, keys = with_keys(orders, clicks, on)
    clicks, _ = with_keys(clicks, orders, keys=keys)
    names = [key.name for key in keys]
    small = orders.select("conversion_id", "event_time", *names)
    bare = Claim(asked.platform, asked.window, asked.includes_end, (), (asked.ids[0].params[0].name,))
    tied = to_frame(last_clicks(small, clicks, [bare], names, asof=joins_asof(small, clicks)))
    lag = pd.to_timedelta(tied["lag"], unit="us")
    rows = pd.DataFrame(
        {"conversion_id": tied["conversion_id"], "click": tied["click_row_id"], "tied_by": tied["tied_by"], "lag": lag}
    )
    return orders, _Tied(rows, names)


def _at_checkout(
    rows: pd.DataFrame, visits: ibis.Table | None, ids: ClickIds, keys: Sequence[str], checkout: str
) -> tuple[np.ndarray, str]:
    """Say whether the last checkout page before each order knew a click id."""
    state = np.full(len(rows), -1)
    if visits is None or ids.carried(visits) is None:
        return state, "give visits that carry ids of cookies (load.access_log(kind='visits'))"
    if "page_url" not in visits.columns:
        return state, "visits have no page_url"
    own = ids.carried(visits)
    in_cookie = own.notnull() & ~visits.page_url.fill_null("").contains(own.fill_null(""))
    if not to_frame(visits.aggregate(any=in_cookie.any()))["any"].eq(True).any():
        return state, _NO_COOKIES
    pages = visits.filter(visits.page_url.re_search(checkout))
    shared = [[name] for name in keys if name in VISITS.names and name in visits.columns]
    pair = ["client_ip", "user_agent"]
    shared += [pair] if all(name in rows and name in visits.columns for name in pair) else []
    columns = list(dict.fromkeys(name for key in shared for name in key))
    pages = to_frame(pages.select("visit_row_id", "visit_time", *columns, known=ids.carried(pages).notnull()))
    if pages.empty:
        return state, "no visit is of a page that checkout= describes"
    pages = pages.sort_values(["visit_time", "visit_row_id"])
    asked = rows.assign(at=np.arange(len(rows)), until=rows["event_time"] + _AFTER).sort_values("until")
    for key in shared:  # strongest first; each asks for those the ones before did not settle
        left = asked[(state[asked["at"]] < 0) & asked[key].notna().all(axis=1)]
        found = pd.merge_asof(
            left[["at", "until", *key]], pages.dropna(subset=key)[["visit_time", "known", *key]],
            left_on="until", right_on="visit_time", by=key, tolerance=_SESSION + _AFTER,
        )  # fmt: skip
        state[found["at"]] = np.where(found["known"].isna(), -1, found["known"].eq(True))
    return state, "" if (state >= 0).any() else "no checkout page could be tied to an order"


def _on_event(rows: pd.DataFrame, events: ibis.Table | None, ids: ClickIds) -> tuple[pd.DataFrame, np.ndarray, str]:
    """Say whether each order's server event carries a click id; ``sent`` says whether there is one."""
    nothing = rows.assign(sent=pd.Series(pd.NA, rows.index, dtype="boolean"))
    if events is None:
        return nothing, np.full(len(rows), -1), "give events="
    own = ids.carried(events)
    if own is None:
        return nothing, np.full(len(rows), -1), "the events have no column for the id"
    mine = (events.channel == str(Channel.CAPI)) & events.conversion_id.notnull()
    if "platform" in events.columns:
        mine &= reduce(or_, [events.platform.isnull(), events.platform == ids.platform])
    told = events.filter(mine)
    told = told.group_by("conversion_id").aggregate(known=ids.carried(told).notnull().any())
    known = to_frame(told).set_index("conversion_id")["known"]
    said = looked_up(known, rows["conversion_id"])
    return rows.assign(sent=said.notna().astype("boolean")), said.eq(True).to_numpy().astype("int8"), ""


def _accepted(rows: pd.DataFrame, receipts: ibis.Table | None) -> tuple[pd.DataFrame, np.ndarray]:
    """Say whether each order's event was accepted; no receipt, or one that does not tell, is not known."""
    if receipts is None:
        none = pd.Series([None] * len(rows), dtype="str")
        return rows.assign(reply=none, reply_code=none), np.full(len(rows), -1)
    replies = to_frame(last_replies(receipts)).rename(columns={"reply_id": "conversion_id"})
    rows = rows.merge(replies[["conversion_id", "reply", "reply_code"]], on="conversion_id", how="left")
    open_ = rows["reply"].isna() | rows["reply"].eq(str(OutcomeStatus.UNKNOWN))
    return rows, np.where(open_, -1, rows["reply"].eq(str(OutcomeStatus.ACCEPTED))).astype("int8")


def fixes_of(rows: pd.DataFrame, lost_at: pd.Series) -> pd.Series:
    """Name for each lost order what would have kept the id.

    Parameters
    ----------
    rows : DataFrame
        As `journeys` gives them.
    lost_at : Series of str
        Step at which the id was lost.
    """
    denied = rows["consent_ad_user_data"].eq(str(Consent.DENIED)) if "consent_ad_user_data" in rows else False
    early = rows["lag"] <= pd.Timedelta("1h")
    limited = rows["engine"].eq(str(AFTER_AD_CLICK.engine)) & (rows["lag"] > AFTER_AD_CLICK.life)
    gone = lost_at.eq(str(ClickStep.CHECKOUT)) | (
        lost_at.eq(str(ClickStep.ORDER)) & (rows[str(ClickStep.CHECKOUT)] != 1)
    )
    event, accepted = lost_at.eq(str(ClickStep.EVENT)), lost_at.eq(str(ClickStep.ACCEPTED))
    before = gone | lost_at.eq(str(ClickStep.ORDER)) | event
    cases = [
        (before & denied, ClickFix.ASK_CONSENT),
        (gone & early, ClickFix.STORE_ON_LANDING),
        (gone & limited, ClickFix.OWN_SERVER_COOKIE),
        (gone, ClickFix.TIE_BY_PERSON),
        (lost_at.eq(str(ClickStep.ORDER)), ClickFix.WRITE_TO_ORDER),
        (event & ~rows["sent"].fillna(value=True).astype(bool), ClickFix.SEND_EVERY_ORDER),
        (event, ClickFix.SEND_FROM_ORDER),
        (accepted & rows["reply"].eq(str(OutcomeStatus.RETRY)), ClickFix.SEND_AGAIN),
        (accepted, ClickFix.MEND_REJECTED),
        (lost_at.eq(str(ClickStep.ATTRIBUTED)), ClickFix.CHECK_ACCOUNT),
    ]
    words = np.select([flag.to_numpy(dtype=bool) for flag, _ in cases], [str(fix) for _, fix in cases], default="")
    return pd.Series(words, index=rows.index, dtype="str")
