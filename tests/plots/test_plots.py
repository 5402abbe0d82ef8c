"""Plots draw finished tables: tests read the artists, not pixels."""

from __future__ import annotations

import inspect

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import ContractError


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
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["pixel only", "server only", "pixel + CAPI"]
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
