"""What a change would bring, and which missing key costs most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from capi_lab.engine import TableLike
from capi_lab.errors import InputError
from capi_lab.measure.strata import possessed
from capi_lab.model.changes import Change, change_named, too_old
from capi_lab.model.fitted import MatchRates, stratum_of
from capi_lab.platforms import platform as platform_named

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from capi_lab.platforms.spec import PlatformSpec

    Floats = NDArray[np.float64]

__all__ = ["payload_score", "what_if"]

_KEEP = (
    "event_time", "value", "currency", "browser", "click_time", "consent_ad_user_data", "received_time", "sent_at",
)  # fmt: skip
_KEYS = ("click_id", "email", "phone", "client_ip")


def what_if(
    fit: MatchRates,
    conversions: TableLike,
    changes: str | Change | Sequence[str | Change],
    platform: str | None = None,
    *,
    level: float = 0.95,
) -> pd.DataFrame:
    """Say what changes would bring, one at a time, for the conversions at hand.

    Parameters
    ----------
    fit : MatchRates
        Of the same strata as these conversions; ``by_keys=True`` for changes that add a key beside another.
    conversions : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        Contract ``conversions`` or ``events`` (the server's); all that happened, those not sent too. Used where there:
        ``value``, ``currency``, ``browser``, ``click_time``, ``consent_ad_user_data``, and ``received_time`` or
        ``sent_at``.
    changes : str, Change, or sequence of them
        ``keep_click_ids``, ``phone_at_checkout``, ``send_within_1h``, ``fix_ids``, ``consent_uplift`` with their
        defaults, or `KeepClickIds`, `PhoneAtCheckout`, `SendWithin`, `FixIds`, `ConsentUplift`.
    platform : str, optional
        Needed where several were fitted.
    level : float
        Of the intervals.

    Returns
    -------
    DataFrame
        One row per change, most matched conversions first: ``rank``, ``change``, ``platform``, ``n`` (conversions),
        ``touched`` (expected number that change), ``covered`` (expected extra conversions that reach the platform);
        ``matched``, ``attributed``, ``value`` (of the extra matched, in ``currency``), each with ``_low`` and
        ``_high``; ``per_conversion`` (matched / n); ``rests_on``, what is assumed. ``attributed`` is missing where
        neither ``click_time`` nor attribution rates are known; ``value`` where there is none, or in several currencies.

    Raises
    ------
    InputError
        A column a change needs is not there, or the fit does not know a stratum.
    UnknownNameError
        No such change or platform.

    Notes
    -----
    Expected matched = sum over rows of P(changes) (rate after - rate before); per share c of click ids that is
    (y - x)(theta_1 - theta_2). Rows are those at hand: intervals are those of the rates, and of an assumed share,
    not of next month's sales. Extra rows are not average ones: they are counted by browser and lag where
    these are known.
    *Attributed* counts only rows whose click lies inside the platform's window.

    The rates of two strata differ by who is in them as well as by the key: mostly ad clickers with accounts carry click
    ids. An experiment that withholds keys at random is free of that (`capi_lab.sample_size`).
    """
    name = fit.platform_of(platform)
    spec = platform_named(name).spec
    rows = possessed(conversions, name, _KEEP)
    if rows.empty:
        raise InputError("there are no conversions to ask what would become of")
    covered = pd.Series(~too_old(rows, spec), rows.index)
    if "consent_ad_user_data" in rows:
        covered &= (rows["consent_ad_user_data"] != "denied").fillna(True).astype(bool)
    before = stratum_of(rows, by_keys=fit.by_keys)
    money, currency = _money(rows)
    ask = _Asked(fit, name, before, covered, level)
    listed = [changes] if isinstance(changes, str) or not isinstance(changes, Sequence) else list(changes)
    lines = []
    for change in map(change_named, listed):
        touched = change.touch(rows, covered, spec)
        weights = (touched.weight, touched.slope, touched.error)
        after = stratum_of(touched.after, by_keys=fit.by_keys)
        moved = touched.covered.to_numpy(dtype=bool)
        one = np.ones(len(rows))
        line: dict[str, Any] = {"change": change.name, "platform": name, "n": len(rows)}
        line["touched"] = float(touched.weight.sum())
        line["covered"] = float((touched.weight * (moved & ~covered.to_numpy(dtype=bool))).sum())
        line |= ask.gain("matched", after, moved, weights, one)
        inside = _inside(rows, spec)
        if inside is not None:
            line |= ask.gain("attributed", after, moved, weights, inside)
        elif name in fit.attributed:
            line |= ask.gain("attributed", after, moved, weights, one, credited=True)
        else:
            line |= dict.fromkeys(("attributed", "attributed_low", "attributed_high"), np.nan)
        if money is None:
            line |= dict.fromkeys(("value", "value_low", "value_high"), np.nan)
        else:
            line |= ask.gain("value", after, moved, weights, money)
        line |= {"currency": currency, "per_conversion": line["matched"] / len(rows), "rests_on": touched.rests_on}
        lines.append(line)
    table = pd.DataFrame(lines).sort_values("matched", ascending=False, kind="stable", ignore_index=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table.astype({"currency": "str", "change": "str", "platform": "str", "rests_on": "str"})


def payload_score(
    conversions: TableLike, fit: MatchRates, platform: str | None = None, *, level: float = 0.95
) -> pd.DataFrame:
    """Say which missing key costs most matched conversions.

    Parameters
    ----------
    conversions : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        Contract ``conversions`` or ``events`` (the server's): what is sent.
    fit : MatchRates
        With ``by_keys=True``, or a second key beside another seems to bring nothing.
    platform : str, optional
    level : float

    Returns
    -------
    DataFrame
        One row per key, dearest first: ``key``, ``missing`` of ``n`` rows, ``matched`` (extra, were the key never
        missing) with ``matched_low`` and ``matched_high``, ``score``: expected matched of what is sent now as a share
        of what it would then be. Keys whose stratum nobody fitted are left out.

    Notes
    -----
    No platform's own score: Meta's event match quality is a score of parameters, not a rate, and has no published
    formula. See `what_if` on what two strata's rates compare.
    """
    name = fit.platform_of(platform)
    rows = possessed(conversions, name)
    covered = pd.Series(True, rows.index)
    ask = _Asked(fit, name, stratum_of(rows, by_keys=fit.by_keys), covered, level)
    now = float(fit.predict(pd.DataFrame({"stratum": ask.before}), name)["probability"].sum())
    lines = []
    for key in _KEYS:
        lacks = ~rows[key].to_numpy(dtype=bool)
        after = stratum_of(rows.assign(**{key: True}), by_keys=fit.by_keys)
        if not set(after[lacks]) <= set(fit.draws[name].columns):
            continue
        weights = (lacks.astype("float64"), np.zeros(len(rows)), 0.0)
        gain = ask.gain("matched", after, np.ones(len(rows), dtype=bool), weights, np.ones(len(rows)))
        score = now / (now + gain["matched"]) if now + gain["matched"] > 0 else np.nan
        lines.append({"key": key, "missing": int(lacks.sum()), "n": len(rows), **gain, "score": score})
    names = ["key", "missing", "n", "matched", "matched_low", "matched_high", "score"]
    return pd.DataFrame(lines, columns=names).sort_values("matched", ascending=False, ignore_index=True)


class _Asked:
    """Rows as they are, and the draws that say what they are worth."""

    def __init__(self, fit: MatchRates, platform: str, before: pd.Series, covered: pd.Series, level: float) -> None:
        self.fit, self.platform, self.before, self.level = fit, platform, before, level
        self.covered = covered.to_numpy(dtype=bool)

    def gain(
        self, word: str, after: pd.Series, moved: NDArray[np.bool_], weights: tuple[Floats, Floats, float],
        worth: Floats, *, credited: bool = False,
    ) -> dict[str, float]:  # fmt: skip
        """Return the expected gain with its interval; each row counts ``worth``."""
        weight, slope, error = weights
        frame = pd.DataFrame({"before": self.before.to_numpy(), "after": after.to_numpy()})
        sums = {}
        for name, factor in (("sure", weight * worth), ("slope", slope * worth)):
            gained = pd.Series(factor * moved).groupby(frame["after"]).sum()
            lost = pd.Series(factor * self.covered).groupby(frame["before"]).sum()
            sums[name] = gained.sub(lost, fill_value=0.0)
        table = pd.DataFrame(sums).fillna(0.0)
        table = table[(table.abs() > 1e-12).any(axis=1)]
        if table.empty:
            return dict.fromkeys((word, f"{word}_low", f"{word}_high"), 0.0)
        rates = self.fit.rates_of(self.platform, [str(one) for one in table.index], attributed=credited)
        # The assumed share's own error: quantiles of a normal, spread over the draws in a fixed order.
        size = len(rates)
        normal = ndtri((np.arange(size) * 0.6180339887498949 + 0.5) % 1)
        drawn = rates @ table["sure"].to_numpy() + error * normal * (rates @ table["slope"].to_numpy())
        low, high = np.quantile(drawn, [(1 - self.level) / 2, (1 + self.level) / 2])
        return {word: float(drawn.mean()), f"{word}_low": float(low), f"{word}_high": float(high)}


def _money(rows: pd.DataFrame) -> tuple[Floats | None, str | None]:
    if "value" not in rows or rows["value"].isna().all():
        return None, None
    names = rows["currency"].dropna().unique() if "currency" in rows else []
    if len(names) > 1:
        return None, None
    return rows["value"].fillna(0.0).to_numpy("float64"), str(names[0]) if len(names) else None


def _inside(rows: pd.DataFrame, spec: PlatformSpec) -> Floats | None:
    """Say whose click lies inside the platform's window; None where no click is known."""
    if "click_time" not in rows or rows["click_time"].isna().all():
        return None
    window = spec.window("click")
    lag = rows["event_time"] - rows["click_time"]
    soon = (lag <= window.default) if window.includes_end else (lag < window.default)
    return np.asarray(soon & (lag >= pd.Timedelta(0)), "float64")
