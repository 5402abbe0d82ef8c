"""Credit rules against published numbers, brute force and laws."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import capi_lab as cl
from capi_lab.errors import ContractError, InputError, UnknownNameError
from capi_lab.model.credit import CREDIT_RULES

NINE = ["A", "A > B", "A > B > C", "B", "B > A", "B > C > A", "C", "C > A", "C > B > A"]


def by_channel(table: pd.DataFrame, column: str = "credit") -> dict[str, float]:
    return table.set_index("channel")[column].to_dict()


def test_one_path_by_hand() -> None:
    """A > B > A > C, 10 conversions worth 100: every additive rule's shares, worked out on paper."""
    paths = pd.DataFrame({"path": [["A", "B", "A", "C"]], "conversions": [10], "value": [100.0]})
    expected = {
        "first": {"A": 10, "B": 0, "C": 0},
        "last": {"A": 0, "B": 0, "C": 10},
        "linear": {"A": 5, "B": 2.5, "C": 2.5},
        "position": {"A": 5, "B": 1, "C": 4},
        "decay": {"A": 10 * (1 / 8 + 1 / 2) / (15 / 8), "B": 10 * (1 / 4) / (15 / 8), "C": 10 / (15 / 8)},
        "shapley": {"A": 10 / 3, "B": 10 / 3, "C": 10 / 3},
    }
    for model, shares in expected.items():
        table = cl.credit(paths, model)
        assert by_channel(table) == pytest.approx(shares), model
        assert by_channel(table, "value_credit") == pytest.approx({c: 10 * s for c, s in shares.items()})
    assert by_channel(cl.credit(pd.DataFrame({"path": ["A > B"], "conversions": 2}), "position")) == {"A": 1, "B": 1}


@pytest.mark.parametrize("model", CREDIT_RULES)
def test_nine_paths_total_27(model: str) -> None:
    """The small oracle of another package's own tests: nine paths worth 3 each, every model totals 27."""
    table = cl.credit(pd.DataFrame({"path": NINE, "conversions": 3}), model)
    assert table["credit"].sum() == pytest.approx(27)
    assert set(table["channel"]) == {"A", "B", "C"}


def test_shapley_is_the_value_of_the_unanimity_game() -> None:
    """The closed form equals the sum over all coalitions."""
    rng = np.random.default_rng(3)
    names = list("ABCD")
    paths = [list(rng.choice(names, rng.integers(1, 6))) for _ in range(30)]
    k = rng.integers(1, 9, 30)

    def worth(coalition: frozenset[str]) -> float:
        return float(sum(n for path, n in zip(paths, k, strict=True) if set(path) <= coalition))

    n = len(names)
    expected = {}
    for c in names:
        others = [x for x in names if x != c]
        expected[c] = sum(
            math.factorial(r) * math.factorial(n - r - 1) / math.factorial(n)
            * (worth(frozenset(s) | {c}) - worth(frozenset(s)))
            for r in range(n)
            for s in itertools.combinations(others, r)
        )  # fmt: skip
    assert by_channel(cl.credit(pd.DataFrame({"path": paths, "conversions": k}), "shapley")) == pytest.approx(expected)


def test_markov_removes_a_channel_exactly() -> None:
    """Two channels on paper: P = 2/3; without A 1/6, without B 1/3; and walks of the chain agree."""
    paths = pd.DataFrame({"path": ["A", "A > B", "B"], "conversions": [1, 1, 0], "nulls": [0, 0, 1]})
    # From the start A 2/3, B 1/3. From A: conversion 1/2, B 1/2. From B: conversion 1/2, null 1/2.
    table = cl.credit(paths, "markov").set_index("channel")
    whole = 2 / 3 * (1 / 2 + 1 / 2 * 1 / 2) + 1 / 3 * 1 / 2
    assert table.loc["A", "removal_effect"] == pytest.approx(1 - (1 / 3 * 1 / 2) / whole)
    assert table.loc["B", "removal_effect"] == pytest.approx(1 - (2 / 3 * 1 / 2) / whole)
    assert table["credit"].sum() == pytest.approx(2)
    loops = paths.assign(path=["A > A", "A > A > B > B", "B"])
    assert cl.credit(loops, "markov")["share"].tolist() == pytest.approx(cl.credit(paths, "markov")["share"].tolist())


@settings(max_examples=60)
@given(
    paths=st.lists(
        st.tuples(st.lists(st.sampled_from("ABC"), min_size=1, max_size=5), st.integers(0, 5), st.integers(0, 5)),
        min_size=1, max_size=8,
    ),
    unseen=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    model=st.sampled_from(CREDIT_RULES),
)  # fmt: skip
def test_laws(paths: list, unseen: float, model: str) -> None:
    """Credits sum to the conversions, bounds hold them, and nothing depends on the order of the rows."""
    frame = pd.DataFrame(paths, columns=["path", "conversions", "nulls"])
    n = frame["conversions"].sum()
    if n == 0:
        with pytest.raises(InputError, match="nothing to share"):
            cl.credit(frame, model)
        return
    table = cl.credit(frame, model, unseen=unseen)
    assert table["credit"].sum() == pytest.approx(n)
    assert (table["n"] == n).all()
    if model != "markov" or unseen == 0:
        assert (table["low"] <= table["credit"] + 1e-9).all()
        assert (table["credit"] <= table["high"] + 1e-9).all()
        assert table["low"].ge(-1e-9).all()
        assert table["high"].le(n + 1e-9).all()
    else:
        assert table[["low", "high"]].isna().all(axis=None)
    again = cl.credit(frame.iloc[::-1], model, unseen=unseen).set_index("channel")
    assert again["credit"].to_dict() == pytest.approx(by_channel(table))


def test_bounds_are_those_of_the_worst_and_best_hidden_touches() -> None:
    """Every way in which one conversion in four could owe all to one channel: the bounds are reached, not exceeded."""
    paths = pd.DataFrame({"path": ["A", "A > B", "B > C", "C"], "conversions": 1})
    table = cl.credit(paths, "linear", unseen=0.25).set_index("channel")
    shares = {"A": [1, 0.5, 0, 0], "B": [0, 0.5, 0.5, 0], "C": [0, 0, 0.5, 1]}
    for c, own in shares.items():
        whole = sum(own)
        reached = [whole - one for one in own] + [whole - one + 1 for one in own]
        assert (table.loc[c, "low"], table.loc[c, "high"]) == (min(reached), max(reached))


def test_bad_input_is_named() -> None:
    """Absent columns, negative counts, empty paths, unknown models and shares outside [0, 1]."""
    good = pd.DataFrame({"path": ["A"], "conversions": [1]})
    with pytest.raises(ContractError, match="conversions"):
        cl.credit(good.drop(columns="conversions"))
    with pytest.raises(ContractError, match="negative"):
        cl.credit(good.assign(conversions=-1))
    for path in ("", " > ", None, [], float("nan")):
        with pytest.raises(ContractError, match="no channel"):
            cl.credit(pd.DataFrame({"path": [path, "A"], "conversions": 1}))
    with pytest.raises(UnknownNameError, match="magic"):
        cl.credit(good, "magic")
    with pytest.raises(InputError, match="unseen"):
        cl.credit(good, unseen=2)
    with pytest.raises(InputError, match="half_life"):
        cl.credit(good, "decay", half_life=0)
