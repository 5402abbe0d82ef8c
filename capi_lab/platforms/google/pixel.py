"""Google's tags: conversion requests of Google Ads, its measurement requests, and Analytics hits.

One conversion of Google Ads is sent to up to five addresses at once; one of them is the event, the others are copies.
"""

from __future__ import annotations

from datetime import date

from capi_lab.platforms.pixel import Carries, PixelEndpoint, PixelField, PixelRule, fields
from capi_lab.sources import Confidence, Source

__all__ = ["PIXEL"]

_CAPTURES = "https://github.com/mbaersch/tracking-auditor-extension/blob/29e0f58/tests/googleads.test.js"
_SEEN = date(2026, 11, 26)
_ADS = (
    r"(?:www\.)?googleadservices\.com|googleads\.g\.doubleclick\.net|ad\.doubleclick\.net"
    r"|(?:[a-z0-9-]+\.)*googlesyndication\.com|(?:www\.)?google\.[a-z]{2,3}(?:\.[a-z]{2})?"
)
_ANALYTICS = r"(?:[a-z0-9-]+\.)*(?:google-analytics\.com|analytics\.google\.com)"
_ID = r"(?:AW-)?([0-9]+)/?"

PIXEL = PixelRule(
    endpoints=(
        PixelEndpoint(_ADS, rf"/pagead/conversion/{_ID}", account="AW-{}"),
        PixelEndpoint(_ADS, r"/ccm/collect/?"),
        PixelEndpoint(_ANALYTICS, r"/g/collect/?", batched=True),
        PixelEndpoint(_ADS, rf"/(?:ccm|pagead)/(?:1p-|viewthrough)?conversion/{_ID}", Carries.COPY, "AW-{}"),
        PixelEndpoint(_ADS, rf"/(?:rmkt/collect|pagead/1p-user-list)/{_ID}", Carries.COPY, "AW-{}"),
        PixelEndpoint(r"stats\.g\.doubleclick\.net", r"/g/collect/?", Carries.COPY),
        PixelEndpoint(_ADS, r"/(?:pagead/form-data|ccm/form-data|ccm/s/collect)(?:/.*)?", Carries.NONE),
    ),
    fields={
        **fields(
            pixel_id=("tid", "tids"),
            conversion_action="label",
            event_name="en",
            event_id="ep.event_id",
            conversion_id=("ep.transaction_id", "oid"),
            value=("epn.value", "ep.value", "value"),
            currency=("cu", "ep.currency", "currency_code"),
            page_url=("dl", "url"),
            referrer_url=("dr", "ref"),
            gclid=("gclid", "gclaw"),
            visitor_id="cid",
            user_key="uid",
        ),
        # G1, then ad storage, then analytics storage; what is neither 1 nor 0 was not asked.
        "consent_ad_user_data": PixelField(("gcs",), r"G1(.).*", {"1": "granted", "0": "denied"}),
    },
    unnamed=(("label", "conversion"),),
    sources={
        "endpoints": Source(
            _CAPTURES,
            _SEEN,
            Confidence.LOW,
            "pagead/conversion is sent for every conversion, beside the copies for consent mode, remarketing and "
            "Google's own domains; a body of Analytics holds several events, one a line",
        ),
        "fields": Source(_CAPTURES, _SEEN, Confidence.LOW, "documented nowhere; no request says when its event was"),
        "fields.event_id": Source(_CAPTURES, _SEEN, Confidence.ASSUMED, "an event parameter sites choose themselves"),
        "fields.gclid": Source(_CAPTURES, _SEEN, Confidence.LOW, "gclaw: the cookie's click, in conversion requests"),
        "fields.consent_ad_user_data": Source(
            "https://developers.google.com/tag-platform/security/concepts/consent-mode",
            _SEEN,
            Confidence.MEDIUM,
            "gcs tells the consent for ad storage, which stands in: ad_user_data is in gcd, which is not read",
        ),
        "unnamed": Source(_CAPTURES, _SEEN, Confidence.LOW, "image tags send a label and no name"),
    },
)
