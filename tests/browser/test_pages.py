"""The pages people open: the report, light and dark, and every notebook with its results."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import capi_lab as cl
from tests.browser.watch import faint_texts, opened, wide_by

pytestmark = pytest.mark.browser

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("[0-9][0-9]_*.py"))
NOW = datetime(2026, 11, 26, 7, 0, tzinfo=UTC)


def broken_pictures(page: Any) -> int:
    return int(page.evaluate("[...document.images].filter((one) => !one.complete || one.naturalWidth < 50).length"))


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a simulated shop, with every section there is."""
    world, rng = cl.World(), np.random.default_rng(7)
    shop = cl.simulate(world, rng=rng, n=6000, platform="meta")
    rec = cl.reconcile(shop.conversions, shop.events, platform="meta")
    server = shop.events[shop.events["channel"] == "capi"].reset_index(drop=True)
    answer = cl.answer(server, "meta", world, rng, clicks=shop.clicks)
    fit = cl.match_rates(server.assign(matched=answer.rows["matched"]), platform="meta")
    changes = cl.what_if(fit, shop.conversions, ["phone_at_checkout", "fix_ids", "consent_uplift"])
    status = rng.choice(["accepted", "skipped", "rejected", "unknown"], len(server), p=[0.5, 0.4, 0.05, 0.05])
    sent = server[["conversion_id"]].assign(status=status, platform="meta")
    made = cl.report(rec, now=NOW, by=["country"], receipts=sent, match=fit, what_if=changes)
    assert {"days", "match", "what_if", "send"} <= {one.name for one in made.sections}
    return made.write(tmp_path_factory.mktemp("report"))["html"]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("<script>console.error('oops')</script>", "oops"),
        ("<script>throw new Error('thrown')</script>", "thrown"),
        ("<img src='https://cdn.example.com/x.png'>", "cdn.example.com"),
        ("<style>@import url(https://fonts.example.com/x.css)</style>", "fonts.example.com"),
    ],
)
def test_a_bad_page_is_found_out(chromium: Any, tmp_path: Path, body: str, what: str) -> None:
    """An error on the console, one thrown, a picture or a style from elsewhere: each fails the page."""
    (tmp_path / "bad.html").write_text(f"<!doctype html><p>fine</p>{body}")
    with pytest.raises(AssertionError, match=what), opened(chromium, (tmp_path / "bad.html").as_uri()):
        pass


def test_faint_broken_and_wide_is_found_out(chromium: Any, tmp_path: Path) -> None:
    """Grey on grey, a picture that is none, a line wider than the window: each is told from what is well."""
    page_file = tmp_path / "bad.html"
    page_file.write_text(
        "<!doctype html><body style='background: #111; color: #eee'><p>well</p><p style='color: #333'>faint</p>"
        "<div style='background: #fff'><span>lost</span></div><img src='data:image/png;base64,xx'>"
        "<pre style='width: 3000px'>wide</pre>"
    )
    with opened(chromium, page_file.as_uri()) as page:
        assert sorted(text.split(": ")[1] for text in faint_texts(page.locator("body"))) == ["faint", "lost"]
        assert broken_pictures(page) == 1
        assert wide_by(page) > 1000


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390], ids=["desk", "phone"])
def test_the_report_can_be_read(chromium: Any, report: Path, shots: Path, dark: bool, width: int) -> None:
    """Every text stands out from its ground in either theme, nothing leaves the window, and the findings are there."""
    with opened(chromium, report.as_uri(), dark=dark, width=width) as page:
        page.screenshot(path=shots / f"report_{'dark' if dark else 'light'}_{width}.png", full_page=True)
        assert page.locator("h1").inner_text() == "What Meta gets to see"
        assert "The pixel reports" in page.locator(".findings").inner_text()
        assert broken_pictures(page) == 0
        assert page.locator("img").count() >= 8
        assert wide_by(page) == 0
        assert faint_texts(page.locator("body")) == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_every_notebook_can_be_read(
    chromium: Any, rendered: Callable[[Path], Path], shots: Path, notebook: Path
) -> None:
    """Rendered with its results: question, answer and pictures are in sight, no error among them."""
    url = rendered(notebook).as_uri()
    with opened(chromium, url) as page:
        page.screenshot(path=shots / f"{notebook.stem}.png", full_page=True)
        text = page.locator("main").inner_text()
        assert "Question." in text
        assert "Answer." in text
        assert page.locator("img").count() >= 1
        assert broken_pictures(page) == 0
        assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']").count() == 0
        assert page.locator("[data-mime-type='application/vnd.jupyter.stderr']").all_inner_texts() == []
        assert wide_by(page) == 0
