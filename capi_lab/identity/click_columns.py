"""Click ids of whole columns of URLs and cookies: all at once where a URL is plain, one by one where it is not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
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
    import numpy as np
    import pandas as pd

__all__ = ["click_id_frame"]

_URL_HINT = "(?i)" + "|".join([*(re.escape(name.lower()) for name in URL_PARAMETERS), *sorted(NESTED_PARAMETERS)])
_COOKIE_HINT = "_fb[cp]|_gcl_|_gac_|FPGCL|_uetmsclkid|li_fat_id|ttclid|_ttp"
# No fragment, no address in brackets: the query is what stands behind the first question mark.
_PLAIN = r'[!"$-Z\\^-~]'
_NOTHING = r"(?i)^(?:0|\{\{.*\}\}|" + "|".join(re.escape(text) for text in sorted(NO_VALUE)) + ")$"
_LONGEST_NOTHING = max(map(len, NO_VALUE))


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
        found = found[found["usable"]] if len(problems) else found
        frames.append(found.assign(row=column.index.take(found["at"])))
    frame = pd.concat(frames) if frames else _one_by_one([], find_in_url).assign(row=[])
    frame = frame[["row", "param", "click_id", "id_source", "click_time"]]
    # Out of one column, what repeats a parameter is no usable id.
    both = len(frames) > 1
    return frame.drop_duplicates(["row", "param"], ignore_index=True) if both else frame.reset_index(
        drop=True
    ), problems


def _in_urls(urls: pd.Series) -> pd.DataFrame:
    """Read plain URLs by columns, the others one by one."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = _arrow(urls)
    texts = texts.fill_null("") if texts.null_count else texts
    pairs = _Pairs(texts)
    some = _all_at_once(pairs) if len(pairs.equals) else pd.DataFrame()
    rows = np.flatnonzero(pairs.odd)
    texts = texts.take(pa.array(rows))
    hinted = pc.match_substring_regex(texts, _URL_HINT)
    rows, texts = rows[hinted.to_numpy(zero_copy_only=False)], texts.filter(hinted)
    if not len(rows):
        return some
    more = _one_by_one(zip(rows.tolist(), texts.to_pylist(), strict=True), find_in_url)
    return pd.concat([one for one in (some, more) if len(one)] or [more]).sort_values("at", kind="stable")


class _Pairs:
    """Parameters of plain URLs whose names are of ids, by their places in one run of bytes.

    Attributes
    ----------
    text : ndarray of uint8
    odd : ndarray of bool
        Of each URL, whether it must be read by itself: it has a fragment, a bracket or a character that is none of
        a plain URL, an encoded name, an encoded id, or a URL in a parameter. None of its parameters is here.
    row, name, equals, end, number, exact : ndarray
        Of each parameter: URL, places of its name, of what stands behind that and of its end, which of
        `URL_PARAMETERS` it is, and whether in that spelling.
    """

    def __init__(self, urls: Any) -> None:
        """Find them in an Arrow column of large_string without nulls."""
        import numpy as np

        offsets = (
            np.frombuffer(urls.buffers()[1], "int64", len(urls) + 1, 8 * urls.offset)
            if len(urls)
            else np.zeros(1, "int64")
        )
        first, last = offsets[0], offsets[-1]
        self.text = text = np.frombuffer((urls.buffers()[2] if len(urls) else b"") or b"", "uint8")[first:last]
        starts, ends = offsets[:-1] - first, offsets[1:] - first

        def row_of(places: np.ndarray) -> np.ndarray:
            rows: np.ndarray = np.searchsorted(starts, places, side="right") - 1
            return rows

        def there(mark: str) -> np.ndarray:
            places: np.ndarray = np.flatnonzero(text == ord(mark))
            return places

        self.odd = np.zeros(len(starts), bool)
        self.odd[row_of(np.flatnonzero(~_bytes_of(_PLAIN)[text]))] = True
        questions, equals, escapes = there("?"), there("="), there("%")
        # A query begins behind the first question mark, its other pieces behind ampersands.
        at = np.searchsorted(questions, starts)
        query = np.append(questions, len(text))[at]
        begins = there("&")
        begins = begins[begins > query[row_of(begins)]]
        begins = np.sort(np.concatenate([query[query < ends], begins]))
        row = row_of(begins)
        end = np.minimum(np.append(begins[1:], len(text)), ends[row])
        equals = np.append(equals, len(text))[np.searchsorted(equals, begins)]
        named = equals < end  # a piece without an equals sign says nothing
        row, name, equals, end = row[named], begins[named] + 1, equals[named], end[named]

        number, exact, nested = np.full(len(row), -1), np.zeros(len(row), bool), np.zeros(len(row), bool)
        fold, length = _folded(), equals - name
        initial = fold[text[name]]
        for nth, word in enumerate([*URL_PARAMETERS, *sorted(NESTED_PARAMETERS)]):
            wanted = np.frombuffer(word.encode(), "uint8")
            here = np.flatnonzero((length == len(word)) & (initial == fold[wanted[0]]))
            spelled = text[name[here][:, None] + np.arange(len(word))]
            same = (fold[spelled] == fold[wanted]).all(axis=1)
            if nth < len(URL_PARAMETERS):
                number[here[same]] = nth
                exact[here] |= (spelled == wanted).all(axis=1)
            else:
                nested[here[same]] = True
        known = number >= 0
        if len(escapes):
            escaped = [np.searchsorted(escapes, place) for place in (name, equals, end)]
            nested |= (escaped[0] < escaped[1]) | (known & (escaped[1] < escaped[2]))
        self.odd[row[nested]] = True
        good = known & ~self.odd[row]
        self.row, self.name, self.equals, self.end = row[good], name[good], equals[good], end[good]
        self.number, self.exact = number[good], exact[good]


@cache
def _bytes_of(pattern: str) -> np.ndarray:
    """Say of each byte whether it is an ASCII character of a class."""
    import numpy as np

    return np.array([code < 128 and re.fullmatch(pattern, chr(code)) is not None for code in range(256)])


@cache
def _folded() -> np.ndarray:
    """Return each byte in lower case."""
    import numpy as np

    return np.frombuffer(bytes(range(256)).lower(), "uint8")


def _in_cookies(cookies: pd.Series) -> pd.DataFrame:
    """Read the headers that hold a cookie of interest, one by one."""
    import pandas as pd
    import pyarrow.compute as pc

    texts = _arrow(cookies)
    rows = _where(pc.match_substring_regex(texts, _COOKIE_HINT))
    if not len(rows):
        return pd.DataFrame()
    return _one_by_one(zip(rows.to_pylist(), texts.take(rows).to_pylist(), strict=True), find_in_cookies)


def _all_at_once(pairs: _Pairs) -> pd.DataFrame:
    """Do what `find_in_url` does to plain URLs."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    bounds = np.empty(2 * len(pairs.row), "int64")
    bounds[::2], bounds[1::2] = pairs.equals + 1, pairs.end
    pieces = pa.LargeStringArray.from_buffers(len(bounds) - 1, pa.py_buffer(bounds), pa.py_buffer(pairs.text))
    values = pieces.take(pa.array(np.arange(0, len(bounds), 2)))
    length = pairs.end - pairs.equals - 1
    nothing = (length <= _LONGEST_NOTHING) | (pairs.text[np.minimum(pairs.equals + 1, len(pairs.text) - 1)] == ord("{"))
    perhaps = np.flatnonzero(nothing)
    nothing[perhaps] = pc.match_substring_regex(values.take(pa.array(perhaps)), _NOTHING).to_numpy(zero_copy_only=False)
    ends = np.cumsum(length)
    dirty = ~_bytes_of(CLEAN_ID)[np.frombuffer(values.buffers()[2] or b"", "uint8", ends[-1])]
    clean = length > 0
    clean[np.searchsorted(ends, np.flatnonzero(dirty), side="right")] = False
    names = pa.array([name.lower() for name in URL_PARAMETERS], pa.large_string())
    frame = pd.DataFrame(
        {
            "at": pairs.row,
            "param": pd.array(names.take(pa.array(pairs.number)), dtype="str"),
            "click_id": pd.array(values, dtype="str"),
            "exact": pairs.exact,
            "clean": clean,
        }
    )
    several = bool((np.diff(pairs.row) == 0).any())
    if several:
        # A name in its exact spelling comes before the same name in another.
        exact = frame[frame["exact"]].set_index(["at", "param"]).index
        less = ~frame["exact"] & pd.MultiIndex.from_frame(frame[["at", "param"]]).isin(exact)
        frame, nothing = frame[~less], nothing[~less]
    frame = frame[~nothing] if nothing.any() else frame
    again = frame.duplicated(["at", "param"]) if several else pd.Series(data=False, index=frame.index)
    damaged = ~frame["clean"]
    problem = pd.Series(None, index=frame.index, dtype="str")
    problem[again], problem[damaged] = str(IdProblem.REPEATED), str(IdProblem.DAMAGED)
    frame = frame.assign(
        id_source=_constant(str(IdSource.URL), len(frame)),
        click_time=pd.Series(pd.NaT, index=frame.index, dtype="datetime64[us, UTC]"),
        problem=problem,
        usable=~(damaged | again),
    )
    return frame.drop(columns=["exact", "clean"])


def _constant(text: str, n: int) -> Any:
    import pandas as pd
    import pyarrow as pa

    return pd.array(pa.repeat(pa.scalar(text, pa.large_string()), n), dtype="str")


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
