"""Requests a server logged, to page views of people and the ad clicks among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from capi_lab.errors import UnknownNameError
from capi_lab.load.addresses import bots, client_addresses
from capi_lab.load.clicks import add_click_ids, as_clicks, ids_in_urls
from capi_lab.load.files import Part, Paths
from capi_lab.load.gather import gather
from capi_lab.load.lines import arrow_text, bytes_of, text_series
from capi_lab.load.parquet import Repeat
from capi_lab.load.result import Intake, Loaded
from capi_lab.load.values import blank_to_missing, repeats
from capi_lab.tables import VISITS
from capi_lab.words import LoadDrop

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["REQUEST", "Column", "Requests", "page_views", "refuse_unknown_kind", "requests_loaded"]

REQUEST = r"^(?P<method>[A-Z]+) (?P<target>\S+) HTTP/[\d.]+$"
"""The request line as logs write it; anything else is no visit."""

Column: TypeAlias = "Callable[[str, np.ndarray], Any]"
"""Name of a column and positions of requests to those requests' texts, as an Arrow column."""


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests of a log, whose texts are only made for the rows that need them.

    Parameters
    ----------
    intake : Intake
        One row per request, no columns, a `RangeIndex`.
    time : ndarray of datetime64[us]
        UTC.
    is_get : ndarray of bool
        False for other methods and for malformed requests.
    column : callable
        Texts of ``row`` (an id), ``page_url``, ``referrer_url``, ``status``, ``user_agent``, ``client_ip``, ``cookie``;
        placeholders such as ``-`` may still be in them.
    """

    intake: Intake
    time: np.ndarray
    is_get: np.ndarray
    column: Column

    @classmethod
    def of_frame(cls, intake: Intake) -> Requests:
        """Take requests from a frame that holds these columns, ``time`` and ``method``, and empty it."""
        import pandas as pd
        import pyarrow as pa

        frame = intake.frame.reset_index(drop=True)
        intake.frame = pd.DataFrame(index=frame.index)
        time = frame["time"].dt.tz_localize(None).to_numpy()
        is_get = (frame["method"] == "GET").to_numpy()
        return cls(intake, time, is_get, lambda name, rows: arrow_text(frame[name]).take(pa.array(rows)))


SAME_CLICK = Repeat(
    keys=("param", "click_id", "client_ip", "user_agent"),
    reason=LoadDrop.REPEATED_CLICK,
    time="click_time",
    seconds=60,
    order="click_row_id",
)
"""A redirect hop and its target are one click."""

_ANSWERED = r"(?s)^[23]..$"
_STATIC = (
    r"(?i)^[^?#]*\.(?:css|js|mjs|map|png|jpe?g|gif|svg|ico|webp|avif|woff2?|ttf|eot|otf|mp[34]|webm|pdf|zip|gz|xml|txt"
    r"|json)(?:[?#]|$)"
)
_EXTENSION_LENGTHS = range(2, 6)  # of those


def refuse_unknown_kind(kind: str) -> None:
    """Raise `UnknownNameError` unless ``kind`` is a table a request log can become."""
    if kind not in ("clicks", "visits"):
        raise UnknownNameError("kind of access log table", kind, ["clicks", "visits"])


def requests_loaded(
    path: Paths,
    parsed: Callable[[Part], Requests],
    *,
    kind: str,
    to: str | Path | None = None,
) -> Loaded:
    """Read request logs part by part as one of the two tables; see `capi_lab.load.gather.gather`.

    Parameters
    ----------
    path : str, Path or sequence
    parsed : callable
        `Part` to `Requests`.
    kind : {"clicks", "visits"}
    to : str or Path, optional
    """
    clicks = kind == "clicks"
    loaded = gather(
        path,
        lambda part: page_views(parsed(part), kind),
        split="lines",
        to=to,
        also=[SAME_CLICK] if clicks else [],
    )
    if to is not None or not clicks:
        return loaded
    return Loaded(loaded.df.sort_values(["click_time", "click_row_id"], ignore_index=True), loaded.report)


def page_views(requests: Requests, kind: str) -> Loaded:
    """Keep page views of people and make one of the two tables.

    Parameters
    ----------
    requests : Requests
    kind : {"clicks", "visits"}

    Returns
    -------
    Loaded
        Contract ``clicks`` or ``visits``; repeated clicks are still in it, to be judged over all parts.
    """
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    intake, column = requests.intake, requests.column

    def rows() -> np.ndarray:
        places: np.ndarray = intake.frame.index.to_numpy()
        return places

    # Each reason is asked only of what the ones before left, and a text is made only for rows that are asked.
    _drop(intake, np.isnat(requests.time), LoadDrop.NO_TIME)
    _drop(intake, ~requests.is_get[rows()], LoadDrop.NOT_A_VISIT)  # HEAD, POST, and malformed requests
    agents = _Coded(column("user_agent", rows()), rows())
    _drop(intake, agents.each(bots(agents.distinct).to_numpy()), LoadDrop.BOT)
    status = _Coded(column("status", rows()), rows())
    _drop(intake, ~status.each(status.distinct.str.contains(_ANSWERED).to_numpy()), LoadDrop.HTTP_STATUS)
    asked, urls = rows(), column("page_url", rows())
    _drop(intake, _are_static(urls), LoadDrop.STATIC_FILE)
    ids = None
    if kind == "clicks":  # most views have none, and their other texts need not be made
        views = rows()
        ids = ids_in_urls(text_series(urls.take(pa.array(np.searchsorted(asked, views))), views), intake)
        _drop(intake, ~np.isin(views, ids["row"].to_numpy()), LoadDrop.NO_CLICK_ID)
    kept = rows()
    urls = urls.take(pa.array(np.searchsorted(asked, kept)))
    addresses, referrers = _Coded(column("client_ip", kept), kept), _Coded(column("referrer_url", kept), kept)
    frame = intake.frame.assign(
        row=text_series(column("row", kept), kept),
        time=pd.Series(requests.time[kept], kept).dt.tz_localize("UTC"),
        page_url=text_series(urls, kept),
        referrer_url=referrers.texts(kept),
        status=status.texts(kept),
        user_agent=agents.texts(kept),
        client_ip=client_addresses(addresses.texts(kept), intake),
    )
    if kind == "visits":
        return _visits(intake, frame, blank_to_missing(text_series(column("cookie", kept), kept)))
    intake.frame = frame.rename(columns={"page_url": "landing_url"})
    return as_clicks(intake, same=None, ids=ids)


def _drop(intake: Intake, flags: np.ndarray, reason: LoadDrop) -> None:
    import pandas as pd

    intake.drop(pd.Series(flags, index=intake.frame.index), reason)


def _are_static(urls: Any) -> np.ndarray:
    """Say which URLs are of files that are parts of pages; only those with a dot at the right place are looked at."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    text, offsets = bytes_of(urls)
    static = np.zeros(len(urls), bool)
    if not len(text):
        return static
    starts, ends = offsets[:-1], offsets[1:]
    marks = np.flatnonzero((text == ord("?")) | (text == ord("#")))
    ends = np.minimum(np.append(marks, len(text))[np.searchsorted(marks, starts)], ends)
    for length in _EXTENSION_LENGTHS:
        dots = ends - length - 1
        static |= (dots >= starts) & (text[np.maximum(dots, 0)] == ord("."))
    rows = np.flatnonzero(static)
    matches = pc.match_substring_regex(urls.take(pa.array(rows)), _STATIC)
    static[rows] = matches.fill_null(False).to_numpy(zero_copy_only=False)
    return static


class _Coded:
    """Texts of some rows, each distinct one once; placeholders are missing."""

    def __init__(self, texts: Any, rows: np.ndarray) -> None:
        coded = texts.dictionary_encode()
        # The last one is for rows without a text.
        self.distinct = blank_to_missing(text_series(coded.dictionary).reindex(range(len(coded.dictionary) + 1)))
        self._codes, self._rows = coded.indices.fill_null(len(coded.dictionary)).to_numpy(), rows

    def each(self, values: np.ndarray) -> np.ndarray:
        """Spread a value of every distinct text over the rows."""
        each: np.ndarray = values[self._codes]
        return each

    def texts(self, rows: np.ndarray) -> pd.Series:
        """Return the texts of some of the rows; both ascend."""
        import numpy as np

        return self.distinct.take(self._codes[np.searchsorted(self._rows, rows)]).set_axis(rows)


def _visits(intake: Intake, frame: pd.DataFrame, cookies: pd.Series) -> Loaded:
    intake.frame = frame
    again = repeats(frame["row"])
    intake.drop(again, LoadDrop.DUPLICATE_ID)
    visits = add_click_ids(intake.frame, intake, urls=intake.frame["page_url"], cookies=cookies[~again])
    return intake.loaded(VISITS, visits.rename(columns={"time": "visit_time", "row": "visit_row_id"}))
