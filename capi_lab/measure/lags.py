"""Bands of the time from click to conversion."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

__all__ = ["LAGS", "band_of"]

LAGS: Mapping[str, pd.Timedelta] = MappingProxyType(
    {
        "1h": pd.Timedelta("1h"),
        "1d": pd.Timedelta("1D"),
        "7d": pd.Timedelta("7D"),
        "30d": pd.Timedelta("30D"),
        "later": pd.Timedelta.max,
    }
)
"""Bands of the time from click to conversion, each up to and with its end."""


def band_of(lag: pd.Series) -> pd.Series:
    """Return the band of each time from click to conversion; missing where it is."""
    ends = np.array([end.value for end in LAGS.values()])
    at = np.searchsorted(ends, lag.astype("timedelta64[ns]").to_numpy().astype("int64"))
    names = np.array([*LAGS, "later"], dtype=object)[at]
    return pd.Series(np.where(lag.notna(), names, None), index=lag.index, dtype="str")
