"""What a notebook shows of a result: words, escaped, readable in the dark, and nobody's data."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

import capi_lab as cl

BAD = "<script>alert(1)</script>"
PERSON = "zoe.canary@example.com"


class Styled(HTMLParser):
    """Finds scripts, handlers, and texts whose colours are fixed: they vanish on a ground of the same shade."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self._open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        style = dict(attrs).get("style") or ""
        self.wrong += [tag] if tag in ("script", "iframe", "link", "style") else []
        self.wrong += [name for name, _ in attrs if name.startswith("on")]
        fixed = bool(re.search(r"(?:^|;)\s*(?:color|background(?:-color)?)\s*:\s*(?!inherit|transparent)", style))
        opaque = re.search(r"border[^;]*#(?:[0-9a-f]{3}|[0-9a-f]{6})\b", style, re.IGNORECASE)
        self.wrong += [f"a border of one shade: {style}"] if opaque else []
        if tag not in ("br", "img", "meta", "hr"):
            self._open.append((tag, fixed))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and any(fixed for _, fixed in self._open):
            self.wrong.append(f"a text of fixed colour: {data.strip()}")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One of each result, with hostile words wherever somebody else may have written them."""
    folder = tmp_path_factory.mktemp("printing")
    world = cl.World()
    sim = cl.simulate(world, rng=np.random.default_rng(1), n=300)
    orders = sim.conversions.assign(email=PERSON)
    file = folder / "orders <b>.csv"
    orders[["conversion_id", "event_name", "event_time", "email"]].to_csv(file, index=False)
    now = sim.conversions["event_time"].max() + timedelta(minutes=5)
    with cl.Sandbox(seed=1, now=now, faults=["one_bad_row"]) as box:
        known = {
            "settings": {"dataset_id": "12345"},
            "outbox": folder / "o.sqlite",
            "now": now,
            "host": box.url("meta"),
        }
        plan = cl.plan(orders, "meta", **known)
        receipt = cl.send(
            plan, approve=plan.fingerprint, env=box.credentials("meta"), progress=False, clock=lambda: now
        )
    rows = receipt.rows.assign(remedy=BAD)
    counts = pd.DataFrame({"platform": BAD, "stratum": ["click_id", "pii_only"], "k": [9, 4], "n": [10, 10]})
    return {
        "Loaded": cl.load.table(file, "conversions"),
        "Reconciled": cl.reconcile(orders, sim.events),
        "Simulation": sim,
        "Plan": plan,
        "Receipt": cl.Receipt(rows, stopped=BAD, requests=receipt.requests),
        "MatchRates": cl.match_rates(counts),
    }


@pytest.mark.parametrize("name", ["Loaded", "MatchRates", "Plan", "Receipt", "Reconciled", "Simulation"])
def test_results_print_for_people(shown: dict[str, Any], name: str) -> None:
    """As text and as HTML: several facts, well-formed, escaped, no script, no text of fixed colour, no row."""
    one = shown[name]
    text, html = repr(one), one._repr_html_()
    assert len(text) > 60
    assert "object at 0x" not in text
    assert re.search(r"\d", text)
    page = Styled()
    page.feed(html)
    assert page.wrong == []
    assert page._open == []
    assert BAD not in html
    assert PERSON not in text + html


def test_a_bad_page_is_found_out() -> None:
    """Dark letters, a pale ground behind letters, a handler, a script, an opaque line: each is told."""
    for bad in (
        "<p style='color:#333'>a</p>", "<td style='background:#fff'><b>a</b></td>", "<p onclick='x()'>a</p>",
        "<script>x</script>", "<td style='border:1px solid #ddd'></td>",
    ):  # fmt: skip
        page = Styled()
        page.feed(bad)
        assert page.wrong, bad
    page = Styled()
    page.feed("<td style='border:1px solid #8886'>a</td><span style='background:#07c'></span>")
    assert page.wrong == []
