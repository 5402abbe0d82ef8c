"""Shopify's customer events, as a custom pixel receives and logs them.

Format: the web pixels API, shopify.dev/docs/api/web-pixels-api/standard-events, read 2026-11-23.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from capi_lab.load.clicks import add_click_ids, ids_from_pairs
from capi_lab.load.files import Part, Paths, read_json_records
from capi_lab.load.gather import gather
from capi_lab.load.records import Records, named_values
from capi_lab.load.result import Loaded
from capi_lab.load.shopify_graphql import graphql_id
from capi_lab.load.signatures import Signature
from capi_lab.load.values import currency_codes, event_times, money, pick, repeats
from capi_lab.tables import EVENTS
from capi_lab.words import LoadDrop

__all__ = ["shopify_events"]

SIGNATURES = {
    "shopify_events": (Signature(fields=(("clientid", "name", "timestamp", "context"), ("clientid", "name", "data"))),)
}


def shopify_events(path: Paths, *, tz: str | None = None, to: str | Path | None = None) -> Loaded:
    """Read Shopify customer events as events of the ``pixel`` channel.

    Parameters
    ----------
    path : str, Path or sequence
        The events a custom pixel was given, as JSON lines or a list.
    tz : None
        Not needed: ``timestamp`` carries its offset.
    to : str or Path, optional
        Write the rows to this Parquet file instead of holding them.

    Returns
    -------
    Loaded
        Contract ``events``. ``event_id`` is the event's own ``id`` (not the order's), ``conversion_id`` the order's
        API id, ``visitor_id`` the ``clientId``; ``checkout_token`` is kept. Value and currency are the checkout's
        total. Click ids come from the checkout's attributes, then from the page's URL.

    Raises
    ------
    LoadError
        The file cannot be read or holds no customer events.

    Notes
    -----
    Cannot be known: orders without a ``checkout_completed``. It fires once, on the first upsell page if there is one,
    and not at all where that page does not load or consent is missing. Cookies and address are not in an event.
    """
    return gather(path, lambda part: _events(part, tz), split="json", to=to)


def _events(path: Part, tz: str | None) -> Loaded:
    import pandas as pd

    objects, unparsable = read_json_records(path, under=("events",))
    records = Records(objects, unparsable, path, "Shopify customer events")
    records.require("id", "name", "timestamp")
    intake, col = records.intake(), records.col
    checkout, page = ("data", "checkout"), ("context", "document")
    billing = (*checkout, "billingAddress")
    intake.frame = pd.DataFrame(
        {
            "row_id": col("id"),
            "channel": "pixel",
            "event_name": col("name"),
            "event_id": col("id"),
            "conversion_id": graphql_id(col(*checkout, "order", "id")),
            "checkout_token": col(*checkout, "token"),
            "user_key": graphql_id(pick(col(*checkout, "order", "customer", "id"), col("data", "customer", "id"))),
            "visitor_id": col("clientId"),
            "email": col(*checkout, "email"),
            "phone": pick(col(*checkout, "phone"), col(*billing, "phone")),
            "first_name": col(*billing, "firstName"),
            "last_name": col(*billing, "lastName"),
            "city": col(*billing, "city"),
            "region": pick(col(*billing, "provinceCode"), col(*billing, "province")),
            "postal_code": col(*billing, "zip"),
            "country": col(*billing, "countryCode"),
            "user_agent": col("context", "navigator", "userAgent"),
            "page_url": pick(col(*page, "location", "href"), col("context", "window", "location", "href")),
            "referrer_url": col(*page, "referrer"),
            "_time": col("timestamp"),
            "_value": col(*checkout, "totalPrice", "amount"),
            "_currency": pick(col(*checkout, "totalPrice", "currencyCode"), col(*checkout, "currencyCode")),
            "origin": "real",
        }
    )
    if tz is not None:
        intake.note("tz= was not needed: customer events carry their offset")
    intake.drop(intake.frame["row_id"].isna(), LoadDrop.NO_ID)
    intake.drop(intake.frame["event_name"].isna(), LoadDrop.UNPARSABLE)
    intake.drop(repeats(intake.frame["row_id"]), LoadDrop.DUPLICATE_ID)
    times = event_times(intake.frame["_time"], intake, tz=tz, column="timestamp")
    frame = intake.frame.assign(
        event_time=times,
        value=money(intake.frame["_value"], intake),
        currency=currency_codes(intake.frame["_currency"], intake),
    )
    done = (frame["event_name"] == "checkout_completed") & frame["conversion_id"].isna()
    intake.note_count(int(done.sum()), "{n} completed checkouts name no order: only checkout_token is known")
    found = ids_from_pairs({row: _attributes(objects[row]) for row in frame.index}, intake)
    frame = add_click_ids(frame, intake, urls=frame["page_url"], found=found)
    return intake.loaded(EVENTS, frame[[name for name in frame.columns if not name.startswith("_")]])


def _attributes(event: dict[str, Any]) -> list[tuple[str, Any]]:
    data = event.get("data")
    checkout = data.get("checkout") if isinstance(data, dict) else None
    return named_values(checkout.get("attributes"), "key") if isinstance(checkout, dict) else []
