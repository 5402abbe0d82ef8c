"""Stripe payments: API objects, webhook events and the Dashboard's payments export.

Format: Charge, PaymentIntent and Checkout Session of the API; amounts by docs.stripe.com/currencies; the
"payments" CSV of the Dashboard. Read 2026-11-23.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capi_lab.errors import UnknownNameError
from capi_lab.load.clicks import add_click_ids, ids_from_pairs
from capi_lab.load.files import Part, Paths, looks_like_json, read_csv, read_json_records, require_columns
from capi_lab.load.gather import gather
from capi_lab.load.records import Cells, Records
from capi_lab.load.result import Intake, Loaded
from capi_lab.load.signatures import Signature
from capi_lab.load.values import (
    blank_to_missing,
    currency_codes,
    event_times,
    first_and_last,
    money,
    pick,
    repeats,
    text_column,
)
from capi_lab.tables import CONVERSIONS
from capi_lab.words import LoadDrop

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["stripe_payments"]

_OBJECTS = ("object=charge", "object=payment_intent", "object=checkout.session")
SIGNATURES = {
    "stripe_payments": (
        Signature(
            fields=(
                *((kind, "created", "livemode") for kind in _OBJECTS),
                ("id", "amount", "status", "created date (utc)"),
                ("id", "amount", "status", "created (utc)"),
                ("id", "amount", "status", "created date"),
            )
        ),
    ),
}

# Decimal places of an amount in minor units; two for every other currency.
_PLACES = dict.fromkeys(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"], 0
) | dict.fromkeys(["BHD", "JOD", "KWD", "OMR", "TND"], 3)
# On Stripe's list of zero-decimal currencies, yet to be written with two places that are 00 ("special cases").
_TWO_PLACES_BY_EXCEPTION = frozenset({"ISK", "UGX"})
# Which object tells most about a sale, and when it was: a charge is made with the money, a session earlier.
_RANK = {"charge": 0, "payment_intent": 1, "checkout.session": 2}
_PAID = {
    "charge": frozenset({"succeeded"}),
    "payment_intent": frozenset({"succeeded", "requires_capture"}),
    "checkout.session": frozenset({"paid", "no_payment_required"}),
    "csv": frozenset(
        {"paid", "succeeded", "refunded", "partially refunded", "partial refund", "disputed", "uncaptured"}
    ),
}
_OPENED_ONLY = "{n} payments are known by their intent or session alone: the time is when it was opened, not paid"


def stripe_payments(
    path: Paths, *, tz: str | None = None, conversion_id: str = "payment", to: str | Path | None = None
) -> Loaded:
    """Read Stripe payments as the ledger.

    Parameters
    ----------
    path : str, Path or sequence
        JSON of API objects (a list, ``{"data": [...]}``, one object, objects by name, JSON lines) or of webhook
        events around them; or the Dashboard's payments CSV.
    tz : str, optional
        Only for a CSV whose time column does not say ``(UTC)``; the API writes epoch seconds.
    conversion_id : str
        ``"payment"``: the payment intent, else the object's own id. Take what your pixel sends:
        ``"client_reference_id"``, or ``"metadata.NAME"`` for what the site wrote there. The payment's own id
        is kept as ``payment_id``.
    to : str or Path, optional
        Write the rows to this Parquet file instead of holding them.

    Returns
    -------
    Loaded
        Contract ``conversions``, one row per sale; ``event_name`` is ``purchase``. A payment intent, its charges
        and its checkout session are one sale: later rows are counted as ``duplicate_id``, and what only they
        know is taken over. ``value`` is what was captured (authorised, if nothing is captured yet), before
        refunds; ``refunded_value`` is what went back. Amounts of the API are minor units of the currency, of the
        CSV major units. Click ids come from ``metadata``.

    Raises
    ------
    LoadError
        The file cannot be read or holds no Stripe object.
    NaiveTimeError
        The CSV's times carry no zone and ``tz`` is not given.
    UnknownNameError
        ``conversion_id`` is none of the above.

    Notes
    -----
    Cannot be known: anything of the visit, unless the site wrote it into ``metadata`` or
    ``client_reference_id``. A renewal has no visit; only an expanded invoice says that a charge is one
    (dropped as ``renewal``), else charges of invoices are kept and counted in the notes. What belongs to one sale is
    brought together within a file only; over several files the first row of a sale counts.
    """
    if conversion_id not in ("payment", "client_reference_id") and not conversion_id.startswith("metadata."):
        raise UnknownNameError(
            "value of conversion_id=", conversion_id, ["payment", "client_reference_id", "metadata.NAME"]
        )
    return gather(path, lambda part: _payments(part, tz, conversion_id), to=to)


def _payments(path: Part, tz: str | None, conversion_id: str) -> Loaded:
    if looks_like_json(path):
        intake, meta = _from_api(path)
        column = "created"
        if tz is not None:
            intake.note("tz= was not needed: Stripe's times are epoch seconds")
    else:
        intake, meta, column = _from_export(path)
    written_in_utc = column == "created" or "UTC" in column
    intake.drop(intake.frame["_test"], LoadDrop.TEST_ORDER)
    intake.drop(intake.frame["_cancelled"], LoadDrop.CANCELLED)
    intake.drop(~intake.frame["_paid"], LoadDrop.NOT_PAID)
    intake.drop(intake.frame["_renewal"], LoadDrop.RENEWAL)
    intake.drop(intake.frame["payment_id"].isna(), LoadDrop.NO_ID)
    meta = _one_row_per_sale(intake, meta)
    _choose_id(intake, meta, conversion_id)
    times = event_times(intake.frame["_time"], intake, tz="UTC" if written_in_utc else tz, column=column)
    frame = intake.frame.assign(
        event_time=times,
        event_name="purchase",
        event_id=_named(meta, "event_id", intake.frame.index),
        action_source="web",
        origin="real",
    )
    _say_what_is_open(intake)
    found = ids_from_pairs({row: list(meta[row].items()) for row in frame.index if meta[row]}, intake)
    frame = add_click_ids(frame, intake, found=found)
    if len(frame) and not any(meta[row] for row in frame.index):
        intake.note("no payment carries metadata: nothing of the visit is known")
    return intake.loaded(CONVERSIONS, frame[[name for name in frame.columns if not name.startswith("_")]])


def _objects(records: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Unwrap webhook events, and a file that holds one object per name."""
    for record in records:
        inner = record.get("data") if record.get("object") == "event" else record
        inner = inner.get("object") if isinstance(inner, dict) and isinstance(inner.get("object"), dict) else inner
        if isinstance(inner, dict) and "object" not in inner and inner:
            named = [one for one in inner.values() if isinstance(one, dict) and isinstance(one.get("object"), str)]
            if len(named) == len(inner):
                yield from named
                continue
        yield inner if isinstance(inner, dict) else record


def _from_api(path: Part) -> tuple[Intake, dict[Any, dict[str, str]]]:
    import pandas as pd

    raw, unparsable = read_json_records(path, under=("data",))
    records = Records(list(_objects(raw)), unparsable, path, "Stripe objects")
    records.require("object", "id", "created")
    intake, col = records.intake(), records.col

    def reference(name: str) -> pd.Series:
        plain = col(name)
        return pick(col(name, "id"), plain.mask(plain.str.startswith("{")))

    kind = col("object")
    status = col("status").str.lower()
    is_session = kind == "checkout.session"
    paid_word = status.where(~is_session, col("payment_status").str.lower())
    paid = pd.Series(data=False, index=kind.index)
    for name in _RANK:
        paid |= (kind == name) & paid_word.isin(_PAID[name])
    authorised = (kind.eq("charge") & _says(col("captured"), "false")) | status.eq("requires_capture")
    amount = pick(col("amount_captured").where(kind == "charge"), col("amount_received")).mask(authorised)
    currency = currency_codes(col("currency"), intake)
    customer, billing = ("customer_details",), ("billing_details",)
    first_name, last_name = first_and_last(pick(col(*billing, "name"), col(*customer, "name")))
    address = {
        name: pick(col(*billing, "address", name), col(*customer, "address", name))
        for name in ("line1", "city", "state", "postal_code", "country")
    }
    intake.frame = pd.DataFrame(
        {
            "payment_id": pick(reference("payment_intent"), col("id")),
            "_kind": kind,
            "_rank": kind.map(_RANK),
            "_test": _says(col("livemode"), "false"),
            "_cancelled": status.isin({"canceled", "expired"}) & ~kind.eq("charge"),
            "_paid": paid & ~_says(col("paid"), "false"),
            "_renewal": col("invoice", "billing_reason") == "subscription_cycle",
            "_invoiced": kind.eq("charge") & col("invoice").notna() & col("invoice", "billing_reason").isna(),
            "_disputed": _says(col("disputed"), "true"),
            "_authorised": authorised,
            "_time": pick(col("latest_charge", "created"), col("created")),
            "_opened": ~kind.eq("charge") & col("latest_charge", "created").isna(),
            "value": _major_units(pick(amount, col("amount"), col("amount_total")), currency, intake),
            "currency": currency,
            "refunded_value": _major_units(col("amount_refunded"), currency, intake, "refunded amount"),
            "client_reference_id": col("client_reference_id"),
            "checkout_mode": col("mode"),
            "user_key": reference("customer"),
            "email": pick(col("receipt_email"), col(*billing, "email"), col(*customer, "email"), col("customer_email")),
            "phone": pick(col(*billing, "phone"), col(*customer, "phone")),
            "first_name": first_name,
            "last_name": last_name,
            "street": address["line1"],
            "city": address["city"],
            "region": address["state"],
            "postal_code": address["postal_code"],
            "country": address["country"],
        }
    )
    intake.drop(~kind.isin(list(_RANK)) | (col("mode") == "setup"), LoadDrop.OTHER_RECORD)
    meta = {}
    for row, record in enumerate(records.objects):
        pairs = record.get("metadata")
        meta[row] = {str(k): v for k, v in pairs.items() if isinstance(v, str)} if isinstance(pairs, dict) else {}
    return intake, meta


def _from_export(path: Part) -> tuple[Intake, dict[Any, dict[str, str]], str]:
    import pandas as pd

    raw = read_csv(path)
    cells = Cells(raw)
    names = ("Created date (UTC)", "Created (UTC)", "Created date", "Created")
    column = next((name for name in names if cells.has(name)), names[0])
    require_columns(raw, ["id", column, "Amount", "Status"], path, hint="is it Stripe's payments export?")
    intake, col = Intake(path.name, "Stripe payments export (CSV)", raw), cells.col
    status = col("Status").str.lower()
    currency = currency_codes(col("Currency"), intake)
    first_name, last_name = first_and_last(col("Card Name"))
    intake.frame = pd.DataFrame(
        {
            "payment_id": col("PaymentIntent ID", "id"),
            "_kind": "charge",
            "_rank": 0,
            "_test": col("Mode").str.lower() == "test",
            "_cancelled": status.isin({"canceled", "cancelled"}),
            "_paid": status.isin(_PAID["csv"]),
            "_renewal": False,
            "_invoiced": col("Invoice ID").notna(),
            "_disputed": (status == "disputed") | col("Disputed Amount").str.contains(r"[1-9]"),
            "_authorised": _says(col("Captured"), "false") | (status == "uncaptured"),
            "_time": col(column),
            "_opened": False,
            "value": money(col("Amount"), intake),
            "currency": currency,
            "refunded_value": money(col("Amount Refunded"), intake, "refunded amount"),
            "client_reference_id": col("Client Reference ID"),
            "user_key": col("Customer ID"),
            "email": col("Customer Email"),
            "phone": col("Customer Phone"),
            "first_name": first_name,
            "last_name": last_name,
            "street": col("Card Address Line1"),
            "city": col("Card Address City"),
            "region": col("Card Address State"),
            "postal_code": col("Card Address Zip"),
            "country": col("Card Address Country"),
        }
    )
    if not cells.has("Mode"):
        intake.note("no column 'Mode': test payments cannot be told from live ones")
    ending = " (metadata)"
    named = {str(name).removesuffix(ending): col(str(name)) for name in raw.columns if str(name).endswith(ending)}
    meta: dict[Any, dict[str, str]] = {row: {} for row in raw.index}
    for name, values in named.items():
        for row, value in values.dropna().items():
            meta[row][name] = value
    return intake, meta, column


def _says(values: pd.Series, word: str) -> pd.Series:
    return values.str.lower() == word


def _major_units(amounts: pd.Series, currencies: pd.Series, intake: Intake, name: str = "amount") -> pd.Series:
    """Turn whole minor units into major ones; without a currency the unit is unknown and so is the value."""
    whole = blank_to_missing(amounts)
    good = whole.str.fullmatch(r"-?\d+")
    exceptional = currencies.isin(list(_TWO_PLACES_BY_EXCEPTION)) & good
    for rows, text in (
        (whole.notna() & ~good, "is no whole number; left missing"),
        (good & currencies.isna(), "has no currency: unit unknown, left missing"),
        (exceptional, "is in ISK or UGX, read as hundredths as Stripe's special cases say: check one order"),
    ):
        intake.note_count(int(rows.sum()), "{n} rows whose " + f"{name} {text}")
    places = currencies.map(lambda code: _PLACES.get(code, 2), na_action="ignore").astype("float64")
    return whole.where(good).astype("float64") / 10.0**places


def _one_row_per_sale(intake: Intake, meta: dict[Any, dict[str, str]]) -> dict[Any, dict[str, str]]:
    """Fold the objects of one sale into its first by rank, and their metadata with them."""
    frame = intake.frame.sort_values("_rank", kind="stable")
    whole = frame.groupby("payment_id", sort=False).first()
    together: dict[str, dict[str, str]] = {}
    for row, sale in frame["payment_id"].items():
        together[sale] = meta[row] | together.get(sale, {})
    again = repeats(frame["payment_id"])
    intake.drop(again.reindex(intake.frame.index), LoadDrop.DUPLICATE_ID)
    kept = intake.frame["payment_id"]
    intake.frame = whole.loc[kept].reset_index().set_axis(kept.index)
    return {row: together[sale] for row, sale in kept.items()}


def _choose_id(intake: Intake, meta: dict[Any, dict[str, str]], choice: str) -> None:
    frame = intake.frame
    if choice == "payment":
        ids = frame["payment_id"]
    elif choice == "client_reference_id":
        ids = frame["client_reference_id"]
    else:
        ids = _named(meta, choice.removeprefix("metadata."), frame.index)
    intake.frame = frame.assign(conversion_id=ids)
    intake.drop(intake.frame["conversion_id"].isna(), LoadDrop.NO_ID)
    intake.drop(repeats(intake.frame["conversion_id"]), LoadDrop.DUPLICATE_ID)


def _named(meta: dict[Any, dict[str, str]], name: str, index: pd.Index) -> pd.Series:
    return blank_to_missing(text_column([meta[row].get(name) for row in index], index))


def _say_what_is_open(intake: Intake) -> None:
    frame = intake.frame
    for rows, text in (
        (frame["_opened"], _OPENED_ONLY),
        (frame["_authorised"], "{n} payments are authorised, not captured; kept with the authorised amount"),
        (frame["refunded_value"] > 0, "{n} payments were refunded in full or in part; see refunded_value"),
        (frame["_disputed"], "{n} payments are disputed; kept"),
        (frame["_invoiced"], "{n} payments belong to an invoice: first payment or renewal cannot be told; kept"),
    ):
        intake.note_count(int(rows.sum()), text)
