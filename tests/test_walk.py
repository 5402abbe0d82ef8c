"""The walk of docs/walk.md, as it stands there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from capi_lab.report import Report

ROOT = Path(__file__).parents[1]


def walked(orders: Path, log: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    """Run the page's lines where the two files lie under the names it gives them."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "walk.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 15
    shutil.copy(orders, folder / "orders.json")
    shutil.copy(log, folder / "access.log")
    monkeypatch.chdir(folder)
    names: dict[str, object] = {}
    exec(compile(code, "docs/walk.md", "exec"), names)  # noqa: S102 - our own page
    page = names["page"]
    assert isinstance(page, Report)
    assert (folder / "out" / "report.html").read_text(encoding="utf-8") == page.html
    assert page.origin == ("semi-synthetic",)
    return page


def test_the_walk_on_the_formats_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six orders and sixty requests become a page that accounts for every row of both."""
    formats = ROOT / "data" / "formats"
    page = walked(formats / "woocommerce.json", formats / "access.log", tmp_path, monkeypatch)
    assert page.tables["coverage_1"]["n"].eq(6).all()
    assert "rows in 60; - not_a_visit 3; - bot 9" in page.html


def test_the_walk_on_the_real_files(real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers the page tells of the real files are those that come out."""
    log = real / "weblogs" / "apache_combined_4000_ip24.log"
    page = walked(real / "woocommerce" / "rest_v3_orders.json", log, tmp_path, monkeypatch)
    assert page.tables["coverage_1"]["n"].eq(2).all()
    for counted in (
        "rows in 4,000",
        "bot 821",
        "static_file 1,899",
        "no_click_id 1,191",
        "rows out 1,191",
        "rows out 0",
    ):
        assert counted in page.html
    text = (ROOT / "docs" / "walk.md").read_text(encoding="utf-8")
    assert {"821", "1,899", "1,191", "4,000"} <= set(re.findall(r"[\d,]*\d", text))
