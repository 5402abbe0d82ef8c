"""The page people get: findings first, nothing small, nobody's data, no network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import capi_lab as cl
from capi_lab.cli import app
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.report.page import Finding, Report, Section, spreadsheet_safe

NOW = datetime(2026, 11, 26, 7, 0, tzinfo=UTC)
PERSON = "zoe.canary@example.com"


@pytest.fixture(scope="module")
def made() -> Report:
    """A shop of 600 orders, of which ten come from a country of their own and a tenth has a prefixed id."""
    orders = cl.load.sample("cdnow").conversions.sort_values("event_time").tail(600)
    orders = orders.drop(columns=["event_id", "country"])
    orders = orders.assign(country=["LI"] * 5 + ["DE"] * 595, email=PERSON)
    world = cl.World(consent_deny={**cl.World().consent_deny, "LI": 0.0})
    seen = cl.observe(orders.assign(country="DE"), world, rng=np.random.default_rng(1))
    hit = cl.inject(seen.conversions, seen.events, [cl.faults.PrefixEventId(0.3)], rng=np.random.default_rng(2))
    ledger = hit.conversions.assign(country=orders["country"].to_numpy())
    rec = cl.reconcile(ledger, hit.events, platform="meta")
    before = plt.get_fignums()
    found = cl.report(rec, now=NOW, by=["country"], notes={"orders.json": "600 rows"})
    assert plt.get_fignums() == before, "no figure is left open"
    return found


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "!doctype"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_findings_stand_on_top_alerts_first(made: Report) -> None:
    """What is wrong comes before what merely is; each finding links to a section that is there."""
    alerts = [one.alert for one in made.findings]
    assert alerts == sorted(alerts, reverse=True)
    assert "most often: id prefix or case" in made.findings[0].text
    assert {one.where for one in made.findings} <= {one.name for one in made.sections}
    assert any(re.match(r"The pixel reports \d+\.\d% \[", one.text) for one in made.findings)
    assert made.origin == ("semi-synthetic",)


def test_the_page_stands_alone(made: Report) -> None:
    """Well-formed, no script, nothing fetched, pictures inside, and links that lead somewhere."""
    tags = _Tags()
    tags.feed(made.html)
    assert not tags.open
    names = {tag for tag, _ in tags.found}
    assert "script" not in names
    assert {"table", "caption", "img"} <= names
    for _, attributes in tags.found:
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("data:image/png;base64,", "#"))
    targets = {attributes["id"] for _, attributes in tags.found if "id" in attributes}
    assert {a["href"][1:] for tag, a in tags.found if tag == "a" and a["href"]} <= targets
    assert "prefers-color-scheme: dark" in made.html
    assert "@media print" in made.html


@pytest.mark.parametrize(("channel", "silent"), [("pixel", "server"), ("capi", "pixel")])
def test_a_channel_the_log_lacks_is_not_called_blind(tiny, channel: str, silent: str) -> None:
    """Nobody watched it: the page says that it does not know, and shows no zero in its place."""
    conversions, events = tiny
    rec = cl.reconcile(conversions, events[events["channel"] == channel], platform="meta")
    page = cl.report(rec, now=NOW, min_cell=0)
    assert f"no event of the {silent}: what it reports is not known" in page.findings[0].text
    assert page.tables["coverage_1"]["setup"].tolist() == [channel]


def test_small_groups_are_nowhere(made: Report) -> None:
    """Five orders of one country: the line is there, its numbers are not; and no person's data anywhere."""
    table = made.tables["coverage_2"]
    small = table[table["country"] == "LI"]
    assert small["suppressed"].all()
    assert small[["k", "n", "value", "low", "high"]].isna().all(axis=None)
    assert "suppressed" in made.markdown
    for text in (made.html, made.markdown, repr(made), made._repr_html_()):
        assert PERSON not in text


def test_tables_are_exported(made: Report, tmp_path: Path) -> None:
    """CSV and Parquet of every table, the latter with the numbers as they were; twice writes the same."""
    for _ in range(2):
        written = made.write(tmp_path / "out")
    assert written["html"].read_text(encoding="utf-8") == made.html
    for name, table in made.tables.items():
        pd.testing.assert_frame_equal(
            pd.read_parquet(written[name].with_suffix(".parquet")), table.reset_index(drop=True), check_dtype=False
        )
        assert len(pd.read_csv(written[name])) == len(table)
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="cannot make the folder"):
        made.write(tmp_path / "taken")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_spreadsheet_runs_no_cell(text: str) -> None:
    """Texts and names that a spreadsheet would take for formulas get an apostrophe; numbers stay numbers."""
    table = pd.DataFrame({text: [text, "fine", None], "k": [-1, 2, 3]})
    safe = spreadsheet_safe(table)
    assert list(safe.columns) == [f"'{text}", "k"]
    assert safe.iloc[:2, 0].tolist() == [f"'{text}", "fine"]
    assert safe["k"].tolist() == [-1, 2, 3]


def test_what_others_wrote_is_escaped() -> None:
    """A group named like a tag, a pipe in a cell, a finding with a bracket: shown, never run."""
    table = pd.DataFrame({"group": ["<script>alert(1)</script>", "a|b"], "k": [1, None], "n": [2, 3]})
    section = Section("x", "<i>T</i>", tables={"<b>c</b>": table})
    page = Report("<t>", NOW, (), (Finding("<u>f</u>", True, "x"),), (section,))
    assert not re.search(r"<(script|i|u|t)>", page.html + page._repr_html_())
    assert "&lt;script&gt;" in page.html
    assert "<caption>&lt;b&gt;c&lt;/b&gt;</caption>" in page.html
    assert "a\\|b" in page.markdown
    assert "| – |" in page.markdown


def test_bad_arguments(made: Report) -> None:
    """A clock without a zone, a negative cell size, a column the ledger lacks: each says so."""
    tiny = pd.DataFrame(
        {"conversion_id": ["1"], "event_name": "purchase", "event_time": [pd.Timestamp("2026-01-01", tz="UTC")]}
    )
    events = pd.DataFrame(
        {"row_id": ["a"], "channel": "pixel", "event_name": "Purchase", "event_time": tiny["event_time"]}
    ).assign(conversion_id="1")
    rec = cl.reconcile(tiny, events)
    with pytest.raises(InputError, match="zone"):
        cl.report(rec, now=datetime(2026, 1, 1))
    with pytest.raises(InputError, match="min_cell"):
        cl.report(rec, now=NOW, min_cell=-1)
    with pytest.raises(UnknownNameError, match="browser"):
        cl.report(rec, now=NOW, by=["browser"])
    one = cl.report(rec, now=NOW)
    assert "Fewer" not in repr(one)
    assert any("is suppressed" in finding.text and "--min-cell 1" in finding.text for finding in one.findings)
    assert not any("is suppressed" in finding.text for finding in cl.report(rec, now=NOW, min_cell=1).findings)
    assert one.tables["coverage_1"]["suppressed"].all()


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-W", "ignore", "-c", "from capi_lab.cli import main; main()", *map(str, words)]
    return subprocess.run(call, capture_output=True, text=True, check=False)


def test_from_files_of_any_format_to_the_page(tmp_path: Path) -> None:
    """Orders of a shop, a browser's requests and a log of one's own, by the command a user types."""
    formats = Path(__file__).parents[2] / "data" / "formats"
    log = tmp_path / "server.csv"
    log.write_text("Nr,Event,At,Via\n000A,Purchase,2026-01-01 01:00,capi\n001A,Purchase,2026-01-01 02:01,capi\n")
    names = ["Nr=conversion_id", "Event=event_name", "At=event_time", "Via=channel"]
    cl.load.table(
        log, "events", dict(name.split("=") for name in names), "Europe/Berlin", to=tmp_path / "server.parquet"
    )
    done = command(
        "report", formats / "woocommerce.json", formats / "har_meta.har", tmp_path / "server.parquet",
        "--by", "country", "--out", tmp_path / "out", "--min-cell", 1, "--json",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    answer = json.loads(done.stdout)
    assert "The pixel reports 100.0%" in "".join(one["text"] for one in answer["findings"])
    assert "2 of 2 pairs (100.0%) would be counted twice" in answer["findings"][0]["text"]
    page = Path(answer["files"]["html"]).read_text(encoding="utf-8")
    assert "woocommerce.json" in page
    assert "zoe." not in page
    swapped = command("report", formats / "har_meta.har", formats / "woocommerce.json")
    assert (swapped.returncode, "Traceback" in swapped.stderr) == (2, False)
    assert "holds events, but was given for conversions" in swapped.stderr
    files = ["report", str(formats / "woocommerce.json"), str(formats / "har_meta.har")]
    unread = CliRunner().invoke(app, [*files, "--map-order", "x"])
    assert (unread.exit_code, "THEIRS=OURS" in unread.output) == (2, True)
    unknown = CliRunner().invoke(app, [*files, "--platform", "myspace"])
    assert isinstance(unknown.exception, UnknownNameError)
