"""The samples that come with the package: real orders, with tracking loss laid on them by a documented model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from capi_lab.errors import UnknownNameError
from capi_lab.shipped import shipped_folder
from capi_lab.tables import CLICKS, CONVERSIONS, EVENTS, checked

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Sample", "sample", "samples"]

_SAMPLES = {
    "cdnow": "69,659 real orders of 23,570 customers (CDNOW), tracked by a simulated pixel and server; semi-synthetic",
}


@dataclass(frozen=True, slots=True, repr=False)
class Sample:
    """One shipped data set.

    Parameters
    ----------
    name : str
    conversions, events : DataFrame
        Contract tables.
    clicks : DataFrame or None
    truth : DataFrame or None
        What a simulator knows and no log shows; one row per conversion. Never mix it into the others.
    """

    name: str
    conversions: pd.DataFrame
    events: pd.DataFrame
    clicks: pd.DataFrame | None
    truth: pd.DataFrame | None

    def __repr__(self) -> str:
        """Show names and sizes."""
        sizes = ", ".join(
            f"{name} {len(table):,}"
            for name in ("conversions", "events", "clicks", "truth")
            if (table := getattr(self, name)) is not None
        )
        return f"Sample {self.name!r}: {sizes}\n{_SAMPLES[self.name]}"


def samples() -> dict[str, str]:
    """Return the name and one-line description of every sample.

    Returns
    -------
    dict of str to str
    """
    return dict(_SAMPLES)


def sample(name: str) -> Sample:
    """Load a shipped sample.

    Parameters
    ----------
    name : str
        One of `samples`.

    Returns
    -------
    Sample

    Raises
    ------
    UnknownNameError
        No such sample.

    Notes
    -----
    Sources, licences, columns and the generator are described in ``data/README.md``.
    """
    import pandas as pd

    if name not in _SAMPLES:
        raise UnknownNameError("sample", name, _SAMPLES)
    folder = shipped_folder("data")

    parts = {
        part: pd.read_parquet(file)
        for part in ("conversions", "events", "clicks", "truth")
        if (file := folder / f"{name}_{part}.parquet").exists()
    }
    return Sample(
        name,
        checked(CONVERSIONS, parts["conversions"]),
        checked(EVENTS, parts["events"]),
        checked(CLICKS, parts["clicks"]) if "clicks" in parts else None,
        parts.get("truth"),
    )
