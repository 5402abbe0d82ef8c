"""Microsoft's UET tag: requests of ``bat.js`` and of the image tag."""

from __future__ import annotations

from datetime import date

from capi_lab.platforms.pixel import PixelEndpoint, PixelField, PixelRule, fields
from capi_lab.sources import Confidence, Source

__all__ = ["PIXEL"]

_HELP = "https://github.com/MicrosoftDocs/Advertising/blob/12a7d93/advertising/msa-help"
_PARAMETERS = f"{_HELP}/hlp_BA_CONC_UET_Parameters_Table.md"
_CAPTURES = "https://github.com/mbaersch/tracking-auditor-extension/blob/0c7e967/tests/uet.test.js"
_WRITTEN, _SEEN = date(2026, 6, 18), date(2026, 11, 26)

PIXEL = PixelRule(
    endpoints=(PixelEndpoint(r"bat\.bing\.(?:com|net)", r"/actionp?/[0-9]+/?"),),
    fields={
        **fields(
            pixel_id="ti",
            event_name=("ea", "evt"),
            event_id=("event_id", "eventId"),
            conversion_id="transaction_id",
            value="gv",
            currency="gc",
            page_url="p",
            referrer_url="r",
            email="pid.em",
            phone="pid.ph",
            visitor_id="vid",
            user_key="uid",
        ),
        # Stands for "no click known" where it is N; what is behind the id says whether it is new.
        "msclkid": PixelField(("msclkid",), r"([0-9a-fA-F]{32})(?:-0|-1N?)?|N"),
        "consent_ad_user_data": PixelField(("asc",), "", {"G": "granted", "D": "denied"}),
    },
    no_events=frozenset({"consent", "pageHide"}),
    nested=("pid",),
    sources={
        "endpoints": Source(
            f"{_HELP}/hlp_BA_CONC_UET_IMG_Tag.md", _WRITTEN, Confidence.HIGH, "actionp and bat.bing.net: seen only"
        ),
        "fields": Source(_PARAMETERS, _WRITTEN, Confidence.HIGH, "no time is sent; gv in units of gc"),
        "fields.event_name": Source(
            _PARAMETERS, _WRITTEN, Confidence.HIGH, "the action, which the Conversions API's event name must equal"
        ),
        "fields.event_id": Source(
            "https://learn.microsoft.com/en-us/advertising/guides/uet-conversion-api-integration?view=bingads-13",
            date(2026, 8, 17),
            Confidence.ASSUMED,
            "the tag's command takes event_id, the guide says; that the request calls it so too is assumed",
        ),
        "fields.email": Source(_CAPTURES, _SEEN, Confidence.LOW, "hashed keys in one parameter"),
        "fields.phone": Source(_CAPTURES, _SEEN, Confidence.LOW, "as e-mail"),
        "fields.consent_ad_user_data": Source(_CAPTURES, _SEEN, Confidence.LOW, "asc is the consent for ad storage"),
        "no_events": Source(_CAPTURES, _SEEN, Confidence.LOW, "two values are documented, pageLoad and custom"),
        "nested": Source(_CAPTURES, _SEEN, Confidence.LOW),
    },
)
