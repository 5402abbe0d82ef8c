"""Two channels over the same conversions: their difference, paired, with McNemar's test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from capi_lab.measure.grouped import How, Part, grouped, rate_sums
from capi_lab.measure.rates import degrees_of_freedom, spread_of
from capi_lab.reconcile import Reconciled
from capi_lab.words import Setup

__all__ = ["difference_limits", "paired_difference"]

_PAIRS = ((Setup.CAPI, Setup.PIXEL), (Setup.BOTH, Setup.PIXEL), (Setup.BOTH, Setup.CAPI))
Floats = NDArray[np.float64]


def paired_difference(
    rec: Reconciled,
    by: str | Sequence[str] | None = None,
    level: float = 0.95,
    *,
    cluster: str | None = "user_key",
) -> pd.DataFrame:
    """Compare what two setups see of the same conversions.

    Parameters
    ----------
    rec : Reconciled
    by, level, cluster
        As for `capi_lab.coverage`; one kind of cluster.

    Returns
    -------
    DataFrame
        One row per group and pair: the columns of ``by``, ``setup``, ``against``, ``only_setup`` and ``only_against``
        (conversions that one of them sees and the other does not), ``n`` (conversions in the ledger), ``value``
        (coverage of ``setup`` minus that of ``against``), ``low``, ``high``, ``p_value`` (of no difference),
        ``method``, ``level``, ``denominator``.

    Notes
    -----
    What both see, or neither, says nothing on the difference: it rests on the others, and its n is that of one ledger
    and not of two samples. Independent conversions: Bonett and Price 2012 for the interval, McNemar's exact test
    (binomial, 1/2). Repeated customers: the cluster-robust variance of the difference, with the same shrinkage, and
    its t test (Obuchowski 1998). ``pixel+capi`` can only see more than either, so the rows with it have no test.
    """
    how = How(level, cluster)
    ledger, groups = grouped(rec.conversion_table, by, ("setup", "against", "only_setup", "only_against", "p_value"))
    pixel, capi = ledger.seen_pixel, ledger.seen_capi
    every = ledger.conversion_id.notnull()
    words = "conversions in the ledger"
    more, less = Part((capi & ~pixel).cast("int8"), every, words), Part((pixel & ~capi).cast("int8"), every, words)
    net = Part(capi.cast("int8") - pixel.cast("int8"), every, words)
    sums = rate_sums(ledger, "part", {"more": more, "less": less, "net": net}, groups, how, "conversion_id")
    parts = {name: rows.reset_index(drop=True) for name, rows in sums.groupby("part", sort=False)}
    tables = []
    for order, (setup, against) in enumerate(_PAIRS):
        first = parts["less" if against is Setup.CAPI else "more"]["k"]
        second = parts["less"]["k"] if setup is Setup.CAPI else first * 0
        of = {Setup.CAPI: "net", Setup.BOTH: "more"}[setup] if against is Setup.PIXEL else "less"
        found = difference_limits(parts[of], first.to_numpy(), second.to_numpy(), level)
        table = parts[of][groups].assign(
            setup=str(setup), against=str(against), only_setup=first.astype("int64"),
            only_against=second.astype("int64"), n=parts[of]["n"].astype("int64"), level=level, denominator=words,
            _order=order,
        )  # fmt: skip
        tables.append(table.join(found if setup is Setup.CAPI else found.assign(p_value=np.nan)))
    table = pd.concat(tables).reset_index(names="_group").sort_values(["_group", "_order"], ignore_index=True)
    names = ["setup", "against", "only_setup", "only_against", "n", "value", "low", "high", "p_value", "method"]
    return table[[*groups, *names, "level", "denominator"]]


def difference_limits(sums: pd.DataFrame, more: Floats, less: Floats, level: float) -> pd.DataFrame:
    """Interval and test of (more - less) / n.

    Parameters
    ----------
    sums : DataFrame
        Of the difference, as `capi_lab.measure.rates.interval_of` takes them.
    more, less : arrays
        Conversions that only the one, only the other sees.
    level : float

    Returns
    -------
    DataFrame
        ``value``, ``low``, ``high``, ``p_value``, ``method``.
    """
    n, number, freedom = sums["n"].to_numpy("float64"), sums["clusters"].to_numpy("float64"), degrees_of_freedom(sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = (more - less) / n
        alone = np.isclose(sums["nn"], n) & np.isclose(n, number)
        plain = (more + less) / n - value**2
        robust = spread_of(sums, value)
        # The effective number of conversions: those whose plain variance would be the robust one.
        effect = np.where(alone | ~(plain > 0) | ~(robust > 0), 1.0, robust * n / np.where(plain > 0, plain, 1.0))
        size = np.where(alone, n, np.minimum(n / effect, n * n / np.where(plain > 0, n, sums["nn"])))
        p, q = ((size * x / n + 1) / (size + 2) for x in (more, less))
        normal = stats.norm.ppf(0.5 + level / 2)
        quantile = np.where(alone, normal, stats.t.ppf(0.5 + level / 2, freedom))
        half = quantile * np.sqrt((p + q - (p - q) ** 2) / (size + 2))
        low, high = np.maximum(p - q - half, -1.0), np.minimum(p - q + half, 1.0)
        exact = stats.binomtest
        tests = [exact(int(a), int(a + b), 0.5).pvalue if a + b > 0 else 1.0 for a, b in zip(more, less, strict=True)]
        t = np.where(robust > 0, np.abs(value) / np.sqrt(robust), 0.0)
        p_value = np.where(alone, tests, 2 * stats.t.sf(t, freedom))
    known, single = n > 0, ~alone & (number < 2)
    low, high = np.where(single, -1.0, np.minimum(low, value)), np.where(single, 1.0, np.maximum(high, value))
    p_value = np.where(single, np.nan, p_value)
    numbers = {"value": value, "low": low, "high": high, "p_value": p_value}
    blank = {name: np.where(known, x, np.nan) for name, x in numbers.items()}
    method = np.where(alone, "paired, mcnemar exact", "paired, cluster-robust")
    return pd.DataFrame({**blank, "method": pd.array(method.tolist(), dtype="str")})
