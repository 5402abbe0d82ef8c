"""`eligible` says of whole tables what the wires say row by row, and why."""

from __future__ import annotations

import itertools
import unicodedata
from datetime import datetime
from pathlib import Path

import ibis
import pandas as pd
import pyarrow as pa
import pytest

import capi_lab as cl
from capi_lab.errors import ContractError, InputError, UnknownNameError
from capi_lab.identity import KEY_RULES, normalise
from capi_lab.identity.digests import recognise
from capi_lab.identity.usable import folded, trimmed, usable
from capi_lab.platforms.wire import Level
from capi_lab.words import Ineligible
from tests.contracts.examples import IDS, NOW, PERSON, ROUTES, SETTINGS, example_rows, wire_of
from tests.reconcile.conversions import BLANKS, VALUES, random_conversions

WHEN = pd.Timestamp(NOW)
NOBODY = dict.fromkeys([*PERSON, *IDS])
VARIANTS: list[tuple[str, str, dict[str, str]]] = [
    *((platform, route, {}) for platform, route in ROUTES),
    ("tiktok", "events_api", {"event_source": "offline"}),
    ("google", "data_manager", {"kind": "WEBPAGE", "transaction_id": "event_id"}),
    ("google", "data_manager", {"transaction_id": "event_id", "missing_consent": "account"}),
    ("google", "ads_api", {"operation": "enhancement", "transaction_id": "event_id"}),
    ("google", "ads_api", {"transaction_id": "event_id"}),
    ("linkedin", "capi", {"version": "202608"}),
]
variants = pytest.mark.parametrize(
    ("platform", "route", "more"), VARIANTS, ids=lambda v: v if isinstance(v, str) else "-".join(v.values())
)
everywhere = pytest.mark.parametrize(("platform", "route"), ROUTES, ids=lambda v: v)
# About other rows, or about one upload; never about a conversion by itself.
NOT_COVERED = {"W13": "repeats another row: dedup's business", "A10": "the setting adjustment_time is one upload's"}


def errors_by_row(rows: pd.DataFrame, platform: str, route: str, more: dict[str, str]) -> dict[str, set[str]]:
    """Reasons the wire has against each row."""
    wire = wire_of(platform, route)
    reason = {(need.rule, need.message): str(need.reason) for need in wire.route.needs}
    found: dict[str, set[str]] = {name: set() for name in rows["conversion_id"]}
    for problem in wire.validate(rows, SETTINGS[platform, route] | more, now=NOW):
        if problem.level is Level.ERROR and problem.rule not in NOT_COVERED:
            found[problem.row_id].add(reason[problem.rule, problem.message])
    return found


def reasons_by_row(marked: pd.DataFrame) -> dict[str, set[str]]:
    """Reasons `eligible` has against each row."""
    both = marked[["ineligible_reason", "further_reasons"]].fillna("")
    named = (both["ineligible_reason"] + "," + both["further_reasons"]).str.split(",")
    return {key: set(filter(None, words)) for key, words in zip(marked["conversion_id"], named, strict=True)}


def without_unclear(rows: pd.DataFrame, platform: str) -> pd.DataFrame:
    """Take out what the whole normaliser refuses and is no digest: phones no country has, 31 February, and so on.

    What is left says nothing that hangs on the numbering plan or the calendar, so that both must agree to the letter.
    """
    cleaned = rows.copy()
    for key, rule in KEY_RULES[platform].items():
        for at, (value, country) in enumerate(zip(rows[key], rows["country"], strict=True)):
            if not isinstance(value, str) or (rule.hashed and recognise(value)):
                continue
            if normalise(value, key, platform, country if isinstance(country, str) else None) is None:
                cleaned.loc[at, key] = None
    return cleaned


@pytest.mark.slow
@variants
def test_reasons_are_those_of_the_wire(platform: str, route: str, more: dict[str, str]) -> None:
    """Where no key is unclear the two have the same reasons against every row; whatever the wire takes is eligible."""
    unclear = random_conversions(500, seed=1)
    clear = without_unclear(unclear, platform)
    clear = clear.assign(conversion_id="clear-" + clear["conversion_id"])
    rows = pd.concat([unclear, clear], ignore_index=True)
    expected = errors_by_row(rows, platform, route, more)
    found = reasons_by_row(cl.eligible(rows, platform, route=route, settings=more, now=NOW))
    assert {row_id: found[row_id] for row_id in clear["conversion_id"]} == {
        row_id: expected[row_id] for row_id in clear["conversion_id"]
    }
    taken = {row_id for row_id, reasons in expected.items() if not reasons}
    assert 10 < len(taken) < len(rows) - 10
    assert all(not found[row_id] for row_id in taken)


def test_keys_are_refused_only_where_the_normaliser_gives_nothing() -> None:
    """Every value of every key under every platform's rule; what is let through though unusable is listed here."""
    let_through: dict[str, set[str]] = {
        # The country's numbering plan: too short or too long for it.
        "phone": {
            "+1 650 555",
            "1-800-FLOWERS",
            "(650) 555-1212",
            "6505551212",
            "+49 30 5550123",
            "0030 21 0555 0123",
            "011 49 30 5550123",
        },
        # A title in front of a placeholder, a comma that is left of a suffix.
        "first_name": {"Mr. Unknown"},
        "last_name": {", jr"},
        # The calendar, and who writes the month first.
        "date_of_birth": {"1997-02-31", "03/04/1997"},
        # Version 6: only its shape is read.
        "client_ip": {"fe80::1", "::ffff:10.0.0.1"},
        # Beyond ASCII.
        "email": {"j@\u00fcnicode.example", "j@exam\u200bple.com", "jane\uff20example.com"},
    }
    for platform, rules in KEY_RULES.items():
        for key, rule in rules.items():
            cases = pd.DataFrame(
                itertools.product([*VALUES[key], *filter(None, BLANKS)], [None, *VALUES["country"]]),
                columns=["value", "place"],
            ).astype("str")
            cases = cases.assign(place=cases["place"].where(cases["place"] != "nan"))
            table = ibis.memtable(cases)
            place = table.value if key == "country" else table.place
            said = usable(trimmed(table.value), rule, folded(place))
            frame = table.mutate(said=said).to_pandas()
            gives = [
                normalise(value, key, platform, place if isinstance(place, str) else None) is not None
                for value, place in zip(frame["value"], frame["place"], strict=True)
            ]
            frame = frame.assign(gives=gives)
            refused = frame[frame["gives"] & ~frame["said"]]
            assert refused.empty, (platform, key, refused)
            unclear = set(frame.loc[~frame["gives"] & frame["said"], "value"])
            assert unclear <= let_through.get(key, set()), (platform, key)


@pytest.mark.parametrize("key", ["city", "first_name", "region"])
def test_signs_that_are_no_letters(key: str) -> None:
    """One character is a name exactly where the normaliser leaves something of it: all of Unicode's first plane."""
    points = [point for point in range(1, 0x10000) if not 0xD800 <= point < 0xE000]
    table = ibis.memtable(pd.DataFrame({"value": list(map(chr, points))}))
    said = table.select(said=usable(trimmed(table.value), KEY_RULES["meta"][key])).to_pandas()["said"]
    gives = [normalise(chr(point), key, "meta") is not None for point in points]
    differ = {chr(point) for point, flag, given in zip(points, said, gives, strict=True) if flag != given}
    # A region is looked up letter by letter first: signs that are letters in a square may be a code.
    squared = {one for one in differ if any(part.isalnum() for part in unicodedata.normalize("NFKD", one))}
    assert differ == (squared if key == "region" else set())
    assert not any(given and not flag for flag, given in zip(said, gives, strict=True))


# Days an event and a click may be old, minutes it may lie ahead: a second time on purpose, from the platforms' pages.
DAYS = {
    ("meta", "capi"): {None: 7, "phone": 7, "store": 62},
    ("google", "data_manager"): {None: 90},
    ("google", "ads_api"): {None: 90},
    ("tiktok", "events_api"): {None: 7},
    ("microsoft", "offline"): {None: 90},
    ("microsoft", "uet"): {None: 7},
    ("linkedin", "capi"): {None: 90},
}
AHEAD = {"meta": 60, "google": 60, "tiktok": 60, "microsoft": 0, "linkedin": 0}
CLICK_DAYS = {"meta": 90, "google": 90, "tiktok": 28, "microsoft": 90}
CLICK_OF = {"meta": "fbc", "google": "gclid", "tiktok": "ttclid", "microsoft": "msclkid", "linkedin": "li_fat_id"}
MICRO = pd.Timedelta(microseconds=1)
# An instant that a number of seconds in floating point would miss.
ODD = datetime(2026, 11, 23, 12, 34, 59, 999_999, tzinfo=NOW.tzinfo)


@everywhere
def test_ages_and_consent_stop_where_the_pages_say(platform: str, route: str) -> None:
    """A limit is inside, a microsecond beyond is not; by action source; denied comes first, missing is not denied."""
    clock, strict = pd.Timestamp(ODD), platform == "google"
    hour_ago, oldest = clock - pd.Timedelta(hours=1), clock - pd.Timedelta(days=DAYS[platform, route][None])
    newest = clock + pd.Timedelta(seconds=AHEAD[platform])
    # time, action source, consent, country, reason, further reasons
    cases = [
        (newest, "web", "granted", "DE", "", ""),
        (newest + MICRO, "web", "granted", "DE", "future_time", ""),
        (hour_ago, "web", "denied", "US", "consent_denied", ""),
        (oldest - MICRO, "web", "denied", "US", "consent_denied", "too_old"),
        (hour_ago, "web", None, "US", "", ""),
        (hour_ago, "web", None, "DE", "consent_missing" if strict else "", ""),
    ]
    for source, days in DAYS[platform, route].items():
        last = clock - pd.Timedelta(days=days)
        cases.append((last, source or "web", "granted", "DE", "", ""))
        cases.append((last - MICRO, source or "web", "granted", "DE", "too_old", ""))
    names = ("event_time", "action_source", "consent_ad_user_data", "country")
    columns = {
        name: list(values) for name, values in zip(names, zip(*(case[:4] for case in cases), strict=True), strict=True)
    }
    marked = cl.eligible(example_rows(len(cases), click_time=None, **columns), platform, route=route, now=ODD)
    assert marked["ineligible_reason"].fillna("").tolist() == [case[4] for case in cases]
    assert marked["further_reasons"].fillna("").tolist() == [case[5] for case in cases]
    assert marked["eligible"].tolist() == [not case[4] for case in cases]
    assert marked["consent_ad_user_data"].isna().sum() == 2


@everywhere
def test_a_click_counts_as_long_as_the_platform_knows_it(platform: str, route: str) -> None:
    """A click id beyond its age carries nobody; beside an e-mail address it does no harm; of unknown time it counts."""
    days = CLICK_DAYS.get(platform)
    last = pd.Timestamp(ODD) - pd.Timedelta(days=days or 90)
    bare = NOBODY | {CLICK_OF[platform]: IDS[CLICK_OF[platform]], "user_agent": PERSON["user_agent"]}
    if platform == "tiktok":
        bare |= {"user_agent": None}
    rows = example_rows(
        4,
        **bare | {"email": [None, None, "jane@example.com", None]},
        event_time=pd.Timestamp(ODD) - pd.Timedelta(hours=1),
        click_time=[last, last - MICRO, last - MICRO, pd.NaT],
    )
    marked = cl.eligible(rows, platform, route=route, now=ODD)
    assert marked["eligible"].tolist() == [True, days is None, True, True]
    if days is not None:
        assert marked["ineligible_reason"].iloc[1] == "click_too_old"


def test_a_conversion_may_be_as_early_as_its_click() -> None:
    """Equal times are in order, a microsecond less is not, on the one route that refuses it."""
    when = WHEN - pd.Timedelta(days=1)
    rows = example_rows(2, event_time=[when, when - MICRO], click_time=when)
    assert cl.eligible(rows, "microsoft", now=NOW)["ineligible_reason"].fillna("").tolist() == ["", "before_click"]
    assert cl.eligible(rows, "microsoft", route="uet", now=NOW)["eligible"].all()


@pytest.mark.parametrize("route", ["data_manager", "ads_api"])
def test_missing_consent_counts_as_denied_where_the_platform_says_so(route: str) -> None:
    """In the EEA, the UK and Switzerland, however the country is written; nowhere else; an account's default helps."""
    places = ["DE", "at", "Germany", "\u00d6sterreich", "GRC", "NO", "UK", "CH", "US", "TR", "Narnia", None]
    strict = [True] * 8 + [False] * 4
    rows = example_rows(len(places), country=places, consent_ad_user_data=None)
    marked = cl.eligible(rows, "google", route=route, now=NOW)
    assert (marked["ineligible_reason"] == "consent_missing").tolist() == strict
    assert cl.eligible(rows, "google", route=route, settings={"missing_consent": "account"}, now=NOW)["eligible"].all()


ONE_REASON = [
    ("google", None, {}, "test_order", {"test_order": True}),
    ("meta", None, {}, "wrong_source", {"action_source": "app"}),
    ("meta", None, {}, "wrong_source", {"action_source": None}),
    ("tiktok", None, {}, "wrong_source", {"action_source": "store"}),
    ("tiktok", None, {"event_source": "offline"}, "wrong_event", {"action_source": "store", "event_name": "our_own"}),
    ("meta", None, {}, "no_match_key", NOBODY | {"action_source": "phone"}),
    ("microsoft", None, {}, "no_match_key", NOBODY | {"msclkid": "not-whole", "gclid": IDS["gclid"]}),
    ("google", "ads_api", {}, "no_match_key", NOBODY | {"client_ip": "203.0.113.7"}),
    ("meta", None, {}, "too_broad", NOBODY | {"city": "Bonn", "country": "DE", "action_source": "phone"}),
    ("linkedin", None, {}, "personal_id", {"external_id": "jane@example.com"}),
    ("microsoft", "uet", {}, "personal_id", {"external_id": "+16505551212"}),
    ("meta", None, {}, "malformed_id", {"fbc": "IwAR0-bare"}),
    ("google", None, {}, "malformed_id", {"email": "0" * 32}),
    ("google", None, {}, "conflicting_ids", {"gbraid": "a" * 24, "wbraid": "b" * 24}),
    ("meta", None, {}, "missing_field", {"value": None}),
    ("meta", None, {}, "missing_field", {"page_url": "/thanks"}),
    ("meta", None, {}, "missing_field", {"user_agent": None}),
    ("google", None, {"kind": "WEBPAGE", "transaction_id": "event_id"}, "missing_field", {"event_id": None}),
    ("meta", None, {}, "bad_field", {"currency": "eur"}),
    ("meta", None, {}, "bad_field", {"value": -0.01}),
    ("microsoft", None, {}, "bad_field", {"value": 1e12}),
    ("google", None, {}, "bad_field", {"value": float("inf")}),
]


def test_each_word_is_given_for_what_it_says() -> None:
    """One thing wrong with a good conversion, one word, and no other; those of one route are asked together."""
    asked: dict[tuple[str, str | None, tuple[tuple[str, str], ...]], list[tuple[str, dict[str, object]]]] = {}
    for platform, route, more, reason, columns in ONE_REASON:
        asked.setdefault((platform, route, tuple(more.items())), []).append((reason, columns))
    for (platform, route, more), cases in asked.items():
        rows = pd.concat([example_rows(1, **columns) for _, columns in cases], ignore_index=True)
        rows = rows.assign(conversion_id=[f"order-{at}" for at in range(len(rows))])
        if "test_order" in rows:
            rows = rows.assign(test_order=rows["test_order"].astype("boolean"))
        marked = cl.eligible(rows, platform, route=route, settings=dict(more), now=NOW)
        assert marked["ineligible_reason"].tolist() == [reason for reason, _ in cases]
        assert marked["further_reasons"].isna().all()


def test_every_word_has_a_test() -> None:
    """No reason goes untested: the others have tests of their own above."""
    above = {"consent_denied", "consent_missing", "future_time", "too_old", "before_click", "click_too_old"}
    assert {reason for *_, reason, _ in ONE_REASON} | above == set(Ineligible)
    given = {need.reason for platform, route in ROUTES for need in wire_of(platform, route).route.needs}
    assert given | {Ineligible.TEST_ORDER} == set(Ineligible)


def test_test_orders_are_those_the_caller_names() -> None:
    """By a column or by patterns; a placeholder address is none unless it is named."""
    rows = example_rows(3, email=["jane@example.com", "qa@test.example", None])
    assert cl.eligible(rows, "linkedin", now=NOW)["eligible"].all()
    named = cl.eligible(rows, "linkedin", now=NOW, test_orders={"email": "@test[.]example$", "conversion_id": "1003"})
    assert named["eligible"].tolist() == [True, False, False]
    assert (named["ineligible_reason"] == "test_order").tolist() == [False, True, True]
    marked = cl.eligible(
        rows.assign(test_order=[None, True, False]).astype({"test_order": "boolean"}), "linkedin", now=NOW
    )
    assert marked["eligible"].tolist() == [True, False, True]
    with pytest.raises(InputError, match="must be boolean"):
        cl.eligible(rows.assign(test_order="yes"), "linkedin", now=NOW)
    with pytest.raises(UnknownNameError, match="no_such"):
        cl.eligible(rows, "linkedin", now=NOW, test_orders={"no_such": "x"})


def test_bad_input_is_named() -> None:
    """A clock without a zone, an unknown route or setting, a broken table."""
    rows = example_rows()
    with pytest.raises(InputError, match="no zone"):
        cl.eligible(rows, "meta", now=datetime(2026, 1, 1))
    with pytest.raises(UnknownNameError, match="capi"):
        cl.eligible(rows, "meta", route="none", now=NOW)
    with pytest.raises(InputError, match="unknown setting"):
        cl.eligible(rows, "meta", settings={"kind": "WEBPAGE"}, now=NOW)
    with pytest.raises(InputError, match="'event_source'"):
        cl.eligible(rows, "tiktok", settings={"event_source": "crm"}, now=NOW)
    with pytest.raises(ContractError):
        cl.eligible(rows.assign(conversion_id="same"), "meta", now=NOW)


def test_rows_and_reasons_add_up() -> None:
    """Eligible and the count of each reason are all rows, in each group; marks of another run are replaced."""
    rows = random_conversions(600, seed=3)
    marked = cl.eligible(rows, "microsoft", now=NOW)
    assert marked["conversion_id"].tolist() == rows["conversion_id"].tolist()
    assert (marked["eligible"] == marked["ineligible_reason"].isna()).all()
    counts = cl.eligibility(marked)
    assert counts["k"].sum() == len(rows)
    assert (counts["n"] == len(rows)).all()
    assert counts["reason"].iloc[0] == "eligible"
    assert counts.set_index("reason")["k"].to_dict() == {
        "eligible": marked["eligible"].sum(),
        **marked["ineligible_reason"].value_counts().to_dict(),
    }
    grouped = cl.eligibility(marked, by="action_source")
    assert grouped["k"].sum() == len(rows)
    of_group = grouped.groupby("action_source", dropna=False)
    assert of_group["k"].sum().tolist() == of_group["n"].first().tolist()
    again = cl.eligible(marked, "linkedin", now=NOW)
    pd.testing.assert_frame_equal(again[marked.columns], cl.eligible(rows, "linkedin", now=NOW))
    with pytest.raises(UnknownNameError, match="eligible"):
        cl.eligibility(rows)


def test_order_and_files_change_nothing(tmp_path: Path) -> None:
    """DataFrame, Arrow, one Parquet file, several in another order, an Ibis table: the same marks."""
    rows = random_conversions(400, seed=4).assign(note="kept")
    marks = ["conversion_id", "eligible", "ineligible_reason", "further_reasons", "note"]
    expected = cl.eligible(rows, "google", now=NOW)[marks].sort_values("conversion_id", ignore_index=True)
    shuffled = rows.sample(frac=1, random_state=5)
    inner = cl.eligible(shuffled.set_axis(range(7, 7 + len(rows))), "google", now=NOW)
    assert inner["conversion_id"].tolist() == shuffled["conversion_id"].tolist()
    assert inner.index.tolist() == list(range(7, 7 + len(rows)))
    rows.to_parquet(tmp_path / "one.parquet")
    for at in range(3):
        shuffled.iloc[at::3].to_parquet(tmp_path / f"part-{at}.parquet")
    arrow = pa.Table.from_pandas(rows, preserve_index=False)
    for source in (inner, arrow, tmp_path / "one.parquet", tmp_path / "part-*.parquet", ibis.memtable(arrow)):
        found = source if source is inner else cl.eligible(source, "google", now=NOW)
        assert isinstance(found, ibis.Table) == isinstance(source, Path | ibis.Table)
        frame = found.to_pandas() if isinstance(found, ibis.Table) else found
        pd.testing.assert_frame_equal(frame[marks].sort_values("conversion_id", ignore_index=True), expected)


@everywhere
def test_a_table_without_the_columns_is_judged_too(platform: str, route: str) -> None:
    """The least a ledger can hold: nobody can be matched, and no column is invented."""
    rows = example_rows(2)[["conversion_id", "event_name", "event_time"]]
    marked = cl.eligible(rows, platform, route=route, now=NOW)
    assert not marked["eligible"].any()
    assert set(marked) == {*rows, "eligible", "ineligible_reason", "further_reasons"}
