"""What is suppressed cannot be worked out from what is shown."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import capi_lab as cl
from capi_lab.words import Step
from tests.depth import THOROUGH

LEAST = 10
STEPS = [str(step) for step in (Step.TRUTH, Step.PIXEL, Step.SERVER, Step.ACCEPTED, Step.COUNTED)]
COUNTS = st.lists(st.sampled_from([0, 1, 2, 4, 6, 9, 10, 11, 25, 300]), min_size=1, max_size=3)


def causes(*counts: int) -> pd.DataFrame:
    """As `pair_causes` gives them: rows that add up to n."""
    names = [f"cause_{i}" for i in range(len(counts))]
    return rated(pd.DataFrame({"outcome": "double_counted", "cause": names, "k": counts, "n": sum(counts)}))


def rated(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(value=table["k"] / table["n"].clip(lower=1), low=0.0, high=1.0)


def waterfall(lost: list[list[int]], through: list[int], by_pixel: float = 0.5) -> pd.DataFrame:
    """As `Waterfall.table` has it: what each step loses, the steps, and what got through."""
    parts = [(STEPS[2 + i], k, "failed") for i, ks in enumerate(lost) for k in ks]
    parts += [(STEPS[-1], k, "through") for k in through]
    n = sum(k for _, k, _ in parts)
    rows = [("bucket", step, f"b{i}", fate, k) for i, (step, k, fate) in enumerate(parts)]
    left = n
    for at, step in enumerate(STEPS):
        if at >= 2:
            left -= sum(lost[at - 2])
        rows.append(("step", step, None, None, round(by_pixel * n) if step == str(Step.PIXEL) else left))
    table = pd.DataFrame(rows, columns=["kind", "step", "bucket", "fate", "k"]).assign(n=n, reason=None)
    table["k_pixel"] = np.where(table["step"] == str(Step.PIXEL), table["k"], table["k"] // 2)
    return rated(table)


def told(shown: list[np.ndarray], of: np.ndarray) -> bool:
    """Say whether a sum of parts follows from the sums that are shown (plain linear algebra)."""
    if not shown:
        return False
    known = np.array(shown, dtype=float)
    return bool(np.linalg.matrix_rank(np.vstack([known, of])) == np.linalg.matrix_rank(known))


def given_away(equations: list[np.ndarray], k: np.ndarray, hidden: np.ndarray) -> list[tuple[int, ...]]:
    """List the sets of hidden parts whose sum can be worked out although it is of few, or of one part alone."""
    found = []
    for size in range(1, len(hidden) + 1):
        for some in combinations(hidden, size):
            of = np.zeros(len(k))
            of[list(some)] = 1
            if (size == 1 or 0 < k[list(some)].sum() < LEAST) and told(equations, of):
                found.append(some)
    return found


@settings(max_examples=400 if THOROUGH else 60, deadline=None)
@example([[3], [0], [200]], [40])
@example([[3, 4], [], []], [200])
@example([[], [], [5]], [2, 1])
@given(st.lists(COUNTS, min_size=3, max_size=3), COUNTS)
def test_no_bucket_of_a_waterfall_can_be_worked_out(lost: list[list[int]], through: list[int]) -> None:
    """Buckets add up to the ledger and each step is the one before less its losses: no few follow from the others."""
    table = waterfall(lost, through)
    n = int(table["n"].iloc[0])
    shown = cl.suppress_small(table, LEAST)
    bucket = (table["kind"] == "bucket").to_numpy()
    k, is_hidden = table["k"].to_numpy()[bucket], shown["suppressed"].to_numpy()[bucket]
    ends = table["step"].map(STEPS.index).to_numpy()[bucket] + (table["fate"] == "through").to_numpy()[bucket]
    equations = [] if 0 < n < LEAST else [np.ones(len(k))]
    equations += [row for row, hid in zip(np.eye(len(k)), is_hidden, strict=True) if not hid]
    for row in shown[~bucket & ~shown["suppressed"] & ~shown["step"].isin(STEPS[:2])].itertuples():
        equations.append((ends > STEPS.index(row.step)).astype(float))
        assert equations[-1] @ k == row.k
    assert not given_away(equations, k, np.flatnonzero(is_hidden))
    few = (k > 0) & (k < LEAST)
    assert is_hidden[few].all()
    assert shown.loc[shown["suppressed"], ["k", "value", "low", "high"]].isna().all(axis=None)
    if not few.any() and not (0 < n < LEAST):
        assert not is_hidden.any()


@settings(max_examples=300 if THOROUGH else 60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=6))
def test_no_row_of_a_sum_can_be_worked_out(counts: list[int]) -> None:
    """Rows that add up to n, as causes do: one small one takes company along, and all else stays."""
    shown = cl.suppress_small(causes(*counts), LEAST)
    k, hidden = np.array(counts), shown["suppressed"].to_numpy()
    equations = ([] if 0 < sum(counts) < LEAST else [np.ones(len(k))]) + list(np.eye(len(k))[~hidden])
    assert not given_away(equations, k, np.flatnonzero(hidden))
    assert hidden[(k > 0) & (k < LEAST)].all()
    if (k[k > 0] >= LEAST).all():
        assert not hidden.any()


def test_the_smallest_of_the_others_goes_along() -> None:
    """Three beside 40, 60 and 200: the three and the 40 are blanked; of each platform apart."""
    shown = cl.suppress_small(causes(200, 60, 40, 3), LEAST)
    assert shown["suppressed"].tolist() == [False, False, True, True]
    sends = pd.DataFrame(
        {"platform": ["a", "a", "b", "b", "b"], "status": list("xyxyz"), "k": [50, 60, 3, 80, 90],
         "n": [110, 110, 173, 173, 173]}
    )  # fmt: skip
    assert cl.suppress_small(rated(sends), LEAST)["suppressed"].tolist() == [False, False, True, True, False]


def test_a_lone_loss_hides_the_step_behind_it() -> None:
    """A step that lost three and nothing else: the step's own count, and the next loss, would give them away."""
    shown = cl.suppress_small(waterfall([[3], [30, 50], [20]], [400]), LEAST)
    hidden = shown[shown["suppressed"]]
    assert hidden[["kind", "step"]].to_numpy().tolist() == [
        ["bucket", "server"], ["bucket", "accepted"], ["step", "server"],
    ]  # fmt: skip
    assert hidden["bucket"].tolist()[:2] == ["b0", "b1"]


@pytest.mark.parametrize("small", [1, 3])
def test_a_small_group_is_not_the_only_one_missing(small: int) -> None:
    """All countries are known together: with one small country goes the next smallest, with enough of them none."""
    sizes = {"DE": 400, "FR": 90, "NL": 60} | {f"s{i}": 8 for i in range(small)}
    rows = [(c, s, n // 2, n) for c, n in sizes.items() for s in ("pixel", "capi")]
    table = rated(pd.DataFrame(rows, columns=["country", "setup", "k", "n"]))
    shown = cl.suppress_small(table, LEAST).groupby("country")["suppressed"].all()
    assert set(shown[shown].index) == {f"s{i}" for i in range(small)} | ({"NL"} if small == 1 else set())
    n = cl.suppress_small(table, LEAST).groupby("country")["n"].first()
    assert n.isna().sum() == max(small, 2)  # the n of the others is shown, and so is their sum
    whole = cl.suppress_small(table.drop(columns="country").iloc[:2], LEAST)
    assert not whole["suppressed"].any()


def test_what_the_pixel_saw_of_few_is_not_told() -> None:
    """Of 200 that were lost the pixel saw 3: the bucket stays, `k_pixel` of all buckets and of later steps goes."""
    table = waterfall([[200], [], [100]], [400])
    table.loc[table["bucket"] == "b1", "k_pixel"] = 3
    through = table["step"].eq("counted") & table["kind"].eq("step")
    table.loc[through, "k_pixel"] = 247  # 250 before that step
    shown = cl.suppress_small(table, LEAST)
    assert not shown["suppressed"].any()
    assert shown.loc[shown["kind"] == "bucket", "k_pixel"].isna().all()
    steps = shown[shown["kind"] == "step"].set_index("step")["k_pixel"]
    assert steps.isna().to_dict() == {
        "truth": False, "pixel": False, "server": False, "accepted": False, "counted": True,
    }  # fmt: skip
    plain = cl.suppress_small(waterfall([[200], [], [100]], [400]), LEAST)
    assert plain["k_pixel"].notna().all()
    hidden = cl.suppress_small(waterfall([[3, 40], [], [100]], [400]), LEAST)  # the sum of both would tell of 21 and 22
    assert hidden.loc[~hidden["suppressed"], "k_pixel"].notna().all()


def test_amounts_go_by_the_conversions_behind_them() -> None:
    """Of a waterfall in money, too, people count; what the pixel saw of a bucket in money is not told."""
    table = waterfall([[3], [40], []], [400]).assign(currency="EUR")
    table = table.assign(conversions_k=table["k"], conversions_n=table["n"], k=table["k"] * 1e4, n=table["n"] * 1e4)
    table = table[["currency", *[name for name in table.columns if name != "currency"]]]
    shown = cl.suppress_small(table, LEAST)
    assert shown.loc[shown["suppressed"], "bucket"].dropna().tolist() == ["b0", "b1"]
    assert shown.loc[shown["kind"] == "bucket", "k_pixel"].isna().all()


def test_an_empty_table_stays_empty() -> None:
    """Nothing is nothing."""
    assert cl.suppress_small(causes(1).iloc[:0], LEAST).empty
