"""Phone numbers to E.164, by the library that knows every numbering plan.

A number counts as usable when its *length* is possible in its country. Whether the range is in service
changes with every release of the plan, and the only harm of a number nobody has is that it matches nobody.

`fast_plan` restates the library's reading for the plain cases as patterns, so that a column needs the
library for its unclear numbers only; `capi_lab.identity.fast` runs them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

__all__ = [
    "FastPlan",
    "fast_plan",
    "national_part",
    "phone_assumed_code",
    "phone_china_bare",
    "phone_digits",
    "phone_e164",
]

_TRUNK_ZERO = re.compile(r"\(\s*0\s*\)")
_BEFORE_NUMBER = re.compile(r"^[^\d+]*")
_DOUBLE_ZERO = re.compile(r"^\+?00")
_NORTH_AMERICAN_EXIT = re.compile(r"^0\W*1\W*1(?!\d{0,9}$)")
_MAX_DIGITS, _MIN_DIGITS = 15, 7


def phone_e164(text: str, country: str | None = None) -> str | None:
    """E.164 with the leading ``+``; a national number needs its country. Extensions are dropped."""
    number = _parse(text, country)
    return None if number is None else _format(number)


def phone_digits(text: str, country: str | None = None) -> str | None:
    """E.164 without the leading ``+``."""
    number = phone_e164(text, country)
    return None if number is None else number[1:]


def phone_china_bare(text: str, country: str | None = None) -> str | None:
    """E.164, but of a Chinese number only what follows ``+86``."""
    number = phone_e164(text, country)
    return number[3:] if number is not None and number.startswith("+86") else number


def phone_assumed_code(text: str, country: str | None = None) -> str | None:
    """Put ``+`` before the digits as they are: for columns known to carry the country code."""
    digits = _ascii_digits(text)
    return f"+{digits}" if _MIN_DIGITS <= len(digits) <= _MAX_DIGITS and digits[0] != "0" else None


def national_part(text: str, country: str | None = None) -> str | None:
    """Return the number without its country code, as `phone_e164` reads it."""
    from phonenumbers import national_significant_number

    number = _parse(text, country)
    return None if number is None else national_significant_number(number)


def _ascii_digits(text: str) -> str:
    return "".join(str(unicodedata.digit(ch)) for ch in unicodedata.normalize("NFKC", text) if ch.isdecimal())


def _parse(text: str, country: str | None) -> PhoneNumber | None:
    from phonenumbers import SUPPORTED_REGIONS, is_valid_number

    region = country if country in SUPPORTED_REGIONS else None
    start = _BEFORE_NUMBER.sub("", unicodedata.normalize("NFKC", text))
    fallback = None
    for reading, where, must_be_valid in _readings(start, region):
        number = _usable(reading, where)
        if number is not None and is_valid_number(number):
            return number
        if not must_be_valid:
            fallback = fallback or number
    return fallback


def _readings(text: str, region: str | None) -> Iterator[tuple[str, str | None, bool]]:
    """Yield the ways to read a number, likeliest first: text, region, and whether only a valid one counts."""
    whole = [text]
    if _TRUNK_ZERO.search(text):
        # "+44 (0)20": the zero is dialled at home only. Where it is part of the number, as in Italy,
        # the reading without it is no valid number.
        whole.insert(0, _TRUNK_ZERO.sub("", text))
    for reading in whole:
        if _DOUBLE_ZERO.match(reading):
            yield _DOUBLE_ZERO.sub("+", reading), None, False
        if reading.startswith("+"):
            yield reading, None, False
            continue
        if region is not None:
            with_code = _ascii_digits(reading).startswith(str(_calling_code(region)))
            # Who leaves out a trunk prefix writes the country code in its place: 49151... in Germany.
            if with_code and _has_trunk(region):
                yield f"+{reading}", None, True
            yield reading, region, False
            if with_code:
                yield f"+{reading}", None, True
        if _NORTH_AMERICAN_EXIT.match(reading) and (region is None or _calling_code(region) == 1):
            yield _NORTH_AMERICAN_EXIT.sub("+", reading), None, True


def _usable(text: str, region: str | None) -> PhoneNumber | None:
    """Parse; None unless the length is possible and a leading zero belongs to the number."""
    from phonenumbers import (
        NumberParseException,
        ValidationResult,
        is_possible_number_with_reason,
        is_valid_number,
        parse,
    )

    try:
        number = parse(text, region)
    except NumberParseException:
        return None
    if is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        return None
    if number.italian_leading_zero and not is_valid_number(number):
        return None
    return number if _MIN_DIGITS <= len(_format(number)) - 1 <= _MAX_DIGITS else None


def _format(number: PhoneNumber) -> str:
    from phonenumbers import PhoneNumberFormat, format_number

    number.extension = None
    return format_number(number, PhoneNumberFormat.E164)


def _calling_code(region: str) -> int:
    from phonenumbers import country_code_for_region

    return country_code_for_region(region)


def _has_trunk(region: str) -> bool:
    return bool(_numbering(region).national_prefix)


def _numbering(region: str) -> Any:
    """Return the library's table of a region; its types allow for regions it does not have."""
    from phonenumbers import PhoneMetadata

    return PhoneMetadata.metadata_for_region(region)


@dataclass(frozen=True, slots=True)
class FastPlan:
    """How plain digit strings are read, as patterns of the common kind of regular expression.

    Parameters
    ----------
    international, stripped : str
        ``+`` and digits are already E.164 where the whole matches ``international`` and the start does not
        match ``stripped`` (a national prefix the library would take out after the country code). Neither
        allows a zero after the country code.
    code : str
        Country code of the region, empty without one. The rest is about digits without ``+``:
    refused : str
        Not read here if the start matches: an exit code. Empty where none of the following could.
    prefixed : str
        Not a bare national number if the start matches: a national prefix or the country code.
    national : str
        A bare national number.
    trunk : str
        A national number behind its one-digit prefix; empty where the region has none.
    general : str
        What the library takes for a whole number, so that it would leave the prefix in.
    with_code : str
        Country code and number, longer than any national number; ``stripped`` must not match behind a ``+``.
    """

    international: str
    stripped: str
    code: str = ""
    refused: str = ""
    prefixed: str = ""
    national: str = ""
    trunk: str = ""
    general: str = ""
    with_code: str = ""


@cache
def fast_plan(region: str | None) -> FastPlan:
    """Derive the patterns of a region from the library's own tables."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, SUPPORTED_REGIONS

    international, stripped = [], []
    for code, regions in COUNTRY_CODE_TO_REGION_CODE.items():
        if regions[0] == "001":
            continue
        main = _numbering(regions[0])
        lengths = _lengths(code, main.general_desc.possible_length)
        if lengths:
            international.append(f"{code}{_digits(lengths)}")
            prefix = main.national_prefix_for_parsing
            if prefix and not _starts_with_zero(prefix):
                stripped.append(f"{code}(?:{prefix})")
    plan = FastPlan(rf"\+(?:{'|'.join(international)})", rf"^\+(?:{'|'.join(stripped)})")
    if region is None or region not in SUPPORTED_REGIONS:
        return plan
    code = _calling_code(region)
    here = _numbering(region)
    main = _numbering(COUNTRY_CODE_TO_REGION_CODE[code][0])
    possible = set(here.general_desc.possible_length) & set(main.general_desc.possible_length)
    lengths = _lengths(code, possible)
    prefix, exit_code = here.national_prefix_for_parsing, here.international_prefix
    if not lengths or not exit_code:
        return plan
    longest = max(here.general_desc.possible_length)
    beyond = [n for n in lengths if len(str(code)) + n > longest]
    trunk = _trunk(prefix or "", str(code), lengths)
    # No number below starts with two zeros, nor with one unless it has a trunk prefix.
    harmless = exit_code.startswith("00") if trunk else _starts_with_zero(exit_code)
    return FastPlan(
        plan.international,
        plan.stripped,
        code=str(code),
        refused="" if harmless and exit_code.isdigit() else f"^(?:{exit_code})",
        prefixed=f"^(?:{code}|{prefix})" if prefix else f"^{code}",
        national=_digits(lengths),
        trunk=trunk,
        general=here.general_desc.national_number_pattern,
        with_code=f"{code}{_digits(beyond)}" if beyond and prefix == main.national_prefix_for_parsing else "",
    )


def _starts_with_zero(pattern: str) -> bool:
    return pattern.isdigit() and pattern.startswith("0")


def _lengths(code: int, possible: Iterable[int]) -> list[int]:
    return sorted(n for n in possible if _MIN_DIGITS <= len(str(code)) + n <= _MAX_DIGITS)


def _digits(lengths: list[int]) -> str:
    """Pattern of a number of these lengths that does not start with zero."""
    return f"[1-9](?:{'|'.join(f'[0-9]{{{n - 1}}}' for n in lengths)})"


def _trunk(prefix: str, code: str, lengths: list[int]) -> str:
    """Pattern of a number behind its national prefix, where that is one digit and nothing else begins with it."""
    alternatives = prefix.split("|")
    if not all(alternative.isdigit() for alternative in alternatives):
        return ""
    starts = [alternative[0] for alternative in alternatives]
    plain = [a for a in alternatives if len(a) == 1 and starts.count(a) == 1 and not code.startswith(a)]
    return f"[{''.join(plain)}]{_digits(lengths)}" if plain else ""
