"""Keys the caller declares tie an event only where they leave no choice."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import InputError, UnknownNameError
from tests.depth import few
from tests.reconcile.test_reconcile import T, events, ledger, report

HOUR = timedelta(hours=1)


def links(rec) -> dict[str, str | None]:
    tied = rec.events.set_index("row_id")["conversion_id"]
    return {row: None if pd.isna(order) else order for row, order in tied.items()}


def plain_loop(orders: pd.DataFrame, rows: pd.DataFrame, fallbacks, within: timedelta) -> dict[str, tuple[str, str]]:
    """The rule as a person would do it by hand: row -> (conversion, columns)."""
    tied: dict[str, tuple[str, str]] = {}
    for key in fallbacks:

        def near(row, order, key=key) -> bool:
            agree = all(pd.notna(row[c]) and pd.notna(order[c]) and row[c] == order[c] for c in key)
            return agree and abs(row["event_time"] - order["event_time"]) <= within

        def name(row) -> str:
            return f"e {row['event_id']}" if pd.notna(row["event_id"]) else f"r {row['row_id']}"

        new = {}
        for _, row in rows.iterrows():
            if row["row_id"] in tied:
                continue
            mine = [r for _, r in rows.iterrows() if r["channel"] == row["channel"] and name(r) == name(row)]
            found = {o["conversion_id"] for _, o in orders.iterrows() for r in mine if near(r, o)}
            own = [o for _, o in orders.iterrows() if near(row, o)]
            if len(found) != 1 or not own:
                continue
            order = own[0]
            claims = {name(r) for _, r in rows.iterrows() if r["channel"] == row["channel"] and near(r, order)}
            taken = {(r["channel"], tied[r["row_id"]][0]) for _, r in rows.iterrows() if r["row_id"] in tied}
            if len(claims) == 1 and (row["channel"], order["conversion_id"]) not in taken:
                new[row["row_id"]] = (order["conversion_id"], ", ".join(key))
        tied |= new
    return tied


@pytest.mark.parametrize("seed", few(range(4), 2))
def test_ties_are_those_of_a_plain_loop(seed: int) -> None:
    """Random orders and id-less events with few e-mails, values and repeated event ids."""
    rng = np.random.default_rng(seed)

    def some(n: int) -> dict[str, object]:
        return {
            "email": rng.choice(["a@example.com", "b@example.com", "c@example.com", None], n),
            "value": rng.choice([5.0, 7.0, np.nan], n),
            "event_time": T + pd.to_timedelta(rng.integers(0, 12, n) * 30, unit="min"),
        }

    orders = ledger(*[f"o{i}" for i in range(12)]).assign(**some(12))
    rows = events(*[report(f"r{i:02}", "pixel") for i in range(20)]).assign(
        **some(20), channel=rng.choice(["pixel", "capi"], 20), event_id=rng.choice(["x", "y", None, None, None], 20)
    )
    orders["event_id"] = pd.Series([None] * 12, dtype="str")
    fallbacks = [("email", "value"), ("email",)]
    rec = cl.reconcile(orders, rows, fallbacks=fallbacks, fallback_within=HOUR)
    tied = rec.events[rec.events["link"] == "declared_key"].set_index("row_id")
    got = {row: (r["conversion_id"], r["link_keys"]) for row, r in tied.iterrows()}
    assert got == plain_loop(orders, rows, fallbacks, HOUR)
    shuffled = cl.reconcile(
        orders.sample(frac=1, random_state=seed), rows.sample(frac=1, random_state=seed),
        fallbacks=fallbacks, fallback_within=HOUR,
    )  # fmt: skip
    assert links(shuffled) == links(rec)


def test_nothing_is_tied_unless_declared() -> None:
    """The same log without fallbacks ties nothing and has no further column."""
    orders = ledger("1", email=["a@example.com"])
    rows = events(report("p", "pixel", email="a@example.com"))
    assert links(cl.reconcile(orders, rows)) == {"p": None}
    assert "link_keys" not in cl.reconcile(orders, rows).events
    rec = cl.reconcile(orders, rows, fallbacks=["email"])
    assert links(rec) == {"p": "1"}
    assert rec.conversions["seen_pixel"].tolist() == [True]


@pytest.mark.parametrize(
    ("orders", "rows", "tied"),
    [
        ([("1", 0), ("2", 30)], [("p", "pixel", 1)], None),  # two orders of one person within the hour
        ([("1", 0), ("2", 120)], [("p", "pixel", 1)], "1"),  # the other one is too far away to be a choice
        ([("1", 0)], [("p", "pixel", 1), ("q", "pixel", 2)], None),  # two reports of one channel
        ([("1", 0)], [("p", "pixel", 1), ("q", "capi", 2)], "1"),  # one of each
        ([("1", 0)], [("p", "pixel", 60)], "1"),  # the bound is near
        ([("1", 0)], [("p", "pixel", 61)], None),
    ],
)
def test_no_choice_on_either_side(orders, rows, tied) -> None:
    """Uniqueness is judged inside the distance, per channel."""
    base = ledger(*[o for o, _ in orders], email=["a@example.com"] * len(orders))
    base["event_time"] = [T + pd.Timedelta(minutes=m) for _, m in orders]
    reports = [report(r, c, email="a@example.com", event_time=T + pd.Timedelta(minutes=m)) for r, c, m in rows]
    rec = cl.reconcile(base, events(*reports), fallbacks=[("email",)], fallback_within=HOUR)
    assert links(rec)["p"] == tied


def test_ids_come_first_and_names_must_mean_the_same() -> None:
    """A conversion its channel already reported takes no second event; a refund is not the purchase."""
    orders = ledger("1", "2", email=["a@example.com", "b@example.com"])
    rows = events(
        report("known", "pixel", conversion_id="1"),
        report("late", "pixel", email="a@example.com"),
        report("server", "capi", email="a@example.com"),
        report("refund", "capi", event_name="Refund", email="b@example.com"),
    )
    rec = cl.reconcile(orders, rows, fallbacks=[("email",)])
    assert links(rec) == {"known": "1", "late": None, "server": "1", "refund": None}
    assert rec.events.set_index("row_id")["link"].to_dict()["known"] == "order_id"


def test_wrong_declarations_are_refused() -> None:
    """Columns not both tables have, empty keys, unlike types, negative distances."""
    orders, rows = ledger("1", size=[1]), events(report("p", "pixel", size="1"))
    for fallbacks, within, error, message in [
        ([("email",)], HOUR, UnknownNameError, "email"),
        ([()], HOUR, InputError, "at least one column"),
        ([("size",)], HOUR, InputError, "make equal"),
        ([("event_name",)], -HOUR, InputError, "negative"),
    ]:
        with pytest.raises(error, match=message):
            cl.reconcile(orders, rows, fallbacks=fallbacks, fallback_within=within)
