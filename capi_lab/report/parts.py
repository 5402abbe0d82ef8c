"""The parts of the page that rest on more than a reconciled log: sends, match rates, changes, days."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from capi_lab import plots
from capi_lab.errors import ContractError
from capi_lab.measure import coverage, send_outcome, suppress_small, trend
from capi_lab.model import MatchRates
from capi_lab.report.page import Finding, Section
from capi_lab.words import Channel, ReceiptStatus, Stratum

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from capi_lab.engine import TableLike
    from capi_lab.reconcile import Reconciled

__all__ = [
    "CALLED",
    "SUPPRESSED",
    "days_section",
    "how_many",
    "match_section",
    "picture",
    "send_section",
    "share",
    "what_if_section",
]

SUPPRESSED = "fewer than {} conversions are behind a number of theirs, or it would give such a number away"
_ALL = "all"  # what `match_rate` calls the row of every stratum
_FRESH = pd.Timedelta("7D")  # an alarm that old at most is something to look at now
CALLED = {str(Channel.PIXEL): "pixel", str(Channel.CAPI): "server"}
_FITTED = (
    "platform", "stratum", "k", "n", "value", "low", "high", "prior_low", "prior_high", "from_data", "denominator",
)  # fmt: skip
_GAINS = (
    "change", "touched", "covered", "matched", "matched_low", "matched_high", "attributed", "value", "currency",
)  # fmt: skip
_NEEDED = ("change", "n", "matched", "matched_low", "matched_high")


def share(row: pd.Series) -> str:
    """Write a rate with its interval."""
    return f"{row['value']:.1%} [{row['low']:.1%}, {row['high']:.1%}]"


def how_many(k: pd.Series, hidden: pd.Series, min_cell: int) -> str:
    """Write the sum of some rows of a table so that it does not give away those of them that are suppressed."""
    if not hidden.any():
        return f"{k.sum():,}"
    if shown := k[~hidden].sum():
        return f"At least {shown:,}"
    return f"Fewer than {min_cell}" if k.sum() < min_cell else f"At least {min_cell}"


def picture(draw: Callable[..., Axes], *tables: Any) -> bytes:
    """Draw, keep the PNG, and leave no open figure behind."""
    import matplotlib.pyplot as plt

    figure = draw(*tables).get_figure(root=True)
    assert figure is not None  # noqa: S101 - drawn axes have one
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    plt.close(figure)
    return data.getvalue()


def days_section(
    rec: Reconciled, alarms_per_year: float, level: float, min_cell: int, findings: list[Finding]
) -> Section | None:
    """Hold each day's coverage by a channel against the days before; None where there are too few."""
    daily = coverage(rec, by="day", level=level)
    daily = daily[(daily["n"] >= min_cell) & daily["setup"].isin(rec.channels)]
    if daily.empty:
        return None
    judged = trend(daily, alarms_per_year=alarms_per_year)
    if not judged["judged"].any():
        return None
    pictures, strayed, last = {}, [], judged["day"].max()
    for channel, days in judged.groupby("setup"):
        rows = suppress_small(days.drop(columns="setup"), min_cell).drop(columns="suppressed").assign(setup=channel)
        rows.loc[rows["value"].isna(), "alert"] = None
        strayed.append(rows[rows["alert"].notna()])
        if rows["value"].notna().any():
            title = f"Coverage by {CALLED[channel]}, day by day"
            pictures[title] = picture(partial(plots.plot_trend, title=title), rows)
        falls = rows[rows["alert"] == "down"]
        if falls.empty:
            continue
        one = falls.iloc[-1]
        more = f"; {len(falls)} such days in all" if len(falls) > 1 else ""
        findings.append(
            Finding(
                f"The {CALLED[channel]} reported {one['value']:.1%} of {one['n']:,.0f} conversions on "
                f"{one['day']:%Y-%m-%d}, {one['baseline']:.1%} in the days before{more}.",
                alert=last - one["day"] < _FRESH,
                where="days",
            )
        )
    alarms = pd.concat(strayed).sort_values(["day", "setup"])
    alarms = alarms.assign(day=alarms["day"].dt.strftime("%Y-%m-%d"), points=100 * alarms["change"])
    alarms = alarms[["day", "setup", "k", "n", "value", "baseline", "points", "alert"]]
    return Section(
        "days",
        "Does it hold day by day",
        f"Each day against the 28 before it; days of fewer than {min_cell} conversions are left out, "
        f"and one with fewer than {min_cell} reported, or missed, is not drawn. Limits are "
        f"set so that false alarms a year, where nothing changes, are {alarms_per_year:g} in all.",
        {"Days that stray": alarms} if len(alarms) else None,
        pictures,
        () if len(alarms) else ("No day strays further than chance would have it.",),
    )


def match_section(
    match: MatchRates | pd.DataFrame, platform: str, min_cell: int, findings: list[Finding]
) -> Section | None:
    """Show match rates by stratum: a fit, or a table of `match_rate`."""
    fitted = isinstance(match, MatchRates)
    table = match.table if isinstance(match, MatchRates) else match
    absent = [(name, "column is missing", None) for name in ("stratum", "k", "n", "value") if name not in table]
    if absent:
        raise ContractError("match rates", absent)
    shown = _stratum_by_stratum(table[[name for name in _FITTED if name in table]] if fitted else table, min_cell)
    drawn = shown[shown["value"].notna() & (shown["stratum"] != str(Stratum.NONE))]
    if drawn.empty:
        return None
    ours = drawn[drawn["platform"] == platform] if "platform" in drawn else drawn
    at = ours.drop_duplicates("stratum", keep=False).set_index("stratum")
    click, pii = str(Stratum.CLICK_ID), str(Stratum.PII_ONLY)
    if {click, pii} <= set(at.index):
        findings.append(
            Finding(
                f"Of events with a click id {share(at.loc[click])} are matched, of those with hashed data only "
                f"{share(at.loc[pii])}.",
                alert=False,
                where="match",
            )
        )
    groups = list(drawn.columns[: list(drawn.columns).index("stratum")])
    pictures = {}
    if len(groups) <= 1 and drawn["value"].between(0, 1).all() and "denominator" in drawn:
        hue = groups[0] if groups and drawn[groups[0]].nunique() > 1 else None
        plain = drawn if hue else drawn.drop(columns=groups)
        pictures["Match rate by what an event carries"] = picture(
            partial(plots.plot_rates, hue=hue, title="Match rate by what an event carries"), plain
        )
    text = "Matched: the platform tied the event to an account or a click; k of n events of a stratum. " + (
        f"Estimated from {'row outcomes' if match.source == 'rows' else 'daily totals alone'}; prior: where half of "
        "what was believed before lies."
        if isinstance(match, MatchRates)
        else "Counted of the platform's answers."
    )
    notes = tuple(match.statements) if isinstance(match, MatchRates) else ()
    table = shown.drop(columns="denominator") if fitted else shown
    return Section("match", "How often the platform knows who it was", text, {"By stratum": table}, pictures, notes)


def _stratum_by_stratum(table: pd.DataFrame, min_cell: int) -> pd.DataFrame:
    """Suppress small strata, and with one of them the sum of all: it would give it away."""
    groups = list(table.columns[: list(table.columns).index("stratum")])
    shown = suppress_small(table.rename(columns={"stratum": "row"}), min_cell).rename(columns={"row": "stratum"})
    keys = [shown[name] for name in groups] or [pd.Series(0, index=shown.index)]
    given_away = shown["suppressed"].groupby(keys, dropna=False).transform("any") & (shown["stratum"] == _ALL)
    told = ("k", "value", "low", "high", "unknown", "unusable")
    shown.loc[given_away, [name for name in told if name in shown]] = float("nan")
    few = shown["n"].isna().groupby(keys, dropna=False).transform("any") & (shown["stratum"] == _ALL)
    shown.loc[few, "n"] = float("nan")
    return shown.assign(suppressed=shown["suppressed"] | given_away)


def what_if_section(table: pd.DataFrame, min_cell: int, findings: list[Finding]) -> Section | None:
    """Rank what changes would bring; a change that touches fewer conversions than a cell may have is left out."""
    absent = [(name, "column is missing", None) for name in _NEEDED if name not in table]
    if absent:
        raise ContractError("what-if", absent)
    large = table if "touched" not in table else table[table["touched"] >= min_cell]
    large = large[large["matched"].notna()]
    if large.empty:
        return None
    best = large.sort_values("matched", ascending=False).iloc[0]
    if best["matched_low"] > 0:
        findings.append(
            Finding(
                f"Of the changes looked at, {best['change'].replace('_', ' ')} would bring most: "
                f"{best['matched']:+,.0f} [{best['matched_low']:+,.0f}, {best['matched_high']:+,.0f}] matched of "
                f"{best['n']:,.0f} conversions.",
                alert=False,
                where="what_if",
            )
        )
    pictures = {"What each change would bring": picture(plots.plot_what_if, large)}
    text = (
        f"Expected extra conversions of {best['n']:,.0f}, one change at a time. Numbers of two changes do not add up."
    )
    left_out = len(table) - len(large)
    notes = (f"Left out: changes that touch fewer than {min_cell} conversions ({left_out}).",) if left_out else ()
    if "rests_on" in large:
        notes = (*(f"{row.change}: {row.rests_on}" for row in large.itertuples() if row.rests_on), *notes)
    known = [name for name in _GAINS if name in large and large[name].notna().any()]
    shown = large[known].rename(columns={"value": "worth"})
    return Section("what_if", "What would bring more", text, {"Changes": shown}, pictures, notes)


def send_section(receipts: TableLike, min_cell: int, findings: list[Finding]) -> Section | None:
    """Say what became of the conversions of a send, and what is left to do."""
    table = send_outcome(receipts)
    if table.empty:
        return None
    shown = suppress_small(table, min_cell)
    for status, text in (
        (ReceiptStatus.REJECTED, "were rejected by the platform: mend them and send again"),
        (ReceiptStatus.UNKNOWN, "are in doubt: the platform may have them or not"),
        (ReceiptStatus.RETRY, "are still to be sent"),
    ):
        rows = shown["status"] == str(status)
        if rows.any():
            said = how_many(table.loc[rows, "k"], shown.loc[rows, "suppressed"], min_cell)
            findings.append(Finding(f"{said} conversions of the send {text}.", alert=True, where="send"))
    hidden = int(shown["suppressed"].sum())
    pictures = {}
    if not hidden:
        pictures["What became of the send"] = picture(plots.plot_send_outcome, table)
    notes = (f"{hidden} rows are suppressed: {SUPPRESSED.format(min_cell)}.",)
    return Section(
        "send", "What became of the send", "", {"By status and code": shown}, pictures, notes if hidden else ()
    )
