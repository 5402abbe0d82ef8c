"""Meta's pixel: requests of ``fbevents.js`` and of the image tag."""

from __future__ import annotations

from datetime import date

from capi_lab.platforms.pixel import Carries, PixelEndpoint, PixelRule, fields
from capi_lab.sources import Confidence, Source

__all__ = ["PIXEL"]

_CAPTURES = "https://github.com/mbaersch/tracking-auditor-extension/blob/29e0f58/tests/meta.test.js"
_SEEN = date(2026, 11, 26)
_HOST = r"(?:[a-z0-9-]+\.)*facebook\.com"


def _hashed(key: str) -> tuple[str, ...]:
    """Name the three places of a hashed key: given by the site, from its forms, found by the pixel itself."""
    return f"ud[{key}]", f"udff[{key}]", f"aud[{key}]"


PIXEL = PixelRule(
    endpoints=(
        PixelEndpoint(_HOST, r"/tr/?"),
        PixelEndpoint(_HOST, r"/privacy_sandbox/pixel/register/trigger/?", Carries.COPY),
    ),
    fields=fields(
        pixel_id="id",
        event_name="ev",
        event_id="eid",
        event_time="ts",
        conversion_id="cd[order_id]",
        value="cd[value]",
        currency="cd[currency]",
        page_url="dl",
        referrer_url="rl",
        fbp="fbp",
        fbc="fbc",
        email=_hashed("em"),
        phone=_hashed("ph"),
        first_name=_hashed("fn"),
        last_name=_hashed("ln"),
        gender=_hashed("ge"),
        date_of_birth=_hashed("db"),
        city=_hashed("ct"),
        region=_hashed("st"),
        postal_code=_hashed("zp"),
        country=_hashed("country"),
        external_id=_hashed("external_id"),
    ),
    sources={
        "endpoints": Source(_CAPTURES, _SEEN, Confidence.LOW, "GET, or POST as a form; the copy is Chrome's ad API"),
        "fields": Source(_CAPTURES, _SEEN, Confidence.LOW, "documented nowhere; ts in milliseconds; keys hashed"),
        "fields.event_id": Source(
            "https://developers.facebook.com/docs/marketing-api/conversions-api/deduplicate-pixel-and-server-events",
            _SEEN,
            Confidence.LOW,
            "the page says that eventID is the server's event_id; that it is sent as eid was seen",
        ),
        "fields.conversion_id": Source(
            _CAPTURES, _SEEN, Confidence.ASSUMED, "custom data is sent as cd[its name]; order_id is a name sites choose"
        ),
    },
)
