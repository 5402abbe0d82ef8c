"""Fill rates, match rates and their kin: the right k of the right n, from any kind of table."""

from __future__ import annotations

import ibis
import numpy as np
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import ContractError, InputError, UnknownNameError
from capi_lab.identity import normalise
from capi_lab.measure.rates import limits
from capi_lab.words import Stratum

T = pd.Timestamp("2026-05-04 12:00", tz="UTC")
EMAILS = ["jane@example.com", "", "n/a", None, "no address", " Jane.Doe@Example.com "]
PHONES = ["+1 650 555 0100", None, "0", "+44 20 7946 0958"]
IPS = ["203.0.113.7", "198.51.100.9", "10.0.0.1", None, "2001:db8::1"]
FBC = ["fb.1.1714567890123.AbCdEf", None, "{{fbc}}", "fbc"]
NAMES = ["Jane", None]


def server(n: int, seed: int) -> pd.DataFrame:
    """Events of both channels with keys good, bad and missing, and an answer of the platform."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "row_id": [f"r{i}" for i in range(n)],
            "channel": rng.choice(["capi", "capi", "pixel"], n),
            "platform": rng.choice(["meta", "meta", "tiktok", None], n),
            "event_name": "Purchase",
            "event_time": T + pd.to_timedelta(rng.integers(0, 3 * 86400, n), unit="s"),
            "browser": rng.choice(["Safari", "Chrome", None], n),
            "email": rng.choice(np.array(EMAILS, dtype=object), n),
            "phone": rng.choice(np.array(PHONES, dtype=object), n),
            "first_name": rng.choice(np.array(NAMES, dtype=object), n),
            "last_name": rng.choice(np.array(NAMES, dtype=object), n),
            "postal_code": rng.choice(np.array(["94035", None], dtype=object), n),
            "country": "us",
            "client_ip": rng.choice(np.array(IPS, dtype=object), n),
            "fbc": rng.choice(np.array(FBC, dtype=object), n, p=[0.1, 0.3, 0.3, 0.3]),
            "fbp": rng.choice(np.array(["fb.1.1714567890123.123456789", None], dtype=object), n),
            "matched": pd.array(rng.choice([True, False], n), dtype="boolean"),
        }
    )
    return table.assign(matched=table["matched"].mask(rng.random(n) < 0.1))


def usable(row: pd.Series, key: str) -> bool:
    return pd.notna(row[key]) and normalise(row[key], key, "meta", country="US") is not None


def stratum_by_hand(row: pd.Series) -> str:
    """One row after the other, by the scalar normaliser."""
    if isinstance(row["fbc"], str) and row["fbc"].startswith("fb.1."):
        return "click_id"
    if usable(row, "email") or usable(row, "phone"):
        return "pii_only"
    if all(usable(row, key) for key in ("first_name", "last_name", "postal_code")):
        return "pii_only"
    return "ip_only" if usable(row, "client_ip") else "none"


def test_match_rate_by_stratum_is_a_plain_count(tmp_path) -> None:
    """Against a loop over rows: strata, k, n, unknown, server events of this platform only; any input, one table."""
    events = server(600, 1)
    mine = events[(events["channel"] == "capi") & events["platform"].isin(["meta", None])]
    mine = mine.assign(stratum=mine.apply(stratum_by_hand, axis=1))
    assert set(mine["stratum"]) == set(Stratum)
    table = cl.match_rate(events, by="browser", platform="meta")
    assert list(table.columns) == [
        "browser", "stratum", "k", "n", "value", "low", "high", "method", "level", "denominator", "unknown",
    ]  # fmt: skip
    for row in table.itertuples(index=False):
        same = mine["browser"].isna() if pd.isna(row.browser) else mine["browser"] == row.browser
        part = mine[same & ((mine["stratum"] == row.stratum) | (row.stratum == "all"))]
        known = part["matched"].dropna()
        assert (row.k, row.n, row.unknown) == (known.sum(), len(known), part["matched"].isna().sum())
        assert (row.low, row.high) == pytest.approx([x[0] for x in limits([row.k], [row.n])])
    half = len(events) // 2
    events.iloc[half:].to_parquet(tmp_path / "a.parquet")
    events.iloc[:half].to_parquet(tmp_path / "b.parquet")
    for other in (str(tmp_path / "*.parquet"), ibis.memtable(events)):
        pd.testing.assert_frame_equal(cl.match_rate(other, by="browser", platform="meta"), table)
    wide = table[table["stratum"] != "all"].groupby("browser", dropna=False)[["k", "n", "unknown"]].sum()
    whole = table[table["stratum"] == "all"].set_index("browser")[["k", "n", "unknown"]]
    assert wide.to_numpy().tolist() == whole.to_numpy().tolist(), "strata are exclusive and complete"


def test_a_given_stratum_stands() -> None:
    """Rows that bring their stratum need no platform; each kind of interval can be asked for."""
    rows = server(200, 2).assign(stratum="click_id", attributed=True)
    found = cl.attribution_rate(rows, method="exact").set_index("stratum")
    n = int((rows["channel"] == "capi").sum())
    assert found.loc["click_id", ["k", "n"]].tolist() == [n, n]
    assert found.loc["pii_only", "n"] == 0
    assert np.isnan(found.loc["pii_only", "value"])
    assert found.loc["click_id", "low"] == pytest.approx(0.025 ** (1 / n))
    assert "attributed known" in found.loc["all", "denominator"]


def test_wrong_tables_are_refused() -> None:
    """No platform and no stratum, no mark, a mark that is a number, no such platform."""
    rows = server(5, 3)
    with pytest.raises(InputError, match="whose match keys"):
        cl.match_rate(rows)
    with pytest.raises(ContractError, match="attributed: column is missing"):
        cl.attribution_rate(rows, platform="meta")
    with pytest.raises(ContractError, match="matched: is int64"):
        cl.match_rate(rows.assign(matched=1), platform="meta")
    with pytest.raises(UnknownNameError, match="myspace"):
        cl.key_coverage(rows, "myspace")
    with pytest.raises(InputError, match="cannot group by 'stratum'"):
        cl.match_rate(rows.assign(stratum="none"), by="stratum")


@pytest.mark.parametrize("platform", ["meta", "google"])
def test_key_coverage_is_a_plain_count(platform: str) -> None:
    """Against the scalar normaliser, key by key: usable, and there but not usable."""
    events = server(400, 4).assign(platform=None)
    mine = events[events["channel"] == "capi"]
    table = cl.key_coverage(events, platform).set_index("key")
    spec = cl.PLATFORMS[platform].spec
    ids = [one.param for one in spec.click_ids]
    assert list(table.index) == [key.source for key in spec.match_keys] + ids + ["any_click_id"]
    assert (table["n"] == len(mine)).all()
    for key in ("email", "phone", "first_name", "client_ip", "country"):
        if key in table.index:
            there = mine[key].replace("", None).notna()
            good = [pd.notna(v) and normalise(v, key, platform, country="US") is not None for v in mine[key]]
            assert table.loc[key, "k"] == sum(good), key
            assert table.loc[key, "unusable"] == int(there.sum()) - sum(good), key
    absent = [key for key in table.index if key not in events.columns and key != "any_click_id"]
    assert absent
    assert (table.loc[absent, ["k", "unusable"]] == 0).all().all()


def test_key_coverage_of_conversions_and_small_groups(tiny) -> None:
    """The ledger's own keys; a small group is blanked with all its keys."""
    conversions, _ = tiny
    conversions = conversions.assign(fbc=FBC, email=["a@example.com"] * 3 + [None])
    table = cl.key_coverage(conversions, "meta", by="browser")
    found = table.set_index(["browser", "key"])["k"]
    assert (found["Safari", "fbc"], found["Chrome", "fbc"]) == (1, 0)
    assert (found["Safari", "any_click_id"], found["Chrome", "email"]) == (1, 1)
    assert set(table["denominator"]) == {"conversions"}
    hidden = cl.suppress_small(table, 3)
    assert hidden["suppressed"].all()
    assert hidden[["k", "n", "value", "unusable"]].isna().all().all()


def test_against_the_truth_by_hand() -> None:
    """Recall is of the ad-driven, precision of the attributed; what is not known takes no part."""
    rows = pd.DataFrame(
        {
            "conversion_id": [str(i) for i in range(8)],
            "event_name": "purchase",
            "event_time": T,
            "attributed": pd.array([True, True, True, False, False, False, None, True], dtype="boolean"),
            "ad_driven": pd.array([True, True, False, True, False, False, True, None], dtype="boolean"),
        }
    )
    recall, precision = cl.attribution_recall(rows).iloc[0], cl.attribution_precision(rows).iloc[0]
    assert (recall["rate"], recall["k"], recall["n"]) == ("attribution_recall", 2, 3)
    assert (precision["rate"], precision["k"], precision["n"]) == ("attribution_precision", 2, 3)
    assert recall["denominator"] == "conversions, truly ad-driven"


def test_upload_success_counts_each_conversion_once() -> None:
    """An acceptance stands whatever came after; skipped rows were not uploaded; platforms are apart."""
    rows = pd.DataFrame(
        [
            ("1", "rejected", 1, "meta"), ("1", "accepted", 2, "meta"), ("1", "rejected", 3, "meta"),
            ("2", "skipped", 1, "meta"), ("3", "retry", 1, "meta"), ("3", "rejected", 2, "meta"),
            ("1", "rejected", 1, "google"), ("4", "unknown", 1, "google"),
        ],
        columns=["conversion_id", "status", "hour", "platform"],
    )  # fmt: skip
    rows["sent_at"] = T + pd.to_timedelta(rows.pop("hour"), unit="h")
    found = cl.upload_success_rate(rows, by="platform").set_index("platform")
    assert found[["k", "n"]].to_numpy().tolist() == [[0, 2], [1, 2]]
    assert set(found["denominator"]) == {"conversions uploaded"}
    whole = cl.upload_success_rate(rows.iloc[::-1]).iloc[0]
    assert (whole["k"], whole["n"]) == (1, 3)
    with pytest.raises(InputError, match="cannot group by 'status'"):
        cl.upload_success_rate(rows, by="status")
