"""Make files in the formats that have no public sample, from rows we know.

Each `Format` writes a contract table as the format's sheet says a real file looks, so that loading it back can be
held against the table it was written from. ``python -m tests.load.make_samples FOLDER`` writes one of each to look
at. All people are invented: example.com, 555 numbers, documentation addresses.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pandas as pd

Row = dict[str, Any]

PLACES = {"JPY": 0, "KWD": 3}
AGENT = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1"


@dataclass(frozen=True)
class Format:
    """One format: who loads it, which columns it can hold, and how rows are written in it."""

    name: str
    loader: str
    suffix: str
    holds: tuple[str, ...]
    write: Callable[[list[Row]], str | bytes]
    options: dict[str, Any] = field(default_factory=dict)

    def to(self, folder: Path, rows: list[Row]) -> Path:
        content = self.write(rows)
        path = folder / f"{self.name}{self.suffix}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path


def known_rows(n: int = 6) -> list[Row]:
    """Invent ``n`` rows with everything any format holds."""
    return [
        {
            "nth": i,
            "id": f"00{i}A",
            "time": 1_767_225_600 + 3_671 * i,
            "name": "purchase",
            "minor": 1_234_560 + i * 10,
            "currency": ("EUR", "JPY", "KWD")[i % 3],
            "person": f"p{i}",
            "visitor": f"116652{i}.161769{i}",
            "first": "Zoë",
            "last": 'Mc "Q", Jr',
            "email": f"zoe.{i}@example.com",
            "phone": f"+1202555010{i % 10}",
            "city": "Köln",
            "zip": "01067",
            "country": "DE",
            "click": f"Cj0KCQ_{i}-x",
            "page": f"https://shop.example/thanks?gclid=Cj0KCQ_{i}-x",
            "referrer": "https://shop.example/cart",
        }
        for i in range(n)
    ]


def value(row: Row) -> float:
    """Return the row's amount in major units."""
    return row["minor"] / 10 ** PLACES.get(row["currency"], 2)


def decimal(row: Row) -> str:
    """Write the amount as a shop's API does: text, all places."""
    places = PLACES.get(row["currency"], 2)
    return f"{value(row):.{places}f}"


def expected(rows: list[Row]) -> pd.DataFrame:
    """Return the rows under the contracts' names, whatever the table."""
    times = pd.to_datetime([row["time"] for row in rows], unit="s", utc=True).as_unit("us")
    columns = {
        "conversion_id": "id", "event_name": "name", "currency": "currency", "user_key": "person",
        "visitor_id": "visitor", "first_name": "first", "last_name": "last", "email": "email", "phone": "phone",
        "city": "city", "postal_code": "zip", "country": "country", "gclid": "click", "click_id": "click",
        "page_url": "page", "landing_url": "page", "referrer_url": "referrer",
    }  # fmt: skip
    frame = pd.DataFrame({ours: [row[theirs] for row in rows] for ours, theirs in columns.items()})
    return frame.assign(
        event_time=times,
        visit_time=times,
        click_time=times,
        click_date=times.strftime("%Y-%m-%d"),
        value=[value(row) for row in rows],
    )


def stamp(row: Row, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    return pd.Timestamp(row["time"], unit="s", tz="UTC").strftime(form)


def lines(objects: list[Any]) -> str:
    return "".join(json.dumps(one) + "\n" for one in objects)


def table(header: list[str], rows: list[list[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


# -- Stripe ------------------------------------------------------------------------------------------------

_PERSON = ("email", "phone", "first_name", "last_name", "city", "postal_code", "country")
_SALE = ("conversion_id", "event_time", "event_name", "value", "currency", "user_key")


def stripe_api(rows: list[Row]) -> str:
    """A list of charges as the API answers: epoch seconds, minor units, lower-case currency."""
    charges = [
        {
            "object": "charge",
            "id": f"ch_{row['nth']}",
            "payment_intent": row["id"],
            "created": row["time"],
            "amount": row["minor"],
            "amount_captured": row["minor"],
            "amount_refunded": 0,
            "currency": row["currency"].lower(),
            "livemode": True,
            "paid": True,
            "captured": True,
            "status": "succeeded",
            "customer": row["person"],
            "billing_details": {
                "name": f"{row['first']} {row['last']}",
                "email": row["email"],
                "phone": row["phone"],
                "address": {"city": row["city"], "postal_code": row["zip"], "country": row["country"]},
            },
            "metadata": {"gclid": row["click"]},
        }
        for row in rows
    ]
    return json.dumps({"object": "list", "data": charges, "has_more": False})


def stripe_events(rows: list[Row]) -> str:
    """The same charges as webhook events, one a line."""
    charges = json.loads(stripe_api(rows))["data"]
    return lines([{"object": "event", "type": "charge.succeeded", "data": {"object": charge}} for charge in charges])


def stripe_csv(rows: list[Row]) -> str:
    """The Dashboard's payments export: UTC in the header, major units."""
    header = [
        "id", "PaymentIntent ID", "Created date (UTC)", "Amount", "Amount Refunded", "Currency", "Captured", "Status",
        "Mode", "Customer ID", "Customer Email", "Customer Phone", "Card Name", "Card Address City",
        "Card Address Zip", "Card Address Country", "gclid (metadata)",
    ]  # fmt: skip
    return table(
        header,
        [
            [
                f"ch_{row['nth']}", row["id"], stamp(row, "%Y-%m-%d %H:%M:%S"), decimal(row), "0.00",
                row["currency"].lower(), "true", "Paid", "Live", row["person"], row["email"], row["phone"],
                f"{row['first']} {row['last']}",
                row["city"], row["zip"], row["country"], row["click"],
            ]
            for row in rows
        ],
    )  # fmt: skip


# -- GA4 ---------------------------------------------------------------------------------------------------

_EVENT = ("conversion_id", "event_time", "event_name", "value", "currency", "user_key", "visitor_id")
_PAGE = ("page_url", "referrer_url", "gclid")


def ga4_objects(rows: list[Row]) -> list[Row]:
    def param(key: str, kind: str, content: Any) -> Row:
        kinds = ("string_value", "int_value", "float_value", "double_value")
        return {"key": key, "value": {one: content if one == kind else None for one in kinds}}

    return [
        {
            "event_date": stamp(row, "%Y%m%d"),
            "event_timestamp": row["time"] * 1_000_000,
            "event_name": row["name"],
            "event_bundle_sequence_id": row["nth"],
            "user_pseudo_id": row["visitor"],
            "user_id": row["person"],
            "event_params": [
                param("page_location", "string_value", row["page"]),
                param("page_referrer", "string_value", row["referrer"]),
                param("currency", "string_value", row["currency"]),
                param("ga_session_id", "int_value", row["time"] - 60),
            ],
            "ecommerce": {"transaction_id": row["id"], "purchase_revenue": value(row)},
        }
        for row in rows
    ]


def ga4_parquet(rows: list[Row]) -> bytes:
    """The export as nested Parquet: repeated records as lists of structs, INT64 as numbers."""
    import pyarrow as pa
    from pyarrow import parquet

    sink = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(ga4_objects(rows)), sink)
    return sink.getvalue()


def ga4_fivetran(rows: list[Row]) -> str:
    """Fivetran's flat copy, with the column name that occurs twice."""
    header = [
        "_fivetran_id", "timestamp", "name", "user_pseudo_id", "user_id", "bundle_sequence_id", "batch_event_index",
        "ecommerce_transaction_id", "ecommerce_purchase_revenue", "param_currency", "param_page_location",
        "param_page_referrer", "collected_traffic_source_gclid", "param_session_engaged", "is_intraday",
        "param_session_engaged",
    ]  # fmt: skip
    return table(
        header,
        [
            [
                row["nth"], stamp(row, "%Y-%m-%d %H:%M:%S"), row["name"], row["visitor"], row["person"], row["nth"], 1,
                row["id"],
                decimal(row), row["currency"], row["page"], row["referrer"], row["click"], "true", "False", "1",
            ]
            for row in rows
        ],
    )  # fmt: skip


# -- Segment -----------------------------------------------------------------------------------------------


def segment_calls(rows: list[Row]) -> list[Row]:
    return [
        {
            "messageId": f"ajs-{row['nth']}",
            "type": "track",
            "event": row["name"],
            "anonymousId": row["visitor"],
            "userId": row["person"],
            "timestamp": stamp(row, "%Y-%m-%dT%H:%M:%S.000Z"),
            "receivedAt": stamp(row, "%Y-%m-%dT%H:%M:%S.000Z"),
            "properties": {
                "order_id": row["id"],
                "total": value(row),
                "currency": row["currency"],
                "email": row["email"],
                "phone": row["phone"],
            },
            "context": {
                "userAgent": AGENT,
                "library": {"name": "analytics.js"},
                "page": {"url": row["page"], "referrer": row["referrer"]},
            },
        }
        for row in rows
    ]


def segment_warehouse(rows: list[Row]) -> str:
    """The warehouse's table of one event: snake case, flat, naive UTC."""
    header = [
        "id", "anonymous_id", "user_id", "received_at", "timestamp", "event", "event_text", "order_id", "total",
        "currency", "email", "phone", "context_page_url", "context_page_referrer", "context_user_agent",
    ]  # fmt: skip
    time = "%Y-%m-%d %H:%M:%S"
    return table(
        header,
        [
            [
                f"ajs-{row['nth']}", row["visitor"], row["person"], stamp(row, time), stamp(row, time),
                "order_completed", row["name"], row["id"], decimal(row), row["currency"], row["email"], row["phone"],
                row["page"], row["referrer"], AGENT,
            ]
            for row in rows
        ],
    )  # fmt: skip


def segment_pages(rows: list[Row]) -> str:
    """The warehouse's ``pages`` table, with the query apart from the URL."""
    header = ["id", "anonymous_id", "user_id", "timestamp", "url", "search", "referrer", "context_user_agent"]
    time = "%Y-%m-%d %H:%M:%S"
    parts = [row["page"].partition("?") for row in rows]
    return table(
        header,
        [
            [
                f"ajs-{row['nth']}",
                row["visitor"],
                row["person"],
                stamp(row, time),
                url,
                mark + query,
                row["referrer"],
                AGENT,
            ]
            for row, (url, mark, query) in zip(rows, parts, strict=True)
        ],
    )


# -- Snowplow ----------------------------------------------------------------------------------------------


def snowplow_tsv(rows: list[Row]) -> str:
    """The enriched stream: 131 fields by position, as the format's sheet numbers them, no header."""
    text = []
    for row in rows:
        fields = [""] * 131
        at = stamp(row, "%Y-%m-%d %H:%M:%S.000")
        fields[1], fields[3], fields[5], fields[6] = "web", at, "transaction", f"5d27ff97-{row['nth']}"
        fields[12], fields[15], fields[29], fields[31] = row["person"], row["visitor"], row["page"], row["referrer"]
        fields[36] = row["page"].partition("?")[2]
        fields[59], fields[61], fields[77] = row["id"], decimal(row), AGENT
        fields[108] = row["currency"]
        fields[116], fields[117] = row["click"], "Google"
        fields[124], fields[126] = at, row["name"]
        text.append("\t".join(fields) + "\n")
    return "".join(text)


# -- Shopify -----------------------------------------------------------------------------------------------


def shopify_orders(rows: list[Row]) -> list[Row]:
    return [
        {
            "id": f"gid://shopify/Order/{row['id']}",
            "name": f"#{1000 + row['nth']}",
            "createdAt": stamp(row),
            "processedAt": stamp(row),
            "test": False,
            "cancelledAt": None,
            "displayFinancialStatus": "PAID",
            "sourceName": "web",
            "totalPriceSet": {"shopMoney": {"amount": decimal(row), "currencyCode": row["currency"]}},
            "email": row["email"],
            "phone": row["phone"],
            "customer": {"id": f"gid://shopify/Customer/{row['person']}"},
            "billingAddress": {
                "firstName": row["first"],
                "lastName": row["last"],
                "city": row["city"],
                "zip": row["zip"],
                "countryCodeV2": row["country"],
            },
            "customAttributes": [],
            "customerJourneySummary": {"ready": True, "lastVisit": {"landingPage": row["page"]}},
        }
        for row in rows
    ]


def shopify_answer(rows: list[Row]) -> str:
    """The answer to a query: orders in edges."""
    return json.dumps({"data": {"orders": {"edges": [{"node": order} for order in shopify_orders(rows)]}}})


def shopify_pixel(rows: list[Row]) -> str:
    """Customer events, as a custom pixel logs what it was given."""
    return lines(
        [
            {
                "id": f"sh-{row['nth']}",
                "clientId": row["visitor"],
                "name": row["name"],
                "timestamp": stamp(row, "%Y-%m-%dT%H:%M:%S.000Z"),
                "type": "standard",
                "context": {
                    "document": {"location": {"href": row["page"]}, "referrer": row["referrer"]},
                    "navigator": {"userAgent": AGENT},
                },
                "data": {
                    "checkout": {
                        "token": f"t{row['nth']}",
                        "email": row["email"],
                        "phone": row["phone"],
                        "currencyCode": row["currency"],
                        "totalPrice": {"amount": value(row), "currencyCode": row["currency"]},
                        "order": {"id": row["id"], "customer": {"id": row["person"]}},
                        "attributes": [],
                    }
                },
            }
            for row in rows
        ]
    )


# -- Google Ads --------------------------------------------------------------------------------------------


def click_view_csv(rows: list[Row]) -> str:
    """A script's report with dotted headers."""
    header = ["click_view.gclid", "segments.date", "segments.device", "campaign.id", "customer.id"]
    return table(header, [[row["click"], stamp(row, "%Y-%m-%d"), "MOBILE", "12", "345"] for row in rows])


def click_view_json(rows: list[Row]) -> str:
    """A streamed answer of the API: pages of results in camel case."""
    results = [
        {
            "clickView": {
                "gclid": row["click"],
                "resourceName": f"customers/345/clickViews/{stamp(row, '%Y-%m-%d')}~{row['click']}",
            },
            "segments": {"date": stamp(row, "%Y-%m-%d"), "device": "MOBILE"},
            "campaign": {"id": "12"},
        }
        for row in rows
    ]
    return json.dumps([{"results": results[:1]}, {"results": results[1:]}])


# -- CRM ---------------------------------------------------------------------------------------------------

_LEAD = ("conversion_id", "event_time", *_PERSON, "gclid")


def hubspot_api(rows: list[Row]) -> str:
    """Contacts as the API answers: properties apart, ISO times."""
    return json.dumps(
        {
            "results": [
                {
                    "id": row["id"],
                    "properties": {
                        "hs_object_id": row["id"],
                        "createdate": stamp(row, "%Y-%m-%dT%H:%M:%S.000Z"),
                        "email": row["email"],
                        "phone": row["phone"],
                        "firstname": row["first"],
                        "lastname": row["last"],
                        "city": row["city"],
                        "zip": row["zip"],
                        "hs_country_region_code": row["country"],
                        "hs_google_click_id": row["click"],
                        "lifecyclestage": "lead",
                    },
                }
                for row in rows
            ]
        }
    )


def hubspot_fivetran(rows: list[Row]) -> str:
    """Fivetran's columns: ``property_`` before the internal names, naive UTC."""
    names = ["hs_object_id", "createdate", "email", "phone", "firstname", "lastname", "city", "zip",
             "hs_country_region_code", "hs_google_click_id"]  # fmt: skip
    return table(
        [f"property_{name}" for name in names],
        [
            [
                row["id"], stamp(row, "%Y-%m-%d %H:%M:%S"), row["email"], row["phone"], row["first"], row["last"],
                row["city"], row["zip"], row["country"], row["click"],
            ]
            for row in rows
        ],
    )  # fmt: skip


def salesforce_csv(rows: list[Row]) -> str:
    """The Lead object exported through the API; the click id in a field of the site's own."""
    header = ["Id", "CreatedDate", "Email", "Phone", "FirstName", "LastName", "City", "PostalCode", "CountryCode",
              "Status", "Web_Click__c"]  # fmt: skip
    return table(
        header,
        [
            [
                row["id"], stamp(row, "%Y-%m-%dT%H:%M:%S.000+0000"), row["email"], row["phone"], row["first"],
                row["last"], row["city"], row["zip"], row["country"], "Open", row["click"],
            ]
            for row in rows
        ],
    )  # fmt: skip


# -- server-side GTM ---------------------------------------------------------------------------------------


def gtm_hits(rows: list[Row]) -> str:
    """Cloud Logging's entries of GA4 hits."""
    entries = []
    for row in rows:
        query = {
            "v": "2", "tid": "G-TEST", "cid": row["visitor"], "sid": str(row["time"] - 60), "en": row["name"],
            "dl": row["page"], "dr": row["referrer"], "ep.transaction_id": row["id"], "epn.value": decimal(row),
            "cu": row["currency"], "uid": row["person"], "gcs": "G111",
        }  # fmt: skip
        request = {
            "requestMethod": "GET",
            "requestUrl": "https://gtm.shop.example/g/collect?" + urlencode(query, quote_via=quote),
            "status": 200,
            "userAgent": AGENT,
        }
        entries.append({"insertId": f"i{row['nth']}", "timestamp": stamp(row), "httpRequest": request})
    return lines(entries)


# -- WooCommerce -------------------------------------------------------------------------------------------


def woocommerce(rows: list[Row]) -> str:
    """REST v3 orders: GMT beside the site's own time, text amounts, a plugin's click id among the meta data."""
    return json.dumps(
        [
            {
                "id": row["id"],
                "number": f"N{row['nth']}",
                "status": "completed",
                "created_via": "checkout",
                "date_created": stamp({"time": row["time"] + 3600}, "%Y-%m-%dT%H:%M:%S"),
                "date_created_gmt": stamp(row, "%Y-%m-%dT%H:%M:%S"),
                "total": decimal(row),
                "currency": row["currency"],
                "customer_id": row["person"],
                "billing": {
                    "email": row["email"], "phone": row["phone"], "first_name": row["first"],
                    "last_name": row["last"], "city": row["city"], "postcode": row["zip"], "country": row["country"],
                },
                "meta_data": [
                    {"id": 1, "key": "_gclid", "value": row["click"]},
                    {"id": 2, "key": "_wc_order_attribution_referrer", "value": row["referrer"]},
                ],
                "line_items": [],
            }
            for row in rows
        ]
    )  # fmt: skip


# -- our own contract ---------------------------------------------------------------------------------------

_LEDGER = (*_SALE, *_PERSON, "gclid", "page_url", "referrer_url")


def ledger_csv(rows: list[Row]) -> str:
    """The ledger as it is, under somebody's name for the order."""
    frame = expected(rows)[list(_LEDGER)].rename(columns={"conversion_id": "Order"})
    return frame.to_csv(index=False, lineterminator="\n")


def ledger_lines(rows: list[Row]) -> str:
    """The ledger as JSON lines, times as text."""
    frame = expected(rows)[list(_LEDGER)]
    return lines(frame.assign(event_time=frame["event_time"].astype("str")).to_dict("records"))


def ledger_parquet(rows: list[Row]) -> bytes:
    """The ledger as Parquet."""
    sink = io.BytesIO()
    expected(rows)[list(_LEDGER)].to_parquet(sink, index=False)
    return sink.getvalue()


_CLICK = ("click_id", "click_date")
_CRM_SALESFORCE = {"columns": {"Web_Click__c": "gclid"}}

FORMATS = [
    Format("woocommerce", "woocommerce_orders", ".json", (*_SALE, *_PERSON, "gclid", "referrer_url"), woocommerce),
    Format(
        "ledger_csv",
        "table",
        ".csv",
        _LEDGER,
        ledger_csv,
        {"kind": "conversions", "columns": {"Order": "conversion_id"}},
    ),
    Format("ledger_lines", "table", ".jsonl", _LEDGER, ledger_lines, {"kind": "conversions"}),
    Format("ledger_parquet", "table", ".parquet", _LEDGER, ledger_parquet, {"kind": "conversions"}),
    Format("shopify_graphql", "shopify_orders", ".json", (*_SALE, *_PERSON, "gclid"), shopify_answer),
    Format(
        "shopify_bulk",
        "shopify_orders",
        ".jsonl",
        (*_SALE, *_PERSON, "gclid"),
        lambda rows: lines(shopify_orders(rows)),
    ),
    Format("shopify_pixel", "shopify_events", ".jsonl", (*_EVENT, *_PAGE, "email", "phone"), shopify_pixel),
    Format("click_view_csv", "google_click_view", ".csv", _CLICK, click_view_csv, {"tz": "Europe/Berlin"}),
    Format("click_view_json", "google_click_view", ".json", _CLICK, click_view_json, {"tz": "Europe/Berlin"}),
    Format("hubspot_api", "crm_leads", ".json", _LEAD, hubspot_api),
    Format("hubspot_fivetran", "crm_leads", ".csv", _LEAD, hubspot_fivetran, {"tz": "UTC"}),
    Format("salesforce", "crm_leads", ".csv", _LEAD, salesforce_csv, _CRM_SALESFORCE),
    Format("gtm_hits", "gtm_server_log", ".jsonl", (*_EVENT, *_PAGE), gtm_hits),
    Format("stripe_api", "stripe_payments", ".json", (*_SALE, *_PERSON, "gclid"), stripe_api),
    Format("stripe_events", "stripe_payments", ".jsonl", (*_SALE, *_PERSON, "gclid"), stripe_events),
    Format("stripe_export", "stripe_payments", ".csv", (*_SALE, *_PERSON, "gclid"), stripe_csv),
    Format("ga4_lines", "ga4_bigquery", ".jsonl", (*_EVENT, *_PAGE), lambda rows: lines(ga4_objects(rows))),
    Format("ga4_nested", "ga4_bigquery", ".parquet", (*_EVENT, *_PAGE), ga4_parquet),
    Format("ga4_fivetran", "ga4_fivetran", ".csv", (*_EVENT, *_PAGE), ga4_fivetran, {"tz": "UTC"}),
    Format(
        "ga4_clicks",
        "ga4_clicks",
        ".jsonl",
        ("click_id", "click_time", "visitor_id", "user_key", "landing_url"),
        lambda rows: lines(ga4_objects(rows)),
    ),
    Format(
        "segment_calls",
        "segment_tracks",
        ".jsonl",
        (*_EVENT, *_PAGE, "email", "phone"),
        lambda rows: lines(segment_calls(rows)),
    ),
    Format("segment_tracks", "segment_tracks", ".csv", (*_EVENT, *_PAGE, "email", "phone"), segment_warehouse),
    Format("segment_pages", "segment_pages", ".csv", ("visit_time", "visitor_id", "user_key", *_PAGE), segment_pages),
    Format("snowplow_enriched", "snowplow_events", ".tsv", (*_EVENT, *_PAGE), snowplow_tsv, {"repeated": "drop"}),
]


def files() -> dict[str, bytes]:
    """Return one file of each format by its name: tables, pixel requests, request logs, platforms' reports."""
    from tests.load import made_logs, made_reports  # which stand beside this module and use it
    from tests.load.made_pixels import PIXEL_FORMATS, URL_LIST

    found: dict[str, str | bytes] = {
        f"{one.name}{one.suffix}": one.write(known_rows()) for one in [*FORMATS, *PIXEL_FORMATS, URL_LIST]
    }
    requests, days = made_logs.requests(60, seed=1), made_reports.known_days()
    found |= {
        "access.log": "".join(map(made_logs.combined, requests)),
        "cloudfront.log": made_logs.cloudfront(requests),
        "alb.log": "".join(map(made_logs.load_balancer, requests)),
        "google_summary.json": made_reports.google_summary(days),
        "microsoft_goals.json": made_reports.microsoft_goals(days),
        "microsoft_account.json": made_reports.microsoft_account(days),
    }
    return {name: one if isinstance(one, bytes) else one.encode() for name, one in found.items()}


def main(folder: Path) -> None:
    """Write one file of each format."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files().items():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
