"""How two unlike ids may come of one: zeros and types that changed, a prefix or another case.

Ibis text in, Ibis text and booleans out. Patterns use nothing an engine lacks: no back references, no look-ahead.
An id is compared in two forms, `unpadded` and `core`, which are worked out once.
"""

from __future__ import annotations

from typing import Any

import ibis

__all__ = ["core", "differ_by_padding", "differ_by_prefix", "unpadded"]


def unpadded(ids: Any) -> Any:
    """Strip quotes and blanks around, a decimal part of zeros, and leading zeros."""
    return ids.re_replace("^[ '\"]+|[ '\"]+$", "").re_replace("[.]0+$", "").re_replace("^0+", "")


def core(ids: Any) -> Any:
    """Fold case and strip a prefix: leading signs, words that end in a sign, letters before nothing but digits."""
    text = ids.lower().re_replace("^[^a-z0-9]+", "")
    return ibis.ifelse(
        text.re_search("^[a-z]+[0-9]+([.]0+)?$"),
        text.re_replace("^[a-z]+", ""),
        text.re_replace("^([a-z][a-z0-9]*[^a-z0-9]+)+", ""),
    )


def differ_by_padding(a: tuple[Any, Any, Any], b: tuple[Any, Any, Any]) -> Any:
    """Tell ids that are one number, written as another type or in another width.

    Parameters
    ----------
    a, b : tuple of Ibis strings
        Ids that are unlike, each as (as it is, `unpadded`, `core`).

    Returns
    -------
    Ibis boolean
        True for ``000001`` and ``1``, ``123`` and ``123.0``, ``"123"`` (quoted) and ``123``, ``o-0042`` and ``o-42``.
    """
    behind_one_prefix = (unpadded(a[2]) == unpadded(b[2])) & (a[2] != b[2]) & (_prefix(a) == _prefix(b))
    return (a[1] == b[1]) | behind_one_prefix


def differ_by_prefix(a: tuple[Any, Any, Any], b: tuple[Any, Any, Any]) -> Any:
    """Tell ids that are one, with another prefix or in another case.

    Parameters
    ----------
    a, b : tuple of Ibis strings
        As for `differ_by_padding`.

    Returns
    -------
    Ibis boolean
        True for ``order_123`` and ``123``, ``p-123`` and ``o-123``, ``#123`` and ``123``, ``ABC`` and ``abc``; also
        where `differ_by_padding` holds: ask that first.
    """
    return (unpadded(a[2]) == unpadded(b[2])) & (a[2] != "")


def _prefix(forms: tuple[Any, Any, Any]) -> Any:
    """Return what stands before the core, case folded."""
    text = forms[0].lower()
    return text.left(text.length() - forms[2].length())
