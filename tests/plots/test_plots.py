"""Plots draw finished tables: tests read the artists, not pixels."""

from __future__ import annotations

import inspect

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import ContractError, InputError


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def table(**groups: list[str]) -> pd.DataFrame:
    n = len(next(iter(groups.values()), ["all"]))
    frame = pd.DataFrame(groups, index=range(n)) if groups else pd.DataFrame(index=range(1))
    frame = frame.loc[frame.index.repeat(3)].reset_index(drop=True)
    value = [0.6, 0.8, 0.85] * n
    return frame.assign(
        setup=["pixel", "capi", "pixel+capi"] * n,
        k=[60, 80, 85] * n,
        n=100,
        value=value,
        low=[v - 0.05 for v in value],
        high=[v + 0.05 for v in value],
        method="wilson",
    )


def test_coverage_plot_shows_values_intervals_and_n() -> None:
    """Points sit at the values, one colour a setup, and the axis names denominator and n."""
    ax = cl.plots.plot_coverage(table())
    points = [line.get_xdata().tolist() for line in ax.lines if line.get_marker() == "o"]
    assert points == [[0.6], [0.8], [0.85]]
    assert "share of the ledger" in ax.get_xlabel()
    assert ax.get_yticklabels()[0].get_text() == "all\nn = 100"
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["pixel", "server (CAPI)", "pixel + CAPI"]
    assert [t.get_text() for t in ax.texts] == ["60.0%", "80.0%", "85.0%"]


def test_coverage_plot_orders_groups_and_leaves_suppressed_out() -> None:
    """Groups are lines from low to high pixel coverage; a suppressed group has no point."""
    wide = table(browser=["b", "a"], country=["US", None])
    wide.loc[wide["browser"] == "b", ["value", "low", "high"]] += 0.1
    ax = cl.plots.plot_coverage(wide)
    assert [t.get_text().split("\n")[0] for t in ax.get_yticklabels()] == ["a · (missing)", "b · US"]
    hidden = cl.suppress_small(table().assign(n=5, k=2), 10)
    assert not [t for t in cl.plots.plot_coverage(hidden).texts if t.get_text()]


def test_gap_plot_adds_up_in_its_title() -> None:
    """The title states the whole gap; bars are the fair shares."""
    gap = pd.DataFrame({"cause": ["blocker", "page_left"], "k": [2, 1], "n": 4, "shapley": [0.3, 0.1], "only": 0.1})
    ax = cl.plots.plot_gap(gap)
    assert ax.get_title(loc="left") == "Why 40.0% of conversions were missed"
    assert sorted(p.get_width() for p in ax.patches) == [0.1, 0.3]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["page left", "blocker"]


def test_plots_draw_where_they_are_told_and_leave_style_alone() -> None:
    """``ax=`` is used and returned; rcParams are the caller's before and after."""
    before = dict(mpl.rcParams)
    _, ax = plt.subplots()
    assert cl.plots.plot_coverage(table(), ax=ax) is ax
    assert dict(mpl.rcParams) == before


def test_plots_refuse_tables_that_are_none() -> None:
    """The missing column is named."""
    with pytest.raises(ContractError, match="setup: column is missing"):
        cl.plots.plot_coverage(pd.DataFrame({"value": [1]}))


def test_no_plot_takes_free_keywords() -> None:
    """Public plots have named arguments only, ``ax`` among them."""
    for name in cl.plots.__all__:
        if name.startswith("plot_"):
            parameters = inspect.signature(getattr(cl.plots, name)).parameters
            assert "ax" in parameters
            assert all(p.kind is not p.VAR_KEYWORD for p in parameters.values())


def rates(**columns: object) -> pd.DataFrame:
    base = {
        "stratum": ["click_id", "pii_only", "none"],
        "k": [86, 39, 0],
        "n": [100, 100, 0],
        "value": [0.86, 0.39, None],
    }
    frame = pd.DataFrame(base).assign(low=[0.8, 0.3, None], high=[0.9, 0.5, None], denominator="server events")
    for name, value in reversed(columns.items()):
        frame.insert(0, name, value)
    return frame


def test_rates_are_lines_and_groups_are_marks() -> None:
    """A line per stratum, a colour and a mark per platform, k of n beside each; rows without a value are left out."""
    stacked = pd.concat([rates(platform="Meta"), rates(platform=None)], ignore_index=True)
    ax = cl.plots.plot_rates(stacked)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["with a click id", "hashed PII only"]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["Meta", "(missing)"]
    assert [t.get_text() for t in ax.texts] == ["86.0% of 100", "39.0% of 100"] * 2
    assert ax.get_xlabel() == "Share of server events, with interval"
    assert cl.plots.plot_rates(rates()).get_legend() is None
    with pytest.raises(InputError, match="share a line and a mark"):
        cl.plots.plot_rates(pd.concat([rates(), rates()]))
    with pytest.raises(InputError, match="told apart"):
        cl.plots.plot_rates(pd.concat([rates(shop=str(i)) for i in range(7)]))
    with pytest.raises(ContractError, match="stratum"):
        cl.plots.plot_rates(rates().drop(columns="stratum"))


def test_overlap_bars_fill_the_ledger() -> None:
    """60 and 80 of 100 seen, 85 together: 5 only the pixel, 55 both, 25 only the server, 15 neither."""
    ax = cl.plots.plot_overlap(table(browser=["Safari"]))
    assert [p.get_width() for p in ax.patches] == pytest.approx([0.05, 0.55, 0.25, 0.15])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["Safari\nn = 100"]
    with pytest.raises(ContractError, match="rows of capi are missing"):
        cl.plots.plot_overlap(table().query("setup != 'capi'"))


def test_trend_shows_alarms_and_says_how_often_they_are_false() -> None:
    """The alarm is marked with its change in points; the axis states the rate of false ones."""
    days = pd.date_range("2026-01-01", periods=40, tz="UTC")
    k = [620] * 39 + [500]
    daily = pd.DataFrame({"day": days, "k": k, "n": 1000, "value": [x / 1000 for x in k], "low": 0.0, "high": 1.0})
    found = cl.trend(daily.assign(method="wilson", level=0.95, denominator="server events"), alarms_per_year=2)
    ax = cl.plots.plot_trend(found)
    assert [t.get_text() for t in ax.texts] == ["-12.0 points"]
    assert "One false alarm in 0.5 years" in ax.get_xlabel()
    assert ax.get_title(loc="left") == "1 alarm in 40 days"
    with pytest.raises(InputError, match="one series"):
        cl.plots.plot_trend(pd.concat([found, found]))
