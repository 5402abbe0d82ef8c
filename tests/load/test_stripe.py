"""Stripe: units, what is no sale, and which rows are one sale."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import NaiveTimeError, UnknownNameError

CHARGE = {
    "object": "charge",
    "id": "ch_1",
    "created": 1767225600,
    "amount": 1000,
    "amount_captured": 1000,
    "currency": "usd",
    "livemode": True,
    "paid": True,
    "captured": True,
    "status": "succeeded",
}


def load(folder: Path, *objects: dict, **options: str) -> cl.load.Loaded:
    path = folder / "stripe.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in objects))
    return cl.load.stripe_payments(path, **options)


@pytest.mark.parametrize(
    ("currency", "minor", "major"),
    [("usd", 1000, 10.0), ("jpy", 1000, 1000.0), ("kwd", 5120, 5.12), ("isk", 500, 5.0), ("ugx", 500, 5.0)],
)
def test_minor_units(tmp_path: Path, currency: str, minor: int, major: float) -> None:
    """The examples of Stripe's currency page, its special cases included."""
    charge = CHARGE | {"currency": currency, "amount": minor, "amount_captured": minor}
    loaded = load(tmp_path, charge)
    assert loaded.df["value"].tolist() == [major]
    assert any("special cases" in note for note in loaded.report.notes) == (currency in ("isk", "ugx"))


def test_an_amount_without_a_currency_has_no_unit(tmp_path: Path) -> None:
    """Neither cents nor yen are assumed; a fraction is no minor unit."""
    loaded = load(tmp_path, CHARGE | {"currency": None}, CHARGE | {"id": "ch_2", "amount_captured": 10.5})
    assert loaded.df["value"].isna().all()
    assert "1 rows whose amount has no currency: unit unknown, left missing" in loaded.report.notes
    assert "1 rows whose amount is no whole number; left missing" in loaded.report.notes


def test_what_is_no_sale(tmp_path: Path) -> None:
    """Each reason is counted; a renewal is known only by its expanded invoice."""
    loaded = load(
        tmp_path,
        CHARGE,
        CHARGE | {"id": "ch_2", "status": "failed", "paid": False},
        CHARGE | {"id": "ch_3", "livemode": False},
        CHARGE | {"id": "ch_4", "invoice": {"id": "in_1", "billing_reason": "subscription_cycle"}},
        CHARGE | {"id": "ch_5", "invoice": "in_2"},
        CHARGE | {"id": "ch_6", "amount_refunded": 400},
        {"object": "payment_intent", "id": "pi_1", "created": 1767225600, "status": "canceled", "livemode": True},
        {"object": "checkout.session", "id": "cs_1", "created": 1767225600, "mode": "setup", "livemode": True},
        {"object": "refund", "id": "re_1", "created": 1767225600, "amount": 400},
    )
    assert loaded.df["payment_id"].tolist() == ["ch_1", "ch_5", "ch_6"]
    assert loaded.report.dropped == {"other_record": 2, "test_order": 1, "cancelled": 1, "not_paid": 1, "renewal": 1}
    assert loaded.df["refunded_value"].tolist()[-1] == 4.0
    assert loaded.df["value"].tolist() == [10.0] * 3, "a refund is no smaller sale"
    assert any("first payment or renewal cannot be told" in note for note in loaded.report.notes)


def test_one_sale_has_several_charges_and_a_session(tmp_path: Path) -> None:
    """A declined charge before the good one is no sale; what only the session knows is taken over, in any order."""
    objects = [
        {
            "object": "checkout.session",
            "id": "cs_1",
            "created": 1767225000,
            "payment_intent": "pi_1",
            "payment_status": "paid",
            "livemode": True,
            "currency": "usd",
            "amount_total": 1000,
            "client_reference_id": "order-7",
            "metadata": {"gclid": "G1", "event_id": "e7"},
        },
        CHARGE | {"id": "ch_1", "payment_intent": "pi_1", "status": "failed", "paid": False},
        CHARGE | {"id": "ch_2", "payment_intent": {"id": "pi_1"}},
    ]
    for order in (objects, objects[::-1]):
        loaded = load(tmp_path, *order, conversion_id="client_reference_id")
        row = loaded.df.iloc[0]
        assert loaded.report.dropped == {"not_paid": 1, "duplicate_id": 1}
        assert (row["conversion_id"], row["payment_id"], row["gclid"], row["event_id"]) == (
            "order-7",
            "pi_1",
            "G1",
            "e7",
        )
        assert row["event_time"] == pd.Timestamp("2026-01-01", tz="UTC"), "when it was paid, not when opened"
    alone = load(tmp_path, objects[0], conversion_id="metadata.event_id")
    assert alone.df["conversion_id"].tolist() == ["e7"]
    assert any("known by their intent or session alone" in note for note in alone.report.notes)
    with pytest.raises(UnknownNameError, match="conversion_id="):
        load(tmp_path, CHARGE, conversion_id="order")


def test_export_without_utc_in_its_header(tmp_path: Path) -> None:
    """Times of an unnamed zone are refused, and amounts written for readers are not guessed at."""
    path = tmp_path / "payments.csv"
    path.write_text('id,Created,Amount,Currency,Status\nch_1,2026-01-01 10:00,"1,50",eur,Paid\n')
    with pytest.raises(NaiveTimeError, match="'Created' has 1 times"):
        cl.load.stripe_payments(path)
    loaded = cl.load.stripe_payments(path, tz="Europe/Berlin")
    assert loaded.df["event_time"].iloc[0] == pd.Timestamp("2026-01-01 09:00", tz="UTC")
    assert loaded.df["value"].isna().all()
    assert "no column 'Mode': test payments cannot be told from live ones" in loaded.report.notes
