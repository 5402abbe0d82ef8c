"""Who and which click a row is about, as both of Google's routes need it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from capi_lab.platforms.google.needs import ADDRESS, CLICK_IDS
from capi_lab.platforms.rows import Rows, objects

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["addresses", "click_ids", "people", "withheld"]


def withheld(values: list[Any], rows: NDArray[np.bool_]) -> list[Any]:
    """Take the values of ``rows`` out."""
    if not rows.any():
        return values
    return [None if out else value for value, out in zip(values, rows.tolist(), strict=True)]


def click_ids(data: Rows, policy: str) -> dict[str, list[Any]]:
    """Choose the click ids of every row.

    Parameters
    ----------
    data : Rows
    policy : str
        ``google``: gclid, with gbraid where both are there; else gbraid, else wbraid. ``single``: the first of the
        three.
    """
    gclid, gbraid, wbraid = (data.has(name) for name in CLICK_IDS)
    drop_gbraid = gclid if policy == "single" else np.zeros(len(data), dtype=bool)
    return {
        "gclid": data.text("gclid"),
        "gbraid": withheld(data.text("gbraid"), gbraid & drop_gbraid),
        "wbraid": withheld(data.text("wbraid"), wbraid & (gclid | gbraid)),
    }


def addresses(data: Rows, names: Mapping[str, str]) -> list[Any]:
    """Write complete addresses, None for all others.

    Parameters
    ----------
    data : Rows
    names : mapping
        Each of `google.needs.ADDRESS` to the route's field.
    """
    parts = objects({names[name]: data.key(name) for name in ADDRESS}, len(data))
    return [one if len(one) == len(ADDRESS) else None for one in parts]


def people(members: Mapping[str, list[Any]], common: Mapping[str, str], n: int) -> list[Any]:
    """List each row's identifiers, one member an entry as the API wants it; None for a row without any.

    Parameters
    ----------
    members : mapping
        Field name to a list of ``n`` values.
    common : mapping
        What every entry holds besides.
    n : int
    """
    found: list[list[dict[str, Any]]] = [[] for _ in range(n)]
    for name, values in members.items():
        for entries, value in zip(found, values, strict=True):
            if value is not None:
                entries.append({**common, name: value})
    return [entries or None for entries in found]
