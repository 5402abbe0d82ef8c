"""Pictures of dedup: tests read the artists, not pixels."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import ContractError, InputError


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


CAUSES = pd.DataFrame(
    {
        "outcome": ["deduplicated", "deduplicated", "double_counted", "unknown"],
        "cause": [None, "value_differs", "missing_event_id", "unknown"],
        "k": [80, 4, 10, 6],
        "n": 100,
        "value": [0.8, 0.04, 0.1, 0.06],
        "low": [0.7, 0.01, 0.05, 0.02],
        "high": [0.9, 0.1, 0.2, 0.11],
        "method": "wilson",
    }
)


def test_causes_are_drawn_from_rare_to_common() -> None:
    """A bar a cause at its share, its colour the outcome; pairs without a cause are the denominator only."""
    ax = cl.plots.plot_causes(CAUSES)
    assert [bar.get_width() for bar in ax.patches] == [0.04, 0.06, 0.1]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["value differs", "unknown", "missing event id"]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["deduplicated", "unknown", "double counted"]
    assert "n = 100" in ax.get_xlabel()
    assert [t.get_text() for t in ax.texts] == ["4.0% (4)", "6.0% (6)", "10.0% (10)"]
    none = cl.plots.plot_causes(CAUSES.head(1))
    assert (len(none.patches), none.get_legend()) == (0, None)
    with pytest.raises(ContractError, match="cause"):
        cl.plots.plot_causes(CAUSES.drop(columns="cause"))


def test_the_timeline_has_a_step_for_every_day() -> None:
    """Shares of the pairs of each day, also of days without one; a pair without a time is refused by count."""
    times = pd.Series(
        pd.to_datetime(["2026-05-01 23:59", "2026-05-01 00:00", "2026-05-03 12:00"], utc=True), index=["a", "b", "c"]
    )
    pairs = pd.DataFrame(
        {"conversion_id": ["a", "b", "c"], "outcome": ["deduplicated", "double_counted", "over_merged"]}
    )
    ax = cl.plots.plot_dedup_timeline(pairs, times)
    heights = [[round(bar.get_height(), 3) for bar in container] for container in ax.containers]
    assert heights == [[0.5, 0.0, 0.0], [0.0, 0.0, 1.0]]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["double counted", "over merged"]
    assert "n = 3" in ax.get_title(loc="left")
    wide = cl.plots.plot_dedup_timeline(pairs, times, days=7)
    assert [round(c[0].get_height(), 3) for c in wide.containers] == [0.333, 0.333]
    with pytest.raises(InputError, match="1 pairs have no time"):
        cl.plots.plot_dedup_timeline(pairs, times.drop("b"))
