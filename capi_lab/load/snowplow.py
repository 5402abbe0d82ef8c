"""Snowplow events from the warehouse.

Format: the ``events`` table as CSV with a header, docs.snowplow.io "canonical event", read 2026-11-23.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from capi_lab.errors import UnknownNameError
from capi_lab.load.addresses import client_addresses
from capi_lab.load.clicks import add_click_ids
from capi_lab.load.files import read_csv, require_columns
from capi_lab.load.result import Intake, Loaded
from capi_lab.load.values import (
    blank_to_missing,
    currency_codes,
    event_times,
    money,
    pick,
    repeats,
)
from capi_lab.tables import EVENTS
from capi_lab.words import LoadDrop

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["snowplow_events"]

# What the campaign enrichment writes into mkt_network by itself.
_NETWORK_PARAM = {"google": "gclid", "microsoft": "msclkid"}
_SPIDERS = "contexts_com_iab_snowplow_spiders_and_robots_1_0_0"


def snowplow_events(path: str | Path, *, tz: str | None = None, repeated: str = "keep") -> Loaded:
    """Read Snowplow events as events of the ``pixel`` channel.

    Parameters
    ----------
    path : str or Path
        CSV of the warehouse table with its column names; extra columns are ignored.
    tz : None
        Not needed: Snowplow writes UTC.
    repeated : str
        Delivery is at least once. ``"keep"`` keeps later rows of an ``event_id`` (their ``row_id`` gets
        ``#2``, ``#3`` ...) and reports them; ``"drop"`` drops and counts them.

    Returns
    -------
    Loaded
        Contract ``events``. Time is ``derived_tstamp``, receipt ``collector_tstamp``. Click ids come from
        ``mkt_clickid`` where ``mkt_network`` says whose it is, then from the page URL.

    Raises
    ------
    LoadError
        The file cannot be read or lacks Snowplow's columns.

    Notes
    -----
    Cannot be known: the address where it is anonymised or hashed; purchases, unless the e-commerce
    fields ``tr_*`` are used.
    """
    import pandas as pd

    if repeated not in ("keep", "drop"):
        raise UnknownNameError("value of repeated=", repeated, ["keep", "drop"])
    raw = read_csv(path)
    require_columns(raw, ["event_id", "collector_tstamp"], path, hint="is it Snowplow's events table with a header?")
    intake = Intake(Path(path).name, "Snowplow events (CSV)", raw)
    if tz is not None:
        intake.note("tz= was not needed: Snowplow times are UTC")

    def col(name: str) -> pd.Series:
        if name not in intake.frame:
            return pd.Series(None, index=intake.frame.index, dtype="str")
        return blank_to_missing(intake.frame[name])

    intake.drop(col("event_id").isna(), LoadDrop.NO_ID)
    again = repeats(col("event_id"))
    if repeated == "drop":
        intake.drop(again, LoadDrop.DUPLICATE_ID)
    elif again.any():
        n_ids = int(col("event_id")[again].nunique())
        intake.note(f"{n_ids:,} event ids repeat ({int(again.sum()):,} surplus rows); kept, see repeated=")
    times = event_times(pick(col("derived_tstamp"), col("collector_tstamp")), intake, tz="UTC", column="derived_tstamp")
    received = event_times(col("collector_tstamp"), intake, tz="UTC", column="collector_tstamp", drop=False)
    ids = col("event_id")
    nth = ids.groupby(ids).cumcount() + 1
    frame = pd.DataFrame(
        {
            "row_id": ids.where(nth == 1, ids + "#" + nth.astype("str")),
            "channel": "pixel",
            "event_name": pick(col("event_name"), col("event")),
            "event_id": ids,
            "event_time": times,
            "received_time": received,
            "conversion_id": col("tr_orderid"),
            "value": money(col("tr_total"), intake),
            "currency": currency_codes(col("tr_currency"), intake),
            "user_key": col("user_id"),
            "visitor_id": col("domain_userid"),
            "country": col("geo_country").str.upper(),
            "client_ip": client_addresses(col("user_ipaddress"), intake),
            "user_agent": col("useragent"),
            "page_url": col("page_url"),
            "referrer_url": col("page_referrer"),
            "origin": "real",
        }
    )
    unnamed = frame["event_name"].isna()
    intake.drop(unnamed, LoadDrop.UNPARSABLE)
    frame = frame[~unnamed]
    network = col("mkt_network").str.lower()
    for name, param in _NETWORK_PARAM.items():
        if (network == name).any():
            frame = frame.assign(**{param: col("mkt_clickid").where(network == name)})
    query = col("page_urlquery")
    urls = frame["page_url"].where(query.isna(), "?" + query)
    frame = add_click_ids(frame, intake, urls=urls)
    spiders = col(_SPIDERS).str.contains('"spiderOrRobot":true', regex=False)
    intake.note_count(int(spiders.sum()), "{n} events are marked as spiders by the IAB enrichment; kept")
    return intake.loaded(EVENTS, frame)
