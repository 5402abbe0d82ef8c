"""The vocabulary of sending, as enums; `docs/glossary.md` explains it to readers."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["PlanAction", "PlanReason", "SendState"]


class PlanAction(StrEnum):
    """What a plan does with a conversion."""

    SEND = "send"
    SKIP = "skip"
    HOLD = "hold"


class PlanReason(StrEnum):
    """Why a plan does so; for what is not eligible the reason is a word of `Ineligible`."""

    NEW = "new"
    TRY_AGAIN = "try_again"
    CONTENT_CHANGED = "content_changed"
    SAFE_RESEND = "safe_resend"
    ALREADY_ACCEPTED = "already_accepted"
    REJECTED_BEFORE = "rejected_before"
    DUPLICATE = "duplicate"
    PIXEL_HAS_IT = "pixel_has_it"
    NO_SHARED_ID = "no_shared_id"
    ERASED = "erased"
    MARKED_INELIGIBLE = "marked_ineligible"
    NOT_SENT_BEFORE = "not_sent_before"
    TOO_OLD_TO_CORRECT = "too_old_to_correct"
    OUTCOME_UNKNOWN = "outcome_unknown"
    IN_FLIGHT = "in_flight"
    WAITING = "waiting"
    CLICK_TOO_FRESH = "click_too_fresh"


class SendState(StrEnum):
    """Where a row of the outbox stands."""

    PENDING = "pending"
    IN_FLIGHT = "in_flight"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
