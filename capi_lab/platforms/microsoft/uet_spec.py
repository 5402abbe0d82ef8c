"""UET Conversions API: facts of the tag's server endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from types import MappingProxyType

from capi_lab.platforms.microsoft.codes import UET_CODES
from capi_lab.platforms.microsoft.sending import UET_CORRECTIONS, UET_READING, UET_SENDING, UET_SENDING_SOURCES
from capi_lab.platforms.microsoft.server import UET_SERVER
from capi_lab.platforms.needs import (
    NOT_DENIED,
    Currency,
    FreshClick,
    Has,
    Impersonal,
    Need,
    Not,
    Past,
    Recent,
    Url,
    Usable,
    ValueWithin,
    Whole,
    any_of,
)
from capi_lab.platforms.route import Auth, AuthStyle, BadRow, FieldRule, Limits, Route, Setting, TimeFormat
from capi_lab.platforms.rules import DedupRule
from capi_lab.sources import Confidence, Source
from capi_lab.words import Ineligible

__all__ = ["DETAILS_LISTED", "UET", "USER_FIELDS"]

DETAILS_LISTED = 10
"""A reply lists no more errors and warnings than this."""

USER_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "email": "em",
        "phone": "ph",
        "external_id": "externalId",
        "user_agent": "clientUserAgent",
        "client_ip": "clientIpAddress",
    }
)
"""Our match keys to this route's ``userData``; the platform's ``match_keys`` name the default route's fields."""

_GUIDE = "https://learn.microsoft.com/en-us/advertising/guides/uet-conversion-api-integration?view=bingads-13"
_READ = date(2026, 8, 17)
_USER, _CUSTOM = "data[].userData", "data[].customData"

_CLICK = Whole("msclkid")
_PERSON = tuple(Usable(key) for key in ("email", "phone", "external_id"))
_NEEDS = (
    Need("U01", Ineligible.TOO_OLD, Recent(), "older than 7 days"),
    Need("U02", Ineligible.FUTURE_TIME, Past(), "in the future"),
    Need("U03", Ineligible.NO_MATCH_KEY, any_of(_CLICK, *_PERSON), "no click id, e-mail, phone or external_id"),
    Need(
        "U04",
        Ineligible.BAD_FIELD,
        any_of(Not(Has("page_url")), Url("page_url")),
        "page_url is no absolute http or https URL",
    ),
    Need("U05", Ineligible.BAD_FIELD, Currency(), "currency is no ISO-4217 code"),
    Need("U06", Ineligible.BAD_FIELD, ValueWithin(0), "value is infinite or negative"),
    Need("U07", Ineligible.CONSENT_DENIED, NOT_DENIED, "consent is denied"),
    Need(
        "U08",
        Ineligible.PERSONAL_ID,
        Impersonal("external_id"),
        "external_id looks like an e-mail or phone, and goes in clear text",
    ),
    Need(
        "U09",
        Ineligible.CLICK_TOO_OLD,
        any_of(FreshClick(), Not(_CLICK), *_PERSON),
        "only a click older than 90 days could be matched",
    ),
)

UET = Route(
    name="uet",
    title="UET Conversions API",
    method="POST",
    url="https://capi.uet.microsoft.com/v1/{tag_id}/events",
    auth=Auth(
        AuthStyle.BEARER, "Authorization", ("MICROSOFT_UET_TOKEN",), "one fixed token per UET tag, from the tag's page"
    ),
    settings=(
        Setting("tag_id", "UET tag the events belong to", r"[0-9]{1,19}", account=True),
        Setting(
            "data_provider", "names the sender; required of third parties", r"[A-Za-z0-9_.\-]{1,50}", default="capi_lab"
        ),
        Setting(
            "event_name",
            "the tag's event action, where it is not our event_name; all rows of a call carry it",
            r"\S(.{0,98}\S)?",
            required=False,
        ),
        Setting(
            "event_category", "the tag's event category, where a goal asks for one", r"\S(.{0,98}\S)?", required=False
        ),
    ),
    limits=Limits(batch_rows=1000, max_age=timedelta(days=7), click_max_age=timedelta(days=90)),
    needs=_NEEDS,
    time=TimeFormat.SECONDS,
    fields=(
        FieldRule("data[].eventType", "custom", "yes", None, "pageLoad is the tag's business"),
        FieldRule("data[].eventTime", "epoch seconds", "yes", "event_time"),
        FieldRule("data[].eventId", "text", "for dedup", "event_id", "the tag's event_id"),
        FieldRule(
            "data[].eventName", "text", "for dedup and goals", "event_name", "the tag's event action; or setting"
        ),
        FieldRule("data[].eventSourceUrl", "URL", "no", "page_url", "an invalid one is an error"),
        FieldRule("data[].referrerUrl", "URL", "no", "referrer_url", "an invalid one is removed"),
        FieldRule("data[].adStorageConsent", "G or D", "no", "consent_ad_user_data", "missing counts as granted"),
        FieldRule(f"{_USER}.msclkid", "dashed GUID", "an identifier", "msclkid"),
        FieldRule(f"{_USER}.em", "SHA-256 hex", "an identifier", "email"),
        FieldRule(f"{_USER}.ph", "SHA-256 hex", "an identifier", "phone"),
        FieldRule(f"{_USER}.externalId", "text", "an identifier", "external_id", "anonymised"),
        FieldRule(f"{_USER}.clientUserAgent", "text", "no", "user_agent", "no identifier by itself"),
        FieldRule(f"{_USER}.clientIpAddress", "address", "no", "client_ip", "no identifier by itself"),
        FieldRule(f"{_CUSTOM}.eventCategory", "text", "no", None, "setting"),
        FieldRule(f"{_CUSTOM}.transactionId", "text", "no", "conversion_id"),
        FieldRule(f"{_CUSTOM}.value", "number", "no", "value"),
        FieldRule(f"{_CUSTOM}.currency", "ISO 4217", "no", "currency"),
        FieldRule(f"{_CUSTOM}.items[].id", "text", "with items", "items"),
        FieldRule(f"{_CUSTOM}.items[].name", "text", "no", "items"),
        FieldRule(f"{_CUSTOM}.items[].quantity", "integer", "no", "items"),
        FieldRule(f"{_CUSTOM}.items[].price", "number", "no", "items"),
        FieldRule("continueOnValidationError", "true", "no", None, "so that good events pass beside bad ones"),
        FieldRule("dataProvider", "text", "of third parties", None, "setting"),
    ),
    codes=UET_CODES,
    bad_row=BadRow.BY_FLAG,
    resend=True,
    dedup=DedupRule(
        key=("event_name", "event_id"),
        window=timedelta(days=7),
        same_channel=True,
        blind_to_case=("event_name",),
    ),
    server=UET_SERVER,
    hosts=("capi.uet.microsoft.com",),
    sending=UET_SENDING,
    reading=UET_READING,
    corrections=UET_CORRECTIONS,
    sources={
        **UET_SENDING_SOURCES,
        "url": Source(_GUIDE, _READ, Confidence.HIGH),
        "auth": Source(
            "https://learn.microsoft.com/en-us/advertising/campaign-management-service/getuettagauthkey?view=bingads-13",
            _READ,
            Confidence.HIGH,
        ),
        "settings": Source(_GUIDE, _READ, Confidence.HIGH, "dataProvider belongs to the top level, not to the event"),
        "limits": Source(_GUIDE, _READ, Confidence.HIGH, "1,000 events, 7 days"),
        "limits.click_max_age": Source(_GUIDE, _READ, Confidence.HIGH, "keep msclkid for 90 days"),
        "needs": Source(_GUIDE, _READ, Confidence.HIGH, "and what limits and fields are read from"),
        "needs.U09": Source(
            _GUIDE,
            _READ,
            Confidence.ASSUMED,
            "it would be taken; that nothing can be matched follows from the 90 days",
        ),
        "fields": Source(_GUIDE, _READ, Confidence.HIGH, "anonymousId is left out: it must equal the ID sync's vid"),
        "codes": Source(
            _GUIDE,
            _READ,
            Confidence.MEDIUM,
            "no full list; 429 and 5xx are not in the guide: a retry is our assumption",
        ),
        "details_listed": Source(_GUIDE, _READ, Confidence.HIGH, "the first ten errors and warnings"),
        "bad_row": Source(_GUIDE, _READ, Confidence.HIGH, "continueOnValidationError, which is false by default"),
        "server": Source(
            _GUIDE, _READ, Confidence.MEDIUM, "no full list of codes; that unknown fields are ignored is assumed"
        ),
        "resend": Source(
            _GUIDE, _READ, Confidence.HIGH, "an event with the same eventId counts once; see dedup.window"
        ),
        "dedup.key": Source(
            _GUIDE, _READ, Confidence.HIGH, "within one tag; the names must be compatible, which is not defined"
        ),
        "dedup.window": Source(_GUIDE, _READ, Confidence.ASSUMED, "none is published; ours is the age limit of 7 days"),
        "dedup.same_channel": Source(_GUIDE, _READ, Confidence.HIGH, "a retry with the same eventId is covered"),
        "dedup.keep": Source(_GUIDE, _READ, Confidence.ASSUMED, "which copy stays is not published; ours is the first"),
        "dedup.blind_to_case": Source(
            _GUIDE, _READ, Confidence.LOW, "goals match event actions without regard to case"
        ),
    },
)
