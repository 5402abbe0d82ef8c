"""Segment and RudderStack: calls as JSON lines, and the tables they write into a warehouse.

Format: the common fields of segment.com/docs/connections/spec/common and rudderstack.com/docs/event-spec; the
warehouse schema flattens them in snake case. Read 2026-11-23.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from capi_lab.errors import LoadError, UnknownNameError
from capi_lab.load.addresses import bots, client_addresses
from capi_lab.load.clicks import SAME_VISITORS_CLICK, add_click_ids, as_clicks
from capi_lab.load.files import Part, Paths
from capi_lab.load.gather import gather
from capi_lab.load.records import Cells, Records, read_any
from capi_lab.load.result import Intake, Loaded
from capi_lab.load.signatures import Signature
from capi_lab.load.values import currency_codes, event_times, money, pick, repeats
from capi_lab.tables import EVENTS, VISITS
from capi_lab.words import Channel, LoadDrop

if TYPE_CHECKING:
    import pandas as pd

    Field = Callable[..., pd.Series]

__all__ = ["segment_pages", "segment_tracks"]

SIGNATURES = {
    "segment_tracks": (
        Signature(
            fields=(
                ("messageid", "type=track"),
                ("messageid", "event"),
                ("id", "anonymous_id", "timestamp", "event"),
                ("id", "anonymous_id", "timestamp", "event_text"),
                ("id", "anonymous_id", "original_timestamp", "event"),
            )
        ),
    ),
    "segment_pages": (
        Signature(
            fields=(
                ("messageid", "type=page"),
                ("id", "anonymous_id", "timestamp", "url"),
                ("id", "anonymous_id", "original_timestamp", "url"),
            ),
            options={"kind": "visits"},
        ),
    ),
}

# The libraries that run on a server call themselves so in the user agent.
_SERVER_LIBRARY = re.compile(
    r"(?:analytics|rudder(?:stack)?)[-_ ]?(?:node|python|ruby|java|go|php|net|\.net|rust)\b", re.I
)
_FROM_BROWSER = frozenset({"web", "mobile", "browser", "client"})
_FROM_SERVER = frozenset({"server", "sources"})
_CLICK_PROPERTIES = ("gclid", "gbraid", "wbraid", "fbclid", "fbc", "fbp", "ttclid", "ttp", "msclkid", "li_fat_id")


def segment_tracks(
    path: Paths, *, tz: str | None = None, channel: str = "pixel", to: str | Path | None = None
) -> Loaded:
    """Read ``track`` calls as events.

    Parameters
    ----------
    path : str, Path or sequence
        JSON of calls (lines or a list), or the warehouse's ``tracks`` or one event's table as CSV, flat JSON or
        Parquet.
    tz : None
        Not needed: offsets are written, and the warehouse's naive times are UTC.
    channel : str
        ``pixel`` or ``capi``: for calls that do not say where they were made. Those that do (RudderStack's
        ``channel``, the library's name) keep what they say.
    to : str or Path, optional
        Write the rows to this Parquet file instead of holding them.

    Returns
    -------
    Loaded
        Contract ``events``. ``row_id`` is the message id; later rows of one are dropped (delivery is at least
        once). Time is ``timestamp``, which the service corrected for the client's clock; receipt ``received_at``.
        ``conversion_id`` is ``order_id``; ``value`` is ``total``, else ``revenue``, else ``value``. Click ids
        come from properties of their name, then from the page's URL or query. ``event_id`` is a property of
        that name; a destination that sends the message id instead sends ``row_id``.

    Raises
    ------
    LoadError
        The file cannot be read or holds no calls.
    UnknownNameError
        ``channel`` is neither.

    Notes
    -----
    Cannot be known: the person's address and agent on calls made by a server that did not pass them (the
    library's own are left missing and counted); click ids, unless the page's URL had them; consent.
    """
    if channel not in list(Channel):
        raise UnknownNameError("channel", channel, list(Channel))
    return gather(path, lambda part: _tracks(part, tz, channel), split="json", to=to)


def _tracks(path: Part, tz: str | None, channel: str) -> Loaded:
    import pandas as pd

    field, intake = _calls(path, tz, "tracks")
    name = pick(field("event_text"), field("event"))
    if len(name) and (name.isna() & intake.frame["_type"].isna()).all():
        raise LoadError(f"'{path.name}' has no event name: page calls are read by segment_pages")
    total, revenue, plain = (field(f"properties.{one}") for one in ("total", "revenue", "value"))
    library = pick(field("context.library.name"), field("context.userAgent"))
    said = field("channel").str.lower()
    by_server = said.isin(_FROM_SERVER) | (said.isna() & library.str.contains(_SERVER_LIBRARY))
    by_browser = said.isin(_FROM_BROWSER) | (said.isna() & library.str.fullmatch(r"analytics\.js"))
    where = pd.Series(channel, index=name.index, dtype="str")
    where = where.mask(by_server, str(Channel.CAPI)).mask(by_browser, str(Channel.PIXEL))
    intake.frame = intake.frame.assign(
        channel=where,
        event_name=name,
        event_id=field("properties.event_id"),
        conversion_id=field("properties.order_id"),
        _value=pick(total, revenue, plain),
        currency=field("properties.currency"),
        email=pick(field("properties.email"), field("context.traits.email")),
        phone=pick(field("properties.phone"), field("context.traits.phone")),
        **{one: field(f"properties.{one}") for one in _CLICK_PROPERTIES},
    )
    _keep_calls(intake, "track")
    intake.drop(intake.frame["event_name"].isna(), LoadDrop.UNPARSABLE)
    unsaid = ~(by_server | by_browser)[intake.frame.index]
    intake.note_count(int(unsaid.sum()), "{n} calls do not say where they were made: taken for " + channel)
    net = (total.isna() & revenue.notna())[intake.frame.index]
    intake.note_count(int(net.sum()), "{n} calls have no total; value is their revenue, without shipping and tax")
    frame = intake.frame.assign(
        value=money(intake.frame["_value"], intake),
        currency=currency_codes(intake.frame["currency"], intake),
        origin="real",
    ).rename(columns={"row": "row_id", "time": "event_time"})
    frame = add_click_ids(frame, intake, urls=frame["_searched"])
    empty = [one for one in _CLICK_PROPERTIES if frame[one].isna().all()]
    keep = [one for one in frame.columns if not one.startswith("_") and one not in empty]
    return intake.loaded(EVENTS, frame[keep])


def segment_pages(path: Paths, *, tz: str | None = None, kind: str = "visits", to: str | Path | None = None) -> Loaded:
    """Read ``page`` calls as visits or clicks.

    Parameters
    ----------
    path : str, Path or sequence
        JSON of calls (lines or a list), or the warehouse's ``pages`` table as CSV, flat JSON or Parquet.
    tz : None
        Not needed: offsets are written, and the warehouse's naive times are UTC.
    kind : str
        ``"visits"``: one row per page view. ``"clicks"``: one row per click id that arrived; the same id of the
        same anonymous id again is the same click.
    to : str or Path, optional
        Write the rows to this Parquet file instead of holding them.

    Returns
    -------
    Loaded
        Contract ``visits`` or ``clicks``. Later rows of a message id are dropped, and so are bots (ua-parser's
        device family and the usual words). Click ids are read in ``url`` and ``search``.

    Raises
    ------
    LoadError
        The file cannot be read or holds no calls.
    UnknownNameError
        ``kind`` is neither.

    Notes
    -----
    Cannot be known: visits on which the script did not run (blocked, no consent, page left); ids of landing
    pages whose query the site removed before the call.
    """
    if kind not in ("visits", "clicks"):
        raise UnknownNameError("kind of page table", kind, ["visits", "clicks"])
    also = (SAME_VISITORS_CLICK,) if kind == "clicks" else ()
    return gather(path, lambda part: _pages(part, tz, kind), split="json", to=to, also=also)


def _pages(path: Part, tz: str | None, kind: str) -> Loaded:
    field, intake = _calls(path, tz, "pages")
    url = pick(field("properties.url"), field("context.page.url"))
    search = pick(field("properties.search"), field("context.page.search"))
    intake.frame = intake.frame.assign(
        page_url=_with_query(url, search),
        referrer_url=pick(field("properties.referrer"), field("context.page.referrer")),
    )
    _keep_calls(intake, "page")
    intake.drop(bots(intake.frame["user_agent"]), LoadDrop.BOT)
    if kind == "clicks":
        intake.frame = intake.frame.rename(columns={"page_url": "landing_url"})
        return as_clicks(intake, same=["visitor_id"])
    frame = intake.frame.rename(columns={"row": "visit_row_id", "time": "visit_time"}).assign(origin="real")
    frame = add_click_ids(frame, intake, urls=frame["page_url"])
    keep = [one for one in frame.columns if not one.startswith("_") and one != "received_time"]
    return intake.loaded(VISITS, frame[keep])


def _calls(path: Part, tz: str | None, table: str) -> tuple[Field, Intake]:
    """Open a file of either shape; a field is asked for by its path in the JSON call."""
    format_ = f"Segment {table}"
    source = read_any(path, format_, under=("batch",))
    if isinstance(source, Records):
        nested = any("messageId" in one or isinstance(one.get("context"), dict) for one in source.objects)
        intake = source.intake()
        cells = None if nested else Cells(source.flat())
    else:
        cells, intake = source
    field: Field = _nested(source) if cells is None and isinstance(source, Records) else _flattened(cells)
    ids, times = field("messageId"), pick(field("timestamp"), field("originalTimestamp"))
    lacking = len(ids) > 0 and (ids.isna().all() or times.isna().all())
    if lacking or (
        cells is not None and (cells.lacks("id", "message_id") or cells.lacks("timestamp", "original_timestamp"))
    ):
        raise LoadError(
            f"'{path.name}' has no message id or no timestamp: is it {format_} (calls as JSON, or a table)?"
        )
    if tz is not None:
        intake.note("tz= was not needed: the warehouse's naive times are UTC")
    url = field("context.page.url")
    agent = field("context.userAgent")
    library = agent.str.contains(_SERVER_LIBRARY)
    intake.note_count(int(library.sum()), "{n} calls carry a server library's agent and address; both left missing")
    intake.frame = intake.frame[[]].assign(
        row=ids,
        _type=field("type").str.lower(),
        _time=times,
        _received=field("receivedAt"),
        user_key=field("userId"),
        visitor_id=field("anonymousId"),
        client_ip=client_addresses(pick(field("context.ip"), field("request_ip")).mask(library), intake),
        user_agent=agent.mask(library),
        page_url=url,
        referrer_url=field("context.page.referrer"),
        _searched=_with_query(url, field("context.page.search")),
    )
    return field, intake


def _keep_calls(intake: Intake, type_: str) -> None:
    """Keep the calls of one type, once each, with their times."""
    other = intake.frame["_type"].notna() & (intake.frame["_type"] != type_)
    intake.drop(other, LoadDrop.OTHER_RECORD)
    intake.drop(intake.frame["row"].isna(), LoadDrop.NO_ID)
    intake.drop(repeats(intake.frame["row"]), LoadDrop.DUPLICATE_ID)
    times = event_times(intake.frame["_time"], intake, tz="UTC", column="timestamp")
    received = event_times(intake.frame["_received"], intake, tz="UTC", column="received_at", drop=False)
    intake.frame = intake.frame.assign(time=times, received_time=received)


def _nested(records: Records) -> Field:
    return lambda path: records.col(*path.split("."))


def _flattened(cells: Cells | None) -> Field:
    """Ask a warehouse table: ``context.userAgent`` is its ``context_user_agent``, a property is a column."""
    assert cells is not None  # noqa: S101 - one of the two shapes is there

    def field(path: str) -> pd.Series:
        if path == "messageId":
            return cells.col("id", "message_id")
        name = path.removeprefix("properties.").replace(".", "_")
        return cells.col(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())

    return field


def _with_query(url: pd.Series, search: pd.Series) -> pd.Series:
    """Put the query behind a URL that was written without it."""
    query = "?" + search.str.removeprefix("?")
    bare = query.notna() & ~url.str.contains("?", regex=False)
    return url.where(~bare, url.fillna("") + query)
