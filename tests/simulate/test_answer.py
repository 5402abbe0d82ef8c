"""The platform's side: what it counts, matches, attributes and tells."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.platforms.received import read_requests
from capi_lab.platforms.rules import Dated
from tests.contracts.examples import ROUTES, SETTINGS, example_rows, wire_of

START = pd.Timestamp("2026-07-01", tz="UTC")
IDS = {"meta": "fbc", "google": "gclid", "tiktok": "ttclid", "microsoft": "msclkid", "linkedin": "li_fat_id"}
PARAMS = IDS | {"meta": "fbclid"}
FATES = ("cid_corrupt", "cid_foreign", "cid_invalid", "cid_optout")
SURE = {"cid_corrupt": 0.0, "cid_foreign": 0.0, "cid_invalid": 0.0, "cid_optout": 0.0}


def click_id(platform: str, i: int) -> str:
    """Return an id as the link carries it."""
    return f"{i:032x}" if platform == "microsoft" else f"Click-{i:025d}"


def world(platform: str, **values: float) -> cl.World:
    """Return the default world with this platform's numbers changed; names without a platform get it."""
    known = cl.World().values()
    return cl.World().with_values({k if k in known else f"{k}.{platform}": v for k, v in values.items()})


def server_events(n: int, platform: str, rng: np.random.Generator) -> pd.DataFrame:
    """Draw what a server sends: any mix of keys, several orders a person."""
    person = rng.integers(0, n // 2, n)
    has = rng.random((3, n)) < np.array([[0.3], [0.7], [0.5]])
    click = pd.Series([click_id(platform, i) for i in range(n)])
    wrapped = "fb.1.1782000000000." + click if platform == "meta" else click
    events = pd.DataFrame(
        {
            "row_id": [f"s{i}" for i in range(n)],
            "channel": "capi",
            "event_name": "Purchase",
            "event_id": [f"e{i}" for i in range(n)],
            "conversion_id": [f"o{i}" for i in range(n)],
            "event_time": START + pd.to_timedelta(rng.integers(0, 30 * 86_400, n), unit="s"),
            "email": pd.Series([f"p{i}@example.com" for i in person]).where(has[1]),
            "phone": pd.Series([f"+1202555{i % 10000:04d}" for i in person]).where(has[2]),
            "user_key": [f"u{i}" for i in person],
            IDS[platform]: wrapped.where(has[0]),
        }
    )
    times = events["event_time"] + pd.Timedelta(seconds=30)
    return events.assign(
        event_time=events["event_time"].dt.as_unit("us"), received_time=times.dt.as_unit("us"), country="US"
    )


def within(k: int, n: int, p: float) -> bool:
    """Say whether k of n lies within five standard errors of a probability."""
    return n == 0 or abs(k / n - p) <= 5 * np.sqrt(max(p * (1 - p), 1e-9) / n)


@pytest.mark.parametrize("platform", sorted(cl.PLATFORMS))
def test_match_rates_are_those_of_the_mechanisms(platform: str) -> None:
    """By click id the product of what can go wrong; by person account and any of the keys; none is a constant."""
    n = 8_000
    events = server_events(n, platform, np.random.default_rng(3)).assign(user_key=[f"u{i}" for i in range(n)])
    events["email"] = pd.Series([f"p{i}@example.com" for i in range(n)]).where(events["email"].notna())
    events["phone"] = pd.Series([f"+1{2_015_550_000 + i}" for i in range(n)]).where(events["phone"].notna())
    mine = cl.World()
    rows = cl.answer(events, platform, mine, 5).rows
    able = mine.matching(platform)
    by_click = np.prod([1 - getattr(mine, fate) for fate in FATES])
    clicked = rows["stratum"] == "click_id"
    assert within(int((rows["matched_by"] == "click_id").sum()), int(clicked.sum()), float(by_click))
    takes_phones = any(key.source == "phone" for key in cl.PLATFORMS[platform].spec.match_keys)
    phone = events["phone"].notna() & takes_phones
    for mail, ring in ((True, False), (False, True), (True, True)):
        some = (rows["stratum"] == "pii_only") & (events["email"].notna() == mail) & (phone == ring)
        chance = able.account * (1 - (1 - able.em_eq * mail) * (1 - able.ph_eq * ring))
        assert within(int(rows.loc[some, "matched"].sum()), int(some.sum()), chance)
    # Whoever carries a click id was seen to click: signed in then, if the id itself fails.
    failed = clicked & (rows["matched_by"] != "click_id") & events["email"].notna() & ~phone
    assert within(int(rows.loc[failed, "matched"].sum()), int(failed.sum()), able.signed_in_at_click * able.em_eq)
    assert not rows.loc[rows["stratum"] == "none", "matched"].any()


def test_the_same_person_is_answered_alike_in_any_batch_and_order() -> None:
    """A row's match hangs on who and what it is about, not on what else is sent or when."""
    events = server_events(3_000, "meta", np.random.default_rng(1))
    whole = cl.answer(events, "meta", cl.World(), np.random.default_rng(9)).rows.set_index("row_id")
    shuffled = events.sample(frac=1, random_state=2)
    cuts = [shuffled.iloc[start : start + 450] for start in range(0, len(shuffled), 450)]
    parts = [cl.answer(part, "meta", cl.World(), np.random.default_rng(9)).rows for part in cuts]
    again = pd.concat(parts).set_index("row_id").loc[whole.index]
    pd.testing.assert_series_equal(again["matched_by"], whole["matched_by"])
    other = cl.answer(events, "meta", cl.World(), np.random.default_rng(10)).rows.set_index("row_id")
    assert (other["matched_by"].fillna("") != whole["matched_by"].fillna("")).any()
    # One e-mail address, one answer.
    alone = whole[whole["matched_by"].isin(["email"])].index
    mails = events.set_index("row_id")["email"]
    only = events.assign(phone=None, fbc=None).dropna(subset="email")
    matched = cl.answer(only, "meta", cl.World(), np.random.default_rng(9)).rows.set_index("row_id")["matched"]
    assert matched.groupby(mails.loc[matched.index]).nunique().eq(1).all()
    assert len(alone)


def test_better_odds_never_lose_a_match() -> None:
    """Draws are common: raising a probability only adds."""
    events = server_events(3_000, "tiktok", np.random.default_rng(1))
    low = cl.answer(events, "tiktok", world("tiktok", em_eq=0.2, account=0.3), 4).rows["matched"]
    high = cl.answer(events, "tiktok", world("tiktok", em_eq=0.5, account=0.6), 4).rows["matched"]
    assert high[low].all()
    assert high.sum() > low.sum()


@pytest.mark.parametrize(("platform", "route"), ROUTES)
def test_what_was_sent_is_answered_like_what_was_meant(platform: str, route: str) -> None:
    """Requests, with their hashes and spellings, match as the rows they were written from."""
    base, n = example_rows().iloc[[0]], 300
    rng = np.random.default_rng(8)
    rows = pd.concat([base] * n, ignore_index=True)
    rows["conversion_id"] = rows["event_id"] = [f"order-{i}" for i in range(n)]
    rows["email"] = [f"P{i}@Example.com " for i in range(n)]
    rows["phone"] = [f"+1 202 555 {i:04d}" for i in range(n)]
    ids = [rule.param for rule in cl.PLATFORMS[platform].spec.click_ids if rule.is_click and rule.param in rows]
    rows[ids] = rows[ids].where(rng.random((n, 1)) < 0.5)
    if platform == "microsoft":
        rows["msclkid"] = pd.Series([f"{i:032x}" for i in range(n)]).where(rows["msclkid"].notna())
    spec = cl.PLATFORMS[platform].spec
    sent = wire_of(platform, route).encode(rows, SETTINGS[platform, route])
    meant = rows.drop(columns=["origin"], errors="ignore").assign(row_id=rows["conversion_id"], channel="capi")
    one = cl.answer(sent, platform, cl.World(), 6, route=route).rows
    other = cl.answer(meant, platform, cl.World(), 6, route=route).rows
    assert one["conversion_id"].tolist() == other["conversion_id"].tolist()
    pd.testing.assert_frame_equal(one[["stratum", "matched_by", "kept"]], other[["stratum", "matched_by", "kept"]])
    read = read_requests(sent, spec, spec.route(route))
    assert (read["event_time"] == rows["event_time"].dt.floor("s")).all()
    assert set(other["stratum"]) == {"click_id", "pii_only"}


def clicks_of(platform: str, events: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the clicks a platform saw: some under an event's id, some of its person, some of neither."""
    n = len(events)
    back = pd.to_timedelta(rng.choice([1, 86_400, 7 * 86_400, 8 * 86_400, 30 * 86_400, 40 * 86_400], n), unit="s")
    nudge = pd.to_timedelta(rng.integers(-1, 2, n), unit="us")
    return pd.DataFrame(
        {
            "click_row_id": [f"c{i}" for i in range(n)],
            "platform": platform,
            "param": PARAMS[platform],
            "click_id": [click_id(platform, i) for i in rng.permutation(n)],
            "click_time": (events["event_time"] - back + nudge).dt.as_unit("us"),
            "user_key": events["user_key"].sample(frac=1, random_state=4).to_numpy(),
        }
    )


def test_attributes_as_the_ledger_would() -> None:
    """Where everybody is known, what is attributed, and to which click, is what `capi_lab.attribute` says."""
    rng = np.random.default_rng(2)
    events = server_events(1_500, "meta", rng).assign(email=lambda t: t["email"].fillna("somebody@example.com"))
    clicks = clicks_of("meta", events, rng)
    sure = world("meta", account=1, em_eq=1, signed_in_at_click=1, **SURE)
    rows = cl.answer(events, "meta", sure, 0, clicks=clicks).rows
    ledger = events[["conversion_id", "event_name", "event_time", "user_key", "fbc"]]
    expected = cl.attribute(ledger, clicks, platform="meta")
    assert rows["matched"].all()
    assert rows["attributed"].tolist() == expected["attributed"].tolist()
    inside = rows["attributed"].astype(bool)
    assert rows.loc[inside, "click_row_id"].tolist() == expected.loc[inside, "click_row_id"].tolist()
    assert 0.1 < inside.mean() < 0.9
    # The person is found through the ledger where the events, like those of a request, do not name it.
    bare = events.drop(columns="user_key")
    people = ledger[["conversion_id", "event_name", "event_time", "user_key"]].assign(email=events["email"])
    through = cl.answer(bare, "meta", sure, 0, clicks=clicks, conversions=people).rows
    assert through["attributed"].tolist() == rows["attributed"].tolist()


def test_accepted_is_not_matched_is_not_attributed() -> None:
    """All four combinations there can be occur; a later word never holds without the earlier one."""
    rng = np.random.default_rng(5)
    events = server_events(2_000, "meta", rng)
    old = rng.random(len(events)) < 0.2
    events["received_time"] = events["received_time"].mask(old, events["event_time"] + timedelta(days=7, seconds=1))
    rows = cl.answer(events, "meta", cl.World(), 1, clicks=clicks_of("meta", events, rng)).rows
    assert (rows["accepted"].to_numpy() == ~old).all()
    assert rows.groupby(["accepted", "matched", "attributed"]).ngroups == 4
    assert rows.loc[rows["matched"], "accepted"].all()
    assert rows.loc[rows["attributed"].astype(bool), "matched"].all()
    assert not rows.loc[~rows["accepted"], "kept"].any()


def test_a_click_id_the_platform_never_gave_out_matches_nothing() -> None:
    """A truncated id is no click; without clicks to compare with, nobody can tell."""
    events = server_events(400, "google", np.random.default_rng(5)).assign(email=None, phone=None)
    events["gclid"] = [click_id("google", i)[:-1] for i in range(len(events))]
    sure = world("google", **SURE)
    clicks = clicks_of("google", events, np.random.default_rng(1)).assign(click_time=START - timedelta(days=1))
    assert not cl.answer(events, "google", sure, 1, clicks=clicks).rows["matched"].any()
    blind = cl.answer(events, "google", sure, 1).rows
    assert blind["matched"].all()
    assert blind["attributed"].isna().all()


PAIR = pd.DataFrame(
    {
        "row_id": ["p", "s"],
        "channel": ["pixel", "capi"],
        "event_name": ["Purchase", "Purchase"],
        "event_id": ["e", "e"],
        "conversion_id": ["1", "1"],
        "event_time": [START, START],
        "received_time": [START, START + timedelta(minutes=1)],
        "email": [None, "a@example.com"],
    }
)


def test_the_kept_event_has_the_keys_its_rule_gives_it() -> None:
    """TikTok's kept event takes over the server's address; Meta discards the later one with all it says."""
    for platform, matched in (("tiktok", True), ("google", True), ("meta", False)):
        sure = world(platform, account=1, em_eq=1)
        rows = cl.answer(PAIR, platform, sure, 0).rows
        assert rows["kept"].tolist() == [True, False], platform
        assert rows["matched"].tolist() == [matched, True], platform


def test_consent_tests_and_strangers() -> None:
    """Refused consent is accepted, and matched by nobody; a test event counts where the platform counts it."""
    sure = world("google", account=1, em_eq=1)
    rows = PAIR.iloc[[1, 1, 1]].assign(row_id=["a", "b", "c"], conversion_id=["1", "2", "3"], country="DE")
    rows = rows.assign(consent_ad_user_data=["granted", None, "denied"])
    found = cl.answer(rows, "google", sure, 0).rows
    assert found["accepted"].all()
    assert found["matched"].tolist() == [True, False, False]
    test = PAIR.iloc[[1]].assign(test_event_code="TEST123")
    assert [cl.answer(test, name, cl.World(), 0).rows["kept"].item() for name in ("meta", "tiktok")] == [True, False]
    body = wire_of("tiktok", "events_api").encode(
        example_rows(), SETTINGS["tiktok", "events_api"] | {"test_event_code": "TEST123"}
    )
    assert not cl.answer(body, "tiktok", cl.World(), 0).rows["kept"].any()
    with pytest.raises(cl.errors.InputError, match="another platform"):
        cl.answer(PAIR.assign(platform="meta"), "tiktok", cl.World(), 0)


@pytest.mark.parametrize("platform", sorted(cl.PLATFORMS))
def test_tells_what_the_platform_tells(platform: str) -> None:
    """Totals by day add up to what is known, on the day the platform counts; only observed ones without modelling."""
    rng = np.random.default_rng(7)
    events = server_events(2_000, platform, rng)
    clicks = clicks_of(platform, events, rng)
    found = cl.answer(events, platform, world(platform, modelled=0), 1, clicks=clicks)
    rows, rule = found.rows, cl.PLATFORMS[platform].spec.reports
    assert set(found.reports["metric"]) == set(rule.counts)  # a day has fewer than 100 matches: no range is told
    masks = {"received": rows["row_id"].notna(), "accepted": rows["accepted"], "matched": rows["matched"]}
    masks["attributed"] = rows["attributed"].astype(bool)
    days = {Dated.RECEIPT: "received_time", Dated.EVENT: "event_time", Dated.CLICK: "click_time"}
    for metric, dated in rule.counts.items():
        expected: dict[pd.Timestamp, int] = {}
        for day in rows.loc[masks[metric], days[dated]]:
            expected[day.floor("D")] = expected.get(day.floor("D"), 0) + 1
        told = found.reports[(found.reports["metric"] == metric) & (found.reports["stratum"] == "all")]
        assert dict(zip(told["day"], told["count"], strict=True)) == expected, metric
    assert "accepted" in repr(found)
    assert "example.com" not in repr(found)


def test_ranges_hold_the_truth_and_modelled_ones_are_marked() -> None:
    """Google's range of a day's match rate holds that rate; the modelled share is the world's."""
    n = 12_000
    events = server_events(n, "google", np.random.default_rng(7))
    clicks = clicks_of("google", events, np.random.default_rng(1))
    found = cl.answer(events, "google", world("google", modelled=0.25), 1, clicks=clicks)
    ranges = found.reports[found.reports["metric"] == "matched"].set_index("day")
    truth = found.rows.groupby(found.rows["received_time"].dt.floor("D"))["matched"].sum()
    assert len(ranges) == len(truth[truth >= 100]) > 20
    assert (ranges["low"] <= truth.loc[ranges.index]).all()
    assert (ranges["high"] >= truth.loc[ranges.index]).all()
    told = found.reports[found.reports["metric"] == "attributed"]
    observed = int(found.rows["attributed"].sum())
    assert told["count"].sum() - told["modelled"].sum() == observed
    assert abs(told["modelled"].sum() / told["count"].sum() - 0.25) < 0.02
