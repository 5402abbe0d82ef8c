"""Put every conversion of the ledger into the one bucket where it ends.

What happened outranks what was meant: an event or a reply decides first, a mark of eligibility only where
nothing was sent. `capi_lab.measure.waterfall` counts the buckets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ibis

from capi_lab.engine import TableLike, as_table, materialise, same_backend, to_frame
from capi_lab.errors import ContractError, InputError
from capi_lab.platforms.route import OutcomeStatus
from capi_lab.reconcile.reconciled import Reconciled
from capi_lab.tables import RECEIPTS, Column, Table
from capi_lab.words import Bucket, Channel, Fate, ReceiptStatus, Setup, Step

__all__ = ["FATES", "STEP_OF", "bucketed", "last_replies", "marks_of", "receipts_of", "strangers"]

_MARKS = Table(
    "marks",
    (
        Column("conversion_id", required=True, unique=True, meaning="the order's own id", is_id=True),
        Column("ineligible_reason", meaning="why it is not to be sent"),
    ),
)
_FLAGS = ("eligible", "matched", "attributed")
_SKIPPED = str(ReceiptStatus.SKIPPED)
_UNKNOWN = "unknown"

# The step at which a bucket's conversions stop. Buckets that are not named here got through all steps.
STEP_OF = {
    Bucket.INELIGIBLE: Step.SERVER,
    Bucket.SKIPPED: Step.SERVER,
    Bucket.NOT_SENT: Step.SERVER,
    Bucket.REJECTED: Step.ACCEPTED,
    Bucket.RETRY: Step.ACCEPTED,
    Bucket.REPLY_UNKNOWN: Step.ACCEPTED,
    Bucket.NO_RECEIPT: Step.ACCEPTED,
    Bucket.OVER_MERGED: Step.COUNTED,
    Bucket.NOT_MATCHED: Step.MATCHED,
    Bucket.MATCH_UNKNOWN: Step.MATCHED,
    Bucket.NOT_ATTRIBUTED: Step.ATTRIBUTED,
    Bucket.ATTRIBUTION_UNKNOWN: Step.ATTRIBUTED,
}
# `skipped` and `not_sent` hang on eligibility as well: see `bucketed`.
FATES = {
    Bucket.INELIGIBLE: Fate.IGNORED,
    Bucket.REJECTED: Fate.FAILED,
    Bucket.RETRY: Fate.FAILED,
    Bucket.REPLY_UNKNOWN: Fate.UNKNOWN,
    Bucket.NO_RECEIPT: Fate.UNKNOWN,
    Bucket.OVER_MERGED: Fate.FAILED,
    Bucket.NOT_MATCHED: Fate.UNTIED,
    Bucket.MATCH_UNKNOWN: Fate.UNKNOWN,
    Bucket.NOT_ATTRIBUTED: Fate.UNTIED,
    Bucket.ATTRIBUTION_UNKNOWN: Fate.UNKNOWN,
}


def last_replies(receipts: ibis.Table, apart: Sequence[str] = (), keep: Sequence[str] = ()) -> ibis.Table:
    """Say in one row per conversion what became of its server copy: ``reply_id``, ``reply``, ``reply_code``.

    An acceptance stands: no API takes one back, and a repeat of an accepted row may well be refused. Otherwise the
    last row by ``sent_at`` counts; a row that was skipped was not sent, and counts only where no other was.
    Ties fall to status and code in alphabetical order, so that row order decides nothing.

    Columns of ``apart`` tell sends of one conversion apart (to two platforms, say); those of ``keep`` come along.
    """
    absent = {"code": ibis.null("string"), "sent_at": ibis.null("timestamp('UTC')")}
    rows = receipts.mutate(**{name: value for name, value in absent.items() if name not in receipts.columns})
    more = list(dict.fromkeys([*apart, *keep]))
    rows = rows.select("conversion_id", "status", "sent_at", *more, code=rows.code.nullif(""))
    rank = ibis.cases((rows.status == str(ReceiptStatus.ACCEPTED), 0), (rows.status == _SKIPPED, 2), else_=1)
    # Whether a value is missing is a key of its own: engines put missing ones at different ends.
    order = [rank, rows.sent_at.isnull(), rows.sent_at.desc(), rows.status, rows.code.isnull(), rows.code]
    rows = rows.mutate(_turn=ibis.row_number().over(group_by=["conversion_id", *apart], order_by=order))
    told = {"reply_id": "conversion_id", "reply": "status", "reply_code": "code"}
    return rows.filter(rows["_turn"] == 0).select(*more, **told)


def bucketed(
    rec: Reconciled, receipts: ibis.Table | None, marks: ibis.Table | None, keep: Sequence[str]
) -> tuple[ibis.Table, list[Step]]:
    """Give every conversion its bucket.

    Parameters
    ----------
    rec : Reconciled
    receipts : Ibis table, optional
        As `receipts_of` gives them.
    marks : Ibis table, optional
        As `marks_of` gives them. A column here stands in place of the ledger's.
    keep : sequence of str
        Columns of the ledger to carry along, under a leading ``_``.

    Returns
    -------
    table : Ibis table
        Each conversion once: ``conversion_id``, ``step``, ``bucket``, ``reason``, ``fate``, ``brought_by``,
        ``seen_pixel``, ``sent``, ``eligible``, ``ineligible_reason``, ``reply``, ``reply_code``, and those of ``keep``.
    steps : list of Step
        Those that can be told with what was given.
    """
    ledger = rec.conversion_table
    measured = [Step.TRUTH, Step.PIXEL, Step.SERVER]
    if Channel.PIXEL not in rec.rule.channels:  # the route has one way in
        ledger = ledger.mutate(seen_pixel=ibis.literal(value=False))
        measured.remove(Step.PIXEL)
    rows = _with_marks(ledger, marks, keep)
    if receipts is None:
        rows = rows.mutate(reply=ibis.null("string"), reply_code=ibis.null("string"), kept_pixel=rows.counted)
    else:
        measured.append(Step.ACCEPTED)
        rows = _with_replies(rows, rec, receipts)
    measured.append(Step.COUNTED)
    measured += [step for step in (Step.MATCHED, Step.ATTRIBUTED) if f"is_{step}" in rows.columns]
    rows = rows.left_join(_causes(rec), [("conversion_id", "pair_id")]).drop("pair_id")
    return materialise(_classified(rows, measured, replied=receipts is not None)), measured


def _with_marks(ledger: ibis.Table, marks: ibis.Table | None, keep: Sequence[str]) -> ibis.Table:
    """Take what is needed of the ledger, and the marks beside it."""
    given = ledger if marks is None else marks
    here = [name for name in (*_FLAGS, "ineligible_reason") if name in given.columns]
    if marks is not None and not set(here) & set(_FLAGS):
        raise InputError(f"marks hold none of the columns {', '.join(_FLAGS)}: see cl.eligible and cl.attribute")
    schema, problems, flags = given.schema(), [], {}
    for name in here:
        whole = name in _FLAGS
        if not (schema[name].is_boolean() if whole else schema[name].is_string()) and not schema[name].is_null():
            problems.append((name, f"is {schema[name]}, must be {'true, false or missing' if whole else 'text'}", None))
        flags[f"is_{name}" if whole else name] = given[name].cast("boolean" if whole else "string")
    if problems:
        raise ContractError("marks" if marks is not None else "conversions", problems)
    if "is_eligible" not in flags:
        flags["is_eligible"] = ibis.null("boolean")
    if "ineligible_reason" not in flags:
        flags["ineligible_reason"] = ibis.null("string")
    needed: dict[str, Any] = {name: name for name in ("conversion_id", "seen_pixel", "seen_capi", "counted")}
    needed |= {f"_{name}": name for name in keep}
    if marks is None:
        return ledger.select(**needed, **flags)
    beside = given.select(mark_id="conversion_id", **flags)
    return ledger.select(**needed).left_join(beside, [("conversion_id", "mark_id")]).drop("mark_id")


def receipts_of(rec: Reconciled, receipts: TableLike) -> ibis.Table:
    """Check receipts and leave out those of other platforms."""
    given = as_table(receipts, RECEIPTS, beside=rec.conversion_table)
    same_backend(rec.conversion_table, given)
    if "platform" in given.columns:
        given = given.filter(given.platform.isnull() | (given.platform == rec.platform))
    return given


def marks_of(rec: Reconciled, marks: TableLike) -> ibis.Table:
    """Check marks: ``conversion_id`` and any of ``eligible``, ``ineligible_reason``, ``matched``, ``attributed``."""
    given = as_table(marks, _MARKS, beside=rec.conversion_table)
    same_backend(rec.conversion_table, given)
    return given


def strangers(rec: Reconciled, given: ibis.Table) -> int:
    """Count rows of receipts or marks whose conversion the ledger does not have."""
    unknown = given.anti_join(rec.conversion_table, "conversion_id")
    return int(to_frame(unknown.aggregate(n=unknown.count()))["n"].iloc[0])


def _with_replies(rows: ibis.Table, rec: Reconciled, receipts: ibis.Table) -> ibis.Table:
    """Lay the platform's replies, and the pixel's kept events, beside the conversions."""
    events = rec.event_table
    kept = events.filter((events.channel == str(Channel.PIXEL)) & events.kept & events.conversion_id.notnull())
    kept = kept.group_by(kept_id=kept.conversion_id).aggregate(kept_pixel=kept.count())
    rows = rows.left_join(last_replies(receipts), [("conversion_id", "reply_id")]).drop("reply_id")
    rows = rows.left_join(kept, [("conversion_id", "kept_id")]).drop("kept_id")
    return rows.mutate(kept_pixel=rows.kept_pixel.fill_null(0))


def _causes(rec: Reconciled) -> ibis.Table:
    """Why a pair was not counted once, one row per pair."""
    return rec.pair_table.select(pair_id="conversion_id", cause="cause")


def _classified(rows: ibis.Table, measured: list[Step], *, replied: bool) -> ibis.Table:
    """Write the buckets as one expression; the first case that holds is the bucket."""
    pixel, logged, reply = rows.seen_pixel, rows.seen_capi, rows.reply
    eligible = rows.is_eligible
    tried = reply.isin([str(status) for status in OutcomeStatus]).fill_null(False)
    sent = logged | tried
    taken = (reply == str(ReceiptStatus.ACCEPTED)).fill_null(False) if replied else logged
    refused = reply.isin([str(ReceiptStatus.REJECTED), str(ReceiptStatus.RETRY)]).fill_null(False)
    arrived = pixel | taken
    beside = sent & ~refused  # the server's copy is with the platform, or may be
    # The replay takes every logged event for received. A copy the platform refused was not: the pixel's then counts.
    alone = ibis.greatest(rows.kept_pixel, 1)
    copies = ibis.ifelse(pixel & refused & logged & (rows.counted > 0), alone, rows.counted)
    unreplayed = pixel & beside & ~logged  # known by its receipt only, so no dedup rule was replayed over it
    merged_away = (pixel | logged) & (copies == 0) & ~unreplayed
    nothing = ~pixel & ~sent

    tied = []
    for step, no, open_ in (
        (Step.MATCHED, Bucket.NOT_MATCHED, Bucket.MATCH_UNKNOWN),
        (Step.ATTRIBUTED, Bucket.NOT_ATTRIBUTED, Bucket.ATTRIBUTION_UNKNOWN),
    ):
        if step in measured:
            tied += [(rows[f"is_{step}"].isnull(), str(open_)), (~rows[f"is_{step}"], str(no))]
    rows = rows.mutate(
        sent=sent,
        bucket=ibis.cases(
            (nothing & ~eligible.fill_null(True), str(Bucket.INELIGIBLE)),
            (nothing & (reply == _SKIPPED).fill_null(False), str(Bucket.SKIPPED)),
            (nothing, str(Bucket.NOT_SENT)),
            (~arrived & (reply == str(ReceiptStatus.REJECTED)).fill_null(False), str(Bucket.REJECTED)),
            (~arrived & (reply == str(ReceiptStatus.RETRY)).fill_null(False), str(Bucket.RETRY)),
            (~arrived & (reply == str(ReceiptStatus.UNKNOWN)).fill_null(False), str(Bucket.REPLY_UNKNOWN)),
            (~arrived, str(Bucket.NO_RECEIPT)),
            (merged_away, str(Bucket.OVER_MERGED)),
            *tied,
            (unreplayed, str(Bucket.NOT_REPLAYED)),
            (copies > 1, str(Bucket.DOUBLE_COUNTED)),
            (pixel & beside, str(Bucket.DEDUPLICATED)),
            (pixel, str(Bucket.PIXEL_ONLY)),
            else_=str(Bucket.SERVER_ONLY),
        ),
        brought_by=ibis.cases(
            (pixel & beside, str(Setup.BOTH)),
            (pixel, str(Setup.PIXEL)),
            (taken, str(Setup.CAPI)),
            else_=ibis.null("string"),
        ),
    )
    bucket = rows.bucket
    by_code = [str(b) for b in (Bucket.SKIPPED, Bucket.REJECTED, Bucket.RETRY, Bucket.REPLY_UNKNOWN)]
    by_cause = [str(Bucket.OVER_MERGED), str(Bucket.DOUBLE_COUNTED)]
    is_eligible = rows.is_eligible
    missed = ibis.ifelse(is_eligible.isnull(), str(Fate.UNKNOWN), str(Fate.FAILED))
    skipped = ibis.ifelse(is_eligible.isnull(), str(Fate.IGNORED), str(Fate.FAILED))
    not_told = ibis.ifelse(is_eligible.isnull(), "eligibility_unknown", _UNKNOWN)
    rows = rows.mutate(
        step=bucket.cases(*[(str(b), str(step)) for b, step in STEP_OF.items()], else_=str(measured[-1])),
        fate=ibis.cases(
            (bucket == str(Bucket.NOT_SENT), missed),
            (bucket == str(Bucket.SKIPPED), skipped),
            *[(bucket == str(b), str(fate)) for b, fate in FATES.items()],
            else_=str(Fate.THROUGH),
        ),
        reason=ibis.cases(
            (bucket == str(Bucket.INELIGIBLE), rows.ineligible_reason.nullif("").fill_null(_UNKNOWN)),
            (bucket == str(Bucket.NOT_SENT), not_told),
            (bucket.isin(by_code), rows.reply_code.fill_null(_UNKNOWN)),
            (bucket.isin(by_cause), rows.cause.fill_null(_UNKNOWN)),
            else_=ibis.null("string"),
        ),
    )
    result = ["conversion_id", "step", "bucket", "reason", "fate", "brought_by", "seen_pixel", "sent"]
    kept = [name for name in rows.columns if name.startswith("_")]
    return rows.select(*result, "ineligible_reason", "reply", "reply_code", *kept, eligible="is_eligible")
