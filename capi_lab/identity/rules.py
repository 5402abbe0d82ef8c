"""Which rule each platform names for each match key, whether the value is hashed, and where that was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from capi_lab.errors import UnknownNameError
from capi_lab.identity.digests import DigestForm, Encoding
from capi_lab.identity.normalisers import NORMALISERS, Normaliser
from capi_lab.sources import Confidence, Source

__all__ = ["KEY_RULES", "OTHER_RULES", "Encoding", "KeyRule", "key_rule"]

_HEX = frozenset({DigestForm.HEX, DigestForm.UPPER_HEX})


@dataclass(frozen=True, slots=True)
class KeyRule:
    """How one platform wants one match key.

    Parameters
    ----------
    normaliser : str
        A name in `NORMALISERS`.
    hashed : bool
        Sent as a SHA-256 digest, or in clear text.
    source : Source
    encoding : Encoding
        How our digests are written.
    accepts : frozenset of DigestForm
        What counts as already hashed and is passed on, in ``encoding``.
    opaque : bool
        An id of the sender's own: 32 hex digits are such an id, not somebody's MD5.
    until : date or None
        The rule was in force until then; None for one that still is.
    """

    normaliser: str
    hashed: bool
    source: Source
    encoding: Encoding = Encoding.HEX
    accepts: frozenset[DigestForm] = _HEX
    opaque: bool = False
    until: date | None = None

    def __post_init__(self) -> None:
        if self.normaliser not in NORMALISERS:
            raise UnknownNameError("normaliser", self.normaliser, NORMALISERS)

    @property
    def apply(self) -> Normaliser:
        """The normaliser itself."""
        return NORMALISERS[self.normaliser]


def _rules(
    source: Source,
    *,
    hashed: Mapping[str, str],
    clear: Mapping[str, str],
    accepts: frozenset[DigestForm] = _HEX,
    other_sources: Mapping[str, Source] = MappingProxyType({}),
) -> Mapping[str, KeyRule]:
    """Write a platform's rules from the names of the normalisers."""
    return MappingProxyType(
        {
            key: KeyRule(
                normaliser,
                key in hashed,
                other_sources.get(key, source),
                accepts=accepts,
                opaque=key == "external_id",
            )
            for key, normaliser in {**hashed, **clear}.items()
        }
    )


_SHEET = date(2026, 11, 23)
_META_DOCS = "https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters"
_META = Source(f"{_META_DOCS}/customer-information-parameters", date(2026, 9, 12), Confidence.HIGH)
_META_SUFFIX = _HEX | {DigestForm.BUILDER}
_GOOGLE = Source(
    "https://developers.google.com/data-manager/api/devguides/concepts/formatting", _SHEET, Confidence.HIGH
)
_GOOGLE_UTIL = Source("https://github.com/googleads/data-manager-python", date(2026, 8, 13), Confidence.HIGH)
_GOOGLE_FORMS = _HEX | {DigestForm.BASE64}
_TIKTOK = Source(
    "https://business-api.tiktok.com/portal/docs?id=1771101303285761",
    _SHEET,
    Confidence.HIGH,
    "undated mirror",
)
_TIKTOK_PARTNERS = Source(
    "https://business-api.tiktok.com/portal/docs?id=1771101151059969",
    date(2026, 8, 10),
    Confidence.MEDIUM,
    "the endpoint's own page lists no names or address",
)
_MICROSOFT = Source(
    "https://github.com/MicrosoftDocs/Advertising/blob/a21125d/advertising/msa-help/"
    "hlp_BA_CONC_UET_EnhancedConversions.md",
    date(2026, 6, 18),
    Confidence.HIGH,
)
_MICROSOFT_API = Source(
    "https://learn.microsoft.com/en-us/advertising/guides/uet-conversion-api-integration?view=bingads-13",
    date(2026, 8, 4),
    Confidence.HIGH,
)
_LINKEDIN = Source(
    "https://learn.microsoft.com/en-us/linkedin/marketing/integrations/ads-reporting/conversions-api-schema",
    date(2026, 3, 1),
    Confidence.HIGH,
)
_LINKEDIN_PEERS = Source(_LINKEDIN.url, date(2026, 8, 25), Confidence.MEDIUM, "two implementations checked against it")
_LINKEDIN_NAMES = Source(_LINKEDIN.url, _SHEET, Confidence.LOW, "hashed names since version 202609, one public sender")

KEY_RULES: Mapping[str, Mapping[str, KeyRule]] = MappingProxyType(
    {
        "meta": _rules(
            _META,
            hashed={
                "email": "email_lower",
                "phone": "phone_digits",
                "first_name": "name_bare",
                "last_name": "name_bare",
                "gender": "gender_initial",
                "date_of_birth": "birth_date_compact",
                "city": "city_bare",
                "region": "region_code",
                "postal_code": "postal_bare",
                "country": "country_lower",
                "external_id": "id_verbatim",
            },
            clear={"client_ip": "ip_public", "user_agent": "user_agent_verbatim"},
            accepts=_META_SUFFIX,
            other_sources={"external_id": Source(f"{_META_DOCS}/external-id", date(2026, 9, 12), Confidence.HIGH)},
        ),
        "google": _rules(
            _GOOGLE,
            hashed={
                "email": "email_google",
                "phone": "phone_e164",
                "first_name": "name_google",
                "last_name": "name_google",
                "street": "place_google",
            },
            clear={
                "city": "place_google",
                "region": "place_google",
                "postal_code": "postal_google",
                "country": "country_alpha2",
                "client_ip": "ip_public",
                "user_agent": "user_agent_verbatim",
            },
            accepts=_GOOGLE_FORMS,
            other_sources=dict.fromkeys(("street", "city", "region"), _GOOGLE_UTIL),
        ),
        "tiktok": _rules(
            _TIKTOK,
            hashed={
                "email": "email_lower",
                "phone": "phone_e164",
                "first_name": "name_bare",
                "last_name": "name_bare",
                "postal_code": "postal_bare",
                "external_id": "id_trimmed",
            },
            clear={
                "city": "city_bare",
                "region": "region_code",
                "country": "country_lower",
                "client_ip": "ip_public",
                "user_agent": "user_agent_verbatim",
            },
            other_sources=dict.fromkeys(
                ("first_name", "last_name", "postal_code", "city", "region", "country"), _TIKTOK_PARTNERS
            ),
        ),
        "microsoft": _rules(
            _MICROSOFT,
            hashed={"email": "email_microsoft", "phone": "phone_e164"},
            clear={
                "external_id": "id_verbatim",
                "client_ip": "ip_public",
                "user_agent": "user_agent_verbatim",
            },
            other_sources=dict.fromkeys(("external_id", "client_ip", "user_agent"), _MICROSOFT_API),
        ),
        "linkedin": _rules(
            _LINKEDIN,
            hashed={"email": "email_without_blanks", "first_name": "name_bare", "last_name": "name_bare"},
            clear={"country": "country_upper", "external_id": "id_verbatim", "client_ip": "ip_public_v4"},
            other_sources={
                "email": _LINKEDIN_PEERS,
                "first_name": _LINKEDIN_NAMES,
                "last_name": _LINKEDIN_NAMES,
                "client_ip": _LINKEDIN_PEERS,
            },
        ),
    }
)
"""Platform to match key to the rule in force. A key a platform does not take is not there."""

_OURS = "offered for comparison, not the default"

OTHER_RULES: Mapping[str, Mapping[str, KeyRule]] = MappingProxyType(
    {
        "meta": MappingProxyType(
            {"city_ascii": KeyRule("city_ascii", True, _META, accepts=_META_SUFFIX)},
        ),
        "google": MappingProxyType(
            {
                "email_before_2026": KeyRule(
                    "email_google_dots_only",
                    True,
                    Source(
                        "https://github.com/googleads/data-manager-python",
                        date(2025, 12, 4),
                        Confidence.HIGH,
                        "+tag removal came between 2025-12-04 and 2026-08-13",
                    ),
                    accepts=_GOOGLE_FORMS,
                    until=date(2026, 8, 13),
                ),
                "name_without_punctuation": KeyRule("name_google_bare", True, _GOOGLE, accepts=_GOOGLE_FORMS),
                "phone_assumed_code": KeyRule("phone_assumed_code", True, _GOOGLE_UTIL, accepts=_GOOGLE_FORMS),
            }
        ),
        "tiktok": MappingProxyType(
            {
                "phone_assumed_code": KeyRule(
                    "phone_assumed_code",
                    True,
                    Source("https://github.com/segmentio/action-destinations", _SHEET, Confidence.LOW, _OURS),
                ),
                "phone_china_bare": KeyRule(
                    "phone_china_bare",
                    True,
                    Source(
                        "https://github.com/nocode-expert/n8n-nodes-tiktok-events-api",
                        date(2026, 7, 1),
                        Confidence.MEDIUM,
                        "quotes the Events API 1.0 page; 2.0 has no such exception",
                    ),
                ),
                "gaid": KeyRule("device_id_lower", True, _TIKTOK),
                "idfa": KeyRule("device_id_upper", True, _TIKTOK),
            }
        ),
        "linkedin": MappingProxyType(
            {
                "client_ip_hashed": KeyRule("ip_public_v4", True, _LINKEDIN_PEERS),
                "name_clear": KeyRule("name_verbatim", False, _LINKEDIN),
            }
        ),
    }
)
"""Platform to option to a rule that is not the default: earlier ones, and second readings of the documents."""


def key_rule(platform: str, key: str) -> KeyRule:
    """Return the rule of a platform for a match key.

    Raises
    ------
    UnknownNameError
        No such platform, no such match key, or one that the platform does not take.
    """
    if platform not in KEY_RULES:
        raise UnknownNameError("platform", platform, KEY_RULES)
    known = {name for rules in KEY_RULES.values() for name in rules}
    if key not in known:
        raise UnknownNameError("match key", key, known)
    if key not in KEY_RULES[platform]:
        raise UnknownNameError(f"match key of {platform}", key, KEY_RULES[platform])
    return KEY_RULES[platform][key]
