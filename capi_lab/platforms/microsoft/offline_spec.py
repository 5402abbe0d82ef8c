"""Offline conversions: facts of the Campaign Management service, version 13, REST."""

from __future__ import annotations

from datetime import date, timedelta

from capi_lab.platforms.microsoft.codes import OFFLINE_CODES
from capi_lab.platforms.microsoft.sending import CORRECTIONS, READING, SENDING, SENDING_SOURCES, TOKEN
from capi_lab.platforms.microsoft.server import OFFLINE_SERVER
from capi_lab.platforms.needs import (
    NOT_DENIED,
    AfterClick,
    Currency,
    FreshClick,
    Need,
    Not,
    Past,
    Recent,
    Usable,
    ValueWithin,
    Whole,
    any_of,
)
from capi_lab.platforms.route import Auth, AuthStyle, BadRow, FieldRule, Limits, Route, Setting, TimeFormat
from capi_lab.platforms.rules import DedupRule
from capi_lab.sources import Confidence, Source
from capi_lab.words import Channel, Ineligible

__all__ = ["HASHES", "MAX_VALUE", "OFFLINE"]

MAX_VALUE = 999_999_999_999
"""The largest value a conversion may have."""

_DOCS = "https://learn.microsoft.com/en-us/advertising"
_SERVICE = f"{_DOCS}/campaign-management-service"
_HELP = "https://github.com/MicrosoftDocs/Advertising/blob/a21125d/advertising/msa-help"
_READ = date(2026, 8, 17)
_ROW = "OfflineConversions[]"
_APPLY = f"{_SERVICE}/applyofflineconversions?view=bingads-13"
_REPORT = f"{_SERVICE}/offlineconversionunattributedreason?view=bingads-13"

HASHES = ("email", "phone")
"""The only match keys of this route."""

_CLICK = Whole("msclkid")
_PERSON = tuple(Usable(key) for key in HASHES)
_NEEDS = (
    Need("O01", Ineligible.TOO_OLD, Recent(), "older than 90 days"),
    Need("O02", Ineligible.FUTURE_TIME, Past(), "in the future"),
    Need("O03", Ineligible.NO_MATCH_KEY, any_of(_CLICK, *_PERSON), "neither click id nor usable e-mail or phone"),
    Need(
        "O04",
        Ineligible.BEFORE_CLICK,
        any_of(Not(_CLICK), AfterClick()),
        "earlier than its click: check the zones of both times",
    ),
    Need("O05", Ineligible.BAD_FIELD, Currency(), "currency is no ISO-4217 code"),
    Need("O06", Ineligible.BAD_FIELD, ValueWithin(0, MAX_VALUE), "value is negative or above 999,999,999,999"),
    Need("O07", Ineligible.CONSENT_DENIED, NOT_DENIED, "consent is denied"),
    Need(
        "O08",
        Ineligible.CLICK_TOO_OLD,
        any_of(FreshClick(), Not(_CLICK), *_PERSON),
        "only a click older than 90 days could be matched",
    ),
)

OFFLINE = Route(
    name="offline",
    title="Offline conversions (ApplyOfflineConversions)",
    method="POST",
    url="https://campaign.api.bingads.microsoft.com/CampaignManagement/v13/OfflineConversions/Apply",
    auth=Auth(
        AuthStyle.BEARER,
        "Authorization",
        ("MICROSOFT_ACCESS_TOKEN", "MICROSOFT_DEVELOPER_TOKEN"),
        "both are needed: the OAuth access token as Authorization: Bearer, the developer token as header "
        "DeveloperToken; the access token lives about an hour",
        headers={"DeveloperToken": "MICROSOFT_DEVELOPER_TOKEN"},
        token=TOKEN,
    ),
    settings=(
        Setting("conversion_name", "name of the offline goal, at most 100 characters", r"\S(.{0,98}\S)?", account=True),
        Setting("customer_id", "manager account, header CustomerId", r"[0-9]{1,19}"),
        Setting(
            "customer_account_id",
            "ad account the uploads belong to, header CustomerAccountId",
            r"[0-9]{1,19}",
            account=True,
        ),
        Setting(
            "goal_ids",
            "numbers of the goals to read back, at most 20, separated by commas",
            r"[0-9]{1,19}(,[0-9]{1,19}){0,19}",
            required=False,
        ),
    ),
    limits=Limits(batch_rows=1000, max_age=timedelta(days=90), click_max_age=timedelta(days=90)),
    needs=_NEEDS,
    time=TimeFormat.ISO_UTC,
    fields=(
        FieldRule(f"{_ROW}.ConversionName", "text", "yes", None, "setting: the goal's name", names_event=True),
        FieldRule(f"{_ROW}.ConversionTime", "UTC time", "yes", "event_time", "part of the dedup key"),
        FieldRule(f"{_ROW}.MicrosoftClickId", "32 hex digits", "unless a hash", "msclkid"),
        FieldRule(f"{_ROW}.HashedEmailAddress", "SHA-256 hex", "no", "email", "for goals with enhanced conversions"),
        FieldRule(f"{_ROW}.HashedPhoneNumber", "SHA-256 hex", "no", "phone", "for goals with enhanced conversions"),
        FieldRule(f"{_ROW}.ConversionValue", "number", "no", "value", "at most three decimals; else the goal's own"),
        FieldRule(f"{_ROW}.ConversionCurrencyCode", "ISO 4217", "no", "currency", "else the goal's own"),
    ),
    codes=OFFLINE_CODES,
    bad_row=BadRow.REJECTED_ALONE,
    resend=True,
    dedup=DedupRule(
        key=("msclkid", "event_name", "event_time", "email", "phone"),
        window=None,
        same_channel=True,
        missing_matches=("msclkid", "email", "phone"),
        channels=(Channel.CAPI,),
    ),
    server=OFFLINE_SERVER,
    hosts=("campaign.api.bingads.microsoft.com",),
    sending=SENDING,
    reading=READING,
    corrections=CORRECTIONS,
    sources={
        **SENDING_SOURCES,
        "url": Source(_APPLY, _READ, Confidence.HIGH, "REST only: SOAP is withdrawn on 2027-01-31"),
        "auth": Source(
            "https://github.com/MicrosoftDocs/Advertising/blob/a21125d/advertising/bingads-13/"
            "campaign-management-service/includes/request-header-rest.md",
            _READ,
            Confidence.HIGH,
            "and the SDK's own requests",
        ),
        "settings": Source(
            f"{_SERVICE}/offlineconversiongoal?view=bingads-13", _READ, Confidence.HIGH, "goal names up to 100"
        ),
        "limits": Source(_APPLY, _READ, Confidence.HIGH, "1,000 items; 90 days before the upload, none in the future"),
        "limits.click_max_age": Source(_REPORT, _READ, Confidence.HIGH, "HistoricalClickDataExpired"),
        "needs": Source(
            _APPLY,
            _READ,
            Confidence.HIGH,
            "and what limits, fields and max_value are read from; O08: HistoricalClickDataExpired",
        ),
        "fields": Source(
            f"{_SERVICE}/offlineconversion?view=bingads-13",
            _READ,
            Confidence.HIGH,
            "and the models of the official package msads 13.0.30.1",
        ),
        "max_value": Source(
            f"{_HELP}/hlp_BA_CONC_UETv2OfflineConversion.md", date(2026, 6, 18), Confidence.HIGH, "0 to 999999999999"
        ),
        "codes": Source(
            f"{_DOCS}/guides/operation-error-codes?view=bingads-13",
            _READ,
            Confidence.HIGH,
            "5615 two hours and 117 one minute are documented; other pauses are ours",
        ),
        "bad_row": Source(
            f"{_SERVICE}/batcherror?view=bingads-13",
            _READ,
            Confidence.HIGH,
            "by Index; but a body that cannot be read fails whole (a user's report)",
        ),
        "server": Source(
            f"{_DOCS}/guides/operation-error-codes?view=bingads-13",
            _READ,
            Confidence.HIGH,
            "that unknown fields are ignored is assumed; a body that cannot be read fails whole (a user's report)",
        ),
        "server.statuses": Source(
            f"{_DOCS}/guides/handle-service-errors-exceptions?view=bingads-13",
            _READ,
            Confidence.MEDIUM,
            "the SDK maps 400, 401, 403 and 500 to faults; which code has which is ours",
        ),
        "resend": Source(_REPORT, _READ, Confidence.HIGH, "the first upload wins, if the time is written the same"),
        "dedup.key": Source(_REPORT, _READ, Confidence.HIGH, "DuplicateConversionKey; event_name stands for the goal"),
        "dedup.window": Source(
            _REPORT, _READ, Confidence.MEDIUM, "no end is named; times older than 90 days are refused"
        ),
        "dedup.same_channel": Source(_REPORT, _READ, Confidence.HIGH, "uploads only; nothing merges with the UET tag"),
        "dedup.keep": Source(_REPORT, _READ, Confidence.HIGH, "later ones are ignored without a PartialError"),
        "dedup.missing_matches": Source(
            _REPORT, _READ, Confidence.ASSUMED, "the key names the hashes; that two lacking ones are equal is ours"
        ),
    },
)
