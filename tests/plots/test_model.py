"""Pictures of models show the numbers of their tables."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import ContractError

TABLE = pd.DataFrame(
    {
        "change": ["phone_at_checkout", "keep_click_ids"], "n": 500, "matched": [40.0, 12.0],
        "matched_low": [30.0, -2.0], "matched_high": [50.0, 26.0],
        "value": [float("nan"), 10.0], "value_low": [float("nan"), 5.0],
        "value_high": [float("nan"), 15.0],
    }
)  # fmt: skip


def test_tornado_has_the_greatest_on_top() -> None:
    """A bar per change, as long as its gain; what is not known is left out; a table without it is refused."""
    ax = cl.plots.plot_what_if(TABLE)
    assert [bar.get_width() for bar in ax.patches] == [12.0, 40.0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["keep click ids", "phone at checkout"]
    assert len(cl.plots.plot_what_if(TABLE, measure="value").patches) == 1
    with pytest.raises(ContractError):
        cl.plots.plot_what_if(TABLE, measure="attributed")
    plt.close("all")


def test_calibration_shows_said_against_was() -> None:
    """Rows of one probability are one point at the share that was matched; the Brier score is in the title."""
    ax = cl.plots.plot_calibration(pd.Series([0.5, 0.5, 0.9, 0.9]), pd.Series([True, False, True, True]))
    points = next(line for line in ax.lines if line.get_marker() == "o")
    assert points.get_xydata().tolist() == [[0.5, 0.5], [0.9, 1.0]]
    assert "0.130" in ax.get_title(loc="left")
    plt.close("all")
