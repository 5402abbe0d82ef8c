"""Who came back after an ad click, when, and whether the click's id was still known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from capi_lab.engine import TableLike, as_table, to_frame
from capi_lab.errors import ContractError, InputError, UnknownNameError
from capi_lab.identity.agents import browser_of
from capi_lab.measure.click_rows import ClickIds
from capi_lab.platforms import PLATFORMS
from capi_lab.tables import VISITS

__all__ = ["returns_after_clicks", "spans_of"]


def returns_after_clicks(
    visits: TableLike, by: str | None, platform: str | None, on: str, session: pd.Timedelta
) -> tuple[pd.DataFrame, dict[str, int]]:
    """List visits of identified persons after the landing of their last ad click.

    Parameters
    ----------
    visits : DataFrame, Arrow table, Parquet path or glob, or Ibis table
    by : str, optional
        ``browser`` (of the landing's user agent), or a column of visits, read at the landing.
    platform : str, optional
        Whose ids; default: all platforms'.
    on : str
        Column that names the person, at the landing and at the return.
    session : timedelta
        Visits sooner after the landing are part of it.

    Returns
    -------
    rows : DataFrame
        One row per return, sorted: ``person``, ``click`` (number of the landing), ``landed`` (time), ``group``,
        ``days`` since the landing, ``known`` (bool).
    counts : dict
        ``clicks``, ``identified`` (with a person at the landing), ``url`` (returns left out since their URL carries
        the id again).
    """
    names = [platform] if platform is not None else sorted(PLATFORMS)
    if platform is not None and platform not in PLATFORMS:
        raise UnknownNameError("platform", platform, PLATFORMS)
    table = as_table(visits, VISITS)
    if on not in table.columns:
        raise ContractError("visits", [(on, "column of on= is missing: whose visits are returns?", None)])
    column = by if by is not None and by in table.columns else None
    if by is not None and column is None and (by != "browser" or "user_agent" not in table.columns):
        raise UnknownNameError("column of the visits", by, table.columns)
    parts, counts = [], dict.fromkeys(("clicks", "identified", "url"), 0)
    for name in names:
        own = ClickIds(name).carried(table)
        if own is None:
            continue
        person = table[on].nullif("")
        ours = table.filter(own.notnull())
        people = ours.filter(ours[on].notnull()).select(on).distinct()
        keep = [c for c in dict.fromkeys(["user_agent", *([column] if column else [])]) if c in table.columns]
        page = table.page_url.fill_null("") if "page_url" in table.columns else None
        again = own.notnull() & page.contains(own.fill_null("")) if page is not None else own.notnull() & False
        rows = table.select(
            "visit_row_id", "visit_time", *keep, person=person, id=own, again=again,
            of_known=person.isin(people[on]),
        )  # fmt: skip
        rows = rows.filter(rows.id.notnull() | rows.of_known.fill_null(False))
        found = to_frame(rows).sort_values(["visit_time", "visit_row_id"], ignore_index=True)
        part, some = _of_platform(found, column, by, session)
        parts.append(part.assign(click=name + " " + part["click"].astype("str")))
        counts = {key: counts[key] + some[key] for key in counts}
    if not parts:
        raise InputError("the visits have no column for a click id: load them with kind='visits'")
    result = pd.concat(parts, ignore_index=True)
    return result.sort_values(["landed", "person", "click", "days"], ignore_index=True), counts


def _of_platform(
    visits: pd.DataFrame, column: str | None, by: str | None, session: pd.Timedelta
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Tie each visit of a known person to that person's last landing before it."""
    landings = visits[visits["id"].notna()].drop_duplicates("id")
    mine = landings[landings["person"].notna()]
    if column is not None:
        group = mine[column]
    elif by is not None:
        group = browser_of(mine["user_agent"])["browser"]
    else:
        group = pd.Series("all", index=mine.index, dtype="str")
    mine = mine.assign(group=group, landed=mine["visit_time"], click=np.arange(len(mine)))
    later = visits[visits["person"].notna() & ~visits.index.isin(mine.index)]
    at = pd.merge_asof(
        later, mine[["visit_time", "person", "id", "group", "landed", "click"]].rename(columns={"id": "clicked"}),
        on="visit_time", by="person", allow_exact_matches=False,
    )  # fmt: skip
    at = at[at["clicked"].notna() & ((at["visit_time"] - at["landed"]) >= session)]
    fresh = ~at["again"].astype(bool)
    rows = at[fresh]
    rows = rows.assign(
        days=(rows["visit_time"] - rows["landed"]) / pd.Timedelta("1D"),
        known=rows["id"].eq(rows["clicked"]).astype(bool),
        click=rows["click"].astype("int64"),
    )
    counts = {"clicks": len(landings), "identified": len(mine), "url": int((~fresh).sum())}
    return rows[["person", "click", "landed", "group", "days", "known"]], counts


def spans_of(returns: pd.DataFrame, which: Sequence[str]) -> pd.DataFrame:
    """Say between which two visits each click's id was lost.

    Parameters
    ----------
    returns : DataFrame
        Of one click a person at most.
    which : sequence of str
        Columns that tell clicks apart.

    Returns
    -------
    DataFrame
        One row per click: ``group``, ``left`` (days of the last return that knew it; missing for none) and ``right``
        (of the first return after that which did not; missing for none), ``returns``.

    Notes
    -----
    A return that does not know the id before one that does was made elsewhere (another device): it says nothing.
    """
    keys = list(which)
    known = returns[returns["known"]].groupby(keys)["days"].max().rename("left")
    rows = returns.join(known, on=keys)
    gone = rows[~rows["known"] & ~(rows["days"] <= rows["left"])].groupby(keys)["days"].min().rename("right")
    whole = returns.groupby(keys, as_index=False).agg(group=("group", "first"), returns=("days", "size"))
    return whole.join(known, on=keys).join(gone, on=keys)
