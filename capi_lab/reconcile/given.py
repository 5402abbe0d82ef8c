"""What functions on a reconciled log accept: the result of `reconcile`, or the two tables it is made from."""

from __future__ import annotations

from typing import TypeAlias

from capi_lab.engine import TableLike
from capi_lab.errors import InputError
from capi_lab.reconcile.reconciled import Reconciled, reconcile

__all__ = ["Given", "as_reconciled"]

Given: TypeAlias = "Reconciled | tuple[TableLike, TableLike]"


def as_reconciled(given: Given, platform: str) -> Reconciled:
    """Return a `Reconciled` as it is; reconcile a pair ``(conversions, events)`` for ``platform``."""
    if isinstance(given, Reconciled):
        return given
    if isinstance(given, tuple) and len(given) == 2:
        return reconcile(given[0], given[1], platform)
    raise InputError("give the result of reconcile(...), or the tables as (conversions, events)")
