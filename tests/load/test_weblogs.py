"""The three request logs, against requests that are known and against plain readings of the real files."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import capi_lab as cl
from capi_lab.errors import LoadError
from capi_lab.identity import click_ids_from_url
from capi_lab.load import Loaded
from capi_lab.load import gather as gathering
from capi_lab.load.addresses import client_addresses
from capi_lab.load.pageviews import _STATIC, REQUEST, _are_static
from capi_lab.load.result import Intake
from capi_lab.load.weblogs import _FIELDS, _LINE, _Regular
from tests.load.corruption import assert_damage_is_told, damaged, lines_with_text
from tests.load.made_logs import HOST, Request, cloudfront, combined, load_balancer, requests

LOADERS: dict[str, tuple[Callable[..., Loaded], Callable[[list[Request]], str]]] = {
    "combined": (cl.load.access_log, lambda made: "".join(map(combined, made))),
    "cloudfront": (cl.load.cloudfront_log, cloudfront),
    "load balancer": (cl.load.alb_log, lambda made: "".join(map(load_balancer, made))),
}


def rows_of(data: bytes) -> int:
    """Count the lines that are neither blank nor a CloudFront header."""
    return lines_with_text(data) - sum(1 for line in data.split(b"\n") if line.startswith(b"#"))


@pytest.mark.parametrize("name", LOADERS)
def test_written_and_read_back(tmp_path: Path, name: str) -> None:
    """Known requests in each spelling: every page view comes back as it was, click ids and all; the rest is counted."""
    load, write = LOADERS[name]
    made = requests(200, seed=5)
    path = tmp_path / "x.log"
    path.write_text(write(made), encoding="utf-8")
    visits = load(path, kind="visits")
    views = [one for one in made if one.is_page_view]
    assert (visits.report.rows_in, visits.report.rows_out) == (200, len(views))
    df = visits.df
    assert df["page_url"].tolist() == [f"https://{HOST}{one.target}" for one in views]
    assert df["user_agent"].tolist() == [one.agent for one in views]
    assert df["client_ip"].tolist() == [one.client_ip for one in views]
    assert df["visit_time"].tolist() == [pd.Timestamp(one.time) for one in views]
    bare = name == "load balancer"
    assert df["referrer_url"].isna().tolist() == [bare or one.referrer is None for one in views]
    assert df["referrer_url"].dropna().tolist() == [one.referrer for one in views if one.referrer and not bare]
    fbp = [one.cookie.removeprefix("_fbp=") for one in views if one.cookie]
    assert ("fbp" in df) == (not bare)
    assert bare or df["fbp"].dropna().tolist() == fbp
    wanted = Counter((param, i) for one in views for param, i in click_ids_from_url(one.target).items())
    clicks = load(path, kind="clicks")
    assert Counter(zip(clicks.df["param"], clicks.df["click_id"], strict=True)) == wanted
    assert clicks.df["click_time"].is_monotonic_increasing
    assert clicks.report.expanded > 0


@pytest.mark.parametrize("name", LOADERS)
def test_cuts_and_files_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """One file, small pieces, two archives and a streamed load give the same rows and the same account."""
    load, write = LOADERS[name]
    # A redirect's target comes 59 s later, and lies behind a cut.
    made = requests(120, seed=6)
    again = [Request(**{**vars(one), "number": 1000 + one.number}) for one in made if one.is_page_view][:9]
    made = [*made, *again]
    path = tmp_path / "x.log"
    path.write_text(write(made), encoding="utf-8")
    whole = {kind: load(path, kind=kind) for kind in ("clicks", "visits")}
    assert whole["clicks"].report.dropped["repeated_click"] > 0
    monkeypatch.setattr(gathering, "CHUNK", 3000)
    for kind, one in whole.items():
        cut = load(path, kind=kind)
        pd.testing.assert_frame_equal(cut.df, one.df)
        assert cut.report == one.report
        streamed = load(path, kind=kind, to=tmp_path / "out.parquet")
        assert streamed.report == one.report
        order = "click_row_id" if kind == "clicks" else "visit_row_id"
        pd.testing.assert_frame_equal(
            streamed.df.sort_values(order, ignore_index=True), one.df.sort_values(order, ignore_index=True)
        )
    (tmp_path / "1.log.gz").write_bytes(gzip.compress(write(made[:70]).encode()))
    (tmp_path / "2.log.gz").write_bytes(gzip.compress(write(made[70:]).encode()))
    split = load(str(tmp_path / "*.gz"), kind="clicks")
    assert split.report.dropped == whole["clicks"].report.dropped
    assert split.df["click_id"].tolist() == whole["clicks"].df["click_id"].tolist()


@pytest.mark.parametrize("name", LOADERS)
def test_damage(tmp_path: Path, name: str) -> None:
    """Flipped, cut, holed, doubled: our own error, or every line of the damaged file accounted for."""
    load, write = LOADERS[name]
    assert_damage_is_told(load, write(requests(8, seed=7)).encode(), tmp_path, "x.log", rows=rows_of, n=12)


def test_all_at_once_reads_what_line_by_line_reads() -> None:
    """Wherever the fast way takes a line, the plain expression takes it too and finds the same fields."""
    rng = Random(8)
    good = [combined(one, extra=extra) for one in requests(60, seed=9) for extra in (False, True)]
    good += [
        '198.51.100.7 - - [17/May/2026:10:05:03 +0200] "GET / HTTP/1.1" 200 12\n',
        '198.51.100.7 - bob [17/May/2026:10:05:03 +0200] "GET /a HTTP/2" - - "-" "Mozilla"\r\n',
        '2001:db8::1 - - [2026-05-17T10:05:03+02:00] "GET /a HTTP/1.10" 200 12 "" ""\n',
        '198.51.100.7 - - [17/May/2026:10:05:03 +0200] "-" 408 - "-" "-"\n',
    ]
    lines = [*good]
    for _ in range(600):
        text = damaged(rng.choice(good).encode(), rng).decode(errors="backslashreplace").split("\n")[0] + "\n"
        lines.append(text)
    regular = _Regular(pa.array(lines))
    assert 300 < regular.good.sum() < len(lines)
    assert regular.good[len(good) - 4 : len(good)].all()
    every = np.arange(regular.good.sum())
    fields = {name: regular.column(name, every).to_pylist() for name in _FIELDS if name != "request"}
    for at, line in enumerate(line for line, one in zip(lines, regular.good, strict=True) if one):
        match = _LINE.fullmatch(line)
        assert match is not None
        wanted = dict(zip(_FIELDS, match.groups(), strict=True))
        request = re.fullmatch(REQUEST, wanted.pop("request"))
        assert {name: values[at] for name, values in fields.items()} == wanted
        assert regular.is_get[at] == (request is not None and request["method"] == "GET")
        if regular.is_get[at]:
            assert regular.column("target", every[at : at + 1]).to_pylist() == [request["target"]]


def test_addresses_are_judged_as_the_standard_library_judges_them() -> None:
    """Plain addresses are judged without asking one by one, with the same verdict."""
    rng = Random(14)
    texts = [".".join(str(rng.randrange(256)) for _ in range(4)) for _ in range(3000)]
    texts += [f"{first}.{second}.0.1" for first in range(256) for second in (0, 2, 16, 64, 88, 168, 254)]
    texts += ["1.2.3", "01.2.3.4", "256.1.1.1", "8.8.8.8 ", "2a00:1450::1", "fe80::1", "::1", "8.8.8.8.8", "-", "x"]

    def judged(text: str) -> bool:
        try:
            address = ip_address(text.strip())
        except ValueError:
            return False
        return not (address.is_private or address.is_loopback or address.is_unspecified or address.is_link_local)

    intake = Intake("", "", pd.DataFrame())
    kept = client_addresses(pd.Series([*texts, None], dtype="str"), intake)
    assert kept.notna().tolist() == [*map(judged, texts), False]


def test_real_cloudfront_33_fields(real: Path) -> None:
    """Names come from the header; agents are decoded; a response of 502 is no page view."""
    loaded = cl.load.cloudfront_log(real / "weblogs" / "cloudfront_standard.log", kind="visits")
    assert (loaded.report.rows_in, loaded.report.dropped) == (6, {"http_status": 3})
    assert set(loaded.df["page_url"]) == {"https://d111111abcdef8.cloudfront.net/index.html"}
    assert loaded.df["visit_row_id"].iloc[0] == "SOX4xwn4XV6Q4rgb7XiVGOHms_BGlTAC4KyHmureZmBNrjGdRLiNIQ=="
    assert (loaded.df["visit_time"] == pd.Timestamp("2019-12-04 21:02:31", tz="UTC")).all()
    assert (loaded.df["client_ip"] == "128.92.136.19").all()
    agent = loaded.df["user_agent"].iloc[0]
    assert agent.startswith("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)")


def test_real_cloudfront_24_fields_without_header(real: Path) -> None:
    """Four entries without a header: one broken cookie is counted, three lines share one request id."""
    loaded = cl.load.cloudfront_log(real / "weblogs" / "cloudfront_legacy_entries.log", kind="visits")
    assert loaded.report.rows_in == 4
    assert loaded.report.dropped == {"static_file": 1, "duplicate_id": 2}
    assert "1 cookie headers hold no name=value; not used" in loaded.report.notes
    assert loaded.df["user_agent"].tolist() == ["Mozilla/4.0 (compatible; MSIE 5.0b1; Mac_PowerPC)"]


def test_real_load_balancer_lines_of_different_lengths(real: Path) -> None:
    """Nine lines of unlike lengths load; the creation time counts, not the answer's; default ports are left out."""
    path = real / "weblogs" / "alb_entries.log"
    assert len({len(line.split(" ")) for line in path.read_text().splitlines()}) > 1
    loaded = cl.load.alb_log(path, kind="visits")
    assert (loaded.report.rows_in, loaded.report.dropped) == (9, {"http_status": 5})
    assert loaded.df["page_url"].tolist() == [
        "http://www.example.com/?a=b&c=d&zip=98101",
        "https://www.example.com/",
        "https://10.0.2.105:773/",
        "http://www.example.com/",
    ]
    assert loaded.df["visit_time"].iloc[0] == pd.Timestamp("2018-07-02 22:22:48.364", tz="UTC")
    assert loaded.df[["client_ip", "referrer_url"]].isna().all().all(), "its clients are private addresses"


def test_urls_are_decoded_once_for_the_log_and_once_as_urls(tmp_path: Path) -> None:
    """``%2520`` in the log is ``%20`` in the URL and a space in the value; a click id survives both."""
    one = requests(1, seed=1)[0]
    target = "/?q=a%20b&redirect=%2Fx%3Fgclid%3DAbC_1-2"
    made = [Request(**{**vars(one), "method": "GET", "target": target, "status": 200})]
    text = cloudfront(made)
    assert "%2520" in text
    assert "%253F" in text
    path = tmp_path / "x.log"
    path.write_text(text)
    loaded = cl.load.cloudfront_log(path)
    assert loaded.df["landing_url"].tolist() == [f"https://{HOST}{target}"]
    assert loaded.df["click_id"].tolist() == ["AbC_1-2"]


@pytest.mark.parametrize("fields", [24, 26, 33])
@pytest.mark.parametrize("header", [True, False])
def test_cloudfront_of_every_length(tmp_path: Path, fields: int, header: bool) -> None:
    """24, 26 and 33 fields load with their header or without it, and give the same rows."""
    path = tmp_path / "x.log"
    made = requests(30, seed=11)
    path.write_text(cloudfront(made, fields=fields, header=header))
    loaded = cl.load.cloudfront_log(path, kind="visits")
    assert loaded.report.rows_in == 30
    assert loaded.df["page_url"].tolist() == [f"https://{HOST}{one.target}" for one in made if one.is_page_view]


def test_cloudfront_headers_within_a_file_and_without_a_row(tmp_path: Path) -> None:
    """Joined files keep each its own header; a header alone is an empty table; a header without a column is refused."""
    made = requests(40, seed=12)
    path = tmp_path / "x.log"
    path.write_text(cloudfront(made[:20]) + cloudfront(made[20:], fields=24))
    assert cl.load.cloudfront_log(path, kind="visits").report.rows_out == sum(one.is_page_view for one in made)
    path.write_text(cloudfront([]))
    empty = cl.load.cloudfront_log(path)
    assert (empty.report.rows_in, len(empty.df)) == (0, 0)
    path.write_text(cloudfront(made).replace("cs-uri-stem", "cs-uri-stm"))
    with pytest.raises(LoadError, match="has no field 'cs-uri-stem'"):
        cl.load.cloudfront_log(path)
    path.write_text(cloudfront(made).replace("cs(Cookie)", "cookies"))
    assert "the log has no cs(Cookie)" in cl.load.cloudfront_log(path).report.notes
    path.write_text(cloudfront(made[:20], header=False) + cloudfront(made[20:], fields=24, header=False))
    with pytest.raises(LoadError, match="several lengths"):
        cl.load.cloudfront_log(path)


def test_forwarded_clients_only_on_request(tmp_path: Path) -> None:
    """``x-forwarded-for`` counts only where the caller vouches for it, and then its leftmost public address."""
    path = tmp_path / "x.log"
    one = next(one for one in requests(50, seed=13) if one.is_page_view)
    path.write_text(cloudfront([one]).replace("0.001\t-\tTLS", "0.001\t10.0.0.1,%208.8.4.4,%208.8.8.8\tTLS"))
    assert cl.load.cloudfront_log(path, kind="visits").df["client_ip"].tolist() == [one.client_ip]
    assert cl.load.cloudfront_log(path, kind="visits", forwarded=True).df["client_ip"].tolist() == ["8.8.4.4"]


def test_classic_load_balancer(tmp_path: Path) -> None:
    """Fifteen fields and no type: its only time is that of the answer; an address may be of version 6."""
    path = tmp_path / "x.log"
    path.write_text(
        "2026-05-13T23:39:43.945958Z my-lb [2a00:1450::1]:2817 10.0.0.1:80 0.000073 0.001048 0.000057 200 200 0 29 "
        '"GET http://www.example.com:80/?gclid=G1 HTTP/1.1" "Mozilla/5.0" - -\n'
    )
    loaded = cl.load.alb_log(path)
    assert loaded.df[["click_id", "client_ip", "landing_url"]].to_numpy().tolist() == [
        ["G1", "2a00:1450::1", "http://www.example.com/?gclid=G1"]
    ]
    assert loaded.df["click_time"].iloc[0] == pd.Timestamp("2026-05-13 23:39:43.945958", tz="UTC")


@given(
    st.lists(
        st.lists(
            st.sampled_from(
                ["/", ".", "?", "#", "a", "js", "PNG", "woff2", "jpeg", ".gz", ".json", "\n", "\u00e9", " "]
            ),
            max_size=7,
        ).map("".join)
        | st.none(),
        max_size=12,
    )
)
def test_parts_of_pages_are_known_by_the_expression(urls: list[str | None]) -> None:
    """A look at where the dot stands rules out nothing the expression takes for a file."""
    column = pa.array(["/cut off.css", *urls], pa.string())[1:]
    expected = [url is not None and re.search(_STATIC.replace("$", r"\Z"), url) is not None for url in urls]
    assert _are_static(column).tolist() == expected
