"""Events beside the ledger: who saw what, and what would be counted."""

from __future__ import annotations

import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import ContractError, InputError

T = pd.Timestamp("2026-05-04 12:00", tz="UTC")


def ledger(*ids: str, **columns: object) -> pd.DataFrame:
    base = {"conversion_id": list(ids), "event_name": "purchase", "event_time": [T] * len(ids)}
    return pd.DataFrame(base | columns)


def report(row_id: str, channel: str, **over: object) -> dict[str, object]:
    base = {"row_id": row_id, "channel": channel, "event_name": "Purchase", "event_id": None, "conversion_id": None}
    return base | {"event_time": T} | over


def events(*rows: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame(list(rows))


def test_tiny_shop(tiny) -> None:
    """Links by order id, then event id; flags and counts follow; the summary says it in words."""
    rec = cl.reconcile(*tiny, platform="meta")
    by_row = rec.events.set_index("row_id")
    assert by_row["link"].to_dict() == {"p1": "order_id", "s1": "order_id", "p2": "event_id", "s3": "order_id"}
    assert by_row["conversion_id"].to_dict() == {"p1": "1", "s1": "1", "p2": "2", "s3": "3"}
    assert pd.isna(by_row.loc["p2", "reported_conversion_id"])
    flags = rec.conversions.set_index("conversion_id")[["seen_pixel", "seen_capi", "counted"]]
    assert flags.to_numpy().tolist() == [[True, True, 1], [True, False, 1], [False, True, 1], [False, False, 0]]
    assert rec.pairs[["conversion_id", "outcome"]].to_numpy().tolist() == [["1", "deduplicated"]]
    assert "seen by neither                     1    25.0%" in repr(rec)
    assert "<pre" in rec._repr_html_()


@pytest.mark.parametrize(
    ("pixel", "server", "outcome", "cause"),
    [
        ({"event_id": "e"}, {"event_id": "e"}, "deduplicated", None),
        ({"event_id": "e"}, {"event_id": None}, "double_counted", "missing_event_id"),
        ({"event_id": "e"}, {"event_id": "f"}, "double_counted", "unknown"),
        ({"event_id": "e"}, {"event_id": "e", "event_name": "purchase"}, "double_counted", "event_name_differs"),
        (
            {"event_id": "e"},
            {"event_id": "e", "event_time": T + pd.Timedelta("49h")},
            "double_counted",
            "outside_window",
        ),
    ],
)
def test_what_becomes_of_a_pair(pixel, server, outcome, cause) -> None:
    """Outcome and plain cause of one order that both channels reported."""
    both = events(report("p", "pixel", conversion_id="1", **pixel), report("s", "capi", conversion_id="1", **server))
    pair = cl.reconcile(ledger("1"), both).pairs.iloc[0]
    assert pair["outcome"] == outcome
    assert pair["cause"] == cause if cause else pd.isna(pair["cause"])


def test_a_reused_id_merges_two_orders() -> None:
    """Order 2's events carry order 1's id and vanish into it: over-merged, cause id_reused."""
    rows = events(
        report("p1", "pixel", event_id="e", conversion_id="1"),
        report("s1", "capi", event_id="e", conversion_id="1"),
        report("s2", "capi", event_id="e", conversion_id="2"),
        report("p3", "pixel", event_id="e", conversion_id="2", event_time=T + pd.Timedelta("1h")),
    )
    rec = cl.reconcile(ledger("1", "2"), rows, same_channel=True)
    pairs = rec.pairs.set_index("conversion_id")
    assert pairs.loc["2", ["outcome", "cause"]].tolist() == ["over_merged", "id_reused"]
    assert pairs.loc["1", "outcome"] == "deduplicated"


def test_other_events_of_an_order_are_not_its_purchase() -> None:
    """InitiateCheckout with the order's id is a report of something else; a custom name is taken at its word."""
    rows = events(
        report("a", "pixel", event_name="InitiateCheckout", conversion_id="1"),
        report("b", "capi", event_name="our_purchase", conversion_id="1"),
    )
    rec = cl.reconcile(ledger("1"), rows)
    assert rec.events.set_index("row_id")["link"].to_dict() == {"a": "none", "b": "order_id"}
    assert rec.conversions[["seen_pixel", "seen_capi"]].to_numpy().tolist() == [[False, True]]


def test_an_ambiguous_event_id_ties_nothing() -> None:
    """Two orders share an event id: events that carry only that id stay unlinked."""
    orders = ledger("1", "2", event_id=["same", "same"])
    rec = cl.reconcile(orders, events(report("a", "pixel", event_id="same")))
    assert rec.events["link"].tolist() == ["none"]
    assert not rec.conversions["seen_pixel"].any()


def test_events_of_other_platforms_take_no_part() -> None:
    """They are left out and counted; rows without a platform take part."""
    rows = events(
        report("a", "pixel", conversion_id="1", platform="tiktok"),
        report("b", "capi", conversion_id="1", platform=None),
    )
    rec = cl.reconcile(ledger("1"), rows, platform="meta")
    assert (rec.left_out, len(rec.events)) == (1, 1)
    assert "other platforms" in repr(rec)


def test_every_input_kind_gives_the_same_answer(tiny, tmp_path) -> None:
    """Parquet files reconcile as the frames do."""
    conversions, reports = tiny
    conversions.to_parquet(tmp_path / "c.parquet")
    reports.to_parquet(tmp_path / "e.parquet")
    frames = cl.reconcile(conversions, reports)
    files = cl.reconcile(tmp_path / "c.parquet", str(tmp_path / "e*.parquet"))
    for name in ("conversions", "pairs"):
        a, b = (getattr(r, name).sort_values("conversion_id", ignore_index=True) for r in (frames, files))
        pd.testing.assert_frame_equal(a, b)
    assert cl.coverage(frames).equals(cl.coverage(files))


def test_an_already_reconciled_ledger_can_go_round_again(tiny) -> None:
    """Marked tables are good input: marks are renewed, not doubled."""
    conversions, reports = tiny
    once = cl.reconcile(conversions, reports)
    twice = cl.reconcile(once.conversions, once.events)
    assert twice.summary == once.summary


def test_wrong_inputs() -> None:
    """An empty ledger and repeated order ids are refused."""
    rows = events(report("a", "pixel"))
    with pytest.raises(InputError, match="no conversions"):
        cl.reconcile(ledger(), rows)
    with pytest.raises(ContractError, match="conversion_id: value is not unique"):
        cl.reconcile(ledger("1", "1"), rows)
