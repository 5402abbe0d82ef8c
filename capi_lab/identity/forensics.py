"""What is wrong with hashes somebody else made: a verdict per row, counted.

With the raw values every usual mistake is made again and compared; without them only what shows in the
digest itself can be told. A digest no mistake explains is ``unknown``, not guessed. Values are never shown.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from capi_lab.errors import InputError
from capi_lab.identity.digests import EMPTY_DIGESTS, DigestForm, Encoding, encode, hex_digest, recognise
from capi_lab.identity.geography import country_code
from capi_lab.identity.hashing import as_text, hashing_rule, normalise_by_rule
from capi_lab.identity.normalisers import NORMALISERS
from capi_lab.identity.phone import national_part, phone_e164
from capi_lab.identity.rules import KEY_RULES, OTHER_RULES, KeyRule
from capi_lab.identity.text import clean, drop_blanks, has_surrogates, lower
from capi_lab.words import HashVerdict

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["inspect_hashes"]

_REMEDIES = {
    HashVerdict.OK: "",
    HashVerdict.DOUBLE_HASHED: "hash once: drop the second hashing step, or send the first digest",
    HashVerdict.EMPTY_HASH: "leave the key out where there is no value",
    HashVerdict.NOT_NORMALISED: "normalise by this platform's rule before hashing: hash_column(...)",
    HashVerdict.WRONG_COUNTRY: "give the row's country, so that the country code is right",
    HashVerdict.WRONG_ENCODING: "write the digest as this platform reads it: 64 lower-case hex digits",
    HashVerdict.MD5: "hash the raw values again with SHA-256: MD5 matches nobody",
    HashVerdict.SHA1: "hash the raw values again with SHA-256: SHA-1 matches nobody",
    HashVerdict.NOT_A_HASH: "clear text in a hashed column: hash it, and look at who has read this file",
    HashVerdict.MISSING: "nothing to inspect",
    HashVerdict.UNKNOWN: "no usual mistake explains these: ask how they were made",
}
_OK_BY_LOOK = "well formed; give raw= to have it recomputed"


def inspect_hashes(
    hashed: pd.Series,
    raw: pd.Series | None = None,
    *,
    key: str,
    platform: str,
    country: str | pd.Series | None = None,
) -> pd.DataFrame:
    """Say what is wrong with a column of hashed match keys.

    Parameters
    ----------
    hashed : Series
        As somebody else made them.
    raw : Series, optional
        The values they were made of, row by row.
    key, platform : str
    country : str or Series, optional
        Country of the rows. Without it a national phone number is taken to be right with any country in
        which it is a valid number.

    Returns
    -------
    DataFrame
        One row per verdict found (`capi_lab.words.HashVerdict`): ``verdict``, ``k`` rows, ``n`` rows in all,
        ``share``, ``remedy``. No value of any row.

    Raises
    ------
    UnknownNameError, InputError
        As `hash_column`; also where ``raw`` and ``hashed`` differ in length.
    """
    import pandas as pd

    rule = hashing_rule(platform, key)
    digests = [as_text(value, key) for value in hashed]
    raws = [None] * len(digests) if raw is None else [as_text(value, key) for value in raw]
    given = country if isinstance(country, pd.Series) else [country] * len(digests)
    countries = [country_code(as_text(value, "country")) for value in given]
    if not len(digests) == len(raws) == len(countries):
        raise InputError("hashed, raw and country must have one row each per conversion")
    rows = Counter(zip(digests, raws, countries, strict=True))
    counts: Counter[HashVerdict] = Counter()
    for (digest, value, where), n in rows.items():
        counts[_verdict(digest, value, where, rule, key)] += n
    found = [verdict for verdict in HashVerdict if counts[verdict]]
    remedies = _REMEDIES | ({HashVerdict.OK: _OK_BY_LOOK} if raw is None else {})
    return pd.DataFrame(
        {
            "verdict": pd.Series([str(verdict) for verdict in found], dtype="str"),
            "k": pd.Series([counts[verdict] for verdict in found], dtype="int64"),
            "n": pd.Series([len(digests)] * len(found), dtype="int64"),
            "share": pd.Series([counts[verdict] / len(digests) for verdict in found], dtype="float64"),
            "remedy": pd.Series([remedies[verdict] for verdict in found], dtype="str"),
        }
    )


def _verdict(hashed: str | None, raw: str | None, country: str | None, rule: KeyRule, key: str) -> HashVerdict:
    text = None if hashed is None else clean(hashed)
    if text is None:
        return HashVerdict.MISSING
    found = recognise(text)
    if found is None:
        return HashVerdict.NOT_A_HASH
    form, digest = found
    if form in {DigestForm.MD5, DigestForm.SHA1}:
        return HashVerdict(form.value)
    if digest in EMPTY_DIGESTS:
        return HashVerdict.EMPTY_HASH
    # What was hashed matters more than how the digest is written, so the encoding speaks last.
    known = raw is not None and not has_surrogates(raw)
    verdict = _recomputed(digest, str(raw), country, rule, key) if known else HashVerdict.OK
    return _encoding(form, rule) if verdict is HashVerdict.OK else verdict


def _encoding(kind: DigestForm, rule: KeyRule) -> HashVerdict:
    # The platform that reads Base64 reads hex in either case too.
    relaxed = DigestForm.BASE64 in rule.accepts
    fine = kind in rule.accepts and (kind is not DigestForm.UPPER_HEX or relaxed)
    return HashVerdict.OK if fine else HashVerdict.WRONG_ENCODING


def _recomputed(digest: str, raw: str, country: str | None, rule: KeyRule, key: str) -> HashVerdict:
    given = recognise(raw)
    if given is not None and given[0] in rule.accepts:
        # The "raw" column already held digests.
        if digest == given[1]:
            return HashVerdict.OK
        return HashVerdict.DOUBLE_HASHED if digest in _hashed_again(given[1]) else HashVerdict.UNKNOWN
    expected = normalise_by_rule(raw, rule, country)
    right = set() if expected is None else {hex_digest(expected)}
    if key == "phone" and expected is None and country is None:
        right |= _valid_somewhere(raw, rule.normaliser)
    if digest in right:
        return HashVerdict.OK
    elsewhere = set(_other_countries(raw, country)) if key == "phone" else set()
    careless = {hex_digest(text) for text in _careless(raw, country, key)} - right
    if digest in careless:
        return HashVerdict.NOT_NORMALISED
    if digest in elsewhere - right:
        return HashVerdict.WRONG_COUNTRY
    if any(digest in _hashed_again(once) for once in right | careless | elsewhere):
        return HashVerdict.DOUBLE_HASHED
    return HashVerdict.UNKNOWN


def _hashed_again(digest: str) -> set[str]:
    from hashlib import sha256

    spelled = (digest, digest.upper(), encode(digest, Encoding.BASE64))
    return {hex_digest(text) for text in spelled} | {sha256(bytes.fromhex(digest)).hexdigest()}


def _careless(raw: str, country: str | None, key: str) -> Iterator[str]:
    """Yield what people hash instead: the value as typed, half the rule, or another platform's rule."""
    trimmed = raw.strip()
    for text in (raw, trimmed, lower(trimmed), drop_blanks(lower(trimmed))):
        yield from (text, text.lower(), text.upper(), text.title())
        yield unicodedata.normalize("NFD", text)
    for rules in (*KEY_RULES.values(), *OTHER_RULES.values()):
        if key in rules:
            yield from _form(rules[key].normaliser, raw, country)
    for name in _kin(key):
        yield from _form(name, raw, country)
    if key == "phone" and _is_international(raw):
        digits = "".join(ch for ch in raw if ch.isdecimal())
        yield from (digits, f"+{digits}", digits.lstrip("0"), f"+{digits.lstrip('0')}")


def _form(name: str, raw: str, country: str | None) -> Iterator[str]:
    text = NORMALISERS[name](raw, country)
    if text is not None:
        yield text


def _kin(key: str) -> list[str]:
    """Return the normalisers named like the key: other readings of the same documents."""
    word = {"first_name": "name", "last_name": "name", "date_of_birth": "birth", "postal_code": "postal"}.get(key, key)
    return [name for name in NORMALISERS if name.startswith(word)]


@cache
def _codes() -> tuple[tuple[int, str], ...]:
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

    return tuple((code, regions[0]) for code, regions in COUNTRY_CODE_TO_REGION_CODE.items() if regions[0] != "001")


def _other_countries(raw: str, country: str | None) -> Iterator[str]:
    """Yield digests of the number behind every country code, and behind none."""
    bodies = {national_part(raw, country)}
    if not _is_international(raw):
        digits = "".join(ch for ch in raw if ch.isdecimal())
        bodies |= {digits, digits.lstrip("0")}
    for body in filter(None, bodies):
        for code in ("", *(str(code) for code, _ in _codes())):
            yield from (hex_digest(f"{code}{body}"), hex_digest(f"+{code}{body}"))


def _is_international(raw: str) -> bool:
    return raw.strip(" (").startswith(("+", "00"))


def _valid_somewhere(raw: str, normaliser: str) -> set[str]:
    """Return the digests a national number has in the countries where it is a valid one."""
    from phonenumbers import is_valid_number, parse

    found: set[str] = set()
    for _, region in _codes():
        number = phone_e164(raw, region)
        if number is not None and is_valid_number(parse(number)):
            found.update(hex_digest(text) for text in _form(normaliser, number, None))
    return found
