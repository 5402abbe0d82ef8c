"""Notebooks and the command line, run as a user runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest

from capi_lab.errors import InputError, LoadError, NotebookError
from capi_lab.lab import demo, run_notebook
from tests.depth import THOROUGH

# Where pages are left for whoever opens them next: `make browser` need not run the notebooks again.
PAGES = os.environ.get("CAPI_LAB_PAGES")
NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
TEXTS = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.py"))


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from capi_lab.cli import main; main()", *words],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.stem)
def test_notebooks_are_paired_and_free_of_outputs(path: Path) -> None:
    """The .ipynb holds the same cells as the .py, and no output: outputs may hold people's data."""
    text, twin = jupytext.read(path), nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    assert [(c.cell_type, c.source) for c in text.cells] == [(c.cell_type, c.source) for c in twin.cells]
    for cell in twin.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert any("parameters" in cell.metadata.get("tags", []) for cell in text.cells)
    assert "**Question.**" in text.cells[0].source
    assert "**Answer.**" in text.cells[0].source
    assert "assert" in text.cells[-1].source


def test_notebook_index_lists_every_notebook() -> None:
    """notebooks/README.md is the reading order."""
    index = (NOTEBOOKS / "README.md").read_text(encoding="utf-8")
    assert [p.stem for p in TEXTS if f"{p.stem}.ipynb" not in index] == []


@pytest.mark.skipif("CI_RAN_DEMO" in os.environ and not THOROUGH, reason="`make demo` has just run it")
def test_demo_runs_on_a_real_kernel(tmp_path: Path) -> None:
    """The coverage notebook runs top to bottom and leaves a page that needs no network, and four pictures."""
    run = demo(tmp_path / "out")
    page = run.html.read_text(encoding="utf-8")
    assert "pixel+capi" in run.text
    assert 'src="http' not in page
    assert len(run.pictures) == 4
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in run.pictures)


@pytest.mark.slow
def test_the_sending_notebook_sends_once(tmp_path: Path) -> None:
    """Run twice from the beginning: the first run sends, the second finds all of it in the outbox and sends nothing."""
    (path,) = (one for one in TEXTS if one.stem.startswith("04"))
    left = []
    for name in ("first", "second"):
        pages = Path(PAGES) if PAGES and name == "first" else tmp_path / name
        run = run_notebook(path, pages, parameters={"OUTBOX": str(tmp_path / "outbox.sqlite")})
        assert run.pictures
        left.append(re.search(r"left in this run: ([\d,]+); accepted before it: ([\d,]+)", run.text).groups())
    assert left[0][1] == left[1][0] == "0"
    assert int(left[0][0].replace(",", "")) > 1000
    assert int(left[1][1].replace(",", "")) > 1000


@pytest.mark.slow
@pytest.mark.parametrize("path", [one for one in TEXTS if one.stem[:2] not in ("01", "04")], ids=lambda p: p.stem)
def test_every_other_notebook_runs(path: Path, tmp_path: Path) -> None:
    """Each runs top to bottom on a kernel of its own, offline; its last cell asserts the answer on top."""
    run = run_notebook(path, PAGES or tmp_path / "out")
    assert run.pictures
    assert run.text.strip()


def test_parameters_and_failures(tmp_path: Path) -> None:
    """Parameters are set behind the tagged cell; a failing cell, a missing file and a missing tag say so."""
    good = tmp_path / "00_x.py"
    good.write_text('# %% tags=["parameters"]\nN = 1\n# %%\nprint("N is", N)\nassert N == 2\n')
    assert run_notebook(good, tmp_path, parameters={"N": 2}).text == "N is 2\n"
    with pytest.raises(NotebookError, match="AssertionError"):
        run_notebook(good, tmp_path)
    with pytest.raises(LoadError, match="no notebook"):
        run_notebook(tmp_path / "y.py", tmp_path)
    (tmp_path / "01_y.py").write_text("# %%\n1\n")
    with pytest.raises(InputError, match="tagged 'parameters'"):
        run_notebook(tmp_path / "01_y.py", tmp_path, parameters={"N": 2})


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A file where the folder should be is one line on the command line, not a traceback."""
    (tmp_path / "taken").write_text("")
    done = command("demo", "--out", str(tmp_path / "taken" / "out"))
    assert done.returncode == 2
    assert "cannot make the folder 'out'" in done.stderr
    assert "Traceback" not in done.stderr


def test_command_line() -> None:
    """Help lists the commands, --version prints one, a wrong command fails with code 2."""
    help_ = command("--help")
    assert help_.returncode == 0
    assert "demo" in help_.stdout
    assert command("--version").stdout.startswith("capi-lab 0.")
    assert command("no-such").returncode == 2
