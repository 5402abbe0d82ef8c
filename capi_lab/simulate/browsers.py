"""Which browsers people use, by country: shipped data, not a parameter."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from capi_lab.errors import UnknownNameError
from capi_lab.shipped import shipped_folder

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["browser_shares"]


@cache
def _shipped() -> pd.DataFrame:
    import pandas as pd

    return pd.read_csv(shipped_folder("data") / "browser_shares.csv", comment="#", keep_default_na=False)


@cache
def browser_shares(country: str) -> pd.DataFrame:
    """Return the shipped browser shares of one country.

    Parameters
    ----------
    country : str
        ISO-3166 alpha-2, or ``"ww"`` for the world.

    Returns
    -------
    DataFrame
        ``browser``, ``os``, ``device`` and ``share`` (sums to 1 over the tracked browsers).

    Raises
    ------
    UnknownNameError
        The file has no such country.

    Notes
    -----
    Page views, not orders (`World.device_tilt`): caniuse-db (CC BY 4.0), from StatCounter; see ``data/README.md``.
    """
    table = _shipped()
    rows = table[table["country"] == country]
    if rows.empty:
        raise UnknownNameError("country", country, sorted(table["country"].unique()))
    return rows.assign(share=rows["share"] / rows["share"].sum())[["browser", "os", "device", "share"]].reset_index(
        drop=True
    )
