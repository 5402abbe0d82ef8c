"""Click ids and browser ids out of URLs and cookies.

Ids are opaque and case-sensitive: nothing here lowers, trims inside or re-encodes them. A percent-encoded
value is decoded once. An id that holds anything but base64url characters and dots was damaged on the way
(a ``+`` that became a space, a second encoding) and is reported as such, never repaired.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from urllib.parse import unquote, urlsplit

from capi_lab.words import IdSource

__all__ = [
    "CLEAN_ID",
    "NESTED_PARAMETERS",
    "NO_VALUE",
    "URL_PARAMETERS",
    "FoundId",
    "IdProblem",
    "click_ids_from_cookies",
    "click_ids_from_pairs",
    "click_ids_from_url",
    "find_in_cookies",
    "find_in_pairs",
    "find_in_url",
    "is_missing",
]

URL_PARAMETERS = {
    "gclid": "google",
    "gbraid": "google",
    "wbraid": "google",
    "dclid": "google",
    "fbclid": "meta",
    "ttclid": "tiktok",
    "msclkid": "microsoft",
    "li_fat_id": "linkedin",
    "rdt_cid": "reddit",
    "ScCid": "snap",
    "twclid": "x",
    "epik": "pinterest",
}
"""URL parameter to the network that appends it. The last four are kept but never sent."""

_COLUMN = {name: name.lower() for name in URL_PARAMETERS}
_BY_FOLDED = {name.lower(): name for name in URL_PARAMETERS}
NESTED_PARAMETERS = frozenset({"dl", "url", "redirect"})
"""URL parameters, in lower case, whose values are URLs to look into."""
_HINT = re.compile("|".join([*_BY_FOLDED, *sorted(NESTED_PARAMETERS)]), re.IGNORECASE)
CLEAN_ID = r"[A-Za-z0-9_.\-]+"
"""What a click id that was not damaged on its way looks like."""
_CLEAN = re.compile(CLEAN_ID)
# No "na": it is Namibia, and a region of many countries.
NO_VALUE = frozenset({"", "-", "(not set)", "(none)", "null", "undefined", "nan"})
"""Texts that stand for nothing, in lower case."""
_UNRESOLVED = re.compile(r"\{\{.*\}\}")
_APPENDIX = re.compile(r"AQ|Ag|Aw|BA|BQ|Bg|[A-Za-z0-9_\-]{8}")


class IdProblem(StrEnum):
    """What is wrong with an id that was found."""

    DAMAGED = "damaged"
    """Characters no click id has; not used."""
    REPEATED = "repeated"
    """The parameter occurs again; the first value is used."""
    MALFORMED_COOKIE = "malformed_cookie"
    """The cookie does not follow its grammar; not used."""
    SECONDS_NOT_MS = "seconds_not_ms"
    """The cookie's time has 10 digits where milliseconds belong; used, time read as seconds."""
    GBRAID_OR_WBRAID = "gbraid_or_wbraid"
    """The cookie mostly holds a wbraid, but does not say so; taken for one."""


@dataclass(frozen=True, slots=True)
class FoundId:
    """One id as it was found.

    Parameters
    ----------
    param : str
        Our column: ``gclid``, ``fbc``, ...
    value : str
        Byte for byte after one percent-decoding.
    source : IdSource
    time : datetime or None
        When the click was first seen, UTC, where the cookie says so.
    problem : IdProblem or None
    usable : bool
        False where the value must not be used.
    """

    param: str
    value: str
    source: IdSource
    time: datetime | None = None
    problem: IdProblem | None = None
    usable: bool = True


def _no_id(value: str) -> bool:
    return is_missing(value) or value.strip() == "0"


def is_missing(value: str) -> bool:
    """Say whether a text stands for nothing: empty, a placeholder, an unresolved tag-manager variable."""
    folded = value.strip().lower()
    return folded in NO_VALUE or _UNRESOLVED.fullmatch(folded) is not None


# -- URLs --------------------------------------------------------------------------------------------------


def click_ids_from_url(url: str) -> dict[str, str]:
    """Read the click ids in a URL.

    Parameters
    ----------
    url : str
        Absolute, or a path with a query. The query, the fragment and, one level down, the values of
        ``dl``, ``url`` and ``redirect`` are searched.

    Returns
    -------
    dict
        Column name to id, e.g. ``{"gclid": "..."}``; first value where a parameter repeats; damaged ids left out.

    Notes
    -----
    Parameter names are matched exactly first, then without regard to case.
    """
    return _first_usable(find_in_url(url))


def find_in_url(url: str) -> tuple[FoundId, ...]:
    """Read every click id in a URL, with what is wrong with it; see `click_ids_from_url`."""
    if not _HINT.search(url):
        return ()
    pairs = list(_pairs(url))
    for name, value in list(pairs):
        if name.lower() in NESTED_PARAMETERS:
            pairs += _pairs(value)
    exact = {name for name, _ in pairs if name in URL_PARAMETERS}
    found, seen = [], set()
    for name, value in pairs:
        known = name if name in URL_PARAMETERS else _BY_FOLDED.get(name.lower())
        if known is None or _no_id(value) or (known in exact and name != known):
            continue
        column = _COLUMN[known]
        found.append(_judged(column, value, IdSource.URL, repeated=column in seen))
        seen.add(column)
    return tuple(found)


def _pairs(url: str) -> Iterator[tuple[str, str]]:
    """Yield decoded name and value of every parameter in query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:  # e.g. a broken IPv6 host; what follows the question mark can still be read
        query = url.partition("?")[2]
        texts = [query]
    else:
        texts = [parts.query, parts.fragment.partition("?")[2] or parts.fragment]
    for text in texts:
        for piece in text.split("&"):
            name, equals, value = piece.partition("=")
            if equals:
                # unquote, not unquote_plus: a "+" inside an id is damage to be seen, not a space to be made
                yield unquote(name), unquote(value)


def _judged(
    param: str, value: str, source: IdSource, *, repeated: bool = False, time: datetime | None = None
) -> FoundId:
    if not _CLEAN.fullmatch(value):
        return FoundId(param, value, source, time, IdProblem.DAMAGED, usable=False)
    return FoundId(param, value, source, time, IdProblem.REPEATED if repeated else None, usable=not repeated)


def _first_usable(found: Iterable[FoundId]) -> dict[str, str]:
    ids: dict[str, str] = {}
    for one in found:
        if one.usable:
            ids.setdefault(one.param, one.value)
    return ids


# -- cookies -----------------------------------------------------------------------------------------------


def click_ids_from_cookies(header: str) -> dict[str, str]:
    """Read the click and browser ids in a ``Cookie`` header.

    Parameters
    ----------
    header : str
        ``name=value; name=value``; values may be quoted or percent-encoded.

    Returns
    -------
    dict
        Column name to id. ``_fbc`` gives both ``fbc`` (the whole cookie, byte for byte) and ``fbclid``.
        Cookies that look like click ids and are none (``_gcl_au``, ``_gcl_gs``, ``_uetsid`` ...) are left out.
    """
    return _first_usable(find_in_cookies(header))


def find_in_cookies(header: str) -> tuple[FoundId, ...]:
    """Read every id in a ``Cookie`` header with its click time and what is wrong with it."""
    cookies: dict[str, str] = {}
    for piece in header.split(";"):
        name, equals, value = piece.strip().partition("=")
        if equals and not _no_id(value):
            cookies.setdefault(name, unquote(value.strip('"')))
    found: list[FoundId] = []
    if "_gcl_dc" in cookies:  # Campaign Manager's copy of the click: a stand-in only, so it comes last
        copy = cookies.pop("_gcl_dc")
        if copy != cookies.get("_gcl_aw"):
            cookies["_gcl_dc"] = copy
    for name, value in cookies.items():
        found.extend(_from_cookie(name, value))
    return tuple(found)


_PLAIN_COOKIES = {"li_fat_id": "li_fat_id", "ttclid": "ttclid", "_ttclid": "ttclid", "_ttp": "ttp"}


def _from_cookie(name: str, value: str) -> Iterator[FoundId]:
    """Read one cookie by the grammar its name stands for; a cookie we do not know gives nothing."""
    if name in ("_fbc", "_fbp"):
        yield from _meta_cookie(name.removeprefix("_"), value)
    elif name in ("_gcl_aw", "_gcl_dc", "_gcl_gb") or name.startswith("_gac_"):
        # Labels may follow the id behind another dot.
        yield from _google_cookie(name, value, r"(?:GCL|1)\.(?P<time>[0-9]+)\.(?P<id>[^.]+)(?:\..*)?")
    elif name in ("FPGCLAW", "FPGCLGB", "_gcl_ag"):
        yield from _google_cookie(name, value, r"2\.1\.k(?P<id>[^$]+)\$i(?P<time>[0-9]+).*")
    elif name == "_uetmsclkid":
        good = re.fullmatch("_uet[0-9a-fA-F]{32}", value)
        yield _judged("msclkid", value[4:], IdSource.COOKIE) if good else _malformed(name, value)
    elif name in _PLAIN_COOKIES:
        yield _judged(_PLAIN_COOKIES[name], value, IdSource.COOKIE)


def _google_cookie(name: str, value: str, grammar: str) -> Iterator[FoundId]:
    shape = re.fullmatch(grammar, value)
    if shape is None:
        yield _malformed(name, value)
    elif name in ("_gcl_gb", "FPGCLGB"):
        yield _braid(shape["id"], _at(shape["time"], 1))
    elif name == "_gcl_ag":
        yield _judged("gbraid", shape["id"], IdSource.COOKIE, time=_at(shape["time"], 1))
    else:
        yield _judged("gclid", shape["id"], IdSource.COOKIE, time=_at(shape["time"], 1))


def _meta_cookie(kind: str, value: str) -> Iterator[FoundId]:
    """``fb.<subdomain index>.<created, ms>.<fbclid or random>[.<appendix>]``: four or five segments."""
    parts = value.split(".", 4)
    good = len(parts) in (4, 5) and parts[0] == "fb" and all(p.isascii() and p.isdigit() for p in parts[1:3])
    if good and len(parts) == 5:
        good = _APPENDIX.fullmatch(parts[4]) is not None
    if not good or not _CLEAN.fullmatch(value) or not parts[3]:
        yield _malformed(f"_{kind}", value)
        return
    in_seconds = len(parts[2]) == 10
    time = _at(parts[2], 1 if in_seconds else 1000)
    problem = IdProblem.SECONDS_NOT_MS if in_seconds else None
    yield FoundId(kind, value, IdSource.COOKIE, time, problem)
    if kind == "fbc":
        yield FoundId("fbclid", parts[3], IdSource.COOKIE, time)


def _malformed(cookie: str, value: str) -> FoundId:
    return FoundId(cookie, value, IdSource.COOKIE, None, IdProblem.MALFORMED_COOKIE, usable=False)


def _braid(value: str, time: datetime | None) -> FoundId:
    one = _judged("wbraid", value, IdSource.COOKIE, time=time)
    return FoundId("wbraid", value, IdSource.COOKIE, time, one.problem or IdProblem.GBRAID_OR_WBRAID, one.usable)


def _at(number: str, per_second: int) -> datetime | None:
    """Turn an epoch number into a time; None where it cannot be one."""
    try:
        return datetime.fromtimestamp(int(number) / per_second, tz=UTC)
    except (OverflowError, ValueError, OSError):
        return None


# -- named values (order notes, plugin fields) -------------------------------------------------------------


def find_in_pairs(pairs: Iterable[tuple[str, object]]) -> tuple[FoundId, ...]:
    """Read ids out of named values, as shops and plugins keep them (``_gclid``, ``wpgens_st_gclid``, ``_fbp``).

    A name counts if it ends in an id's name after a separator; the cookies' grammars hold for ``_fbc``,
    ``_fbp``, ``_gcl_aw`` and their like.
    """
    found: list[FoundId] = []
    seen: set[str] = set()
    for name, value in pairs:
        if not isinstance(value, str) or _no_id(value):
            continue
        lowered = name.strip().lower()
        cookie = next((c for c in ("_fbc", "_fbp", "_gcl_aw", "_uetmsclkid", "_ttp") if lowered.endswith(c)), None)
        if cookie is None and lowered in ("fbc", "fbp", "ttp", "gcl_aw", "uetmsclkid"):
            cookie = f"_{lowered}"
        if cookie is not None:
            found += [_moved(one) for one in _from_cookie(cookie, value.strip())]
            continue
        for folded in _BY_FOLDED:
            if lowered == folded or re.search(rf"[^a-z0-9]{re.escape(folded)}$", lowered):
                found.append(_judged(folded, value.strip(), IdSource.META, repeated=folded in seen))
                seen.add(folded)
                break
    return tuple(found)


def click_ids_from_pairs(pairs: Iterable[tuple[str, object]]) -> dict[str, str]:
    """Return column name to id for named values; see `find_in_pairs`."""
    return _first_usable(find_in_pairs(pairs))


def _moved(one: FoundId) -> FoundId:
    return FoundId(one.param, one.value, IdSource.META, one.time, one.problem, one.usable)
