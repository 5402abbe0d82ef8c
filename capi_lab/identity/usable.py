"""Which match keys a platform can use, as expressions that any engine runs; nothing is normalised or hashed here.

`usable` says no only where the normaliser would give nothing: the empty text, placeholders, digests nobody can use,
an e-mail address without an ``@``, a private IP address. Where it would take the whole normaliser to know (the
numbering plan of a country, text beyond ASCII, a date nobody has), the key counts as usable. So what is refused here
is refused by `normalise` as well, and the tests list what is let through.
"""

from __future__ import annotations

import base64
import ipaddress
import string
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Any

import ibis

from capi_lab.identity.digests import EMPTY_DIGESTS, DigestForm
from capi_lab.identity.geography import spellings
from capi_lab.identity.people import GENDER_WORDS
from capi_lab.identity.places import NOT_PUBLIC
from capi_lab.identity.rules import KeyRule
from capi_lab.identity.text import EDGE, PLACEHOLDERS, SIGNS

__all__ = ["folded", "in_countries", "readable_digest", "trimmed", "usable"]

_FORMS = {
    DigestForm.HEX: "[0-9a-fA-F]{64}",
    DigestForm.UPPER_HEX: "[0-9a-fA-F]{64}",
    DigestForm.BASE64: "[A-Za-z0-9+/]{43}=",
    DigestForm.BUILDER: "[0-9a-fA-F]{64}[.](?:[A-Za-z0-9_-]{8}|AQ|Ag|Aw|BA|BQ|Bg)",
    DigestForm.SHA1: "[0-9a-fA-F]{40}",
    DigestForm.MD5: "[0-9a-fA-F]{32}",
}
_NARROW = string.ascii_letters + string.digits
_WIDE = "".join(chr(ord(ch) + 0xFEE0) for ch in _NARROW)
_GMAIL = "^[^@]+@(?:gmail|googlemail)[.]com$"
_ON_BOTH_SIDES = "^[^@]+@[^@]+$"
_LOCAL = "^[.]*[^.+@][^@]*@"
_YEAR, _ONE_OR_TWO = "(?:19|20)[0-9]{2}", "[0-9]{1,2}"
_YEAR_FIRST = f"{_YEAR}[-/.]?{_ONE_OR_TWO}[-/.]?{_ONE_OR_TWO}(?:[T ].*)?"
_DATE = f"^(?:{_YEAR_FIRST}|{_ONE_OR_TWO}[-/.]{_ONE_OR_TWO}[-/.]{_YEAR})$"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_V4 = rf"^(?:\[{_OCTET}(?:[.]{_OCTET}){{3}}\]|{_OCTET}(?:[.]{_OCTET}){{3}})(?::[0-9]+)?$"
_V6 = r"^\[?[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]*(?:\](?::[0-9]+)?)?$"
_MAPPED = r"^\[?[0:]*:ffff:[0-9A-Fa-f:.]+"


def trimmed(value: Any) -> Any:
    """Cut white space, control characters and zero-width blanks from both ends, as `identity.text.trim` does."""
    return value.re_replace(f"^[{_edge()}]+|[{_edge()}]+$", "")


def usable(text: Any, rule: KeyRule, country: Any = None) -> Any:
    """Say where a match key gives something to send.

    Parameters
    ----------
    text : Ibis text
        As `trimmed` gives it.
    rule : KeyRule
        The platform's rule for that key.
    country : Ibis text, optional
        Country of the row, as `folded` gives it; for the country itself, and keys whose reading hangs on it.

    Returns
    -------
    Ibis boolean
        Never missing.
    """
    good = ~_is_placeholder(text) & _ACCEPTS[rule.normaliser](text, country)
    return (_if_no_digest(text, rule, good) if rule.hashed else good).fill_null(False)


def readable_digest(text: Any, rule: KeyRule) -> Any:
    """Say where a trimmed match key is no digest, or one the platform can use; true for missing and clear-text keys."""
    return _if_no_digest(text, rule, True).fill_null(True) if rule.hashed else ibis.literal(value=True)


def folded(country: Any) -> Any:
    """Reduce a country's code or name to the letters it is looked up by; costly, so make it a column of its own."""
    bare = country.translate(_WIDE, _NARROW).lower().re_replace(f"[{_no_letters()}]", "")
    return ibis.ifelse(country.re_search("^[A-Za-z]+$"), country.lower(), bare)


def in_countries(country: Any, codes: frozenset[str] | None = None) -> Any:
    """Say where a country, as `folded` gives it, is one of these (alpha-2); None: one that exists."""
    return _is_one_of(country, spellings(codes)).fill_null(False)


def _is_one_of(word: Any, words: Iterable[str]) -> Any:
    """Look a word without blanks up among many, in one text for each length there is.

    A list of a thousand literals takes an engine longer to plan than to run, and one text of all of them is long.
    """
    of_length: dict[int, list[str]] = {}
    for one in sorted(words):
        of_length.setdefault(len(one), []).append(one)
    spaced = ibis.literal(" ") + word + ibis.literal(" ")
    known = (
        (word.length() == n, ibis.literal(f" {' '.join(same)} ").contains(spaced)) for n, same in of_length.items()
    )
    return ibis.cases(*known, else_=False) & ~word.contains(" ")


@cache
def _no_letters() -> str:
    accents = "".join(map(chr, range(0x300, 0x370)))
    return _text_class(EDGE + accents + "".join(ch for ch in map(chr, range(0x80)) if not ch.isalnum()))


def _if_no_digest(text: Any, rule: KeyRule, otherwise: Any) -> Any:
    """Say where a digest is one the platform can use; of what is no digest, what ``otherwise`` says."""
    accepted = {pattern for form, pattern in _FORMS.items() if form in rule.accepts}
    # An id of the sender's own may look like somebody's MD5.
    refused = set() if rule.opaque else set(_FORMS.values()) - accepted
    empty = _is_one_of(text.substr(0, 64).lower(), EMPTY_DIGESTS)
    if DigestForm.BASE64 in rule.accepts:
        empty |= _is_one_of(text, (base64.b64encode(bytes.fromhex(one)).decode() for one in EMPTY_DIGESTS))
    cases = [(text.re_search(_either(accepted)), ~empty)]
    if refused:
        cases.append((text.re_search(_either(refused)), ibis.literal(value=False)))
    return ibis.cases(*cases, else_=otherwise)


def _either(patterns: Iterable[str]) -> str:
    return f"^(?:{'|'.join(sorted(patterns))})$"


# -- one function per normaliser: text is trimmed, not missing and no placeholder -----------------------------


def _text_class(characters: str) -> str:
    """Write characters as a class of a regular expression: ranges, nothing but literal characters."""
    points = sorted(map(ord, set(characters)))
    ranges: list[list[int]] = []
    for point in points:
        if ranges and point == ranges[-1][1] + 1:
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
    return "".join(_escaped(low) if low == high else f"{_escaped(low)}-{_escaped(high)}" for low, high in ranges)


def _escaped(point: int) -> str:
    # Control characters as escapes, so that the text of a query stays readable and legal.
    if point < 0x20 or 0x7F <= point < 0xA0:
        return f"\\x{point:02x}"
    character = chr(point)
    return f"\\{character}" if character in r"\]^-[&~" else character


@cache
def _edge() -> str:
    return _text_class(EDGE)


@cache
def _dropped(categories: str, *, but_letters: bool = False) -> str:
    """Write a class of all that `text.squeeze` drops; with ``but_letters`` not what is letters when taken apart."""
    edge = frozenset(EDGE)

    def goes(character: str) -> bool:
        return character in edge or character in SIGNS or unicodedata.category(character)[0] in categories

    def spelled(character: str) -> bool:
        return any(part.isalnum() for part in unicodedata.normalize("NFKD", character))

    # Above the first two planes lie letters only.
    points = (chr(point) for point in range(0x20000) if not 0xD800 <= point < 0xE000)
    gone = (one for one in points if all(map(goes, unicodedata.normalize("NFC", one))))
    return _text_class("".join(one for one in gone if not (but_letters and spelled(one))))


def _is_ascii(text: Any) -> Any:
    return ~text.re_search("[^\\x00-\\x7f]")


def _is_placeholder(text: Any) -> Any:
    return text.lower().isin(sorted(PLACEHOLDERS)) | (text.startswith("{{") & text.endswith("}}"))


def _anything(text: Any, country: Any) -> Any:
    return ibis.literal(value=True)


def _has_address(text: Any, country: Any) -> Any:
    edge = _edge()
    return text.re_search(f"^[^@{edge}]+@[^@{edge}]+$")


def _without_blanks(text: Any) -> Any:
    return text.re_replace(f"[{_edge()}]", "")


def _has_address_in_blanks(text: Any, country: Any) -> Any:
    bare = _without_blanks(text)
    return bare.re_search(_ON_BOTH_SIDES) & ~_is_placeholder(bare)


def _google_address(text: Any, country: Any) -> Any:
    bare = _without_blanks(text)
    gmail = bare.lower().re_search(_GMAIL)
    return bare.re_search(_ON_BOTH_SIDES) & ~_is_placeholder(bare) & (~gmail | bare.re_search(_LOCAL))


def _microsoft_address(text: Any, country: Any) -> Any:
    bare = _without_blanks(text)
    whole = bare.re_search(_LOCAL + "[^@.]+(?:[.][^@.]+)+$") & ~_is_placeholder(bare)
    return whole | ~_is_ascii(bare)


def _phone(text: Any, country: Any) -> Any:
    """Enough digits, and a country code: its own, or the row's."""
    start = text.re_replace("^[^0-9+]+", "")
    abroad = start.re_search("^(?:[+]|00|0[^0-9A-Za-z_]*1[^0-9A-Za-z_]*1)")
    digits = start.re_replace("[^0-9A-Za-z]", "")
    # A vanity number has letters for digits; a national one needs three digits fewer, and its country.
    here = in_countries(country) & (digits.length() >= 4) if country is not None else ibis.literal(value=False)
    enough = start.re_search("[0-9]") & ibis.ifelse(abroad & (digits.length() >= 7), ibis.literal(value=True), here)
    return ibis.ifelse(_is_ascii(text), enough, ibis.literal(value=True))


def _squeezed(text: Any, dropped: str) -> Any:
    bare = text.re_replace(f"[{dropped}]", "").lower()
    return ~bare.isin(sorted(PLACEHOLDERS))  # the empty text is one


def _name(text: Any, country: Any) -> Any:
    return _squeezed(text, _dropped("P"))


def _place(text: Any, country: Any) -> Any:
    return _squeezed(text, _dropped("PS"))


def _region(text: Any, country: Any) -> Any:
    # A table of codes is asked first, which knows letters in a square.
    return _squeezed(text, _dropped("PS", but_letters=True))


def _words(text: Any, country: Any) -> Any:
    bare = trimmed(text.re_replace("[!-/:-@\\x5b-`{-~]", "")).lower()
    return ~_is_ascii(text) | ~bare.isin(sorted(PLACEHOLDERS))


def _gender(text: Any, country: Any) -> Any:
    return ~_is_ascii(text) | text.lower().re_replace("[.]+$", "").isin(sorted(GENDER_WORDS))


def _birth_date(text: Any, country: Any) -> Any:
    return ~_is_ascii(text) | text.re_search(_DATE)


def _us(country: Any) -> Any:
    return ibis.literal(value=False) if country is None else in_countries(country, frozenset({"US"}))


def _postal_bare(text: Any, country: Any) -> Any:
    bare = _without_blanks(text).re_replace(f"[{_dashes()}]", "").lower()
    american = bare.re_search("^[0-9]{5}(?:[0-9]{4})?$")
    return ~_is_ascii(text) | ibis.ifelse(_us(country), american, ~bare.isin(sorted(PLACEHOLDERS)))


@cache
def _dashes() -> str:
    return _text_class("".join(chr(point) for point in range(0x20000) if unicodedata.category(chr(point)) == "Pd"))


def _postal_google(text: Any, country: Any) -> Any:
    return ~_us(country) | text.re_search("^[0-9]{5}(?:-[0-9]{4})?$")


def _country(text: Any, country: Any) -> Any:
    return in_countries(country)


def _alpha2(text: Any, country: Any) -> Any:
    return text.re_search("^[A-Za-z]{2}$") & in_countries(country)


def _id(text: Any, country: Any) -> Any:
    return ~text.isin(["0"])


def _first_hop(text: Any) -> Any:
    return trimmed(text.re_replace(",[\\s\\S]*$", "")).re_replace('^"+|"+$', "")


@cache
def _private_v4() -> str:
    """Write the networks nobody is reached at as the beginnings of their addresses."""
    starts = []
    for network in NOT_PUBLIC:
        if not isinstance(network, ipaddress.IPv4Network):
            continue
        whole, bits = divmod(network.prefixlen, 8)
        octets = network.network_address.packed
        start = [str(octet) for octet in octets[:whole]]
        if bits:
            start.append(
                "(?:" + "|".join(str(one) for one in range(octets[whole], octets[whole] + 2 ** (8 - bits))) + ")"
            )
        starts.append("[.]".join(start) + "[.]")
    return f"^(?:{'|'.join(starts)})"


def _public_v4(text: Any, country: Any) -> Any:
    hop = _first_hop(text)
    private = ibis.ifelse(hop.startswith("["), hop.substr(1), hop).re_search(_private_v4())
    return (hop.re_search(_V4) & ~private) | hop.lower().re_search(_MAPPED)


def _public(text: Any, country: Any) -> Any:
    return _public_v4(text, country) | _first_hop(text).re_search(_V6)


_ACCEPTS = {
    "birth_date_compact": _birth_date,
    "city_bare": _place,
    "country_alpha2": _alpha2,
    "country_lower": _country,
    "country_upper": _country,
    "email_google": _google_address,
    "email_lower": _has_address,
    "email_microsoft": _microsoft_address,
    "email_without_blanks": _has_address_in_blanks,
    "gender_initial": _gender,
    "id_trimmed": _id,
    "id_verbatim": _id,
    "ip_public": _public,
    "ip_public_v4": _public_v4,
    "name_bare": _name,
    "name_google": _anything,
    "phone_digits": _phone,
    "phone_e164": _phone,
    "place_google": _words,
    "postal_bare": _postal_bare,
    "postal_google": _postal_google,
    "region_code": _region,
    "user_agent_verbatim": _anything,
}
"""Normaliser to what it accepts; a test demands one for every rule in use."""
