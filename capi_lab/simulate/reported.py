"""What a platform tells of what it knows: daily totals, in its own way of counting days, rounded as it rounds."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capi_lab.errors import InputError
from capi_lab.platforms.rules import Dated
from capi_lab.tables import REPORTS, checked

if TYPE_CHECKING:
    from capi_lab.platforms.rules import MatchBuckets
    from capi_lab.platforms.spec import PlatformSpec
    from capi_lab.simulate.world import World

__all__ = ["reported"]


def reported(rows: pd.DataFrame, spec: PlatformSpec, world: World, seed: int) -> pd.DataFrame:
    """Add up what a platform knows into what it tells.

    Parameters
    ----------
    rows : DataFrame
        `Answer.rows`.
    spec : PlatformSpec
        Its ``reports`` say which counts there are, of which day, and in which buckets.
    world : World
        ``modelled``: the share of the attributed conversions told that was never observed.
    seed : int

    Returns
    -------
    DataFrame
        Contract ``reports``; ``stratum`` is ``all`` but for what the platform breaks down; ``modelled``.
    """
    rule, parts = spec.reports, []
    clock = {
        Dated.RECEIPT: rows["received_time"].fillna(rows["event_time"]),
        Dated.EVENT: rows["event_time"],
        Dated.CLICK: rows["click_time"].fillna(rows["event_time"]),
    }
    told = {
        "received": pd.Series(True, index=rows.index),
        "accepted": rows["accepted"],
        "matched": rows["kept"] & rows["matched"],
        "attributed": rows["kept"] & rows["attributed"].fillna(False).astype(bool),
    }
    for metric, dated in rule.counts.items():
        days = clock[dated].dt.floor("D")
        hits = told[metric]
        parts.append(_daily(days[hits], metric, "all"))
        if metric in rule.by_click_id:
            parts.append(_daily(days[hits & (rows["stratum"] == "click_id")], metric, "click_id"))
    if rule.buckets is not None:
        days = clock[Dated.RECEIPT].dt.floor("D")
        parts.append(_bucketed(days[rows["kept"]], told["matched"][rows["kept"]], rule.buckets))
    table = pd.concat([one for one in parts if len(one)] or [_daily(rows["event_time"][:0], "received", "all")])
    table = table.assign(platform=spec.name, modelled=0.0).reset_index(drop=True)
    if rule.adds_modelled:
        hits = table["metric"] == "attributed"
        extra = [
            _modelled(k, day, world.modelled, spec.name, seed)
            for k, day in zip(table["count"], table["day"], strict=True)
        ]
        table["modelled"] = np.where(hits, extra, 0.0)
        table["count"] += table["modelled"]
    names = ["platform", "day", "metric", "stratum", "count", "low", "high", "modelled"]
    table = table.sort_values(["day", "metric", "stratum"], ignore_index=True)[names]
    return checked(REPORTS, table)


def _daily(days: pd.Series, metric: str, stratum: str) -> pd.DataFrame:
    counts = days.value_counts().sort_index()
    return pd.DataFrame(
        {
            "day": pd.Series(counts.index).astype("datetime64[us, UTC]"),
            "metric": metric,
            "stratum": stratum,
            "count": counts.to_numpy(dtype="float64"),
            "low": np.nan,
            "high": np.nan,
        }
    )


def _bucketed(days: pd.Series, matched: pd.Series, buckets: MatchBuckets) -> pd.DataFrame:
    """Tell each day's match rate as the bucket its whole percentage lies in; too few matches are not told."""
    per = pd.DataFrame({"n": days.value_counts(), "k": matched.groupby(days).sum()}).sort_index()
    per = per[per["k"] >= buckets.least]
    percent = np.round(100 * per["k"] / per["n"])
    lows, highs = (np.array(ends, dtype=float) for ends in zip(*buckets.ranges, strict=True))
    at = np.minimum(np.searchsorted(highs, percent), len(buckets.ranges) - 1)
    low = per["n"].to_numpy() * np.maximum(lows[at] - 0.5, 0) / 100
    high = per["n"].to_numpy() * np.minimum(highs[at] + 0.5, 100) / 100
    frame = {"day": pd.Series(per.index).astype("datetime64[us, UTC]"), "metric": "matched", "stratum": "all"}
    return pd.DataFrame(frame | {"count": (low + high) / 2, "low": low, "high": high})


def _modelled(observed: float, day: pd.Timestamp, share: float, platform: str, seed: int) -> float:
    """Draw how many conversions a platform adds to the observed ones of a day."""
    if share >= 1:
        raise InputError("World.modelled must lie below 1 where a platform observes anything")
    own = np.random.default_rng([seed, zlib.crc32(platform.encode()), day.value // 86_400_000_000_000])
    return float(own.poisson(observed * share / (1 - share)))
