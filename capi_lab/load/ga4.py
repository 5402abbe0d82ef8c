"""Google Analytics 4: the BigQuery export, as events and as clicks, and Fivetran's flat copy of it.

Format: tables ``events_YYYYMMDD`` as JSON lines or nested Parquet,
developers.google.com/analytics/bigquery/event-schema; Fivetran's ``ga4_export.event``, whose columns are listed in
fivetran/dbt_ga4_export. Read 2026-11-23.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from capi_lab.errors import LoadError
from capi_lab.load.clicks import SAME_VISITORS_CLICK, add_click_ids, as_clicks
from capi_lab.load.files import (
    Part,
    Paths,
    is_parquet,
    looks_like_json,
    read_csv,
    read_json_records,
    read_parquet,
    require_columns,
)
from capi_lab.load.ga4_records import FORMAT, consent, event_columns, joined, lines_of_events, no_zero, params_of
from capi_lab.load.gather import gather
from capi_lab.load.lines import row_ids, text_series
from capi_lab.load.parquet import Repeat
from capi_lab.load.records import Cells, Records
from capi_lab.load.result import Intake, Loaded
from capi_lab.load.signatures import Signature
from capi_lab.load.values import (
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

__all__ = ["ga4_bigquery", "ga4_clicks", "ga4_fivetran"]

SIGNATURES = {
    "ga4_bigquery": (Signature(fields=(("event_name", "event_timestamp", "event_params"),)),),
    "ga4_fivetran": (Signature(fields=(("name", "timestamp", "user_pseudo_id", "bundle_sequence_id"),)),),
}

_REQUIRED = ("event_name", "event_timestamp")
_FLAT_EVENT_KEY = ("user_pseudo_id", "timestamp", "name", "bundle_sequence_id", "batch_event_index")
_URL_CUT = 1000  # GA4 cuts page_location here, and a click id with it


_PAID_TWICE = Repeat(
    ("conversion_id",),
    None,
    only=("event_name", "purchase"),
    note="{n} purchase events repeat a transaction id (thank-you page loaded again); kept",
)


def ga4_bigquery(path: Paths, *, tz: str | None = None, to: str | Path | None = None) -> Loaded:
    """Read a GA4 BigQuery export as events of the ``pixel`` channel.

    Parameters
    ----------
    path : str, Path or sequence
        File, pattern or list of them: JSON lines (also gzip or zstd), one event each, as BigQuery exports them: INT64
        as text, null fields written or left out; or Parquet with its nested records, which is read whole.
    tz : None
        Not needed: ``event_timestamp`` is microseconds UTC. ``event_date`` is in the property's zone and
        is kept as text only.
    to : str or Path, optional
        Parquet file to write the rows to as they are read, in the order of the files, instead of holding them.

    Returns
    -------
    Loaded
        Contract ``events``. ``conversion_id`` is the transaction id; ``visitor_id`` the client id
        (``user_pseudo_id``), missing where analytics consent was denied; ``event_id`` only if the site
        sends a parameter of that name. A reload of the thank-you page appears again with the same
        transaction id and is kept: dedup is the platform's affair, the report counts it. An event without a
        client id has its file and line for a row id.

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
    return gather(
        path,
        lambda part: _as_events(_bigquery(part, tz)),
        split="json",
        to=to,
        repeated=LoadDrop.DUPLICATE_ROW,
        also=[_PAID_TWICE],
    )


def ga4_clicks(path: Paths, *, tz: str | None = None, to: str | Path | None = None) -> Loaded:
    """Read the ad clicks in a GA4 export.

    Parameters
    ----------
    path : str, Path or sequence
        As for `ga4_bigquery` or `ga4_fivetran`; which one it is, the file tells.
    tz : str, optional
        As for `ga4_fivetran`; the BigQuery export is in UTC.
    to : str or Path, optional
        Write the rows to this Parquet file instead of holding them.

    Returns
    -------
    Loaded
        Contract ``clicks``: the first event on which a client id shows a click id. Google's ``gclid`` and
        ``dclid`` come from their columns, then every network's from ``page_location``. The same id of the same
        client again is the same click (``repeated_click``), events without one are ``no_click_id``. ``user_key``
        is GA4's ``user_id``.

    Raises
    ------
    LoadError
        The file cannot be read or is no GA4 export.
    NaiveTimeError
        Fivetran's times carry no zone and ``tz`` is not given.

    Notes
    -----
    ``click_time`` is the time of the first event with the id, not of the click. Cannot be known: clicks whose
    landing page sent no event; ids cut off with a URL of 1,000 characters; address and user agent; the click ids
    of sites that redact URLs. Where consent was denied there is no client id, and each id counts once.
    """
    # Earlier rows of an event are the same event (duplicate_row), whichever file they are in.
    return gather(
        path,
        lambda part: _clicks(part, tz),
        split="json",
        to=to,
        repeated=LoadDrop.DUPLICATE_ROW,
        also=[SAME_VISITORS_CLICK],
    )


def _clicks(path: Part, tz: str | None) -> Loaded:
    bigquery = is_parquet(path) or looks_like_json(path)
    intake = _bigquery(path, tz) if bigquery else _fivetran(path, tz)
    frame = intake.frame
    _note_cut_urls(intake)
    intake.frame = frame.rename(columns={"row_id": "row", "event_time": "time", "page_url": "landing_url"})
    ids = {"gclid": frame["gclid"], "dclid": frame["_dclid"]}
    return as_clicks(intake, same=None, columns=ids, repeated=LoadDrop.DUPLICATE_ROW)


def ga4_fivetran(path: Paths, *, tz: str | None = None, to: str | Path | None = None) -> Loaded:
    """Read Fivetran's flat copy of the GA4 export as events of the ``pixel`` channel.

    Parameters
    ----------
    path : str, Path or sequence
        CSV of ``ga4_export.event``. A header name that occurs twice is read once, the first time.
    tz : str, optional
        Zone of ``timestamp``, if the warehouse wrote it without one (Fivetran loads UTC: then ``tz="UTC"``).
    to : str or Path, optional
        Write the rows to this Parquet file instead of holding them.

    Returns
    -------
    Loaded
        Contract ``events``, as `ga4_bigquery` gives. ``value`` is ``ecommerce_purchase_revenue`` or
        ``param_value`` in ``param_currency``; where neither is there, a purchase's
        ``ecommerce_purchase_revenue_in_usd``, in USD.

    Raises
    ------
    LoadError
        The file cannot be read or lacks the event's name or time.
    NaiveTimeError
        Times carry no zone and ``tz`` is not given.

    Notes
    -----
    Cannot be known: what `ga4_bigquery` cannot tell, and parameters that were not chosen as ``param_`` columns.
    Rows of the intraday table are incomplete; they are kept and counted in the notes.
    """
    return gather(
        path,
        lambda part: _as_events(_fivetran(part, tz)),
        to=to,
        repeated=LoadDrop.DUPLICATE_ROW,
        also=[_PAID_TWICE],
    )


def _bigquery(part: Part, tz: str | None) -> Intake:

    if part.data is None:
        if is_parquet(part):
            objects, unparsable = read_parquet(part).to_pylist(), 0
        else:
            objects, unparsable = read_json_records(part)
        records = Records(objects, unparsable, part, FORMAT)
        records.require(*_REQUIRED)
        intake = records.intake()
        intake.frame = event_columns(records.col, params_of(objects))
    else:
        frame, unparsable = lines_of_events(part)
        absent = [name for name in _REQUIRED if f'"{name}"'.encode() not in part.data]
        doubt = LoadError(f"'{part.name}' has no field {', '.join(map(repr, absent))}: is it {FORMAT}?")
        intake = Intake(part.name, FORMAT, frame, unparsable=unparsable, doubt=doubt if absent else None)
    if tz is not None:
        intake.note("tz= was not needed: GA4 times are UTC")
    return _identified(intake, tz="UTC", column="event_timestamp")


def _fivetran(path: Part, tz: str | None) -> Intake:
    raw = read_csv(path)
    require_columns(raw, ["name", "timestamp"], path, hint="is it Fivetran's ga4_export.event?")
    intake = Intake(path.name, "GA4 export by Fivetran (CSV)", raw)
    cells = Cells(raw)
    intake.frame = _flat_columns(cells)
    # A second column of a name is read as 'name.1'.
    twice = sum(str(name).rpartition(".")[0] in raw.columns for name in raw.columns)
    intake.note_count(twice, "{n} column names occur twice; the first column of a name was read")
    intraday = cells.col("is_intraday").str.lower() == "true"
    intake.note_count(int(intraday.sum()), "{n} rows are of the intraday table: not final")
    return _identified(intake, tz=tz, column="timestamp")


def _identified(intake: Intake, *, tz: str | None, column: str) -> Intake:
    """Give every event its time and its id; drop, with a reason, what has none."""
    intake.drop(intake.frame["event_name"].isna(), LoadDrop.UNPARSABLE)
    times = event_times(intake.frame["_time"], intake, tz=tz, column=column)
    intake.frame = intake.frame.assign(event_time=times)
    # GA4 has no event id; five fields together are one, unless the client id is unknown.
    frame = intake.frame
    unnamed = frame["visitor_id"].isna()
    intake.note_count(int(unnamed.sum()), "{n} events have no client id (consent denied): no visitor can be told")
    if unnamed.any():
        numbers = text_series(row_ids(intake.source, frame.index.to_numpy() + 1), frame.index)
        intake.frame = frame.assign(row_id=frame["row_id"].where(~unnamed, numbers))
    return intake


def _as_events(intake: Intake) -> Loaded:
    intake.drop(repeats(intake.frame["row_id"]), LoadDrop.DUPLICATE_ROW)
    frame = intake.frame
    frame = frame.assign(
        channel="pixel",
        value=money(frame["_value"], intake),
        currency=currency_codes(frame["_currency"], intake),
        origin="real",
    )
    _note_cut_urls(intake)
    frame = add_click_ids(frame, intake, urls=frame["page_url"])
    return intake.loaded(EVENTS, frame[[name for name in frame.columns if not name.startswith("_")]])


def _note_cut_urls(intake: Intake) -> None:
    cut = intake.frame["page_url"].str.len() >= _URL_CUT
    intake.note_count(int(cut.sum()), "{n} page URLs are cut at 1,000 characters")


def _flat_columns(cells: Cells) -> pd.DataFrame:
    import pandas as pd

    col = cells.col
    revenue = pick(col("ecommerce_purchase_revenue"), col("param_value"))
    # Fivetran writes 0 for every event without revenue; only a purchase's says something.
    in_usd = col("ecommerce_purchase_revenue_in_usd").where(revenue.isna() & (col("name") == "purchase"))
    return pd.DataFrame(
        {
            "row_id": joined([col(name) for name in _FLAT_EVENT_KEY]),
            "event_name": col("name"),
            "event_id": col("param_event_id"),
            "_time": col("timestamp"),
            "conversion_id": no_zero(pick(col("ecommerce_transaction_id"), col("param_transaction_id"))),
            "_value": pick(revenue, in_usd),
            "_currency": col("param_currency").mask(in_usd.notna(), "USD"),
            "visitor_id": col("user_pseudo_id"),
            "user_key": col("user_id"),
            "session_id": col("param_ga_session_id"),
            "page_url": col("param_page_location"),
            "referrer_url": col("param_page_referrer"),
            "gclid": pick(col("collected_traffic_source_gclid"), col("param_gclid")),
            "_dclid": col("collected_traffic_source_dclid"),
            "consent_ad_user_data": consent(col("privacy_info_ads_storage")),
            "browser": pick(col("device_web_info_browser"), col("device_browser")),
            "os": col("device_operating_system"),
            "device": col("device_category"),
            "country_name": col("geo_country"),
            "event_date": col("date"),
        }
    )
