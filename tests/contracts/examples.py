"""Conversions every route can take, and the settings each route needs. Nobody in here exists."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd

import capi_lab as cl

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

SETTINGS: dict[tuple[str, str], dict[str, str]] = {
    ("meta", "capi"): {"dataset_id": "1234567890"},
    ("google", "data_manager"): {"customer_id": "1234567890", "conversion_action_id": "777111122"},
    ("google", "ads_api"): {"customer_id": "1234567890", "conversion_action_id": "777111122"},
    ("tiktok", "events_api"): {"event_source_id": "C0EXAMPLEPIXEL00000"},
    ("linkedin", "capi"): {"conversion_id": "104012"},
    ("microsoft", "offline"): {
        "conversion_name": "Web purchase",
        "customer_id": "1234567",
        "customer_account_id": "7654321",
    },
    ("microsoft", "uet"): {"tag_id": "187654321"},
}

ROUTES = [(name, route) for name, platform in cl.PLATFORMS.items() for route in platform.wires]

PERSON = {
    "email": "Jane.Doe+News@Example.COM",
    "phone": "+1 (650) 555-1212",
    "first_name": "Jane",
    "last_name": "O'Brien",
    "gender": "Female",
    "date_of_birth": "1997-02-16",
    "street": "1 Main St.",
    "city": "New York",
    "region": "NY",
    "postal_code": "10001-1234",
    "country": "US",
    "external_id": "user_123",
    "client_ip": "203.0.113.7",
    "user_agent": "Mozilla/5.0 (X11; Linux x86_64) Example/1.0",
}
IDS = {
    "gclid": "Cj0KCQiAvvKBBhCXARIsACTePW-ExampleClick_wcB",
    "fbc": "fb.1.1795399000123.IwAR0-Example_Click",
    "fbp": "fb.1.1795300000456.123456789",
    "ttclid": "E.C.P.exampleClick",
    "ttp": "2exampleTtpCookie",
    "msclkid": "0123456789abcdef0123456789abcdef",
    "li_fat_id": "6f6e6ed0-2f25-4b31-9c1f-0d5f3a7a8b11",
}


def example_rows(n: int = 3, **columns: object) -> pd.DataFrame:
    """``n`` purchases an hour old with every key and id; ``columns`` replace or take away (None)."""
    when = pd.Timestamp(NOW) - pd.Timedelta(hours=1)
    base: dict[str, object] = {
        "conversion_id": [f"order-{1001 + i}" for i in range(n)],
        "event_name": "purchase",
        "event_time": [when + pd.Timedelta(seconds=i) for i in range(n)],
        "value": [49.9 + i for i in range(n)],
        "currency": "EUR",
        "event_id": [f"order-{1001 + i}" for i in range(n)],
        "user_key": [f"u{i}" for i in range(n)],
        **PERSON,
        **IDS,
        "click_time": when - pd.Timedelta(days=1),
        "consent_ad_user_data": "granted",
        "consent_ad_personalization": "granted",
        "action_source": "web",
        "page_url": "https://shop.example/thanks?o=1",
        "referrer_url": "https://shop.example/checkout",
        "items": '[{"id":"sku-1","quantity":2,"price":24.95}]',
        "origin": "real",
    }
    base |= columns
    return pd.DataFrame({name: value for name, value in base.items() if value is not None}, index=range(n))


def wire_of(platform: str, route: str) -> cl.platforms.wire.Wire:
    """The wire under test."""
    return cl.PLATFORMS[platform].wires[route]
