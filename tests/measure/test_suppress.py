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


def causes(*counts: int) -> pd.DataFrame:
    """As `pair_causes` gives them: rows that add up to n."""
    names = [f"cause_{i}" for i in range(len(counts))]
    return rated(pd.DataFrame({"outcome": "double_counted", "cause": names, "k": counts, "n": sum(counts)}))


def rated(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(value=table["k"] / table["n"].clip(lower=1), low=0.0, high=1.0)


Cell = tuple[int, int]  # seen by the pixel, not seen by it


def waterfall(lost: list[list[Cell]], through: list[Cell]) -> pd.DataFrame:
    """As `Waterfall.table` has it: what each step loses, the steps, and what got through.

    What the server's step loses nobody saw.
    """
    parts = [(STEPS[2 + i], cell, "failed") for i, cells in enumerate(lost) for cell in cells]
    parts += [(STEPS[-1], cell, "through") for cell in through]
    rows = [("bucket", step, f"b{i}", fate, a + b, a) for i, (step, (a, b), fate) in enumerate(parts)]
    left = np.sum([cell for _, cell, _ in parts] or [(0, 0)], axis=0)
    n, seen = int(left.sum()), int(left[0])
    for at, step in enumerate(STEPS):
        if at >= 2:
            left = left - np.sum([*lost[at - 2], (0, 0)], axis=0)
        k = seen if step == str(Step.PIXEL) else int(left.sum())
        rows.append(("step", step, None, None, k, int(left[0])))
    table = pd.DataFrame(rows, columns=["kind", "step", "bucket", "fate", "k", "k_pixel"]).assign(n=n, reason=None)
    return rated(table)


def both(*counts: int) -> list[Cell]:
    """Cells of which half was seen."""
    return [(k // 2, k - k // 2) for k in counts]


def unseen(*counts: int) -> list[Cell]:
    return [(0, k) for k in counts]


def given_away(equations: list[np.ndarray], atoms: np.ndarray, most: int = 3) -> list[tuple[int, ...]]:
    """List the sets of people that are few and whose number follows from the sums shown (plain linear algebra)."""
    if not equations:
        return []
    known = np.array(equations, dtype=float)
    onto = np.linalg.pinv(known) @ known  # a sum follows where it lies among combinations of those that are shown
    some = [
        one
        for size in range(1, most + 1)
        for one in combinations(np.flatnonzero(atoms), size)
        if atoms[list(one)].sum() < LEAST
    ]
    of = np.zeros((len(some), len(atoms)))
    for row, one in enumerate(some):
        of[row, list(one)] = 1
    return [one for one, off in zip(some, np.abs(of - of @ onto).max(axis=1, initial=0), strict=True) if off < 1e-9]


SIZES = st.sampled_from([0, 0, 1, 4, 9, 10, 25, 300])
CELLS = st.lists(st.tuples(SIZES, SIZES), min_size=0, max_size=2)
UNSEEN = st.lists(st.tuples(st.just(0), SIZES), min_size=0, max_size=3)


@settings(max_examples=600 if THOROUGH else 30, deadline=None)
@example(unseen(3), [], [], both(40, 200), 0)
@example(unseen(3, 4), [], [], both(200, 0), 1)
@example([], [], both(5), both(2, 1), 2)
@example(unseen(455), [], [], [(500, 0), (40, 0), (0, 5)], 3)  # the server adds five
@example(unseen(3, 40, 300), [(2, 1), (50, 0)], [], [(200, 200)], 4)
@given(UNSEEN, CELLS, CELLS, CELLS, st.integers(0, 9))
def test_nothing_of_a_waterfall_can_be_worked_out(
    server: list[Cell], accepted: list[Cell], counted: list[Cell], through: list[Cell], order: int
) -> None:
    """Buckets add up, steps lose, and the pixel's part of each adds up too: no few follow from what is shown."""
    table = waterfall([server, accepted, counted], through).sample(frac=1, random_state=order)
    n = int(table["n"].iloc[0])
    shown = cl.suppress_small(table, LEAST)
    bucket = table["kind"] == "bucket"
    names = list(table.loc[bucket, "bucket"])
    ends = (table["step"].map(STEPS.index) + (table["fate"] == "through"))[bucket].to_numpy()
    parts = table[bucket]
    atoms = np.array([*parts["k_pixel"], *(parts["k"] - parts["k_pixel"])])
    zero, equations = np.zeros(len(names)), [] if 0 < n < LEAST else [np.ones(len(atoms))]
    for row in shown.itertuples():
        who = np.array([name == row.bucket for name in names]) if row.kind == "bucket" else ends > STEPS.index(row.step)
        of = {"k": np.array([*who, *who]), "k_pixel": np.array([*who, *zero])}
        if row.step == str(Step.PIXEL):
            of["k"] = of["k_pixel"] = np.array([*(zero + 1), *zero])
        for name in ("k", "k_pixel"):
            if pd.notna(getattr(row, name)):
                equations.append(of[name].astype(float))
                assert equations[-1] @ atoms == getattr(row, name)
    assert not given_away(equations, atoms)
    assert shown.loc[shown["suppressed"], ["k", "k_pixel", "value", "low", "high"]].isna().all(axis=None)
    whole = cl.suppress_small(table.sort_index(), LEAST).loc[table.index]
    pd.testing.assert_frame_equal(whole, shown)  # the order of rows changes nothing
    k = table["k"]
    if not (k.between(1, LEAST - 1) | (n - k).between(1, LEAST - 1)).any():
        with_pixel = (table["k"] - table["k_pixel"])[~bucket & (table["step"] != str(Step.PIXEL))]
        assert with_pixel.between(1, LEAST - 1).any() or not shown["suppressed"].any()


@settings(max_examples=300 if THOROUGH else 30, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=6))
def test_no_row_of_a_sum_can_be_worked_out(counts: list[int]) -> None:
    """Rows that add up to n, as causes do: one small one takes company along, and all else stays."""
    shown = cl.suppress_small(causes(*counts), LEAST)
    k, hidden = np.array(counts), shown["suppressed"].to_numpy()
    equations = ([] if 0 < sum(counts) < LEAST else [np.ones(len(k))]) + list(np.eye(len(k))[~hidden])
    assert not given_away(equations, k, most=6)
    assert hidden.sum() != 1 or not 0 < k[hidden].sum() < sum(counts)
    assert hidden[(k > 0) & (k < LEAST)].all()
    if (k[k > 0] >= LEAST).all():
        assert not hidden.any()


def test_the_smallest_of_the_others_goes_along() -> None:
    """Three beside 40, 60 and 200: the three and the 40 are blanked; of each platform apart."""
    shown = cl.suppress_small(causes(200, 60, 40, 3), LEAST)
    assert shown["suppressed"].tolist() == [False, False, True, True]
    sends = pd.DataFrame(
        {"platform": ["a", "a", "b", "b", "b"], "status": list("xyxyz"), "code": "", "k": [50, 60, 3, 80, 90],
         "n": [110, 110, 173, 173, 173]}
    )  # fmt: skip
    assert cl.suppress_small(rated(sends), LEAST)["suppressed"].tolist() == [False, False, True, True, False]


def test_a_lone_loss_hides_the_step_behind_it() -> None:
    """A step that lost three and nothing else: the step's own count, and the next loss, would give them away."""
    shown = cl.suppress_small(waterfall([unseen(3), both(30, 50), both(20)], both(400)), LEAST)
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
    """Of 100 that were lost the pixel saw 3: the bucket stays, `k_pixel` of all buckets and of later steps goes."""
    shown = cl.suppress_small(waterfall([unseen(200), [], [(3, 97)]], both(400)), LEAST)
    assert not shown["suppressed"].any()
    assert shown.loc[shown["kind"] == "bucket", "k_pixel"].isna().all()
    steps = shown[shown["kind"] == "step"].set_index("step")["k_pixel"]
    assert steps.isna().to_dict() == {
        "truth": False, "pixel": False, "server": False, "accepted": False, "counted": True,
    }  # fmt: skip
    plain = cl.suppress_small(waterfall([unseen(200), [], both(100)], both(400)), LEAST)
    assert plain["k_pixel"].notna().all()
    one_way = waterfall([unseen(3, 40), [], []], unseen(400))  # a route that knows no pixel
    shown = cl.suppress_small(one_way[one_way["step"] != "pixel"], LEAST)
    assert shown.loc[~shown["suppressed"], "k_pixel"].notna().all()


def test_what_the_server_adds_to_few_hides_what_the_pixel_saw() -> None:
    """The pixel saw 540, both 545: either number stays, never the two; nor does the sentence say it."""
    table = waterfall([unseen(455), [], []], [(500, 0), (40, 0), (0, 5)])
    shown = cl.suppress_small(table, LEAST).set_index(["kind", "step"])
    assert pd.isna(shown.loc[("step", "pixel"), "k"])
    assert shown["k_pixel"].isna().all()
    assert cl.suppress_small(table, 1)["k_pixel"].notna().all()


def test_amounts_go_by_the_conversions_behind_them() -> None:
    """Of a waterfall in money, too, people count; what the pixel saw of a bucket in money is not told."""
    table = waterfall([unseen(3), both(40), []], both(400)).assign(currency="EUR")
    table = table.assign(conversions_k=table["k"], conversions_n=table["n"], k=table["k"] * 1e4, n=table["n"] * 1e4)
    table = table[["currency", *[name for name in table.columns if name != "currency"]]]
    shown = cl.suppress_small(table, LEAST)
    assert shown.loc[shown["suppressed"], "bucket"].dropna().tolist() == ["b0", "b1"]
    assert shown.loc[shown["kind"] == "bucket", "k_pixel"].isna().all()


def test_one_order_in_another_currency_is_not_told() -> None:
    """A waterfall knows the conversions behind each currency, its bare table does not: there amounts are left out."""
    t = pd.Timestamp("2026-05-04 12:00", tz="UTC")
    ids = [str(i) for i in range(61)]
    orders = pd.DataFrame(
        {"conversion_id": ids, "event_name": "purchase", "event_time": t, "event_id": ids, "value": 10.0,
         "currency": ["EUR"] * 60 + ["USD"]}
    )  # fmt: skip
    events = pd.DataFrame({"row_id": ids[:30], "channel": "pixel", "event_name": "Purchase", "event_id": ids[:30]})
    events = events.assign(event_time=t, conversion_id=ids[:30])
    wf = cl.waterfall(cl.reconcile(orders, events))
    shown = cl.suppress_small(wf, LEAST)
    truth = shown[(shown["step"] == "truth") & (shown["kind"] == "step")].iloc[0]
    assert (truth["k"], truth["amount_EUR"]) == (61, 600.0)
    assert shown.loc[shown["k"] > 0, "amount_USD"].isna().all()
    assert cl.suppress_small(wf.table, LEAST)[["amount_EUR", "amount_USD"]].isna().all(axis=None)


def test_what_is_counted_beside_k_goes_with_it() -> None:
    """A funnel's row is n less two counts: the small one takes all three; an unknown count stands for itself."""
    table = rated(
        pd.DataFrame({"at": ["a", "b"], "k": [50, 60], "n": [57, 120], "lost": [0, 60], "not_observed": [7, 0]})
    )
    shown = cl.suppress_small(table, LEAST)
    assert shown.loc[0, ["k", "lost", "not_observed"]].isna().all()
    assert shown.loc[1, ["k", "lost", "not_observed"]].tolist() == [60, 60, 0]
    beside = cl.suppress_small(rated(pd.DataFrame({"rate": ["a"], "k": [50], "n": [100], "unknown": [3]})), LEAST)
    assert beside[["k", "unknown"]].isna().to_numpy().tolist() == [[False, True]]


def test_any_frame_of_the_same_rows_is_read_alike() -> None:
    """Twice suppressed, other dtypes, an index of one's own, columns called like ours: the same numbers go."""
    table = waterfall([unseen(3), both(30, 50), both(20)], both(400))
    once = cl.suppress_small(table, LEAST)
    pd.testing.assert_frame_equal(cl.suppress_small(once, LEAST), once)
    other = cl.suppress_small(table.convert_dtypes().set_axis([7] * len(table)), LEAST)
    assert other["suppressed"].tolist() == once["suppressed"].tolist()
    named = rated(pd.DataFrame({"kind": ["a", "b"], "status": ["x", "y"], "k": [3, 50], "n": [60, 100]}))
    assert cl.suppress_small(named, LEAST)["suppressed"].tolist() == [True, False]


def test_an_empty_table_stays_empty() -> None:
    """Nothing is nothing."""
    assert cl.suppress_small(causes(1).iloc[:0], LEAST).empty
