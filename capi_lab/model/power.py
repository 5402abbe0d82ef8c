"""How large an experiment has to be."""

from __future__ import annotations

import math

from scipy import stats

from capi_lab.errors import InputError

__all__ = ["sample_size"]


def sample_size(
    a: float,
    b: float,
    level: float = 0.95,
    power: float = 0.8,
    *,
    per_customer: float = 1.0,
    icc: float = 0.0,
) -> int:
    """Say how many observations each arm needs to tell one rate from another.

    Parameters
    ----------
    a, b : float
        The two rates, in (0, 1): as it is, and as it would have to be to matter.
    level : float
        1 minus the probability of finding a difference where there is none, two-sided.
    power : float
        Probability of finding this difference where there is one.
    per_customer : float
        Mean number of observations of one customer; the arms are of whole customers.
    icc : float
        How alike they are (intraclass correlation, 0 to 1). See `capi_lab.coverage` on repeated customers.

    Returns
    -------
    int
        Observations per arm, rounded up.

    Raises
    ------
    InputError
        A number is out of range, or the rates are equal.

    Notes
    -----
    n = 2 ((z_level + z_power) / h)² × design effect, with Cohen's h = 2 arcsin √b - 2 arcsin √a and design effect
    1 + (per_customer - 1) icc. What two setups see of the same conversions is paired and needs no arms: see
    `capi_lab.paired_difference`.
    """
    if not (0 < a < 1 and 0 < b < 1) or a == b:
        raise InputError("give two different rates between 0 and 1")
    if not (0 < level < 1 and 0 < power < 1):
        raise InputError("level and power must lie between 0 and 1")
    if per_customer < 1 or not 0 <= icc <= 1:
        raise InputError("per_customer is at least 1, and icc lies between 0 and 1")
    distance = 2 * math.asin(math.sqrt(b)) - 2 * math.asin(math.sqrt(a))
    quantiles = float(stats.norm.ppf(0.5 + level / 2) + stats.norm.ppf(power))
    return math.ceil(2 * (quantiles / distance) ** 2 * (1 + (per_customer - 1) * icc))
