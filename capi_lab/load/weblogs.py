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
from capi_lab.load.lines import (
    STAMP,
    arrow_text,
    between,
    bytes_of,
    log_times,
    numbered_lines,
    row_ids,
    text_series,
    unescaped,
)
from capi_lab.load.pageviews import REQUEST, Requests, refuse_unknown_kind, requests_loaded
from capi_lab.load.result import Intake, Loaded
from capi_lab.load.signatures import Signature
from capi_lab.load.values import blank_to_missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pandas as pd

__all__ = ["access_log"]

SIGNATURES = {
    "access_log": (
        Signature(
            fields=(("remote_addr", "request"), ("remote_addr", "request_uri"), ("remote_addr", "uri", "status")),
            line=r'\S+ \S+ \S+ \[[^\]]+\] "',
            options={"kind": "visits"},
        ),
    ),
}

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_LINE = re.compile(
    rf"(\S+) \S+ \S+ \[([^\]]+)\] {_QUOTED} (\d{{3}}|-) (?:\d+|-)"
    rf"(?: {_QUOTED} {_QUOTED}(?: {_QUOTED})?(?: {_QUOTED})?)?\s*",
    re.ASCII,
)
_QUOTED_FIELDS = ("referrer_url", "user_agent", "cookie", "host")
_FIELDS = ("client_ip", "stamp", "request", "status", *_QUOTED_FIELDS)
# The same up to the third quote where quotes only enclose fields; nothing to capture, so it costs little.
_QUOTES = (2, 6, 8, 10)  # a line has of them: common log format, combined, with cookies, with host
_HEAD = (
    r'^[^\s"\\\[]+ [^\s"\\\[]+ [^\s"\\\[]+ \[[^\[\]"\\]+\] "(?:[A-Z]+ [^\s"\\]+ HTTP/[\d.]+|-)" '
    r'(?:\d{3}|-) (?:\d+|-)(?: "|\s*$)'
)
_NO_NAMES, _GET = b" - - ", b"GET "


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


def _parsed(part: Part, tz: str | None) -> Requests:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    lines, numbers = numbered_lines(part)
    regular = _Regular(lines)
    rest = np.flatnonzero(~regular.good)
    odd = list(_by_line(lines.take(pa.array(rest)), rest))
    n = len(regular.is_get) + len(odd)
    if n == 0:
        raise LoadError(f"'{part.name}': none of {len(lines):,} lines is in combined log format or nginx JSON")
    others = pd.DataFrame([fields for _, fields in odd], columns=list(_FIELDS), dtype="str")
    positions = np.concatenate([np.flatnonzero(regular.good), np.array([position for position, _ in odd], "int64")])
    order = np.argsort(positions)
    intake = Intake(part.name, "access log, combined", pd.DataFrame(index=range(n)), unparsable=len(lines) - n)
    intake.note_count(n, "{n} lines parsed")
    if tz is not None:
        intake.note("tz= was not needed: every line carries its offset")
    return _Log(part.name, numbers[positions[order]], regular, others, order).requests(intake)


class _Regular:
    """Lines whose quotes only enclose fields, and where in their text each field is."""

    def __init__(self, lines: Any) -> None:
        """Find the lines, ``good``, and their fields by the positions of the quotes."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        self.text, offsets = text, _ = bytes_of(lines)
        quotes = np.flatnonzero(text == ord('"'))
        before = np.searchsorted(quotes, offsets)
        good = np.isin(np.diff(before), _QUOTES) & pc.match_substring_regex(lines, _HEAD).to_numpy(zero_copy_only=False)
        good[np.searchsorted(offsets, np.flatnonzero(text == ord("\\")), side="right") - 1] = False
        rows = np.flatnonzero(good)
        good[rows] = _apart(text, quotes, before[rows], before[rows + 1], offsets[rows + 1])
        self.good, rows = good, np.flatnonzero(good)
        begin, first, count = offsets[rows], before[rows], np.diff(before)[rows]

        def quote(nth: int) -> np.ndarray:
            return np.where(count > nth, quotes[np.minimum(first + nth, len(quotes) - 1)], -1)

        def found(mark: str, where: np.ndarray) -> np.ndarray:
            within: np.ndarray = np.array(pc.find_substring(lines.take(pa.array(rows[where])), mark))
            within += begin[where]
            return within

        opened, closed = quote(0), quote(1)
        bracket = opened - len(STAMP) - len("[] ")
        other = np.flatnonzero(text[bracket] != ord("["))  # a time of another form
        bracket[other] = found("[", other)
        address_end = bracket - len(_NO_NAMES)
        other = np.flatnonzero(
            (text[address_end + np.arange(len(_NO_NAMES))[:, None]] != np.frombuffer(_NO_NAMES, "uint8")[:, None]).any(
                axis=0
            )
        )
        address_end[other] = found(" ", other)
        self.is_get = (text[opened + 1 + np.arange(len(_GET))[:, None]] == np.frombuffer(_GET, "uint8")[:, None]).all(
            axis=0
        )
        # Behind the last space of a GET stands "HTTP/2" or "HTTP/1.1", or something longer.
        version = np.where(text[closed - 7] == ord(" "), 7, 9)
        for at in np.flatnonzero(self.is_get & (text[closed - version] != ord(" "))):
            version[at] = closed[at] - opened[at] - text[opened[at] : closed[at]].tobytes().rfind(b" ")
        self._spans = {
            "client_ip": (begin, address_end),
            "stamp": (bracket + 1, opened - 2),
            "target": (opened + 1 + len(_GET), closed - version),
            "status": (closed + 2, closed + 2 + np.where(text[closed + 2] == ord("-"), 1, 3)),
        }
        for position, name in enumerate(_QUOTED_FIELDS, 1):
            start = quote(2 * position)
            self._spans[name] = (np.where(start < 0, -1, start + 1), quote(2 * position + 1))

    def column(self, name: str, lines: np.ndarray) -> Any:
        """Return a field of some of the good lines, in ascending order; missing where a line lacks it."""
        import numpy as np
        import pyarrow as pa

        starts, ends = (bounds[lines] for bounds in self._spans[name])
        there = starts >= 0
        texts = between(self.text, starts[there], ends[there])
        return texts if there.all() else texts.take(pa.array(np.cumsum(there) - 1, mask=~there))

    def has(self, name: str) -> bool:
        """Say whether any line has this field."""
        return bool((self._spans[name][0] >= 0).any())


def _apart(text: np.ndarray, quotes: np.ndarray, first: np.ndarray, after: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Say in which lines one space parts the quoted fields behind the second, and only a line end follows the last."""
    import numpy as np

    good = np.ones(len(first), bool)
    for nth in range(4, _QUOTES[-1], 2):
        more = first + nth < after
        closed, opened = (quotes[np.where(more, first + at, 0)] for at in (nth - 1, nth))
        good &= ~more | ((opened - closed == 2) & (text[closed + 1] == ord(" ")))
    last = quotes[after - 1]
    tail = end - last - 1
    next_, final = text[np.minimum(last + 1, len(text) - 1)], text[end - 1]
    line_end = (tail == 0) | ((tail == 1) & (final == ord("\n")))
    line_end |= (tail == 2) & (next_ == ord("\r")) & (final == ord("\n"))
    good &= line_end | (after - first == _QUOTES[0])
    return good


class _Log:
    """Requests of regular lines and of others, in the order of the file.

    Parameters
    ----------
    name : str
        Of the file.
    numbers : ndarray
        Lines of the requests in the file.
    regular : _Regular
    others : DataFrame
        Fields of the other lines.
    order : ndarray
        Request to its place among the regular lines and, behind them, the others.
    """

    def __init__(
        self, name: str, numbers: np.ndarray, regular: _Regular, others: pd.DataFrame, order: np.ndarray
    ) -> None:
        import pyarrow.compute as pc

        self.name, self.numbers, self.regular, self.order = name, numbers, regular, order
        request = pc.extract_regex(arrow_text(others["request"]), REQUEST)
        self.others = others.assign(
            method=text_series(request.field("method")), target=text_series(request.field("target"))
        )
        self._has_extras = any(regular.has(name) or others[name].notna().any() for name in ("cookie", "host"))

    def requests(self, intake: Intake) -> Requests:
        """Return them as `page_views` takes them."""
        import numpy as np

        stamps = self._field("stamp", np.arange(len(self.order))).dictionary_encode()
        distinct = _times(text_series(stamps.dictionary))
        times = np.append(distinct, np.datetime64("NaT"))[stamps.indices.fill_null(len(distinct)).to_numpy()]
        is_get = np.concatenate([self.regular.is_get, self.others["method"] == "GET"])[self.order]
        return Requests(intake, times, is_get, self.column)

    def column(self, name: str, rows: np.ndarray) -> Any:
        """Return texts of some requests, as `Requests` wants them."""
        import pyarrow as pa

        if name == "row":
            return row_ids(self.name, self.numbers[rows])
        if name not in ("cookie", "page_url"):
            return self._field(name, rows)
        target = self._field("target", rows) if name == "page_url" else None
        if not self._has_extras:
            return pa.nulls(len(rows), pa.string()) if target is None else target
        cookie, host = self._extras(rows)
        if target is None:
            return arrow_text(cookie)
        url = text_series(target)
        return arrow_text(url.where(host.isna() | ~url.str.startswith("/"), "https://" + host.fillna("") + url))

    def _extras(self, rows: np.ndarray) -> tuple[pd.Series, pd.Series]:
        """Tell cookies from host: sites add them in either order, and a host never holds ``=``."""
        cookie, host = (blank_to_missing(text_series(self._field(name, rows))) for name in ("cookie", "host"))
        swapped = host.str.contains("=", regex=False) | (
            cookie.notna() & host.isna() & ~cookie.str.contains("=", regex=False)
        )
        return (cookie.mask(swapped, host), host.mask(swapped, cookie)) if swapped.any() else (cookie, host)

    def _field(self, name: str, rows: np.ndarray) -> Any:
        import numpy as np
        import pyarrow as pa

        places = self.order[rows]
        n = len(self.regular.is_get)
        regular = places < n
        texts = self.regular.column(name, places[regular])
        if regular.all():
            return texts
        others = arrow_text(self.others[name]).take(pa.array(places[~regular] - n))
        back = np.empty(len(rows), "int64")
        back[np.concatenate([np.flatnonzero(regular), np.flatnonzero(~regular)])] = np.arange(len(rows))
        return pa.concat_arrays([texts, others]).take(pa.array(back))


def _by_line(lines: Any, positions: np.ndarray) -> Iterator[tuple[int, tuple[str | None, ...]]]:
    """Read the lines that have escapes, or are JSON, one by one; what cannot be read is left out."""
    for position, line in zip(positions.tolist(), lines.to_pylist(), strict=True):
        match = _LINE.fullmatch(line)
        fields = match.groups() if match else _from_json(line) if line.startswith("{") else None
        if fields is not None:
            yield position, tuple(unescaped(text) if text and "\\" in text else text for text in fields)


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


def _times(stamps: pd.Series) -> np.ndarray:
    """Read the log's own stamp, as UTC; JSON logs may write ISO time or epoch seconds instead."""
    import pandas as pd

    times = pd.Series(log_times(arrow_text(stamps)))
    rest = stamps[times.isna() & stamps.notna()]
    iso, epoch = rest[rest.str.contains("T", regex=False)], rest[rest.str.fullmatch(r"\d{10}(\.\d+)?")]
    for found in (
        pd.to_datetime(iso, format="ISO8601", utc=True, errors="coerce"),
        pd.to_datetime(epoch.astype("float64"), unit="s", utc=True, errors="coerce"),
    ):
        if len(found):
            times[found.index] = found.dt.tz_localize(None).dt.as_unit("us")
    utc: np.ndarray = times.to_numpy()
    return utc
