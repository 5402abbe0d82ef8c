"""Snowplow events: the warehouse table, and the enriched stream it is loaded from.

Format: the ``events`` table as CSV with a header, docs.snowplow.io "canonical event"; the enriched TSV has no header,
its fields stand in the order of snowplow/snowplow-python-analytics-sdk. Read 2026-11-23.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capi_lab.errors import LoadError, UnknownNameError
from capi_lab.load.addresses import client_addresses
from capi_lab.load.clicks import add_click_ids
from capi_lab.load.files import Part, Paths, open_text, read_csv, require_columns
from capi_lab.load.gather import gather
from capi_lab.load.parquet import Repeat
from capi_lab.load.records import listed
from capi_lab.load.result import Intake, Loaded
from capi_lab.load.signatures import Signature
from capi_lab.load.values import (
    blank_to_missing,
    currency_codes,
    event_times,
    money,
    pick,
    repeats,
    text_column,
)
from capi_lab.tables import EVENTS
from capi_lab.words import LoadDrop

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ENRICHED_FIELDS", "snowplow_events"]

SIGNATURES = {
    "snowplow_events": (
        Signature(fields=(("event_id", "collector_tstamp", "app_id"),), line=r"(?:[^\t]*\t){130}[^\t]*$"),
    ),
}

# What the campaign enrichment writes into mkt_network by itself.
_NETWORK_PARAM = {"google": "gclid", "microsoft": "msclkid"}
_SPIDERS = "contexts_com_iab_snowplow_spiders_and_robots_1_0_0"
_TRANSACTION = "contexts_com_snowplowanalytics_snowplow_ecommerce_transaction_1_0_0"
_TRANSACTION_SCHEMA = "iglu:com.snowplowanalytics.snowplow.ecommerce/transaction/"
ENRICHED_FIELDS = (
    "app_id", "platform", "etl_tstamp", "collector_tstamp", "dvce_created_tstamp", "event", "event_id", "txn_id",
    "name_tracker", "v_tracker", "v_collector", "v_etl", "user_id", "user_ipaddress", "user_fingerprint",
    "domain_userid", "domain_sessionidx", "network_userid", "geo_country", "geo_region", "geo_city", "geo_zipcode",
    "geo_latitude", "geo_longitude", "geo_region_name", "ip_isp", "ip_organization", "ip_domain", "ip_netspeed",
    "page_url", "page_title", "page_referrer", "page_urlscheme", "page_urlhost", "page_urlport", "page_urlpath",
    "page_urlquery", "page_urlfragment", "refr_urlscheme", "refr_urlhost", "refr_urlport", "refr_urlpath",
    "refr_urlquery", "refr_urlfragment", "refr_medium", "refr_source", "refr_term", "mkt_medium", "mkt_source",
    "mkt_term", "mkt_content", "mkt_campaign", "contexts", "se_category", "se_action", "se_label", "se_property",
    "se_value", "unstruct_event", "tr_orderid", "tr_affiliation", "tr_total", "tr_tax", "tr_shipping", "tr_city",
    "tr_state", "tr_country", "ti_orderid", "ti_sku", "ti_name", "ti_category", "ti_price", "ti_quantity",
    "pp_xoffset_min", "pp_xoffset_max", "pp_yoffset_min", "pp_yoffset_max", "useragent", "br_name", "br_family",
    "br_version", "br_type", "br_renderengine", "br_lang", "br_features_pdf", "br_features_flash",
    "br_features_java", "br_features_director", "br_features_quicktime", "br_features_realplayer",
    "br_features_windowsmedia", "br_features_gears", "br_features_silverlight", "br_cookies", "br_colordepth",
    "br_viewwidth", "br_viewheight", "os_name", "os_family", "os_manufacturer", "os_timezone", "dvce_type",
    "dvce_ismobile", "dvce_screenwidth", "dvce_screenheight", "doc_charset", "doc_width", "doc_height",
    "tr_currency", "tr_total_base", "tr_tax_base", "tr_shipping_base", "ti_currency", "ti_price_base",
    "base_currency", "geo_timezone", "mkt_clickid", "mkt_network", "etl_tags", "dvce_sent_tstamp",
    "refr_domain_userid", "refr_device_tstamp", "derived_contexts", "domain_sessionid", "derived_tstamp",
    "event_vendor", "event_name", "event_format", "event_version", "event_fingerprint", "true_tstamp",
)  # fmt: skip
"""Fields of a line of the enriched stream, by position."""


_AGAIN = Repeat(
    ("event_id",), None, number="row_id", note="{n} rows repeat an event id of another row; kept, see repeated="
)


def snowplow_events(
    path: Paths, *, tz: str | None = None, repeated: str = "keep", to: str | Path | None = None
) -> Loaded:
    """Read Snowplow events as events of the ``pixel`` channel.

    Parameters
    ----------
    path : str, Path or sequence
        File, pattern or list of them, plain, gzip or zstd. CSV (or TSV) of the warehouse table with its column names,
        extra columns are ignored; or the enriched TSV without a header, 131 fields a line. A line of it with another
        number of fields is ``unparsable``. Only the enriched TSV is read in parts: in a CSV a line end may be quoted.
    tz : None
        Not needed: Snowplow writes UTC.
    repeated : str
        Delivery is at least once. ``"keep"`` keeps later rows of an ``event_id`` (their ``row_id`` gets
        ``#2``, ``#3`` ... over all files) and reports them; ``"drop"`` drops and counts them.
    to : str or Path, optional
        Parquet file to write the rows to as they are read, in the order of the files, instead of holding them.

    Returns
    -------
    Loaded
        Contract ``events``. Time is ``derived_tstamp``, receipt ``collector_tstamp``. Click ids come from
        ``mkt_clickid`` where ``mkt_network`` says whose it is, then from the page URL. Order id, value and
        currency come from ``tr_*``, else from the e-commerce ``transaction`` context.

    Raises
    ------
    LoadError
        The file cannot be read or lacks Snowplow's columns.
    UnknownNameError
        ``repeated`` is neither.

    Notes
    -----
    Cannot be known: the address where it is anonymised or hashed; purchases, unless the site tracks them
    with ``tr_*`` or the e-commerce context.
    """
    if repeated not in ("keep", "drop"):
        raise UnknownNameError("value of repeated=", repeated, ["keep", "drop"])
    return gather(
        path,
        lambda part: _events(part, tz, repeated),
        split=lambda file: "files" if _has_header(file) else "lines",
        to=to,
        also=[_AGAIN] if repeated == "keep" else [],
    )


def _events(part: Part, tz: str | None, repeated: str) -> Loaded:
    import pandas as pd

    intake = _opened(part)
    if tz is not None:
        intake.note("tz= was not needed: Snowplow times are UTC")

    def col(name: str) -> pd.Series:
        if name not in intake.frame:
            return pd.Series(None, index=intake.frame.index, dtype="str")
        return blank_to_missing(intake.frame[name])

    intake.drop(col("event_id").isna(), LoadDrop.NO_ID)
    times = event_times(pick(col("derived_tstamp"), col("collector_tstamp")), intake, tz="UTC", column="derived_tstamp")
    received = event_times(col("collector_tstamp"), intake, tz="UTC", column="collector_tstamp", drop=False)
    bought = _transactions(pick(col(_TRANSACTION), col("contexts")))
    ids = col("event_id")
    frame = pd.DataFrame(
        {
            "row_id": ids,
            "channel": "pixel",
            "event_name": pick(col("event_name"), col("event")),
            "event_id": ids,
            "event_time": times,
            "received_time": received,
            "conversion_id": pick(col("tr_orderid"), bought["transaction_id"]),
            "value": money(pick(col("tr_total"), bought["revenue"]), intake),
            "currency": currency_codes(pick(col("tr_currency"), bought["currency"]), intake),
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
    spiders = pick(col(_SPIDERS), col("derived_contexts")).str.contains('"spiderOrRobot":true', regex=False)
    intake.note_count(int(spiders.sum()), "{n} events are marked as spiders by the IAB enrichment; kept")
    again = repeats(frame["row_id"])
    if repeated == "drop":
        intake.drop(again, LoadDrop.DUPLICATE_ID)
        frame = frame[~again]
    elif again.any():
        # For now, by this part alone: over all parts they are numbered when all are read.
        nth = frame.groupby("row_id").cumcount() + 1
        frame = frame.assign(row_id=frame["row_id"].where(~again, frame["row_id"] + "#" + nth.astype("str")))
    return intake.loaded(EVENTS, frame)


def _first_fields(file: Part) -> list[str]:
    with open_text(file, errors="backslashreplace") as text:
        return text.readline().rstrip("\r\n").split("\t")


def _has_header(file: Part) -> bool:
    first = _first_fields(file)
    return len(first) == 1 or "event_id" in first


def _opened(part: Part) -> Intake:
    """Open the table with its header, or some lines of the enriched TSV."""
    import pandas as pd

    if part.data is None:
        raw = read_csv(part, delimiter="," if len(_first_fields(part)) == 1 else "\t")
        require_columns(
            raw, ["event_id", "collector_tstamp"], part, hint="is it Snowplow's events table with a header?"
        )
        return Intake(part.name, "Snowplow events (CSV)", raw)
    lines = [line for line in part.data.split(b"\n") if line.strip()]
    rows = [fields for fields in map(_fields, lines) if fields is not None]
    if not rows:
        raise LoadError(f"'{part.name}' has no line of {len(ENRICHED_FIELDS)} fields: is it Snowplow's enriched TSV?")
    raw = pd.DataFrame(rows, columns=list(ENRICHED_FIELDS), dtype="str")
    return Intake(part.name, "Snowplow enriched events (TSV)", raw, unparsable=len(lines) - len(rows))


def _fields(line: bytes) -> list[str] | None:
    """Return the fields of a line of the enriched TSV; None where it is none."""
    try:
        fields = line.decode().rstrip("\r\n").split("\t")
    except UnicodeDecodeError:
        return None
    return fields if len(fields) == len(ENRICHED_FIELDS) else None


def _transactions(contexts: pd.Series) -> pd.DataFrame:
    """Read the e-commerce transaction out of a context column of its own, or out of all contexts."""
    import pandas as pd

    names = ["transaction_id", "revenue", "currency"]
    rows = contexts[contexts.str.contains('"transaction_id"', regex=False)]
    found = [[_transaction(text).get(name) for name in names] for text in rows]
    texts = {name: text_column([row[at] for row in found], rows.index) for at, name in enumerate(names)}
    return pd.DataFrame(texts, index=rows.index).reindex(contexts.index).astype("str")


def _transaction(text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    entities = parsed.get("data") if isinstance(parsed, dict) else parsed
    for one in listed(entities):
        if not isinstance(one, dict):
            continue
        described = str(one.get("schema", "")).startswith(_TRANSACTION_SCHEMA)
        entity = one.get("data") if described else one
        if isinstance(entity, dict) and "transaction_id" in entity:
            return entity
    return {}
