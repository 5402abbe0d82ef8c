"""How long click ids stay known, from the visits of people who come back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, reduce
from html import escape
from operator import add

import numpy as np
import pandas as pd
from scipy import stats

from capi_lab.engine import TableLike
from capi_lab.errors import InputError
from capi_lab.identity.cookies import SCRIPT_COOKIE_LIMITS
from capi_lab.measure.click_returns import returns_after_clicks, spans_of
from capi_lab.measure.lags import LAGS
from capi_lab.measure.rates import check_level
from capi_lab.model.lifetimes import ALWAYS, Mixture, Spans, fit_mixture, npmle

__all__ = ["ClickIdSurvival", "click_id_survival"]

_DAY = pd.Timedelta("1D")
_RULES = tuple(limit.life for limit in SCRIPT_COOKIE_LIMITS)
_MISSING = "(missing)"


def click_id_survival(
    visits: TableLike,
    by: str | None = "browser",
    *,
    platform: str | None = None,
    days: Sequence[float] = (0.5, 2.0, 5.0, 10.0, 20.0),
    rules: Sequence[timedelta] = _RULES,
    returns: str = "first",
    on: str = "user_key",
    session: timedelta = timedelta(hours=1),
    level: float = 0.95,
) -> ClickIdSurvival:
    """Estimate which share of click ids is still known so many days after the landing.

    Parameters
    ----------
    visits : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        Contract ``visits``, with ids of cookies; all identified visits, not those of buyers only: who buys comes back
        soon. A click's landing is the first visit with its id.
    by : str or None
        ``browser`` (of the landing), a column of visits as it is at the landing, or None for one curve.
    platform : str, optional
        Whose ids. Default: every platform's; what keeps an id is the browser.
    days : sequence of float
        When to say the share, in days after the landing.
    rules : sequence of timedelta
        Ages at which a browser's rule may end an id's life. Default: those of
        `capi_lab.identity.cookies.SCRIPT_COOKIE_LIMITS` (1 and 7 days).
    returns : str
        ``first``: of each click the first return, since a visit may itself renew the cookie. ``all``: every return;
        more evidence, and right where visits renew nothing.
    on : str
        Column that names the person at the landing and at the return: a log-in, not a cookie, which is lost with the
        id.
    session : timedelta
        Visits sooner after the landing are part of it and no return.
    level : float
        Of the intervals.

    Returns
    -------
    ClickIdSurvival
        ``table``, ``policy``, ``tests``, ``curves``, ``by_lag()``, ``notes``.

    Raises
    ------
    ContractError
        A table breaks its contract, or ``on`` is missing.
    UnknownNameError
        No such column or platform.
    InputError
        Nobody came back, ``returns`` is no word of the above, or a number is out of range.

    Notes
    -----
    A return shows whether the id is known *now*: it has been lost at some time before, or will be later
    (current-status data). Taking the return for the moment of the loss, as a Kaplan-Meier curve would, keeps ids alive
    that are long gone. `capi_lab.model.lifetimes` has both estimates. The intervals are the fitted mixture's, by
    profile likelihood; the free curve has none of its own, and is there to show whether the mixture fits.

    Of each person one click takes part, the first that was followed by a return, so that lifetimes are independent. An
    id that is missing at the return was lost, never stored, or is in another browser or device of the same person:
    ``lost_at_once`` holds the last two. Returns whose URL carries the id again say nothing and are left out.

    Cannot be known: visits that were not identified; whether people who log in keep ids as others do; how long an id
    lives beyond the longest return (missing in ``table``).
    """
    check_level(level)
    if returns not in ("first", "all"):
        raise InputError("returns must be 'first' or 'all'")
    ends = sorted(pd.Timedelta(rule) / _DAY for rule in rules)
    if any(end <= 0 for end in ends) or any(not day > 0 for day in days) or not session > timedelta(0):
        raise InputError("days, rules and session must be positive")
    found, counts = returns_after_clicks(visits, by, platform, on, pd.Timedelta(session))
    if found.empty:
        raise InputError(
            f"no visit with '{on}' follows a landing of the same person: give visits with ids of cookies and log-ins"
        )
    first = found.drop_duplicates("person")[["person", "click"]]
    found = found.merge(first, on=["person", "click"])
    if returns == "first":
        found = found.drop_duplicates(["person", "click"])
    clicks = spans_of(found, ["person", "click"]).assign(group=lambda f: f["group"].fillna(_MISSING))
    groups = {}
    for name, rows in clicks.groupby("group", sort=True):
        left, right = rows["left"].fillna(ALWAYS), rows["right"].fillna(np.inf)
        spans = Spans.of(left.to_numpy("float64"), right.to_numpy("float64"))
        groups[str(name)] = _Group(spans, fit_mixture(spans.rounded(np.array(ends)), ends), int(rows["returns"].sum()))
    order = sorted(groups, key=lambda name: (-groups[name].spans.n, name))
    notes = [
        f"{counts['identified']:,} of {counts['clicks']:,} clicks landed with '{on}' known; "
        f"{len(clicks):,} persons came back"
    ]
    if counts["url"]:
        notes.append(f"returns left out, whose URL carries the id again: {counts['url']:,}")
    return ClickIdSurvival(by, tuple(days), level, {name: groups[name] for name in order}, tuple(notes))


@dataclass(frozen=True)
class _Group:
    """One curve."""

    spans: Spans
    fit: Mixture
    returns: int

    @cached_property
    def steps(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the free curve steps, and its height from there on."""
        return npmle(self.spans)

    @property
    def longest(self) -> float:
        """Days of the longest return."""
        spans = self.spans
        return float(max(spans.left.max(), spans.right[np.isfinite(spans.right)].max(initial=0.0)))

    def free(self, days: np.ndarray) -> np.ndarray:
        """Return the free curve at these days."""
        at, height = self.steps
        return np.concatenate([[1.0], height])[np.searchsorted(at, days, side="right")]


@dataclass(frozen=True, repr=False, eq=False)
class ClickIdSurvival:
    """How long click ids stay known.

    Parameters
    ----------
    by : str or None
    days : tuple of float
    level : float
    groups : mapping
        Name to what was fitted.
    notes : tuple of str
    """

    by: str | None
    days: tuple[float, ...]
    level: float
    groups: Mapping[str, _Group]
    notes: tuple[str, ...]

    @property
    def _name(self) -> str:
        return self.by or "clicks"

    @cached_property
    def table(self) -> pd.DataFrame:
        """The share known after so many days.

        The column of ``by`` (``clicks`` without one), ``days``, ``value`` (of the fitted mixture), ``low``, ``high``,
        ``free`` (of the curve that assumes nothing), ``clicks`` (n: landings of persons who came back), ``returns``,
        ``method``, ``level``, ``denominator``. Missing beyond the longest return.
        """
        return self._at(self.days, list(self.groups))

    @cached_property
    def curves(self) -> pd.DataFrame:
        """The same at days fit for a picture, on both sides of each rule."""
        parts = []
        for name, group in self.groups.items():
            near = [day for rule in group.fit.rules for day in (rule * (1 - 1e-6), rule)]
            grid = np.unique([*near, *np.geomspace(min(1 / 24, group.longest), group.longest, 9)])
            parts.append(self._at([float(day) for day in grid if day <= group.longest], [name]))
        return pd.concat(parts, ignore_index=True)

    @cached_property
    def steps(self) -> pd.DataFrame:
        """Where the curve that assumes nothing steps: the column of ``by``, ``days``, ``free`` (from there on)."""
        parts = [
            pd.DataFrame({self._name: name, "days": group.steps[0], "free": group.steps[1]})
            for name, group in self.groups.items()
        ]
        return pd.concat(parts, ignore_index=True)

    def _at(self, days: Sequence[float], names: Sequence[str]) -> pd.DataFrame:
        rows = []
        for name in names:
            group = self.groups[name]
            free = group.free(np.array(days))
            for day, level in zip(days, free, strict=True):
                told = day <= group.longest
                low, high = group.fit.interval(day, self.level) if told else (np.nan, np.nan)
                value = float(group.fit.survival(np.array([day]))[0]) if told else np.nan
                rows.append((name, day, value, low, high, level if told else np.nan, group.spans.n, group.returns))
        columns = [self._name, "days", "value", "low", "high", "free", "clicks", "returns"]
        table = pd.DataFrame(rows, columns=columns).astype({"clicks": "int64", self._name: "str"})
        return table.assign(
            method="policy mixture, profile likelihood", level=self.level,
            denominator="landings of identified persons who came back",
        )  # fmt: skip

    @cached_property
    def policy(self) -> pd.DataFrame:
        """What the fitted mixture is made of.

        The column of ``by``, ``part``, ``value``, ``low``, ``high``, ``clicks``. Parts: ``lost_at_once`` (never stored,
        or in another browser), ``ends_at_1d``, ``ends_at_7d`` ..., ``no_rule`` (these four sum to 1), ``cleared_a_day``
        (the rate at which those alive are cleared).
        """
        rows = []
        for name, group in self.groups.items():
            fit = group.fit
            parts = ["lost_at_once", *(f"ends_at_{rule:g}d" for rule in fit.rules), "no_rule"]
            for place, part in enumerate(parts):
                rows.append((name, part, fit.weights[place], *fit.interval_of(place, self.level), group.spans.n))
            rows.append((name, "cleared_a_day", fit.rate, *fit.interval_of(-1, self.level), group.spans.n))
        names = [self._name, "part", "value", "low", "high", "clicks"]
        return pd.DataFrame(rows, columns=names).astype({"clicks": "int64", self._name: "str"})

    @cached_property
    def tests(self) -> pd.DataFrame:
        """Whether curves differ: ``first``, ``second``, ``statistic`` (likelihood ratio), ``df``, ``p_value``.

        The first row holds all together, the others the largest group against each. Where a weight lies at its end the
        p-value is greater than it should be, never smaller.
        """
        names = list(self.groups)
        pairs = [("all", "all", names)] if len(names) > 2 else []
        pairs += [(names[0], other, [names[0], other]) for other in names[1:]]
        rows = []
        for first, second, some in pairs:
            fits = [self.groups[name].fit for name in some]
            both = fit_mixture(reduce(add, (fit.spans for fit in fits)), [float(rule) for rule in fits[0].rules])
            ratio = max(2 * (sum(fit.log_likelihood for fit in fits) - both.log_likelihood), 0.0)
            df = len(fits[0].weights) * (len(some) - 1)  # weights sum to 1; one rate
            rows.append((first, second, ratio, df, float(stats.chi2.sf(ratio, df))))
        return pd.DataFrame(rows, columns=["first", "second", "statistic", "df", "p_value"])

    def by_lag(self) -> dict[tuple[str, str], float]:
        """Return the mean share by group and band of time, as `capi_lab.KeepClickIds` takes it as ``survival=``.

        Bands beyond the longest return are left out.
        """
        found = {}
        for name, group in self.groups.items():
            start = 0.0
            for band, end in LAGS.items():
                stop = min(end / _DAY, max(group.longest, start))
                if start >= group.longest:
                    break
                grid = start + (np.arange(200) + 0.5) / 200 * (stop - start)
                found[(name, band)] = float(group.fit.survival(grid).mean())
                start = end / _DAY
        return found

    def _lines(self) -> Iterator[tuple[str, int, list[str]]]:
        for name, rows in self.table.groupby(self._name, sort=False):
            shares = [
                f"{row.value:.0%} ({row.low:.0%}–{row.high:.0%})" if pd.notna(row.value) else "–"
                for row in rows.itertuples(index=False)
            ]
            yield str(name), int(rows["clicks"].iloc[0]), shares

    @property
    def headline(self) -> str:
        """Say which group keeps least after how long."""
        rows = self.table.dropna(subset=["value"])
        rows = rows[rows["days"] == rows["days"].max()] if len(rows) else rows
        if rows.empty:
            return "Nobody came back late enough to tell."
        worst = rows.sort_values(["value", self._name]).iloc[0]
        where = f" in {worst[self._name]}" if self.by and len(self.groups) > 1 else ""
        return f"After {worst['days']:g} days {worst['value']:.0%} of click ids are still known{where}."

    def __repr__(self) -> str:
        heads = [f"{day:g} d" for day in self.days]
        lines = [f"ClickIdSurvival: {self.headline}"]
        lines.append(f"  {self._name:<18}{'n':>8}" + "".join(f"{head:>18}" for head in heads))
        lines += [f"  {name:<18}{n:>8,}" + "".join(f"{x:>18}" for x in shares) for name, n, shares in self._lines()]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        """Draw a table in inline styles that hold on light and dark pages, without script."""
        cell = "padding:2px 10px;text-align:right;border:0"
        head = "".join(
            f'<th style="{cell}">{escape(x)}</th>' for x in (self._name, "n", *(f"{d:g} d" for d in self.days))
        )
        body = "".join(
            f'<tr style="background:transparent"><td style="{cell}">{escape(name)}</td><td style="{cell}">{n:,}</td>'
            + "".join(f'<td style="{cell}">{share}</td>' for share in shares) + "</tr>"
            for name, n, shares in self._lines()
        )  # fmt: skip
        notes = "".join(f'<div style="opacity:0.8">note: {escape(note)}</div>' for note in self.notes)
        return (
            f'<div style="color:inherit;font-size:13px"><div style="margin-bottom:6px">{escape(self.headline)}</div>'
            f'<table style="border-collapse:collapse;color:inherit;background:transparent">'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}</div>"
        )
