"""What platforms report back: found out by itself, counted by record, with the bounds that rounding leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import capi_lab as cl
from capi_lab.errors import CapiLabError, ContractError, LoadError
from capi_lab.load.buckets import read_count, share_of
from tests.load.corruption import assert_damage_is_told
from tests.load.made_reports import (
    expected,
    google_summary,
    known_days,
    meta_quality,
    microsoft_account,
    microsoft_csv,
    microsoft_goals,
    request_status,
)


def write(folder: Path, content: object, name: str = "report.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def load(folder: Path, content: object, **options: object) -> cl.load.Loaded:
    return cl.load.platform_report(write(folder, content), **options)


def told(loaded: cl.load.Loaded) -> list[tuple]:
    frame = loaded.df.assign(day=loaded.df["day"].dt.strftime("%Y-%m-%d"))
    rows = frame[["platform", "day", "metric", "count", "low", "high"]].astype("object")
    return sorted(rows.where(rows.notna(), None).itertuples(index=False, name=None), key=str)


FORMATS = {
    "google_client": (google_summary, "google", "accepted", True),
    "google_action": (lambda days: google_summary(days, action=True), "google", "accepted", True),
    "microsoft_goals": (microsoft_goals, "microsoft", "matched", False),
    "microsoft_csv": (microsoft_csv, "microsoft", "matched", False),
    "microsoft_account": (microsoft_account, "microsoft", "accepted", False),
}
everywhere = pytest.mark.parametrize("name", FORMATS)
_DAYS = st.lists(
    st.fixed_dictionaries(
        {
            "day": st.dates(pd.Timestamp("2001-01-01").date(), pd.Timestamp("2099-12-31").date()).map(str),
            "name": st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=9).map(
                lambda text: f"g{text}"
            ),
            "good": st.integers(0, 10**12),
            "bad": st.integers(0, 10**12),
            "open": st.integers(0, 3),
        }
    ),
    min_size=1,
    max_size=5,
    unique_by=(lambda one: one["day"], lambda one: one["name"]),
)


@everywhere
def test_known_days_come_back(name: str, tmp_path: Path) -> None:
    """Each record is two rows; the account says so; pending ones open the upper end; names stay whole."""
    make, platform, good, pending = FORMATS[name]
    days = known_days()
    loaded = load(tmp_path, make(days))
    assert told(loaded) == expected(days, platform, good, pending=pending)
    report = loaded.report
    assert (report.rows_in, report.expanded, report.rows_out, report.dropped) == (3, 3, 6, {})
    if "conversion_action" in loaded.df:
        assert set(loaded.df["conversion_action"]) == {one["name"] for one in days}
    assert loaded.df["stratum"].eq("all").all()


@everywhere
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(days=_DAYS)
def test_any_days_come_back(name: str, days: list, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Writing counts in a format and loading it back is the identity, for what the format can hold."""
    make, platform, good, pending = FORMATS[name]
    if name.startswith("google"):  # the API answers nothing for a day without events
        days = [one | {"good": one["good"] + 1} for one in days]
    assert told(load(tmp_path_factory.mktemp("r"), make(days))) == expected(days, platform, good, pending=pending)


@everywhere
def test_an_overlapping_file_adds_only_its_own_days(name: str, tmp_path: Path) -> None:
    """Of a day in two files the one named first stays, whatever the other says."""
    make, platform, good, pending = FORMATS[name]
    new = write(tmp_path, make(known_days(4)), "new.json")
    old = write(tmp_path, make([one | {"good": 1} for one in known_days(2)]), "old.json")
    loaded = cl.load.platform_report([new, old])
    assert told(loaded) == expected(known_days(4), platform, good, pending=pending)
    assert loaded.report.dropped == {"duplicate_row": 4}
    written = cl.load.platform_report([new, old], to=tmp_path / "reports.parquet")
    assert told(written) == told(loaded)


def test_google_summaries_that_count_the_same(tmp_path: Path) -> None:
    """By client and by action are two views of one set of uploads: together they would count twice."""
    pages = json.loads(google_summary(known_days())) + json.loads(google_summary(known_days(), action=True))
    with pytest.raises(LoadError, match="counts the same uploads by conversion action and by uploading client"):
        load(tmp_path, pages)


def test_google_totals_without_days(tmp_path: Path) -> None:
    """Without daily summaries the totals stand on the day of the last upload; without a day they are counted out."""
    summary = {
        "client": "GOOGLE_ADS_API",
        "total_event_count": 10,
        "successful_event_count": 7,
        "pending_event_count": 1,
    }
    dated = summary | {"last_upload_date_time": "2026-05-17 23:59:59"}
    key = "offline_conversion_upload_client_summary"
    loaded = load(tmp_path, [{key: dated}, {key: summary}, {key: {"client": "X"}}, {"other": 1}])
    assert told(loaded) == [
        ("google", "2026-05-17", "accepted", 7.0, 7.0, 8.0),
        ("google", "2026-05-17", "received", 10.0, None, None),
    ]
    assert loaded.report.dropped == {"no_time": 1, "no_count": 1, "other_record": 1}


def test_request_status(tmp_path: Path) -> None:
    """What is refused under several reasons may be one event or several; while processing nothing is known."""
    answer = request_status(
        ("SUCCESS", 100, {}),
        ("PARTIAL_SUCCESS", 100, {"INVALID_GCLID": 10}),
        ("PARTIAL_SUCCESS", 100, {"INVALID_GCLID": 10, "EVENT_TOO_OLD": 4}),
        ("FAILURE", 100, {"NO_CONSENT": 100}),
        ("PROCESSING", 100, {}),
        ("SUCCESS", None, {}),
        ("REQUEST_STATUS_UNKNOWN", 5, {}),
    )
    with pytest.raises(LoadError, match=r"names no day.*day="):
        load(tmp_path, answer)
    loaded = load(tmp_path, answer, day="2026-05-17")
    accepted = loaded.df[loaded.df["metric"] == "accepted"]
    assert accepted["count"].tolist() == [100, 90, 86, 0]
    assert accepted["low"].fillna(-1).tolist() == [-1, -1, 86, -1]
    assert accepted["high"].fillna(-1).tolist() == [-1, -1, 90, -1]
    assert accepted["conversion_action"].tolist() == ["770", "771", "772", "773"]
    assert loaded.df.loc[loaded.df["metric"] == "received", "count"].tolist() == [100, 100, 100, 100, 5]
    assert loaded.report.dropped == {"no_count": 2}
    audience = {"requestStatusPerDestination": [{"audienceMembersIngestionStatus": {}}], "day": "2026-05-17"}
    assert load(tmp_path, audience).report.dropped == {"other_record": 1}


def test_requests_of_a_day_add_up_unless_they_are_one(tmp_path: Path) -> None:
    """Two requests of one day look alike and both count; a request id kept beside the answer tells a second reading."""
    status = request_status(("SUCCESS", 100, {})) | {"day": "2026-05-17"}
    lines = "\n".join(json.dumps(one) for one in (status, status))
    assert load(tmp_path, lines).df["count"].sum() == 400
    named = "\n".join(json.dumps(status | {"requestId": id_}) for id_ in ("a", "b", "a"))
    loaded = load(tmp_path, named)
    assert (loaded.df["count"].sum(), loaded.report.dropped) == (400, {"duplicate_row": 2})


def test_dataset_quality(tmp_path: Path) -> None:
    """Totals and the share with a click id become counts; a score is no rate; percentages alone are no counts."""
    answer = meta_quality(
        {
            "Purchase": {"totals": [1000, 1000], "fbc": 58.9, "score": 8.1},
            "Lead": {"totals": [90, 100], "fbc": 40},
            "Search": {"fbc": 10},
        }
    )
    loaded = load(tmp_path, answer, day=pd.Timestamp("2026-05-17").date())
    assert loaded.report.dropped == {"no_count": 1}
    assert any("totals=" in note for note in loaded.report.notes)
    rows = loaded.df.set_index(["event_name", "stratum"])
    assert rows.loc[("Purchase", "all"), "count"] == 1000
    assert pd.isna(rows.loc[("Purchase", "all"), "low"])
    assert rows.loc[("Purchase", "click_id"), ["count", "low", "high"]].tolist() == pytest.approx([589, 588.5, 589.5])
    assert rows.loc[("Lead", "all"), ["count", "low", "high"]].tolist() == [100, 90, 100]
    assert rows.loc[("Lead", "click_id"), ["count", "low", "high"]].tolist() == pytest.approx([40, 39.5, 40.5])
    assert rows["match_quality"].dropna().tolist() == [8.1, 6.2]
    assert set(loaded.df["metric"]) == {"received"}, "nothing of it says what was matched"
    given = load(tmp_path, answer | {"day": "2026-05-18"}, totals={"Search": 500}, day="2026-05-17")
    assert given.df.loc[given.df["event_name"] == "Search", "count"].tolist() == [500, 50]
    assert given.df["day"].unique().tolist() == [pd.Timestamp("2026-05-18", tz="UTC")], "the answer's own day wins"


# -- tables ------------------------------------------------------------------------------------------------


def test_a_table_with_buckets(tmp_path: Path) -> None:
    """Ranges and abbreviations become bounds; what has none stays exact; other columns pass through."""
    path = write(
        tmp_path,
        "Date,Network,what,n,stratum,Campaign,low,high\n"
        "2026-05-17,Meta,Received,1.2K,all,Spring,,\n"
        '2026-05-17,meta,accepted,"1,180",,Spring,,\n'
        "2026-05-17,meta,matched,<20,click_id,,,\n"
        "2026-05-17,meta,attributed,10,all,,8,12\n"
        "2026-05-17,other,received,1000+,,,,\n"
        "Total,meta,received,5,,,,\n"
        "2026-05-17,meta,received,many,,,,\n"
        "2026-05-17,,received,5,,,,\n",
        "r.csv",
    )
    columns = {"Date": "day", "Network": "platform", "what": "metric", "n": "count"}
    loaded = cl.load.platform_report(path, columns=columns)
    assert loaded.df["count"].tolist() == [1200, 1180, 9.5, 10, 1000]
    assert loaded.df["low"].fillna(-1).tolist() == [1150, -1, 0, 8, 1000]
    assert loaded.df["high"].fillna(-1).tolist() == [1250, -1, 19, 12, -1]
    assert loaded.df["Campaign"].fillna("-").tolist() == ["Spring", "Spring", "-", "-", "-"]
    assert loaded.report.dropped == {"no_time": 1, "no_count": 1, "unparsable": 1}
    notes = "\n".join(loaded.report.notes)
    assert "3 counts are told in a range" in notes
    assert "1 rows are of a platform we have no rules for" in notes


@everywhere
def test_what_was_loaded_loads_again(name: str, tmp_path: Path) -> None:
    """The contract written as CSV, JSON or Parquet and loaded back is the same table."""
    make, _, _, _ = FORMATS[name]
    first = load(tmp_path, make(known_days()))
    first.df.to_csv(tmp_path / "again.csv", index=False)
    first.df.to_json(tmp_path / "again.json", orient="records", date_format="iso")
    for path in (tmp_path / "again.csv", tmp_path / "again.json", first.to_parquet(tmp_path / "again.parquet")):
        again = cl.load.platform_report(path).df
        pd.testing.assert_frame_equal(again[list(first.df.columns)], first.df)


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "[]",
        '{"error": {"message": "jane.doe@example.com"}}',
        '{"results": [{"campaign": {}}]}',
        "a,b\n1,2\n",
        '{"web": 3}',
    ],
)
def test_unknown_files_are_refused(content: str, tmp_path: Path) -> None:
    """One error that names what is known and how to map one's own; it repeats nothing of the file."""
    with pytest.raises(LoadError, match=r"is no report we know.*columns=") as caught:
        load(tmp_path, content)
    assert "jane" not in str(caught.value)


def test_words_the_contract_lacks_and_bad_arguments(tmp_path: Path) -> None:
    """A metric of another name, a day that is none and totals that are none are told, without the value."""
    path = write(tmp_path, "day,platform,metric,count\n2026-05-17,meta,clicks by jane,5\n", "r.csv")
    with pytest.raises(ContractError, match="metric") as caught:
        cl.load.platform_report(path)
    assert "jane" not in str(caught.value)
    with pytest.raises(LoadError, match="lacks column 'Datum'"):
        cl.load.platform_report(path, columns={"Datum": "day"})
    for wrong in ({"day": "17.5.2026"}, {"day": "9999-01-01"}, {"totals": {"Purchase": -1}}):
        with pytest.raises(LoadError, match=r"day=|totals="):
            cl.load.platform_report(path, **wrong)


def test_a_waterfall_takes_what_was_loaded(tmp_path: Path) -> None:
    """The rows go where reports go: beside the steps, with their bounds."""
    shop = cl.load.sample("cdnow")
    day = shop.conversions["event_time"].min().strftime("%Y-%m-%d")
    loaded = load(tmp_path, meta_quality({"Purchase": {"totals": [40, 50]}}), day=day)
    few = shop.conversions.head(500)
    reported = cl.waterfall(cl.reconcile(few, shop.events, platform="meta"), reports=loaded.df).reported
    assert reported[["metric", "k", "low_k", "high_k"]].to_numpy().tolist() == [["received", 50, 40, 50]]


# -- damage ------------------------------------------------------------------------------------------------


@everywhere
def test_damage_is_told(name: str, tmp_path: Path) -> None:
    """Whatever byte is hurt: our own error, or an account that closes."""
    sample = FORMATS[name][0](known_days(6)).encode()
    suffix = "csv" if name.endswith("csv") else "json"
    assert_damage_is_told(cl.load.platform_report, sample, tmp_path, f"x.{suffix}", n=8)


_KEYS = (
    "web", "event_name", "event_match_quality", "composite_score", "match_key_feedback", "identifier",
    "coverage", "percentage", "diagnostics", "total_event_count", "requestStatusPerDestination",
    "requestStatus", "eventsIngestionStatus", "recordCount", "errorInfo", "errorCounts", "destination",
    "requestId", "day", "results", "offlineConversionUploadClientSummary", "client", "dailySummaries",
    "uploadDate", "successfulCount", "OfflineGoalConversionSummaries", "DailySummaries", "UploadDate",
    "SuccessCount", "UnattributedCount", "ConversionName", "metric", "platform", "count", "low",
)  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**20) | st.floats() | st.text(max_size=6) | st.just("2026-05-17"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(_KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=14,
)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(answers=st.lists(_JSON, min_size=1, max_size=3))
def test_any_answer_is_read_or_refused(answers: list, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No shape of an answer ends in a traceback or loses a record."""
    try:
        report = load(tmp_path_factory.mktemp("r"), answers, day="2026-05-17").report
    except CapiLabError:
        return
    assert report.rows_in + report.expanded == report.rows_out + sum(report.dropped.values())


# -- numbers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("12", (12, None, None)),
        ("1,234,567", (1234567, None, None)),
        ("20-30", (25, 20, 30)),
        ("1,000 – 2,000", (1500, 1000, 2000)),
        ("< 20", (9.5, 0, 19)),
        ("<=20", (10, 0, 20)),
        (">20", (21, 21, None)),
        ("≥20", (20, 20, None)),
        ("1,000+", (1000, 1000, None)),
        ("3M", (3e6, 2.5e6, 3.5e6)),
        ("<0", (0, 0, 0)),
        *[(text, None) for text in ("", "-5", "1,23", "1.234,5", "30-20", "five", "nan", "1e5", "K", "9" * 400)],
    ],
)
def test_counts_are_read_as_platforms_write_them(text: str, count: object) -> None:
    """Exact, ranges, open ends, abbreviations; anything else is none rather than a guess."""
    assert read_count(text) == count


@given(total=st.integers(0, 10**7), share=st.floats(0, 1), decimals=st.integers(0, 3))
def test_the_truth_is_within_what_rounding_leaves(total: int, share: float, decimals: int) -> None:
    """Whatever a platform rounded to this percentage lies between low and high."""
    true = total * share
    percentage = round(100 * share, decimals)
    count, low, high = share_of(total, percentage)
    slack = 1e-9 * max(total, 1)
    assert low - slack <= count <= high + slack
    # A value that happens to end in zeros claims no precision it lacks, so the bounds can only be wider.
    assert low - slack <= true <= high + slack
