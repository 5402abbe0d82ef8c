"""What to do with each conversion: send it, skip it and say why, or hold it until somebody knows more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import pandas as pd

from capi_lab.engine import TableLike, as_table, batches, in_pandas, to_frame
from capi_lab.errors import InputError
from capi_lab.platforms import needs
from capi_lab.platforms import platform as platform_named
from capi_lab.platforms.checks import utc
from capi_lab.platforms.route import Route
from capi_lab.platforms.rows import Rows, checked_settings
from capi_lab.platforms.rules import Assumption
from capi_lab.platforms.screen import asker
from capi_lab.platforms.wire import Level, Wire
from capi_lab.send.bodies import CONVERSION, encoder, letters, pieces
from capi_lab.send.held import BATCH, Held, Packed
from capi_lab.send.history import History
from capi_lab.send.outbox import Outbox
from capi_lab.send.parcels import KEY, digest, digests, micros
from capi_lab.send.planned import Plan
from capi_lab.send.target import TELLING, account_name, refuse_untrue, target_of
from capi_lab.send.words import PlanAction, PlanReason, SendState
from capi_lab.tables import CONVERSIONS, checked
from capi_lab.words import Ineligible

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from capi_lab.reconcile import Reconciled

__all__ = [
    "Predicts",
    "deadlines",
    "first_that_applies",
    "look_back",
    "plan",
    "plan_rows",
    "resends",
    "soonest_first",
    "was_erased",
]

_RANK = {reason: rank for rank, reason in enumerate(Ineligible)}
_NEVER = np.iinfo(np.int64).min
_DECIDING = (
    "conversion_id", "event_time", "event_name", "value", "currency", "user_key", "action_source", "click_time",
    "eligible", "ineligible_reason",
)  # fmt: skip


class Predicts(Protocol):
    """What ``fit=`` must be able to do: `capi_lab.match_rates` gives such a thing."""

    def predict(self, conversions: pd.DataFrame) -> Any:
        """Say how many of these conversions the platform is expected to match."""


def plan(
    conversions: TableLike,
    platform: str,
    *,
    settings: Mapping[str, str],
    outbox: Outbox | str | Path | None = None,
    now: datetime,
    route: str | None = None,
    only: Literal["gap"] | None = None,
    rec: Reconciled | None = None,
    host: str | None = None,
    batch_rows: int | None = None,
    fit: Predicts | None = None,
) -> Plan:
    """Work out what a send would do. Nothing leaves.

    Parameters
    ----------
    conversions : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        Contract ``conversions``. Columns ``eligible`` and ``ineligible_reason``, as `capi_lab.eligible` gives them,
        are respected beside the screen that is made here (test orders, say, are known to that only).
    platform : str
        A name in `capi_lab.PLATFORMS`.
    settings : mapping
        Those of the route: ``capi-lab platforms`` lists them. Never a credential.
    outbox : Outbox, str or Path, optional
        What was sent before. Without one nothing is remembered, and only a sandbox can be sent to.
    now : datetime
        The moment from which ages are counted, with a zone.
    route : str, optional
        Default: the platform's default route.
    only : "gap" or None
        ``"gap"``: only what the pixel missed, as ``rec`` says. None: everything, since the platform merges what
        carries the same id; with ``rec`` what lacks that id and was seen by the pixel is left out.
    rec : Reconciled, optional
        For the same platform.
    host : str, optional
        Scheme and host of a sandbox (``box.url("meta")``); the paths stay the platform's. Default: the platform.
    batch_rows : int, optional
        Send smaller requests than the platform takes: what is told by request only (Google's status) tells more.
    fit : object with ``predict``, optional
        As `capi_lab.match_rates` gives it: how many matches to expect.

    Returns
    -------
    Plan
        ``rows summary() bodies() fingerprint``.

    Raises
    ------
    InputError
        A setting is missing or malformed; or rows that are not real, test codes or placeholder URLs are to go to a
        live platform.
    ContractError
        The conversions break their contract.

    Notes
    -----
    What happened outranks what is wanted: a conversion that was accepted is skipped whatever it looks like now, and
    one whose fate is unknown is sent again only where the platform documents that it merges a resend (`Route.resend`),
    the row carries the id it merges by, and the window is still open.
    """
    wire = platform_named(platform).wire(route)
    facts, clock = wire.route, utc(now)
    if batch_rows is not None and batch_rows < 1:
        raise InputError("batch_rows= must be at least 1")
    chosen = checked_settings(facts, settings)
    target, account = target_of(host), account_name(facts, chosen)
    held = _held(conversions, wire, chosen, live=target.live)
    frame = held.deciding
    seen = _seen_by_pixel(frame, rec, platform, only)
    if target.live and outbox is None:
        raise InputError("outbox= is missing: without one a second run would send everything again")
    box = outbox if isinstance(outbox, Outbox) else Outbox(":memory:" if outbox is None else outbox)
    keys = digests(frame["conversion_id"])
    past = look_back(box, wire, account, CONVERSION, keys, live=target.live)
    ends = deadlines(frame, facts, chosen)
    order = soonest_first(ends, frame["conversion_id"])
    held.in_order(order)
    found = _screened(held, order, wire, chosen, clock)
    marked = _marks(frame)
    found.reason[:] = np.where((found.reason == "") & (marked != ""), marked, found.reason)
    action, reason = _decide(
        found, past, seen, clock, facts,
        erased=was_erased(frame, box), twice=_twice(frame, facts, chosen), fresh=_too_fresh(frame, wire, clock),
        gap=only is not None,
    )  # fmt: skip
    changed = past.is_(SendState.ACCEPTED) & (found.version != 0) & (found.version != past.version)
    rows = plan_rows(frame, past, action, reason, ends, clock, changed).iloc[order].reset_index(drop=True)
    going = order[(rows["action"] == PlanAction.SEND).to_numpy(dtype=bool)]
    refuse_untrue(frame, going, facts, chosen, target)
    return Plan(
        wire,
        chosen,
        target,
        account,
        CONVERSION,
        box,
        min(batch_rows or facts.limits.batch_rows, facts.limits.batch_rows),
        clock,
        held,
        np.frombuffer(keys, dtype="u1").reshape(-1, KEY),
        rows,
        order,
        found.version[order],
        found.keyed,
        past,
        dict(sorted(found.warnings.items())),
        None if fit is None else fit.predict(held.rows(going)),
    )


def _held(conversions: TableLike, wire: Wire, chosen: Mapping[str, str], *, live: bool) -> Held:
    """Hold conversions: a frame as it is; of a table only what decides, and the rest packed."""
    if isinstance(conversions, pd.DataFrame):
        return Held(checked(CONVERSIONS, conversions))
    table = as_table(conversions, CONVERSIONS)
    names = {
        *_DECIDING,
        *(TELLING if live else ()),
        *wire.route.dedup.key,
        chosen.get("transaction_id", "conversion_id"),
    }
    if wire.route.limits.click_min_age is not None:
        names |= {one.param for one in wire.spec.click_ids}
    deciding = [name for name in table.columns if name in names]
    return Packed(batches(table, BATCH), lambda arrow: checked(CONVERSIONS, in_pandas(arrow)), deciding)


def soonest_first(ends: pd.Series, ids: pd.Series) -> NDArray[np.int64]:
    """Return the order of the rows: by end, then by id."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = pa.table({"end": ends.to_numpy(dtype="int64"), "id": pa.array(ids.array, pa.large_string())})
    order: NDArray[np.int64] = pc.sort_indices(table, [("end", "ascending"), ("id", "ascending")]).to_numpy()
    return order.astype("int64")


def look_back(box: Outbox, wire: Wire, account: str, kind: str, keys: bytes, *, live: bool) -> History:
    """Return where conversions stand, after turning what a dead process left into doubts."""
    number = box.account(wire.spec.name, account, live=live)
    box.recover(number)
    return box.history(number, kind, keys)


def plan_rows(
    frame: pd.DataFrame,
    past: History,
    action: NDArray[np.object_],
    reason: NDArray[np.object_],
    ends: pd.Series,
    clock: pd.Timestamp,
    changed: NDArray[np.bool_],
) -> pd.DataFrame:
    """Put the table of a plan together, in the order of the conversions."""
    states = np.array([*SendState, ""], dtype=object)
    nothing = pd.Series(np.nan, index=frame.index)
    return pd.DataFrame(
        {
            "conversion_id": frame["conversion_id"],
            "action": pd.Categorical(action, [str(one) for one in PlanAction]),
            "reason": pd.Categorical(reason),
            "value": frame["value"] if "value" in frame else nothing,
            "currency": frame["currency"] if "currency" in frame else nothing.astype("str"),
            "deadline": ends,
            "time_left": ends - clock,
            "attempts": past.attempts,
            "last_state": pd.Categorical(states[past.state], [*map(str, SendState), ""]),
            "changed": changed,
        }
    )


def deadlines(frame: pd.DataFrame, route: Route, chosen: Mapping[str, str]) -> pd.Series:
    """Say when each conversion becomes too old for the route."""
    most = pd.Series(route.limits.max_age, index=frame.index, dtype="timedelta64[us]")
    if "action_source" in frame:
        for source, longest in route.limits.max_age_of.items():
            most = most.mask(frame["action_source"] == source, pd.Timedelta(longest))
    shortest = [age for need in route.needs if (age := _plain_age(needs.settled(need.condition, chosen))) is not None]
    if shortest:
        most = most.clip(upper=pd.Timedelta(min(shortest)))
    return (frame["event_time"] + most).dt.as_unit("us")


def _plain_age(condition: needs.Condition | bool) -> timedelta | None:
    """Return the age that a need asks for by itself, other than the route's own."""
    while isinstance(condition, needs.AllOf | needs.AnyOf) and len(condition.parts) == 1:
        condition = condition.parts[0]
    return condition.most if isinstance(condition, needs.Recent) else None


def resends(route: Route) -> bool:
    """Say whether the platform documents that it counts a resend once."""
    return route.resend.value if isinstance(route.resend, Assumption) else route.resend


@dataclass(slots=True)
class _Found:
    """What the screen says of each conversion: reason against it, content, whether it carries the shared id."""

    reason: NDArray[np.object_]
    version: NDArray[np.uint64]
    keyed: NDArray[np.bool_]
    warnings: Counter[str]


def _screened(
    held: Held, order: NDArray[np.int64], wire: Wire, chosen: Mapping[str, str], clock: pd.Timestamp
) -> _Found:
    """Ask the route's needs of every row, and write out those that keep them."""
    n = len(order)
    found = _Found(np.full(n, "", dtype=object), np.zeros(n, dtype="uint64"), np.zeros(n, dtype=bool), Counter())
    reason_of = {need.rule: need.reason for need in wire.route.needs}
    encode = encoder(wire, chosen, CONVERSION)
    for piece in pieces(n, wire.route.limits.batch_rows):
        places = order[piece]
        some = held.rows(places)
        data = Rows.of(some, wire.spec)
        at = {one: i for i, one in enumerate(data.ids)}
        worst: dict[int, Ineligible] = {}
        said: dict[str, set[int]] = {}
        for problem in wire.validate(data, chosen, now=clock):
            i = at[problem.row_id]
            if problem.level is Level.WARNING:
                said.setdefault(f"{problem.rule} {problem.message}", set()).add(i)
                continue
            # What a finished request would be refused for, though every row by itself is right.
            reason = reason_of.get(problem.rule, Ineligible.BAD_FIELD)
            worst[i] = min(worst.get(i, reason), reason, key=lambda one: _RANK[one])
        found.keyed[places] = asker(data, wire.route, chosen, clock)(wire.route.sending.resend_key)
        for i, reason in worst.items():
            found.reason[places[i]] = str(reason)
        good = np.array([i for i in range(len(places)) if i not in worst], dtype="int64")
        whole = data if len(good) == len(places) else some.iloc[good]
        packed = b"".join(letter.versions for letter in letters(encode(whole), wire.route)) if len(good) else b""
        found.version[places[good]] = np.frombuffer(packed, dtype="<u8")
        for what, which in said.items():
            if left := len(which - set(worst)):
                found.warnings[what] += left
    return found


def _decide(
    found: _Found,
    past: History,
    seen: NDArray[np.bool_] | None,
    clock: pd.Timestamp,
    route: Route,
    *,
    erased: NDArray[np.bool_],
    twice: NDArray[np.bool_],
    fresh: NDArray[np.bool_],
    gap: bool,
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Choose action and reason of every conversion; the first that applies."""
    now, same = micros(clock), found.version == past.version
    doubt = past.is_(SendState.UNKNOWN)
    safe = doubt & resends(route) & found.keyed & same
    if route.dedup.window is not None:
        safe &= now < past.doubt_since + route.dedup.window // timedelta(microseconds=1)
    pending, rejected = past.is_(SendState.PENDING), past.is_(SendState.REJECTED)
    seen_too = np.zeros(len(doubt), dtype=bool) if seen is None else seen
    skip, hold, send = PlanAction.SKIP, PlanAction.HOLD, PlanAction.SEND
    against = found.reason != ""
    cases: list[tuple[NDArray[np.bool_], PlanAction, StrEnum | None]] = [
        (erased, skip, PlanReason.ERASED),
        (past.is_(SendState.ACCEPTED), skip, PlanReason.ALREADY_ACCEPTED),
        (past.is_(SendState.IN_FLIGHT), hold, PlanReason.IN_FLIGHT),
        (doubt & ~safe, hold, PlanReason.OUTCOME_UNKNOWN),
        (against, skip, None),
        (twice, skip, PlanReason.DUPLICATE),
        (seen_too & gap, skip, PlanReason.PIXEL_HAS_IT),
        (seen_too & ~found.keyed, skip, PlanReason.NO_SHARED_ID),
        (doubt, send, PlanReason.SAFE_RESEND),
        (pending & (past.not_before > now), hold, PlanReason.WAITING),
        (rejected & same, skip, PlanReason.REJECTED_BEFORE),
        (rejected, send, PlanReason.CONTENT_CHANGED),
        (fresh, hold, PlanReason.CLICK_TOO_FRESH),
        (past.state >= 0, send, PlanReason.TRY_AGAIN),
    ]
    action, reason = first_that_applies(len(doubt), cases)
    own = np.asarray(reason == "", dtype=bool)
    reason[own] = found.reason[own]
    return action, reason


def first_that_applies(
    n: int, cases: Sequence[tuple[NDArray[np.bool_], PlanAction, StrEnum | None]]
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Choose action and reason of ``n`` rows; where no case applies, they are new and go. A reason of None is empty."""
    action = np.full(n, str(PlanAction.SEND), dtype=object)
    reason = np.full(n, str(PlanReason.NEW), dtype=object)
    for mask, what, why in reversed(cases):  # the first is written last
        action[mask] = str(what)
        reason[mask] = "" if why is None else str(why)
    return action, reason


def _marks(frame: pd.DataFrame) -> NDArray[np.object_]:
    """Return reasons that somebody gave before, empty where there are none."""
    if "eligible" not in frame:
        return np.full(len(frame), "", dtype=object)
    no = ~frame["eligible"].fillna(value=True).to_numpy(dtype=bool)
    given = (
        frame["ineligible_reason"] if "ineligible_reason" in frame else pd.Series(None, index=frame.index, dtype="str")
    )
    words = given.fillna(str(PlanReason.MARKED_INELIGIBLE)).to_numpy(dtype=object)
    return np.where(no, words, "")


def was_erased(frame: pd.DataFrame, box: Outbox) -> NDArray[np.bool_]:
    """Say whose conversions these are of people who asked to be forgotten."""
    gone = box.erased()
    if not gone or "user_key" not in frame:
        return np.zeros(len(frame), dtype=bool)
    return np.array([isinstance(one, str) and digest(one) in gone for one in frame["user_key"]], dtype=bool)


def _twice(frame: pd.DataFrame, route: Route, chosen: Mapping[str, str]) -> NDArray[np.bool_]:
    """Say which conversions the platform would take for an earlier one of the table."""
    rule = route.dedup
    key = {}
    for name in rule.key:
        column = chosen.get("transaction_id", name) if name == "conversion_id" else name
        values = frame[column] if column in frame else pd.Series(None, index=frame.index, dtype="str")
        key[name] = values.str.lower() if name in rule.blind_to_case else values
    table = pd.DataFrame(key).reset_index(drop=True)
    whole = [name for name in rule.key if name not in rule.missing_matches]
    usable = table[whole].notna().all(axis=1)
    if rule.missing_matches:
        usable &= table[list(rule.missing_matches)].notna().any(axis=1)
    alike = usable & table.duplicated(list(rule.key), keep=False)  # few, as a rule: only they are sorted
    at = np.flatnonzero(alike)
    some = table.iloc[at].assign(_at=frame["event_time"].iloc[at].array, _id=frame["conversion_id"].iloc[at].array)
    some = some.sort_values(["_at", "_id"])
    result = np.zeros(len(frame), dtype=bool)
    result[some.index.to_numpy()[some.duplicated(list(rule.key)).to_numpy(dtype=bool)]] = True
    return result


def _too_fresh(frame: pd.DataFrame, wire: Wire, clock: pd.Timestamp) -> NDArray[np.bool_]:
    """Say whose click the platform cannot know yet."""
    youngest = wire.route.limits.click_min_age
    if youngest is None or "click_time" not in frame:
        return np.zeros(len(frame), dtype=bool)
    clicks = [one.param for one in wire.spec.click_ids if one.is_click and one.param in frame]
    clicked = frame[clicks].notna().any(axis=1) if clicks else pd.Series(False, index=frame.index)
    return np.asarray(clicked & (clock - frame["click_time"] < pd.Timedelta(youngest)), dtype=bool)


def _seen_by_pixel(
    frame: pd.DataFrame, rec: Reconciled | None, platform: str, only: str | None
) -> NDArray[np.bool_] | None:
    if only not in (None, "gap"):
        raise InputError("only= is 'gap' (what the pixel missed) or None")
    if rec is None:
        if only is not None:
            raise InputError(
                "only='gap' needs rec=: cl.reconcile(conversions, events, platform) says what the pixel saw"
            )
        return None
    if rec.platform != platform:
        raise InputError(f"rec= was reconciled for {rec.platform}, the plan is for {platform}")
    ledger = rec.conversion_table
    saw = to_frame(ledger.filter(ledger.seen_pixel).select("conversion_id"))["conversion_id"]
    known = to_frame(ledger.select("conversion_id"))["conversion_id"]
    strangers = int((~frame["conversion_id"].isin(known)).sum())
    if strangers:
        raise InputError(f"rec= does not know {strangers:,} of the conversions: reconcile those that are to be sent")
    return np.asarray(frame["conversion_id"].isin(saw), dtype=bool)
