"""Pixel requests out of HAR files and URL lists: whose they are, what they say, and what became of them."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import capi_lab as cl
from capi_lab.errors import LoadError, NaiveTimeError, UnknownNameError
from capi_lab.load import gather
from capi_lab.platforms.pixel import Carries
from capi_lab.tables import EVENTS
from tests.load.corruption import assert_damage_is_told, lines_with_text
from tests.load.made_pixels import PIXEL_FORMATS, URL_LIST, digest, entry, google_ads, har, meta, uet
from tests.load.make_samples import known_rows

PIXELS = {name: platform.spec.pixel for name, platform in cl.PLATFORMS.items()}
META = "https://www.facebook.com/tr/?id=1&ev=PageView"


def load(folder: Path, *entries: object, **options: object) -> cl.load.Loaded:
    path = folder / "session.har"
    path.write_text(har(list(entries)))
    return cl.load.pixel_har(path, **options)


def one(folder: Path, request: object) -> pd.Series:
    loaded = load(folder, request)
    assert (loaded.report.rows_out, loaded.report.dropped) == (1, {})
    return loaded.df.iloc[0]


# -- each platform -----------------------------------------------------------------------------------------


def test_meta(tmp_path: Path) -> None:
    """Form bodies and queries alike; the browser's milliseconds; hashed keys, not the masks beside them."""
    row = one(tmp_path, meta(known_rows()[1]))
    assert (row["platform"], row["channel"], row["event_name"], row["event_id"]) == ("meta", "pixel", "purchase", "e-1")
    assert (row["pixel_id"], row["conversion_id"]) == ("123456789012345", "001A")
    assert row["email"] == digest("zoe.1@example.com")
    assert row["fbp"] == "fb.1.1778869247376.15"
    assert row["event_time"] == pd.Timestamp(known_rows()[1]["time"], unit="s", tz="UTC")
    assert row["received_time"] == pd.Timestamp("2026-05-17 10:05:03.5", tz="UTC")
    assert (row["delivery"], row["http_status"]) == ("answered", "200")


def test_a_browsers_id_has_no_click_time(tmp_path: Path) -> None:
    """``fbp`` says when the browser was first seen, which is no click; ``fbc`` says when the click was."""
    assert "click_time" not in load(tmp_path, entry(f"{META}&fbp=fb.1.1778869247376.5")).df
    row = one(tmp_path, entry(f"{META}&fbp=fb.1.1700000000000.5&fbc=fb.1.1778869247376.F1"))
    assert row["click_time"] == pd.Timestamp(1778869247376, unit="ms", tz="UTC")
    assert row["fbclid"] == "F1"


def test_uet(tmp_path: Path) -> None:
    """The action is the name, N is no click, what follows the click id is cut, the consent is read."""
    loaded = load(
        tmp_path, *[uet(row) for row in known_rows(2)], entry("https://bat.bing.com/action/0?ti=1&evt=pageLoad")
    )
    assert loaded.df["event_name"].tolist() == ["purchase", "purchase", "pageLoad"]
    assert loaded.df["msclkid"].fillna("-").tolist() == ["-", f"{1:032x}", "-"]
    assert loaded.df["consent_ad_user_data"].fillna("-").tolist() == ["granted", "granted", "-"]
    assert loaded.df["email"].iloc[0] == digest("zoe.0@example.com")
    quiet = load(tmp_path, entry("https://bat.bing.com/actionp/0?ti=1&evt=pageHide", method="POST"))
    assert quiet.report.dropped == {"other_record": 1}


def test_linkedin_sends_no_names(tmp_path: Path) -> None:
    """With a conversion id it is a conversion, else a page view; what px4 repeats is a copy, page signals no event."""
    url = "ads.linkedin.com/collect?v=2&fmt=js&pid=1,2&time=1783018301282"
    loaded = load(
        tmp_path,
        entry(f"https://px.{url}&conversionId=7&eventId=e1"),
        entry(f"https://px4.{url}&conversionId=7"),
        entry(f"https://px.{url}"),
        entry("https://px.ads.linkedin.com/attribution_trigger?pid=1&time=1783018301282"),
        entry("https://px.ads.linkedin.com/wa/", body="H4sIAAAA"),
    )
    assert loaded.df["event_name"].tolist() == ["conversion", "page_view"]
    assert loaded.df["conversion_action"].fillna("-").tolist() == ["7", "-"]
    assert loaded.df["event_id"].fillna("-").tolist() == ["e1", "-"]
    assert loaded.report.dropped == {"copied_request": 2, "other_record": 1}


def test_one_google_conversion_is_one_event(tmp_path: Path) -> None:
    """Five addresses get a conversion: one is the event, four are copies. Settings and user data are none."""
    tail = "1071635065/?random=1&en=conversion&label=L1&value=10&currency_code=EUR"
    loaded = load(
        tmp_path,
        entry(f"https://www.googleadservices.com/pagead/conversion/{tail}&oid=77&gcs=G101"),
        entry(f"https://www.googleadservices.com/ccm/conversion/{tail}&oid=77"),
        entry(f"https://googleads.g.doubleclick.net/pagead/viewthroughconversion/{tail}", status=302),
        entry(f"https://www.google.com/pagead/1p-conversion/{tail}", status=302),
        entry(f"https://www.google.com.ph/pagead/1p-conversion/{tail}"),
        entry("https://www.google.com/ccm/form-data/1071635065?em=tv.1~em.x"),
        entry("https://www.google.com/ccm/collect?en=page_view&tid=AW-1071635065&dl=https%3A%2F%2Fs.example%2F"),
    )
    assert loaded.report.dropped == {"copied_request": 4, "other_record": 1}
    first, second = loaded.df.iloc[0], loaded.df.iloc[1]
    assert (first["pixel_id"], first["conversion_action"]) == ("AW-1071635065", "L1")
    assert (first["conversion_id"], first["value"], first["currency"]) == ("77", 10.0, "EUR")
    assert first["consent_ad_user_data"] == "denied", "G1, then ad storage, then analytics storage"
    assert (second["event_name"], second["pixel_id"]) == ("page_view", "AW-1071635065")
    assert not any("no original" in note for note in loaded.report.notes)
    alone = load(tmp_path, entry(f"https://www.googleadservices.com/ccm/conversion/{tail}"))
    assert alone.report.dropped == {"copied_request": 1}
    assert any(note.startswith("1 copied requests are of pixels") for note in alone.report.notes)
    image = "https://www.googleadservices.com/pagead/conversion/AW-55/?label=L2&value=1"
    assert one(tmp_path, entry(image))["event_name"] == "conversion"


def test_a_batch_is_several_events(tmp_path: Path) -> None:
    """Lines of an Analytics body share the URL's parameters; each is a row, and the account says so."""
    hit = entry(
        "https://www.google-analytics.com/g/collect?v=2&tid=G-1&cid=1.2&dl=https%3A%2F%2Fs.example%2F",
        body="en=page_view&_et=5\r\nen=purchase&ep.transaction_id=007&epn.value=3&cu=EUR&dl=https%3A%2F%2Fs.example%2Fb",
        status=204,
    )
    loaded = load(tmp_path, hit, entry("https://shop.example/"))
    assert (loaded.report.rows_in, loaded.report.expanded, loaded.report.rows_out) == (2, 1, 2)
    assert loaded.df["event_name"].tolist() == ["page_view", "purchase"]
    assert loaded.df["visitor_id"].tolist() == ["1.2", "1.2"]
    assert loaded.df["page_url"].tolist() == ["https://s.example/", "https://s.example/b"], "the line's own wins"
    assert loaded.df["conversion_id"].fillna("-").tolist() == ["-", "007"]
    assert loaded.df["row_id"].is_unique


# -- bodies of every kind ----------------------------------------------------------------------------------

FORM = {"id": "1", "ev": "Lead", "eid": "a+b c", "cd[value]": "5"}
PARTS = (
    "".join(f'--XyZ\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in FORM.items())
    + "--XyZ--\r\n"
)
ENCODED = "id=1&ev=Lead&eid=a%2Bb+c&cd%5Bvalue%5D=5"


@pytest.mark.parametrize(
    "data",
    [
        {"mimeType": "application/x-www-form-urlencoded", "text": ENCODED},
        {"mimeType": "text/plain", "text": ENCODED},
        {"mimeType": "multipart/form-data; boundary=XyZ", "text": PARTS},
        {
            "mimeType": "",
            "params": [dict(zip(("name", "value"), p.split("="), strict=True)) for p in ENCODED.split("&")],
        },
        {"mimeType": "", "encoding": "base64", "text": base64.b64encode(ENCODED.encode()).decode()},
        {"mimeType": "application/json", "text": json.dumps(FORM | {"more": {"deep": [1]}, "no": None})},
    ],
    ids=["form", "plain", "multipart", "listed", "base64", "json"],
)
def test_a_body_is_read_however_it_is_written(data: dict, tmp_path: Path) -> None:
    """A form's plus is a space and its ``%2B`` a plus, whoever wrote the body down."""
    request = entry("https://www.facebook.com/tr/", method="POST")
    request["request"]["postData"] = data
    row = one(tmp_path, request)
    assert (row["event_name"], row["event_id"], row["value"]) == ("Lead", "a+b c", 5.0)


def test_a_urls_plus_stays_a_plus(tmp_path: Path) -> None:
    """Tags write a space as ``%20``: a plus in an id is the id's own, and one name's first value counts."""
    assert one(tmp_path, entry(f"{META}&eid=a+b%20c&eid=second"))["event_id"] == "a+b c"


def test_json_batches_and_unreadable_bodies(tmp_path: Path) -> None:
    """A list of events, or one under ``batch``, is one row each; probes are none; a cut body is counted."""

    def event(name: str) -> dict:
        return {"event": name, "context": {"pixel": {"code": "C1"}}, "timestamp": "2026-06-29T17:52:13.505Z"}

    url = "https://analytics.tiktok.com/api/v2/pixel/act"
    loaded = load(
        tmp_path,
        entry(url, body=json.dumps([event("A"), event("B")])),
        entry(url, body=json.dumps({"context": {"pixel": {"code": "C2"}}, "batch": [{"event": "C"}, {"event": "D"}]})),
        entry(url, body=json.dumps(event("EnrichAM"))),
        entry(url, body=json.dumps(event("E"))[:-5]),
        entry(f"{url}?analytics_message=%%%"),
        entry("https://analytics.tiktok.com/api/v2/pixel/perf", body="{}"),
    )
    assert loaded.df["event_name"].tolist() == list("ABCD")
    assert loaded.df["pixel_id"].tolist() == ["C1", "C1", "C2", "C2"]
    assert loaded.report.dropped == {"other_record": 2, "unparsable": 2}
    assert loaded.report.expanded == 2


# -- what became of a request ------------------------------------------------------------------------------


def test_blocked_requests_are_counted_and_told_apart(tmp_path: Path) -> None:
    """Never sent: no row unless asked for, and then by ``delivery``. Sent without an answer: a row. Refused: none."""
    entries = [
        entry(META),
        entry(META, status=0, _error="net::ERR_BLOCKED_BY_CLIENT"),
        entry("https://bat.bing.com/action/0?ti=1&evt=pageLoad", status=0, _error="net::ERR_NAME_NOT_RESOLVED"),
        entry(META, status=0, _error="net::ERR_ABORTED"),
        entry(META, status=0, _error="net::ERR_BLOCKED_BY_ORB"),
        entry(META, status=500),
        entry("https://shop.example/", status=0, _error="net::ERR_BLOCKED_BY_CLIENT"),
    ]
    loaded = load(tmp_path, *entries)
    assert loaded.report.dropped == {"blocked_request": 2, "http_status": 1, "not_a_pixel": 1}
    assert loaded.df["delivery"].tolist() == ["answered", "unanswered", "unanswered"]
    notes = "\n".join(loaded.report.notes)
    assert "1 requests to meta were blocked" in notes
    assert "1 requests to microsoft were blocked" in notes
    assert "2 events have no answer" in notes
    kept = load(tmp_path, *entries, blocked=True)
    assert kept.df["delivery"].tolist() == ["answered", "blocked", "blocked", "unanswered", "unanswered"]
    assert kept.df["received_time"].isna().tolist() == [False, True, True, False, False], "nobody received it"
    assert "1 requests to meta were blocked" in "\n".join(kept.report.notes)
    assert "received_time" in kept.df


def test_hops_and_preflights_are_no_events(tmp_path: Path) -> None:
    """Where a browser moves a request to https there are two entries of one event; OPTIONS asks, it does not tell."""
    loaded = load(
        tmp_path,
        entry(META.replace("https", "http"), status=307, redirectURL=META),
        entry(META),
        entry(META, method="OPTIONS"),
    )
    assert loaded.report.rows_out == 1
    assert loaded.report.dropped == {"copied_request": 1, "other_record": 1}


@pytest.mark.parametrize(
    "url",
    [
        "https://www.facebook.com.evil.example/tr/?id=1&ev=Purchase",
        "https://notfacebook.com/tr/?id=1&ev=Purchase",
        "https://www.facebook.com/tr/more?id=1&ev=Purchase",
        "https://connect.facebook.net/en_US/fbevents.js",
        "https://shop.example/?next=https://www.facebook.com/tr/?ev=Purchase",
        "https://bat.bing.com/p/action/123.js",
        "https://www.google.com/search?q=/g/collect",
        "https://[broken/tr/?ev=Purchase",
        "data:image/gif;base64,R0lGOD",
    ],
)
def test_lookalikes_are_no_pixels(url: str, tmp_path: Path) -> None:
    """Host and path must be the pixel's own, whole."""
    assert load(tmp_path, entry(url)).report.dropped == {"not_a_pixel": 1}


def test_the_sites_own_host_may_pass_requests_on(tmp_path: Path) -> None:
    """Named in ``hosts=``, a host is the platform's, below any folder; only that host, and only known platforms."""
    hits = [entry(f"https://{host}/x7/g/collect?v=2&tid=G-1&en=view") for host in ("m.shop.example", "n.shop.example")]
    assert load(tmp_path, *hits).report.dropped == {"not_a_pixel": 2}
    loaded = load(tmp_path, *hits, hosts={"M.shop.example": "google"})
    assert (loaded.df["platform"].tolist(), loaded.report.dropped) == (["google"], {"not_a_pixel": 1})
    with pytest.raises(UnknownNameError, match=r"platform 'bing'.*microsoft"):
        load(tmp_path, *hits, hosts={"m.shop.example": "bing"})


# -- files -------------------------------------------------------------------------------------------------


def test_two_exports_of_one_session_overlap(tmp_path: Path) -> None:
    """An entry saved twice is one event; two alike in one session are two, whatever stands between them."""
    (tmp_path / "a.har").write_text(har([entry(META), entry(META), entry("https://shop.example/")]))
    (tmp_path / "b.har").write_text(har([entry(META), entry("https://shop.example/x"), entry(META), entry(f"{META}2")]))
    assert cl.load.pixel_har(tmp_path / "a.har").report.rows_out == 2
    loaded = cl.load.pixel_har(tmp_path / "*.har")
    assert (loaded.report.rows_out, loaded.report.dropped) == (3, {"not_a_pixel": 2, "duplicate_row": 2})


def test_lists_of_urls(tmp_path: Path) -> None:
    """With a time before it or without; what only a body would tell, and what has no time, is counted."""
    path = tmp_path / "urls.txt"
    lines = [
        f"2026-05-17T10:05:03Z\t{META}",
        f'2026-05-17 12:05:03+02:00,"{META}&ts=1783018301282"',
        f"{META}&ts=1783018301282",
        META,
        "https://www.facebook.com/tr/",
        "https://shop.example/?a=b",
        "no url at all",
    ]
    path.write_text("\n".join(lines) + "\n\n")
    loaded = cl.load.pixel_har(path)
    noon = pd.Timestamp("2026-05-17 10:05:03", tz="UTC")
    own = pd.Timestamp(1783018301282, unit="ms", tz="UTC")
    assert loaded.df["event_time"].tolist() == [noon, own, own]
    assert loaded.df["received_time"].fillna(own).tolist() == [noon, noon, own]
    assert loaded.report.dropped == {"unparsable": 2, "not_a_pixel": 1, "no_time": 1}
    assert loaded.df["delivery"].isna().all()
    notes = "\n".join(loaded.report.notes)
    assert "1 pixel requests name no event" in notes
    assert "tells neither bodies nor answers" in notes
    path.write_text(f"2026-05-17 12:05:03 {META}\n")
    with pytest.raises(NaiveTimeError, match="startedDateTime"):
        cl.load.pixel_har(path)
    assert cl.load.pixel_har(path, tz="Europe/Berlin").df["event_time"].tolist() == [noon]


def test_where_a_list_is_cut_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists are read in parts; the rows, their ids and the account are those of one piece. HAR is never cut."""
    path = URL_LIST.to(tmp_path, known_rows(9))
    whole = cl.load.pixel_har(path)
    session = PIXEL_FORMATS[0].to(tmp_path, known_rows(9))
    at_once = cl.load.pixel_har(session)
    monkeypatch.setattr(gather, "CHUNK", 700)
    parts = cl.load.pixel_har(path)
    pd.testing.assert_frame_equal(parts.df, whole.df)
    assert parts.report == whole.report
    assert cl.load.pixel_har(session).report == at_once.report
    written = cl.load.pixel_har(path, to=tmp_path / "rows.parquet")
    pd.testing.assert_frame_equal(written.df, whole.df)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "no log.entries"),
        ('{"log": {"version": "1.2"}}', "no log.entries"),
        ('{"log": 3}', "no log.entries|no object|no list"),
        ("[1, 2]", "no log.entries"),
        ('{"log": {"entries": [', "neither JSON nor JSON lines"),
        ("jane.doe@example.com\n", "neither a HAR file nor a list of URLs"),
    ],
)
def test_other_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    """One clear error that says what to save instead, and holds nothing of the file."""
    path = tmp_path / "x.har"
    path.write_text(text)
    with pytest.raises(LoadError, match=message) as caught:
        cl.load.pixel_har(path)
    assert "jane.doe" not in str(caught.value)


def test_entries_that_are_none(tmp_path: Path) -> None:
    """An entry without a request or a URL is counted; a session without pixels is an empty table."""
    loaded = load(tmp_path, 3, None, {}, {"request": {"url": 7}}, {"request": {"method": "GET"}}, entry(META))
    assert (loaded.report.rows_in, loaded.report.dropped) == (6, {"unparsable": 5})
    empty = load(tmp_path)
    assert (empty.report.rows_in, len(empty.df)) == (0, 0)
    assert set(EVENTS.required) <= set(empty.df.columns)


def entries_in(data: bytes) -> int:
    return len(json.loads(data.decode("utf-8-sig"))["log"]["entries"])


@pytest.mark.parametrize("seed", range(2))
def test_damage_is_told(seed: int, tmp_path: Path) -> None:
    """Whatever byte is hurt: our own error, or every entry and line accounted for."""
    session = har(
        [meta(row) for row in known_rows(4)] + [uet(row) for row in known_rows(3)] + [google_ads(known_rows()[0])]
    )
    assert_damage_is_told(cl.load.pixel_har, session.encode(), tmp_path, "x.har", rows=entries_in, seed=seed)
    urls = URL_LIST.write(known_rows(8)).encode()
    assert_damage_is_told(cl.load.pixel_har, urls, tmp_path, "x.txt", rows=lines_with_text, seed=seed)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**13) | st.text(max_size=8) | st.sampled_from([META, "POST"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "request",
                    "response",
                    "url",
                    "postData",
                    "text",
                    "mimeType",
                    "params",
                    "headers",
                    "status",
                    "name",
                    "value",
                    "startedDateTime",
                    "_error",
                    "redirectURL",
                    "encoding",
                    "method",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(entries=st.lists(_JSON, max_size=4), url=st.text(max_size=20), body=st.text(max_size=30))
def test_any_entry_is_a_row_or_a_counted_drop(entries: list, url: str, body: str, tmp_path_factory) -> None:
    """No shape of an entry, no query and no body ends in a traceback or is lost."""
    odd = [
        entry(META + "&" + url),
        *[entry(base, body=body, media_type=kind) for base in (META, "https://analytics.tiktok.com/api/v2/pixel")
          for kind in ("multipart/form-data; boundary=a", "application/json", "")],
    ]  # fmt: skip
    report = load(tmp_path_factory.mktemp("h"), *entries, *odd, tz="UTC").report
    assert report.rows_in == len(entries) + len(odd)
    assert report.rows_in + report.expanded == report.rows_out + sum(report.dropped.values())


# -- the rules themselves ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PIXELS)
def test_every_fact_of_a_pixel_has_a_source(name: str) -> None:
    """Each part of the rule that says something names where it was read; so do single fields that differ."""
    rule = PIXELS[name]
    said = {f.name for f in dataclasses.fields(rule) if f.name != "sources" and getattr(rule, f.name)}
    assert said <= set(rule.sources)
    for fact, source in rule.sources.items():
        assert source.url.startswith("https://"), fact
        part, _, column = fact.partition(".")
        assert part in said
        assert not column or column in rule.fields


@pytest.mark.parametrize("name", PIXELS)
def test_a_pixels_patterns_are_sound(name: str) -> None:
    """Patterns compile, columns are the contract's, words are its own, and each pixel has a request with events."""
    rule = PIXELS[name]
    assert any(endpoint.carries is Carries.EVENT for endpoint in rule.endpoints)
    for endpoint in rule.endpoints:
        assert re.compile(endpoint.host).groups == 0
        assert re.compile(endpoint.path).groups == (1 if endpoint.account != "{}" else 0)
    for column, one_field in rule.fields.items():
        assert column in {*EVENTS.names, "pixel_id", "conversion_action"}
        assert one_field.names
        if one_field.pattern:
            assert re.compile(one_field.pattern).groups == 1
        allowed = EVENTS.column(column).allowed if column in EVENTS.names else ()
        assert set(one_field.words.values()) <= set(allowed)
