"""Orders as Shopify's GraphQL Admin API writes them, in the shape `capi_lab.load.shopify` reads on.

Format: object ``Order``, shopify.dev/docs/api/admin-graphql, read 2026-11-23. A query's answer nests orders in
``edges`` or ``nodes``; a bulk operation writes one object a line, line items and the like apart with ``__parentId``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from capi_lab.load.addresses import client_addresses
from capi_lab.load.clicks import ids_from_pairs
from capi_lab.load.records import Records, listed, named_values
from capi_lab.load.values import pick, text_column

if TYPE_CHECKING:
    import pandas as pd

    from capi_lab.load.result import Intake

__all__ = ["from_graphql", "graphql_id", "graphql_orders", "nodes_of"]


def graphql_orders(objects: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """Return the GraphQL objects in a file, or None where it holds another format."""
    found: list[dict[str, Any]] = []
    for one in objects:
        data = one.get("data")
        orders = data.get("orders", data.get("order")) if isinstance(data, dict) else one
        if isinstance(orders, dict) and ("edges" in orders or "nodes" in orders):
            found += nodes_of(orders)
        elif isinstance(orders, dict):
            found.append(orders)
    ids = [one.get("id", one.get("__parentId")) for one in found]
    return found if any(isinstance(id_, str) and id_.startswith("gid://shopify/") for id_ in ids) else None


def nodes_of(connection: Any) -> list[dict[str, Any]]:
    """Return the nodes of a connection, written as ``nodes`` or as ``edges``."""
    if not isinstance(connection, dict):
        return []
    edges = [edge.get("node") for edge in listed(connection.get("edges")) if isinstance(edge, dict)]
    return [node for node in [*listed(connection.get("nodes")), *edges] if isinstance(node, dict)]


def graphql_id(ids: pd.Series) -> pd.Series:
    """Keep the last segment of ``gid://shopify/Order/123``, without a query behind it."""
    return ids.str.replace(r"^gid://.*/([^/?]+)(?:\?.*)?$", r"\1", regex=True)


def from_graphql(records: Records) -> tuple[Intake, pd.DataFrame]:
    """Read orders into the columns `capi_lab.load.shopify` expects, and the ids in their attributes."""
    import pandas as pd

    intake, col = records.intake(), records.col
    billing, visit = ("billingAddress",), ("customerJourneySummary", "lastVisit")
    children = [one.get("__parentId") is not None for one in records.objects]
    shop = pick(col("totalPriceSet", "shopMoney", "amount"), col("currentTotalPriceSet", "shopMoney", "amount"))
    intake.frame = pd.DataFrame(
        {
            "_child": pd.Series(children, dtype="bool"),
            "order_id": pick(col("legacyResourceId"), graphql_id(col("id"))),
            "order_name": col("name").str.removeprefix("#"),
            "_time": pick(col("processedAt"), col("createdAt")),
            "_test": col("test").str.lower() == "true",
            "_cancelled": col("cancelledAt"),
            "_status": col("displayFinancialStatus"),
            "_source": col("sourceName"),
            "_total": shop,
            "_currency": pick(col("totalPriceSet", "shopMoney", "currencyCode"), col("currencyCode")),
            "user_key": graphql_id(col("customer", "id")),
            "email": pick(col("email"), col("customer", "email")),
            "phone": pick(col("phone"), col(*billing, "phone"), col("customer", "phone")),
            "first_name": pick(col(*billing, "firstName"), col("customer", "firstName")),
            "last_name": pick(col(*billing, "lastName"), col("customer", "lastName")),
            "street": col(*billing, "address1"),
            "city": col(*billing, "city"),
            "region": pick(col(*billing, "provinceCode"), col(*billing, "province")),
            "postal_code": col(*billing, "zip"),
            "country": pick(col(*billing, "countryCodeV2"), col(*billing, "countryCode")),
            "client_ip": client_addresses(col("clientIp"), intake),
            "landing_url": col(*visit, "landingPage"),
            "referrer_url": col(*visit, "referrerUrl"),
            "items": text_column([_items(one.get("lineItems")) for one in records.objects]),
        }
    )
    intake.note("GraphQL orders tell no user agent")
    waiting = col("customerJourneySummary", "ready").str.lower() == "false"
    intake.note_count(int(waiting.sum()), "{n} orders' visits are not ready yet: read them again later")
    pairs = {row: named_values(order.get("customAttributes"), "key") for row, order in enumerate(records.objects)}
    return intake, ids_from_pairs(pairs, intake)


def _items(connection: Any) -> str | None:
    items = [
        {
            "id": str(line.get("sku") or ""),
            "quantity": line.get("quantity"),
            "price": _amount(line.get("originalUnitPriceSet")),
        }
        for line in nodes_of(connection)
    ]
    return json.dumps(items, separators=(",", ":")) if items else None


def _amount(money: Any) -> Any:
    shop = money.get("shopMoney") if isinstance(money, dict) else None
    return shop.get("amount") if isinstance(shop, dict) else None
