"""What `capi_lab.match_rates` returns."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from capi_lab.engine import TableLike
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.measure.strata import possessed
from capi_lab.words import KeySet, Stratum

__all__ = ["RATES", "MatchRates", "stratum_of"]

RATES = (
    "platform", "stratum", "k", "n", "value", "low", "high", "method", "level", "denominator", "data_value",
    "data_low", "data_high", "prior_low", "prior_high", "from_data", "identifiable", "prior_source",
)  # fmt: skip


@dataclass(frozen=True, repr=False, eq=False)
class MatchRates:
    """Match rates of each platform's strata, with what they rest on.

    Parameters
    ----------
    source : str
        ``rows`` or ``totals``.
    level : float
    by_keys : bool
        Strata are `capi_lab.words.KeySet`.
    table : DataFrame
        One row per ``platform`` and ``stratum``: ``k`` of ``n`` (of totals only n is known), ``value``, ``low``,
        ``high`` (posterior), ``method``, ``level``, ``denominator``; ``data_value``, ``data_low``, ``data_high`` from
        the data alone; ``prior_low``, ``prior_high`` (half of the prior lies between), ``from_data`` (share of the
        prior's variance that the data took away), ``identifiable`` (the data alone say something), ``prior_source``.
    diagnostics : DataFrame
        Per row of ``table``: ``n_eff`` (independent rows they are worth), ``days``, ``rho`` (how alike outcomes of a
        day are), and of totals ``batches``, ``condition`` (of the mixes, columns scaled), ``vif``,
        ``duncan_davis_low``, ``duncan_davis_high``; ``statement``, in words, where something is not known.
    days : DataFrame
        Of rows: each day's rate, pulled towards its platform's.
    draws : dict of DataFrame
        Platform to draws of the posterior, a column per stratum.
    attributed : dict of DataFrame
        The same of the attribution rate, where rows had ``attributed``.
    """

    source: str
    level: float
    by_keys: bool
    table: pd.DataFrame
    diagnostics: pd.DataFrame
    days: pd.DataFrame
    draws: dict[str, pd.DataFrame]
    attributed: dict[str, pd.DataFrame]

    def __repr__(self) -> str:
        """Show the rates, and in words what is not known."""
        head = {"rows": "row outcomes", "totals": "batch totals alone"}[self.source]
        lines = [f"Match rates from {head}, {self.level:.0%} intervals (beside: range believed before)"]
        for row in self.table.itertuples(index=False):
            known = f"n {row.n:>9,.0f}" if np.isnan(row.k) else f"{row.k:>8,.0f} of {row.n:>9,.0f}"
            mark = "" if row.identifiable else "  NOT IDENTIFIABLE"
            lines.append(
                f"  {row.platform:<10} {row.stratum:<12} {row.value:6.1%} [{row.low:.1%}, {row.high:.1%}]  {known}  "
                f"prior {row.prior_low:.0%}-{row.prior_high:.0%}, {row.from_data:.0%} from data{mark}"
            )
        return "\n".join([*lines, *(f"  ! {one}" for one in self.statements)])

    def _repr_html_(self) -> str:
        shown = self.table[[
            "platform", "stratum", "k", "n", "value", "low", "high", "prior_low", "prior_high", "from_data",
            "identifiable",
        ]]  # fmt: skip
        percent = dict.fromkeys(["value", "low", "high", "prior_low", "prior_high", "from_data"], "{:.1%}".format)
        body: str = shown.to_html(index=False, border=0, formatters=percent, float_format="{:,.0f}".format)
        notes = "".join(f"<li>{escape(one)}</li>" for one in self.statements)
        return body + (f"<ul>{notes}</ul>" if notes else "")

    @property
    def statements(self) -> list[str]:
        """What is not known, in words; empty where all is."""
        told = self.diagnostics[self.diagnostics["statement"] != ""]
        return [f"{row.platform}: {row.statement}" for row in told.itertuples(index=False)]

    @property
    def platforms(self) -> list[str]:
        """Those fitted."""
        return list(self.draws)

    def platform_of(self, platform: str | None) -> str:
        """Return the platform meant; without a name, the only one. `InputError` where it is unclear or not fitted."""
        if platform is None and len(self.draws) == 1:
            return next(iter(self.draws))
        if platform is None:
            raise InputError(f"several platforms were fitted: say which, platform='{next(iter(self.draws))}'")
        if platform not in self.draws:
            raise UnknownNameError("fitted platform", platform, self.draws)
        return platform

    def rates_of(self, platform: str, strata: list[str], *, attributed: bool = False) -> np.ndarray:
        """Return draws of rates, a column for each of ``strata``.

        Raises
        ------
        InputError
            One of them was not fitted.
        """
        own = self.attributed[platform] if attributed else self.draws[platform]
        lacking = sorted(set(strata) - set(own.columns))
        if lacking:
            raise InputError(
                f"the fit knows no stratum {', '.join(lacking)}: fit rows that have them, with the same by_keys="
            )
        return np.asarray(own[strata], "float64")

    def predict(self, conversions: TableLike, platform: str | None = None) -> pd.DataFrame:
        """Say how likely each row is to be matched.

        Parameters
        ----------
        conversions : DataFrame, Arrow table, Parquet path or glob, or Ibis table
            Contract ``conversions`` or ``events`` (then the server's count), or a DataFrame with ``stratum``.
        platform : str, optional
            Needed where several were fitted.

        Returns
        -------
        DataFrame
            ``stratum``, ``probability``, ``low``, ``high`` (of the stratum's rate, at the fit's level); a DataFrame's
            rows keep index and order, others are indexed by their id.

        Raises
        ------
        InputError
            A row is of a stratum that was not fitted.

        Notes
        -----
        Calibrated for rows like those fitted: of rows said to be matched with probability p, p are. Within a stratum
        rows differ in ways nothing here sees.
        """
        name = self.platform_of(platform)
        if isinstance(conversions, pd.DataFrame) and "stratum" in conversions.columns:
            strata = conversions["stratum"].astype("str")
        else:
            strata = stratum_of(possessed(conversions, name), by_keys=self.by_keys)
            if isinstance(conversions, pd.DataFrame):
                row = "row_id" if "row_id" in conversions.columns else "conversion_id"
                there = conversions[conversions[row].isin(strata.index)]
                strata = strata.reindex(there[row]).set_axis(there.index)
        names = list(dict.fromkeys(strata))
        drawn = self.rates_of(name, names)
        low, high = np.quantile(drawn, [(1 - self.level) / 2, (1 + self.level) / 2], axis=0)
        rates = pd.DataFrame({"probability": drawn.mean(axis=0), "low": low, "high": high}, index=names)
        return (
            rates.reindex(strata)
            .set_axis(strata.index)
            .assign(stratum=strata)[["stratum", "probability", "low", "high"]]
        )


def stratum_of(has: pd.DataFrame, *, by_keys: bool) -> pd.Series:
    """Name the stratum of rows by what they have (`capi_lab.measure.strata.possessed`)."""
    person = has["email"] | has["phone"] | has["name"]
    if by_keys:
        tests = [
            has["click_id"],
            has["email"] & has["phone"],
            has["email"],
            has["phone"],
            has["name"],
            has["client_ip"],
        ]
        words = [str(one) for one in KeySet]
    else:
        tests, words = [has["click_id"], person, has["client_ip"]], [str(one) for one in Stratum]
    found = np.select([test.to_numpy(dtype=bool) for test in tests], words[:-1], words[-1])
    return pd.Series(found, index=has.index, dtype="str")
