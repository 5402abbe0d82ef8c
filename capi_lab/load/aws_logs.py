"""Logs of Amazon's front doors as a click log: CloudFront and the load balancers.

Formats: CloudFront standard logging (legacy), tab-separated, and Application or Classic Load Balancer access logs,
docs.aws.amazon.com "Standard logging reference" and "Access logs for your Application Load Balancer", read 2026-11-23.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from capi_lab.errors import LoadError
from capi_lab.load.addresses import client_addresses
from capi_lab.load.files import Part, Paths
from capi_lab.load.lines import arrow_text, numbered_lines, row_ids, text_series, unescaped
from capi_lab.load.pageviews import REQUEST, Requests, refuse_unknown_kind, requests_loaded
from capi_lab.load.result import Intake, Loaded
from capi_lab.load.signatures import Signature
from capi_lab.load.values import blank_to_missing

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["alb_log", "cloudfront_log"]

SIGNATURES = {
    "cloudfront_log": (
        Signature(
            line=r"#(?:Version|Fields):|\d{4}-\d\d-\d\d\t\d\d:\d\d:\d\d\t(?:[^\t]*\t){21,30}[^\t]*$",
            options={"kind": "visits"},
        ),
    ),
    "alb_log": (
        Signature(
            line=r"(?:[a-z][a-z0-9]* )?\d{4}-\d\d-\d\dT\S+ \S+ \S+ \S+ [\d.-]+ [\d.-]+ [\d.-]+ (?:\d{3}|-) ",
            options={"kind": "visits"},
        ),
    ),
}

_CLOUDFRONT = tuple(
    "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) "  # noqa: SIM905
    "cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken "
    "x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status "
    "fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len "
    "sc-range-start sc-range-end".split()
)
_KNOWN_LENGTHS = (24, 26, 33)  # how many of these a line had over the years; for files that lost their header
_NEEDED = ("date", "time", "c-ip", "cs-method", "cs-uri-stem", "cs-uri-query", "sc-status")
_USED = (
    *_NEEDED, "cs(Host)", "cs(Referer)", "cs(User-Agent)", "cs(Cookie)", "x-edge-request-id",
    "x-host-header", "cs-protocol", "x-forwarded-for",
)  # fmt: skip

_QUOTED = r'"(?P<{}>(?:[^"\\]|\\.)*)"'
_COMMON = (
    r"(?P<time>\d{4}-\S+) \S+ (?P<client>\S+) \S+ [\d.-]+ [\d.-]+ [\d.-]+ (?P<status>\d{3}|-) \S+ [\d-]+ [\d-]+ "
    + _QUOTED.format("request")
    + " "
    + _QUOTED.format("agent")
    + r" \S+ \S+"
)
# Fields are taken by position from the left: lines grew at the end, and will again.
_ALB = r"^[a-z][a-z0-9]* " + _COMMON + " " + r'\S+ "[^"]*" "[^"]*" "[^"]*" [\d-]+ (?P<created>\d{4}-\S+)(?:\s.*)?$'
_CLASSIC = "^" + _COMMON + r"(?P<created>)\s*$"


def cloudfront_log(
    path: Paths,
    *,
    tz: str | None = None,
    kind: str = "clicks",
    forwarded: bool = False,
    to: str | Path | None = None,
) -> Loaded:
    """Read Amazon CloudFront standard (legacy) access logs.

    Parameters
    ----------
    path : str, Path or list
        File, pattern or list of them, plain, gzip (as CloudFront writes them) or zstd. Column names are read from
        ``#Fields``; a file without it must have 24, 26 or 33 columns in CloudFront's own order.
    tz : None
        Not needed: times are UTC.
    kind : str
        ``"clicks"``: one row per click id that arrived. ``"visits"``: one row per page view, with or without.
    forwarded : bool
        Take the client from ``x-forwarded-for``, the leftmost public address. Only if the proxy before CloudFront is
        yours: anybody can write that header.
    to : str or Path, optional
        Parquet file to write the rows to as they are read, in the order of the files, instead of holding them.

    Returns
    -------
    Loaded
        Contract ``clicks`` or ``visits``, kept and collapsed as by `access_log`. The row id is CloudFront's request
        id; a line that repeats one is dropped. Every field is percent-decoded once, which leaves URLs as the browser
        sent them; cookies are there only where cookie logging was on.

    Raises
    ------
    LoadError
        The file cannot be read, lacks a column, or no line has as many fields as its header.

    Notes
    -----
    Times say when the response *finished*. Entries can come up to 24 h late, and some never: a best effort, no
    account of all requests. Cannot be known: the person; consent; visits a browser cache answered.
    """
    refuse_unknown_kind(kind)
    header: dict[str, list[str]] = {}  # a file's latest, which its next part goes on with

    def parsed(part: Part) -> Requests:
        intake = _cloudfront(part, header, forwarded=forwarded)
        if tz is not None:
            intake.note("tz= was not needed: CloudFront times are UTC")
        return Requests.of_frame(intake)

    return requests_loaded(path, parsed, kind=kind, to=to)


def _cloudfront(part: Part, header: dict[str, list[str]], *, forwarded: bool) -> Intake:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    lines, numbers = numbered_lines(part)
    lines = pc.utf8_rtrim(lines, "\r\n")
    comment = pc.starts_with(lines, "#").to_numpy(zero_copy_only=False)
    fields = header.get(part.name, [])
    frames, unparsable = [], 0
    # Usually one run of lines under one header; files that were joined have more.
    for start, end in _runs(comment):
        if comment[start]:
            for text in lines.slice(start, end - start).to_pylist():
                if text.startswith("#Fields:"):
                    fields = header[part.name] = _fields(text, part)
            continue
        rows, good = _columns(lines.slice(start, end - start), fields, part)
        unparsable += int((~good).sum())
        if good.any():
            ids = row_ids(part.name, numbers[start:end][good])
            frames.append(pd.DataFrame(rows).assign(line=text_series(ids)))
    if not frames:
        if unparsable or (part.first == 1 and not comment.any()):
            raise LoadError(f"'{part.name}': no line has the fields of a CloudFront log")
        empty = dict.fromkeys([*_USED, "line"], text_series(pa.array([], pa.string())))
        frames = [pd.DataFrame(empty)]
    intake = Intake(part.name, "CloudFront log", pd.concat(frames, ignore_index=True), unparsable=unparsable)
    intake.note_count(len(intake.frame), "{n} lines parsed")
    absent = [name for name in _USED if fields and name not in fields]
    if absent:
        intake.note(f"the log has no {', '.join(absent)}")
    intake.note("times say when the response was finished")
    intake.frame = _cloudfront_requests(intake, forwarded=forwarded)
    return intake


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Return start and end of every run of equal flags."""
    import numpy as np

    edges = np.flatnonzero(np.diff(flags)) + 1
    bounds = [0, *edges.tolist(), len(flags)]
    return [(start, end) for start, end in pairwise(bounds) if end > start]


def _fields(text: str, part: Part) -> list[str]:
    fields = text.removeprefix("#Fields:").split()
    absent = [name for name in _NEEDED if name not in fields]
    if absent:
        raise LoadError(f"'{part.name}' has no field {', '.join(map(repr, absent))}: is it a CloudFront log?")
    return fields


def _columns(lines: Any, fields: list[str], part: Part) -> tuple[dict[str, pd.Series], np.ndarray]:
    """Split lines at their tabs; only those with the right number of fields."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    sizes = pc.add(pc.count_substring(lines, "\t"), 1).to_numpy()
    if not fields:
        known = [n for n in _KNOWN_LENGTHS if n in sizes]
        fields = list(_CLOUDFRONT[: known[0]]) if len(known) == 1 else []
        if len(known) > 1:
            raise LoadError(f"'{part.name}' has lines of several lengths and no #Fields line: load its sources")
    good = sizes == len(fields)
    if not good.any():
        return {}, good
    split = pc.split_pattern(lines.filter(pa.array(good)), "\t")
    starts = split.offsets.to_numpy()[:-1]
    columns = {}
    for name in _USED:
        at = np.full(len(starts), -1) if name not in fields else starts + fields.index(name)
        taken = split.values.take(pa.array(at, mask=at < 0))
        columns[name] = text_series(taken)
    return columns, good


def _cloudfront_requests(intake: Intake, *, forwarded: bool) -> pd.DataFrame:
    import pandas as pd

    raw = intake.frame
    col = {name: _decoded(blank_to_missing(raw[name])) for name in _USED}
    host = col["x-host-header"].fillna(col["cs(Host)"])
    query = ("?" + col["cs-uri-query"]).fillna("")
    scheme = col["cs-protocol"].where(col["cs-protocol"].isin(["http", "https"]), "https")
    cookie = col["cs(Cookie)"]
    nameless = cookie.notna() & ~cookie.str.contains("=", regex=False)
    intake.note_count(int(nameless.sum()), "{n} cookie headers hold no name=value; not used")
    client = col["c-ip"]
    if forwarded:
        client = _leftmost_public(col["x-forwarded-for"]).fillna(client)
    stamp = raw["date"] + "T" + raw["time"] + "Z"
    return pd.DataFrame(
        {
            "row": col["x-edge-request-id"].fillna(raw["line"]),
            "time": pd.to_datetime(stamp, format="%Y-%m-%dT%H:%M:%SZ", utc=True, errors="coerce").dt.as_unit("us"),
            "method": col["cs-method"],
            "page_url": (scheme + "://" + host).fillna("") + col["cs-uri-stem"] + query,
            "referrer_url": col["cs(Referer)"],
            "status": col["sc-status"],
            "user_agent": col["cs(User-Agent)"],
            "client_ip": client,
            "cookie": cookie.mask(nameless),
        }
    )


def _decoded(values: pd.Series) -> pd.Series:
    """Undo the log's own percent-encoding; what a URL had encoded by itself stays encoded."""
    encoded = values.str.contains("%", regex=False)
    if not encoded.any():
        return values
    distinct = values[encoded].unique()
    plain = dict(zip(distinct, (unquote(text) for text in distinct), strict=True))
    return values.mask(encoded, values[encoded].map(plain).astype("str").reindex(values.index))


def _leftmost_public(values: pd.Series) -> pd.Series:
    each = values.str.split(",").explode().str.strip()
    scratch = Intake("", "", each.to_frame())  # its notes are about addresses nobody will see
    public = client_addresses(each.reset_index(drop=True), scratch).set_axis(each.index)
    return public.groupby(level=0).first().reindex(values.index).astype("str")


def alb_log(path: Paths, *, tz: str | None = None, kind: str = "clicks", to: str | Path | None = None) -> Loaded:
    """Read access logs of an Amazon Application Load Balancer, or of a Classic one.

    Parameters
    ----------
    path : str, Path or list
        File, pattern or list of them, plain, gzip (as they are delivered) or zstd. Lines of any length: fields are
        taken by position, what came later stands behind them.
    tz : None
        Not needed: times are UTC.
    kind : str
        ``"clicks"``: one row per click id that arrived. ``"visits"``: one row per page view, with or without.
    to : str or Path, optional
        Parquet file to write the rows to as they are read, in the order of the files, instead of holding them.

    Returns
    -------
    Loaded
        Contract ``clicks`` or ``visits``, kept and collapsed as by `access_log`. Time is when the request was
        received (``request_creation_time``), in a Classic log when it was answered. URLs are whole, without ``:80``
        and ``:443``.

    Raises
    ------
    LoadError
        The file cannot be read, or no line has this format.

    Notes
    -----
    Cannot be known: referrer and cookies, ever; the person; consent; visits that a cache in front answered. The
    client is the load balancer's peer: behind another proxy, that proxy.
    """
    refuse_unknown_kind(kind)

    def parsed(part: Part) -> Requests:
        intake = _alb(part)
        if tz is not None:
            intake.note("tz= was not needed: load balancer times are UTC")
        return Requests.of_frame(intake)

    return requests_loaded(path, parsed, kind=kind, to=to)


def _alb(part: Part) -> Intake:
    import pandas as pd
    import pyarrow.compute as pc

    lines, numbers = numbered_lines(part)
    lines = pc.utf8_rtrim(lines, "\r\n")
    found = pc.extract_regex(lines, _ALB)
    if found.null_count:
        found = pc.coalesce(found, pc.extract_regex(lines, _CLASSIC))
    good = found.is_valid()
    kept = found.filter(good)
    if not len(kept):
        raise LoadError(f"'{part.name}': none of {len(lines):,} lines is a load balancer's")
    field = {one.name: blank_to_missing(text_series(kept.field(one.name))) for one in kept.type}
    for name in ("request", "agent"):
        escaped = field[name].str.contains("\\", regex=False)
        if escaped.any():
            field[name] = field[name].mask(escaped, field[name][escaped].map(unescaped).reindex(field[name].index))
    request = pc.extract_regex(arrow_text(field["request"]), REQUEST)
    url = text_series(request.field("target")).str.replace(r"^(http://[^/?#]+):80($|[/?#])", r"\1\2", regex=True)
    url = url.str.replace(r"^(https://[^/?#]+):443($|[/?#])", r"\1\2", regex=True)
    time = pd.to_datetime(field["created"].fillna(field["time"]), format="ISO8601", utc=True, errors="coerce")
    nothing = pd.Series(None, index=url.index, dtype="str")
    frame = pd.DataFrame(
        {
            "row": text_series(row_ids(part.name, numbers[good.to_numpy(zero_copy_only=False)])),
            "time": time.dt.as_unit("us"),
            "method": text_series(request.field("method")),
            "page_url": url,
            "referrer_url": nothing,
            "status": field["status"],
            "user_agent": field["agent"],
            "client_ip": field["client"].str.replace(r"^\[?(.*?)\]?:\d+$", r"\1", regex=True),
            "cookie": nothing,
        }
    )
    intake = Intake(part.name, "load balancer log", frame, unparsable=len(lines) - len(kept))
    intake.note_count(len(kept), "{n} lines parsed")
    intake.note("load balancers log neither referrer nor cookies")
    return intake
