"""Words for what became of a send."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["ReceiptStatus"]


class ReceiptStatus(StrEnum):
    """What a receipt says of a conversion: what the platform's reply meant, or that none was sent."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    RETRY = "retry"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
