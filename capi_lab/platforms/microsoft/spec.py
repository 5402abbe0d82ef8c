"""Microsoft Advertising's rules, each with its source.

Two unrelated products, two routes: offline conversions feed goals by name, the UET Conversions API feeds the goals of
a tag. No dedup between them is documented: count one action through one of them. Nothing here was tried against a
live account.
"""

from __future__ import annotations

from datetime import date, timedelta
from types import MappingProxyType

from capi_lab.platforms.microsoft.clickid import CORE, PATTERN
from capi_lab.platforms.microsoft.offline_spec import OFFLINE
from capi_lab.platforms.microsoft.pixel import PIXEL
from capi_lab.platforms.microsoft.uet_spec import UET, USER_FIELDS
from capi_lab.platforms.rules import Assumption, AttributionWindow, ClickIdRule, ConsentRule, Dated, ReportRule
from capi_lab.platforms.spec import PlatformSpec, match_keys
from capi_lab.sources import Confidence, Source

__all__ = ["SPEC"]

_GUIDE = "https://learn.microsoft.com/en-us/advertising/guides/uet-conversion-api-integration?view=bingads-13"
_HELP = "https://github.com/MicrosoftDocs/Advertising/blob/a21125d/advertising/msa-help"
_READ = date(2026, 8, 17)

_EVENTS = (
    "add_payment_info", "add_to_cart", "add_to_wishlist", "begin_checkout", "contact", "customize_product", "donate",
    "find_location", "lead", "page_view", "purchase", "schedule", "search", "sign_up", "start_trial",
    "submit_application", "subscribe", "view_item",
)  # fmt: skip

SPEC = PlatformSpec(
    name="microsoft",
    title="Microsoft Advertising",
    # There are no standard events: the account's own goals say which action counts.
    event_names={name: name for name in _EVENTS},
    match_keys=match_keys("microsoft", {**USER_FIELDS, "email": "HashedEmailAddress", "phone": "HashedPhoneNumber"}),
    click_ids=(
        ClickIdRule("msclkid", cookie="_uetmsclkid", life=timedelta(days=90), pattern=PATTERN, strict=True, core=CORE),
    ),
    consent=ConsentRule(
        fields=MappingProxyType({"consent_ad_user_data": "adStorageConsent"}),
        words=MappingProxyType({"granted": "G", "denied": "D"}),
        missing="granted (UET); offline conversions have no consent field",
    ),
    windows=(AttributionWindow("click", timedelta(days=30), (), "a goal can have 1 minute to 90 days"),),
    reports=ReportRule(
        MappingProxyType({"received": Dated.RECEIPT, "matched": Dated.RECEIPT, "attributed": Dated.CLICK}),
        models=Assumption(value=False, question="Do Microsoft's reports hold modelled conversions?"),
    ),
    routes=(OFFLINE, UET),
    pixel=PIXEL,
    sources={
        "event_names": Source(
            _GUIDE,
            _READ,
            Confidence.ASSUMED,
            "no list exists; we keep our names, and the setting event_name says what the tag calls it",
        ),
        "match_keys": Source(
            f"{_HELP}/hlp_BA_CONC_UET_EnhancedConversions.md",
            date(2026, 6, 18),
            Confidence.HIGH,
            "hashes on both routes; the other keys on route uet only",
        ),
        "click_ids": Source(
            f"{_HELP}/hlp_BA_PROC_MicrosoftClickID.md",
            _READ,
            Confidence.HIGH,
            "the tag's prefix and suffixes: medium, through a second implementation",
        ),
        "consent": Source(_GUIDE, _READ, Confidence.HIGH, "D is used for no advertising purpose"),
        "windows": Source(
            "https://learn.microsoft.com/en-us/advertising/campaign-management-service/"
            "offlineconversiongoal?view=bingads-13",
            _READ,
            Confidence.HIGH,
            "1 to 129,600 minutes, 43,200 by default; the same for tag goals",
        ),
        "reports": Source(
            "https://learn.microsoft.com/en-us/advertising/campaign-management-service/"
            "offlineconversionunattributedreason?view=bingads-13",
            _READ,
            Confidence.ASSUMED,
            "successes and unattributed ones by goal and day of upload; others are dated by click; modelling is ours",
        ),
        "windows.end_inside": Source(
            "https://learn.microsoft.com/en-us/advertising/campaign-management-service/"
            "offlineconversiongoal?view=bingads-13",
            _READ,
            Confidence.ASSUMED,
            "not said: assumed inside",
        ),
    },
)
