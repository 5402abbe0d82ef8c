"""WooCommerce orders.

Format: REST API v3, ``GET /orders``; order-attribution fields of core 8.5 and later. Read 2026-11-23.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from capi_lab.load.addresses import client_addresses
from capi_lab.load.clicks import add_click_ids, ids_from_pairs
from capi_lab.load.files import Part, Paths, read_json_records
from capi_lab.load.gather import gather
from capi_lab.load.records import Records, listed
from capi_lab.load.result import Intake, Loaded
from capi_lab.load.signatures import Signature
from capi_lab.load.values import (
    blank_to_missing,
    currency_codes,
    event_times,
    money,
    pick,
    repeats,
    text_column,
)
from capi_lab.tables import CONVERSIONS
from capi_lab.words import LoadDrop

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["woocommerce_orders"]

SIGNATURES = {
    "woocommerce_orders": (
        Signature(
            fields=(("date_created_gmt", "order_key"), ("date_created", "order_key"), ("date_created_gmt", "billing"))
        ),
    ),
}

_CANCELLED = frozenset({"cancelled", "failed", "trash"})
_UNPAID = frozenset({"pending", "checkout-draft"})
_ATTRIBUTION = "_wc_order_attribution_"


def woocommerce_orders(path: Paths, *, tz: str | None = None, to: str | Path | None = None) -> Loaded:
    """Read WooCommerce orders as the ledger.

    Parameters
    ----------
    path : str, Path or sequence
        File, pattern or list of them, plain, gzip or zstd. REST v3 JSON: a list, one order, or JSON lines. Only JSON
        lines are read in parts: a list has no place to cut it at, and is read whole.
    tz : str, optional
        The site's zone. Needed only where ``date_created_gmt`` is absent: ``date_created`` is the site's
        local time without an offset.
    to : str or Path, optional
        Parquet file to write the rows to as they are read, in the order of the files, instead of holding them.

    Returns
    -------
    Loaded
        Contract ``conversions``; ``event_name`` is ``purchase``. ``conversion_id`` is the order's ``id``
        (plugins change ``number``, kept as ``order_number``). Time is ``date_created_gmt``. Click ids
        come from plugin fields (``_gclid``, ``_fbp`` ...), then from the attribution's entry page.

    Raises
    ------
    LoadError
        The file cannot be read or lacks the order's id or time.
    NaiveTimeError
        Only local times are there and ``tz`` is not given.

    Notes
    -----
    Cannot be known: the click id when the landing page came from a cache without its query, or when
    order attribution is off. ``customer_ip_address`` is a proxy's unless the shop is set up for one.
    """
    return gather(path, lambda part: _orders(part, tz), split="json", to=to)


def _orders(part: Part, tz: str | None) -> Loaded:
    objects, unparsable = read_json_records(part, under=("orders",))
    records = Records(objects, unparsable, part, "WooCommerce REST v3 orders")
    records.require("id")
    intake = records.intake()
    meta = [_meta(record) for record in objects]
    intake.frame = frame = _columns(records, meta, intake)
    status = frame["status"].str.lower()
    intake.drop(status.isin(_CANCELLED), LoadDrop.CANCELLED)
    intake.drop(status[intake.frame.index].isin(_UNPAID), LoadDrop.NOT_PAID)
    intake.drop(intake.frame["conversion_id"].isna(), LoadDrop.NO_ID)
    intake.note_count(
        int((intake.frame["created_via"] == "admin").sum()),
        "{n} orders were entered by staff (created_via admin): no pixel could see them",
    )
    times = _times(intake, tz)
    again = repeats(intake.frame["conversion_id"])
    intake.drop(again, LoadDrop.DUPLICATE_ID)
    times = times[~again]
    frame = intake.frame.assign(
        event_time=times,
        event_name="purchase",
        value=money(intake.frame["_total"], intake),
        currency=currency_codes(intake.frame["_currency"], intake),
        action_source="web",
        origin="real",
    )
    found = ids_from_pairs({row: meta[row] for row in frame.index}, intake)
    frame = add_click_ids(frame, intake, urls=frame["landing_url"], found=found)
    intake.note_count(
        sum(not any(name.startswith(_ATTRIBUTION) for name, _ in one) for one in meta),
        "{n} orders carry no attribution fields: their landing page and its click ids are unknown",
    )
    return intake.loaded(CONVERSIONS, frame[[name for name in frame.columns if not name.startswith("_")]])


def _meta(record: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (str(entry["key"]), entry["value"])
        for entry in listed(record.get("meta_data"))
        if isinstance(entry, dict) and isinstance(entry.get("value"), str) and "key" in entry
    ]


def _columns(records: Records, meta: list[list[tuple[str, str]]], intake: Intake) -> pd.DataFrame:
    import pandas as pd

    col = records.col

    def attribution(name: str) -> pd.Series:
        wanted = _ATTRIBUTION + name
        return blank_to_missing(text_column([next((v for k, v in one if k == wanted), None) for one in meta]))

    customer = col("customer_id")
    return pd.DataFrame(
        {
            "conversion_id": col("id"),
            "order_number": col("number"),
            "status": col("status"),
            "created_via": col("created_via"),
            "_utc": col("date_created_gmt"),
            "_local": col("date_created"),
            "_total": col("total"),
            "_currency": col("currency"),
            "user_key": customer.mask(customer == "0"),  # 0 is a guest
            "email": col("billing", "email"),
            "phone": col("billing", "phone"),
            "first_name": col("billing", "first_name"),
            "last_name": col("billing", "last_name"),
            "street": col("billing", "address_1"),
            "city": col("billing", "city"),
            "region": col("billing", "state"),
            "postal_code": col("billing", "postcode"),
            "country": col("billing", "country"),
            "client_ip": client_addresses(col("customer_ip_address"), intake),
            "user_agent": pick(col("customer_user_agent"), attribution("user_agent")),
            "device": attribution("device_type").str.lower(),
            "landing_url": attribution("session_entry"),
            "referrer_url": attribution("referrer"),
            "items": records.items("sku", "product_id"),
        }
    )


def _times(intake: Intake, tz: str | None) -> pd.Series:
    """Use the UTC column; fall back to the site's local time only with its zone."""
    utc = event_times(intake.frame["_utc"], intake, tz="UTC", column="date_created_gmt", drop=False)
    # What stands in UTC is written with its zone, so that one reader places both and counts what it cannot place.
    written = utc.dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ").astype("str")
    return event_times(written.fillna(intake.frame["_local"]), intake, tz=tz, column="date_created")
