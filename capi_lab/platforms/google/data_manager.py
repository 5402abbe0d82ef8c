"""Google's Data Manager API: rows to bodies, replies to outcomes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from capi_lab.errors import InputError
from capi_lab.platforms.checks import Findings, utc
from capi_lab.platforms.google.checks import check_clicks, check_repeats, check_rows, full_address
from capi_lab.platforms.google.codes import FIELD_WARNINGS
from capi_lab.platforms.google.identifiers import addresses, click_ids, people
from capi_lab.platforms.google.needs import CLICK_IDS
from capi_lab.platforms.google.replies import NOTHING_RECORDED, reasons, refused, rows_named, validated_only
from capi_lab.platforms.google.spec import ACTION_SOURCES, SPEC
from capi_lab.platforms.route import OutcomeStatus, Route
from capi_lab.platforms.rows import Rows, batches, checked_settings, collector_paused, objects, require
from capi_lab.platforms.screen import screen
from capi_lab.platforms.sending import Correction
from capi_lab.platforms.spec import PlatformSpec
from capi_lab.platforms.wire import (
    Outcome,
    Problem,
    Reply,
    Request,
    all_rows,
    as_dict,
    as_list,
    by_http_status,
    safe_text,
)

__all__ = ["GoogleDataManager"]

_INDEX = re.compile(r"(?:^|\.)events\[([0-9]{1,6})\]")
_ADDRESS = {
    "first_name": "givenName",
    "last_name": "familyName",
    "country": "regionCode",
    "postal_code": "postalCode",
}


class GoogleDataManager:
    """Wire of route ``data_manager``."""

    @property
    def spec(self) -> PlatformSpec:
        """Google's facts."""
        return SPEC

    @property
    def route(self) -> Route:
        """The Data Manager API's facts."""
        return SPEC.route("data_manager")

    def validate(self, rows: pd.DataFrame | Rows, settings: Mapping[str, str], *, now: datetime) -> list[Problem]:
        """Say what is wrong with each row; rule ids are explained in `google.checks`."""
        chosen = checked_settings(self.route, settings)
        data, limits, clock = Rows.of(rows, SPEC), self.route.limits, utc(now)
        found = Findings(data.ids)
        screen(found, data, self.route, chosen, clock)
        check_rows(found, data, chosen)
        check_clicks(found, data, limits, chosen, clock)
        check_repeats(found, data, chosen, error=False)
        click = np.logical_or.reduce([data.has(name) for name in CLICK_IDS])
        person = data.has_key("email") | data.has_key("phone") | full_address(data)
        address_only = ~click & ~person & data.has_key("client_ip")
        found.warn("W09", address_only, "only an IP address: Google's pages disagree on whether that is enough")
        braid = click & ~data.has("gclid")
        message = "user identifiers beside a gbraid or wbraid: not forbidden here, but an older page of the Ads API did"
        found.warn("W20", braid & person, message)
        for column in SPEC.consent.fields:
            found.warn("W05", ~data.has(column), f"{column} is missing: in the EEA that counts as denied")
        return found.problems()

    @collector_paused()
    def encode(self, rows: pd.DataFrame | Rows, settings: Mapping[str, str]) -> list[Request]:
        """Write requests of at most 2,000 events; see `validate` for what to mend first.

        Raises
        ------
        InputError
            A setting is missing, or a row lacks ``action_source``.

        """
        chosen = checked_settings(self.route, settings)
        data = Rows.to_send(rows, SPEC)
        require(data, "action_source")
        n = len(data)
        user = people(
            {
                "emailAddress": data.key("email"),
                "phoneNumber": data.key("phone"),
                "address": addresses(data, _ADDRESS),
            },
            {},
            n,
        )
        device = {
            "userAgent": data.key("user_agent"),
            "ipAddress": data.key("client_ip"),
        }
        consent = {
            field: [SPEC.consent.words.get(word) for word in data.text(column)]
            for column, field in SPEC.consent.fields.items()
        }
        events = objects(
            {
                "transactionId": data.text(chosen["transaction_id"]),
                "eventTimestamp": data.times("event_time", self.route.time),
                "eventSource": [ACTION_SOURCES[source] for source in data.text("action_source")],
                "conversionValue": data.numbers("value"),
                "currency": data.text("currency"),
                "consent": _filled(objects(consent, n)),
                "adIdentifiers": _filled(objects(click_ids(data, chosen["click_id_policy"]), n)),
                "userData": [None if one is None else {"userIdentifiers": one} for one in user],
                "eventDeviceInfo": _filled(objects(device, n)),
            },
            n,
        )
        headers = {"Content-Type": "application/json"}
        requests = []
        for part in batches(n, self.route.limits.batch_rows):
            body: dict[str, Any] = {"destinations": [_destination(chosen)], "events": events[part]}
            if any(one is not None for one in user[part]):
                body["encoding"] = "HEX"
            if chosen["validate_only"] == "true":
                body["validateOnly"] = True
            requests.append(Request("POST", self.route.url, headers, body, tuple(data.ids[part])))
        return requests

    def correct(self, rows: pd.DataFrame | Rows, settings: Mapping[str, str], *, kind: Correction) -> list[Request]:
        """Write new values of conversions that were sent: the same transaction id once more.

        Raises
        ------
        InputError
            A setting is missing or malformed, or the kind is none Google takes here.
        """
        if kind not in self.route.corrections.kinds:
            raise InputError(self.route.corrections.note)
        require(Rows.of(rows, SPEC), "value")
        return self.encode(rows, settings)

    def decode(self, reply: Reply, request: Request) -> list[Outcome]:
        """Read a reply: taken as a whole, or refused as a whole with the rows at fault named.

        Notes
        -----
        Taken means that the request was well formed. What became of the events is told later, and by count only:
        `google.status`.
        """
        body = as_dict(reply.json)
        error = as_dict(body.get("error"))
        if error:
            return self._refused(error, reply, request)
        if 200 <= reply.status < 300 and isinstance(reply.json, dict):
            if validated_only(request):
                return all_rows(request, OutcomeStatus.UNKNOWN, "validate_only", NOTHING_RECORDED)
            if safe_text(body.get("requestId"), limit=200):
                return self._taken(body, request)
        return by_http_status(reply, request)

    def _taken(self, body: Mapping[str, Any], request: Request) -> list[Outcome]:
        warned: dict[int, Outcome] = {}
        for warning in map(as_dict, as_list(body.get("fieldWarnings"))):
            row = _row(warning.get("field"), request)
            if row is not None and row not in warned:
                code = safe_text(warning.get("reason")).removeprefix("WARNING_REASON_")
                meaning = FIELD_WARNINGS.get(code, "Google warns of something that we do not know")
                warned[row] = Outcome(request.row_ids[row], OutcomeStatus.ACCEPTED, code, f"taken, but {meaning}")
        return rows_named(request, warned, all_rows(request, OutcomeStatus.ACCEPTED))

    def _refused(self, error: Mapping[str, Any], reply: Reply, request: Request) -> list[Outcome]:
        named: dict[int, str] = {}
        whole: list[str] = []
        for detail in map(as_dict, as_list(error.get("details"))):
            for violation in map(as_dict, as_list(detail.get("fieldViolations"))):
                row, code = _row(violation.get("field"), request), safe_text(violation.get("reason"))
                if row is None:
                    whole.append(code)
                else:
                    # The first reason stands, unless it was none.
                    named[row] = named.get(row) or code
        # A quota or a broken server is nobody's fault: rows it may name besides are not to blame.
        if reply.status >= 500 or reply.status in (401, 403, 408, 429):
            named = {}
        return refused(self.route, named, [code for code in whole if code], reasons(error), reply, request)


def _row(field: object, request: Request) -> int | None:
    """Return the position of the row a field path is about; None where it names none of the request's."""
    found = _INDEX.search(field) if isinstance(field, str) else None
    position = int(found[1]) if found else -1
    return position if 0 <= position < len(request.row_ids) else None


def _destination(chosen: Mapping[str, str]) -> dict[str, Any]:
    account = {"accountType": "GOOGLE_ADS", "accountId": chosen["customer_id"]}
    result: dict[str, Any] = {"operatingAccount": account}
    if "login_customer_id" in chosen:
        result["loginAccount"] = {"accountType": "GOOGLE_ADS", "accountId": chosen["login_customer_id"]}
    return result | {"productDestinationId": chosen["conversion_action_id"]}


def _filled(listed: list[dict[str, Any]]) -> list[Any]:
    """Turn empty objects into missing ones."""
    return [one or None for one in listed]
