"""The named normalisers: one per distinct rule. A platform names the rule it uses for each match key.

Where two platforms state different rules for one key, there are two names; where a rule changed, the old
one keeps its own name. Which platform uses which is in `capi_lab.identity.rules`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from capi_lab.identity import people, phone, places
from capi_lab.identity.text import clean, has_surrogates, is_placeholder, trim
from capi_lab.sources import Confidence, Source

__all__ = ["NORMALISERS", "Normaliser"]

_Rule = Callable[[str, str | None], str | None]


@dataclass(frozen=True, slots=True)
class Normaliser:
    """One rule by name, called with a text.

    ``NORMALISERS["email_lower"](" Jane@Example.com ")`` is ``jane@example.com``.

    Parameters
    ----------
    name, doc : str
        ``doc`` says the rule in one line.
    source : Source
        Where the rule was read.
    rule : callable
        Cleaned text and alpha-2 country to normalised text or None.
    verbatim : bool
        The rule gets the value as given, not trimmed and not in NFC.
    uses_country : bool
        The result depends on the country.
    """

    name: str
    doc: str
    source: Source
    rule: _Rule
    verbatim: bool = False
    uses_country: bool = False

    def __call__(self, value: str, country: str | None = None) -> str | None:
        """Normalise one value.

        Parameters
        ----------
        value : str
        country : str, optional
            ISO 3166-1 alpha-2, upper case.

        Returns
        -------
        str or None
            None for what is empty, a placeholder (``n/a``, ``null``, ...) or cannot be such a value.
        """
        text = clean(value)
        if text is None:
            return None
        result = self.rule(value if self.verbatim else text, country)
        if result is None or is_placeholder(trim(result)) or has_surrogates(result):
            return None
        # What was taken out may have stood between a letter and its accent.
        return result if self.verbatim else unicodedata.normalize("NFC", result)


_SHEET = date(2026, 11, 23)
_META = "https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters"
_TIKTOK = "https://business-api.tiktok.com/portal/docs?id="
_TIKTOK_CHINA = "https://github.com/nocode-expert/n8n-nodes-tiktok-events-api"
_GOOGLE = "https://developers.google.com/data-manager/api/devguides/concepts/formatting"
_GOOGLE_UTIL = "https://github.com/googleads/data-manager-python"
_MICROSOFT = (
    "https://github.com/MicrosoftDocs/Advertising/blob/a21125d/advertising/msa-help/"
    "hlp_BA_CONC_UET_EnhancedConversions.md"
)
_LINKEDIN = "https://learn.microsoft.com/en-us/linkedin/marketing/integrations/ads-reporting/conversions-api-schema"

_META_KEYS = Source(f"{_META}/customer-information-parameters", date(2026, 9, 12), Confidence.HIGH)
_TIKTOK_EVENT = Source(f"{_TIKTOK}1771101303285761", _SHEET, Confidence.HIGH, "undated mirror of the page")
_GOOGLE_PAGE = Source(_GOOGLE, _SHEET, Confidence.HIGH)
_GOOGLE_CODE = Source(_GOOGLE_UTIL, date(2026, 8, 13), Confidence.HIGH, "official utility, executed")
_E164 = Source(
    "https://developers.google.com/data-manager/api/devguides/concepts/formatting",
    _SHEET,
    Confidence.HIGH,
    "the others that keep the plus say the same",
)
_OURS = "our policy, not the platform's"


def _named(
    rule: _Rule, source: Source, *, verbatim: bool = False, uses_country: bool = False
) -> tuple[str, Normaliser]:
    name = rule.__name__
    doc = (rule.__doc__ or "").strip().split("\n")[0]
    return name, Normaliser(name, doc, source, rule, verbatim, uses_country)


NORMALISERS: Mapping[str, Normaliser] = MappingProxyType(
    dict(
        (
            _named(people.email_lower, _META_KEYS),
            _named(
                people.email_without_blanks,
                Source(_LINKEDIN, date(2026, 8, 25), Confidence.MEDIUM, "two implementations checked against it"),
            ),
            _named(people.email_google, Source(_GOOGLE, date(2026, 8, 13), Confidence.HIGH, "+tag since 2026")),
            _named(
                people.email_google_dots_only,
                Source(
                    "https://github.com/googleads/data-manager-python",
                    date(2025, 12, 4),
                    Confidence.HIGH,
                    "first public utility",
                ),
            ),
            _named(people.email_microsoft, Source(_MICROSOFT, date(2026, 6, 18), Confidence.HIGH)),
            _named(phone.phone_e164, _E164, uses_country=True),
            _named(phone.phone_digits, _META_KEYS, uses_country=True),
            _named(
                phone.phone_china_bare,
                Source(_TIKTOK_CHINA, date(2026, 7, 1), Confidence.MEDIUM, "quotes the Events API 1.0 page"),
                uses_country=True,
            ),
            _named(phone.phone_assumed_code, _GOOGLE_CODE),
            _named(people.name_bare, _META_KEYS),
            _named(people.name_google, _GOOGLE_PAGE),
            _named(
                people.name_google_bare,
                Source(
                    "https://github.com/googleapis/googleapis/tree/master/google/ads/datamanager/v1",
                    date(2026, 10, 1),
                    Confidence.HIGH,
                    "comment in the schema; the official utility keeps punctuation",
                ),
            ),
            _named(people.name_verbatim, Source(_LINKEDIN, _SHEET, Confidence.HIGH)),
            _named(people.gender_initial, _META_KEYS),
            _named(people.birth_date_compact, _META_KEYS, uses_country=True),
            _named(places.place_google, _GOOGLE_CODE),
            _named(places.city_bare, _META_KEYS),
            _named(places.city_ascii, Source(_META_KEYS.url, _META_KEYS.checked, Confidence.ASSUMED, _OURS)),
            _named(places.region_code, _META_KEYS, uses_country=True),
            _named(places.postal_bare, _META_KEYS, uses_country=True),
            _named(places.postal_google, _GOOGLE_PAGE, uses_country=True),
            _named(places.country_lower, _META_KEYS),
            _named(places.country_upper, Source(_LINKEDIN, _SHEET, Confidence.HIGH)),
            _named(places.country_alpha2, _GOOGLE_PAGE),
            _named(
                places.id_verbatim,
                Source(f"{_META}/external-id", date(2026, 9, 12), Confidence.HIGH),
                verbatim=True,
            ),
            _named(
                places.id_trimmed,
                Source(f"{_TIKTOK}1771101303285761", date(2026, 8, 10), Confidence.MEDIUM, "trim only; case kept"),
            ),
            _named(places.device_id_lower, _TIKTOK_EVENT),
            _named(places.device_id_upper, _TIKTOK_EVENT),
            _named(places.ip_public, _META_KEYS),
            _named(places.ip_public_v4, Source(_LINKEDIN, _SHEET, Confidence.HIGH)),
            _named(places.user_agent_verbatim, _META_KEYS, verbatim=True),
        )
    )
)
"""Every rule by name."""
