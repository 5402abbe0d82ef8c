"""One click id, four spellings: the two products want it differently, and the tag stores it differently again."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["CORE", "PATTERN", "click_id", "click_ids"]

PATTERN = (
    r"(?:_uet)?"
    r"(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})"
    r"(?:-0|-1N?)?"
)
"""A whole ``msclkid``: 32 hex digits or a dashed GUID, with the tag's ``_uet`` before it or its ``-1N`` behind."""

CORE = (
    r"^(?:_uet)?([0-9a-fA-F]{8})-?([0-9a-fA-F]{4})-?([0-9a-fA-F]{4})-?([0-9a-fA-F]{4})-?([0-9a-fA-F]{12})(?:-0|-1N?)?$"
)
"""Its groups, joined and in lower case, are the 32 digits, whatever the spelling."""

_WHOLE = re.compile(PATTERN, re.ASCII)


def click_id(value: str | None, dashed: bool) -> str | None:
    """Write a click id as one of the two products wants it.

    Parameters
    ----------
    value : str or None
        As the URL (32 hex digits), the cookie ``_uetmsclkid`` (``_uet`` first) or the tag's requests
        (``-0``, ``-1`` or ``-1N`` last) hold it; dashed or not.
    dashed : bool
        As 8-4-4-4-12 digits, for the UET Conversions API; else 32 digits, for offline conversions.

    Returns
    -------
    str or None
        Lower case, since it is a GUID and two spellings of one would count twice; None for what is no whole id.
    """
    if value is None or not _WHOLE.fullmatch(value):
        return None
    digits = value.removeprefix("_uet").replace("-", "")[:32].lower()
    if not dashed:
        return digits
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def click_ids(values: Iterable[str | None], *, dashed: bool) -> list[str | None]:
    """Write a column of click ids; see `click_id`."""
    return [click_id(value, dashed) for value in values]
