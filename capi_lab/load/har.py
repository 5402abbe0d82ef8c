"""Requests out of a browser's log: HAR, or a plain list of URLs.

Format: HAR 1.2, softwareishard.com/blog/har-12-spec (2012); names that begin with ``_`` are a browser's own and were
read in Chromium's and Playwright's code, 2026-11-26.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_string
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from capi_lab.errors import LoadError
from capi_lab.load.files import Part, looks_like_json, read_json_records
from capi_lab.load.lines import numbered_lines
from capi_lab.load.records import listed
from capi_lab.words import Delivery

__all__ = ["Request", "bodies", "decoded", "flattened", "parameters", "read_requests"]

_LINE = re.compile(r'^(?P<before>.*?)(?P<url>https?://[^\s"]+)"?\s*$', re.IGNORECASE)
# What Chromium's network stack and developer tools call a request that never left. Not ERR_BLOCKED_BY_ORB or
# _BY_RESPONSE: those hide an answer that came.
_NEVER_SENT = re.compile(
    r"ERR_BLOCKED_BY_(?:CLIENT|ADMINISTRATOR|CSP|PRIVATE_NETWORK_ACCESS_CHECKS|LOCAL_NETWORK_ACCESS_CHECKS)"
    r"|ERR_(?:NAME_NOT_RESOLVED|NAME_RESOLUTION_FAILED|INTERNET_DISCONNECTED|CONNECTION_REFUSED|ADDRESS_UNREACHABLE)"
    r"|ERR_(?:ADDRESS_INVALID|PROXY_CONNECTION_FAILED|CERT_\w+|SSL_\w+)"
    r"|NS_ERROR_(?:UNKNOWN_HOST|CONNECTION_REFUSED|OFFLINE|PROXY_\w+)"
    r"|\b(?:csp|inspector|mixed-content|content-blocked|subresource-filter)\b",
    re.IGNORECASE,
)
_URL_SAFE = str.maketrans("-_", "+/")
_ERRORS = ("_error", "_failureText", "_blockedReason", "_blocked_reason", "_errorText")


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the log has it; missing where the log does not tell.

    Parameters
    ----------
    id : str
        Of a HAR entry: when it started and a digest of what was sent, so that one entry in two exports of a session has
        one id. Of a line: its file and number.
    url, method : str
    body, media_type : str
    started : str or None
        When, as written.
    status : int
        0 for none.
    delivery : Delivery or None
    redirect : str
        Where an answer sent it on to.
    user_agent : str or None
    """

    id: str
    url: str
    method: str = "GET"
    body: str = ""
    media_type: str = ""
    started: str | None = None
    status: int = 0
    delivery: Delivery | None = None
    redirect: str = ""
    user_agent: str | None = None


def read_requests(part: Part) -> tuple[list[Request], int, str]:
    """Read a HAR file, or lines of URLs, each with a time before it or without.

    Returns
    -------
    requests : list of Request
    unparsable : int
        Entries or lines that are no request.
    format : str

    Raises
    ------
    LoadError
        The file is neither.
    """
    if looks_like_json(part):
        return *_entries(part), "HAR"
    lines, numbers = numbered_lines(part)
    found = [(number, _LINE.match(line)) for number, line in zip(numbers.tolist(), lines.to_pylist(), strict=True)]
    requests = [
        Request(f"{part.name}:{number}", shape["url"], started=shape["before"].strip(" \t,;|\"'") or None)
        for number, shape in found
        if shape is not None
    ]
    if not requests:
        raise LoadError(
            f"'{part.name}' is neither a HAR file nor a list of URLs, one a line: save it from the network panel as HAR"
        )
    return requests, len(found) - len(requests), "list of URLs"


def _entries(part: Part) -> tuple[list[Request], int]:
    # What servers answered is most of a HAR file, and of no use here.
    logs, unparsable = read_json_records(part, under=("log",), without="content")
    if not any(isinstance(log.get("entries"), list) or "request" in log for log in logs):
        raise LoadError(f"'{part.name}' has no log.entries: is it a HAR file?")
    entries: list[Any] = []
    for log in logs:
        entries += listed(log["entries"]) if "entries" in log else [log]
    times = Counter[str]()
    requests = [one for entry in entries if (one := _request(entry, times)) is not None]
    return requests, len(entries) - len(requests) + unparsable


def _request(entry: Any, times: Counter[str]) -> Request | None:
    request, response = (_part_of(entry, name) for name in ("request", "response"))
    url, method = request.get("url"), request.get("method")
    if not isinstance(url, str) or not url.strip():
        return None
    status = response.get("status")
    status = status if isinstance(status, int) and status > 0 else 0
    reasons = " ".join(str(where[name]) for where in (entry, response) for name in _ERRORS if where.get(name))
    body, media_type = _body(_part_of(request, "postData"))
    agents = [
        value
        for one in listed(request.get("headers"))
        if isinstance(one, dict) and str(one.get("name", "")).lower() == "user-agent" and (value := one.get("value"))
    ]
    started, redirect = entry.get("startedDateTime"), response.get("redirectURL")
    sent = "\n".join((str(method), url, body)).encode(errors="replace")
    id_ = f"{started or ''}/{hashlib.sha256(sent).hexdigest()[:12]}"
    times[id_] += 1
    return Request(
        id=id_ if times[id_] == 1 else f"{id_}#{times[id_]}",
        url=url.strip(),
        method=str(method or "GET").upper(),
        body=body,
        media_type=media_type,
        started=started if isinstance(started, str) else None,
        status=status,
        delivery=_delivery(status, reasons),
        redirect=redirect if isinstance(redirect, str) else "",
        user_agent=str(agents[0]) if agents else None,
    )


def _part_of(value: Any, name: str) -> dict[str, Any]:
    inner = value.get(name) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}


def _delivery(status: int, reasons: str) -> Delivery:
    if status:
        return Delivery.ANSWERED
    return Delivery.BLOCKED if _NEVER_SENT.search(reasons) else Delivery.UNANSWERED


def _body(data: dict[str, Any]) -> tuple[str, str]:
    text, media_type = data.get("text"), str(data.get("mimeType") or "")
    if isinstance(text, str) and text:
        if str(data.get("encoding") or data.get("_encoding") or "").lower() == "base64":
            text = decoded(text) or text
        return text, media_type
    pairs = [one for one in listed(data.get("params")) if isinstance(one, dict)]
    # Browsers list the parameters as they were written: still encoded.
    return "&".join(
        f"{one.get('name', '')}={one.get('value', '')}" for one in pairs
    ), "application/x-www-form-urlencoded"


def decoded(text: str) -> str | None:
    """Undo base64, of the URL's alphabet too; None for what is none."""
    try:
        return base64.b64decode(text.translate(_URL_SAFE) + "=" * (-len(text) % 4)).decode("utf-8", errors="replace")
    except ValueError:
        return None


# -- parameters --------------------------------------------------------------------------------------------


def parameters(query: str, *, form: bool = False) -> dict[str, str]:
    """Read a query string; the first value of a name, percent-encoding undone once.

    Parameters
    ----------
    query : str
    form : bool
        A form's body, in which a plus is a space; in a URL it stays what it is.
    """
    text = query if form else query.replace("+", "%2B")
    return dict(reversed(parse_qsl(text, errors="replace")))


def bodies(request: Request, *, batched: bool) -> list[dict[str, str]] | None:
    """Read a request's body: a set of parameters for each event in it.

    Parameters
    ----------
    request : Request
    batched : bool
        Each line of the body is an event.

    Returns
    -------
    list of dict or None
        One empty dict for no body. None where the body cannot be read.
    """
    text = request.body.strip()
    if not text:
        return [{}]
    media_type = request.media_type.lower()
    if text[0] in "{[" or "json" in media_type:
        return _json_bodies(text)
    if media_type.startswith("multipart/"):
        return [dict(_multipart(request))]
    if batched:
        return [parameters(line) for line in text.splitlines() if line.strip()]
    return [parameters(text, form=True)]


def _json_bodies(text: str) -> list[dict[str, str]] | None:
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(whole, dict) and isinstance(whole.get("batch"), list):
        shared = {name: value for name, value in whole.items() if name != "batch"}
        whole = [{**shared, **one} for one in whole["batch"] if isinstance(one, dict)]
    events = [one for one in (whole if isinstance(whole, list) else [whole]) if isinstance(one, dict)]
    return [flattened(one) for one in events] or None


def flattened(value: dict[str, Any]) -> dict[str, str]:
    """Write a nested object as paths: ``{"page": {"url": ...}}`` is ``{"page.url": ...}``; lists are left out."""
    flat: dict[str, str] = {}
    waiting: list[tuple[str, Any]] = list(value.items())
    while waiting:
        path, inner = waiting.pop()
        if isinstance(inner, dict):
            waiting += [(f"{path}.{name}", one) for name, one in inner.items()]
        elif isinstance(inner, str):
            flat[path] = inner
        elif isinstance(inner, int | float) and not isinstance(inner, bool):
            flat[path] = json.dumps(inner)
    return flat


def _multipart(request: Request) -> Iterator[tuple[str, str]]:
    message = message_from_string(f"Content-Type: {request.media_type}\n\n{request.body}")
    for one in message.walk():
        name, value = one.get_param("name", header="content-disposition"), one.get_payload()
        if isinstance(name, str) and isinstance(value, str):
            yield unquote_plus(name), value.rstrip("\r\n")
