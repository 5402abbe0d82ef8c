"""Pictures of click ids show the numbers of their tables."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import ContractError, InputError, UnknownNameError

TABLE = pd.DataFrame(
    {
        "unit": ["clicks", "clicks", "orders", "orders"], "step": ["bought", "landed", "came", "order"],
        "k": [400, 372, 300, 90], "n": [400, 400, 1000, 300], "value": [1.0, 0.93, 0.3, 0.3],
        "low": [1.0, 0.9, 0.27, 0.25], "high": [1.0, 0.95, 0.33, 0.36], "lost": [0, 28, 0, 210],
        "not_observed": 0,
    }
)  # fmt: skip
LOST = pd.DataFrame(
    {
        "step": ["landed"] * 28 + ["order"] * 210, "unit": ["clicks"] * 28 + ["orders"] * 210,
        "fix": ["keep_parameters"] * 28 + ["own_server_cookie"] * 150 + ["tie_by_person"] * 60,
    }
)  # fmt: skip


def test_funnel_draws_what_passed_and_what_was_lost() -> None:
    """A bar per observed step, the loss behind it; what was not observed is said, never drawn as nothing."""
    found = cl.ClickIdFunnel("meta", (), TABLE, {"event": "give events="}, (), LOST)
    ax = cl.plots.plot_click_id_funnel(found)
    assert [round(bar.get_width(), 3) for bar in ax.patches] == [1.0, 0.93, 0.07, 0.3, 0.3, 0.7]
    words = " ".join(text.get_text() for text in ax.texts)
    assert "90 of 300 (30.0%)" in words
    assert "150 of 210 lost: own server cookie" in words
    assert "not observed: give events=" in words
    assert [label.get_text() for label in ax.get_yticklabels()][-1] == "id on the server event"
    plt.close("all")


def test_funnel_of_several_groups_is_refused() -> None:
    """Steps twice, no step, or a column missing: nothing one could draw."""
    with pytest.raises(InputError):
        cl.plots.plot_click_id_funnel(pd.concat([TABLE, TABLE]))
    with pytest.raises(ContractError):
        cl.plots.plot_click_id_funnel(TABLE.drop(columns="lost"))


@dataclass
class Survived:
    """What a picture needs of a `ClickIdSurvival`."""

    curves: pd.DataFrame
    steps: pd.DataFrame


def test_survival_draws_both_curves_of_each_group() -> None:
    """Per group the fitted curve with its band, and the steps of the free one; groups can be chosen."""
    curves = pd.DataFrame(
        {
            "browser": ["Chrome", "Chrome", "Safari", "Safari"], "days": [0.5, 9.0, 0.5, 9.0],
            "value": [0.9, 0.8, 0.9, 0.1], "low": [0.8, 0.7, 0.8, 0.0], "high": [0.95, 0.9, 0.95, 0.2], "clicks": 70,
        }
    )  # fmt: skip
    steps = pd.DataFrame({"browser": ["Chrome", "Safari"], "days": [2.0, 1.0], "free": [0.8, 0.2]})
    ax = cl.plots.plot_click_id_survival(Survived(curves, steps))
    assert [line.get_ydata().tolist() for line in ax.lines] == [[0.9, 0.8], [0.8], [0.9, 0.1], [0.2]]
    assert len(ax.collections) == 2
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == ["Chrome (n = 70)", "Safari (n = 70)"]
    assert len(cl.plots.plot_click_id_survival(Survived(curves, steps), only=["Safari"]).lines) == 2
    with pytest.raises(UnknownNameError):
        cl.plots.plot_click_id_survival(Survived(curves, steps), only=["Lynx"])
    plt.close("all")
