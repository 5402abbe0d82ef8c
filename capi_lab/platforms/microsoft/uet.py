"""Microsoft's UET Conversions API: rows to bodies, replies to outcomes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from capi_lab.platforms.checks import (
    Findings,
    bad_url,
    before_click,
    looks_personal,
    stale_click,
    utc,
)
from capi_lab.platforms.microsoft.clickid import click_ids
from capi_lab.platforms.microsoft.spec import SPEC
from capi_lab.platforms.microsoft.uet_spec import DETAILS_LISTED, USER_FIELDS
from capi_lab.platforms.route import OutcomeStatus, Route
from capi_lab.platforms.rows import Rows, batches, checked_settings, collector_paused, constant, objects
from capi_lab.platforms.screen import screen
from capi_lab.platforms.spec import PlatformSpec
from capi_lab.platforms.wire import (
    Outcome,
    Problem,
    Reply,
    Request,
    as_dict,
    as_int,
    as_list,
    by_http_status,
    from_rule,
    safe_text,
)

__all__ = ["MicrosoftUet"]

_ITEM = {"id": "id", "name": "name", "quantity": "quantity", "price": "price"}
_PLACE = re.compile(r"data\[([0-9]{1,9})\]", re.ASCII)
_TRANSIENT = frozenset({408, 425, 429})


class MicrosoftUet:
    """Wire of route ``uet``."""

    @property
    def spec(self) -> PlatformSpec:
        """Microsoft's facts."""
        return SPEC

    @property
    def route(self) -> Route:
        """The UET Conversions API's facts."""
        return SPEC.route("uet")

    def validate(self, rows: pd.DataFrame | Rows, settings: Mapping[str, str], *, now: datetime) -> list[Problem]:
        """Say what is wrong with each row; rules U01 to U09, the route's needs, are errors, U20 and on warnings."""
        chosen = checked_settings(self.route, settings)
        data, limits, clock = Rows.of(rows, SPEC), self.route.limits, utc(now)
        found = Findings(data.ids)
        clicked = np.array([one is not None for one in click_ids(data.text("msclkid"), dashed=True)], dtype=bool)
        screen(found, data, self.route, chosen, clock)
        found.warn(
            "U28",
            looks_personal(data, "conversion_id"),
            "conversion_id looks like an e-mail or phone",
        )
        found.warn("U20", ~data.has("event_id"), "no event_id: the tag's copy, or a resend, would be counted as well")
        found.warn("U21", data.has("msclkid") & ~clicked, "msclkid is not a whole one and is left out")
        found.warn("U22", clicked & stale_click(data, limits, clock), "the click is older than 90 days")
        lowered = [name.lower() for name in _names(data, chosen)]
        again = pd.DataFrame({"name": lowered, "id": data.text("event_id")})
        repeated = again.duplicated() & again["id"].notna()
        found.warn("U23", repeated, "repeats event name and id of an earlier row: counts once")
        for key in USER_FIELDS:
            unusable = data.has(key) & ~data.has_key(key)
            found.warn("U24", unusable, f"{key} is there but cannot be used as it is")
        found.warn("U25", bad_url(data, "referrer_url"), "referrer_url is no absolute URL: Microsoft removes it")
        found.warn("U26", ~data.has("consent_ad_user_data"), "consent is not known: Microsoft takes it for granted")
        found.warn("U27", before_click(data), "earlier than its click: accepted, but never a conversion")
        return found.problems()

    @collector_paused()
    def encode(self, rows: pd.DataFrame | Rows, settings: Mapping[str, str]) -> list[Request]:
        """Write requests of at most 1,000 custom events; see `validate` for what to mend first.

        Raises
        ------
        InputError
            A setting is missing or malformed.
        """
        chosen = checked_settings(self.route, settings)
        data = Rows.to_send(rows, SPEC)
        n = len(data)
        user = {"msclkid": click_ids(data.text("msclkid"), dashed=True)} | {
            field: data.key(key) for key, field in USER_FIELDS.items()
        }
        custom = {
            "eventCategory": constant(chosen.get("event_category"), n),
            "transactionId": data.ids,
            "value": data.numbers("value"),
            "currency": data.text("currency"),
            "items": data.contents(_ITEM),
        }
        words = SPEC.consent.words
        events = objects(
            {
                "eventType": constant("custom", n),
                "eventTime": data.times("event_time", self.route.time),
                "eventId": data.text("event_id"),
                "eventName": _names(data, chosen),
                "eventSourceUrl": data.text("page_url"),
                "referrerUrl": data.text("referrer_url"),
                "adStorageConsent": [words.get(answer) for answer in data.text("consent_ad_user_data")],
                "userData": objects(user, n),
                "customData": objects(custom, n),
            },
            n,
        )
        url = self.route.url.format(**chosen)
        headers = {"Content-Type": "application/json"}
        # Both belong beside `data`; one public sender puts them into each event, where they do nothing.
        extra = {"continueOnValidationError": True, "dataProvider": chosen["data_provider"]}
        return [
            Request("POST", url, headers, {"data": events[part], **extra}, tuple(data.ids[part]))
            for part in batches(n, self.route.limits.batch_rows)
        ]

    def decode(self, reply: Reply, request: Request) -> list[Outcome]:
        """Read a reply: ``details`` name bad events by index, but only the first ten of them.

        Notes
        -----
        What is not listed is accepted only if the count of processed events leaves no doubt. That 429 and 5xx may
        be tried again is our assumption, and safe only for events with an ``eventId``.
        """
        body = as_dict(reply.json)
        error = as_dict(body.get("error"))
        received = as_int(body.get("eventsReceived"))
        if 200 <= reply.status < 300 and (received is not None or error):
            return self._processed(error, received, reply, request)
        if 400 <= reply.status < 500 and reply.status not in _TRANSIENT and error:
            return self._refused(error, received, reply, request)
        return by_http_status(reply, request)

    def _processed(
        self, error: Mapping[str, Any], received: int | None, reply: Reply, request: Request
    ) -> list[Outcome]:
        details = as_list(error.get("details"))
        bad, warned, unplaced = _by_row(details, request)
        sure = not unplaced and received == len(request.row_ids) - len(bad)
        full = len(details) >= DETAILS_LISTED
        outcomes = []
        for position, row_id in enumerate(request.row_ids):
            if position in bad:
                outcomes.append(self._rejected(row_id, bad[position], reply))
            elif not sure:
                message = "the reply does not say which events were dropped: send again with the same event_id"
                outcomes.append(Outcome(row_id, OutcomeStatus.UNKNOWN, warned.get(position, ""), message))
            elif position in warned:
                _, text, _ = from_rule(self.route, warned[position], reply, unknown=OutcomeStatus.ACCEPTED)
                message = f"accepted, but a field was removed: {text}"
                outcomes.append(Outcome(row_id, OutcomeStatus.ACCEPTED, warned[position], message))
            else:
                message = "only the first ten findings are listed: fields may have been removed here too"
                outcomes.append(Outcome(row_id, OutcomeStatus.ACCEPTED, "", message if full else ""))
        return outcomes

    def _refused(self, error: Mapping[str, Any], received: int | None, reply: Reply, request: Request) -> list[Outcome]:
        """Read a 4xx. We let good events pass beside bad ones, so it says that none was good."""
        details = as_list(error.get("details"))
        bad, _, _ = _by_row(details, request)
        code = safe_text(error.get("code"))
        if not bad and not code:
            return by_http_status(reply, request)
        # A full list may have left out the reason for the rest; a count means that some were taken.
        open_ended = len(details) >= DETAILS_LISTED or bool(received)
        outcomes = []
        for position, row_id in enumerate(request.row_ids):
            if position in bad:
                outcomes.append(self._rejected(row_id, bad[position], reply))
            elif open_ended:
                message = "only the first ten errors are listed: mend those and send again with the same event_id"
                outcomes.append(Outcome(row_id, OutcomeStatus.UNKNOWN, code, message))
            else:
                outcomes.append(self._rejected(row_id, code or "ValidationError", reply))
        return outcomes

    def _rejected(self, row_id: str, code: str, reply: Reply) -> Outcome:
        """Reject a row: an error blocks, whatever its code does as a warning."""
        _, message, _ = from_rule(self.route, code, reply, unknown=OutcomeStatus.REJECTED)
        return Outcome(row_id, OutcomeStatus.REJECTED, code, message)


def _by_row(details: Sequence[Any], request: Request) -> tuple[dict[int, str], dict[int, str], int]:
    """Sort findings by row: the first error's code, the first warning's code, and how many errors name no row."""
    bad: dict[int, str] = {}
    warned: dict[int, str] = {}
    unplaced = 0
    for one in map(as_dict, details):
        harmless = one.get("isWarning") is True
        code = safe_text(one.get("errorCode")) or ("ValidationWarning" if harmless else "ValidationError")
        position = as_int(one.get("index"))
        if position is None and isinstance(name := one.get("propertyName"), str) and (found := _PLACE.match(name)):
            position = int(found[1])
        if position is not None and 0 <= position < len(request.row_ids):
            (warned if harmless else bad).setdefault(position, code)
        elif not harmless:
            unplaced += 1
    return bad, warned, unplaced


def _names(data: Rows, chosen: Mapping[str, str]) -> list[str]:
    """Return what the tag calls each event, since dedup and goals compare it."""
    return constant(chosen["event_name"], len(data)) if "event_name" in chosen else data.event_names()
