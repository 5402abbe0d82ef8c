"""Corrections: what turned out otherwise after a conversion was sent, for the platforms that take it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from capi_lab.engine import TableLike, as_table, to_frame
from capi_lab.errors import ContractError, NotSupportedError, UnknownNameError
from capi_lab.platforms import platform as platform_named
from capi_lab.platforms.checks import utc
from capi_lab.platforms.rows import checked_settings
from capi_lab.platforms.sending import Correction
from capi_lab.send.bodies import CONVERSION, encoder, letters, pieces
from capi_lab.send.held import Held
from capi_lab.send.outbox import Outbox
from capi_lab.send.parcels import KEY, digests, micros
from capi_lab.send.planned import Plan
from capi_lab.send.planning import first_that_applies, look_back, plan_rows, resends, soonest_first, was_erased
from capi_lab.send.target import account_name, refuse_untrue, target_of
from capi_lab.send.words import PlanAction, PlanReason, SendState
from capi_lab.tables import CONVERSIONS, checked
from capi_lab.words import Consent, Ineligible

__all__ = ["correct"]

_FAR = pd.Timedelta(days=36_500)


def correct(
    corrections: TableLike,
    platform: str,
    *,
    kind: str,
    settings: Mapping[str, str],
    outbox: Outbox | str | Path,
    now: datetime,
    route: str | None = None,
    host: str | None = None,
    batch_rows: int | None = None,
) -> Plan:
    """Plan corrections of conversions that were sent. Nothing leaves until `capi_lab.send`.

    Parameters
    ----------
    corrections : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        The conversions as they were sent, with their new ``value`` and a column ``correction_time``: when it turned
        out so. What names a conversion at the platform (order id, click id and time, hashes) must be unchanged.
    platform : str
    kind : str
        ``retract`` (a refund, a cancelled order) or ``restate`` (another value).
    settings : mapping
    outbox : Outbox, str or Path
        Only what it knows to be accepted is corrected.
    now : datetime
        With a zone.
    route : str, optional
        Default: the platform's default route.
    host : str, optional
        As for `capi_lab.plan`.
    batch_rows : int, optional
        As for `capi_lab.plan`.

    Returns
    -------
    Plan

    Raises
    ------
    NotSupportedError
        The platform takes no such correction; the message says what to do instead.
    ContractError
        The table breaks its contract, or ``correction_time`` is no time.
    InputError
        As for `capi_lab.plan`.
    """
    wire, clock = platform_named(platform).wire(route), utc(now)
    facts = wire.route
    try:
        wanted = Correction(kind)
    except ValueError:
        raise UnknownNameError("kind of correction", kind, list(Correction)) from None
    if wanted not in facts.corrections.kinds:
        raise NotSupportedError(f"{facts.title} takes no '{wanted}': {facts.corrections.note}")
    chosen = checked_settings(facts, settings)
    given = corrections if isinstance(corrections, pd.DataFrame) else to_frame(as_table(corrections, CONVERSIONS))
    frame = checked(CONVERSIONS, given)
    _check_times(frame)
    target, account = target_of(host), account_name(facts, chosen)
    box = outbox if isinstance(outbox, Outbox) else Outbox(outbox)
    keys = digests(frame["conversion_id"])
    base = look_back(box, wire, account, CONVERSION, keys, live=target.live)
    past = look_back(box, wire, account, str(wanted), keys, live=target.live)
    ends = frame["event_time"] + (
        _FAR if facts.corrections.max_age is None else pd.Timedelta(facts.corrections.max_age)
    )
    denied = _is(frame, "consent_ad_user_data", Consent.DENIED)
    lacking = frame["value"].isna().to_numpy() if "value" in frame else np.ones(len(frame), dtype=bool)
    worthless = lacking & (wanted is Correction.RESTATE)
    version = np.zeros(len(frame), dtype="uint64")
    written = np.flatnonzero(~denied & ~worthless & base.is_(SendState.ACCEPTED))
    encode = encoder(wire, chosen, str(wanted))
    for piece in pieces(len(written), facts.limits.batch_rows):
        packed = b"".join(one.versions for one in letters(encode(frame.iloc[written[piece]]), facts))
        version[written[piece]] = np.frombuffer(packed, dtype="<u8")
    same, doubt = version == past.version, past.is_(SendState.UNKNOWN)
    safe = doubt & same & resends(facts)
    done = past.is_(SendState.ACCEPTED) & (same | (wanted is Correction.RETRACT))
    skip, hold, send = PlanAction.SKIP, PlanAction.HOLD, PlanAction.SEND
    cases = [
        (was_erased(frame, box), skip, PlanReason.ERASED),
        (base.is_(SendState.UNKNOWN), hold, PlanReason.OUTCOME_UNKNOWN),
        (~base.is_(SendState.ACCEPTED), skip, PlanReason.NOT_SENT_BEFORE),
        (done, skip, PlanReason.ALREADY_ACCEPTED),
        (past.is_(SendState.IN_FLIGHT), hold, PlanReason.IN_FLIGHT),
        (doubt & ~safe, hold, PlanReason.OUTCOME_UNKNOWN),
        (denied, skip, Ineligible.CONSENT_DENIED),
        (worthless, skip, Ineligible.MISSING_FIELD),
        ((ends < clock).to_numpy(dtype=bool), skip, PlanReason.TOO_OLD_TO_CORRECT),
        (safe, send, PlanReason.SAFE_RESEND),
        (past.is_(SendState.PENDING) & (past.not_before > micros(clock)), hold, PlanReason.WAITING),
        (past.is_(SendState.REJECTED) & same, skip, PlanReason.REJECTED_BEFORE),
        (past.is_(SendState.REJECTED) | past.is_(SendState.ACCEPTED), send, PlanReason.CONTENT_CHANGED),
        (past.state >= 0, send, PlanReason.TRY_AGAIN),
    ]
    action, reason = first_that_applies(len(frame), cases)
    order = soonest_first(ends, frame["conversion_id"])
    nothing = np.zeros(len(frame), dtype=bool)
    rows = plan_rows(frame, past, action, reason, ends, clock, nothing).iloc[order].reset_index(drop=True)
    refuse_untrue(frame, order[(rows["action"] == send).to_numpy(dtype=bool)], facts, chosen, target)
    return Plan(
        wire,
        chosen,
        target,
        account,
        str(wanted),
        box,
        min(batch_rows or facts.limits.batch_rows, facts.limits.batch_rows),
        clock,
        Held(frame),
        np.frombuffer(keys, dtype="u1").reshape(-1, KEY),
        rows,
        order,
        version[order],
        ~nothing,
        past,
        MappingProxyType({}),
    )


def _is(frame: pd.DataFrame, column: str, word: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    if column not in frame:
        return np.zeros(len(frame), dtype=bool)
    return np.asarray((frame[column] == word).fillna(value=False), dtype=bool)


def _check_times(frame: pd.DataFrame) -> None:
    """Check the one column that the contract does not know."""
    if "correction_time" not in frame:
        raise ContractError("corrections", [("correction_time", "is missing: when it turned out so", None)])
    times = frame["correction_time"]
    if not isinstance(times.dtype, pd.DatetimeTZDtype):
        raise ContractError("corrections", [("correction_time", "must be times with a zone", None)])
    if n := int(times.isna().sum()):
        raise ContractError("corrections", [("correction_time", "is missing", n)])
    if n := int((times < frame["event_time"]).sum()):
        raise ContractError("corrections", [("correction_time", "is earlier than the conversion", n)])
    frame["correction_time"] = times.dt.tz_convert("UTC").dt.as_unit("us")
