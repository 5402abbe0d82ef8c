"""Run a notebook from start to end without a screen and keep what it shows."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capi_lab.errors import InputError, LoadError, MissingExtraError, NotebookError
from capi_lab.shipped import shipped_folder

__all__ = ["NotebookRun", "demo", "run_notebook"]

_DEMO = "01_compare_coverage.py"


@dataclass(frozen=True, slots=True)
class NotebookRun:
    """What a run left behind.

    Parameters
    ----------
    html : Path
        The notebook with its outputs, one self-contained file.
    pictures : tuple of Path
        Its figures, in order.
    text : str
        What it printed as text.
    """

    html: Path
    pictures: tuple[Path, ...]
    text: str = field(repr=False)


def demo(out: str | Path = "out") -> NotebookRun:
    """Run the coverage notebook on the shipped sample.

    Parameters
    ----------
    out : str or Path
        Folder for HTML and PNG; made if absent.

    Returns
    -------
    NotebookRun

    Raises
    ------
    MissingExtraError
        Extra ``lab`` is not installed.
    NotebookError
        A cell failed.
    """
    return run_notebook(shipped_folder("notebooks") / _DEMO, out)


def run_notebook(
    path: str | Path, out: str | Path, *, parameters: Mapping[str, Any] | None = None, timeout: int = 600
) -> NotebookRun:
    """Run a jupytext or ipynb notebook on a fresh kernel and write HTML and PNG.

    Parameters
    ----------
    path : str or Path
        ``.py`` in percent format, or ``.ipynb``.
    out : str or Path
        Folder; files are named after the notebook.
    parameters : mapping, optional
        Assigned in a cell right after the one tagged ``parameters``.
    timeout : int
        Seconds per cell.

    Returns
    -------
    NotebookRun

    Raises
    ------
    LoadError
        There is no such notebook.
    InputError
        Parameters are given and no cell is tagged ``parameters``; or the folder cannot be made.
    MissingExtraError
        Extra ``lab`` is not installed.
    NotebookError
        A cell failed.
    """
    try:
        import jupytext
        import nbclient
        import nbconvert
        from nbformat.v4 import new_code_cell
    except ImportError as error:
        raise MissingExtraError(str(error.name), "lab") from None
    path, out = Path(path).resolve(), Path(out)
    if not path.exists():
        raise LoadError(f"there is no notebook '{path.name}'")
    notebook = jupytext.read(path)
    if parameters:
        where = [i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])]
        if not where:
            raise InputError(f"'{path.name}' has no cell tagged 'parameters'")
        lines = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
        notebook.cells.insert(where[0] + 1, new_code_cell(lines))
    notebook.metadata.setdefault("kernelspec", {"name": "python3", "display_name": "Python 3", "language": "python"})
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder '{out.name}' for the results: {error.strerror}") from None
    client = nbclient.NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        extra_arguments=["--IPKernelApp.log_level=40"],  # it warns of unencrypted TCP; ours stays on loopback
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute()
    except nbclient.exceptions.CellExecutionError as error:
        raise NotebookError(f"'{path.name}': {error.ename}: {error.evalue}") from None
    body, _ = nbconvert.HTMLExporter(exclude_input_prompt=True, exclude_output_prompt=True).from_notebook_node(notebook)
    html = out / f"{path.stem}.html"
    html.write_text(_offline(body), encoding="utf-8")
    pictures = []
    for number, png in enumerate(_pngs(notebook), 1):
        picture = out / f"{path.stem}_{number}.png"
        picture.write_bytes(base64.b64decode(png))
        pictures.append(picture)
    return NotebookRun(html, tuple(pictures), _printed(notebook))


def _offline(html: str) -> str:
    """Take out scripts and styles the template would fetch from elsewhere: the page must open without a network."""
    html = re.sub(r"<script[^>]*\ssrc=[^>]*>\s*</script>", "", html)
    return re.sub(r"<link[^>]*href=\"https?:[^>]*>", "", html)


def _outputs(notebook: Any) -> Any:
    return (output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs)


def _pngs(notebook: Any) -> list[str]:
    data = (output.get("data", {}) for output in _outputs(notebook))
    return [one["image/png"] for one in data if "image/png" in one]


def _printed(notebook: Any) -> str:
    return "".join(o["text"] for o in _outputs(notebook) if o["output_type"] == "stream" and o["name"] == "stdout")
