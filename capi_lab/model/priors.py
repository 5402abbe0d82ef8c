"""What practitioners say of match rates, as weak priors: they guide where data are thin, and are shown beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from capi_lab.errors import InputError
from capi_lab.words import KeySet, Stratum

__all__ = ["FLAT", "PRACTITIONERS", "Prior"]

_HALF = 0.6744897501960817  # of a normal distribution lies within this many standard deviations


@dataclass(frozen=True, slots=True)
class Prior:
    """A range somebody states for a rate, taken weakly: half of the prior lies in it, half outside.

    Parameters
    ----------
    low, high : float
        The range, in [0, 1].
    source : str
        Who says so.
    """

    low: float
    high: float
    source: str

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 1:
            raise InputError("a prior is a range within [0, 1], low below high")

    @property
    def is_flat(self) -> bool:
        """The whole of [0, 1]: nothing is said."""
        return self.low == 0 and self.high == 1

    @property
    def mean(self) -> float:
        """The middle of the range."""
        return (self.low + self.high) / 2

    @property
    def deviation(self) -> float:
        """The standard deviation that leaves half outside; infinite for a flat one."""
        return np.inf if self.is_flat else (self.high - self.low) / 2 / _HALF

    def beta(self) -> tuple[float, float]:
        """Return the Beta distribution of this mean and deviation; uniform for a flat one."""
        if self.is_flat:
            return 1.0, 1.0
        size = max(self.mean * (1 - self.mean) / self.deviation**2 - 1, 1.0)
        return self.mean * size, (1 - self.mean) * size


FLAT = Prior(0.0, 1.0, "flat: nothing is assumed")

_CLICK = Prior(0.70, 0.90, "practitioners, with a click id; no published method")
_PERSON = Prior(0.20, 0.40, "practitioners, hashed PII only; no published method")
_BOTH = Prior(0.25, 0.50, "practitioners, e-mail and phone; list-match rates of vendors as a check")
_ONE = Prior(0.15, 0.40, "practitioners, one key; list-match rates of vendors as a check")
_IP = Prior(0.0, 0.12, "no published figure: assumed")
_NOTHING = Prior(0.0, 0.05, "no published figure: assumed")

PRACTITIONERS: Mapping[str, Prior] = MappingProxyType(
    {
        str(Stratum.CLICK_ID): _CLICK,
        str(Stratum.PII_ONLY): _PERSON,
        str(Stratum.IP_ONLY): _IP,
        str(Stratum.NONE): _NOTHING,
        str(KeySet.EMAIL_PHONE): _BOTH,
        str(KeySet.EMAIL_ONLY): _ONE,
        str(KeySet.PHONE_ONLY): _ONE,
        str(KeySet.NAME_ONLY): _ONE,
    }
)
"""Priors by stratum; a stratum that is not here gets a flat one."""


def moments(priors: Mapping[str, Prior], strata: list[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return means and standard deviations, in the order of ``strata``."""
    rows = [priors.get(name, FLAT) for name in strata]
    return np.array([one.mean for one in rows]), np.array([one.deviation for one in rows])
