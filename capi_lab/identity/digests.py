"""SHA-256 digests as people write them: recognising, decoding, encoding.

A digest is recognised before anything else is done to a value: normalising one destroys it, and hashing it
again makes a value that matches nobody.
"""

from __future__ import annotations

import base64
import re
from enum import StrEnum
from hashlib import sha256

from capi_lab.identity.text import PLACEHOLDERS, trim

__all__ = ["EMPTY_DIGESTS", "DigestForm", "Encoding", "encode", "hex_digest", "recognise"]


class Encoding(StrEnum):
    """How 32 bytes become text."""

    HEX = "hex"
    """64 lower-case hex digits."""
    BASE64 = "base64"
    """44 characters of the standard alphabet, padding included."""


class DigestForm(StrEnum):
    """What a hashed-looking text is."""

    HEX = "hex"
    UPPER_HEX = "upper_hex"
    BASE64 = "base64"
    BUILDER = "builder"
    """Lower-case hex and the suffix of Meta's parameter builder, which the platform reads."""
    MD5 = "md5"
    SHA1 = "sha1"


_HEX = re.compile(r"[0-9a-fA-F]+", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/]{43}=", re.ASCII)
_BUILDER = re.compile(r"([0-9a-fA-F]{64})\.(?:[A-Za-z0-9_-]{8}|AQ|Ag|Aw|BA|BQ|Bg)", re.ASCII)
_BY_LENGTH = {64: DigestForm.HEX, 40: DigestForm.SHA1, 32: DigestForm.MD5}


def hex_digest(text: str) -> str:
    """SHA-256 of the UTF-8 bytes, lower-case hex."""
    return sha256(text.encode()).hexdigest()


def encode(digest: str, encoding: Encoding) -> str:
    """Write a lower-case hex digest in another encoding."""
    return digest if encoding is Encoding.HEX else base64.b64encode(bytes.fromhex(digest)).decode()


def recognise(value: str) -> tuple[DigestForm, str] | None:
    """Return what kind of digest ``value`` is, and the lower-case hex of it; None for ordinary text."""
    text = trim(value)
    if not text.isascii():
        return None
    if _HEX.fullmatch(text) and (form := _BY_LENGTH.get(len(text))):
        upper = form is DigestForm.HEX and text != text.lower()
        return DigestForm.UPPER_HEX if upper else form, text.lower()
    if _BASE64.fullmatch(text):
        return DigestForm.BASE64, base64.b64decode(text).hex()
    if found := _BUILDER.fullmatch(text):
        return DigestForm.BUILDER, found[1].lower()
    return None


def _empty() -> frozenset[str]:
    spelled = {form for word in PLACEHOLDERS for form in (word, word.upper(), word.capitalize())} | {
        " ",
        "NaN",
        "N/A",
    }
    once = {hex_digest(word) for word in spelled}
    return frozenset(once | {hex_digest(digest) for digest in once})


EMPTY_DIGESTS = _empty()
"""Digests of nothing: of the empty text and of placeholders, hashed once or twice."""
