"""The click-id funnel as a plain reader would count it: every order against every click, page and event."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pandas as pd

KEYS = ("user_key", "visitor_id")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def bare(row: dict[str, object]) -> str | None:
    """Return the fbclid of a row, alone or inside its fbc."""
    if isinstance(row.get("fbclid"), str):
        return str(row["fbclid"])
    found = re.fullmatch(r"fb\.\d\.\d+\.([^.]+)", str(row.get("fbc")))
    return found[1] if found else None


def rows(table: pd.DataFrame) -> list[dict[str, object]]:
    return [{k: v for k, v in one.items() if not pd.isna(v)} for one in table.to_dict("records")]


def walk(
    clicks: pd.DataFrame, visits: pd.DataFrame, orders: pd.DataFrame, events: pd.DataFrame,
    receipts: dict[str, str], attributed: dict[str, bool], window: timedelta,
) -> Iterator[tuple[str, str, bool]]:  # fmt: skip
    """Yield (step, id of click or order, passed) for whatever is in a step's denominator."""
    pages = sorted(rows(visits), key=lambda v: (v["visit_time"], v["visit_row_id"]))
    first: dict[str, dict[str, object]] = {}
    for page in pages:
        if bare(page):
            first.setdefault(str(bare(page)), page)
    start, end = pages[0]["visit_time"], pages[-1]["visit_time"]
    for click in rows(clicks):
        if click["click_time"] >= start and click["click_time"] + timedelta(days=1) <= end:
            yield "bought", str(click["click_id"]), True
            yield "landed", str(click["click_id"]), click["click_id"] in first
    for id_, page in first.items():
        if page["status"] == "200":
            yield "redirected", id_, True
            continue
        after = [p for p in pages if p["status"] == "200" and p["client_ip"] == page["client_ip"]
                 and timedelta(0) <= p["visit_time"] - page["visit_time"] <= MINUTE]  # fmt: skip
        if after:
            yield "redirected", id_, bare(after[0]) is not None
    sent = {str(e["conversion_id"]): bool(bare(e)) for e in rows(events) if e["channel"] == "capi"}
    for order in rows(orders):
        yield from one_order(order, first, pages, sent, receipts, attributed, window)


def one_order(order, first, pages, sent, receipts, attributed, window) -> Iterator[tuple[str, str, bool]]:
    """Follow one order's id until it is lost."""
    id_, at = str(order["conversion_id"]), order["event_time"]
    tied = any(
        key in order and page.get(key) == order[key] and timedelta(0) <= at - page["visit_time"] <= window
        for key in KEYS for page in first.values()
    )  # fmt: skip
    yield "came", id_, tied
    has = bare(order) is not None
    known = -1
    for key in KEYS:
        mine = [p for p in pages if "/checkout" in p["page_url"] and key in order and p.get(key) == order[key]
                and -2 * HOUR <= p["visit_time"] - at <= 10 * MINUTE]  # fmt: skip
        if mine and known < 0:
            known = int(bare(mine[-1]) is not None)
    carried = has or sent.get(id_, False)
    alive = tied or has
    if tied and known >= 0:
        yield "checkout", id_, bool(known or carried)
    if known == 0 and not carried:
        return
    if tied:
        yield "order", id_, carried
    if not carried:
        return
    if alive:
        yield "event", id_, sent.get(id_, False)
        alive = sent.get(id_, False)
    if alive and receipts.get(id_, "unknown") != "unknown":
        yield "accepted", id_, receipts[id_] == "accepted"
        alive = receipts[id_] == "accepted"
    if alive and id_ in attributed:
        yield "attributed", id_, attributed[id_]
