"""Events out of the requests that ad pixels sent: a HAR file, or a list of URLs.

Which requests are whose, and where they carry what, is each platform's own rule (`PlatformSpec.pixel`), with its
sources in docs/platforms.md.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from capi_lab.errors import UnknownNameError
from capi_lab.load.clicks import add_click_ids, ids_from_pairs
from capi_lab.load.files import Part, Paths
from capi_lab.load.gather import gather
from capi_lab.load.har import Request, bodies, decoded, flattened, parameters, read_requests
from capi_lab.load.result import Intake, Loaded
from capi_lab.load.signatures import Signature
from capi_lab.load.values import blank_to_missing, currency_codes, event_times, money, text_column
from capi_lab.platforms import PLATFORMS
from capi_lab.platforms.pixel import Carries, PixelEndpoint, PixelRule
from capi_lab.tables import CLICK_ID_COLUMNS, EVENTS
from capi_lab.words import Channel, Delivery, LoadDrop

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["pixel_har"]

SIGNATURES = {
    "pixel_har": (Signature(fields=(("log.entries",), ("starteddatetime", "request.url")), line=r'[^"]*https?://\S+$'),)
}

_ANSWER_LACKS = "a list of URLs tells neither bodies nor answers: events in a POST are not in it"
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")


def pixel_har(
    path: Paths,
    *,
    tz: str | None = None,
    hosts: Mapping[str, str] | None = None,
    blocked: bool = False,
    to: str | Path | None = None,
) -> Loaded:
    """Read the pixel requests of Meta, Google, TikTok, Microsoft (UET) and LinkedIn as events.

    Parameters
    ----------
    path : str, Path or sequence
        HAR files (a browser's network panel, a proxy, Playwright), or lists of URLs, one a line, each with a time
        before it or without; also patterns; plain, gzip or zstd.
    tz : str, optional
        Zone of times before URLs that carry none. HAR and the pixels' own times carry theirs.
    hosts : mapping, optional
        The site's own hosts that pass a pixel's requests on, to the platform: ``{"metrics.shop.example": "google"}``.
        Without it requests through them are ``not_a_pixel``.
    blocked : bool
        Keep requests the browser never sent, with ``delivery`` ``blocked``, to study what a blocker takes. Else they
        are dropped as ``blocked_request`` and counted by platform: the platform has not seen them.
    to : str or Path, optional
        Write the rows to this Parquet file instead of holding them.

    Returns
    -------
    Loaded
        Contract ``events``, ``channel`` ``pixel``; names as sent, so page views too. ``event_time`` is the browser's
        own time where the request carries it (Meta, TikTok, LinkedIn), else when it started; ``received_time`` is when
        it started, which it reached the platform milliseconds after. Value in major units. A request with several
        events is several rows. Extra columns: ``pixel_id`` (pixel, tag or measurement id), ``conversion_action``
        (Google Ads: label; LinkedIn: conversion id), ``delivery`` and ``http_status``, both missing for URL lists.

        Other requests are ``not_a_pixel``; those of a pixel that report nothing ``other_record``; copies of one event
        for other servers ``copied_request``; answered with an error ``http_status``.

    Raises
    ------
    LoadError
        A file cannot be read, or is neither HAR nor a list of URLs.
    NaiveTimeError
        Times carry no zone and ``tz`` is not given.
    UnknownNameError
        ``hosts`` names a platform that does not exist.

    Notes
    -----
    Of Google, rows with a ``conversion_action`` are conversions of Google Ads; the others are its measurement requests
    and Analytics hits, told apart by ``pixel_id``. Google and Microsoft send no time: without one before the URL such
    rows of a list are ``no_time``. LinkedIn sends no names: ``conversion`` and ``page_view`` are ours.

    Pixels are documented poorly: most parameter names were only seen in captured requests, some are assumed (event ids
    of Microsoft and LinkedIn). `capi-lab platforms` says which. Cannot be known: whether the platform accepted or used
    an event; whether an unanswered request arrived; cookies of the site; what Google's ``em`` and LinkedIn's ``/wa/``
    hold, which are packed and not read. A HAR file is one person's session, no sample of a shop's visitors.
    """
    own = {host.lower().rstrip("."): name for host, name in (hosts or {}).items()}
    for name in own.values():
        if name not in PLATFORMS:
            raise UnknownNameError("platform", name, PLATFORMS)
    read = partial(_events, tz=tz, own=own, keep_blocked=blocked)
    return gather(path, read, split="text", to=to, repeated=LoadDrop.DUPLICATE_ROW)


def _events(part: Part, *, tz: str | None, own: dict[str, str], keep_blocked: bool) -> Loaded:
    import pandas as pd

    requests, unparsable, format_ = read_requests(part)
    reasons: list[LoadDrop | None] = []
    rows: list[dict[str, str | None]] = []
    blocked, copied, reported = Counter[str](), Counter[tuple[str, str | None]](), set[tuple[str, str | None]]()
    for request in requests:
        platform, reason, events = _judged(request, own)
        pixels = {(platform, event["pixel_id"]) for event in events}
        if reason is None:
            reported |= pixels
        else:
            copied.update(pixels)
        if reason is None and request.delivery is Delivery.BLOCKED:
            blocked[platform] += 1
            reason = None if keep_blocked else LoadDrop.BLOCKED_REQUEST
        reasons.append(reason)
        if reason is None:
            rows += _rows(request, events, platform)
    intake = Intake(part.name, format_, pd.DataFrame(index=pd.RangeIndex(len(requests))), unparsable=unparsable)
    intake.drop_each(reasons)
    for platform, n in sorted(blocked.items()):
        intake.note_count(n, "{n} requests to " + platform + " were blocked in the browser and never sent")
    expanded = len(rows) - len(intake.frame)
    intake.frame = pd.DataFrame(
        {name: text_column([row.get(name) for row in rows]) for name in _columns()}, index=pd.RangeIndex(len(rows))
    )
    frame = _typed(intake, tz)
    unanswered = int((frame["delivery"] == Delivery.UNANSWERED).sum())
    intake.note_count(unanswered, "{n} events have no answer in the log: they may have arrived or not")
    if format_ == "HAR":
        alone = sum(n for pixel, n in copied.items() if pixel not in reported)
        intake.note_count(alone, "{n} copied requests are of pixels of which the log has no original: is it whole?")
    else:
        intake.note(_ANSWER_LACKS)
    return intake.loaded(EVENTS, frame, expanded=expanded)


@cache
def _columns() -> tuple[str, ...]:
    """Name every column a pixel can fill, those of the request first."""
    read = [name for platform in PLATFORMS.values() for name in platform.spec.pixel.fields]
    request = ("row_id", "platform", "delivery", "http_status", "user_agent", "_started")
    return tuple(dict.fromkeys([*request, *read, "pixel_id", "conversion_action"]))


# -- what a request is -------------------------------------------------------------------------------------


def _judged(request: Request, own: dict[str, str]) -> tuple[str, LoadDrop | None, list[dict[str, str | None]]]:
    """Say whose a request is, why it is no row, and which events it carries; of a copy, the one it repeats."""
    target = _target(request.url, own)
    if target is None:
        return "", LoadDrop.NOT_A_PIXEL, []
    platform, endpoint, account, query = target
    rule = PLATFORMS[platform].spec.pixel
    if endpoint.carries is Carries.NONE or request.method in ("OPTIONS", "HEAD"):
        return platform, LoadDrop.OTHER_RECORD, []
    if endpoint.carries is Carries.COPY:
        return platform, LoadDrop.COPIED_REQUEST, [_event(rule, account, parameters(query))]
    onward = _target(request.redirect, own) if request.redirect else None
    if onward is not None and onward[0] == platform and onward[1].carries is Carries.EVENT:
        return platform, LoadDrop.COPIED_REQUEST, []  # the entry it was sent on to is the report
    if request.status >= 400:
        return platform, LoadDrop.HTTP_STATUS, []
    sent = bodies(request, batched=endpoint.batched)
    if sent is None:
        return platform, LoadDrop.UNPARSABLE, []
    events = [_event(rule, account, {**parameters(query), **body}) for body in sent]
    named = [event for event in events if event["event_name"] not in rule.no_events]
    if not named:
        return platform, LoadDrop.OTHER_RECORD, []
    return platform, None, named


def _target(url: str, own: dict[str, str]) -> tuple[str, PixelEndpoint, str | None, str] | None:
    """Find the endpoint a URL asks, the pixel its path names, and its query."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return None
    if not _HOST.fullmatch(host):
        return None
    for platform, endpoint, path in _endpoints(host, own.get(host)):
        shape = path.fullmatch(parts.path)
        if shape is not None:
            found = next((group for group in shape.groups() if group), None)
            return platform, endpoint, endpoint.account.format(found) if found else None, parts.query
    return None


@lru_cache(maxsize=4096)
def _endpoints(host: str, passes_on: str | None) -> list[tuple[str, PixelEndpoint, re.Pattern[str]]]:
    """List the endpoints of a host; what a site's own host passes on may stand under a folder of its own."""
    if passes_on is not None:
        endpoints = PLATFORMS[passes_on].spec.pixel.endpoints
        return [(passes_on, one, re.compile(f"(?:/.*)?(?:{one.path})")) for one in endpoints]
    return [
        (name, one, re.compile(one.path))
        for name, platform in PLATFORMS.items()
        for one in platform.spec.pixel.endpoints
        if re.fullmatch(one.host, host)
    ]


def _unpacked(rule: PixelRule, sent: dict[str, str]) -> dict[str, str]:
    """Open the parameters that hold others."""
    for name in rule.nested:
        if name in sent:
            sent |= {f"{name}.{inner}": value for inner, value in parameters(sent[name]).items()}
    for name in rule.packed:
        if name in sent:
            try:
                inner = json.loads(decoded(sent[name]) or "")
            except (ValueError, RecursionError):
                continue
            sent |= flattened(inner) if isinstance(inner, dict) else {}
    return sent


def _event(rule: PixelRule, account: str | None, sent: dict[str, str]) -> dict[str, str | None]:
    """Read our columns out of what a request sent."""
    sent = _unpacked(rule, sent)
    found = {column: one.read(sent) for column, one in rule.fields.items()}
    if account is not None:
        found["pixel_id"] = account
    if found.get("event_name") is None:
        found["event_name"] = next(
            (name for parameter, name in rule.unnamed if not parameter or parameter in sent), None
        )
    return found


def _rows(request: Request, events: list[dict[str, str | None]], platform: str) -> list[dict[str, str | None]]:
    shared = {
        "platform": platform,
        "delivery": str(request.delivery) if request.delivery else None,
        "http_status": str(request.status) if request.status else None,
        "user_agent": request.user_agent,
        "_started": request.started,
    }
    several = len(events) > 1
    ids = [f"{request.id}/{n}" if several else request.id for n in range(1, len(events) + 1)]
    return [{**shared, **event, "row_id": id_} for event, id_ in zip(events, ids, strict=True)]


# -- the table ---------------------------------------------------------------------------------------------


def _typed(intake: Intake, tz: str | None) -> pd.DataFrame:
    """Convert and check the columns; drop what has no name or no time."""
    import pandas as pd

    raw = intake.frame = intake.frame.apply(blank_to_missing) if len(intake.frame) else intake.frame
    nameless = raw["event_name"].isna()
    intake.note_count(int(nameless.sum()), "{n} pixel requests name no event: it stood in a body the log lacks")
    intake.drop(nameless, LoadDrop.UNPARSABLE)
    frame = intake.frame
    started = event_times(frame["_started"], intake, tz=tz, column="startedDateTime", drop=False)
    own = event_times(frame["event_time"], intake, tz=tz, column="the browser's time", drop=False)
    odd = frame["event_time"].notna() & own.isna()
    intake.note_count(int(odd.sum()), "{n} events have a time of their own that is none; their request's was taken")
    intake.frame = frame.assign(
        event_time=own.fillna(started),
        received_time=started.where(frame["delivery"] != Delivery.BLOCKED),
    )
    intake.drop(intake.frame["event_time"].isna(), LoadDrop.NO_TIME)
    frame = intake.frame
    frame = frame.assign(
        channel=pd.Series(str(Channel.PIXEL), index=frame.index, dtype="str"),
        value=money(frame["value"], intake),
        currency=currency_codes(frame["currency"], intake),
        origin=pd.Series("real", index=frame.index, dtype="str"),
    )
    # The grammar of each id decides what is kept, as for cookies.
    ids = [name for name in CLICK_ID_COLUMNS if name in frame]
    values = frame[ids].itertuples(index=False, name=None)
    pairs = {row: list(zip(ids, found, strict=True)) for row, found in zip(frame.index, values, strict=True)}
    frame = frame.drop(columns=ids)
    frame = add_click_ids(frame, intake, urls=frame["page_url"], found=ids_from_pairs(pairs, intake))
    always = {*EVENTS.required, "platform", "pixel_id", "conversion_action", "delivery", "http_status"}
    keep = [name for name in frame.columns if name in always or frame[name].notna().any()]
    return frame[[name for name in keep if not name.startswith("_")]]
