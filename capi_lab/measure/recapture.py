"""How many conversions nobody saw: two lists without a ledger, and how far that can be trusted."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capi_lab.engine import TableLike, as_table, to_frame
from capi_lab.errors import CaveatWarning, InputError
from capi_lab.measure.cells import Unseen, chao, chapman, lincoln_petersen, log_linear, odds_ratio
from capi_lab.measure.grouped import RATE, How, grouped
from capi_lab.measure.strata import flag
from capi_lab.reconcile import Reconciled
from capi_lab.tables import Column, Table
from capi_lab.words import Caveat, Consent

__all__ = ["recapture"]

_LISTS = Table(
    "lists", (Column("conversion_id", required=True, unique=True, meaning="the order's own id", is_id=True),)
)
_RESERVED = ("estimator", "psi", "estimate", "estimate_low", "estimate_high", "caveats")
_FEW = 7  # in both: below, Chapman's estimator is biased (Robson and Regier 1964)
_PLAIN: Mapping[Caveat, str] = {
    Caveat.CONSENT_NOT_KNOWN: (
        "if both channels wait for consent, those who refuse are on neither list: the estimate is then of the "
        "consented conversions, not of all"
    ),
    Caveat.CONSENT_GATES_BOTH: (
        "conversions without consent are on neither list: the estimate is of the consented conversions, not of all"
    ),
    Caveat.BROWSER_TRIGGERED: (
        "server events triggered by the browser are lost with it: the lists are not independent, the estimate is too "
        "low and coverage too high; read the rows of psi above 1"
    ),
    Caveat.TRIGGER_NOT_KNOWN: (
        "whether the server events were triggered by the browser is not known; if they were, the estimate is too low "
        "(say trigger='browser' or trigger='backend')"
    ),
    Caveat.LISTS_DEPEND: "the ledger shows that the two lists are not independent (odds ratio away from 1)",
    Caveat.FEW_IN_BOTH: f"fewer than {_FEW} conversions are on both lists: the estimate is biased",
}


def recapture(
    rec: Reconciled | TableLike,
    by: str | Sequence[str] | None = None,
    psi: float | Sequence[float] = 1.0,
    level: float = 0.95,
    *,
    strata: str | Sequence[str] | None = None,
    trigger: str | None = None,
    cluster: str | None = "user_key",
) -> pd.DataFrame:
    """Estimate how many conversions there were from what two channels saw, where there is no ledger.

    Parameters
    ----------
    rec : Reconciled, or DataFrame, Arrow table, Parquet path or glob, or Ibis table
        Conversions with ``seen_pixel``, ``seen_capi``. Those neither saw are not used for the estimate.
    by : str or sequence of str, optional
        Columns to group by.
    psi : float or sequence of float
        Odds ratio of the lists: how many times greater the odds that the server has a conversion are where the pixel
        has it. 1: independent. Nothing in two lists tells it; give a band, e.g. ``(0.5, 1, 2, 5, 10)``, and read how
        far the answer hangs on it.
    level : float
    strata : str or sequence of str, optional
        Columns within which the lists are taken for independent (browser, device, country): estimates are made there
        and added up.
    trigger : str, optional
        ``"backend"``: server events are sent by the shop's own system, whatever the browser does. ``"browser"``: a
        tag in the page sets them off, so that both are lost together. Not said: a warning.
    cluster : str or None
        Column whose equal values are one person.

    Returns
    -------
    DataFrame
        One row per group, ``estimator`` and ``psi``: the columns of ``by``, ``k`` (conversions seen), ``n`` (the
        estimate, rounded), ``value`` (k / estimate: coverage of both together), ``low``, ``high``, ``method``,
        ``level``, ``denominator``, ``estimate``, ``estimate_low``, ``estimate_high``, ``caveats`` (words of
        `capi_lab.words.Caveat`, comma-separated). Estimators: ``lincoln_petersen`` (blind to strata; a control),
        ``chapman`` (by stratum), ``chao`` (a lower bound), ``log_linear`` (main effects of each column of ``strata``
        on each list), ``odds_ratio`` (by stratum, at each ``psi``).

    Raises
    ------
    InputError
        ``psi`` is not above 0, or no conversion is on both lists of a group.
    UnknownNameError
        No such column.

    Warns
    -----
    CaveatWarning
        Says in plain words under which condition the estimate is one of all conversions.

    Notes
    -----
    With n11 on both lists, n10 and n01 on one: N(psi) = n + psi n10 n01 / n11. Chapman 1951; Chao 1987 (lower bound
    n + f1²/(4 f2), and the log-normal interval of what was not seen); Sekar and Deming 1949 (strata); Fienberg 1972
    (log-linear, the cell nobody saw being structurally missing). Variances are widened by the design effect that
    repeated customers show among the seen. Linkage must be right: a pair that was not recognised counts as two.
    """
    bands = [float(one) for one in ([psi] if isinstance(psi, int | float) else psi)]
    if not bands or min(bands) <= 0:
        raise InputError("psi is an odds ratio: above 0, and 1 for independent lists")
    if trigger not in (None, "browser", "backend"):
        raise InputError("trigger is 'browser' or 'backend'")
    ledger = rec.conversion_table if isinstance(rec, Reconciled) else as_table(rec, _LISTS)
    ledger = ledger.mutate(**{name: flag(ledger, name) for name in ("seen_pixel", "seen_capi")})
    how = How(level, cluster)
    ledger, groups = grouped(ledger, by, _RESERVED)
    ledger, inner = grouped(ledger, strata, _RESERVED)
    cells = _cells(ledger, groups, inner, how)
    rows = []
    parts = list(cells.groupby(groups, dropna=False, sort=True)) if groups else [((), cells)]
    for key, part in parts:
        names = dict(zip(groups, key if isinstance(key, tuple) else (key,), strict=True))
        caveats = _caveats(part, trigger)
        for estimator, at, found in _estimates(part, inner, bands):
            rows.append(names | _row(estimator, at, found, part, level) | {"caveats": ", ".join(caveats)})
    table = pd.DataFrame(rows)
    _warn(table)
    kinds = {"n": "int64", "estimator": "str", "method": "str", "denominator": "str", "caveats": "str"}
    beside = ["estimate", "estimate_low", "estimate_high", "caveats"]
    return table[[*groups, "estimator", "psi", *RATE, *beside]].astype(kinds)


def _cells(ledger: ibis.Table, groups: list[str], inner: list[str], how: How) -> pd.DataFrame:
    """Count customers by how many conversions of theirs lie in each cell; alike customers in one line."""
    keys = how.keys(ledger)
    outer = {f"by_{i}": ledger[name] for i, name in enumerate(groups)}
    within = {f"in_{i}": ledger[name] for i, name in enumerate(inner)}
    pixel, capi = ledger.seen_pixel.fill_null(False), ledger.seen_capi.fill_null(False)
    denied = ibis.literal(value=False)
    if "consent_ad_user_data" in ledger.columns:
        denied = (ledger.consent_ad_user_data == str(Consent.DENIED)).fill_null(False)
    who = ledger.conversion_id if not keys else ledger[keys[0]].cast("string").fill_null(ledger.conversion_id)
    rows = ledger.select(
        **outer, **within, who=who,
        n11=(pixel & capi).cast("int64"), n10=(pixel & ~capi).cast("int64"), n01=(capi & ~pixel).cast("int64"),
        n00=(~pixel & ~capi).cast("int64"), denied=denied.cast("int64"),
        denied_seen=(denied & (pixel | capi)).cast("int64"),
    )  # fmt: skip
    counts = ("n11", "n10", "n01", "n00", "denied", "denied_seen")
    per = rows.group_by([*outer, *within, "who"]).aggregate(**{name: rows[name].sum() for name in counts})
    cells = to_frame(per.group_by([*outer, *within, *counts]).aggregate(times=per.count()))
    cells["consent_known"] = "consent_ad_user_data" in ledger.columns
    cells = cells.sort_values([*outer, *within, *counts], ignore_index=True)
    return cells.rename(columns=dict(zip([*outer, *within], [*groups, *inner], strict=True)))


def _estimates(part: pd.DataFrame, strata: list[str], bands: list[float]) -> list[tuple[str, float, Unseen]]:
    """Apply every estimator to one group."""
    seen = part[(part["n11"] + part["n10"] + part["n01"]) > 0]
    apart = [one for _, one in seen.groupby(strata, dropna=False, sort=True)] if strata else [seen]
    pooled = _counts(seen)
    if not pooled[:, 0].any():
        raise InputError("no conversion is on both lists: nothing ties them, and nothing can be estimated")
    counts, none = [_counts(one) for one in apart], Unseen(0.0, 0.0)
    found = [
        ("lincoln_petersen", 1.0, lincoln_petersen(pooled)),
        ("chapman", 1.0, sum(map(chapman, counts), none)),
        ("chao", 1.0, sum(map(chao, counts), none)),
        ("log_linear", 1.0, log_linear(counts, _design(apart, strata))),
    ]
    found += [("odds_ratio", psi, sum((odds_ratio(one, psi) for one in counts), none)) for psi in bands]
    return found


def _counts(cells: pd.DataFrame) -> NDArray[np.float64]:
    counts: NDArray[np.float64] = cells[["n11", "n10", "n01", "times"]].to_numpy("float64")
    return counts


def _design(apart: list[pd.DataFrame], strata: list[str]) -> NDArray[np.float64]:
    """Code each stratum by indicators of the values of each column, without the first of each."""
    if not strata:
        return np.ones((1, 1))
    values = pd.DataFrame([one[strata].iloc[0].to_dict() for one in apart])
    coded = [pd.Series(pd.factorize(values[name], use_na_sentinel=False)[0]) for name in strata]
    columns = [(codes == code).to_numpy("float64") for codes in coded for code in range(1, int(codes.max()) + 1)]
    return np.column_stack([np.ones(len(values)), *columns])


def _row(estimator: str, psi: float, found: Unseen, part: pd.DataFrame, level: float) -> dict[str, Any]:
    times = part["times"]
    seen = float(((part["n11"] + part["n10"] + part["n01"]) * times).sum())
    low, high = found.limits(level)
    estimate = seen + found.number
    return {
        "estimator": estimator, "psi": psi, "k": int(seen), "n": round(estimate),
        "value": seen / estimate, "low": seen / (seen + high), "high": seen / (seen + low),
        "method": "log-normal interval of the unseen", "level": level, "denominator": "conversions, estimated",
        "estimate": estimate, "estimate_low": seen + low, "estimate_high": seen + high,
    }  # fmt: skip


def _caveats(part: pd.DataFrame, trigger: str | None) -> list[Caveat]:
    """Say what the data, and the caller, leave open."""
    total = {name: float((part[name] * part["times"]).sum()) for name in ("n11", "n10", "n01", "n00", "denied")}
    denied_seen = float((part["denied_seen"] * part["times"]).sum())
    found = []
    if not part["consent_known"].iloc[0]:
        found.append(Caveat.CONSENT_NOT_KNOWN)
    elif total["denied"] > 0 and denied_seen < 0.05 * total["denied"]:
        found.append(Caveat.CONSENT_GATES_BOTH)
    if trigger == "browser":
        found.append(Caveat.BROWSER_TRIGGERED)
    elif trigger is None:
        found.append(Caveat.TRIGGER_NOT_KNOWN)
    n00 = total["n00"] - (total["denied"] - denied_seen)
    four = np.array([total["n11"], max(n00, 0.0), total["n10"], total["n01"]]) + 0.5
    odds, error = float(np.log(four[0] * four[1] / four[2] / four[3])), float(np.sqrt((1 / four).sum()))
    if total["n00"] > 0 and odds - 1.96 * error > np.log(1.5):
        found.append(Caveat.LISTS_DEPEND)
    if total["n11"] < _FEW:
        found.append(Caveat.FEW_IN_BOTH)
    return found


def _warn(table: pd.DataFrame) -> None:
    """Say each caveat once, in plain words."""
    words = {Caveat(word) for text in table["caveats"] for word in text.split(", ") if word}
    for caveat in Caveat:
        if caveat in words:
            warnings.warn(_PLAIN[caveat], CaveatWarning, stacklevel=3)
