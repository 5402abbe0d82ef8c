"""JupyterLab as a newcomer meets it: open the first notebook, run all of it, look."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.watch import faint_texts, opened

pytestmark = pytest.mark.browser

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
FIRST = "00_quick_tour.ipynb"
MINUTES = 6


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a JupyterLab of our own, on copies of the notebooks and with nobody's settings."""
    home = tmp_path_factory.mktemp("jupyter")
    work = shutil.copytree(NOTEBOOKS, home / "notebooks", ignore=shutil.ignore_patterns("out", ".ipynb_checkpoints"))
    _settle(home / "settings")
    places = {f"JUPYTER_{kind}_DIR": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
    places |= {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(home / "spaces")}
    places |= {"IPYTHONDIR": str(home / "ipython")}
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0", f"--ServerApp.root_dir={work}"]
    with (home / "log").open("w") as log:
        command = [sys.executable, "-m", "jupyterlab", *options]
        server = subprocess.Popen(command, env=os.environ | places, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield _address(server, home)
        finally:
            server.terminate()
            server.wait(30)


def _settle(settings: Path) -> None:
    """Ask no question and look for no news; keep every cell in the page, in sight or not."""
    ours = {
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
        "notebook-extension/tracker": {"windowingMode": "none"},
    }
    for name, values in ours.items():
        file = settings / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))


def _address(server: subprocess.Popen[bytes], home: Path) -> str:
    """Wait until the server has written down where it listens."""
    for _ in range(600):
        if server.poll() is not None:
            break
        for found in (home / "runtime").glob("jpserver-*.json"):
            if text := found.read_text():
                known = json.loads(text)
                return f"{known['url']}lab/tree/{FIRST}?token={known['token']}"
        time.sleep(0.1)
    pytest.fail(f"JupyterLab did not start:\n{(home / 'log').read_text()}")


def test_run_all_cells_of_the_first_notebook(chromium: Any, lab: str, shots: Path) -> None:
    """Run > Run All Cells: the last cell prints the answer, none fails, the console is silent; readable in the dark."""
    with opened(chromium, lab, width=1400, height=1000) as page:
        page.get_by_text("| Idle").wait_for(timeout=MINUTES * 60_000)
        page.screenshot(path=shots / "lab_opened.png")
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        answer = page.locator(".jp-OutputArea-output").get_by_text("none of them twice")
        answer.wait_for(timeout=MINUTES * 60_000)
        page.screenshot(path=shots / "lab_answer.png")
        outputs = page.locator(".jp-OutputArea-output")
        assert outputs.count() >= 7
        assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
        assert page.locator("[data-mime-type='application/vnd.jupyter.stderr']").all_inner_texts() == []
        for theme in ("Light", "Dark"):
            page.get_by_role("menuitem", name="Settings", exact=True).click()
            page.locator(".lm-Menu-item[data-type='submenu']", has_text=re.compile(r"^Theme")).hover()
            page.locator(".lm-Menu-item", has_text=f"JupyterLab {theme}").first.click()
            page.locator(f"body[data-jp-theme-name='JupyterLab {theme}']").wait_for(state="attached")
            for number, output in enumerate(outputs.all()):
                output.scroll_into_view_if_needed()
                output.screenshot(path=shots / f"lab_{theme.lower()}_{number}.png")
                assert faint_texts(output) == []
