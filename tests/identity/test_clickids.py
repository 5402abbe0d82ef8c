"""Click and browser ids out of URLs, cookies and named values."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import capi_lab as cl
from capi_lab.identity.click_columns import click_id_frame
from capi_lab.identity.clickids import (
    IdProblem,
    click_ids_from_cookies,
    click_ids_from_pairs,
    find_in_cookies,
    find_in_url,
)
from tests.depth import THOROUGH

GCLID = "Cj0KCQiAvvKBBhCXARIsACTePW-Test_id_wcB"
FBCLID = "IwAR0-Example_Click"
base64url = st.text("ABCXYZabcxyz0123456789-_", min_size=1, max_size=80)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"https://shop.example/p?utm_source=g&gclid={GCLID}", {"gclid": GCLID}),
        (f"/p?Gclid={GCLID}", {"gclid": GCLID}),
        (f"/p?GCLID=other&gclid={GCLID}", {"gclid": GCLID}),
        (f"/p#gclid={GCLID}", {"gclid": GCLID}),
        (f"/p#/route?fbclid={FBCLID}", {"fbclid": FBCLID}),
        (f"https://t.example/tr?dl=https%3A%2F%2Fshop.example%2F%3Ffbclid%3D{FBCLID}", {"fbclid": FBCLID}),
        ("/p?gclid=&fbclid=null&msclkid={{Click ID}}&ttclid=(not set)", {}),
        ("/p?gclid=a%2Db", {"gclid": "a-b"}),
        ("/p?gclid=a%252Db", {}),
        ("/p?gclid=a+b", {}),
        ("/p?gclid=a%20b", {}),
        ("/p?ttclid=E.C.P.abc", {"ttclid": "E.C.P.abc"}),
        ("/p?gclid=abc;def", {}),
        ("/p?gclid=0", {}),
        ("/p?ScCid=abc&rdt_cid=1", {"sccid": "abc", "rdt_cid": "1"}),
        ("http://[broken?gclid=abc", {"gclid": "abc"}),
        ("https://shop.example/", {}),
        ("", {}),
    ],
)
def test_url_grammar(url: str, expected: dict[str, str]) -> None:
    """Names match exactly before case-blindly; values are decoded once, and damaged ones are not used."""
    assert cl.identity.click_ids_from_url(url) == expected


def test_repeated_parameter_keeps_the_first_and_is_counted() -> None:
    """``?gclid=a&gclid=b`` gives a; b is reported as a repeat."""
    found = find_in_url("/p?gclid=a&gclid=b")
    assert [(one.value, one.problem, one.usable) for one in found] == [
        ("a", None, True),
        ("b", IdProblem.REPEATED, False),
    ]


@pytest.mark.parametrize(
    ("cookies", "expected"),
    [
        (f"_fbc=fb.1.1795399000123.{FBCLID}", {"fbc": f"fb.1.1795399000123.{FBCLID}", "fbclid": FBCLID}),
        ("_fbc=fb.1.1795399000123.abc.AQ", {"fbc": "fb.1.1795399000123.abc.AQ", "fbclid": "abc"}),
        ("_fbc=fb.1.1795399000123.abc.AQQCAQIB", {"fbc": "fb.1.1795399000123.abc.AQQCAQIB", "fbclid": "abc"}),
        ("_fbc=fb.1.1795399000123", {}),
        ("_fbc=fb.1.1795399000123.abc.toolongappendix", {}),
        ("_fbc=fb.x.1795399000123.abc", {}),
        ("_fbp=fb.2.1795300000456.123456789", {"fbp": "fb.2.1795300000456.123456789"}),
        (f"_gcl_aw=GCL.1795399000.{GCLID}; _gcl_dc=GCL.1795399000.{GCLID}", {"gclid": GCLID}),
        ("_gcl_aw=broken; _gcl_dc=GCL.1650000000.abc", {"gclid": "abc"}),
        ("_gcl_dc=GCL.1650000000.old; _gcl_aw=GCL.1650000001.new", {"gclid": "new"}),
        (f"FPGCLAW=2.1.k{GCLID}$i1795399000", {"gclid": GCLID}),
        (f"_gac_UA-1-1=1.1795399000.{GCLID}", {"gclid": GCLID}),
        ("_gcl_gb=GCL.1795399000.0AAAAA", {"wbraid": "0AAAAA"}),
        (f"_gcl_aw=GCL.1795399000.{GCLID}.label1", {"gclid": GCLID}),
        (f"_gcl_aw=1.1795399000.{GCLID}", {"gclid": GCLID}),
        ("_gcl_ag=2.1.k0AAAAB$i1795399000", {"gbraid": "0AAAAB"}),
        ("_uetmsclkid=_uetzzz", {}),
        ("_uetmsclkid=_uet0123456789abcdef0123456789abcdef", {"msclkid": "0123456789abcdef0123456789abcdef"}),
        (
            "li_fat_id=6f6e6ed0-2f25-4b31-9c1f-0d5f3a7a8b11",
            {"li_fat_id": "6f6e6ed0-2f25-4b31-9c1f-0d5f3a7a8b11"},
        ),
        ("_ttp=abc; ttclid=E.C.P.x", {"ttp": "abc", "ttclid": "E.C.P.x"}),
        ("_gcl_au=1.1.123.1795399000; _gcl_gs=2.1.k1$i1; _uetsid=ab; _ga=GA1.1.1.2", {}),
        ('_fbp="fb.1.1795300000456.1"', {"fbp": "fb.1.1795300000456.1"}),
        ("_gcl_aw=GCL%2E1795399000%2Eabc", {"gclid": "abc"}),
        ("_gcl_aw=", {}),
    ],
)
def test_cookie_grammar(cookies: str, expected: dict[str, str]) -> None:
    """Each cookie follows its own grammar; look-alikes and broken ones give nothing."""
    assert cl.identity.click_ids_from_cookies(cookies) == expected


def test_cookie_carries_the_click_time() -> None:
    """Milliseconds for Meta, seconds for Google; seconds where milliseconds belong are read and flagged."""
    when = datetime(2026, 11, 22, 10, 16, 40, tzinfo=UTC)
    ms, s = int(when.timestamp() * 1000), int(when.timestamp())
    (fbc, _) = find_in_cookies(f"_fbc=fb.1.{ms}.abc")
    (gclid,) = find_in_cookies(f"_gcl_aw=GCL.{s}.abc")
    (late, _) = find_in_cookies(f"_fbc=fb.1.{s}.abc")
    assert fbc.time == gclid.time == late.time == when
    assert (fbc.problem, late.problem) == (None, IdProblem.SECONDS_NOT_MS)


@given(base64url, base64url)
def test_ids_survive_byte_for_byte(gclid: str, fbclid: str) -> None:
    """Any base64url id comes back exactly, from URL and from cookie, unless it spells a placeholder."""
    placeholders = {"null", "undefined", "nan", "-", "0"}
    if {gclid.lower(), fbclid.lower()} & placeholders:
        return
    assert cl.identity.click_ids_from_url(f"/?gclid={gclid}&fbclid={fbclid}") == {
        "gclid": gclid,
        "fbclid": fbclid,
    }
    cookie = f"fb.1.1795399000123.{fbclid}"
    assert cl.identity.click_ids_from_cookies(f"_fbc={cookie}") == {"fbc": cookie, "fbclid": fbclid}


@given(st.text())
def test_no_text_breaks_the_readers(text: str) -> None:
    """Whatever stands in a log, the readers answer."""
    for reader in (cl.identity.click_ids_from_url, cl.identity.click_ids_from_cookies):
        assert isinstance(reader(text), dict)
        assert isinstance(reader("?gclid=" + text), dict)
    click_ids_from_pairs([("gclid", text), (text, "abc"), ("_fbc", text)])


def test_names_of_order_notes_and_plugins() -> None:
    """A field counts where its name ends in an id's name behind a separator; plain words do not."""
    pairs = [
        ("_wpgens_st_gclid", "g1"),
        ("_fbp", "fb.1.1795300000456.1"),
        ("fbc", "fb.1.1795399000123.abc"),
        ("notgclid", "no"),
        ("colour", "red"),
    ]
    assert click_ids_from_pairs(pairs) == {
        "gclid": "g1",
        "fbp": "fb.1.1795300000456.1",
        "fbc": "fb.1.1795399000123.abc",
        "fbclid": "abc",
    }


def test_whole_columns_prefer_the_url_and_count_problems() -> None:
    """A click in the URL is newer than the one the cookie remembers; damaged and repeated ids are counted."""
    urls = pd.Series(["/?gclid=new", "/?gclid=a b", None, "/?gclid=x&gclid=y"], dtype="str")
    cookies = pd.Series(["_gcl_aw=GCL.1795399000.old", None, "_gcl_aw=GCL.1795399000.old", None], dtype="str")
    frame, problems = click_id_frame(urls, cookies)
    assert frame[["row", "click_id", "id_source"]].to_numpy().tolist() == [
        [0, "new", "url"],
        [3, "x", "url"],
        [2, "old", "cookie"],
    ]
    assert problems == {"damaged": 1, "repeated": 1}
    assert frame.set_index("row")["click_time"].notna().to_dict() == {0: False, 3: False, 2: True}


_PIECES = st.sampled_from(
    ["gclid=", "Gclid=", "GCLID=", "ScCid=", "sccid=", "fbclid=", "url=", "dl=", "Redirect=", "x=", "gclid", "&", "&",
     "&", "?", "?", "#", "/", "%3F", "%26", "%3D", "gcl%69d=", "a", "B-_.", "A1", "0", "-", "null", "(not set)",
     "{{gclid}}",
     " ", "+", "%2B", "%", ";", ":", "//", "[", "]", "https://shop.example", "\\", "\u00e9", "\u212a", "\t",
     "\n", "\x00"]
)  # fmt: skip
_URL = st.lists(_PIECES, max_size=14).map("".join) | st.lists(_PIECES, max_size=10).map(lambda p: "/?" + "".join(p))


@settings(max_examples=300 if THOROUGH else 100)
@given(urls=st.lists(_URL | st.none(), max_size=12))
def test_a_column_of_urls_holds_what_each_url_holds(urls: list[str | None]) -> None:
    """Plain, encoded, nested, repeated or broken: all at once finds the ids, problems and order of one by one."""
    index = [f"row {n}" for n in range(len(urls))]
    frame, problems = click_id_frame(pd.Series(urls, index=index, dtype="str"))
    want, wrong = [], Counter()
    for row, url in zip(index, urls, strict=True):
        found = find_in_url(url) if url is not None else ()
        wrong.update(str(one.problem) for one in found if one.problem)
        want += [(row, one.param, one.value, "url") for one in found if one.usable]
    assert list(frame.drop(columns="click_time").itertuples(index=False, name=None)) == want
    assert problems == wrong
    assert str(frame["click_time"].dtype) == "datetime64[us, UTC]"
    assert frame["click_time"].isna().all()


@given(pieces=st.lists(st.sampled_from(["_fbp", "_fbc", "ttclid", "a", "_gac_1", "=", "; ", "fb.1.1795300000456.1"])))
def test_a_column_of_cookies_holds_what_each_header_holds(pieces: list[str]) -> None:
    """No header that holds an id is passed over."""
    header = "".join(pieces)
    frame, _ = click_id_frame(cookies=pd.Series([header], dtype="str"))
    assert dict(zip(frame["param"], frame["click_id"], strict=True)) == click_ids_from_cookies(header)
