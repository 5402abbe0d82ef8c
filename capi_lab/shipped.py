"""Where the data and notebooks that come with the package lie: inside an installed wheel, or beside it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from capi_lab.errors import UnknownNameError

__all__ = ["shipped_folder"]


def shipped_folder(name: str) -> Path:
    """Return the folder ``data`` or ``notebooks``.

    Raises
    ------
    UnknownNameError
        The folder is neither inside the package nor beside it.
    """
    package = Path(str(files("capi_lab")))
    for folder in (package / "shipped" / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise UnknownNameError("shipped folder", name, ["data", "notebooks"])
