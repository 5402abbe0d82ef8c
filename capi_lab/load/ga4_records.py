"""Columns out of the objects of GA4's BigQuery export, all at once or one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from capi_lab.errors import LoadError
from capi_lab.load.files import Part, read_json_lines
from capi_lab.load.json_columns import JsonColumns, as_text, json_columns, json_pieces
from capi_lab.load.lines import arrow_text, text_series
from capi_lab.load.records import Records, listed
from capi_lab.load.values import blank_to_missing, pick, text_column
from capi_lab.words import Consent

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FORMAT", "consent", "event_columns", "joined", "lines_of_events", "no_zero", "params_of"]

FORMAT = "GA4 BigQuery export"
_TYPED = ("string_value", "int_value", "float_value", "double_value")
_EVENT_KEY = ("user_pseudo_id", "event_timestamp", "event_name", "event_bundle_sequence_id", "batch_event_index")
_PARAMS = (
    "event_id", "transaction_id", "value", "currency", "ga_session_id", "page_location", "page_referrer", "gclid"
)  # fmt: skip
_SHAPE = {
    **dict.fromkeys((*_EVENT_KEY, "user_id", "event_date"), str),
    "event_params": [{"key": str, "value": dict(zip(_TYPED, (str, str, float, float), strict=True))}],
    "ecommerce": {"transaction_id": str, "purchase_revenue": float},
    "collected_traffic_source": {"gclid": str, "dclid": str},
    "privacy_info": {"ads_storage": str},
    "device": {"category": str, "operating_system": str, "browser": str, "web_info": {"browser": str}},
    "geo": {"country": str},
}


def lines_of_events(part: Part) -> tuple[pd.DataFrame, int]:
    """Read a part of JSON lines into the columns of `event_columns`.

    Returns
    -------
    frame : DataFrame
        Index: number of the line, from 0.
    unparsable : int
    """
    import pandas as pd

    # All at once where that is sure to give the same, else line by line; damaged pieces may hold no row.
    pieces = list(json_pieces(part, _all_at_once, _line_by_line))
    frame = pd.concat([frame for frame, _ in pieces if len(frame)] or [pieces[0][0]])
    return frame, sum(n for _, n in pieces)


def _all_at_once(part: Part) -> tuple[pd.DataFrame, int]:
    columns = json_columns(part, _SHAPE)
    return event_columns(columns.col, _params_at_once(columns)).set_axis(columns.numbers - 1), 0


def _line_by_line(part: Part) -> tuple[pd.DataFrame, int]:
    import pandas as pd

    try:
        objects, numbers, unparsable = read_json_lines(part)
    except LoadError:  # not a single object: counted, and for the caller to judge
        objects, numbers, unparsable = [], [], sum(1 for line in (part.data or b"").split(b"\n") if line.strip())
    records = Records(objects, unparsable, part, FORMAT)
    return event_columns(records.col, params_of(objects)).set_axis(pd.Index(numbers, dtype="int64") - 1), unparsable


def event_columns(col: Callable[..., pd.Series], param: Callable[[str], pd.Series]) -> pd.DataFrame:
    """Read the columns of an event out of fields, by path, and parameters, by name."""
    import pandas as pd

    return pd.DataFrame(
        {
            "row_id": joined([col(name) for name in _EVENT_KEY]),
            "event_name": col("event_name"),
            "event_id": param("event_id"),
            "_time": col("event_timestamp"),
            "conversion_id": no_zero(pick(col("ecommerce", "transaction_id"), param("transaction_id"))),
            "_value": pick(col("ecommerce", "purchase_revenue"), param("value")),
            "_currency": param("currency"),
            "visitor_id": col("user_pseudo_id"),
            "user_key": col("user_id"),
            "session_id": param("ga_session_id"),
            "page_url": param("page_location"),
            "referrer_url": param("page_referrer"),
            "gclid": pick(col("collected_traffic_source", "gclid"), param("gclid")),
            "_dclid": col("collected_traffic_source", "dclid"),
            "consent_ad_user_data": consent(col("privacy_info", "ads_storage")),
            "browser": pick(col("device", "web_info", "browser"), col("device", "browser")),
            "os": col("device", "operating_system"),
            "device": col("device", "category"),
            "country_name": col("geo", "country"),
            "event_date": col("event_date"),
        }
    )


def joined(parts: list[pd.Series]) -> pd.Series:
    """Join texts by a slash; what is missing is empty."""
    import pyarrow.compute as pc

    texts = [arrow_text(part) for part in parts]
    return text_series(
        pc.binary_join_element_wise(*texts, "/", null_handling="replace", null_replacement=""), parts[0].index
    )


def consent(storage: pd.Series) -> pd.Series:
    """Read what GA4 says about consent to ad storage."""
    return storage.str.lower().map({"yes": str(Consent.GRANTED), "no": str(Consent.DENIED)}).astype("str")


def _params_at_once(columns: JsonColumns) -> Callable[[str], pd.Series]:
    """Do what `_params` does, to Arrow columns."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    lists = columns.nested("event_params")
    entries = pc.list_flatten(lists)
    keys, values = pc.struct_field(entries, "key"), pc.struct_field(entries, "value")
    wanted = pc.and_(pc.is_in(keys, pa.array(_PARAMS)), values.is_valid())
    rows, keys, values = (one.filter(wanted) for one in (pc.list_parent_indices(lists), keys, values))
    texts = pc.coalesce(*(as_text(pc.struct_field(values, kind)) for kind in _TYPED))
    coded = keys.dictionary_encode()
    codes, rows = coded.indices.to_numpy(), rows.to_numpy()
    names = coded.dictionary.to_pylist()

    def param(name: str) -> pd.Series:
        at = np.full(len(columns.numbers), -1)
        if name in names:
            found = np.flatnonzero(codes == names.index(name))[::-1]
            at[rows[found]] = found  # the first of a name in an event is written last
        return blank_to_missing(text_series(texts.take(pa.array(at, mask=at < 0))))

    return param


def params_of(objects: list[dict[str, Any]]) -> Callable[[str], pd.Series]:
    """Return how to get a parameter of every object as text."""
    flat = [_flat_params(record) for record in objects]
    return lambda name: blank_to_missing(text_column([one.get(name) for one in flat]))


def _flat_params(record: dict[str, Any]) -> dict[str, Any]:
    """Flatten ``event_params``; one key can switch its typed field from row to row."""
    flat: dict[str, Any] = {}
    for entry in _repeated(record.get("event_params")):
        if not isinstance(entry, dict) or not isinstance(entry.get("value"), dict):
            continue
        value = next((entry["value"][kind] for kind in _TYPED if entry["value"].get(kind) is not None), None)
        flat.setdefault(str(entry.get("key")), value)
    return flat


def _repeated(value: Any) -> list[Any]:
    """Return a repeated field; some Parquet writers wrap it as ``{"list": [{"element": ...}]}``."""
    if isinstance(value, dict) and isinstance(value.get("list"), list):
        return [one.get("element", one.get("item")) if isinstance(one, dict) else one for one in value["list"]]
    return listed(value)


def no_zero(ids: pd.Series) -> pd.Series:
    """Make the id ``0``, which stands for none, missing."""
    return ids.mask(ids == "0")
