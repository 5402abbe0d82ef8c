"""Streets, cities, regions, postcodes, countries, network addresses and ids: one function per distinct rule.

Signatures are those of `capi_lab.identity.people`; the ``..._verbatim`` ones get the value as it was given.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata

from capi_lab.identity.geography import REGION_CODES, country_code
from capi_lab.identity.text import drop_blanks, drop_marks, fold, lower, squeeze, trim

__all__ = [
    "NOT_PUBLIC",
    "city_ascii",
    "city_bare",
    "country_alpha2",
    "country_lower",
    "country_upper",
    "device_id_lower",
    "device_id_upper",
    "id_trimmed",
    "id_verbatim",
    "ip_public",
    "ip_public_v4",
    "place_google",
    "postal_bare",
    "postal_google",
    "region_code",
    "user_agent_verbatim",
]

_NOT_WORDS = re.compile(r"[^\w\s]|_")
_ISO_SUBDIVISION = re.compile(r"(US|CA)-(\w{2})", re.IGNORECASE)
_ZIP_PLUS_4 = re.compile(r"(\d{5})-\d{4}", re.ASCII)
_ZIP_WRITTEN = re.compile(r"\d{5}(?:-\d{4})?", re.ASCII)
_ZIP = re.compile(r"(\d{5})(?:\d{4})?", re.ASCII)
_V4_WITH_PORT = re.compile(r"([\d.]+):\d+", re.ASCII)
_V6_IN_BRACKETS = re.compile(r"\[([^\]]*)\](?::\d+)?", re.ASCII)
# Written out: `ipaddress.is_private` also counts the ranges set aside for documentation and tests.
NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.168.0.0/16", "224.0.0.0/3", "::/128", "::1/128", "fc00::/7", "fe80::/10", "ff00::/8",
    )
)  # fmt: skip


def city_bare(text: str, country: str | None = None) -> str | None:
    """Lower-case without white space, punctuation and signs; accents and other scripts stay."""
    return squeeze(lower(text), symbols=True)


def city_ascii(text: str, country: str | None = None) -> str | None:
    """Do as `city_bare`, accents off: a second value for platforms that take lists."""
    return squeeze(lower(drop_marks(text)), symbols=True)


def place_google(text: str, country: str | None = None) -> str | None:
    """Lower-case; only letters, digits and white space stay, inner runs of spaces as they were."""
    return trim(_NOT_WORDS.sub("", lower(text)))


def region_code(text: str, country: str | None = None) -> str | None:
    """Return the two-letter code of a US state or Canadian province, else the full name squeezed; lower case."""
    if found := _ISO_SUBDIVISION.fullmatch(text):
        code = REGION_CODES[found[1].upper()].get(found[2].lower())
        if code:
            return code
    tables = REGION_CODES.values() if country is None else [REGION_CODES.get(country, {})]
    # Exact names only: part of a name once made Washington State of Washington DC.
    codes = (table.get(fold(text)) for table in tables)
    return next((code for code in codes if code), None) or squeeze(lower(text), symbols=True)


def postal_bare(text: str, country: str | None = None) -> str | None:
    """Lower-case without spaces and dashes; of a US code the first five digits."""
    code = lower(unicodedata.normalize("NFKC", text))
    # 12345-6789 is American unless the row says otherwise (Saudi Arabia writes the same).
    if country in {None, "US"} and (found := _ZIP_PLUS_4.fullmatch(code)):
        return found[1]
    bare = "".join(ch for ch in drop_blanks(code) if unicodedata.category(ch) != "Pd")
    if country == "US":
        zip_code = _ZIP.fullmatch(bare)
        return zip_code[1] if zip_code else None
    return bare


def postal_google(text: str, country: str | None = None) -> str | None:
    """Trim; case and inner space stay.

    A US code must be five digits, or five, a dash and four; other countries' codes are not checked.
    """
    if country == "US" and not _ZIP_WRITTEN.fullmatch(text):
        return None
    return text


def country_lower(text: str, country: str | None = None) -> str | None:
    """Return the alpha-2 code in lower case, from a code or a name."""
    code = country_code(text)
    return None if code is None else code.lower()


def country_upper(text: str, country: str | None = None) -> str | None:
    """Return the alpha-2 code in upper case, from a code or a name."""
    return country_code(text)


def country_alpha2(text: str, country: str | None = None) -> str | None:
    """Return an alpha-2 code in upper case (``UK`` is ``GB``); names and three letters are dropped."""
    return country_code(text) if len(text) == 2 and text.isascii() else None


def id_verbatim(value: str, country: str | None = None) -> str | None:
    """Keep the id byte for byte: the browser sends the same one."""
    return None if trim(value) == "0" else value


def id_trimmed(text: str, country: str | None = None) -> str | None:
    """Trim the id; case stays."""
    return None if text == "0" else text


def device_id_lower(text: str, country: str | None = None) -> str | None:
    """Lower-case an Android advertising id."""
    return lower(text)


def device_id_upper(text: str, country: str | None = None) -> str | None:
    """Upper-case an iOS advertising id."""
    return text.upper()


def user_agent_verbatim(value: str, country: str | None = None) -> str | None:
    """Keep the user agent as the browser sent it."""
    return value


def ip_public(text: str, country: str | None = None) -> str | None:
    """Return the first address of a forwarding list, if it is valid and not private, loopback or link-local."""
    hop = trim(text.split(",", 1)[0]).strip('"')
    if found := _V6_IN_BRACKETS.fullmatch(hop) or _V4_WITH_PORT.fullmatch(hop):
        hop = found[1]
    try:
        address = ipaddress.ip_address(hop)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return None
        address = address.ipv4_mapped or address
    return None if any(address in network for network in NOT_PUBLIC) else str(address)


def ip_public_v4(text: str, country: str | None = None) -> str | None:
    """Return the first address of a forwarding list, if it is a public IPv4."""
    address = ip_public(text)
    return None if address is None or ":" in address else address
