"""Comparing rates without comparing unlike things: denominators must agree, and mixes are standardised."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capi_lab.errors import ContractError, InputError, UnknownNameError
from capi_lab.measure.grouped import RATE

__all__ = ["combined", "compare", "post_stratify"]

_ALL = "all"
_BESIDE = ("rows_k", "rows_n", "unknown", "unusable", "suppressed", "conversions_k", "conversions_n")
Floats = NDArray[np.float64]


def compare(
    a: pd.DataFrame,
    b: pd.DataFrame,
    *,
    over: str | Sequence[str] | None = None,
    mix: str | pd.DataFrame = "pooled",
) -> pd.DataFrame:
    """Compare two result tables, rate by rate: ``a`` minus ``b``.

    Parameters
    ----------
    a, b : DataFrame
        Results of one function (`capi_lab.coverage`, `capi_lab.match_rate` ...) over two shops, months or countries
        that have no conversion in common. Two setups of one ledger are paired: see `capi_lab.paired_difference`.
    over : str or sequence of str, optional
        Columns whose mix is made equal: rates are averaged over them with common weights (direct standardisation).
    mix : str or DataFrame
        The weights: ``pooled`` (sizes of both together), ``a``, ``b``, or a table with the columns of ``over`` and
        ``n``.

    Returns
    -------
    DataFrame
        One row per remaining combination of groups and label: ``k_a``, ``n_a``, ``value_a``, ``k_b``, ``n_b``,
        ``value_b``, ``value`` (a - b), ``low``, ``high``, ``crude`` (a - b as they stand) and ``by_mix`` (the part of
        it that the mix alone makes: crude - value), ``left_out_a``, ``left_out_b`` (share of each in strata the other
        does not have), ``method``, ``level``, ``denominator``.

    Raises
    ------
    InputError
        The denominators differ, the levels differ, nothing is common to both, or numbers were suppressed.
    UnknownNameError
        A column of ``over`` is not in both.
    ContractError
        A table is no result table.

    Notes
    -----
    The interval combines those of the rows (MOVER: Newcombe 1998, Zou and Donner 2008), so it is as robust to
    repeated customers as they are. It takes the rows for independent of each other: customers may repeat within a
    stratum, not across strata or tables.
    """
    labels = _labels(a, b)
    strata = [over] if isinstance(over, str) else list(over or [])
    for name in strata:
        if name not in labels:
            raise UnknownNameError("column to standardise over", name, labels)
    keep = [name for name in labels if name not in strata]
    one, other = (_usable(table, strata) for table in (a, b))
    common = one.merge(other, on=labels, suffixes=("_a", "_b"))
    if common.empty:
        raise InputError(f"nothing to compare: no combination of {', '.join(labels) or 'groups'} is in both tables")
    _refuse_unlike(common)
    if strata:
        common = common[(common["n_a"] > 0) & (common["n_b"] > 0)]
        if common.empty:
            raise InputError("nothing to compare: no stratum has observations in both tables")
    weights = _weights(common, strata, mix)
    rows = []
    groups = common.groupby(keep, dropna=False, sort=False) if keep else [((), common)]
    for key, part in groups:
        w = weights.loc[part.index].to_numpy("float64")
        w = w / w.sum()
        sides = {side: combined(w, *(part[f"{x}_{side}"].to_numpy("float64") for x in ("value", "low", "high")))
                 for side in ("a", "b")}  # fmt: skip
        (va, la, ha), (vb, lb, hb) = sides["a"], sides["b"]
        crude = {side: part[f"k_{side}"].sum() / part[f"n_{side}"].sum() for side in ("a", "b")}
        totals = {side: _total(table, keep, key) for side, table in (("a", one), ("b", other))}
        difference = va - vb
        rows.append(
            dict(zip(keep, key if isinstance(key, tuple) else (key,), strict=True))
            | {f"{x}_{side}": part[f"{x}_{side}"].sum() for side in ("a", "b") for x in ("k", "n")}
            | {
                "value_a": va,
                "value_b": vb,
                "value": difference,
                "low": difference - np.hypot(va - la, hb - vb),
                "high": difference + np.hypot(ha - va, vb - lb),
                "crude": crude["a"] - crude["b"],
                "by_mix": crude["a"] - crude["b"] - difference,
                "left_out_a": 1 - part["n_a"].sum() / totals["a"] if totals["a"] else np.nan,
                "left_out_b": 1 - part["n_b"].sum() / totals["b"] if totals["b"] else np.nan,
                "method": "mover" + (f", standardised over {', '.join(strata)}" if strata else ""),
                "level": part["level_a"].iloc[0],
                "denominator": _named(part["denominator_a"]),
            }
        )
    names = [f"{x}_{side}" for side in ("a", "b") for x in ("k", "n", "value")]
    rest = ["value", "low", "high", "crude", "by_mix", "left_out_a", "left_out_b", "method", "level", "denominator"]
    return pd.DataFrame(rows)[[*keep, *names, *rest]]


def post_stratify(table: pd.DataFrame, mix: pd.DataFrame, over: str | Sequence[str] | None = None) -> pd.DataFrame:
    """Weigh strata as they are in the whole shop, where the log covers only part of it.

    Parameters
    ----------
    table : DataFrame
        A result with a row per stratum, e.g. ``cl.coverage(rec, by="country")``.
    mix : DataFrame
        The columns of ``over`` and ``n``: how many conversions each stratum really has, or its share. Taken as known.
    over : str or sequence of str, optional
        Columns that name the strata. Default: those of ``mix`` other than ``n``.

    Returns
    -------
    DataFrame
        One row per remaining combination: the result's columns; ``k`` and ``n`` are what was observed, ``value`` is
        the weighted mean of the strata's rates, ``left_out`` the weight of strata without an observation, which are
        taken to be like the rest.

    Raises
    ------
    InputError
        Weights are missing, negative, or all nought; no stratum is in both.
    UnknownNameError
        A column is not in both tables.

    Notes
    -----
    p = ΣW_h p_h; its interval combines the strata's own (Zou and Donner 2008), which are taken for independent.
    """
    labels = _labels(table, table)
    strata = [over] if isinstance(over, str) else list(over or [name for name in mix.columns if name != "n"])
    for name in strata:
        if name not in labels or name not in mix.columns:
            raise UnknownNameError("column of strata in both tables", name, labels)
    keep = [name for name in labels if name not in strata]
    rows = _usable(table, strata)
    weights = _checked_mix(mix, strata)
    joined = rows.merge(weights, on=strata, how="left")
    joined = joined[joined["_weight"].notna() & (joined["n"] > 0)]
    if joined.empty:
        raise InputError("nothing to weigh: no stratum of the mix has observations")
    whole = float(weights["_weight"].sum())
    result = []
    for key, part in joined.groupby(keep, dropna=False, sort=False) if keep else [((), joined)]:
        w = part["_weight"].to_numpy("float64")
        value, low, high = combined(w / w.sum(), *(part[x].to_numpy("float64") for x in ("value", "low", "high")))
        numbers = {"k": part["k"].sum(), "n": part["n"].sum(), "value": value, "low": low, "high": high}
        words = {
            "method": f"mover, post-stratified over {', '.join(strata)}",
            "level": part["level"].iloc[0],
            "denominator": f"{_named(part['denominator'])}, mix given",
            "left_out": 1 - w.sum() / whole,
        }
        result.append(dict(zip(keep, key if isinstance(key, tuple) else (key,), strict=True)) | numbers | words)
    return pd.DataFrame(result)[[*keep, *RATE, "left_out"]]


def combined(weights: Floats, value: Floats, low: Floats, high: Floats) -> tuple[float, float, float]:
    """Return a weighted sum of independent rates and its interval, from theirs (MOVER)."""
    total = float(weights @ value)
    below, above = (float(np.sqrt(((weights * gap) ** 2).sum())) for gap in (value - low, high - value))
    return total, max(total - below, 0.0), min(total + above, 1.0)


def _labels(a: pd.DataFrame, b: pd.DataFrame) -> list[str]:
    """Return the columns that say what a row is about."""
    for name, table in (("a", a), ("b", b)):
        absent = [(column, "column is missing", None) for column in RATE if column not in table.columns]
        if absent:
            raise ContractError(f"result table {name}", absent)
    labels = [name for name in a.columns if name not in (*RATE, *_BESIDE)]
    if set(labels) != {name for name in b.columns if name not in (*RATE, *_BESIDE)}:
        raise InputError("the two tables are grouped by different columns: measure both by the same")
    return labels


def _usable(table: pd.DataFrame, strata: Sequence[str]) -> pd.DataFrame:
    """Drop rows that sum up others, and refuse blanked numbers."""
    if "suppressed" in table and table["suppressed"].any():
        raise InputError("numbers were suppressed: compare the table as it was before suppress_small")
    if "stratum" in strata:
        table = table[table["stratum"] != _ALL]
    return table.drop(columns=[name for name in _BESIDE if name in table.columns])


def _refuse_unlike(common: pd.DataFrame) -> None:
    unlike = common[common["denominator_a"] != common["denominator_b"]]
    if len(unlike):
        first = unlike.iloc[0]
        raise InputError(
            f"rates of unlike denominators are not comparable: a counts per '{first['denominator_a']}', "
            f"b per '{first['denominator_b']}'"
        )
    if (common["level_a"] != common["level_b"]).any() or common["level_a"].nunique() > 1:
        raise InputError("the intervals are of different levels: measure both at the same")


def _weights(common: pd.DataFrame, strata: list[str], mix: str | pd.DataFrame) -> pd.Series:
    if not strata:
        return pd.Series(1.0, index=common.index)
    if isinstance(mix, pd.DataFrame):
        known = _checked_mix(mix, strata)
        found = common[strata].merge(known, on=strata, how="left")["_weight"].set_axis(common.index)
        if found.isna().any():
            raise InputError(f"the mix names no weight for {int(found.isna().sum()):,} strata that both tables have")
        return found
    sizes = {"pooled": common["n_a"] + common["n_b"], "a": common["n_a"], "b": common["n_b"]}
    if mix not in sizes:
        raise UnknownNameError("mix", mix, [*sizes, "a table"])
    return sizes[mix].astype("float64")


def _checked_mix(mix: pd.DataFrame, strata: Sequence[str]) -> pd.DataFrame:
    absent = [(name, "column is missing", None) for name in (*strata, "n") if name not in mix.columns]
    if absent:
        raise ContractError("mix", absent)
    if mix.duplicated(list(strata)).any():
        raise InputError("the mix names a stratum twice")
    weights = mix[[*strata]].assign(_weight=mix["n"].astype("float64"))
    bad = int((~(weights["_weight"] >= 0)).sum())
    if bad or not weights["_weight"].sum() > 0:
        raise InputError(f"weights of the mix must be nought or more, and not all nought ({bad:,} rows are not)")
    return weights


def _total(table: pd.DataFrame, keep: list[str], key: object) -> float:
    """Return the size of one table's part, whether or not the other has its strata."""
    if not keep:
        return float(table["n"].sum())
    wanted = key if isinstance(key, tuple) else (key,)
    same = np.ones(len(table), dtype=bool)
    for name, value in zip(keep, wanted, strict=True):
        same &= (table[name].isna() if pd.isna(value) else table[name] == value).to_numpy()
    return float(table.loc[same, "n"].sum())


def _named(denominators: pd.Series) -> str:
    """Name a common denominator, or say that it is one for each stratum."""
    names = list(dict.fromkeys(denominators))
    return str(names[0]) if len(names) == 1 else "each stratum's own"
