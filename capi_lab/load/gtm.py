"""Logs of a server-side Google Tag Manager container.

Format: request logs of the hosting (Cloud Logging's ``LogEntry`` with ``httpRequest``) that hold GA4 hits
(``/g/collect``), and tags' console lines by Stape's convention GTMS-3 (one JSON object a line with ``Type``, ``Name``,
``TraceId``). Read 2026-11-23.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from capi_lab.errors import LoadError
from capi_lab.load.addresses import client_addresses
from capi_lab.load.clicks import add_click_ids
from capi_lab.load.files import Part, Paths, read_json_records
from capi_lab.load.gather import gather
from capi_lab.load.har import parameters
from capi_lab.load.records import Records
from capi_lab.load.result import Intake, Loaded
from capi_lab.load.signatures import Signature
from capi_lab.load.values import blank_to_missing, currency_codes, event_times, money, pick, repeats, text_column
from capi_lab.platforms import PLATFORMS
from capi_lab.platforms.pixel import PixelField
from capi_lab.tables import EVENTS
from capi_lab.words import Channel, LoadDrop

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["gtm_server_log"]

SIGNATURES = {
    "gtm_server_log": (
        Signature(
            fields=(
                ("httprequest.requesturl",),
                ("type", "name", "traceid"),
                ("jsonpayload.traceid",),
                ("textpayload", "insertid"),
                ("textpayload", "timestamp"),
            )
        ),
    ),
}

_FORMAT = "server-side GTM log"
_HIT = re.compile(r"/g/collect(?:\?|$)")
# A hit is what the pixel sends, whoever receives it.
_HIT_FIELDS = {
    **{
        name: PLATFORMS["google"].spec.pixel.fields[name]
        for name in (
            "event_name", "event_id", "conversion_id", "value", "currency", "user_key", "visitor_id", "page_url",
            "referrer_url", "consent_ad_user_data",
        )
    },
    "session_id": PixelField(("sid",)),
}  # fmt: skip
_NETWORKS = {
    "graph.facebook.com": "meta",
    "datamanager.googleapis.com": "google",
    "googleads.googleapis.com": "google",
    "business-api.tiktok.com": "tiktok",
    "api.linkedin.com": "linkedin",
    "capi.uet.microsoft.com": "microsoft",
}


def gtm_server_log(path: Paths, *, tz: str | None = None, to: str | Path | None = None) -> Loaded:
    """Read what reached a server container, and what its tags sent on, as events.

    Parameters
    ----------
    path : str, Path or sequence
        JSON lines or an array of log entries: with ``httpRequest`` (incoming requests), or tags' messages in
        ``jsonPayload``, ``textPayload`` or the entry itself.
    tz : str, optional
        Only for times without an offset; Cloud Logging writes UTC.
    to : str or Path, optional
        Write the rows to this Parquet file instead of holding them.

    Returns
    -------
    Loaded
        Contract ``events``. A GA4 hit that came in is ``pixel``: the browser's report as the container received
        it. A request a tag sent is ``capi``, with ``platform`` where its host is a network's and ``http_status``
        from the response of the same ``TraceId`` and ``Name`` (responses are ``continuation_line``). Event id,
        order id, value and currency of a sent request are read from its JSON body, where it holds one event.

    Raises
    ------
    LoadError
        The file cannot be read or no entry is of these kinds.
    NaiveTimeError
        Times carry no offset and ``tz`` is not given.

    Notes
    -----
    Cannot be known: events whose request never reached the container; events in a POST body (not logged; such
    requests are ``other_record``); answers of tags that do not log, among them Google's own; what a network did with
    what it answered 200 to.
    """
    # Never cut inside a file: a request and its response may lie far apart.
    return gather(path, lambda part: _log(part, tz), to=to, repeated=LoadDrop.DUPLICATE_ROW)


def _log(path: Part, tz: str | None) -> Loaded:
    import pandas as pd

    objects, unparsable = read_json_records(path, under=("entries",))
    records = Records(objects, unparsable, path, _FORMAT)
    intake, col = records.intake(), records.col
    url = col("httpRequest", "requestUrl")
    messages = Records([_message(one) for one in objects], 0, path, _FORMAT)
    type_ = messages.col("Type").str.lower()
    if objects and url.isna().all() and type_.isna().all():
        raise LoadError(f"'{path.name}' has neither httpRequest nor a tag's Type: is it a {_FORMAT}?")
    lines = text_column((f"{path.name}:{n}" for n in range(path.first, path.first + len(objects))), url.index)
    collected = url.str.contains(_HIT)
    hits = _hits(url.where(collected))
    hit = collected & hits["event_name"].notna()
    sent = type_ == "request"
    bodies = _bodies(messages.col("RequestBody").where(sent))
    nobody = pd.Series(None, index=url.index, dtype="str")
    intake.frame = pd.DataFrame(
        {
            "row_id": pick(col("insertId"), lines),
            "channel": nobody.mask(hit, str(Channel.PIXEL)).mask(sent, str(Channel.CAPI)),
            "platform": _host(messages.col("RequestUrl")).map(_NETWORKS).astype("str").where(sent),
            "event_name": pick(hits["event_name"], messages.col("EventName").where(sent), bodies["event_name"]),
            "event_id": pick(hits["event_id"], bodies["event_id"]),
            "conversion_id": pick(hits["conversion_id"], bodies["conversion_id"]),
            "currency": pick(hits["currency"], bodies["currency"]),
            "user_key": hits["user_key"],
            "visitor_id": hits["visitor_id"],
            "page_url": hits["page_url"],
            "referrer_url": hits["referrer_url"],
            "consent_ad_user_data": hits["consent_ad_user_data"],
            "client_ip": client_addresses(col("httpRequest", "remoteIp").where(hit), intake),
            "user_agent": col("httpRequest", "userAgent").where(hit),
            "tag": messages.col("Name").where(sent),
            "http_status": pick(col("httpRequest", "status"), _answers(messages, type_)),
            "session_id": hits["session_id"],
            "_time": pick(col("timestamp"), messages.col("timestamp"), col("receiveTimestamp")),
            "_value": pick(hits["value"], bodies["value"]),
            "origin": "real",
        }
    )
    _keep_events(intake, hit=hit, sent=sent, type_=type_, collected=collected)
    times = event_times(intake.frame["_time"], intake, tz=tz, column="timestamp")
    frame = intake.frame.assign(
        event_time=times,
        received_time=times.where(intake.frame["channel"] == Channel.PIXEL),
        value=money(intake.frame["_value"], intake),
        currency=currency_codes(intake.frame["currency"], intake),
    )
    frame = add_click_ids(frame, intake, urls=frame["page_url"])
    intake.note("a hit's time is when the container received it")
    return intake.loaded(EVENTS, frame[[name for name in frame.columns if not name.startswith("_")]])


def _keep_events(intake: Intake, *, hit: pd.Series, sent: pd.Series, type_: pd.Series, collected: pd.Series) -> None:
    """Drop, each with its reason, what is neither a hit that came in nor a request that was sent."""
    intake.drop(type_ == "response", LoadDrop.CONTINUATION_LINE)
    in_body = (collected & ~hit)[intake.frame.index]
    intake.note_count(int(in_body.sum()), "{n} hits have their events in a body, which is not logged: not counted here")
    intake.drop(~(hit | sent)[intake.frame.index], LoadDrop.OTHER_RECORD)
    refused = intake.frame["http_status"].str.fullmatch("[45]..") & (intake.frame["channel"] == Channel.PIXEL)
    intake.drop(refused, LoadDrop.HTTP_STATUS)
    intake.drop(repeats(intake.frame["row_id"]), LoadDrop.DUPLICATE_ROW)
    intake.drop(intake.frame["event_name"].isna(), LoadDrop.UNPARSABLE)


def _message(entry: dict[str, Any]) -> dict[str, Any]:
    """Find a tag's message in a log entry: in its payload, as JSON text, or the entry itself."""
    payload = entry.get("jsonPayload")
    if isinstance(payload, dict):
        if "Type" in payload or not isinstance(payload.get("message"), str):
            return payload
        return _parsed(payload["message"])
    text = entry.get("textPayload")
    return _parsed(text) if isinstance(text, str) else entry


def _parsed(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _hits(urls: pd.Series) -> pd.DataFrame:
    """Read the parameters of GA4 hits; percent-encoding is undone once, a plus stays a plus."""
    import pandas as pd

    found = [parameters(url.partition("?")[2]) if isinstance(url, str) else {} for url in urls]
    columns = {
        ours: blank_to_missing(text_column([one.read(sent) for sent in found], urls.index))
        for ours, one in _HIT_FIELDS.items()
    }
    return pd.DataFrame(columns, index=urls.index)


def _bodies(texts: pd.Series) -> pd.DataFrame:
    """Read the named values of sent bodies; a body with several of a name has several events and tells none."""
    import pandas as pd

    names = {
        "event_name": ("event_name", "event"),
        "event_id": ("event_id",),
        "conversion_id": ("order_id", "transaction_id"),
        "value": ("value",),
        "currency": ("currency",),
    }
    known = {name for theirs in names.values() for name in theirs}
    rows = []
    for text in texts:
        values: dict[str, set[str]] = {}
        if isinstance(text, str):
            _collect(_parsed(text), known, values)
        alone = {name: next(iter(found)) for name, found in values.items() if len(found) == 1}
        rows.append([next((alone[t] for t in theirs if t in alone), None) for theirs in names.values()])
    columns = {name: text_column([row[at] for row in rows], texts.index) for at, name in enumerate(names)}
    return pd.DataFrame(columns, index=texts.index)


def _collect(value: Any, names: set[str], found: dict[str, set[str]]) -> None:
    for one in value if isinstance(value, list) else []:
        _collect(one, names, found)
    for name, inner in value.items() if isinstance(value, dict) else ():
        if isinstance(inner, dict | list):
            _collect(inner, names, found)
        elif name in names and inner is not None:
            found.setdefault(name, set()).add(str(inner))


def _answers(messages: Records, type_: pd.Series) -> pd.Series:
    """Return each request's status from the response of the same trace and tag."""
    pair = messages.col("TraceId").fillna("") + "/" + messages.col("Name").fillna("")
    status = messages.col("ResponseStatusCode")
    answered = status[(type_ == "response") & status.notna()]
    first = answered.groupby(pair[answered.index]).first()
    return pair.map(first).astype("str").where(type_ == "request")


def _host(urls: pd.Series) -> pd.Series:
    def host(url: str) -> str | None:
        try:
            return urlsplit(url).hostname
        except ValueError:
            return None

    return text_column([host(url) if isinstance(url, str) else None for url in urls], urls.index)
