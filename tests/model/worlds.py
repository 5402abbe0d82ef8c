"""Batches whose truth is known: the design of measurement C.2, sixty days of about 1,000 events in four strata."""

from __future__ import annotations

import numpy as np
import pandas as pd

STRATA = ("click_id", "em_ph", "em", "ip")
RATES = np.array([0.86, 0.45, 0.36, 0.06])
MIX = np.array([0.3, 0.3, 0.3, 0.1])
START = pd.Timestamp("2026-07-01", tz="UTC")


def batches(
    rng: np.random.Generator, concentration: float, rho: float = 0.0, days: int = 60
) -> tuple[np.ndarray, np.ndarray]:
    """Draw what was sent (days by strata) and how many were matched; a day's rates scatter with correlation rho."""
    mixes = rng.dirichlet(MIX * concentration, days)
    sent = np.array([rng.multinomial(n, mix) for n, mix in zip(rng.poisson(1000, days), mixes, strict=True)])
    rates = RATES if rho == 0 else rng.beta(RATES * (1 / rho - 1), (1 - RATES) * (1 / rho - 1), sent.shape)
    return sent.astype("float64"), rng.binomial(sent, rates).sum(axis=1).astype("float64")


def told(sent: np.ndarray, matched: np.ndarray, width: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write batches as reports and as counts sent; in ranges of so many percent where ``width`` is given."""
    days = START + pd.to_timedelta(np.arange(len(sent)), unit="D").as_unit("us")
    reports = pd.DataFrame({"platform": "google", "day": days, "metric": "matched", "stratum": "all", "count": matched})
    if width:
        total = sent.sum(axis=1)
        step = np.floor(100 * matched / total / width)
        low, high = step * width / 100 * total, np.minimum((step + 1) * width / 100, 1) * total
        reports = reports.assign(low=low, high=high, count=(low + high) / 2)
    wide = pd.DataFrame(sent, columns=list(STRATA)).assign(day=days, platform="google")
    return reports, wide.melt(id_vars=["platform", "day"], var_name="stratum", value_name="n")
