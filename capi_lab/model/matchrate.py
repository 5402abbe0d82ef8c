"""Match rates by stratum, out of row outcomes or batch totals alone, beside what was believed before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capi_lab.engine import TableLike
from capi_lab.errors import ContractError, InputError
from capi_lab.measure.rates import check_level
from capi_lab.measure.strata import stratum_sums
from capi_lab.model.fitted import RATES, MatchRates
from capi_lab.model.outcomes import day_sums, effective, pooled, scatter, shrunk_days
from capi_lab.model.priors import FLAT, PRACTITIONERS, Prior, moments
from capi_lab.model.totals import TotalsFit, condition_of, duncan_davis, fit_totals, inflation_of
from capi_lab.platforms import platform as platform_named
from capi_lab.platforms.rules import Dated
from capi_lab.tables import REPORTS, checked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["match_rates"]

_WIDE = 0.4
_ORDER = (
    "click_id", "pii_only", "email_phone", "email_only", "phone_only", "name_only", "ip_only", "none",
)  # fmt: skip


def match_rates(
    reports_or_rows: TableLike,
    sent: TableLike | None = None,
    *,
    platform: str | None = None,
    by_keys: bool = False,
    level: float = 0.95,
    priors: Mapping[str, Prior] | None = PRACTITIONERS,
    rng: np.random.Generator | None = None,
) -> MatchRates:
    """Estimate the match rate of each stratum, with what the data cannot say.

    Parameters
    ----------
    reports_or_rows : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        Either *rows* (contract ``events`` or ``conversions``) with ``matched``, true, false or missing, and where known
        ``attributed``; or *counts* with ``stratum``, ``k``, ``n`` and maybe ``platform`` and ``day`` (a DataFrame, such
        as `capi_lab.match_rate` returns); or *totals*, contract ``reports`` with metric ``matched`` (a DataFrame).
    sent : DataFrame, Arrow table, Parquet path or glob, or Ibis table, optional
        With totals: what the platform counted them of. Rows, or counts with ``day``, ``stratum``, ``n`` (and
        ``platform``). Not needed where the reports say for each stratum how many were ``received``.
    platform : str, optional
        Whose keys make the strata, and whose rows are those that name no platform. Needed unless rows have
        ``stratum``.
    by_keys : bool
        Tell apart which keys name the person: strata are then `capi_lab.words.KeySet`.
    level : float
        Of the intervals.
    priors : mapping of stratum to Prior, or None
        Weak ranges, `capi_lab.model.PRACTITIONERS` by default; a stratum without one, or all with None, gets a flat
        one.
    rng : Generator, optional
        For the posterior's draws. Default: the same seed each time, so that the same data give the same numbers.

    Returns
    -------
    MatchRates
        ``.table``, ``.diagnostics``, ``.days``, ``.predict(conversions)``; see there.

    Raises
    ------
    ContractError
        A table breaks its contract.
    InputError
        Totals without what they are of, or nothing known at all.

    Notes
    -----
    *Row outcomes.* Binomial by stratum, on as many effective rows as customers who repeat and days that differ leave
    (`capi_lab.match_rate`). Platforms share a Beta whose mean has the prior and whose width is learnt (beta-binomial
    marginals summed on a grid); days are pulled towards their platform by as much as they do not scatter.

    *Batch totals.* Ecological inference (Goodman 1953; Wakefield 2004): days with unlike mixes tell the strata apart.
    The variance is Poisson-binomial plus overdispersion; Google's ranges are interval-censored counts. Where a mix goes
    with the rates themselves (bad days bring more of one stratum) the estimate is biased and no interval says so: only
    ``duncan_davis_low`` and ``..._high`` hold then. The remedy is a designed one: withhold a key from a random 5 % of
    events, in batches of their own; or ask for row outcomes.

    A platform's totals count what it kept, matched in its own sense; modelled conversions are no counts.
    """
    check_level(level)
    rng = np.random.default_rng(0) if rng is None else rng
    beliefs = {} if priors is None else dict(priors)
    frame = reports_or_rows if isinstance(reports_or_rows, pd.DataFrame) else None
    if frame is not None and {"platform", "day", "metric", "count"} <= set(frame.columns):
        return _from_totals(checked(REPORTS, frame), sent, _How(platform, by_keys, level, beliefs, rng))
    if sent is not None:
        raise InputError("sent= goes with totals (contract reports); rows and counts say themselves what was sent")
    how = _How(platform, by_keys, level, beliefs, rng)
    if frame is not None and "matched" not in frame.columns and {"stratum", "k", "n"} <= set(frame.columns):
        cells = _counts(frame, ("k", "n"), platform)
        return _from_outcomes(cells, None, None, how)
    cells, sums = stratum_sums(reports_or_rows, platform, "matched", by_keys=by_keys)
    credited = None
    if frame is not None and "attributed" in frame.columns:
        credited = stratum_sums(reports_or_rows, platform, "attributed", by_keys=by_keys)
    return _from_outcomes(cells, sums, credited, how)


@dataclass(frozen=True, slots=True)
class _How:
    platform: str | None
    by_keys: bool
    level: float
    priors: Mapping[str, Prior]
    rng: np.random.Generator = field(repr=False)

    @property
    def tails(self) -> list[float]:
        return [(1 - self.level) / 2, (1 + self.level) / 2]


def _counts(frame: pd.DataFrame, numbers: tuple[str, ...], platform: str | None) -> pd.DataFrame:
    """Bring counts to ``platform``, ``day``, ``stratum`` and the numbers; the row ``all`` would count twice."""
    rows = frame[frame["stratum"] != "all"]
    for name in numbers:
        wrong = int((rows[name].isna() | (rows[name] < 0)).sum())
        if wrong:
            raise ContractError("counts", [(name, "must be 0 or more", wrong)])
    if "k" in numbers and (wrong := int((rows["k"] > rows["n"]).sum())):
        raise ContractError("counts", [("k", "is more than n", wrong)])
    day = rows["day"] if "day" in rows else pd.Series(pd.NaT, index=rows.index, dtype="datetime64[us, UTC]")
    name = rows["platform"].fillna(platform or "all") if "platform" in rows else platform or "all"
    keyed = rows.assign(platform=name, day=day)
    grouped = keyed.groupby(["platform", "day", "stratum"], dropna=False, as_index=False)[list(numbers)].sum()
    return grouped.astype(dict.fromkeys(numbers, "float64"))


def _from_outcomes(
    cells: pd.DataFrame,
    sums: pd.DataFrame | None,
    credited: tuple[pd.DataFrame, pd.DataFrame] | None,
    how: _How,
) -> MatchRates:
    cells = cells[cells["n"] > 0].reset_index(drop=True)
    if cells.empty:
        raise InputError("no row says whether it was matched: give rows with 'matched', or the platform's totals")
    table, draws = _pooled(cells, sums, how)
    rho = {key: scatter(own) for key, own in cells.groupby(["platform", "stratum"])}
    diagnostics = table[["platform", "stratum", "n", "n_eff"]].assign(
        days=[int((cells["platform"].eq(p) & cells["stratum"].eq(s)).sum()) for p, s in _pairs(table)],
        rho=[rho.get(pair, np.nan) for pair in _pairs(table)],
        statement=np.where(table["n"] > 0, "", "no row: the prior and the other platforms speak alone"),
    )
    attributed: dict[str, pd.DataFrame] = {}
    if credited is not None and (credited[0]["n"] > 0).any():
        mine = _How(how.platform, how.by_keys, how.level, {}, how.rng)
        attributed = _pooled(credited[0][credited[0]["n"] > 0].reset_index(drop=True), credited[1], mine)[1]
    return MatchRates(
        "rows", how.level, how.by_keys, table[list(RATES)], diagnostics, shrunk_days(cells, draws, how.level), draws,
        attributed,
    )  # fmt: skip


def _pooled(cells: pd.DataFrame, sums: pd.DataFrame | None, how: _How) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    if sums is not None:
        sums = sums[sums["n"] > 0]
    seen = effective(sums, day_sums(cells), how.level)
    platforms = sorted(seen["platform"].unique())
    strata = _ordered(seen["stratum"])
    found = seen.set_index(["platform", "stratum"])
    draws: dict[str, dict[str, Floats]] = {name: {} for name in platforms}
    rows = []
    for stratum in strata:
        prior = how.priors.get(stratum, FLAT)
        own = found.reindex([(name, stratum) for name in platforms])
        n = own["n_eff"].fillna(0.0).to_numpy()
        k = (own["value"].fillna(0.0) * n).to_numpy()
        drawn, blind = pooled(k, n, prior, how.rng)
        for at, name in enumerate(platforms):
            draws[name][stratum] = drawn[:, at]
            line = own.iloc[at]
            rows.append(
                _line(
                    name, stratum, drawn[:, at], prior, float(np.var(blind)),
                    (line["value"], line["low"], line["high"]), how,
                )
                | {"k": line["k"], "n": line["n"], "n_eff": n[at], "method": "beta-binomial, pooled over platforms"}
            )  # fmt: skip
    table = pd.DataFrame(rows).fillna({"k": 0.0, "n": 0.0})
    table["identifiable"] = table["n"] > 0
    table["at"] = table["platform"].map({name: i for i, name in enumerate(platforms)})
    table = table.sort_values("at", kind="stable", ignore_index=True)
    return table, {name: pd.DataFrame(own) for name, own in draws.items()}


def _ordered(names: Iterable[object]) -> list[str]:
    """Return strata, the strongest first, the caller's own behind ours."""
    present = {str(name) for name in names}
    return [one for one in _ORDER if one in present] + sorted(present - set(_ORDER))


def _line(
    platform: str, stratum: str, drawn: Floats, prior: Prior, blind: float, data: tuple[float, ...], how: _How
) -> dict[str, object]:
    low, high = np.quantile(drawn, how.tails)
    return {
        "platform": platform, "stratum": stratum, "value": float(drawn.mean()), "low": float(low), "high": float(high),
        "level": how.level, "data_value": data[0], "data_low": data[1], "data_high": data[2],
        "prior_low": prior.low, "prior_high": prior.high, "prior_source": prior.source,
        "from_data": float(np.clip(1 - np.var(drawn) / blind, 0.0, 1.0)),
        "denominator": f"server events of {platform}, {stratum}",
    }  # fmt: skip


def _pairs(table: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(table["platform"], table["stratum"], strict=True))


# -- batch totals ---------------------------------------------------------------------------------------------------


def _from_totals(reports: pd.DataFrame, sent: TableLike | None, how: _How) -> MatchRates:
    blank = {name: np.nan for name in ("low", "high") if name not in reports.columns}
    reports = reports.assign(**blank, stratum=reports["stratum"].fillna("all") if "stratum" in reports else "all")
    matched = reports[reports["metric"] == "matched"]
    if how.platform is not None:
        matched = matched[matched["platform"] == how.platform]
    if matched.empty:
        raise InputError("the reports hold no metric 'matched'" + (f" of {how.platform}" if how.platform else ""))
    parts, notes, draws = [], [], {}
    for name in sorted(matched["platform"].unique()):
        own = matched[matched["platform"] == name]
        counts = _sent(reports, sent, str(name), how)
        days, strata, design, low, high = _batches(own, counts)
        fit = fit_totals(design, low, high, how.level, moments(how.priors, strata), how.rng)
        table, told = _told(str(name), strata, (design, low, high), fit, how)
        parts.append(table)
        notes.append(told.assign(days=days))
        draws[str(name)] = pd.DataFrame(fit.draws, columns=strata)
    nothing = pd.DataFrame(columns=["platform", "day", "stratum", "k", "n", "value", "low", "high", "rho"])
    table, diagnostics = pd.concat(parts, ignore_index=True), pd.concat(notes, ignore_index=True)
    return MatchRates("totals", how.level, how.by_keys, table[list(RATES)], diagnostics, nothing, draws, {})


def _sent(reports: pd.DataFrame, sent: TableLike | None, platform: str, how: _How) -> pd.DataFrame:
    """Count by day and stratum what the totals are of."""
    if sent is None:
        told = reports[(reports["metric"] == "received") & (reports["platform"] == platform)]
        told = told[told["stratum"] != "all"].rename(columns={"count": "n"})
        if told["stratum"].nunique() < 2:
            raise InputError("totals need what they are of, by day and stratum: give sent= (rows, or counts with n)")
        return _counts(told, ("n",), platform)
    if isinstance(sent, pd.DataFrame) and {"day", "stratum", "n"} <= set(sent.columns):
        counts = _counts(sent, ("n",), platform)
        return counts[counts["platform"].isin([platform, "all"])]
    dated = platform_named(platform).spec.reports.counts.get("matched", Dated.RECEIPT)
    clock = "received_time" if dated == Dated.RECEIPT else None
    cells, _ = stratum_sums(sent, platform, None, by_keys=how.by_keys, clock=clock)
    return cells[cells["platform"] == platform]


def _batches(own: pd.DataFrame, counts: pd.DataFrame) -> tuple[int, list[str], Floats, Floats, Floats]:
    """Lay out batches: how many of each stratum, and how many matched; a stratum told apart is a batch of its own."""
    wide = counts.pivot_table(index="day", columns="stratum", values="n", aggfunc="sum", fill_value=0.0)
    strata = _ordered(wide.columns)
    wide = wide[strata]
    own = own[own["day"].isin(wide.index)].assign(
        low=own["low"].fillna(own["count"]), high=own["high"].fillna(own["count"])
    )
    design, low, high = [], [], []
    for day, told in own.groupby("day", sort=True):
        row, left, right = wide.loc[day].to_numpy("float64").copy(), 0.0, 0.0
        for line in told[told["stratum"].isin(strata)].itertuples(index=False):
            alone = np.where([s == line.stratum for s in strata], row, 0.0)
            design.append(alone)
            low.append(line.low)
            high.append(line.high)
            left, right, row = left + float(line.low), right + float(line.high), row - alone
        for line in told[told["stratum"] == "all"].itertuples(index=False):
            if row.sum() > 0:
                design.append(row)
                low.append(max(float(line.low) - right, 0.0))
                high.append(max(float(line.high) - left, 0.0))
    if not design:
        raise InputError("no day has both a total and what it is of: check that both count days alike (UTC)")
    n, least, most = np.array(design), np.array(low, "float64"), np.array(high, "float64")
    over = int((least > n.sum(axis=1) + 0.5).sum())
    if over:
        raise InputError(
            f"{over:,} of {len(n):,} totals are more than was sent that day: sent= must hold all the platform counts"
        )
    return own["day"].nunique(), strata, n, np.minimum(least, n.sum(axis=1)), np.minimum(most, n.sum(axis=1))


def _told(
    platform: str, strata: list[str], batches: tuple[Floats, Floats, Floats], fit: TotalsFit, how: _How
) -> tuple[pd.DataFrame, pd.DataFrame]:
    design = batches[0]
    condition, inflation = condition_of(design), inflation_of(design)
    least, most = duncan_davis(*batches)
    rows, blind = [], how.rng.random(20_000)
    for s, stratum in enumerate(strata):
        prior = how.priors.get(stratum, FLAT)
        a, b = prior.mean, prior.deviation
        weight = np.exp(-0.5 * ((blind - a) / b) ** 2)
        mean = float(weight @ blind / weight.sum())
        before = float(weight @ (blind - mean) ** 2 / weight.sum())
        data = (fit.value[s], fit.low[s], fit.high[s])
        rows.append(_line(platform, stratum, fit.draws[:, s], prior, before, data, how))
    ranged = bool((batches[2] > batches[1]).any())
    table = pd.DataFrame(rows).assign(
        k=np.nan, n=design.sum(axis=0), n_eff=np.nan,
        method="totals, interval-censored" if ranged else "totals, poisson-binomial",
    )  # fmt: skip
    table["identifiable"] = (table["data_high"] - table["data_low"]) < _WIDE
    statements = [
        "" if known else _why(stratum, condition, fit.spare, float(wide), vif)
        for stratum, known, wide, vif in zip(
            strata, table["identifiable"], table["data_high"] - table["data_low"], inflation, strict=True
        )
    ]
    told = table[["platform", "stratum", "n", "n_eff"]].assign(
        rho=fit.rho, batches=len(design), condition=condition, vif=inflation, duncan_davis_low=least,
        duncan_davis_high=most, statement=statements,
    )  # fmt: skip
    return table, told


def _why(stratum: str, condition: float, spare: int, width: float, vif: float) -> str:
    remedy = "give row outcomes, or withhold a key from a random part of the events, in batches of their own"
    if spare < 1:
        return f"{stratum} is not identifiable: no more batches than unknowns; {remedy}"
    if not np.isfinite(condition) or condition > 1e6 or not np.isfinite(vif):
        return f"{stratum} is not identifiable: its share of the mix never changes on its own; {remedy}"
    return (
        f"{stratum} is not identifiable: the totals leave an interval {width:.2f} wide (condition number "
        f"{condition:,.0f}: the mixes are too alike, or the totals too coarse); {remedy}"
    )
