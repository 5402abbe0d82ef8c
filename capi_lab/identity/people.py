"""E-mail addresses, names, gender, birth date: one function per distinct rule.

Every function takes cleaned text (NFC, trimmed, no placeholder) and the country's alpha-2 code or None,
and returns the normalised text, or None where the value cannot be what it is said to be.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date

from capi_lab.identity.text import drop_blanks, drop_marks, has_blanks, lower, squeeze, trim

__all__ = [
    "GENDER_WORDS",
    "birth_date_compact",
    "email_google",
    "email_google_dots_only",
    "email_lower",
    "email_microsoft",
    "email_without_blanks",
    "gender_initial",
    "name_bare",
    "name_google",
    "name_google_bare",
    "name_verbatim",
]

_GMAIL = frozenset({"gmail.com", "googlemail.com"})
_TITLES = frozenset({"dr", "miss", "mr", "mrs", "ms", "mx", "prof"})
_SUFFIXES = frozenset({"esq", "ii", "iii", "iv", "jr", "phd", "sr"})
_GENDERS = {
    "f": (
        "f",
        "female",
        "femme",
        "femminile",
        "feminin",
        "feminine",
        "femenino",
        "mujer",
        "w",
        "weiblich",
        "woman",
    ),
    "m": (
        "m",
        "male",
        "homme",
        "maschile",
        "masculin",
        "masculine",
        "masculino",
        "hombre",
        "mannlich",
        "man",
    ),
}
GENDER_WORDS = {word: initial for initial, words in _GENDERS.items() for word in words}
_YEAR_FIRST = re.compile(r"(\d{4})([-/.]?)(\d{1,2})\2(\d{1,2})(?:[T ].*)?", re.DOTALL | re.ASCII)
_YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})", re.ASCII)


def _split(address: str) -> tuple[str, str] | None:
    """Return local part and domain; None unless there is exactly one ``@`` with something on both sides."""
    local, at, domain = address.partition("@")
    return None if not (local and at and domain) or "@" in domain or has_blanks(address) else (local, domain)


def email_lower(text: str, country: str | None = None) -> str | None:
    """Trim and lower-case; dots and ``+tag`` stay."""
    address = lower(text)
    return address if _split(address) else None


def email_without_blanks(text: str, country: str | None = None) -> str | None:
    """Lower-case and remove white space anywhere; dots and ``+tag`` stay."""
    return email_lower(drop_blanks(text))


def _gmail(text: str, *, cut_tag: bool) -> str | None:
    parts = _split(lower(drop_blanks(text)))
    if parts is None:
        return None
    local, domain = parts
    if domain in _GMAIL:
        local = (local.partition("+")[0] if cut_tag else local).replace(".", "")
    return f"{local}@{domain}" if local else None


def email_google(text: str, country: str | None = None) -> str | None:
    """Lower-case, no white space; at gmail.com and googlemail.com no ``+tag`` and no dots before the ``@``."""
    return _gmail(text, cut_tag=True)


def email_google_dots_only(text: str, country: str | None = None) -> str | None:
    """Apply Google's rule as it was before 2026: Gmail's dots go, its ``+tag`` stays."""
    return _gmail(text, cut_tag=False)


def email_microsoft(text: str, country: str | None = None) -> str | None:
    """Lower-case, no accents, no white space; at every domain no ``+tag`` and no dots before the ``@``."""
    parts = _split(drop_blanks(drop_marks(lower(text)).lower()))
    if parts is None:
        return None
    local, domain = parts
    local = local.partition("+")[0].replace(".", "")
    # ".." is as broken as a dot at an end: an empty label.
    return f"{local}@{domain}" if local and "." in domain and all(domain.split(".")) else None


def name_bare(text: str, country: str | None = None) -> str | None:
    """Lower-case without white space and punctuation; accents and other scripts stay."""
    return squeeze(lower(text))


def name_google(text: str, country: str | None = None) -> str | None:
    """Lower-case and trim, without titles and suffixes; punctuation stays."""
    words = lower(text).split(" ")
    while len(words) > 1 and words[0].rstrip(".") in _TITLES:
        words = trim(" ".join(words[1:])).split(" ")
    while len(words) > 1 and words[-1].replace(".", "") in _SUFFIXES:
        words = trim(" ".join(words[:-1])).rstrip(",").split(" ")
    return trim(" ".join(words))


def name_google_bare(text: str, country: str | None = None) -> str | None:
    """Apply Google's rule for names as a comment in its schema has it: punctuation goes too."""
    name = name_google(text)
    return None if name is None else "".join(ch for ch in name if unicodedata.category(ch)[0] != "P")


def name_verbatim(text: str, country: str | None = None) -> str | None:
    """Keep the name as typed, trimmed."""
    return text


def gender_initial(text: str, country: str | None = None) -> str | None:
    """Return ``f`` or ``m``; None for everything the platform has no letter for."""
    return GENDER_WORDS.get(drop_marks(text).lower().rstrip("."))


def birth_date_compact(text: str, country: str | None = None) -> str | None:
    """Return ``YYYYMMDD``. ``03/04/1997`` needs a country to be read; without one it is dropped."""
    digits = unicodedata.normalize("NFKC", text)
    if found := _YEAR_FIRST.fullmatch(digits):
        year, separator, month, day = found.groups()
        if not separator and len(month + day) != 4:
            return None
        return _compact(int(year), int(month), int(day))
    if found := _YEAR_LAST.fullmatch(digits):
        first, separator, second, year = found.groups()
        return _compact(int(year), *_month_and_day(int(first), int(second), separator, country))
    return None


def _month_and_day(first: int, second: int, separator: str, country: str | None) -> tuple[int, int]:
    """Tell month from day; (0, 0), which no calendar has, where both readings are possible."""
    if first > 12 or separator == ".":
        return second, first
    if second > 12 or first == second or country == "US":
        return first, second
    # Canada writes both; everybody else puts the day first.
    return (0, 0) if country in {None, "CA"} else (second, first)


def _compact(year: int, month: int, day: int) -> str | None:
    try:
        # The clock is not ours to read, so only the century bounds the year.
        return f"{date(year, month, day):%Y%m%d}" if 1900 <= year < 2100 else None
    except ValueError:
        return None
