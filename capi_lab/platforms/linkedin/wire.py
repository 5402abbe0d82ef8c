"""LinkedIn's Conversions API: rows to bodies, replies to outcomes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from capi_lab.platforms.checks import (
    Findings,
    bad_shape,
    duplicates,
    none_of,
    not_fresh,
    utc,
)
from capi_lab.platforms.linkedin.spec import HASHED_NAMES_SINCE, ID_TYPES, SPEC, VERSION_MONTHS
from capi_lab.platforms.route import OutcomeStatus, Route
from capi_lab.platforms.rows import Rows, batches, checked_settings, collector_paused, constant, objects
from capi_lab.platforms.screen import screen
from capi_lab.platforms.spec import PlatformSpec
from capi_lab.platforms.wire import (
    Outcome,
    Problem,
    Reply,
    Request,
    all_rows,
    as_dict,
    as_int,
    by_http_status,
    from_rule,
    safe_text,
    without_named,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LinkedinCapi"]

_KEYS = tuple(key.source for key in SPEC.match_keys)
# 422: "Index: 3, ERROR :: /pointer :: reason", a group per bad event. 400: "..., indices [0, 3] (0-indexed)".
_INDEX = re.compile(r"\bIndex:\s*(\d{1,9})\s*,")
_INDICES = re.compile(r"\bindices\s*\[([\d,\s]*)\]")


class LinkedinCapi:
    """Wire of route ``capi``: every row of a table goes to the one conversion rule the settings name."""

    @property
    def spec(self) -> PlatformSpec:
        """LinkedIn's facts."""
        return SPEC

    @property
    def route(self) -> Route:
        """The Conversions API's facts."""
        return SPEC.route("capi")

    def validate(self, rows: pd.DataFrame | Rows, settings: Mapping[str, str], *, now: datetime) -> list[Problem]:
        """Say what is wrong with each row; rules L01 to L07, the route's needs, are errors, L20 and on warnings."""
        chosen = checked_settings(self.route, settings)
        data, clock = Rows.of(rows, SPEC), utc(now)
        found = Findings(data.ids)
        named = _both_names(data, chosen["version"])
        alone = none_of(data, ("email", "client_ip"), ("li_fat_id",)) & ~named
        screen(found, data, self.route, chosen, clock)
        found.warn("L20", ~data.has("event_id"), "no event_id: a tag copy would be counted as well")
        repeated = duplicates(data, ("event_id",))
        found.warn("L21", repeated, "repeats the event id of an earlier row: one id, whatever the event, is one event")
        half = data.has("value") != data.has("currency")
        found.warn("L22", half, "value and currency go together: the one there is is left out")
        left_out = (data.has("first_name") | data.has("last_name")) & ~named
        found.warn("L23", left_out, f"names need both, usable, and version {HASHED_NAMES_SINCE}: they are left out")
        for key in _KEYS:
            found.warn("L24", data.has(key) & ~data.has_key(key), f"{key} is there but cannot be used as it is")
        found.warn("L25", alone & data.has_key("external_id"), "external_id alone: send a standard id with it once")
        found.warn("L26", bad_shape(data, SPEC.click_id("li_fat_id")), "li_fat_id was damaged on its way")
        if _months(chosen["version"], clock) > VERSION_MONTHS:
            found.warn("L27", constant(True, len(data)), "the API version is about to be switched off: set a newer one")
        if data.frame["event_name"].nunique() > 1:
            found.warn("L28", constant(True, len(data)), "several event names go to one rule: send one per rule")
        found.warn(
            "L29", not_fresh(data, self.route.limits, clock), "older than a day: LinkedIn wants conversions within one"
        )
        return found.problems()

    @collector_paused()
    def encode(self, rows: pd.DataFrame | Rows, settings: Mapping[str, str]) -> list[Request]:
        """Write requests of at most 5,000 events; see `validate` for what to mend first.

        Raises
        ------
        InputError
            A setting is missing or malformed.
        """
        chosen = checked_settings(self.route, settings)
        data = Rows.to_send(rows, SPEC)
        n = len(data)
        user: dict[str, list[Any]] = {
            "userIds": _user_ids(data),
            "userInfo": _user_info(data, chosen["version"]),
            "externalIds": [one and [one] for one in data.key("external_id")],
        }
        elements = objects(
            {
                "conversion": constant(f"urn:lla:llaPartnerConversion:{chosen['conversion_id']}", n),
                "conversionHappenedAt": data.times("event_time", self.route.time),
                "conversionValue": _money(data),
                "eventId": data.text("event_id"),
                "user": objects(user, n),
            },
            n,
        )
        headers = {
            "Content-Type": "application/json",
            "LinkedIn-Version": chosen["version"],
            "X-Restli-Protocol-Version": "2.0.0",
            "X-RestLi-Method": "BATCH_CREATE",
        }
        return [
            Request("POST", self.route.url, headers, {"elements": elements[part]}, tuple(data.ids[part]))
            for part in batches(n, self.route.limits.batch_rows)
        ]

    def decode(self, reply: Reply, request: Request) -> list[Outcome]:
        """Read a reply: a list of verdicts in the order sent, or one refusal that may name its rows.

        Notes
        -----
        A list of another length than was sent cannot be told apart row by row: nobody is accepted on its word.
        """
        if not 200 <= reply.status < 300:
            return self._refused(reply, request)
        elements = as_dict(reply.json).get("elements")
        if not isinstance(elements, list):
            # Documented for a single event: 201 and nothing else.
            if reply.status == 201 and len(request.row_ids) == 1 and reply.json in (None, "", {}):
                return all_rows(request, OutcomeStatus.ACCEPTED)
            return by_http_status(reply, request)
        if len(elements) != len(request.row_ids):
            lacking = "the reply judges another number of events than was sent"
            return all_rows(request, OutcomeStatus.UNKNOWN, "", lacking)
        return [
            self._judged(as_dict(element), reply, replace(request, row_ids=(row_id,)))
            for row_id, element in zip(request.row_ids, elements, strict=True)
        ]

    def _judged(self, element: Mapping[str, Any], reply: Reply, request: Request) -> Outcome:
        """Read the verdict on one row of a batch."""
        status = as_int(element.get("status"))
        if status is not None and 200 <= status < 300:
            return Outcome(request.row_ids[0], OutcomeStatus.ACCEPTED)
        if status is None or not 400 <= status < 600:
            return Outcome(request.row_ids[0], OutcomeStatus.UNKNOWN, "", "the reply has no verdict on this row")
        return self._refused(Reply(status, reply.headers, element.get("error")), request)[0]

    def _refused(self, reply: Reply, request: Request) -> list[Outcome]:
        body = as_dict(reply.json)
        spelled = (safe_text(body.get("code")), safe_text(body.get("serviceErrorCode")), f"http {reply.status}")
        for code in spelled:
            rule = self.route.status_of(code)
            if rule is None:
                continue
            status, message, wait = from_rule(self.route, code, reply, unknown=OutcomeStatus.REJECTED)
            if status is OutcomeStatus.REJECTED and rule.row_fault:
                return without_named(request, _positions(body.get("message")), code, message)
            return all_rows(request, status, code, message, wait)
        return by_http_status(reply, request)


def _positions(text: object) -> set[int]:
    """Read which events a refusal names."""
    if not isinstance(text, str):
        return set()
    named = _INDEX.findall(text)
    for listed in _INDICES.findall(text):
        named += [piece.strip() for piece in listed.split(",")]
    return {at for piece in named if (at := as_int(piece)) is not None}


def _both_names(data: Rows, version: str) -> NDArray[np.bool_]:
    """Say which rows have what ``userInfo`` needs: both names, and a version that knows them hashed."""
    if version < HASHED_NAMES_SINCE:
        return np.zeros(len(data), dtype=bool)
    return data.has_key("first_name") & data.has_key("last_name")


def _user_ids(data: Rows) -> list[list[dict[str, str]]]:
    """Write the identifiers of every row; a list is always there, LinkedIn refuses a user without one."""
    columns = [data.key(name) if name in _KEYS else data.text(name) for name in ID_TYPES.values()]
    return [
        [{"idType": kind, "idValue": value} for kind, value in zip(ID_TYPES, values, strict=True) if value is not None]
        for values in zip(*columns, strict=True)
    ]


def _user_info(data: Rows, version: str) -> list[dict[str, Any] | None]:
    """Write names and country of rows with both names; a country by itself would be refused."""
    info = objects(
        {
            "hashedFirstName": data.key("first_name"),
            "hashedLastName": data.key("last_name"),
            "countryCode": data.key("country"),
        },
        len(data),
    )
    both = _both_names(data, version).tolist()
    return [one if whole else None for one, whole in zip(info, both, strict=True)]


def _money(data: Rows) -> list[dict[str, str] | None]:
    """Write value and currency, where both are there."""
    return [
        None if value is None or currency is None else {"currencyCode": currency, "amount": _decimal(value)}
        for value, currency in zip(data.numbers("value"), data.text("currency"), strict=True)
    ]


def _decimal(value: float) -> str:
    """Write the shortest decimal that is this number, without an exponent: LinkedIn wants text, no JSON number."""
    text = repr(value + 0.0)  # minus zero has a sign LinkedIn does not know
    if "e" in text:
        text = format(Decimal(text), "f")
    return text.removesuffix(".0")


def _months(version: str, clock: pd.Timestamp) -> int:
    """Return how many months ago a version came out."""
    return int(clock.year * 12 + clock.month) - int(version[:4]) * 12 - int(version[4:])
