"""`check` knows a file by its content, says what is in it, and never answers with a stack trace."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import md5, sha256
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

import capi_lab as cl
from capi_lab.cli import app
from capi_lab.errors import CapiLabError, LoadError, UnknownNameError
from capi_lab.load.checkup import FileCheck
from capi_lab.load.files import Part
from capi_lab.load.signatures import known_formats, recognise
from capi_lab.tables import TABLES
from tests.depth import THOROUGH
from tests.load.corruption import damaged, zstd
from tests.load.made_logs import cloudfront, combined, load_balancer, requests
from tests.load.made_pixels import PIXEL_FORMATS, URL_LIST
from tests.load.made_reports import (
    google_summary,
    known_days,
    meta_quality,
    microsoft_account,
    microsoft_csv,
    microsoft_goals,
    request_status,
)
from tests.load.make_samples import FORMATS, known_rows

# Another reading of files that the first loader reads as well.
SECOND_READINGS = {"ga4_clicks": "ga4_bigquery"}
# LinkedIn's tag sends neither order id nor event id here, so nothing could be linked.
NO_IDS = {"har_linkedin.har"}
NOW = datetime(2026, 11, 26, tzinfo=UTC)


@dataclass(frozen=True)
class Sample:
    """A file somebody could have, and the loader that reads it."""

    name: str
    loader: str
    content: bytes


def encoded(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode()


def samples() -> list[Sample]:
    made = requests(60, seed=3)
    days = known_days()
    quality = meta_quality({"Purchase": {"totals": [9]}})
    found = [
        Sample(one.name + one.suffix, SECOND_READINGS.get(one.loader, one.loader), encoded(one.write(known_rows())))
        for one in [*FORMATS, *PIXEL_FORMATS, URL_LIST]
        if one.loader != "table" or "columns" not in one.options  # names of one's own show no format
    ]
    logs: list[tuple[str, str, str]] = [
        ("combined.log", "access_log", "".join(combined(one) for one in made)),
        ("common.log", "access_log", "".join(combined(one, extra=False) for one in made)),
        ("cloudfront.log", "cloudfront_log", cloudfront(made)),
        ("headless.log", "cloudfront_log", cloudfront(made, header=False)),
        ("old.log", "cloudfront_log", cloudfront(made, fields=24, header=False)),
        ("alb.log", "alb_log", "".join(load_balancer(one) for one in made)),
        ("summary.json", "platform_report", google_summary(days)),
        ("actions.json", "platform_report", google_summary(days, action=True)),
        ("goals.json", "platform_report", microsoft_goals(days)),
        ("goals.csv", "platform_report", microsoft_csv(days)),
        ("account.json", "platform_report", microsoft_account(days)),
        (
            "quality.json",
            "platform_report",
            json.dumps(quality | {"day": "2026-06-01"}),
        ),
        ("status.json", "platform_report", json.dumps(request_status(("SUCCESS", 5, {})) | {"day": "2026-06-01"})),
        ("report.csv", "platform_report", "day,platform,metric,count\n2026-06-01,meta,received,7\n"),
    ]
    sold = "2026-06-01T10:00:00"
    woo = {
        "id": 5,
        "order_key": "k",
        "date_created_gmt": sold,
        "status": "completed",
        "total": "9.90",
        "currency": "EUR",
    }
    rest = {"id": 5, "created_at": f"{sold}Z", "financial_status": "paid", "total_price": "9.90", "currency": "EUR"}
    page = {"messageId": "m", "type": "page", "anonymousId": "a", "timestamp": f"{sold}Z", "properties": {"url": "/x"}}
    nginx = {"remote_addr": "203.0.114.9", "time_iso8601": f"{sold}+00:00", "request": "GET / HTTP/1.1", "status": 200}
    logs += [
        ("woo.json", "woocommerce_orders", json.dumps([woo])),
        ("rest.json", "shopify_orders", json.dumps({"orders": [rest]})),
        (
            "export.csv",
            "shopify_orders",
            f"Name,Created at,Financial Status,Id\n#1,{sold}Z,paid,7\n",
        ),
        ("calls.jsonl", "segment_pages", json.dumps(page) + "\n"),
        ("nginx.json", "access_log", json.dumps(nginx) + "\n"),
    ]
    found += [Sample(name, loader, text.encode()) for name, loader, text in logs]
    contracts = {
        "conversions": "conversion_id,event_name,event_time\n1,purchase,2026-01-01T00:00:01Z\n",
        "events": "row_id,channel,event_name,event_time,event_id\n1,pixel,Purchase,2026-01-01T00:00:01Z,e\n",
        "clicks": "click_row_id,platform,param,click_id,click_time\n1,google,gclid,g,2026-01-01T00:00:01Z\n",
        "visits": "visit_row_id,visit_time,page_url\n1,2026-01-01T00:00:01Z,/\n",
        "receipts": "conversion_id,status\n1,accepted\n",
    }
    return found + [Sample(f"{kind}.csv", "table", text.encode()) for kind, text in contracts.items()]


SAMPLES = samples()


def looked_at(sample: Sample, folder: Path) -> FileCheck:
    path = folder / sample.name
    path.write_bytes(sample.content)
    return cl.check(path, tz="UTC", now=NOW)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda one: one.name)
def test_every_sample_is_known_for_what_it_is(sample: Sample, tmp_path: Path) -> None:
    """Each format's generated file is recognised and read by its own loader, and can be used."""
    found = looked_at(sample, tmp_path)
    assert found.format == sample.loader
    assert found.usable or sample.name in NO_IDS, found.reasons
    assert found.report is not None
    assert found.report.rows_out > 0
    json.dumps(found.to_dict())


def test_every_loader_has_a_mark_and_a_sample() -> None:
    """A new loader joins by its SIGNATURES, and by a file here."""
    loaders = {name for name in known_formats() if name not in TABLES} - set(SECOND_READINGS)
    assert {one.loader for one in SAMPLES} - {"table"} == loaders


@pytest.mark.parametrize("pack", [gzip.compress, zstd], ids=["gzip", "zstd"])
def test_archives_are_looked_into(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """Content counts, not the name: a packed file with a name that says nothing is recognised."""
    for sample in SAMPLES:
        if sample.content[:4] == b"PAR1" or sample.loader == "table":
            continue
        path = tmp_path / "upload"
        path.write_bytes(pack(sample.content))
        assert recognise(Part("upload", path)).loader == sample.loader, sample.name


REAL = {
    "ga4/ga4_bigquery_event_row.jsonl": ("ga4_bigquery", 1),
    "ga4/fivetran_ga4_export_event.csv": ("ga4_fivetran", 1),
    "segment/warehouse_pages.csv": ("segment_pages", 0),
    "shopify/admin_rest_order.json": ("shopify_orders", 0),
    "shopify/admin_rest_orders.json": ("shopify_orders", 0),
    "shopify/admin_rest_checkouts.json": (None, 2),
    "snowplow/snowplow_web_events.csv": ("snowplow_events", 0),
    "stripe/fixtures_subset.json": ("stripe_payments", 1),
    "useragents/uap_test_ua.yaml": (None, 2),
    "useragents/uap_test_os.yaml": (None, 2),
    "weblogs/alb_entries.log": ("alb_log", 0),
    "weblogs/apache_combined_4000_ip24.log": ("access_log", 0),
    "weblogs/cloudfront_legacy_entries.log": ("cloudfront_log", 0),
    "weblogs/cloudfront_standard.log": ("cloudfront_log", 0),
    "woocommerce/rest_v3_orders.json": ("woocommerce_orders", 0),
}


def run(*arguments: Any) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["check", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.mark.parametrize("name", REAL)
def test_real_files_are_known_for_what_they_are(real: Path, name: str) -> None:
    """Every real file: its loader and the exit code, 1 where it cannot be used as it is, 2 where it is none of ours."""
    loader, code = REAL[name]
    exit_code, output = run("--json", real / name)
    (answer,) = json.loads(output)
    assert (answer.get("format"), exit_code) == (loader, code)
    assert answer["usable"] is (code == 0)
    if code == 1:
        assert answer["reasons"]


def test_all_real_files_are_covered(real: Path) -> None:
    """The list above is the folder."""
    assert {str(path.relative_to(real)) for path in real.glob("*/*.*")} == set(REAL)


def test_report_of_a_real_log_counts_what_the_loader_counts(real: Path) -> None:
    """Snowplow's 160 events: 12 gclids, all addresses hashed, times as the data say."""
    found = cl.check(real / "snowplow" / "snowplow_web_events.csv", now=NOW)
    fills = {one.column: (one.k, one.n) for one in found.fills}
    assert fills["gclid"] == (12, 160)
    assert fills["client_ip"] == (0, 160)
    assert [one.year for one in (found.first, found.last) if one] == [2020, 2021]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda one: one.name)
def test_damaged_files_give_our_own_error(sample: Sample, tmp_path: Path) -> None:
    """Any damage: our error, or a report whose books close; cut archives are errors. No path and no stack trace."""
    rng = Random(sample.name)
    path = tmp_path / sample.name
    for _ in range(5 if THOROUGH else 2):
        path.write_bytes(damaged(sample.content, rng))
        try:
            found = cl.check(path, tz="UTC", now=NOW)
        except CapiLabError as error:
            assert str(tmp_path) not in str(error)
            continue
        if found.report is not None:
            found.report.close()
    packed = gzip.compress(sample.content)
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(LoadError):
        cl.check(path, tz="UTC", now=NOW)


def ledger(path: Path, **columns: Any) -> Path:
    n = len(next(iter(columns.values())))
    base = {
        "conversion_id": [str(i + 1) for i in range(n)],
        "event_name": "purchase",
        "event_time": ["2026-01-01T00:00:01Z"] * n,
    }
    pd.DataFrame(base | columns).to_csv(path, index=False)
    return path


def test_suspicious_hashes_are_counted(tmp_path: Path) -> None:
    """MD5, the digest of nothing and clear text among digests are named with their numbers; no value is shown."""
    good = sha256(b"jane@example.com").hexdigest()
    emails = [good] * 3 + [md5(b"jane@example.com", usedforsecurity=False).hexdigest()] * 2
    emails += [sha256(b"").hexdigest(), "joe@example.com"]
    found = cl.check(ledger(tmp_path / "orders.csv", email=emails, value=["1"] * 7, currency=["EUR", "USD"] * 3 + [""]))
    assert found.hashes["email"] == {"ok": 3, "empty_hash": 1, "md5": 2}
    text = str(found)
    assert "empty_hash 1, md5 2" in text
    assert "6 digests with 1 values in clear text" in text
    assert found.currencies == {"EUR": 3, "USD": 3, "": 1}
    assert "1 amounts have no currency" in text
    assert "example.com" not in text + json.dumps(found.to_dict())
    assert found.usable


def test_impossible_times_make_a_file_unusable(tmp_path: Path) -> None:
    """Most times in the future or in 1970: not usable; a few are a finding; days without a time are one as well."""
    late = ledger(tmp_path / "late.csv", event_time=["2031-01-01T00:00:00Z"] * 3 + ["2026-01-01T00:00:00Z"])
    found = cl.check(late, now=NOW)
    assert "3 of 4 times are impossible" in found.reasons[0]
    assert cl.check(late).usable  # nobody said when now is
    few = ledger(tmp_path / "few.csv", event_time=["1970-01-20T00:00:00Z"] + ["2026-01-01T00:00:00Z"] * 3)
    found = cl.check(few, now=NOW)
    assert found.usable
    assert any("1 times are before 2000" in text for text in found.findings)
    assert any("midnight" in text for text in found.findings)


def test_files_without_rows_or_links_say_why(tmp_path: Path) -> None:
    """Bots only, mostly broken lines, events without any id: each gives its reason and exit code 1."""
    bot = combined(next(one for one in requests(200, seed=1) if "Googlebot" in one.agent))
    (tmp_path / "bots.log").write_text(bot * 5)
    header = "row_id,channel,event_name,event_time\n"
    (tmp_path / "events.csv").write_text(header + "1,pixel,Purchase,2026-01-01T00:00:01Z\n")
    for name, reason in (("bots.log", "no row is left"), ("events.csv", "nothing can be linked")):
        code, output = run(tmp_path / name)
        assert code == 1
        assert reason in output
        assert "not usable" in output


def test_exit_codes_and_options(tmp_path: Path) -> None:
    """The worst file decides; --as and --tz are used; unknown formats and missing files are code 2."""
    good = ledger(tmp_path / "orders.csv", value=["1"])
    naive = ledger(tmp_path / "naive.csv", event_time=["2026-01-01 00:00:01"])
    assert run(good)[0] == 0
    assert run(naive)[0] == 1
    assert run("--tz", "Europe/Berlin", naive)[0] == 0
    code, output = run(good, naive, tmp_path / "absent.csv")
    assert code == 2
    assert "no file 'absent.csv'" in output
    assert output.index("orders.csv") < output.index("naive.csv") < output.index("absent.csv")
    assert run("--as", "no_such", good)[0] == 2
    assert run("--as", "stripe_payments", good)[0] == 2
    assert run("--as", "conversions", good)[0] == 0
    rows = known_rows()
    ga4 = next(one for one in FORMATS if one.name == "ga4_lines").to(tmp_path, rows)
    (answer,) = json.loads(run("--json", "--as", "ga4_clicks", ga4)[1])
    assert (answer["format"], answer["report"]["table"]) == ("ga4_clicks", "clicks")
    for content in (b"", b"\0\1\2", b"{", b"[]", b"[[[[", b"a,b\n1,2\n", b"\xff\xfe\n", b"PAR1PAR1"):
        (tmp_path / "odd").write_bytes(content)
        assert run(tmp_path / "odd")[0] == 2, content
    assert run(tmp_path)[0] == 2
    with pytest.raises(UnknownNameError, match="known"):
        cl.check(good, as_format="no_such")


def test_parts_give_the_same_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in small batches or at once, the report is the same; a pattern is one load."""
    made = requests(300, seed=5)
    for name, part in (("a.log", made[:200]), ("b.log", made[200:])):
        (tmp_path / name).write_text("".join(combined(one) for one in part))
    whole = cl.check(str(tmp_path / "*.log"), now=NOW)
    monkeypatch.setattr("capi_lab.load.checkup._BATCH", 7)
    assert cl.check([tmp_path / "a.log", tmp_path / "b.log"], now=NOW).to_dict() == whole.to_dict()
    assert whole.report is not None
    assert whole.report.rows_in == 300


def test_help_stays_light() -> None:
    """The command's help loads no pandas."""
    code = (
        "import sys; from typer.testing import CliRunner; from capi_lab.cli import app;"
        "r = CliRunner().invoke(app, ['check', '--help']); assert r.exit_code == 0;"
        "assert 'Exit code' in r.output; assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"COLUMNS": "120"})


def test_a_cut_json_file_and_columns_of_ones_own_are_told_apart(tmp_path: Path) -> None:
    """What opens as JSON and is none is said to be cut; what only has other names is sent to the mapping."""
    cut, own = tmp_path / "shop.json", tmp_path / "mine.csv"
    cut.write_text('{"orders":[{"id":1,"currency":"EUR"},{"id":')
    own.write_text("order_ref,placed\n1,2026-05-01\n")
    with pytest.raises(LoadError, match="is it cut"):
        cl.check(cut)
    with pytest.raises(LoadError, match=r"cl\.load\.table\('mine\.csv'"):
        cl.check(own)


def test_amounts_without_a_currency_are_no_currency(tmp_path: Path) -> None:
    """Two currencies are two, whatever else has none."""
    path = tmp_path / "orders.csv"
    rows = ["conversion_id,event_name,event_time,value,currency"]
    rows += [f"{i},purchase,2026-05-0{i}T10:00:00Z,5,{code}" for i, code in enumerate(["EUR", "USD", ""], 1)]
    path.write_text("\n".join(rows) + "\n")
    found = cl.check(path, as_format="conversions")
    assert "2 currencies: amounts do not add up without a rate" in found.findings
    assert any(text.startswith("1 amounts have no currency") for text in found.findings)
