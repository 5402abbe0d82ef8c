"""Put click ids that were found in URLs, cookies or named values into a table's columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from capi_lab.identity.click_columns import click_id_frame
from capi_lab.identity.clickids import URL_PARAMETERS, find_in_pairs
from capi_lab.load.lines import arrow_text, text_series
from capi_lab.load.parquet import Repeat
from capi_lab.load.values import repeats
from capi_lab.platforms import PLATFORMS
from capi_lab.tables import CLICK_ID_COLUMNS, CLICKS
from capi_lab.words import IdSource, LoadDrop

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from capi_lab.load.result import Intake, Loaded

__all__ = ["SAME_VISITORS_CLICK", "add_click_ids", "as_clicks", "ids_from_pairs", "ids_in_urls"]

SAME_VISITORS_CLICK = Repeat(
    ("param", "click_id", "visitor_id"),
    LoadDrop.REPEATED_CLICK,
    time="click_time",
    seconds=1e9,  # longer than any log: for ever
    order="click_row_id",
)
"""The same id of the same browser again is a reload, over files and parts as inside of one."""

# Their cookies say when the browser was first seen.
_BROWSER_IDS = frozenset(
    one.param for platform in PLATFORMS.values() for one in platform.spec.click_ids if not one.is_click
)
_NETWORKS = {name.lower(): network for name, network in URL_PARAMETERS.items()}


def add_click_ids(
    frame: pd.DataFrame,
    intake: Intake,
    *,
    urls: pd.Series | None = None,
    cookies: pd.Series | None = None,
    found: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Fill the click-id columns of ``frame`` where they are missing; what a column already holds stays.

    Parameters
    ----------
    frame : DataFrame
        Index as ``urls`` and ``cookies``.
    urls, cookies : Series of str, optional
    found : DataFrame, optional
        More ids, as `ids_from_pairs` gives them; taken before URL and cookie.

    Returns
    -------
    DataFrame
        With one column per id found, and ``click_time`` (earliest time a cookie gives for a used click id; that of a
        browser id is no click's).
    """
    import pandas as pd

    ids = ids_in_urls(urls, intake, cookies)
    if found is not None and len(found):
        ids = pd.concat([found, ids], ignore_index=True).drop_duplicates(["row", "param"], ignore_index=True)
    if ids.empty:
        return frame
    for param, part in ids.groupby("param"):
        if param not in CLICK_ID_COLUMNS:
            intake.note_count(len(part), "{n} rows carry " + f"'{param}', kept as an extra column")
        values = _placed(part["click_id"], frame.index.get_indexer(part["row"]), frame.index)
        frame = frame.assign(**{param: frame[param].fillna(values) if param in frame else values})
    clicks = ids[~ids["param"].isin(_BROWSER_IDS)]
    times = clicks.dropna(subset=["click_time"]).groupby("row")["click_time"].min()
    if len(times):
        times = times.reindex(frame.index)
        frame = frame.assign(click_time=frame["click_time"].fillna(times) if "click_time" in frame else times)
    return frame


def _placed(texts: pd.Series, places: np.ndarray, index: pd.Index) -> pd.Series:
    """Put texts at their places in a column that is missing elsewhere."""
    import numpy as np
    import pyarrow as pa

    at = np.full(len(index), -1)
    at[places[places >= 0]] = np.flatnonzero(places >= 0)
    return text_series(arrow_text(texts).take(pa.array(at, mask=at < 0)), index)


def ids_from_pairs(rows: Mapping[Any, list[tuple[str, Any]]], intake: Intake) -> pd.DataFrame:
    """Read ids out of each row's named values (order notes, plugin fields), in the shape `add_click_ids` takes."""
    import pandas as pd

    problems: Counter[str] = Counter()
    found = []
    for row, pairs in rows.items():
        for one in find_in_pairs(pairs):
            if one.problem:
                problems[str(one.problem)] += 1
            if one.usable:
                found.append((row, one.param, one.value, str(IdSource.META), one.time))
    for problem, n in sorted(problems.items()):
        intake.note_count(n, "click ids in named values: {n} " + problem.replace("_", " "))
    frame = pd.DataFrame(found, columns=["row", "param", "click_id", "id_source", "click_time"])
    frame["click_time"] = pd.to_datetime(frame["click_time"], utc=True).dt.as_unit("us")
    for name in ("param", "click_id", "id_source"):
        frame[name] = frame[name].astype("str")
    return frame.drop_duplicates(["row", "param"], ignore_index=True)


def ids_in_urls(urls: pd.Series | None, intake: Intake, cookies: pd.Series | None = None) -> pd.DataFrame:
    """Find click ids in URLs and cookies, as `capi_lab.identity.click_columns.click_id_frame`, and note the others."""
    ids, problems = click_id_frame(urls, cookies)
    for problem, n in sorted(problems.items()):
        intake.note_count(n, "click ids: {n} " + problem.replace("_", " "))
    return ids


def as_clicks(
    intake: Intake,
    *,
    same: Sequence[str] | None,
    columns: Mapping[str, pd.Series] | None = None,
    repeated: LoadDrop = LoadDrop.DUPLICATE_ID,
    ids: pd.DataFrame | None = None,
) -> Loaded:
    """Turn page views into clicks: one row per click id on them.

    Parameters
    ----------
    intake : Intake
        Its frame has ``row`` (an id), ``time``, ``landing_url`` and what else a click has.
    same : sequence of str or None
        Columns by which a later row with the same id is the same click again (a redirect, a reload). None: the caller
        judges that over all parts of a load; only repeated row ids are dropped here.
    columns : mapping, optional
        Ids that stand in columns of their own, by parameter; taken before the URL's.
    repeated : LoadDrop
        Why a later click of a row id is dropped.
    ids : DataFrame, optional
        What `ids_in_urls` found, where that was asked already; the frame then holds only rows that are in it.

    Returns
    -------
    Loaded
        Contract ``clicks``. Page views without an id, and clicks seen again, are counted.
    """
    import pandas as pd

    views = intake.frame
    ids = ids_in_urls(views["landing_url"], intake) if ids is None else ids
    given = [
        pd.DataFrame({"row": present.index, "param": param, "click_id": present, "id_source": str(IdSource.COLUMN)})
        for param, values in (columns or {}).items()
        if len(present := values[views.index].dropna())
    ]
    if given:
        ids = pd.concat([*given, ids], ignore_index=True).drop_duplicates(["row", "param"], ignore_index=True)
    intake.drop(~views.index.to_series().isin(ids["row"]), LoadDrop.NO_CLICK_ID)
    found = views.loc[ids["row"]].reset_index(drop=True)
    clicks = pd.DataFrame(
        {
            "click_row_id": found["row"] + "/" + ids["param"],
            "platform": ids["param"].map(_NETWORKS).astype("str"),
            "param": ids["param"],
            "click_id": ids["click_id"],
            "click_time": found["time"],
            "id_source": ids["id_source"],
            **{name: found[name] for name in CLICKS.names if name in found and name != "origin"},
            "origin": "real",
        }
    ).astype({"click_row_id": "str", "origin": "str"})
    expanded = len(clicks) - len(intake.frame)
    clicks = clicks.sort_values(["click_time", "click_row_id"], ignore_index=True)
    if same is None:
        again, reason = repeats(clicks["click_row_id"]), repeated
    else:
        again = clicks.duplicated(["param", "click_id", *same])
        reason = LoadDrop.REPEATED_CLICK
    if again.any():
        intake.dropped[str(reason)] += int(again.sum())
    return intake.loaded(CLICKS, clicks[~again], expanded=expanded)
