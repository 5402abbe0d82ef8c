"""Where each click id was seen, and where it was missed: the rows behind `capi_lab.click_id_funnel`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import ibis
import numpy as np
import pandas as pd

from capi_lab.engine import TableLike, as_table, place_beside, to_frame
from capi_lab.identity.agents import browser_of
from capi_lab.platforms import platform as platform_named
from capi_lab.reconcile.attach import PERSON_KEYS, On
from capi_lab.reconcile.attribute import claim
from capi_lab.reconcile.lastclick import Claim
from capi_lab.tables import CLICK_ID_COLUMNS, CLICKS
from capi_lab.words import ClickFix, ClickStep

__all__ = ["PERSON", "ClickIds", "Landings", "arrivals", "flat", "looked_up"]

PERSON = (*PERSON_KEYS, "client_ip", "user_agent")
"""Columns of a landing that say whose it is."""
_HOP = pd.Timedelta("60s")


@dataclass(frozen=True)
class ClickIds:
    """Reads one platform's click ids, whatever column or spelling they are in.

    Parameters
    ----------
    platform : str
    window : timedelta, optional
        From click to order; by default the platform's click window.
    """

    platform: str
    window: timedelta | None = None

    def claim(self, columns: Sequence[str] = CLICK_ID_COLUMNS) -> Claim:
        """Return which columns and parameters count, and how long."""
        spec = platform_named(self.platform).spec
        window = self.window or spec.window("click").default
        params = {rule.param for rule in spec.click_ids} | {rule.wraps.param for rule in spec.click_ids if rule.wraps}
        return claim(self.platform, sorted(params), window, columns, end_inside=None)

    def carried(self, table: ibis.Table) -> Any:
        """Return the bare id a row carries, missing where it has none; None where no column could hold one."""
        texts = [one.read(table[one.name]) for tie in self.claim(table.columns).ids for one in tie.columns]
        return ibis.coalesce(*texts) if texts else None

    def of_clicks(self, clicks: ibis.Table) -> ibis.Table:
        """Keep the platform's clicks, with ``id``."""
        mine = clicks.filter(clicks.platform == self.platform)
        spelled = [(mine.param == one.name, one.read(mine.click_id)) for tie in self.claim().ids for one in tie.params]
        return mine.mutate(id=ibis.cases(*spelled)).filter(ibis._.id.notnull())


@dataclass(frozen=True)
class Landings:
    """Clicks, one row per id, and what the log can tell.

    Parameters
    ----------
    rows : DataFrame
        ``id``, ``click_row_id``, ``click_time``, ``bought``, ``landed``, ``redirected`` (1, 0 or -1 for not known),
        ``landing_path``, ``hop``, ``browser``, ``fix``, the keys of persons, and columns to group by.
    unseen : dict
        Step to why it could not be observed.
    notes : tuple of str
    """

    rows: pd.DataFrame
    unseen: dict[ClickStep, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def arrivals(
    clicks: TableLike | None, visits: ibis.Table | None, beside: ibis.Table, ids: ClickIds, on: On, extra: Sequence[str]
) -> Landings:
    """Lay the clicks that were bought beside those that arrived.

    Parameters
    ----------
    clicks : table, optional
        Rows with neither landing page, visitor, person, agent nor address are clicks the network says it sold; others
        were seen to arrive.
    visits : Ibis table, optional
        Contract ``visits``.
    beside : Ibis table
        On whose engine to work.
    ids : ClickIds
    on : as for `capi_lab.attach_clicks`
    extra : sequence of str
        Columns of ``clicks`` to carry along.
    """
    persons = list(dict.fromkeys([*PERSON, *flat(on)]))
    bought, seen, carried = _clicks(clicks, beside, ids, persons, extra)
    sightings = [seen] if seen is not None else []
    if visits is not None:
        own = ids.carried(visits)
        if own is not None:
            rows = visits.filter(own.notnull())
            columns = [name for name in ("page_url", "status", *persons) if name in rows.columns]
            rows = rows.select("visit_row_id", "visit_time", *columns, id=ids.carried(rows))
            found = to_frame(rows).rename(columns={"visit_row_id": "click_row_id", "visit_time": "click_time"})
            sightings.insert(0, found)
    landed = _first(sightings, ["page_url", "status", *persons])
    unseen: dict[ClickStep, str] = {}
    notes = []
    landed = landed.assign(**_landing_facts(landed, visits, ids), landed=True)
    if bought is None:
        unseen[ClickStep.BOUGHT] = "give the clicks the network says it sold (load.google_click_view)"
        unseen[ClickStep.LANDED] = unseen[ClickStep.BOUGHT]
        rows = landed.assign(bought=False)
    else:
        if visits is None and seen is None:
            unseen[ClickStep.LANDED] = "give visits (load.access_log(kind='visits'))"
        else:
            all_of_them = len(bought)
            bought = _within(bought, landed, visits)
            if outside := all_of_them - len(bought):
                notes.append(f"clicks bought outside the time of the log, left out: {outside:,}")
            if bought.empty:
                unseen |= dict.fromkeys((ClickStep.BOUGHT, ClickStep.LANDED), "give clicks bought while the log ran")
        rows = _beside(landed, bought)
    for name in extra:
        rows[name] = looked_up(carried[name], rows["id"]) if carried is not None and name in carried else None
    if not (rows["redirected"] >= 0).any():
        why = "no landing's status is known" if visits is not None else "give visits (load.access_log(kind='visits'))"
        unseen[ClickStep.REDIRECTED] = why
    fix = np.where(
        ~rows["landed"],
        str(ClickFix.KEEP_PARAMETERS),
        np.where(rows["redirected"] == 0, str(ClickFix.FORWARD_QUERY), ""),
    )
    rows = rows.assign(redirected=rows["redirected"].fillna(-1).astype("int8"), fix=pd.Series(fix, dtype="str"))
    return Landings(rows.sort_values("id", ignore_index=True), unseen, tuple(notes))


def _first(sightings: list[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """Keep the first sighting of each id, with these columns at least."""
    types = {"id": "str", "click_row_id": "str", "click_time": "datetime64[us, UTC]"}
    none = pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in types.items()})
    landed = pd.concat(sightings, ignore_index=True) if sightings else none
    landed = landed.sort_values(["click_time", "click_row_id"], kind="stable").drop_duplicates("id", ignore_index=True)
    lacking = [name for name in columns if name not in landed]
    return landed.assign(**{name: pd.Series([None] * len(landed), dtype="str") for name in lacking})


def _within(bought: pd.DataFrame, landed: pd.DataFrame, visits: ibis.Table | None) -> pd.DataFrame:
    """Keep the clicks that were bought while the log ran; of a click without an hour the whole day must lie in it."""
    start, end = landed["click_time"].min(), landed["click_time"].max()
    if visits is not None:
        ends = to_frame(visits.aggregate(low=visits.visit_time.min(), high=visits.visit_time.max())).iloc[0]
        start, end = ends["low"], ends["high"]
    length = pd.to_timedelta(np.where(bought["whole_day"], 1, 0), unit="D")
    return bought[(bought["click_time"] >= start) & (bought["click_time"] + length <= end)]


def _beside(landed: pd.DataFrame, bought: pd.DataFrame) -> pd.DataFrame:
    """Lay clicks bought and clicks landed side by side, one row per id."""
    rows = landed.merge(bought[["id", "row"]].assign(bought=True), on="id", how="outer")
    times = looked_up(bought.set_index("id")["click_time"], rows["id"])
    return rows.assign(
        bought=rows["bought"].eq(True),
        landed=rows["landed"].eq(True),
        click_row_id=rows["row"].fillna(rows["click_row_id"]),
        click_time=rows["click_time"].fillna(times),
    ).drop(columns="row")


def looked_up(table: pd.Series, keys: pd.Series) -> pd.Series:
    """Return the value of each key, in the keys' order; unlike `map` also out of a table of nothing."""
    return table.reindex(keys).set_axis(keys.index)


def flat(on: On) -> list[str]:
    """Return the columns named in ``on``."""
    names = [on] if isinstance(on, str) else list(on or [])
    return [part for one in names for part in ([one] if isinstance(one, str) else one)]


def _clicks(
    clicks: TableLike | None, beside: ibis.Table, ids: ClickIds, persons: Sequence[str], extra: Sequence[str]
) -> tuple[pd.DataFrame | None, pd.DataFrame | None, pd.DataFrame | None]:
    """Return the clicks bought, those seen to arrive, and what to carry along, by id."""
    if clicks is None:
        return None, None, None
    mine = ids.of_clicks(as_table(clicks, CLICKS, beside=beside))
    known = [name for name in dict.fromkeys(["landing_url", *persons, "click_date", *extra]) if name in mine.columns]
    rows = to_frame(mine.select("click_row_id", "click_time", "id", *known))
    rows = rows.sort_values(["click_time", "click_row_id"], ignore_index=True)
    traces = [name for name in ("landing_url", "visitor_id", "user_key", "user_agent", "client_ip") if name in rows]
    arrived = rows[traces].notna().any(axis=1) if traces else pd.Series(data=False, index=rows.index)
    carried = rows.drop_duplicates("id").set_index("id")
    seen = rows[arrived].rename(columns={"landing_url": "page_url"}).drop(columns=["click_date"], errors="ignore")
    seen = seen.drop(columns=[name for name in extra if name in seen and name not in persons])
    sold = rows[~arrived].drop_duplicates("id")
    sold = sold.assign(whole_day=sold["click_date"].notna() if "click_date" in sold else False)
    sold = sold.rename(columns={"click_row_id": "row"})
    return (sold if len(sold) else None), (seen if len(seen) else None), carried


def _landing_facts(landed: pd.DataFrame, visits: ibis.Table | None, ids: ClickIds) -> dict[str, Any]:
    """Say of each landing its path and browser, whether it was a redirect, and whether the id came out of it."""
    path = landed["page_url"].str.replace(r"^[a-zA-Z][\w+.-]*://[^/?#]*", "", regex=True)
    path = path.str.replace(r"[?#].*$", "", regex=True).mask(landed["page_url"].isna())
    hop = landed["status"].str.startswith("3").astype("object").where(landed["status"].notna())
    state = np.where(hop.isna(), -1, np.where(hop.eq(True), -1, 1)).astype("int8")
    where = np.flatnonzero(hop.eq(True) & landed["client_ip"].notna() & landed["user_agent"].notna())
    if len(where) and visits is not None and {"client_ip", "user_agent"} <= set(visits.columns):
        moved = landed.iloc[where][["click_time", "client_ip", "user_agent"]].assign(at=where)
        asked = place_beside(moved[["client_ip", "user_agent"]].drop_duplicates(), visits)
        pages = visits.filter(visits.status.startswith("2")).semi_join(asked, ["client_ip", "user_agent"])
        pages = pages.select(
            "visit_row_id", "visit_time", "client_ip", "user_agent", known=ids.carried(pages).notnull()
        )
        after = to_frame(pages).sort_values(["visit_time", "visit_row_id"])
        found = pd.merge_asof(
            moved.sort_values("click_time"), after, left_on="click_time", right_on="visit_time",
            by=["client_ip", "user_agent"], direction="forward", tolerance=_HOP,
        )  # fmt: skip
        state[found["at"]] = np.where(found["known"].isna(), -1, found["known"].eq(True))
    return {
        "landing_path": path.replace("", "/"),
        "hop": hop.map({True: "redirect", False: "none"}).astype("str"),
        "browser": browser_of(landed["user_agent"])["browser"],
        "redirected": state,
    }
