"""Contracts of the tables everything exchanges, and the one function that checks them.

A contract is data (`Table`, `Column`); two runners read it: `checked` for a DataFrame (pandera inside,
our error outside) and `capi_lab.engine` for Parquet, Arrow and Ibis inputs. Extra columns pass through.

Times are ``datetime64[us, UTC]``; ids are text; money is float64 major units beside an ISO-4217 code;
country is ISO-3166 alpha-2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from capi_lab.errors import ContractError, NaiveTimeError, UnknownNameError
from capi_lab.words import Channel, Consent, IdSource, Origin, ReceiptStatus

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CLICKS",
    "CLICK_ID_COLUMNS",
    "CONVERSIONS",
    "EVENTS",
    "MATCH_KEY_COLUMNS",
    "RECEIPTS",
    "REPORTS",
    "SEGMENT_COLUMNS",
    "TABLES",
    "VISITS",
    "Column",
    "Table",
    "checked",
    "contract",
    "in_contract_order",
]

Kind = Literal["text", "time", "number"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a contract.

    Parameters
    ----------
    name, kind : str
        ``kind`` is ``text`` (str), ``time`` (datetime64[us, UTC]) or ``number`` (float64).
    required : bool
        The column must be present and never missing.
    unique : bool
        No two rows share a value.
    allowed : tuple of str
        The only values there may be; empty for any.
    meaning : str
        One line for the docs.
    is_id : bool
        Equal values mean the same thing or person: an empty text is then no value but a missing one.
    """

    name: str
    kind: Kind = "text"
    required: bool = False
    unique: bool = False
    allowed: tuple[str, ...] = ()
    meaning: str = ""
    is_id: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A contract.

    Parameters
    ----------
    name : str
    columns : tuple of Column
        In the order they are printed.
    """

    name: str
    columns: tuple[Column, ...]

    def column(self, name: str) -> Column:
        """Return the column called ``name``; `UnknownNameError` lists those there are."""
        for column in self.columns:
            if column.name == name:
                return column
        raise UnknownNameError("column", name, [c.name for c in self.columns])

    @property
    def names(self) -> tuple[str, ...]:
        """All column names."""
        return tuple(column.name for column in self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns that must be there."""
        return tuple(column.name for column in self.columns if column.required)


MATCH_KEY_COLUMNS = (
    "email", "phone", "first_name", "last_name", "gender", "date_of_birth", "street", "city", "region",
    "postal_code", "country", "external_id", "client_ip", "user_agent",
)  # fmt: skip
CLICK_ID_COLUMNS = (
    "gclid", "gbraid", "wbraid", "fbclid", "fbc", "fbp", "ttclid", "ttp", "msclkid", "li_fat_id",
)  # fmt: skip
SEGMENT_COLUMNS = ("browser", "os", "device", "channel")

_MATCH_KEYS = tuple(
    Column(name, meaning="match key, raw or already hashed", is_id=name == "external_id") for name in MATCH_KEY_COLUMNS
)
_CLICK_IDS = tuple(Column(name, meaning="click or browser id, byte for byte", is_id=True) for name in CLICK_ID_COLUMNS)
_SEGMENTS = tuple(Column(name, meaning="segment") for name in SEGMENT_COLUMNS)
_CONSENT = tuple(Consent)

CONVERSIONS = Table(
    "conversions",
    (
        Column("conversion_id", required=True, unique=True, meaning="the order's own id", is_id=True),
        Column("event_name", required=True, meaning="canonical, lower case: purchase, lead, ..."),
        Column("event_time", "time", required=True, meaning="when it happened"),
        Column("value", "number", meaning="major units of `currency`"),
        Column("currency", meaning="ISO 4217, upper case"),
        Column("event_id", meaning="the id both channels share", is_id=True),
        Column("user_key", meaning="own stable user id; clusters intervals", is_id=True),
        *_MATCH_KEYS,
        *_CLICK_IDS,
        Column("click_time", "time", meaning="when the click id was first seen"),
        Column("consent_ad_user_data", allowed=_CONSENT),
        Column("consent_ad_personalization", allowed=_CONSENT),
        Column("action_source", allowed=("web", "app", "store", "phone", "email", "chat", "other")),
        Column("page_url", meaning="page of the conversion"),
        Column("referrer_url", meaning="referrer of that page"),
        Column("items", meaning="line items as JSON text"),
        *_SEGMENTS,
        Column("origin", allowed=tuple(Origin)),
    ),
)
"""The ledger: what really happened, one row per conversion."""

EVENTS = Table(
    "events",
    (
        Column("row_id", required=True, unique=True, meaning="id of this report", is_id=True),
        Column("channel", required=True, allowed=tuple(Channel), meaning="who reported it"),
        Column("platform", meaning="to which ad platform; missing where not bound to one"),
        Column("event_name", required=True, meaning="as reported, spelling kept"),
        Column("event_id", meaning="the id both channels share", is_id=True),
        Column("event_time", "time", required=True, meaning="when it happened, as reported"),
        Column("received_time", "time", meaning="when the platform or collector received it"),
        Column("conversion_id", meaning="order or transaction id the event carries", is_id=True),
        Column("value", "number", meaning="major units of `currency`"),
        Column("currency", meaning="ISO 4217, upper case"),
        *_MATCH_KEYS,
        *_CLICK_IDS,
        Column("click_time", "time", meaning="when the click id was first seen"),
        Column("user_key", meaning="own stable user id", is_id=True),
        Column("visitor_id", meaning="browser id of the collecting tool", is_id=True),
        Column("page_url", meaning="page of the event"),
        Column("referrer_url", meaning="referrer of that page"),
        Column("consent_ad_user_data", allowed=_CONSENT),
        *(column for column in _SEGMENTS if column.name != "channel"),
        Column("origin", allowed=tuple(Origin)),
    ),
)
"""One row per event as one channel reported it. Rows are marked, never deleted."""

CLICKS = Table(
    "clicks",
    (
        Column("click_row_id", required=True, unique=True, meaning="id of this row", is_id=True),
        Column("platform", required=True, meaning="whose click id it is"),
        Column("param", required=True, meaning="gclid, fbclid, ..."),
        Column("click_id", required=True, meaning="the id, byte for byte", is_id=True),
        Column("click_time", "time", required=True, meaning="when the click was first seen"),
        Column("id_source", allowed=tuple(IdSource), meaning="where the id was found"),
        Column("visitor_id", meaning="browser id of the collecting tool", is_id=True),
        Column("user_key", meaning="own stable user id", is_id=True),
        Column("landing_url", meaning="landing page"),
        Column("user_agent"),
        Column("client_ip"),
        Column("origin", allowed=tuple(Origin)),
    ),
)
"""One row per ad click seen on arrival."""

VISITS = Table(
    "visits",
    (
        Column("visit_row_id", required=True, unique=True, meaning="id of this page view", is_id=True),
        Column("visit_time", "time", required=True, meaning="time of the request"),
        Column("page_url", meaning="the page asked for"),
        Column("referrer_url", meaning="the page before"),
        Column("status", meaning="HTTP status"),
        Column("user_agent"),
        Column("client_ip"),
        *_CLICK_IDS,
        Column("visitor_id", meaning="browser id of the collecting tool", is_id=True),
        Column("user_key", meaning="own stable user id", is_id=True),
        Column("origin", allowed=tuple(Origin)),
    ),
)
"""One row per page view, with or without a click id: the denominator of click-id survival."""

REPORTS = Table(
    "reports",
    (
        Column("platform", required=True),
        Column("day", "time", required=True, meaning="midnight UTC of the reported day"),
        Column("metric", required=True, allowed=("received", "accepted", "matched", "attributed")),
        Column("stratum", allowed=("click_id", "pii_only", "ip_only", "none", "all")),
        Column("count", "number", required=True),
        Column("low", "number", meaning="lower end where the platform gives a bucket"),
        Column("high", "number", meaning="upper end where the platform gives a bucket"),
    ),
)
"""What a platform says back, aggregated."""

RECEIPTS = Table(
    "receipts",
    (
        Column("conversion_id", required=True, meaning="the order's own id", is_id=True),
        Column("status", required=True, allowed=tuple(map(str, ReceiptStatus))),
        Column("code", meaning="the platform's own, or why the row was skipped"),
        Column("attempts", "number", meaning="times the row was sent"),
        Column("sent_at", "time", meaning="when it was sent last; missing where it was not"),
        Column("request_id", meaning="the platform's id of the request"),
        Column("platform", meaning="to which ad platform; missing where not bound to one"),
    ),
)
"""What became of the rows of a send; a row that was sent again may stand there again."""

TABLES = {table.name: table for table in (CONVERSIONS, EVENTS, CLICKS, VISITS, REPORTS, RECEIPTS)}


def contract(kind: str) -> Table:
    """Return a contract.

    Parameters
    ----------
    kind : str
        Its name, e.g. ``conversions``.

    Returns
    -------
    Table

    Raises
    ------
    UnknownNameError
        No such contract; the message lists those there are.
    """
    try:
        return TABLES[kind]
    except KeyError:
        raise UnknownNameError("table kind", kind, TABLES) from None


def in_contract_order(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Put the contract's columns first; extra ones keep their order behind them.

    Parameters
    ----------
    frame : DataFrame
    table : Table

    Returns
    -------
    DataFrame
    """
    known = [name for name in table.names if name in frame.columns]
    return frame[known + [name for name in frame.columns if name not in set(known)]]


def checked(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    """Check a frame against its contract and return it in the contract's types.

    Parameters
    ----------
    table : Table
        E.g. `EVENTS`.
    frame : DataFrame
        Any row index. Columns outside the contract pass through untouched.

    Returns
    -------
    DataFrame
        A new frame with the same rows in the same order; text as ``str``, times as
        ``datetime64[us, UTC]``, numbers as float64. No conversion here can lose information; an empty id
        becomes a missing one, or unrelated rows would share it.

    Raises
    ------
    ContractError
        Names every column that fails, the check, and how many rows; never a value.
    NaiveTimeError
        A time column has no zone.
    """
    absent = [(name, "column is missing", None) for name in table.required if name not in frame.columns]
    if absent:
        raise ContractError(table.name, absent)
    repeated = sorted(frame.columns[frame.columns.duplicated()].astype(str).unique())
    if repeated:
        raise ContractError(table.name, [(name, "column name appears twice", None) for name in repeated])
    problems: list[tuple[str, str, int | None]] = []
    typed: dict[str, pd.Series] = {}
    for column in table.columns:
        if column.name not in frame.columns:
            continue
        series, problem = _in_type(column, frame[column.name])
        if problem:
            problems.append((column.name, problem, None))
        else:
            typed[column.name] = series
    if problems:
        raise ContractError(table.name, problems)
    result = frame.assign(**typed)
    _validate(table, result)
    return result


def _in_type(column: Column, series: pd.Series) -> tuple[pd.Series, str]:
    """Convert where nothing can be lost; else say what is wrong."""
    import pandas as pd
    from pandas.api import types

    dtype = series.dtype
    if column.kind == "text":
        if series.isna().all():
            known = len(series) == 0 or isinstance(dtype, pd.StringDtype)
            return series.astype("str") if known else _all_missing(series), ""
        if isinstance(dtype, pd.CategoricalDtype):
            series = series.astype("object")
            dtype = series.dtype
        if dtype == "object":
            if not series.dropna().map(lambda value: isinstance(value, str)).all():
                return series, "holds values that are not text: read this column as text (dtype=str)"
            series = series.astype("str")
        if types.is_string_dtype(dtype):
            series = series.astype("str")
            if column.is_id and (empty := series == "").any():
                series = series.mask(empty)
            return series, ""
        return series, f"is {dtype}, must be text: read it as text (dtype=str), numbers lose leading zeros"
    if column.kind == "time":
        if isinstance(dtype, pd.DatetimeTZDtype):
            return series.dt.tz_convert("UTC").dt.as_unit("us"), ""
        if types.is_datetime64_dtype(dtype):
            raise NaiveTimeError(
                f"table column '{column.name}' has times without a zone: use .dt.tz_localize(zone), "
                "or load the file with tz="
            )
        if series.isna().all():
            return pd.Series(pd.NaT, index=series.index, dtype="datetime64[us, UTC]"), ""
        return series, f"is {dtype}, must be datetime64[us, UTC]: convert with pandas.to_datetime(utc=True)"
    if types.is_bool_dtype(dtype) or not (types.is_numeric_dtype(dtype) or series.isna().all()):
        return series, f"is {dtype}, must be a number"
    return series.astype("float64"), ""


def _all_missing(series: pd.Series) -> pd.Series:
    import pandas as pd

    return pd.Series([None] * len(series), index=series.index, dtype="str")


def _validate(table: Table, frame: pd.DataFrame) -> None:
    """Run the value checks in pandera, whatever the environment says, and re-raise without values."""
    if _keeps(table, frame):  # pandera, slow to import and to run, has only to say what is wrong, and how often
        return
    from pandera.config import ValidationDepth, config_context
    from pandera.errors import SchemaErrors

    try:
        # PANDERA_VALIDATION_ENABLED=False in somebody's shell must not switch our contracts off.
        # Its configuration is one for all threads.
        always = config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA)
        with _ONE_AT_A_TIME, always:
            _schema(table).validate(frame, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases
        cases = cases[~(cases["check"].eq("field_uniqueness") & cases["failure_case"].isna())]  # counted as missing
        counts = cases.groupby(["column", "check"], dropna=False, sort=True).size()
        failures = [(str(name), _CHECKS.get(str(check), str(check)), int(n)) for (name, check), n in counts.items()]
        if failures:
            raise ContractError(table.name, failures) from None


def _keeps(table: Table, frame: pd.DataFrame) -> bool:
    """Say whether nothing in a frame is missing, repeated or unheard of; a test holds pandera's word against it."""
    for column in table.columns:
        if column.name in frame.columns:
            values = frame[column.name]
            empty, again = column.required and values.hasnans, column.unique and not values.is_unique
            if empty or again or (column.allowed and not set(values.dropna().unique()) <= set(column.allowed)):
                return False
    return True


_ONE_AT_A_TIME = Lock()
_CHECKS = {
    "not_nullable": "value is missing: drop or fill these rows",
    "field_uniqueness": "value is not unique: drop or rename repeated rows",
}


@cache
def _schema(table: Table) -> Any:
    """Build the pandera schema of a contract once."""
    import pandera.pandas as pa

    def one(column: Column) -> Any:
        checks = [
            pa.Check(
                lambda series, allowed=column.allowed: series.isin(allowed),
                error=f"value is not one of {', '.join(column.allowed)}",
            )
        ]
        return pa.Column(
            nullable=not column.required,
            unique=column.unique,
            report_duplicates="exclude_first",  # the rows to mend, as the query of `capi_lab.engine` counts them
            required=column.required,
            checks=checks if column.allowed else None,
        )

    return pa.DataFrameSchema({column.name: one(column) for column in table.columns}, name=table.name)
