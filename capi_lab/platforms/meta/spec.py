"""Meta's rules, each with its source.

Read from stored copies of the official pages; nothing here was tried against the live API.
"""

from __future__ import annotations

from datetime import date, timedelta

from capi_lab.platforms.spec import (
    Assumption,
    BrowserPreference,
    ClickIdRule,
    Confidence,
    DedupRule,
    FallbackRule,
    PlatformSpec,
    Source,
    match_keys,
)
from capi_lab.words import Channel

__all__ = ["SPEC"]

_DOCS = "https://developers.facebook.com/documentation/ads-commerce/conversions-api"
_READ = date(2026, 9, 12)

SPEC = PlatformSpec(
    name="meta",
    title="Meta",
    event_names={
        "add_payment_info": "AddPaymentInfo",
        "add_to_cart": "AddToCart",
        "add_to_wishlist": "AddToWishlist",
        "begin_checkout": "InitiateCheckout",
        "contact": "Contact",
        "customize_product": "CustomizeProduct",
        "donate": "Donate",
        "find_location": "FindLocation",
        "lead": "Lead",
        "page_view": "PageView",
        "purchase": "Purchase",
        "schedule": "Schedule",
        "search": "Search",
        "sign_up": "CompleteRegistration",
        "start_trial": "StartTrial",
        "submit_application": "SubmitApplication",
        "subscribe": "Subscribe",
        "view_item": "ViewContent",
    },
    dedup=DedupRule(
        key=("event_name", "event_id"),
        window=timedelta(hours=48),
        same_channel=Assumption(
            value=False,
            question="Do two browser events, or two server events, with the same event id merge as well?",
        ),
        prefer=BrowserPreference(channel=Channel.PIXEL, within=timedelta(minutes=5)),
        fallback=FallbackRule(keys=("external_id", "fbp"), first=Channel.PIXEL),
    ),
    click_ids=(
        ClickIdRule(param="fbc", cookie="_fbc", life=timedelta(days=90)),
        ClickIdRule(param="fbp", cookie="_fbp", life=timedelta(days=90)),
    ),
    match_keys=match_keys(
        "meta",
        {
            "email": "em",
            "phone": "ph",
            "first_name": "fn",
            "last_name": "ln",
            "gender": "ge",
            "date_of_birth": "db",
            "city": "ct",
            "region": "st",
            "postal_code": "zp",
            "country": "country",
            "external_id": "external_id",
            "client_ip": "client_ip_address",
            "user_agent": "client_user_agent",
        },
    ),
    sources={
        "event_names": Source(
            "https://developers.facebook.com/docs/meta-pixel/reference",
            _READ,
            Confidence.MEDIUM,
            "standard events, through a published schema that matches the page",
        ),
        "dedup.key": Source(f"{_DOCS}/deduplicate-pixel-and-server-events", _READ, Confidence.HIGH),
        "dedup.window": Source(
            f"{_DOCS}/deduplicate-pixel-and-server-events",
            _READ,
            Confidence.HIGH,
            "48 h from receipt of the first event with that id, not from event_time",
        ),
        "dedup.same_channel": Source(
            f"{_DOCS}/deduplicate-pixel-and-server-events",
            _READ,
            Confidence.ASSUMED,
            "the page describes a browser and server pair only",
        ),
        "dedup.prefer": Source(
            f"{_DOCS}/parameters/server-event",
            _READ,
            Confidence.HIGH,
            "within 5 minutes the browser event is favoured",
        ),
        "dedup.fallback": Source(
            f"{_DOCS}/deduplicate-pixel-and-server-events",
            _READ,
            Confidence.HIGH,
            "event name with fbp and/or external_id; browser first, then server; external_id wins over fbp",
        ),
        "click_ids": Source(f"{_DOCS}/parameters/fbp-and-fbc", _READ, Confidence.HIGH, "90 days"),
        "match_keys": Source(f"{_DOCS}/parameters/customer-information-parameters", _READ, Confidence.HIGH),
    },
)
