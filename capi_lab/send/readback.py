"""Ask the platforms what became of what they accepted: accepted is not matched is not attributed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capi_lab.errors import CredentialError, InputError, NotSupportedError, SendError
from capi_lab.load.reports import answers
from capi_lab.platforms import platform as platform_named
from capi_lab.platforms.checks import utc
from capi_lab.platforms.route import Route
from capi_lab.platforms.rows import checked_settings
from capi_lab.platforms.sending import Reading
from capi_lab.platforms.wire import Reply
from capi_lab.send.auth import Login, Secrets
from capi_lab.send.client import Lost, ask, http_client
from capi_lab.send.outbox import Outbox
from capi_lab.send.parcels import micros
from capi_lab.send.target import account_name, target_of

if TYPE_CHECKING:
    import httpx
    import pandas as pd

__all__ = ["asked", "filled", "headers_of", "read_back"]


def read_back(
    platform: str,
    *,
    settings: Mapping[str, str],
    now: datetime,
    outbox: Outbox | str | Path | None = None,
    since: datetime | None = None,
    route: str | None = None,
    host: str | None = None,
    env: Mapping[str, str] | None = None,
    keyring: bool = False,
    transport: httpx.BaseTransport | None = None,
    clock: Callable[[], datetime] | None = None,
) -> pd.DataFrame:
    """Read what a platform says it received, accepted and matched; nothing is sent but the question.

    Parameters
    ----------
    platform : str
    settings : mapping
        Those of the route; Microsoft's ``goal_ids`` say which goals.
    now : datetime
        With a zone.
    outbox : Outbox, str or Path, optional
        Needed where the platform answers by request only (Google's Data Manager).
    since : datetime, optional
        From when on; default: seven days before ``now``. A platform that answers for a fixed time ignores it.
    route, host : str, optional
        As for `capi_lab.plan`.
    env : mapping, optional
        As for `capi_lab.send`.
    keyring : bool
        As for `capi_lab.send`.
    transport, clock : optional
        For tests.

    Returns
    -------
    DataFrame
        Contract ``reports``, for ``capi_lab.waterfall(rec, receipts=..., reports=...)``; no rows where nothing can be
        told yet. What the numbers mean and cannot mean: `capi_lab.load.platform_report`.

    Raises
    ------
    NotSupportedError
        The platform has no report we can read.
    InputError
        A setting or the outbox is needed and not given, or ``since`` is not before ``now``.
    CredentialError, SendError
        It refused to answer, or did not.
    """
    import pandas as pd

    wire = platform_named(platform).wire(route)
    facts, moment = wire.route, utc(now)
    reading = facts.reading
    if reading is None:
        raise NotSupportedError(f"{facts.title} has no report that can be read: its own pages show what was matched")
    chosen = checked_settings(facts, settings)
    for name in reading.asks:
        if name not in chosen:
            raise InputError(f"setting '{name}' is needed to read back: {facts.setting(name).meaning}")
    target = target_of(host)
    start = utc(since) if since is not None else moment - pd.Timedelta(days=7)
    if start >= moment:
        raise InputError("since= must lie before now=")
    secrets = Secrets({} if env is None and not target.live else env, keyring=keyring)
    found: list[dict[str, Any]] = []
    with http_client(target, facts.sending.timeout, transport, 1) as client:
        login = Login(facts, target, secrets, client, clock or (lambda: datetime.now(UTC)))
        place = (wire.spec.name, account_name(facts, chosen), target.live)
        for values, own in _questions(reading, chosen, outbox, place, start, moment):
            body = None if not reading.body else json.dumps(filled(reading.body, values)).encode()
            query = {name: str(filled(text, values)) for name, text in reading.query.items()}
            url = target.url(reading.url.format(**values))
            reply = asked(client, login, reading.method, url, query, body, headers_of(facts, chosen))
            # Of nothing there is no report: an empty list of results is of no format.
            if isinstance(reply.json, dict) and any(reply.json.values()):
                found.append({**reply.json, **own})
    if not found:
        return _nothing()
    frame: pd.DataFrame = answers(found, day=moment.date()).df
    return frame


def _questions(
    reading: Reading,
    chosen: Mapping[str, str],
    outbox: Outbox | str | Path | None,
    place: tuple[str, str, bool],
    start: pd.Timestamp,
    moment: pd.Timestamp,
) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Yield what is asked, and what of our own is kept beside the answer."""
    if reading.per_request:
        if outbox is None:
            raise InputError("outbox= is needed: this platform answers by request, and the outbox knows them")
        box = outbox if isinstance(outbox, Outbox) else Outbox(outbox)
        first, last = reading.first_after or timedelta(0), reading.until or timedelta(days=36_500)
        for trace, _, sent_at in box.accepted(box.account(place[0], place[1], live=place[2])):
            age = timedelta(microseconds=micros(moment) - sent_at)
            if first <= age <= last and sent_at >= micros(start):
                day = (moment - age).date().isoformat()
                yield {**chosen, "request_id": trace}, {"requestId": trace, "day": day}
        return
    step, at = reading.longest or (moment - start).to_pytimedelta(), start
    while at < moment:
        end = min(at + step, moment)
        yield {**chosen, "start": _iso(at), "end": _iso(end)}, {}
        at = end


def _iso(moment: pd.Timestamp) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def headers_of(route: Route, chosen: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that a route's requests carry settings in."""
    told = {name: chosen[setting] for name, setting in route.server.headers.items() if setting in chosen}
    return {"Content-Type": "application/json", "Accept": "application/json"} | told


def filled(template: Any, values: Mapping[str, str]) -> Any:
    """Put values into a template; a list of one placeholder becomes one item a value, at the commas."""
    if isinstance(template, str):
        return template.format(**values)
    if isinstance(template, Mapping):
        return {name: filled(one, values) for name, one in template.items()}
    if isinstance(template, list):
        return [
            piece
            for one in template
            for piece in (str(filled(one, values)).split(",") if isinstance(one, str) else [one])
        ]
    return template


def asked(
    client: httpx.Client,
    login: Login,
    method: str,
    url: str,
    query: Mapping[str, str],
    body: bytes | None,
    headers: Mapping[str, str],
) -> Reply:
    """Ask, with a new token if the old one is refused.

    Raises
    ------
    CredentialError, SendError
        No answer that says anything.
    """
    import httpx

    where = str(httpx.URL(url).copy_merge_params(query)) if query else url
    for _ in range(2):
        generation = login.ready()
        try:
            reply = ask(client, method, where, {**headers, **login.asking()}, body)
        except Lost:
            raise SendError("no answer: try again later") from None
        if reply.status != 401 or not login.renew(generation):
            break
    if reply.status in (401, 403):
        raise CredentialError(f"the credential was refused (http {reply.status}): check token and access")
    if not 200 <= reply.status < 300:
        raise SendError(f"no answer but http {reply.status}: check the settings, or try again later")
    return reply


def _nothing() -> pd.DataFrame:
    import pandas as pd

    from capi_lab.tables import REPORTS, checked

    kinds = {"text": "str", "time": "datetime64[us, UTC]", "number": "float64"}
    return checked(REPORTS, pd.DataFrame({one.name: pd.Series(dtype=kinds[one.kind]) for one in REPORTS.columns}))
