"""Click ids of whole columns of URLs and cookies: all at once where a URL is plain, one by one where it is not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from capi_lab.identity.clickids import (
    CLEAN_ID,
    NESTED_PARAMETERS,
    NO_VALUE,
    URL_PARAMETERS,
    FoundId,
    IdProblem,
    find_in_cookies,
    find_in_url,
)
from capi_lab.words import IdSource

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["click_id_frame"]

_NAMES = "|".join(re.escape(name.lower()) for name in URL_PARAMETERS)
_NESTED = "|".join(sorted(NESTED_PARAMETERS))
_URL_HINT = f"(?i){_NAMES}|{_NESTED}"
_COOKIE_HINT = "_fb[cp]|_gcl_|_gac_|FPGCL|_uetmsclkid|li_fat_id|ttclid|_ttp"
# No fragment, no address in brackets: the query is what stands behind the first question mark.
_PLAIN_URL = r'^[!"$-Z\\^-~]*$'
# Nothing to look into, no encoded name, no encoded id.
_ODD_PAIR = f"(?i)[?&](?:(?:{_NESTED})=|[^=&]*%|(?:{_NAMES})=[^&]*%)"
_ID_PAIR = f"(?i)^(?P<name>{_NAMES})=(?P<value>.*)$"
_NOTHING = r"(?i)^(?:0|\{\{.*\}\}|" + "|".join(re.escape(text) for text in sorted(NO_VALUE)) + ")$"


def click_id_frame(
    urls: pd.Series | None = None, cookies: pd.Series | None = None
) -> tuple[pd.DataFrame, Counter[str]]:
    """Read the ids of a whole column of URLs and, after them, of cookies.

    Parameters
    ----------
    urls, cookies : Series of str, optional
        Same index where both are given.

    Returns
    -------
    frame : DataFrame
        One row per id found and usable: ``row`` (index label), ``param``, ``click_id``, ``id_source``,
        ``click_time`` (datetime64[us, UTC]; missing for ids out of a URL: theirs is the request's time).
        The first per row and param only, URL before cookie.
    problems : Counter
        `IdProblem` to number of ids.

    Notes
    -----
    The same ids as `find_in_url` and `find_in_cookies` find text by text; tests hold the two against each other.
    """
    import pandas as pd

    problems: Counter[str] = Counter()
    frames = []
    for column, read in ((urls, _in_urls), (cookies, _in_cookies)):
        if column is None:
            continue
        found = read(column)
        if found.empty:
            continue
        problems.update(found["problem"].dropna().tolist())
        found = found[found["usable"]]
        frames.append(found.assign(row=column.index.take(found["at"])))
    frame = pd.concat(frames) if frames else _one_by_one([], find_in_url).assign(row=[])
    frame = frame[["row", "param", "click_id", "id_source", "click_time"]]
    return frame.drop_duplicates(["row", "param"], ignore_index=True), problems


def _in_urls(urls: pd.Series) -> pd.DataFrame:
    """Read plain URLs by columns, the others one by one."""
    import pandas as pd
    import pyarrow.compute as pc

    texts = _arrow(urls)
    rows = _where(pc.match_substring_regex(texts, _URL_HINT))
    if not len(rows):
        return pd.DataFrame()
    texts = texts.take(rows)
    plain = pc.match_substring_regex(texts, _PLAIN_URL)
    plain = pc.and_not(plain, pc.match_substring_regex(texts, _ODD_PAIR))
    if pc.all(plain).as_py():
        return _all_at_once(rows, texts)
    odd = pc.invert(plain)
    some = _all_at_once(rows.filter(plain), texts.filter(plain))
    more = _one_by_one(zip(rows.filter(odd).to_pylist(), texts.filter(odd).to_pylist(), strict=True), find_in_url)
    return pd.concat([one for one in (some, more) if len(one)] or [some]).sort_values("at", kind="stable")


def _in_cookies(cookies: pd.Series) -> pd.DataFrame:
    """Read the headers that hold a cookie of interest, one by one."""
    import pandas as pd
    import pyarrow.compute as pc

    texts = _arrow(cookies)
    rows = _where(pc.match_substring_regex(texts, _COOKIE_HINT))
    if not len(rows):
        return pd.DataFrame()
    return _one_by_one(zip(rows.to_pylist(), texts.take(rows).to_pylist(), strict=True), find_in_cookies)


def _all_at_once(rows: Any, urls: Any) -> pd.DataFrame:
    """Do what `find_in_url` does to plain URLs."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    pieces = pc.split_pattern(pc.extract_regex(urls, r"^[^?]*(?:\?(?P<query>.*))?$").field("query"), "&")
    parents, pieces = pc.list_parent_indices(pieces), pc.list_flatten(pieces)
    known = pc.match_substring_regex(pieces, _ID_PAIR)
    pairs = pc.extract_regex(pieces.filter(known), _ID_PAIR)
    written = pairs.field("name").dictionary_encode()
    values = pairs.field("value")
    names = written.dictionary.to_pylist()
    params = pa.array([name.lower() for name in names], pa.large_string())
    frame = pd.DataFrame(
        {
            "at": rows.take(parents.filter(known)).to_numpy(),
            "param": pd.array(params.take(written.indices), dtype="str"),
            "click_id": pd.array(values.cast(pa.large_string()), dtype="str"),
            "exact": np.array([name in URL_PARAMETERS for name in names], bool)[written.indices.to_numpy()],
            "nothing": pc.match_substring_regex(values, _NOTHING).to_numpy(zero_copy_only=False),
            "clean": pc.match_substring_regex(values, f"^{CLEAN_ID}$").to_numpy(zero_copy_only=False),
        }
    )
    several = frame.duplicated(["at", "param"], keep=False)
    if several.any():
        # A name in its exact spelling comes before the same name in another.
        exact = frame[frame["exact"]].set_index(["at", "param"]).index
        frame = frame[frame["exact"] | ~pd.MultiIndex.from_frame(frame[["at", "param"]]).isin(exact)]
    frame = frame[~frame["nothing"]]
    again = frame.duplicated(["at", "param"])
    damaged = ~frame["clean"]
    problem = pd.Series(None, index=frame.index, dtype="object")
    problem[again], problem[damaged] = str(IdProblem.REPEATED), str(IdProblem.DAMAGED)
    frame = frame.assign(
        id_source=str(IdSource.URL),
        click_time=pd.Series(pd.NaT, index=frame.index, dtype="datetime64[us, UTC]"),
        problem=problem.astype("str"),
        usable=~(damaged | again),
    )
    return frame.drop(columns=["exact", "nothing", "clean"]).astype({"id_source": "str"})


def _one_by_one(texts: Iterable[tuple[int, str]], find: Callable[[str], tuple[FoundId, ...]]) -> pd.DataFrame:
    """Look into every distinct text."""
    import pandas as pd

    memory: dict[str, tuple[FoundId, ...]] = {}
    found: list[tuple[int, FoundId]] = []
    for at, text in texts:
        ids = memory.get(text)
        if ids is None:
            ids = memory[text] = find(text)
        found += [(at, one) for one in ids]
    times = pd.Series([one.time for _, one in found], dtype="object")
    return pd.DataFrame(
        {
            "at": pd.Series([at for at, _ in found], dtype="int64"),
            "param": pd.Series([one.param for _, one in found], dtype="str"),
            "click_id": pd.Series([one.value for _, one in found], dtype="str"),
            "id_source": pd.Series([str(one.source) for _, one in found], dtype="str"),
            "click_time": pd.to_datetime(times, utc=True).dt.as_unit("us"),
            "problem": pd.Series([one.problem and str(one.problem) for _, one in found], dtype="str"),
            "usable": pd.Series([one.usable for _, one in found], dtype="bool"),
        }
    )


def _arrow(column: pd.Series) -> Any:
    import pyarrow as pa

    array = pa.array(column.array, pa.large_string())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _where(flags: Any) -> Any:
    """Positions of the true ones, as an Arrow column."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.indices_nonzero(pc.fill_null(flags, False)).cast(pa.int64())
