"""Shopify beside REST: GraphQL orders, bulk lines and customer events."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import LoadError
from tests.load.make_samples import known_rows, shopify_orders


def test_bulk_lines_of_one_order(tmp_path: Path) -> None:
    """Children of an order stand on lines of their own: counted, never orders; other reasons hold as for REST."""
    order = shopify_orders(known_rows(1))[0]
    gid = order["id"]
    made = [
        order,
        {"id": "gid://shopify/LineItem/9", "__parentId": gid, "sku": "CD", "quantity": 1},
        order | {"id": "gid://shopify/Order/2", "test": True},
        order | {"id": "gid://shopify/Order/3", "displayFinancialStatus": "VOIDED"},
        order | {"id": "gid://shopify/Order/4", "sourceName": "pos"},
        order | {"id": "gid://shopify/Order/5", "cancelledAt": "2026-01-02T00:00:00Z"},
    ]
    path = tmp_path / "bulk.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in made))
    loaded = cl.load.shopify_orders(path)
    assert loaded.report.dropped == {
        "continuation_line": 1,
        "test_order": 1,
        "not_paid": 1,
        "other_source": 1,
        "cancelled": 1,
    }
    assert loaded.df["conversion_id"].tolist() == [gid.rpartition("/")[2]]
    assert loaded.df["order_name"].tolist() == ["1000"]


def test_attributes_items_and_visits_not_ready(tmp_path: Path) -> None:
    """Ids in attributes come before the landing page; line items are kept; what is not ready yet is said."""
    order = shopify_orders(known_rows(1))[0] | {
        "customAttributes": [{"key": "_fbp", "value": "fb.1.1795300000456.1"}, {"key": "gclid", "value": "ATTR"}],
        "lineItems": {
            "nodes": [{"sku": "CD", "quantity": 2, "originalUnitPriceSet": {"shopMoney": {"amount": "5.0"}}}]
        },
    }
    path = tmp_path / "one.json"
    path.write_text(json.dumps({"data": {"order": order}}))
    row = cl.load.shopify_orders(path).df.iloc[0]
    assert (row["gclid"], row["fbp"]) == ("ATTR", "fb.1.1795300000456.1")
    assert json.loads(row["items"]) == [{"id": "CD", "quantity": 2, "price": "5.0"}]
    path.write_text(json.dumps({"data": {"order": order | {"customerJourneySummary": {"ready": False}}}}))
    assert "1 orders' visits are not ready yet: read them again later" in cl.load.shopify_orders(path).report.notes


def test_customer_events(tmp_path: Path) -> None:
    """The event's id is not the order's; a completed checkout without an order is said; repeats count once."""
    event = {
        "id": "sh-1",
        "name": "checkout_completed",
        "clientId": "c1",
        "timestamp": "2026-05-17T10:05:03.000+02:00",
        "context": {"document": {"location": {"href": "https://s.example/thanks"}}},
        "data": {
            "checkout": {
                "token": "t1",
                "totalPrice": {"amount": 9.5, "currencyCode": "EUR"},
                "order": {"id": "gid://shopify/OrderIdentity/77"},
                "attributes": [{"key": "fbclid", "value": "F1"}],
            }
        },
    }
    page = {"id": "sh-2", "name": "page_viewed", "timestamp": "2026-05-17T10:00:00Z", "data": {}}
    unnamed = event | {"id": "sh-3", "data": {"checkout": {"token": "t2"}}}
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in (event, event, page, unnamed)))
    loaded = cl.load.shopify_events(path)
    assert loaded.report.dropped == {"duplicate_id": 1}
    row = loaded.df.iloc[0]
    assert (row["event_id"], row["conversion_id"], row["value"], row["fbclid"]) == ("sh-1", "77", 9.5, "F1")
    assert row["event_time"] == pd.Timestamp("2026-05-17 08:05:03", tz="UTC")
    assert "1 completed checkouts name no order: only checkout_token is known" in loaded.report.notes
    path.write_text(json.dumps({"id": "x"}))
    with pytest.raises(LoadError, match="is it Shopify customer events"):
        cl.load.shopify_events(path)
