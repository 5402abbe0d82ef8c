"""How far the suite goes: as far as thirty minutes on two cores allow, or all the way.

`make test` runs every check, on as many cases as tell a fault from none; `make thorough` runs every case. A planned
query costs a second or more of processor time whatever the number of its rows, so it is their number that is cut, never
the rows of a case.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

__all__ = ["THOROUGH", "few"]

THOROUGH = os.environ.get("CAPI_LAB_THOROUGH") == "1"

T = TypeVar("T")


def few(cases: Iterable[T], n: int) -> list[T]:
    """Return the first ``n`` cases, or all of them in a thorough run: put first what differs most."""
    return list(cases) if THOROUGH else list(cases)[:n]
