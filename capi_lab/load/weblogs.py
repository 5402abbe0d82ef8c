r"""Web-server access logs as a click log.

Format: Apache and nginx "combined" (httpd ``mod_log_config``, nginx ``ngx_http_log_module``), read
2026-11-23: ``host ident user [dd/Mon/yyyy:HH:MM:SS ±zzzz] "METHOD target PROTO" status bytes "referer"
"user agent"``, quotes inside fields escaped as ``\"`` or ``\xHH``. Two more quoted fields may follow:
cookies, then host.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from capi_lab.errors import LoadError, UnknownNameError
from capi_lab.load.addresses import bots, client_addresses
from capi_lab.load.clicks import add_click_ids, as_clicks
from capi_lab.load.files import open_text
from capi_lab.load.result import Intake, Loaded
from capi_lab.load.values import blank_to_missing, text_column
from capi_lab.tables import VISITS
from capi_lab.words import LoadDrop

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["access_log"]

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_LINE = re.compile(
    rf"(\S+) \S+ \S+ \[([^\]]+)\] {_QUOTED} (\d{{3}}|-) (?:\d+|-)"
    rf"(?: {_QUOTED} {_QUOTED}(?: {_QUOTED})?(?: {_QUOTED})?)?\s*"
)
_REQUEST = re.compile(r"([A-Z]+) (\S+) HTTP/[\d.]+")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|(.))")
_STATIC = re.compile(
    r"\.(?:css|js|mjs|map|png|jpe?g|gif|svg|ico|webp|avif|woff2?|ttf|eot|otf|mp[34]|webm|pdf|zip|gz|xml|txt|json)$",
    re.IGNORECASE,
)
_SAME_CLICK = "60s"  # a redirect hop and its target are one click


def access_log(path: str | Path, *, tz: str | None = None, kind: str = "clicks") -> Loaded:
    r"""Read an Apache or nginx access log.

    Parameters
    ----------
    path : str or Path
        "Combined" format or nginx JSON (one object a line, nginx's variable names), plain or ``.gz``.
        Combined lines may have two more quoted fields, cookies (``"%{Cookie}i"``, ``"$http_cookie"``) and host
        (``"%{Host}i"``, ``"$host"``).
    tz : None
        Not needed: every line carries its offset.
    kind : str
        ``"clicks"``: one row per click id that arrived. ``"visits"``: one row per page view, with or without.

    Returns
    -------
    Loaded
        Contract ``clicks`` or ``visits``. Kept are GET requests for pages, answered with 200 to 399, not by
        bots (ua-parser's device family and the usual words). A click id seen again from the same address
        and agent within 60 s (a redirect hop and its target) is one click.

    Raises
    ------
    LoadError
        The file cannot be read, or no line has this format.

    Notes
    -----
    Cannot be known: visits served by a cache in front of the logger; the person; consent. An id in the
    log proves arrival, not that the pixel ran. Without the two extra fields there are no cookies and no
    host, and URLs are paths.
    """
    if kind not in ("clicks", "visits"):
        raise UnknownNameError("kind of access log table", kind, ["clicks", "visits"])
    frame, unparsable = _parsed(path)
    intake = Intake(Path(path).name, "access log, combined", frame, unparsable=unparsable)
    if tz is not None:
        intake.note("tz= was not needed: every line carries its offset")
    intake.note(f"{len(frame):,} of {len(frame) + unparsable:,} lines parsed")
    _keep_page_views(intake)
    intake.frame = intake.frame.assign(client_ip=client_addresses(intake.frame["client_ip"], intake))
    if kind == "visits":
        visits = add_click_ids(intake.frame, intake, urls=intake.frame["page_url"], cookies=intake.frame["cookie"])
        return intake.loaded(
            VISITS,
            visits.rename(columns={"time": "visit_time", "row": "visit_row_id"}).drop(columns=["cookie", "method"]),
        )
    intake.frame = intake.frame.rename(columns={"page_url": "landing_url"})
    return as_clicks(intake, same=["client_ip", "user_agent"], within=_SAME_CLICK)


def _parsed(path: str | Path) -> tuple[pd.DataFrame, int]:
    import pandas as pd

    rows, unparsable, number = [], 0, 0
    with open_text(path, errors="backslashreplace") as text:
        for number, line in enumerate(text, 1):
            if not line.strip():
                continue
            match = _LINE.fullmatch(line)
            fields = match.groups() if match else _from_json(line) if line.startswith("{") else None
            if fields is None:
                unparsable += 1
            else:
                rows.append((number, *fields))
    if not rows:
        raise LoadError(f"'{Path(path).name}': none of {number:,} lines is in combined log format or nginx JSON")
    names = [
        "line",
        "client_ip",
        "stamp",
        "request",
        "status",
        "referrer_url",
        "user_agent",
        "cookie",
        "host",
    ]
    frame = pd.DataFrame(rows, columns=names)
    for name in names[1:]:
        frame[name] = blank_to_missing(text_column(frame[name]))
    for name in ("request", "referrer_url", "user_agent", "cookie"):
        escaped = frame[name].str.contains("\\", regex=False)
        frame.loc[escaped, name] = frame.loc[escaped, name].map(_unescaped)
    # Sites add cookies and host in either order; a host never holds "=".
    swapped = frame["host"].str.contains("=", regex=False) | (
        frame["cookie"].notna() & frame["host"].isna() & ~frame["cookie"].str.contains("=", regex=False)
    )
    frame.loc[swapped, ["cookie", "host"]] = frame.loc[swapped, ["host", "cookie"]].to_numpy()
    parts = frame["request"].str.extract(_REQUEST)
    target = parts[1]
    absolute = target.str.startswith("/") & frame["host"].notna()
    return pd.DataFrame(
        {
            "row": text_column(f"{Path(path).name}:{n}" for n in frame["line"]),
            "time": _times(frame["stamp"]),
            "method": parts[0],
            "page_url": target.where(~absolute, "https://" + frame["host"].fillna("") + target),
            "referrer_url": frame["referrer_url"],
            "status": frame["status"],
            "user_agent": frame["user_agent"],
            "client_ip": frame["client_ip"],
            "cookie": frame["cookie"],
        }
    ), unparsable


def _from_json(line: str) -> tuple[str | None, ...] | None:
    """Read one line of an nginx JSON log in the order of the combined format."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if not isinstance(entry, dict):
        return None

    def get(*names: str) -> str | None:
        value = next((entry[name] for name in names if entry.get(name) not in (None, "")), None)
        return None if value is None else str(value)

    request = get("request")
    if request is None and get("request_method") and get("request_uri", "uri"):
        request = f"{get('request_method')} {get('request_uri', 'uri')} {get('server_protocol') or 'HTTP/1.1'}"
    return (
        get("remote_addr"),
        get("time_local", "time_iso8601", "msec"),
        request,
        get("status"),
        get("http_referer"),
        get("http_user_agent"),
        get("http_cookie"),
        get("host", "http_host"),
    )


def _times(stamps: pd.Series) -> pd.Series:
    """Read the log's own stamp; JSON logs may write ISO time or epoch seconds instead."""
    import pandas as pd

    times = pd.to_datetime(stamps, format="%d/%b/%Y:%H:%M:%S %z", utc=True, errors="coerce")
    for rows, form in (
        (stamps.str.contains("T", regex=False), "ISO8601"),
        (stamps.str.fullmatch(r"\d{10}(\.\d+)?"), None),
    ):
        late = rows & times.isna()
        if late.any():
            part = stamps[late] if form else stamps[late].astype("float64")
            times[late] = pd.to_datetime(part, format=form, unit=None if form else "s", utc=True, errors="coerce")
    return times.dt.as_unit("us")


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else m[2], text)


def _keep_page_views(intake: Intake) -> None:
    """Drop what is no page view of a person, each with its reason."""
    intake.drop(intake.frame["time"].isna(), LoadDrop.NO_TIME)
    intake.drop(intake.frame["method"] != "GET", LoadDrop.NOT_A_VISIT)  # HEAD, POST, and malformed requests
    intake.drop(bots(intake.frame["user_agent"]), LoadDrop.BOT)
    status = intake.frame["status"].fillna("")
    intake.drop(~status.str.fullmatch("[23]..").astype(bool), LoadDrop.HTTP_STATUS)
    path = intake.frame["page_url"].str.replace(r"[?#].*$", "", regex=True)
    intake.drop(path.str.contains(_STATIC), LoadDrop.STATIC_FILE)
