"""What Google's routes need of a row, first what they share; rule ids are explained in `google.checks`."""

from __future__ import annotations

from capi_lab.platforms.needs import (
    NOT_DENIED,
    WEB,
    Chosen,
    Condition,
    ConsentKnown,
    Currency,
    FreshClick,
    Has,
    HasChosen,
    Need,
    Not,
    Past,
    ReadableDigest,
    Recent,
    Usable,
    ValueWithin,
    all_of,
    any_of,
)
from capi_lab.words import Ineligible

__all__ = [
    "ADDRESS",
    "CLICK_IDS",
    "CONSENT_COUNTRIES",
    "DATA_MANAGER_NEEDS",
    "FULL_ADDRESS",
    "HAS_CLICK",
    "SENT",
    "SHARED",
    "unless",
]

CLICK_IDS = ("gclid", "gbraid", "wbraid")
"""Strongest first."""

ADDRESS = ("first_name", "last_name", "country", "postal_code")
"""Taken together or not at all."""

SENT = ("email", "phone", *ADDRESS, "client_ip", "user_agent")
"""Match keys that go into a body."""

CONSENT_COUNTRIES = frozenset(
    """
    AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK
    IS LI NO
    CH GB
    """.split()  # noqa: SIM905 - a list of words reads better so
)
"""The EU, the rest of the EEA, and the two others of Google's consent policy."""

HAS_CLICK = any_of(*(Has(name) for name in CLICK_IDS))
FULL_ADDRESS = all_of(*(Usable(key) for key in ADDRESS))


def unless(excuse: Condition, *needed: Condition) -> Condition:
    """Ask for all of ``needed``, but where ``excuse`` holds."""
    return any_of(excuse, all_of(*needed))


SHARED = (
    Need("G08", Ineligible.FUTURE_TIME, Past(), "in the future by more than 60 s"),
    Need("G18", Ineligible.BAD_FIELD, Currency(), "currency is no ISO-4217 code"),
    Need("G18", Ineligible.MISSING_FIELD, unless(Not(Has("value")), Has("currency")), "a value without a currency"),
    Need("G19", Ineligible.BAD_FIELD, ValueWithin(None), "value is infinite"),
    Need("G24", Ineligible.CONSENT_DENIED, NOT_DENIED, "consent is denied: nothing about the person may be sent"),
    Need(
        "G26",
        Ineligible.CONSENT_MISSING,
        unless(Chosen("missing_consent", "account"), ConsentKnown()),
        "consent is missing where that counts as denied: not processed",
    ),
    *(
        Need(
            "G13",
            Ineligible.MALFORMED_ID,
            ReadableDigest(key),
            f"{key} is a digest Google cannot use, or the digest of nothing",
        )
        for key in SENT
    ),
)
"""What holds for both routes."""

_WEBPAGE = Chosen("kind", "WEBPAGE")
_PEOPLE = any_of(Usable("email"), Usable("phone"), FULL_ADDRESS, Usable("client_ip"))
DATA_MANAGER_NEEDS = (
    *SHARED,
    Need("G23", Ineligible.TOO_OLD, Recent(), "older than 90 days: no longer taken"),
    Need("G09", Ineligible.WRONG_SOURCE, Has("action_source"), "action_source is missing and will not be guessed"),
    Need(
        "G09",
        Ineligible.WRONG_SOURCE,
        any_of(Not(_WEBPAGE), Not(Has("action_source")), WEB),
        "a WEBPAGE action takes web only",
    ),
    Need(
        "G10",
        Ineligible.MISSING_FIELD,
        unless(Not(_WEBPAGE), HasChosen("transaction_id")),
        "no transaction id: it would be counted beside the tag's conversion",
    ),
    Need(
        "G10",
        Ineligible.MISSING_FIELD,
        any_of(_WEBPAGE, HasChosen("transaction_id"), Has("gclid")),
        "neither transaction id nor gclid: no resend would be safe",
    ),
    Need(
        "G11",
        Ineligible.NO_MATCH_KEY,
        any_of(HAS_CLICK, _PEOPLE),
        "neither click id nor usable e-mail, phone or full address",
    ),
    Need(
        "G16",
        Ineligible.CONFLICTING_IDS,
        Not(all_of(Has("gbraid"), Has("wbraid"))),
        "gbraid and wbraid exclude each other: two clicks in one row",
    ),
    Need(
        "G25",
        Ineligible.CLICK_TOO_OLD,
        any_of(FreshClick(), Not(HAS_CLICK), _PEOPLE),
        "only a click older than 90 days could be matched",
    ),
)
"""What the Data Manager API needs; the Ads API's are in `google.ads_spec`."""
