"""Fault switches: what goes wrong on purpose, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from capi_lab.errors import InputError
from capi_lab.words import ServerFault

__all__ = ["Fault", "Switches", "read_faults"]

_ROWS = frozenset({ServerFault.ONE_BAD_ROW, ServerFault.MANY_BAD_ROWS, ServerFault.ALREADY_EXISTS})


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, and how often it strikes.

    Parameters
    ----------
    kind : ServerFault or str
    share : float
        Of the requests, in [0, 1].
    most : int or None
        Not more often than this; None for no end.
    """

    kind: ServerFault
    share: float = 0.1
    most: int | None = None

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "kind", ServerFault(self.kind))
        except ValueError:
            raise InputError(f"unknown fault {self.kind!r}; known: {', '.join(ServerFault)}") from None
        if not 0 <= self.share <= 1:
            raise InputError(f"the share of fault '{self.kind}' must lie in [0, 1]")
        if self.most is not None and self.most < 0:
            raise InputError(f"fault '{self.kind}' cannot strike less than 0 times")


def read_faults(faults: Iterable[Fault | str]) -> tuple[Fault, ...]:
    """Read faults given as such, or as ``kind``, ``kind:share`` or ``kind:share:most``.

    Raises
    ------
    InputError
        One is unknown or malformed.
    """
    found = []
    for one in faults:
        if isinstance(one, Fault):
            found.append(one)
            continue
        kind, *rest = one.split(":")
        try:
            share = float(rest[0]) if rest else Fault.__dataclass_fields__["share"].default
            most = int(rest[1]) if len(rest) > 1 else None
        except ValueError:
            raise InputError(f"fault '{kind}' is written kind:share:most, such as {kind}:0.1 or {kind}:1:2") from None
        found.append(Fault(ServerFault(kind) if kind in set(ServerFault) else kind, share, most))  # type: ignore[arg-type]
    return tuple(found)


class Switches:
    """Decides which request meets which fault.

    The draw for the n-th request of a route hangs on seed, route and n alone, not on what other routes are sent.

    Parameters
    ----------
    faults : sequence of Fault
        The first whose draw hits strikes.
    seed : int
    """

    def __init__(self, faults: Sequence[Fault], seed: int) -> None:
        self._faults = tuple(faults)
        self._seed = seed
        self._calls: dict[str, int] = {}
        self._struck = [0] * len(self._faults)
        self._ordered: list[tuple[ServerFault, str | None]] = []
        self.poisoned: set[bytes] = set()
        """Keys of rows that were bad once: they stay bad, however often they come."""
        self.there: set[bytes] = set()
        """Keys of rows the platform says it had before; they stay so."""
        self.good: set[bytes] = set()
        """Keys of rows that were taken: they cannot turn bad afterwards. Kept only where rows can."""
        self.about_rows = any(one.kind in _ROWS for one in faults)

    def order(self, kind: ServerFault, route: str | None) -> None:
        """Let the next request, of this route or of any, meet a fault."""
        self._ordered.append((Fault(kind).kind, route))
        self.about_rows |= kind in _ROWS

    def draw(self, route: str) -> tuple[ServerFault | None, random.Random]:
        """Return the fault of this request, and the generator for whatever else hangs on chance in it."""
        n = self._calls[route] = self._calls.get(route, 0) + 1
        rng = random.Random(f"{self._seed}/{route}/{n}")  # noqa: S311 - a simulation
        for at, (kind, wanted) in enumerate(self._ordered):
            if wanted in (None, route):
                del self._ordered[at]
                return kind, rng
        for at, fault in enumerate(self._faults):
            if rng.random() < fault.share and (fault.most is None or self._struck[at] < fault.most):
                self._struck[at] += 1
                return fault.kind, rng
        return None, rng

    def mark(self, kind: ServerFault | None, keys: Sequence[bytes], rng: random.Random) -> None:
        """Choose the rows of a request that a fault of rows is about.

        Parameters
        ----------
        kind : ServerFault or None
        keys : sequence of bytes
            What the rows are known by.
        rng : Random
        """
        if kind not in _ROWS:
            return
        fresh = [key for key in keys if key not in self.good]
        one = kind is ServerFault.ONE_BAD_ROW
        chosen = [rng.choice(fresh)] if one and fresh else [key for key in fresh if not one and rng.random() < 0.3]
        (self.there if kind is ServerFault.ALREADY_EXISTS else self.poisoned).update(chosen)
