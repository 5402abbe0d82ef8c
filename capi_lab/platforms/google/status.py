"""Google's asynchronous answer to an accepted request: counts by reason, never a word about a single event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from capi_lab.platforms.wire import as_dict, as_int, as_list, safe_text

__all__ = ["DestinationStatus", "IngestState", "decode_status"]


class IngestState(StrEnum):
    """How far Google is with the events for one destination."""

    PROCESSING = "PROCESSING"
    """Nothing is known yet; that no errors are listed means nothing."""
    SUCCESS = "SUCCESS"
    PARTIAL_SUCCESS = "PARTIAL_SUCCESS"
    FAILED = "FAILED"
    UNKNOWN = "REQUEST_STATUS_UNKNOWN"


_STATES = {state.value: state for state in IngestState} | {"FAILURE": IngestState.FAILED}
# The guide writes FAILURE where the interface has FAILED.
_PREFIXES = ("PROCESSING_ERROR_REASON_", "PROCESSING_WARNING_REASON_", "PROCESSING_ERROR_")


@dataclass(frozen=True, slots=True)
class DestinationStatus:
    """What became of a request's events at one destination.

    Parameters
    ----------
    state : IngestState
    records : int or None
        Events received; None while processing, or where the reply does not tell.
    errors, warnings : mapping
        Reason to number of events, without Google's prefixes. What a reason means: `google.codes.PROCESSING`.
    """

    state: IngestState
    records: int | None = None
    errors: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    warnings: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def finished(self) -> bool:
        """False while it is worth asking again."""
        return self.state in (IngestState.SUCCESS, IngestState.PARTIAL_SUCCESS, IngestState.FAILED)


def decode_status(json: object) -> list[DestinationStatus]:
    """Read a ``requestStatus:retrieve`` reply.

    Parameters
    ----------
    json : object
        The parsed body, whatever it is.

    Returns
    -------
    list of DestinationStatus
        In the order of the request's destinations; empty where the body is no such reply. Never raises.
    """
    return [_destination(as_dict(one)) for one in as_list(as_dict(json).get("requestStatusPerDestination"))]


def _destination(one: Mapping[str, Any]) -> DestinationStatus:
    said = one.get("requestStatus")
    state = _STATES.get(said, IngestState.UNKNOWN) if isinstance(said, str) else IngestState.UNKNOWN
    if state is IngestState.PROCESSING:
        return DestinationStatus(state)
    records = _count(as_dict(one.get("eventsIngestionStatus")).get("recordCount"))
    errors = _counts(as_dict(one.get("errorInfo")).get("errorCounts"))
    warnings = _counts(as_dict(one.get("warningInfo")).get("warningCounts"))
    return DestinationStatus(state, records, errors, warnings)


def _count(value: object) -> int | None:
    count = as_int(value)
    return count if count is not None and count >= 0 else None


def _counts(listed: object) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for one in as_list(listed):
        entry = as_dict(one)
        reason, count = safe_text(entry.get("reason"), limit=120), _count(entry.get("recordCount"))
        if reason and count is not None:
            for prefix in _PREFIXES:
                reason = reason.removeprefix(prefix)
            found[reason] = found.get(reason, 0) + count
    return MappingProxyType(found)
