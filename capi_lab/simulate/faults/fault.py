"""What every fault is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from capi_lab.errors import InputError
from capi_lab.simulate.log import Flags, Log, Rows

__all__ = ["Fault", "random_ids"]


@dataclass(frozen=True, slots=True)
class Fault(ABC):
    """A fault of a given rate.

    Parameters
    ----------
    rate : float
        In [0, 1].

    Attributes
    ----------
    cause : str
        What it is in the words of whoever finds it: a `PairCause`, `GapCause`, `HashVerdict`, `ClockFault`,
        `Ineligible` or `DropReason`.
    pairs_only : bool
        It hits only conversions both channels report.

    Raises
    ------
    InputError
        The rate is none.
    """

    rate: float
    cause: ClassVar[str]
    pairs_only: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise InputError(f"the rate of {type(self).__name__} must lie in [0, 1]")

    @abstractmethod
    def fits(self, log: Log) -> Flags:
        """Say of every conversion whether the fault can hit it; one that is not a pair only if not ``pairs_only``."""

    @abstractmethod
    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Change the log where ``chosen``; return the rows touched, added or taken out."""

    def choose(self, log: Log, rng: np.random.Generator) -> Flags:
        """Say of every conversion whether it is hit, if the fault can hit it."""
        return np.asarray(rng.random(log.n) < self.rate, dtype=bool)

    def partner(self, log: Log) -> Rows | None:
        """Say of every pair which other one is drawn in, without being changed, if the pair is hit; None for none."""
        return None


def random_ids(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return ``n`` random ids, as text."""
    numbers = rng.integers(0, 2**63, size=(n, 2), dtype=np.int64)
    return np.array([f"{a:016x}{b:016x}" for a, b in numbers.tolist()], dtype=object)
