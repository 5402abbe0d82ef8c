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
from typing import TYPE_CHECKING, Any

from capi_lab.errors import LoadError
from capi_lab.load.files import Part, Paths
from capi_lab.load.lines import arrow_text, log_times, numbered_lines, quoted_fields, row_ids, text_series, unescaped
from capi_lab.load.pageviews import REQUEST, refuse_unknown_kind, requests_loaded
from capi_lab.load.result import Intake, Loaded
from capi_lab.load.values import blank_to_missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pandas as pd

__all__ = ["access_log"]

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_LINE = re.compile(
    rf"(\S+) \S+ \S+ \[([^\]]+)\] {_QUOTED} (\d{{3}}|-) (?:\d+|-)"
    rf"(?: {_QUOTED} {_QUOTED}(?: {_QUOTED})?(?: {_QUOTED})?)?\s*",
    re.ASCII,
)
# The same between its quotes, for lines whose quotes only enclose fields.
_HEAD = r"^(?P<client_ip>\S+) \S+ \S+ \[(?P<stamp>[^\]]+)\] $"
_MIDDLE = r"^ (?P<status>\d{3}|-) (?:\d+|-)(?P<end>\s*)$"
_FIELDS = ("client_ip", "stamp", "request", "status", "referrer_url", "user_agent", "cookie", "host")


def access_log(path: Paths, *, tz: str | None = None, kind: str = "clicks", to: str | Path | None = None) -> Loaded:
    r"""Read an Apache or nginx access log.

    Parameters
    ----------
    path : str, Path or list
        File, pattern or list of them, plain, gzip or zstd.
        "Combined" format or nginx JSON (one object a line, nginx's variable names).
        Combined lines may have two more quoted fields, cookies (``"%{Cookie}i"``, ``"$http_cookie"``) and host
        (``"%{Host}i"``, ``"$host"``).
    tz : None
        Not needed: every line carries its offset.
    kind : str
        ``"clicks"``: one row per click id that arrived. ``"visits"``: one row per page view, with or without.
    to : str or Path, optional
        Parquet file to write the rows to as they are read, in the order of the files, instead of holding them.

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
    refuse_unknown_kind(kind)
    return requests_loaded(path, lambda part: _parsed(part, tz), kind=kind, to=to)


def _parsed(part: Part, tz: str | None) -> Intake:
    import pandas as pd

    lines, numbers = numbered_lines(part)
    regular, good = _regular(lines)
    odd = [(number, *fields) for number, fields in _by_line(lines.filter(~good), numbers[~good])]
    unparsable = int((~good).sum()) - len(odd)
    if unparsable == len(lines):
        raise LoadError(f"'{part.name}': none of {len(lines):,} lines is in combined log format or nginx JSON")
    frame = pd.DataFrame(regular).assign(line=numbers[good])
    if odd:
        more = pd.DataFrame(odd, columns=["line", *_FIELDS]).astype(dict.fromkeys(_FIELDS, "str"))
        frame = pd.concat([frame, more]).sort_values("line", ignore_index=True)
    intake = Intake(part.name, "access log, combined", _requests(frame, part), unparsable=unparsable)
    intake.note_count(len(frame), "{n} lines parsed")
    if tz is not None:
        intake.note("tz= was not needed: every line carries its offset")
    return intake


def _regular(lines: Any) -> tuple[dict[str, pd.Series], np.ndarray]:
    """Read the lines whose quotes only enclose fields, all at once; say which they are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # Common log format has one quoted field, combined three; cookies and host may follow.
    pieces, good = quoted_fields(lines, (1, 3, 4, 5))
    head = pc.extract_regex(pieces[0], _HEAD)
    middle = pc.extract_regex(pieces[2], _MIDDLE)
    good = good & head.is_valid().to_numpy(zero_copy_only=False) & middle.is_valid().to_numpy(zero_copy_only=False)
    absent = [pa.nulls(len(lines), pa.string())] * 4
    referrer, agent, cookie, host = [*pieces[3:], *absent][:4]
    # Only where more fields follow does one space stand behind the number of bytes.
    more = referrer.is_valid().to_numpy(zero_copy_only=False)
    good &= ~more | (pc.fill_null(pc.equal(middle.field("end"), " "), False)).to_numpy(zero_copy_only=False)
    columns = [head.field("client_ip"), head.field("stamp"), pieces[1], middle.field("status")]
    columns += [referrer, agent, cookie, host]
    kept = pa.array(good)
    read = (column if good.all() else column.filter(kept) for column in columns)
    return {name: text_series(column) for name, column in zip(_FIELDS, read, strict=True)}, good


def _by_line(lines: Any, numbers: np.ndarray) -> Iterator[tuple[int, tuple[str | None, ...]]]:
    """Read the lines that have escapes, or are JSON, one by one; what cannot be read is left out."""
    for number, line in zip(numbers.tolist(), lines.to_pylist(), strict=True):
        match = _LINE.fullmatch(line)
        fields = match.groups() if match else _from_json(line) if line.startswith("{") else None
        if fields is not None:
            yield number, tuple(None if text is None else unescaped(text) for text in fields)


def _requests(frame: pd.DataFrame, part: Part) -> pd.DataFrame:
    """Make the columns of `page_views` from the log's fields."""
    import pandas as pd
    import pyarrow.compute as pc

    for name in ("client_ip", "referrer_url", "user_agent", "cookie", "host"):
        frame[name] = blank_to_missing(frame[name])
    # Sites add cookies and host in either order; a host never holds "=".
    swapped = frame["host"].str.contains("=", regex=False) | (
        frame["cookie"].notna() & frame["host"].isna() & ~frame["cookie"].str.contains("=", regex=False)
    )
    if swapped.any():
        frame.loc[swapped, ["cookie", "host"]] = frame.loc[swapped, ["host", "cookie"]].to_numpy()
    request = pc.extract_regex(arrow_text(frame["request"]), REQUEST)
    target = text_series(request.field("target"))
    absolute = frame["host"].notna()
    if absolute.any():
        absolute &= target.str.startswith("/")
        target = target.where(~absolute, "https://" + frame["host"].fillna("") + target)
    return pd.DataFrame(
        {
            "row": text_series(row_ids(part.name, frame["line"].to_numpy())),
            "time": _times(frame["stamp"]),
            "method": text_series(request.field("method")),
            "page_url": target,
            "referrer_url": frame["referrer_url"],
            "status": frame["status"],
            "user_agent": frame["user_agent"],
            "client_ip": frame["client_ip"],
            "cookie": frame["cookie"],
        }
    )


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

    times = pd.Series(log_times(arrow_text(stamps))).dt.tz_localize("UTC")
    late = times.isna() & stamps.notna()
    if not late.any():
        return times
    rest = stamps[late]
    iso, epoch = rest[rest.str.contains("T", regex=False)], rest[rest.str.fullmatch(r"\d{10}(\.\d+)?")]
    for found in (
        pd.to_datetime(iso, format="ISO8601", utc=True, errors="coerce"),
        pd.to_datetime(epoch.astype("float64"), unit="s", utc=True, errors="coerce"),
    ):
        times[found.index] = found.dt.as_unit("us")
    return times
