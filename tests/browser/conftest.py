"""A Chromium of the system's, driven without a screen; the pages it opens; where its pictures go."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
_CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
_RUN = """
import sys
from capi_lab.lab import run_notebook
run_notebook(sys.argv[1], sys.argv[2], parameters={"OUTBOX": sys.argv[3]} if sys.argv[3] else None)
"""


@pytest.fixture(scope="session")
def shots() -> Path:
    """Folder of the screenshots, to be looked at: out/browser."""
    folder = ROOT / "out" / "browser"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Playwright's handle on a running Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: make browser")
    found = next(filter(None, map(shutil.which, _CHROMIUMS)), None)
    if found is None:
        pytest.skip(f"no Chromium: none of {', '.join(_CHROMIUMS)} is on the path")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Give a notebook's page: the one the suite has just left in ``CAPI_LAB_PAGES``, else a run of its own."""
    mine = tmp_path_factory.mktemp("pages")

    def page(notebook: Path) -> Path:
        left = Path(os.environ.get("CAPI_LAB_PAGES", mine)).absolute() / f"{notebook.stem}.html"
        if left.exists():
            return left
        outbox = str(mine / "outbox.sqlite") if "OUTBOX =" in notebook.read_text(encoding="utf-8") else ""
        # A process of its own: Playwright's loop and the kernel client's do not share one.
        subprocess.run([sys.executable, "-c", _RUN, str(notebook), str(mine), outbox], check=True, cwd=ROOT)
        return mine / left.name

    return page
