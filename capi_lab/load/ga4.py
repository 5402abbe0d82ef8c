"""Google Analytics 4 events from the BigQuery export.

Format: tables ``events_YYYYMMDD`` as JSON lines, developers.google.com/analytics/bigquery/event-schema,
read 2026-11-23.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from capi_lab.load.clicks import add_click_ids
from capi_lab.load.files import read_json_records
from capi_lab.load.records import Records, listed
from capi_lab.load.result import Loaded
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
from capi_lab.words import Consent, LoadDrop

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ga4_bigquery"]

_TYPED = ("string_value", "int_value", "float_value", "double_value")
_URL_CUT = 1000  # GA4 cuts page_location here, and a click id with it


def ga4_bigquery(path: str | Path, *, tz: str | None = None) -> Loaded:
    """Read a GA4 BigQuery export as events of the ``pixel`` channel.

    Parameters
    ----------
    path : str or Path
        JSON lines (also ``.gz``), one event each, as BigQuery exports them: INT64 as text, null fields
        written or left out.
    tz : None
        Not needed: ``event_timestamp`` is microseconds UTC. ``event_date`` is in the property's zone and
        is kept as text only.

    Returns
    -------
    Loaded
        Contract ``events``. ``conversion_id`` is the transaction id; ``visitor_id`` the client id
        (``user_pseudo_id``), missing where analytics consent was denied; ``event_id`` only if the site
        sends a parameter of that name. A reload of the thank-you page appears again with the same
        transaction id and is kept: dedup is the platform's affair, the report counts it.

    Raises
    ------
    LoadError
        The file cannot be read or is no GA4 export.

    Notes
    -----
    Cannot be known from this export: IP address and full user agent; who denied consent (such rows have
    no id); e-mail or phone; whether another network's pixel fired. Only Google's click ids have columns,
    the others stand in ``page_location`` of the landing event, if the site did not redact it.
    """
    objects, unparsable = read_json_records(path)
    records = Records(objects, unparsable, path, "GA4 BigQuery export")
    records.require("event_name", "event_timestamp")
    intake = records.intake()
    intake.frame = _columns(records)
    if tz is not None:
        intake.note("tz= was not needed: GA4 times are UTC")
    intake.drop(intake.frame["event_name"].isna(), LoadDrop.UNPARSABLE)
    times = event_times(intake.frame["_time"], intake, tz="UTC", column="event_timestamp")
    intake.frame = intake.frame.assign(event_time=times)
    # GA4 has no event id; these five fields together are one, unless the client id is unknown.
    identified = intake.frame["visitor_id"].notna()
    intake.drop(identified & repeats(intake.frame["row_id"]), LoadDrop.DUPLICATE_ROW)
    frame = intake.frame
    unnamed = frame["visitor_id"].isna()
    intake.note_count(int(unnamed.sum()), "{n} events have no client id (consent denied): no visitor can be told")
    numbers = text_column(f"{Path(path).name}:{n}" for n in range(1, len(frame) + 1)).set_axis(frame.index)
    frame = frame.assign(
        row_id=frame["row_id"].where(~unnamed, numbers),
        channel="pixel",
        value=money(frame["_value"], intake),
        currency=currency_codes(frame["_currency"], intake),
        origin="real",
    )
    purchases = frame["event_name"] == "purchase"
    intake.note_count(
        int(repeats(frame["conversion_id"].where(purchases)).sum()),
        "{n} purchase events repeat a transaction id (thank-you page loaded again); kept",
    )
    intake.note_count(int((frame["page_url"].str.len() >= _URL_CUT).sum()), "{n} page URLs are cut at 1,000 characters")
    frame = add_click_ids(frame, intake, urls=frame["page_url"])
    return intake.loaded(EVENTS, frame[[name for name in frame.columns if not name.startswith("_")]])


def _columns(records: Records) -> pd.DataFrame:
    import pandas as pd

    params = [_params(record) for record in records.objects]
    col = records.col

    def param(name: str) -> pd.Series:
        return blank_to_missing(text_column([one.get(name) for one in params]))

    parts = (
        "user_pseudo_id",
        "event_timestamp",
        "event_name",
        "event_bundle_sequence_id",
        "batch_event_index",
    )
    row_id = col(parts[0]).fillna("")
    for name in parts[1:]:
        row_id = row_id + "/" + col(name).fillna("")
    consent = col("privacy_info", "ads_storage").str.lower()
    return pd.DataFrame(
        {
            "row_id": row_id,
            "event_name": col("event_name"),
            "event_id": param("event_id"),
            "_time": col("event_timestamp"),
            "conversion_id": _no_zero(pick(col("ecommerce", "transaction_id"), param("transaction_id"))),
            "_value": pick(col("ecommerce", "purchase_revenue"), param("value")),
            "_currency": param("currency"),
            "visitor_id": col("user_pseudo_id"),
            "user_key": col("user_id"),
            "session_id": param("ga_session_id"),
            "page_url": param("page_location"),
            "referrer_url": param("page_referrer"),
            "gclid": pick(col("collected_traffic_source", "gclid"), param("gclid")),
            "consent_ad_user_data": consent.map({"yes": str(Consent.GRANTED), "no": str(Consent.DENIED)}).astype("str"),
            "browser": pick(col("device", "web_info", "browser"), col("device", "browser")),
            "os": col("device", "operating_system"),
            "device": col("device", "category"),
            "country_name": col("geo", "country"),
            "event_date": col("event_date"),
        }
    )


def _params(record: dict[str, Any]) -> dict[str, Any]:
    """Flatten ``event_params``; one key can switch its typed field from row to row."""
    flat: dict[str, Any] = {}
    for entry in listed(record.get("event_params")):
        if not isinstance(entry, dict) or not isinstance(entry.get("value"), dict):
            continue
        value = next((entry["value"][kind] for kind in _TYPED if entry["value"].get(kind) is not None), None)
        flat.setdefault(str(entry.get("key")), value)
    return flat


def _no_zero(ids: pd.Series) -> pd.Series:
    return ids.mask(ids == "0")
