"""Numbers as platforms round them: buckets, abbreviations and percentages, with the bounds they leave."""

from __future__ import annotations

import math
import re
from decimal import Decimal

__all__ = ["Count", "exact_count", "read_count", "share_of"]

Count = tuple[float, float | None, float | None]
"""Number, low, high; bounds are None where the number is exact, or the upper one where a bucket is open."""

_PLAIN = re.compile(r"\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?")
_RANGE = re.compile(r"([\d.,]+)\s*(?:-|–|—|to)\s*([\d.,]+)", re.IGNORECASE)
_BELOW = re.compile(r"(<=|≤|<)\s*([\d.,]+)")
_ABOVE = re.compile(r"(>=|≥|>)\s*([\d.,]+)|([\d.,]+)\s*\+")
_SHORT = re.compile(r"(\d+)(?:\.(\d+))?\s*([kmb])", re.IGNORECASE)
_TIMES = {"k": 1e3, "m": 1e6, "b": 1e9}


def read_count(text: str) -> Count | None:
    """Read a count: ``1,234``, ``20-30``, ``<20``, ``1000+`` or ``1.2K``.

    Parameters
    ----------
    text : str

    Returns
    -------
    Count or None
        Of a closed bucket the middle, of an open one its lower end; None for what is no count.
    """
    text = text.strip()
    exact = _plain(text)
    if exact is not None:
        return exact, None, None
    if shape := _RANGE.fullmatch(text):
        low, high = _plain(shape[1]), _plain(shape[2])
        return None if low is None or high is None or low > high else ((low + high) / 2, low, high)
    if shape := _BELOW.fullmatch(text):
        end = _plain(shape[2])
        top = None if end is None else max(end - (shape[1] == "<"), 0.0)
        return None if top is None else (top / 2, 0.0, top)
    if shape := _ABOVE.fullmatch(text):
        start = _plain(shape[2] or shape[3])
        low = None if start is None else start + (shape[1] == ">")
        return None if low is None else (low, low, None)
    if shape := _SHORT.fullmatch(text):
        unit, decimals = _TIMES[shape[3].lower()], len(shape[2] or "")
        number = float(f"{shape[1]}.{shape[2] or 0}") * unit
        half = unit / 10**decimals / 2
        return (number, max(number - half, 0.0), number + half) if math.isfinite(number) else None
    return None


def exact_count(text: str) -> float | None:
    """Read a count that is exact; None for one told in a range or rounded, and for what is no count."""
    found = read_count(text)
    return found[0] if found is not None and found[1] is None and found[2] is None else None


def _plain(text: str) -> float | None:
    number = float(text.replace(",", "")) if _PLAIN.fullmatch(text) else None
    return number if number is not None and math.isfinite(number) else None


def share_of(total: float, percentage: float) -> Count:
    """Turn a rounded percentage of a total into a count, with the bounds the rounding leaves.

    Parameters
    ----------
    total : float
    percentage : float
        0 to 100, right to half a unit of its last decimal as written.
    """
    exponent = Decimal(repr(percentage)).normalize().as_tuple().exponent
    half = 0.5 * 10.0 ** min(exponent if isinstance(exponent, int) else 0, 0)
    low, high = (total * min(max(one, 0.0), 100.0) / 100 for one in (percentage - half, percentage + half))
    return total * percentage / 100, low, high
