"""The picture of a send shows the counts of its table."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import ContractError, InputError


def test_bars_are_the_counts_of_each_turn() -> None:
    """A bar per turn, first on top; codes of a status add up; numbers in and beside bars; strange ones are refused."""
    table = pd.DataFrame(
        [
            (0, "accepted", None, 60, 100), (0, "retry", "429", 30, 100), (0, "retry", "500", 10, 100),
            (1, "accepted", None, 97, 100), (1, "rejected", "100", 3, 100),
        ],
        columns=["turn", "status", "code", "k", "n"],
    )  # fmt: skip
    ax = cl.plots.plot_send_outcome(table)
    widths = {bars.get_label(): [round(bar.get_width(), 2) for bar in bars] for bars in ax.containers}
    assert widths == {
        "accepted": [0.6, 0.97], "rejected": [0, 0.03], "still to be sent": [0.4, 0],
    }  # fmt: skip
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0\nn = 100", "1\nn = 100"]
    assert ax.yaxis_inverted()
    assert [text.get_text() for text in ax.texts] == ["60", "97", "40", "", "3 rejected"]
    plain = cl.plots.plot_send_outcome(table.drop(columns="turn").head(3), ax=ax)
    assert plain is ax
    with pytest.raises(ContractError):
        cl.plots.plot_send_outcome(table.drop(columns="n"))
    with pytest.raises(InputError, match="no rows"):
        cl.plots.plot_send_outcome(table.head(0))
    with pytest.raises(InputError, match="1 statuses"):
        cl.plots.plot_send_outcome(table.assign(status="lost"))
    plt.close("all")
