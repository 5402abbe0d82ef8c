"""What changes would bring, held against closed forms and plain loops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.model.changes import ASSUMED_SURVIVAL

START = pd.Timestamp("2026-07-01", tz="UTC")
CLICK = "fb.1.1782000000000.AbCdEfGhIjKlMnOpQrStUvWx"
RATES = {"click_id": 0.86, "email_phone": 0.45, "email_only": 0.35, "phone_only": 0.2, "none": 0.0}


def fitted(n: int = 10**6) -> cl.MatchRates:
    """Return rates known almost for sure."""
    counts = pd.DataFrame({"stratum": list(RATES), "n": n, "k": [round(p * n) for p in RATES.values()]})
    return cl.match_rates(counts.assign(platform="meta"), by_keys=True, priors=None)


def ledger() -> pd.DataFrame:
    """1,200 orders, every kind beside every other."""
    n = np.arange(1200)
    lag = pd.to_timedelta(np.array([0.5, 20, 100, 300])[n % 4], unit="h")
    return pd.DataFrame(
        {
            "conversion_id": n.astype("str"),
            "event_name": "purchase",
            "event_time": (START + pd.to_timedelta(n, unit="min")).as_unit("us"),
            "click_time": (START + pd.to_timedelta(n, unit="min") - lag).as_unit("us").where(n % 3 > 0),
            "fbc": np.where((n % 5 == 0) & (n % 3 > 0), CLICK, np.where(n % 50 == 1, "fb.1.?", None)),
            "email": np.where(n % 4 < 3, pd.Series(n).map("p{}@example.com".format), "not-an-address"),
            "phone": np.where(n % 2, None, "+12025550143"),
            "browser": np.where(n % 7 < 3, "Safari", "Chrome"),
            "consent_ad_user_data": np.where(n % 10 == 3, "denied", "granted"),
            "value": n % 90 + 1.0,
            "currency": "EUR",
            "received_time": (START + pd.to_timedelta(n, unit="min") + pd.Timedelta(hours=1)).as_unit("us"),
        }
    ).assign(received_time=lambda t: t["received_time"] + pd.to_timedelta(np.where(n % 40 == 2, 9, 0), unit="D"))


@pytest.fixture(scope="module")
def asked() -> pd.DataFrame:
    """All changes over that ledger."""
    changes = [
        cl.KeepClickIds(), cl.PhoneAtCheckout(share=0.8), cl.FixIds(), cl.SendWithin(), cl.ConsentUplift(won=0.25),
    ]  # fmt: skip
    return cl.what_if(fitted(), ledger(), changes).set_index("change")


def plain() -> dict[str, dict[str, float]]:
    """Work it out row by row, in Python."""
    rows, found = ledger().to_dict("records"), {}

    def facts(row: dict) -> dict:
        mail = row["email"] != "not-an-address"
        return {"click": row["fbc"] == CLICK, "mail": mail, "phone": isinstance(row["phone"], str)}

    def rate(has: dict) -> float:
        word = "click_id" if has["click"] else {
            (1, 1): "email_phone", (1, 0): "email_only", (0, 1): "phone_only", (0, 0): "none",
        }[has["mail"], has["phone"]]  # fmt: skip
        return RATES[word]

    def band(row: dict) -> str:
        hours = (row["event_time"] - row["click_time"]) / pd.Timedelta(hours=1)
        return next(name for name, end in (("1h", 1), ("1d", 24), ("7d", 168), ("30d", 720)) if hours <= end)

    cells: dict = {}
    for row in rows:
        if not pd.isna(row["click_time"]):
            cells.setdefault((row["browser"], band(row)), []).append(facts(row)["click"])
    kept = {key: sum(each) / len(each) for key, each in cells.items()}
    phones = sum(facts(row)["phone"] for row in rows) / len(rows)
    for name in ("keep_click_ids", "phone_at_checkout", "fix_ids", "send_within_1h", "consent_uplift"):
        total = dict.fromkeys(("touched", "covered", "matched", "attributed", "value"), 0.0)
        for row in rows:
            has, then = facts(row), facts(row)
            old = row["received_time"] - row["event_time"] > pd.Timedelta(days=7)
            denied = row["consent_ad_user_data"] == "denied"
            sent = later = not old and not denied
            chance = 0.0
            if name == "keep_click_ids" and not has["click"] and not pd.isna(row["click_time"]):
                now, aim = kept[row["browser"], band(row)], ASSUMED_SURVIVAL[band(row)]
                chance, then["click"] = max(0.0, aim - now) / (1 - now), True
            elif name == "phone_at_checkout" and not has["phone"]:
                chance, then["phone"] = (0.8 - phones) / (1 - phones), True
            elif name == "fix_ids":
                chance = float(not has["mail"] or row["fbc"] == "fb.1.?")
                then = {"click": has["click"] or row["fbc"] == "fb.1.?", "mail": True, "phone": has["phone"]}
            elif name == "send_within_1h" and old:
                chance, later = 1.0, True
            elif name == "consent_uplift" and denied:
                chance, later = 0.25, not old
            more = chance * (later * rate(then) - sent * rate(has))
            near = not pd.isna(row["click_time"]) and row["event_time"] - row["click_time"] <= pd.Timedelta(days=7)
            for word, amount in {
                "touched": chance, "covered": chance * (later - sent), "matched": more, "attributed": more * near,
                "value": more * row["value"],
            }.items():  # fmt: skip
                total[word] += amount
        found[name] = total
    return found


def test_every_number_is_that_of_a_plain_loop(asked: pd.DataFrame) -> None:
    """Touched, covered, matched, attributed and money of five changes, row by row; ranked by matched."""
    for name, expected in plain().items():
        for word, amount in expected.items():
            # A refused row that was never sent is lost whatever its keys; the loop says so as well.
            assert asked.loc[name, word] == pytest.approx(amount, rel=0.01, abs=0.5), (name, word)
    assert asked["matched"].is_monotonic_decreasing
    assert asked["rank"].tolist() == [1, 2, 3, 4, 5]
    assert (asked["matched_low"] <= asked["matched"]).all()
    assert (asked["matched_high"] >= asked["matched"]).all()
    assert asked["currency"].eq("EUR").all()
    assert "assumed" in asked.loc["keep_click_ids", "rests_on"]
    wide = asked["matched_high"] - asked["matched_low"]
    assert wide["keep_click_ids"] > 20 * wide["phone_at_checkout"], "an assumed share has an error of its own"


def test_the_published_example() -> None:
    """5,000 rows, rates of .86 and .38, click ids from 20 to 30 %: +.048, plus or minus .0026."""
    counts = pd.DataFrame({"stratum": ["click_id", "pii_only"], "k": [860, 1520], "n": [1000, 4000]})
    fit = cl.match_rates(counts.assign(platform="meta"), priors=None)
    n = np.arange(5000)
    rows = pd.DataFrame(
        {
            "conversion_id": n.astype("str"), "event_name": "purchase", "event_time": START,
            "email": "a@example.com", "fbc": np.where(n < 1000, CLICK, None),
        }
    )  # fmt: skip
    found = cl.what_if(fit, rows, cl.KeepClickIds(to=0.3)).iloc[0]
    assert found["per_conversion"] == pytest.approx(0.048, abs=5e-4)
    assert (found["matched_high"] - found["matched_low"]) / 2 / 5000 == pytest.approx(0.0026, abs=1.5e-4)
    assert found["touched"] == pytest.approx(500)
    assert np.isnan(found["attributed"])
    with pytest.raises(InputError, match="click_time"):
        cl.what_if(fit, rows, "keep_click_ids")
    with pytest.raises(InputError, match="consent_ad_user_data"):
        cl.what_if(fit, rows, "consent_uplift")
    with pytest.raises(InputError, match="received_time"):
        cl.what_if(fit, rows, "send_within_1h")
    with pytest.raises(UnknownNameError):
        cl.what_if(fit, rows, "more_luck")
    with pytest.raises(InputError, match="share"):
        cl.what_if(fit, rows, cl.KeepClickIds(to=30))


def test_the_dearest_missing_key() -> None:
    """Each key's cost is the sum of rate differences over rows that lack it; the score says what is reached."""
    told = cl.payload_score(ledger(), fitted()).set_index("key")
    rows = ledger()
    click, mail, phone = rows["fbc"] == CLICK, rows["email"] != "not-an-address", rows["phone"].notna()
    words = np.select([click, mail & phone, mail, phone], list(RATES)[:4], "none")
    now = pd.Series(words).map(RATES)
    extra = {
        "click_id": (0.86 - now)[~click].sum(),
        "email": (np.where(phone, 0.45, 0.35) - now)[~click & ~mail].sum(),
        "phone": (np.where(mail, 0.45, 0.2) - now)[~click & ~phone].sum(),
    }
    assert told["matched"].to_dict() == pytest.approx(extra, rel=0.01)
    assert told.index[0] == "click_id"
    assert told.loc["email", "missing"] == (~mail).sum()
    assert told.loc["email", "score"] == pytest.approx(now.sum() / (now.sum() + extra["email"]), rel=0.01)
    assert "client_ip" not in told.index, "no fitted row had an address alone"
