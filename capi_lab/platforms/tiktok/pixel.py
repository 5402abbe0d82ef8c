"""TikTok's pixel: requests of ``events.js``, mostly JSON bodies."""

from __future__ import annotations

from datetime import date

from capi_lab.platforms.pixel import Carries, PixelEndpoint, PixelRule, fields
from capi_lab.sources import Confidence, Source

__all__ = ["PIXEL"]

_CAPTURES = "https://github.com/mbaersch/tracking-auditor-extension/blob/516f1a6/tests/tiktok.test.js"
_SEEN = date(2026, 11, 26)
_HOST = r"(?:[a-z0-9-]+\.)*analytics\.tiktok\.com"

PIXEL = PixelRule(
    endpoints=(
        PixelEndpoint(_HOST, r"/api/v[0-9]/(?:track|(?:shopify_)?pixel(?:/(?:track|act|batch))?)/?"),
        PixelEndpoint(_HOST, r"/api/v[0-9]/.*", Carries.NONE),
    ),
    fields=fields(
        pixel_id=("context.pixel.code", "context.pixel.codes", "pixel_code"),
        event_name="event",
        event_id="event_id",
        event_time="timestamp",
        conversion_id="properties.order_id",
        value="properties.value",
        currency="properties.currency",
        page_url="context.page.url",
        referrer_url="context.page.referrer",
        ttclid="context.ad.callback",
        ttp="context.user.ttp",
        email="context.user.email",
        phone=("context.user.phone_number", "context.user.phone"),
        first_name="context.user.first_name",
        last_name="context.user.last_name",
        city="context.user.city",
        region="context.user.state",
        postal_code="context.user.zip_code",
        country="context.user.country",
        external_id="context.user.external_id",
    ),
    no_events=frozenset({"EnrichAM"}),
    packed=("analytics_message",),
    sources={
        "endpoints": Source(_CAPTURES, _SEEN, Confidence.LOW, "v1 until about 2020; other paths are telemetry"),
        "fields": Source(_CAPTURES, _SEEN, Confidence.LOW, "documented nowhere; timestamp as ISO text; keys hashed"),
        "fields.conversion_id": Source(_CAPTURES, _SEEN, Confidence.ASSUMED, "as the Events API calls it"),
        "fields.ttclid": Source(
            "https://github.com/tiktok/tiktok-business-api-sdk/blob/main/js_sdk/docs/PixelContext.md",
            _SEEN,
            Confidence.LOW,
            "documented for Events API 1.0, which takes the pixel's body; also read in the page's URL",
        ),
        "fields.ttp": Source(_CAPTURES, _SEEN, Confidence.ASSUMED, "as Events API 1.0 calls it"),
        "no_events": Source(_CAPTURES, _SEEN, Confidence.LOW, "the pixel's own look for match keys"),
        "packed": Source(_CAPTURES, _SEEN, Confidence.LOW, "GET requests carry the body so"),
    },
)
