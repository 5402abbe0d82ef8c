"""Normalise and hash match keys: one value (the reference) and a whole column (equal to it, fast).

Never hashed twice: what is a digest already is passed on. Never hashed at all: nothing, placeholders, and
keys the platform wants in clear text. Measured speed and the command for it: ``benchmarks/``.
"""

from __future__ import annotations

import math
from collections import Counter
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

from capi_lab.errors import InputError
from capi_lab.identity.digests import EMPTY_DIGESTS, DigestForm, Encoding, encode, hex_digest, recognise
from capi_lab.identity.fast import fast_query
from capi_lab.identity.geography import country_code
from capi_lab.identity.rules import KeyRule, key_rule
from capi_lab.identity.text import has_surrogates, trim

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "as_text",
    "hash_by_rule",
    "hash_column",
    "hash_column_by_rule",
    "hash_value",
    "hashing_rule",
    "normalise",
    "normalise_by_rule",
]

# Below this many rows the engine's start costs more than it saves.
_FEW = 500
_MISSING = frozenset({"NoneType", "NAType", "NaTType"})


def normalise(value: object, key: str, platform: str, country: str | None = None) -> str | None:
    """Bring one value into the form a platform hashes, or takes in clear text.

    Parameters
    ----------
    value : str, missing, or date for ``date_of_birth``
    key : str
        A match key: ``"email"``, ``"phone"``, ...
    platform : str
        Whose rule: the same person has different forms on different platforms.
    country : str, optional
        Country of the row (code or name): reads national phone numbers, postcodes, regions, dates.

    Returns
    -------
    str or None
        None where there is nothing to send. A value that is already a digest comes back as one.

    Raises
    ------
    UnknownNameError
        No such platform or match key, or one the platform does not take.
    InputError
        ``value`` is not text.
    """
    return normalise_by_rule(as_text(value, key), key_rule(platform, key), country_code(as_text(country, "country")))


def hash_value(value: object, key: str, platform: str, country: str | None = None) -> str | None:
    """Normalise one value and hash it: SHA-256 of the UTF-8 bytes, 64 lower-case hex digits.

    The reference that `hash_column` is tested against.

    Parameters
    ----------
    value, key, platform, country
        As for `normalise`.

    Returns
    -------
    str or None
        None where there is nothing to send; never the digest of nothing. 64 hex digits are passed on in lower case.

    Raises
    ------
    UnknownNameError, InputError
        As `normalise`; also where the platform takes the key in clear text, which `normalise` gives.
    """
    return hash_by_rule(as_text(value, key), hashing_rule(platform, key), country_code(as_text(country, "country")))


def hash_column(values: pd.Series, key: str, platform: str, country: str | pd.Series | None = None) -> pd.Series:
    """Hash a column: row by row what `hash_value` gives.

    Parameters
    ----------
    values : Series
        Text; missing stays missing.
    key, platform : str
    country : str or Series, optional
        One for all rows, or one per row with the same index.

    Returns
    -------
    Series
        ``str`` with the index and name of ``values``; missing where there is nothing to send.

    Raises
    ------
    UnknownNameError, InputError
        As `hash_value`; the message counts rows and never shows one.
    """
    return hash_column_by_rule(values, hashing_rule(platform, key), country, key=key)


def normalise_by_rule(value: str | None, rule: KeyRule, country: str | None) -> str | None:
    """Normalise by a rule given as a value; ``country`` is alpha-2."""
    if value is None:
        return None
    if rule.hashed and (found := recognise(value)) is not None:
        form, digest = found
        if form in rule.accepts:
            if digest in EMPTY_DIGESTS:
                return None
            return digest + trim(value)[64:] if form is DigestForm.BUILDER else encode(digest, rule.encoding)
        if not rule.opaque:
            return None
    return rule.apply(value, country)


def hash_by_rule(value: str | None, rule: KeyRule, country: str | None) -> str | None:
    """Hash by a rule given as a value; ``country`` is alpha-2."""
    normalised = normalise_by_rule(value, rule, country)
    if value is None or normalised is None:
        return None
    found = recognise(value)
    if found is not None and found[0] in rule.accepts:
        return normalised
    return encode(hex_digest(normalised), rule.encoding)


def as_text(value: object, key: str) -> str | None:
    """Return text or None for missing; dates become text for the one key that is a date."""
    if isinstance(value, str):
        return str(value)
    # By name: a scalar must not cost the import of pandas.
    if value is None or type(value).__name__ in _MISSING or (isinstance(value, float) and math.isnan(value)):
        return None
    if key == "date_of_birth" and isinstance(value, date):
        return value.isoformat()[:10]
    raise InputError(f"match key '{key}' is {type(value).__name__}, must be text: numbers lose leading zeros")


def hashing_rule(platform: str, key: str) -> KeyRule:
    """Return the rule of a key the platform takes hashed; `InputError` for one it takes in clear text."""
    rule = key_rule(platform, key)
    if not rule.hashed:
        raise InputError(f"{platform} takes '{key}' in clear text, never hashed: use normalise(...)")
    return rule


def hash_column_by_rule(
    values: pd.Series, rule: KeyRule, country: str | pd.Series | None = None, *, key: str = "value"
) -> pd.Series:
    """Hash a column by a rule given as a value."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    texts = _as_arrow(values, key)
    codes, regions = _regions(country, values, uses_country=rule.apply.uses_country)
    if len(regions) == 1:
        digests = _hash_texts(texts, rule, regions[0])
    else:
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(regions)))
        parts = [
            _hash_texts(texts.take(pa.array(rows)), rule, region)
            for rows, region in zip(np.split(order, ends[:-1]), regions, strict=True)
        ]
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        digests = pa.chunked_array([chunk for part in parts for chunk in part.chunks], type=pa.large_string())
        digests = digests.take(pa.array(back))
    dtype = pd.StringDtype("pyarrow", na_value=np.nan)
    return pd.Series(dtype.__from_arrow__(digests), index=values.index, name=values.name)


def _regions(country: str | pd.Series | None, values: pd.Series, *, uses_country: bool) -> tuple[Any, list[str | None]]:
    """Return per row the number of its country, and the countries."""
    import pandas as pd

    if not isinstance(country, pd.Series):
        if country is not None and not isinstance(country, str):
            raise InputError("country must be one text for all rows, or a Series with one per row")
        return None, [country_code(country) if uses_country else None]
    if not country.index.equals(values.index):
        raise InputError("the country Series has another index than the values: take both from one table")
    if not uses_country:
        return None, [None]
    spellings, names = pd.factorize(country)
    by_spelling = pd.Series([country_code(as_text(name, "country")) for name in names] + [None], dtype="object")
    codes, regions = pd.factorize(by_spelling, use_na_sentinel=False)
    # The last spelling is "missing", which factorize numbers -1.
    return codes[spellings], [region if isinstance(region, str) else None for region in regions]


def _as_arrow(values: pd.Series, key: str) -> Any:
    """Return the column as one Arrow text array; half characters become missing, as in the scalar."""
    import pandas as pd
    import pyarrow as pa

    if not isinstance(values, pd.Series):
        raise InputError(f"match key '{key}' must come as a pandas Series")
    if isinstance(values.dtype, pd.StringDtype) or pd.api.types.infer_dtype(values, skipna=True) == "string":
        try:
            array = pa.array(values, from_pandas=True)
            array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
            return array.cast(pa.large_string())
        except (UnicodeEncodeError, pa.ArrowException):  # half characters, or a categorical
            pass
    objects = values.astype("object")
    odd = Counter(type(value).__name__ for value in objects if not _may_be_text(value, key))
    if odd:
        raise InputError(
            f"match key '{key}' holds {odd.total():,} values that are not text ({', '.join(sorted(odd))}): "
            "read the column with dtype=str, numbers lose leading zeros"
        )
    texts = [as_text(value, key) for value in objects]
    return pa.array([None if t is not None and has_surrogates(t) else t for t in texts], type=pa.large_string())


def _may_be_text(value: object, key: str) -> bool:
    try:
        as_text(value, key)
    except InputError:
        return False
    return True


def _hash_texts(texts: Any, rule: KeyRule, country: str | None) -> Any:
    """Hash Arrow text whose rows share a country: clear cases by the engine, the rest once per distinct value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    query = fast_query(rule.normaliser, country, "hash_texts")
    if query is None or len(texts) < _FEW:
        digests = pa.chunked_array([pa.nulls(len(texts), pa.large_string())])
    else:
        digests = _hash_clear(texts, rule, query)
    unclear = pc.and_(pa.array(digests.is_null().to_numpy()), pc.is_valid(texts))
    rest = texts.filter(unclear)
    if len(rest) == 0:
        return digests
    distinct = rest.dictionary_encode()
    hashed = pa.array(
        [hash_by_rule(text, rule, country) for text in distinct.dictionary.to_pylist()],
        type=pa.large_string(),
    ).take(distinct.indices)
    # Chunk by chunk: joining them first would copy every digest.
    chunks, row, taken = [], 0, 0
    for chunk in digests.chunks:
        mask = unclear.slice(row, len(chunk))
        chunks.append(pc.replace_with_mask(chunk, mask, hashed.slice(taken, mask.true_count)))
        row, taken = row + len(chunk), taken + mask.true_count
    return pa.chunked_array(chunks, type=pa.large_string())


def _hash_clear(texts: Any, rule: KeyRule, query: str) -> Any:
    """Hash what is clear; null for what the scalar function has to look at."""
    import pyarrow as pa

    # A cursor of our own sees no other thread's column of the same name.
    cursor = _engine().cursor()
    cursor.register("hash_texts", pa.table({"x": texts}))
    # One text to search, because the engine would make a join of a list this long.
    empty = " ".join(sorted(EMPTY_DIGESTS))
    is_digest = f"strlen(x) = 64 AND regexp_full_match(x, '[0-9a-fA-F]{{64}}') AND NOT contains('{empty}', lower(x))"
    # No text of any row is in the query.
    query = f"SELECT coalesce(sha256(n), CASE WHEN {is_digest} THEN lower(x) END) AS h FROM ({query})"  # noqa: S608
    if rule.encoding is Encoding.BASE64:
        query = f"SELECT to_base64(unhex(h)) AS h FROM ({query})"  # noqa: S608
    digests = cursor.sql(query).to_arrow_table().column("h")
    cursor.close()
    return digests if digests.num_chunks else pa.chunked_array([], type=pa.large_string())


@cache
def _engine() -> Any:
    """Return a DuckDB of our own: the package's shared one is a layer above."""
    import duckdb

    engine = duckdb.connect()
    # Digests of a long column pass the 2 GB that short offsets can address.
    engine.execute("SET arrow_large_buffer_size = true")
    return engine
