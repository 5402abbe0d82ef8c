"""What every normaliser does to text first: one Unicode form, no white edges, no placeholders."""

from __future__ import annotations

import re
import unicodedata

__all__ = [
    "EDGE",
    "PLACEHOLDERS",
    "SIGNS",
    "clean",
    "drop_marks",
    "fold",
    "has_surrogates",
    "is_placeholder",
    "lower",
    "squeeze",
    "trim",
]

# Exports prepend a byte order mark and web forms zero-width blanks; neither is part of anybody's name.
_ZERO_WIDTH = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
EDGE = (
    "".join(
        ch for ch in map(chr, range(0x3001)) if ch.isspace() or unicodedata.category(ch) in {"Cc", "Zl", "Zp", "Zs"}
    )
    + _ZERO_WIDTH
)
_BLANK = re.compile(f"[{re.escape(EDGE)}]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Signs that are no punctuation to Unicode but are to the platforms' own libraries.
SIGNS = frozenset("`~^|$+<=>")
_UNRESOLVED = re.compile(r"\{\{.*\}\}", re.DOTALL)

PLACEHOLDERS = frozenset(
    {
        "", "-", "--", "(none)", "(not set)", "(null)", "#n/a", "<null>", "[object object]", "n/a", "nan", "none",
        "not set", "null", "undefined", "unknown",
    }
)  # fmt: skip
"""Words that mean "nothing here", lower case. Not ``na``: Namibia, and a surname."""


def trim(text: str) -> str:
    """Cut white space, control characters and zero-width blanks from both ends."""
    return text.strip(EDGE)


def lower(text: str) -> str:
    """Lower-case in NFC. Not case folding: the platforms keep ``ß``."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


def is_placeholder(text: str) -> bool:
    """Say whether trimmed text stands for "nothing here", an unresolved ``{{variable}}`` included."""
    return text.lower() in PLACEHOLDERS or _UNRESOLVED.fullmatch(text) is not None


def has_surrogates(text: str) -> bool:
    """Say whether text holds half a character: it has no UTF-8 form, so it has no digest."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def clean(value: str) -> str | None:
    """Return ``value`` trimmed and in NFC; None where nothing usable is in it."""
    if has_surrogates(value):
        return None
    text = trim(unicodedata.normalize("NFC", value))
    return None if is_placeholder(text) else text


def drop_blanks(text: str) -> str:
    """Remove white space anywhere."""
    return _BLANK.sub("", text)


def has_blanks(text: str) -> bool:
    """Say whether white space or control characters are anywhere in ``text``."""
    return _BLANK.search(text) is not None


def squeeze(text: str, *, symbols: bool = False) -> str:
    """Remove white space and punctuation; with ``symbols`` every other sign too. Letters, marks and digits stay."""
    dropped = "PS" if symbols else "P"
    kept = [ch for ch in drop_blanks(text) if ch not in SIGNS and unicodedata.category(ch)[0] not in dropped]
    return unicodedata.normalize("NFC", "".join(kept))


def drop_marks(text: str) -> str:
    """Take the accents off: NFKD without combining marks."""
    return "".join(ch for ch in unicodedata.normalize("NFKD", text) if not unicodedata.combining(ch))


def fold(text: str) -> str:
    """Reduce a name to the form its table is searched by: lower-case letters and digits, no accents."""
    return "".join(ch for ch in drop_marks(text).lower() if ch.isalnum())
