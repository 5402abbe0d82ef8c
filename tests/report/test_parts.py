"""Parts of the page that rest on more than the log: sends, match rates, changes, days."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import ContractError, InputError, UnknownNameError
from capi_lab.report.page import Report, captioned
from capi_lab.report.parts import match_section, send_section, what_if_section

NOW = datetime(2026, 11, 26, 7, 0, tzinfo=UTC)


def receipts(**statuses: int) -> pd.DataFrame:
    status = [one for one, n in statuses.items() for _ in range(n)]
    return pd.DataFrame({"conversion_id": [f"c{i}" for i in range(len(status))], "status": status, "platform": "meta"})


@pytest.fixture(scope="module")
def made() -> Report:
    """Forty days of 60 orders; on the last the pixel fails for most; half were sent."""
    rng = np.random.default_rng(5)
    days = pd.Timestamp("2026-06-01", tz="UTC") + pd.to_timedelta(np.arange(40).repeat(60), unit="D")
    n = len(days)
    orders = pd.DataFrame({"conversion_id": [f"o{i}" for i in range(n)], "event_name": "purchase", "event_time": days})
    seen = {"pixel": rng.random(n) < np.where(np.arange(n) >= 39 * 60, 0.2, 0.65), "capi": rng.random(n) < 0.8}
    parts = [
        orders[here].assign(row_id=f"{name}-" + orders["conversion_id"], channel=name, event_id=orders["conversion_id"])
        for name, here in seen.items()
    ]
    rec = cl.reconcile(orders, pd.concat(parts, ignore_index=True), platform="meta")
    sent = orders[["conversion_id"]].assign(status=rng.choice(["accepted", "skipped", "rejected"], n), platform="meta")
    counts = pd.DataFrame({"platform": "meta", "stratum": ["click_id", "pii_only"], "k": [90, 160], "n": [100, 400]})
    fit = cl.match_rates(counts)
    carried = orders.assign(email="zoe.canary@example.com", gclid=None, phone=None)
    gains = cl.what_if(fit, carried, [cl.PhoneAtCheckout(share=0.9), cl.FixIds()], "meta")
    return cl.report(rec, now=NOW, receipts=sent, match=fit, what_if=gains)


def test_every_part_stands_in_its_place(made: Report) -> None:
    """Coverage and days, dedup, match, send, fates, words: in this order, each with its finding."""
    names = [one.name for one in made.sections]
    assert names == ["coverage", "days", "dedup", "match", "what_if", "send", "fates", "definitions"]
    said = {one.where: one for one in made.findings}
    assert said["days"].alert
    assert "pixel reported" in said["days"].text
    assert "2026-07-10" in said["days"].text
    assert "with a click id 89.5%" in said["match"].text
    assert said["send"].alert
    assert "zoe." not in made.html + made.markdown


def test_days_that_stray_are_only_those_that_do(made: Report) -> None:
    """The day the pixel failed is in the table with its own share; the server's days are not."""
    table = made.tables["days_1"]
    failed = table[table["day"] == "2026-07-10"]
    assert failed["setup"].tolist() == ["pixel"]
    assert failed["value"].iloc[0] == failed["k"].iloc[0] / 60 < 0.4
    assert "capi" not in set(table["setup"])


def test_what_is_the_same_in_every_row_is_said_once(made: Report) -> None:
    """Denominator and method stand in the caption, not in a column; one that differs stays."""
    assert "denominator conversions in the ledger" in made.html
    assert "<th>denominator</th>" not in made.html
    table, caption = captioned(pd.DataFrame({"k": [1, 2], "method": ["a", "b"], "level": [0.9, 0.9]}), "T")
    assert list(table.columns) == ["k", "method"]
    assert caption == "T (level 90.0%)"


def test_send_outcomes_are_counted_as_the_waterfall_counts() -> None:
    """An acceptance stands, else what was sent last; to two platforms is twice; groups of one's own are kept apart."""
    t = pd.Timestamp("2026-06-01", tz="UTC")
    rows = pd.DataFrame(
        [
            ("a", "retry", t, "meta", 0), ("a", "accepted", t + pd.Timedelta("1h"), "meta", 1),
            ("b", "rejected", t + pd.Timedelta("1h"), "meta", 1), ("b", "retry", t, "meta", 0),
            ("a", "accepted", t, "google", 0), ("c", "skipped", pd.NaT, None, 0),
        ],
        columns=["conversion_id", "status", "sent_at", "platform", "turn"],
    )  # fmt: skip
    found = cl.send_outcome(rows.sample(frac=1, random_state=3))
    cells = {
        (p if isinstance(p, str) else None, s): (k, n)
        for p, s, k, n in found[["platform", "status", "k", "n"]].to_numpy()
    }
    assert cells == {
        ("meta", "accepted"): (1, 2), ("meta", "rejected"): (1, 2),
        ("google", "accepted"): (1, 1), (None, "skipped"): (1, 1),
    }  # fmt: skip
    assert found["value"].tolist() == (found["k"] / found["n"]).tolist()
    turns = cl.send_outcome(rows, by="turn").groupby(["turn", "status"])["k"].sum()
    assert turns.to_dict() == {
        (0, "accepted"): 1,
        (0, "retry"): 1,
        (0, "skipped"): 1,
        (1, "accepted"): 1,
        (1, "rejected"): 1,
    }
    with pytest.raises(UnknownNameError, match="batch"):
        cl.send_outcome(rows, by="batch")
    with pytest.raises(InputError, match="by="):
        cl.send_outcome(rows, by="status")


def test_a_small_cell_of_a_send_cannot_be_worked_out() -> None:
    """Three rejected of a hundred: their number is nowhere, nor what would give it away; the finding says fewer."""
    findings: list = []
    section = send_section(receipts(accepted=60, skipped=37, rejected=3), 10, findings)
    shown = section.tables["By status and code"].set_index("status")
    assert shown["suppressed"].to_dict() == {"accepted": False, "rejected": True, "skipped": True}
    assert shown.loc[["rejected", "skipped"], ["k", "value"]].isna().all(axis=None)
    assert not section.pictures
    assert findings[0].text.startswith("Fewer than 10 conversions")
    assert send_section(receipts(), 10, findings) is None
    whole = send_section(receipts(accepted=60, skipped=40), 10, findings)
    assert not whole.tables["By status and code"]["suppressed"].any()
    assert whole.pictures


def test_a_small_stratum_is_not_given_away_by_the_sum() -> None:
    """Of a table with the row of all, a small stratum hides that row too; large strata stay; none is nobody."""
    rates = pd.DataFrame(
        {
            "stratum": ["click_id", "pii_only", "ip_only", "none", "all"],
            "k": [90, 160, 4, 0, 254], "n": [100, 400, 90, 0, 590],
        }
    )  # fmt: skip
    rates = rates.assign(value=rates["k"] / rates["n"], low=0.1, high=0.9, denominator="events")
    findings: list = []
    shown = match_section(rates, "meta", 10, findings).tables["By stratum"].set_index("stratum")
    assert shown["suppressed"].to_dict() == {
        "click_id": False, "pii_only": False, "ip_only": True, "none": False, "all": True,
    }  # fmt: skip
    assert shown.loc[["ip_only", "all"], ["k", "value"]].isna().all(axis=None)
    assert "90.0% [10.0%, 90.0%] are matched" in findings[0].text


def test_changes_that_touch_few_are_left_out_and_others_ranked() -> None:
    """The best change is a finding only where its interval is above zero; a table of something else is refused."""
    table = pd.DataFrame(
        {
            "change": ["fix_ids", "keep_click_ids"], "n": 500, "touched": [4.0, 80.0], "matched": [3.0, 12.0],
            "matched_low": [1.0, 5.0], "matched_high": [5.0, 20.0], "rests_on": ["", "90 days"],
        }
    )  # fmt: skip
    findings: list = []
    section = what_if_section(table, 10, findings)
    assert section.tables["Changes"]["change"].tolist() == ["keep_click_ids"]
    assert "keep click ids would bring most: +12 [+5, +20] matched of 500" in findings[0].text
    assert section.notes == ("keep_click_ids: 90 days", "Left out: changes that touch fewer than 10 conversions (1).")
    assert what_if_section(table.assign(touched=0.0), 10, findings) is None
    unsure: list = []
    what_if_section(table.assign(matched_low=-1.0), 10, unsure)
    assert not unsure
    with pytest.raises(ContractError, match="matched_low"):
        what_if_section(table.drop(columns="matched_low"), 10, findings)
    with pytest.raises(ContractError, match="stratum"):
        match_section(table, "meta", 10, findings)
