"""Shopify orders: Admin REST and GraphQL JSON, and the orders-export CSV.

Format: the legacy Admin REST order resource, the ``Order`` of the GraphQL Admin API (queries and bulk operations) and
the 79-column export of the admin, read 2026-11-23.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from capi_lab.errors import UnknownNameError
from capi_lab.identity.clickids import is_missing
from capi_lab.load.addresses import client_addresses
from capi_lab.load.clicks import add_click_ids, ids_from_pairs
from capi_lab.load.files import Part, Paths, looks_like_json, read_csv, read_json_records, require_columns
from capi_lab.load.gather import gather
from capi_lab.load.records import Records, named_values
from capi_lab.load.result import Intake, Loaded
from capi_lab.load.shopify_graphql import from_graphql, graphql_orders
from capi_lab.load.signatures import Signature
from capi_lab.load.values import (
    blank_to_missing,
    currency_codes,
    event_times,
    first_and_last,
    money,
    pick,
    repeats,
)
from capi_lab.tables import CONVERSIONS
from capi_lab.words import LoadDrop

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["shopify_orders"]

SIGNATURES = {
    "shopify_orders": (
        Signature(
            fields=(
                ("created_at", "financial_status", "total_price"),
                ("createdat", "totalpriceset"),
                ("name", "created at", "financial status"),
                ("name", "created at", "lineitem name"),
            )
        ),
    ),
}

# Orders that took money, or still hold it; the others never became a sale.
_PAID = frozenset({"authorized", "partially_paid", "paid", "partially_refunded", "refunded"})
_WALLET_LANDING = "/wallets/checkouts.json"


def shopify_orders(
    path: Paths,
    *,
    tz: str | None = None,
    conversion_id: str = "id",
    sources: Sequence[str] | None = ("web",),
    to: str | Path | None = None,
) -> Loaded:
    """Read Shopify orders as the ledger.

    Parameters
    ----------
    path : str, Path or sequence
        File, pattern or list of them, plain, gzip or zstd. Admin REST JSON
        (``{"orders": [...]}``, a list, one order, or JSON lines), GraphQL JSON (an answer to a
        query, or a bulk operation's JSON lines) or the orders-export CSV. Which it is, the file tells; any
        subset of fields in any order will do. Only JSON lines are read in parts: a list has no place to cut it at, and
        in the CSV an order's lines belong together.
    tz : str, optional
        Only for files whose times lost their offset; Shopify writes one.
    conversion_id : str
        ``"id"``, the API's number, or ``"name"``, what people see (``#1001``, stored without ``#``):
        take the one your pixel sends. The other is kept as ``order_name`` or ``order_id``.
    sources : sequence of str or None
        Order sources to keep: only ``web`` orders have a page a pixel could fire on. None keeps all.
    to : str or Path, optional
        Parquet file to write the rows to as they are read, in the order of the files, instead of holding them.

    Returns
    -------
    Loaded
        Contract ``conversions``; ``event_name`` is ``purchase``. ``value`` is the order total in shop
        currency. Time is ``processed_at`` (CSV: ``Created at``). Click ids come from note attributes,
        then from the landing page.

    Raises
    ------
    LoadError
        The file cannot be read or lacks the order's id or time.
    NaiveTimeError
        Times carry no offset and ``tz`` is not given.
    UnknownNameError
        ``conversion_id`` is neither.

    Notes
    -----
    Cannot be known from this file: visits without consent, and which ad network's pixel fired. The CSV
    has no landing page, address or user agent and no test flag. The landing page is that of the
    checkout's session, not of the first touch. GraphQL tells no user agent, and no landing page where
    ``customerJourneySummary`` was not asked for or is not ``ready`` yet.
    """
    if conversion_id not in ("id", "name"):
        raise UnknownNameError("value of conversion_id=", conversion_id, ["id", "name"])
    kept = [sources] if isinstance(sources, str) else sources
    return gather(path, lambda part: _orders(part, tz, conversion_id, kept), split="json", to=to)


def _orders(path: Part, tz: str | None, conversion_id: str, kept_sources: Sequence[str] | None) -> Loaded:
    if looks_like_json(path):
        objects, unparsable = read_json_records(path, under=("orders", "order"))
        nodes = graphql_orders(objects)
        if nodes is not None:
            intake, ids = from_graphql(Records(nodes, unparsable, path, "Shopify GraphQL orders"))
        else:
            intake, ids = _from_rest(Records(objects, unparsable, path, "Shopify Admin REST orders"))
    else:
        intake, ids = _from_export(path)
    frame = intake.frame
    if "_child" in frame:
        intake.drop(frame["_child"], LoadDrop.CONTINUATION_LINE)
    intake.drop(intake.frame["_test"], LoadDrop.TEST_ORDER)
    intake.drop(intake.frame["_cancelled"].notna(), LoadDrop.CANCELLED)
    status = intake.frame["_status"].str.lower()
    intake.drop(status.notna() & ~status.isin(_PAID), LoadDrop.NOT_PAID)
    if kept_sources is not None:
        source = intake.frame["_source"]
        intake.drop(source.notna() & ~source.isin(list(kept_sources)), LoadDrop.OTHER_SOURCE)
        intake.note_count(int(intake.frame["_source"].isna().sum()), "{n} orders do not say their source; kept")
    main, other = ("order_id", "order_name") if conversion_id == "id" else ("order_name", "order_id")
    intake.frame = intake.frame.rename(columns={main: "conversion_id"})
    intake.drop(intake.frame["conversion_id"].isna(), LoadDrop.NO_ID)
    times = event_times(intake.frame["_time"], intake, tz=tz, column="processed_at / Created at")
    again = repeats(intake.frame["conversion_id"])
    intake.drop(again, LoadDrop.DUPLICATE_ID)
    times = times[~again]
    frame = intake.frame.assign(
        event_name="purchase",
        event_time=times,
        value=money(intake.frame["_total"], intake),
        currency=currency_codes(intake.frame["_currency"], intake),
        action_source="web",
        origin="real",
    )
    landing = frame["landing_url"]
    wallets = landing.str.contains(_WALLET_LANDING, regex=False)
    intake.note_count(int(wallets.sum()), "{n} orders came through an express wallet: their landing page is unknown")
    frame = add_click_ids(
        frame,
        intake,
        urls=landing.mask(wallets),
        found=ids[ids["row"].isin(frame.index)] if len(ids) else ids,
    )
    keep = [
        name for name in frame.columns if not name.startswith("_") and (name != other or frame[other].notna().any())
    ]
    return intake.loaded(CONVERSIONS, frame[keep])


def _from_rest(records: Records) -> tuple[Intake, pd.DataFrame]:
    import pandas as pd

    records.require("id", "created_at")
    intake, col = records.intake(), records.col
    billing = ("billing_address",)
    intake.frame = pd.DataFrame(
        {
            "order_id": col("id"),
            "order_name": col("name").str.removeprefix("#"),
            "_time": pick(col("processed_at"), col("created_at")),
            "_test": col("test").str.lower() == "true",
            "_cancelled": col("cancelled_at"),
            "_status": col("financial_status"),
            "_source": col("source_name"),
            "_total": col("total_price"),
            "_currency": col("currency"),
            "user_key": col("customer", "id"),
            "email": pick(col("email"), col("contact_email")),
            "phone": pick(col("phone"), col(*billing, "phone")),
            "first_name": pick(col(*billing, "first_name"), col("customer", "first_name")),
            "last_name": pick(col(*billing, "last_name"), col("customer", "last_name")),
            "street": col(*billing, "address1"),
            "city": col(*billing, "city"),
            "region": pick(col(*billing, "province_code"), col(*billing, "province")),
            "postal_code": col(*billing, "zip"),
            "country": col(*billing, "country_code"),
            "client_ip": client_addresses(pick(col("client_details", "browser_ip"), col("browser_ip")), intake),
            "user_agent": col("client_details", "user_agent"),
            "landing_url": col("landing_site"),
            "referrer_url": col("referring_site"),
            "items": records.items("sku", "variant_id"),
        }
    )
    notes = {row: named_values(order.get("note_attributes"), "name") for row, order in enumerate(records.objects)}
    return intake, ids_from_pairs(notes, intake)


def _from_export(path: Part) -> tuple[Intake, pd.DataFrame]:
    import pandas as pd

    raw = read_csv(path)
    require_columns(raw, ["Name", "Created at"], path, hint="is it Shopify's orders export?")
    intake = Intake(path.name, "Shopify orders export (CSV)", raw)
    intake.drop(intake.frame["Name"].map(lambda name: not isinstance(name, str) or is_missing(name)), LoadDrop.NO_ID)
    # One line of an order has the order's columns, the others are line items: take the first value there is.
    whole = intake.frame.groupby("Name", sort=False).first()
    intake.drop(repeats(intake.frame["Name"]), LoadDrop.CONTINUATION_LINE)
    first = whole.loc[intake.frame["Name"]].reset_index().set_axis(intake.frame.index)

    def col(name: str) -> pd.Series:
        if name not in first:
            return pd.Series(None, index=first.index, dtype="str")
        return blank_to_missing(first[name])

    unguarded = {name: col(name).str.removeprefix("'") for name in ("Billing Zip", "Billing Phone", "Phone")}
    first_name, last_name = first_and_last(col("Billing Name"))
    intake.frame = pd.DataFrame(
        {
            "order_id": col("Id"),
            "order_name": col("Name").str.removeprefix("#"),
            "_time": col("Created at"),
            "_test": pd.Series(data=False, index=first.index),
            "_cancelled": col("Cancelled at"),
            "_status": col("Financial Status"),
            "_source": col("Source"),
            "_total": col("Total"),
            "_currency": col("Currency"),
            "email": col("Email"),
            "phone": pick(unguarded["Phone"], unguarded["Billing Phone"]),
            "first_name": first_name,
            "last_name": last_name,
            "street": pick(col("Billing Address1"), col("Billing Street")),
            "city": col("Billing City"),
            "region": col("Billing Province"),
            "postal_code": unguarded["Billing Zip"],
            "country": col("Billing Country"),
            "landing_url": pd.Series(None, index=first.index, dtype="str"),
        }
    )
    intake.note("the CSV has no landing page, address, user agent or test flag")
    if col("Id").isna().all() and len(first):
        intake.note("no column 'Id': orders are known by name only, use conversion_id='name'")
    notes = {}
    for row, text in col("Note Attributes").dropna().items():
        lines = (line.partition(":") for line in text.splitlines())
        notes[row] = [(name.strip(), value.strip()) for name, colon, value in lines if colon]
    return intake, ids_from_pairs(notes, intake)
