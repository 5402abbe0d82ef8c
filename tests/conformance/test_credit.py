"""Credit on the path data that two other packages ship, against published numbers; the data stays theirs."""

from __future__ import annotations

from importlib.resources import files

import pandas as pd
import pytest

import capi_lab as cl

pytest.importorskip("mta")
pytestmark = pytest.mark.conformance

# Heuristics: ChannelAttribution 2.2.5. Markov: absorbing chain of order 1, P(conversion) = 19785/88387.
COLUMNS = ("first", "last", "linear", "position", "decay", "shapley", "markov", "removal")
PUBLISHED = {
    "alpha": (6308, 8447, 7574.718594, 7444.8238, 8046.6281, 7627.9440, 5344.9477, 0.5584),
    "iota": (4606, 3355, 3857.096221, 3944.9482, 3522.4508, 3505.0440, 3884.6147, 0.4058),
    "eta": (3164, 4167, 3539.951157, 3618.7961, 3796.2519, 3613.6560, 3340.8474, 0.3490),
    "beta": (2831, 989, 2083.500145, 1969.7662, 1599.3883, 1982.7393, 2527.3522, 0.2640),
    "theta": (1606, 653, 1022.801394, 1092.7445, 864.8724, 1190.9631, 1971.9129, 0.2060),
    "lambda": (902, 1207, 1035.257572, 1046.9039, 1126.5053, 987.7821, 1282.8472, 0.1340),
    "epsilon": (99, 531, 272.170438, 301.0502, 402.6826, 374.6774, 599.5707, 0.0626),
    "zeta": (27, 107, 136.551540, 88.6229, 128.4505, 199.9917, 381.0626, 0.0398),
    "kappa": (74, 230, 137.964078, 147.4596, 186.4278, 159.0571, 274.3633, 0.0287),
    "gamma": (165, 92, 121.041639, 125.2409, 105.8855, 138.1857, 171.1454, 0.0179),
    "mi": (2, 2, 2.222222, 2.0571, 2.5010, 2.6667, 1.7224, 0.0002),
    "delta": (1, 5, 1.725000, 2.5867, 2.9558, 2.2929, 4.6136, 0.0005),
}


@pytest.fixture(scope="module")
def paths() -> pd.DataFrame:
    """The 10,000 paths, under our names."""
    with files("mta").joinpath("data/data.csv.gz").open("rb") as file:
        found = pd.read_csv(file, compression="gzip")
    assert (len(found), int(found["total_conversions"].sum()), int(found["total_null"].sum())) == (
        10_000,
        19_785,
        68_602,
    )
    names = {"total_conversions": "conversions", "total_conversion_value": "value", "total_null": "nulls"}
    return found.rename(columns=names)


@pytest.mark.parametrize("model", COLUMNS[:-1])
def test_published_credits(paths: pd.DataFrame, model: str) -> None:
    """Every channel's credit to the digits published."""
    table = cl.credit(paths, model).set_index("channel")
    at = COLUMNS.index(model)
    digits = 6 if model == "linear" else 4
    for channel, numbers in PUBLISHED.items():
        assert round(table.loc[channel, "credit"], digits) == pytest.approx(numbers[at], abs=10**-digits), channel
    assert table["value_credit"].sum() == pytest.approx(74_802.97158721084)
    if model == "markov":
        for channel, numbers in PUBLISHED.items():
            assert round(table.loc[channel, "removal_effect"], 4) == pytest.approx(numbers[-1], abs=1e-4)


def test_the_file_is_the_one_that_was_published(paths: pd.DataFrame) -> None:
    """Value, paths and their mean length are those of the published file."""
    assert paths["value"].sum() == pytest.approx(74_802.97158721084)
    assert paths["path"].nunique() == 5_408
    assert round(paths["path"].str.count(">").add(1).mean(), 2) == 5.95
