"""Events beside the ledger: who saw what, and what would be counted."""

from __future__ import annotations

import ibis
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import ContractError, InputError, UnknownNameError

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
    """A checkout step or a refund with the order's id is a report of something else, until one says otherwise."""
    rows = events(
        report("a", "pixel", event_name="InitiateCheckout", conversion_id="1"),
        report("b", "capi", event_name="our_purchase", conversion_id="1"),
        report("c", "capi", event_name="refund", conversion_id="1"),
    )
    rec = cl.reconcile(ledger("1"), rows)
    assert set(rec.events["link"]) == {"none"}
    assert rec.events["other_name"].all()
    assert "3 events carry an order's id under a name that means something else" in repr(rec)
    named = cl.reconcile(ledger("1"), rows, event_names={"Our Purchase": "purchase"})
    assert named.events.set_index("row_id")["link"].to_dict() == {"a": "none", "b": "order_id", "c": "none"}
    assert named.conversions[["seen_pixel", "seen_capi"]].to_numpy().tolist() == [[False, True]]


def test_the_ledgers_spelling_does_not_matter() -> None:
    """A ledger that says Purchase, or has a name of its own, is reported by events that say the same."""
    rows = events(report("a", "pixel", conversion_id="1"), report("b", "pixel", event_name="trial", conversion_id="2"))
    orders = ledger("1", "2").assign(event_name=["Purchase", "Trial"])
    assert cl.reconcile(orders, rows).conversions["seen_pixel"].all()


def test_order_names_meet_with_and_without_their_sign() -> None:
    """People see #1001; systems send either. Stored ids stay as they are."""
    rows = events(report("a", "pixel", conversion_id="1001"), report("b", "capi", conversion_id="#1002"))
    rec = cl.reconcile(ledger("#1001", "1002"), rows)
    assert rec.events["conversion_id"].tolist() == ["#1001", "1002"]


def test_events_with_the_required_columns_only() -> None:
    """No event ids, no order ids: nothing can be linked, and that is an answer."""
    bare = pd.DataFrame({"row_id": ["a"], "channel": ["pixel"], "event_name": ["Purchase"], "event_time": [T]})
    rec = cl.reconcile(ledger("1"), bare)
    assert cl.coverage(rec)["k"].sum() == 0
    assert len(cl.reconcile(ledger("1"), bare.iloc[:0]).events) == 0
    by_order = bare.assign(conversion_id="1")
    assert cl.reconcile(ledger("1"), by_order).conversions["seen_pixel"].all()


def test_empty_ids_are_missing_ids() -> None:
    """Two orders whose event id is an empty text are not one; nor are customers without a key one customer."""
    rows = events(
        report("a", "pixel", conversion_id="1", event_id=""), report("b", "capi", conversion_id="2", event_id="")
    )
    assert cl.dedup(rows, "meta")["kept"].all()


def test_results_keep_the_callers_order(tiny) -> None:
    """Rows come back where the caller had them."""
    conversions, reports = tiny
    rec = cl.reconcile(conversions.iloc[::-1], reports.iloc[[2, 0, 3, 1]])
    assert rec.conversions["conversion_id"].tolist() == ["4", "3", "2", "1"]
    assert rec.events["row_id"].tolist() == ["p2", "p1", "s3", "s1"]
    assert rec.readings["kept"].tolist() == [3, 3]


def test_extra_columns_that_cannot_travel_are_named(tiny) -> None:
    """Mixed types, objects, numbers for names and names that differ by case only: our error, with the column."""
    conversions, reports = tiny
    for extra, message in [
        ({"mixed": [1, "a", 2.0, None]}, "mixed: object cannot be carried"),
        ({"obj": [object()] * 4}, "obj: object cannot be carried"),
        ({"Value": [1.0] * 4}, "differ by case only"),
        ({7: [1] * 4}, "7: column name is no text"),
    ]:
        with pytest.raises(ContractError, match=message):
            cl.reconcile(pd.concat([conversions, pd.DataFrame(extra)], axis=1), reports)
    carried = conversions.assign(flag=True, n=1, when=T, kind=pd.Categorical(["a", "b", "a", "b"]))
    assert {"flag", "n", "when", "kind"} <= set(cl.reconcile(carried, reports).conversions.columns)


def test_callers_columns_with_our_names_do_no_harm(tiny) -> None:
    """A column called link or weight is the caller's until we need the name; grouping by a result name is refused."""
    conversions, reports = tiny
    rec = cl.reconcile(conversions.assign(weight=["light", "light", "heavy", "heavy"]), reports.assign(link="mine"))
    assert set(rec.events["link"]) == {"order_id", "event_id"}
    assert cl.coverage(rec, by="weight")["weight"].unique().tolist() == ["heavy", "light"]
    with pytest.raises(InputError, match="cannot group by 'value'"):
        cl.coverage(rec, by="value")
    with pytest.raises(UnknownNameError, match="usr_key"):
        cl.coverage(rec, cluster="usr_key")


def test_tables_on_two_databases_are_refused(tiny, tmp_path) -> None:
    """A path is opened beside the other table; two connections cannot be joined."""
    conversions, reports = tiny
    for name, frame in (("c", conversions), ("e", reports.assign(event_id=pd.Series([None] * 4, dtype="object")))):
        frame.to_parquet(tmp_path / f"{name}.parquet")
    other = ibis.duckdb.connect()
    elsewhere = other.read_parquet(tmp_path / "e.parquet")
    assert cl.reconcile(tmp_path / "c.parquet", elsewhere).summary["linked"] == 3
    mine = ibis.duckdb.connect().read_parquet(tmp_path / "c.parquet")
    with pytest.raises(InputError, match="different databases"):
        cl.reconcile(mine, elsewhere)


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
