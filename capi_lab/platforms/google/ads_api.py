"""The Google Ads API: clicks and enhancements to bodies, partial failures to outcomes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from capi_lab.errors import InputError
from capi_lab.platforms.checks import Findings, utc
from capi_lab.platforms.google.ads_spec import (
    BRAID_WITH_USER_DATA,
    CONSENT_WORDS,
    ENHANCEMENT_FRESH,
    ENHANCEMENT_MAX_AGE,
    ENVIRONMENTS,
    METHODS,
)
from capi_lab.platforms.google.checks import check_clicks, check_repeats, check_rows, full_address, sent_time
from capi_lab.platforms.google.identifiers import addresses, click_ids, people, withheld
from capi_lab.platforms.google.needs import CLICK_IDS
from capi_lab.platforms.google.replies import (
    NOTHING_RECORDED,
    best,
    judged,
    reasons,
    refused,
    rows_named,
    validated_only,
)
from capi_lab.platforms.google.spec import SPEC
from capi_lab.platforms.route import OutcomeStatus, Route
from capi_lab.platforms.rows import Rows, batches, checked_settings, collector_paused, constant, objects, require
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
    as_int,
    as_list,
    by_http_status,
    safe_text,
)

__all__ = ["GoogleAdsApi"]

_LISTS = ("conversions", "conversion_adjustments", "conversionAdjustments")
_OF_THE_LIST = ("TOO_MANY_CONVERSIONS_IN_REQUEST", "TOO_MANY_ADJUSTMENTS_IN_REQUEST")
_FIRST_PARTY = {"userIdentifierSource": "FIRST_PARTY"}
_ADDRESS = {
    "first_name": "hashedFirstName",
    "last_name": "hashedLastName",
    "country": "countryCode",
    "postal_code": "postalCode",
}
# A row with several errors: what no resend mends comes first.
_WORST = (OutcomeStatus.REJECTED, OutcomeStatus.RETRY, OutcomeStatus.ACCEPTED)


class GoogleAdsApi:
    """Wire of route ``ads_api``."""

    @property
    def spec(self) -> PlatformSpec:
        """Google's facts."""
        return SPEC

    @property
    def route(self) -> Route:
        """The Google Ads API's facts."""
        return SPEC.route("ads_api")

    def validate(self, rows: pd.DataFrame | Rows, settings: Mapping[str, str], *, now: datetime) -> list[Problem]:
        """Say what is wrong with each row; rule ids are explained in `google.checks`.

        Raises
        ------
        InputError
            A setting is missing or malformed.
        """
        chosen = checked_settings(self.route, settings)
        data, limits, clock = Rows.of(rows, SPEC), self.route.limits, utc(now)
        found = Findings(data.ids)
        if chosen["operation"] == "enhancement":
            self._check_enhancement(found, data, chosen, clock)
        else:
            check_clicks(found, data, limits, chosen, clock)
            self._check_click(found, data)
        screen(found, data, self.route, chosen, clock)
        check_rows(found, data, chosen)
        # Google refuses all copies of an id that is twice in a request, the first one included.
        check_repeats(found, data, chosen, error=True)
        return found.problems()

    def _check_click(self, found: Findings, data: Rows) -> None:
        clicked = np.logical_or.reduce([data.has(name) for name in CLICK_IDS])
        person = data.has_key("email") | data.has_key("phone")
        found.warn("A04", full_address(data) & ~person, "an address is not taken by click uploads and left out")
        found.warn("W05", ~data.has("consent_ad_user_data"), "consent is missing: in the EEA that counts as denied")
        if not BRAID_WITH_USER_DATA.value:
            braid = clicked & ~data.has("gclid")
            found.warn("A09", braid & person, "e-mail and phone are left out beside a gbraid or wbraid")

    def _check_enhancement(self, found: Findings, data: Rows, chosen: Mapping[str, str], clock: pd.Timestamp) -> None:
        lived = clock - data.series("event_time")
        late = (lived > ENHANCEMENT_FRESH) & (lived <= ENHANCEMENT_MAX_AGE)
        if (adjusted := _adjusted(chosen)) is not None:
            early = (sent_time(data) > adjusted).to_numpy()
            found.error("A10", early, "adjustment_time is earlier than the conversion")
        found.warn("W19", late.to_numpy(), "older than 24 hours: Google wants enhancements sooner")

    @collector_paused()
    def encode(self, rows: pd.DataFrame | Rows, settings: Mapping[str, str]) -> list[Request]:
        """Write requests of at most 2,000 rows; see `validate` for what to mend first.

        Raises
        ------
        InputError
            A setting is missing or malformed.

        """
        chosen = checked_settings(self.route, settings)
        data = Rows.to_send(rows, SPEC)
        if chosen["operation"] == "enhancement":
            _adjusted(chosen)
            name, written = "conversionAdjustments", self._enhancements(data, chosen)
        else:
            name, written = "conversions", self._clicks(data, chosen)
        url = self.route.url.format(**(chosen | {"operation": METHODS[chosen["operation"]]}))
        return self._requests(name, written, url, data, chosen)

    def _requests(
        self, name: str, written: list[dict[str, Any]], url: str, data: Rows, chosen: Mapping[str, str]
    ) -> list[Request]:
        headers = {"Content-Type": "application/json"}
        if "login_customer_id" in chosen:
            headers["login-customer-id"] = chosen["login_customer_id"]
        extra = {"validateOnly": True} if chosen["validate_only"] == "true" else {}
        return [
            Request("POST", url, headers, {name: written[part], "partialFailure": True, **extra}, tuple(data.ids[part]))
            for part in batches(len(data), self.route.limits.batch_rows)
        ]

    def _clicks(self, data: Rows, chosen: Mapping[str, str]) -> list[dict[str, Any]]:
        n = len(data)
        no = np.zeros(len(data), dtype=bool)
        if not BRAID_WITH_USER_DATA.value:
            no = (data.has("gbraid") | data.has("wbraid")) & ~data.has("gclid")
        members = {
            "hashedEmail": withheld(data.key("email"), no),
            "hashedPhoneNumber": withheld(data.key("phone"), no),
        }
        words = [CONSENT_WORDS.get(word) for word in data.text("consent_ad_user_data")]
        return objects(
            {
                "conversionAction": constant(_action(chosen), n),
                "conversionDateTime": data.times("event_time", self.route.time),
                "conversionValue": data.numbers("value"),
                "currencyCode": data.text("currency"),
                "orderId": data.text(chosen["transaction_id"]),
                **click_ids(data, chosen["click_id_policy"]),
                "conversionEnvironment": [ENVIRONMENTS.get(source) for source in data.text("action_source")],
                "consent": [None if word is None else {"adUserData": word} for word in words],
                "userIdentifiers": people(members, _FIRST_PARTY, n),
            },
            n,
        )

    def _enhancements(self, data: Rows, chosen: Mapping[str, str]) -> list[dict[str, Any]]:
        n = len(data)
        user = people(
            {
                "hashedEmail": data.key("email"),
                "hashedPhoneNumber": data.key("phone"),
                "addressInfo": addresses(data, _ADDRESS),
            },
            _FIRST_PARTY,
            n,
        )
        nobody = np.array([one is None for one in user], dtype=bool)
        pairs = objects(
            {"gclid": data.text("gclid"), "conversionDateTime": data.times("event_time", self.route.time)}, n
        )
        return objects(
            {
                "conversionAction": constant(_action(chosen), n),
                "adjustmentType": constant("ENHANCEMENT", n),
                "orderId": data.text(chosen["transaction_id"]),
                "adjustmentDateTime": constant(chosen.get("adjustment_time"), n),
                "gclidDateTimePair": pairs if chosen["conversion_time"] == "true" else constant(None, n),
                # Without identifiers beside it a browser would be refused.
                "userAgent": withheld(data.key("user_agent"), nobody),
                "userIdentifiers": user,
            },
            n,
        )

    @collector_paused()
    def correct(self, rows: pd.DataFrame | Rows, settings: Mapping[str, str], *, kind: Correction) -> list[Request]:
        """Write retractions or restatements of conversions that were sent.

        Raises
        ------
        InputError
            A setting is missing or malformed.
        """
        chosen = checked_settings(self.route, settings)
        data, facts = Rows.to_send(rows, SPEC), self.route.corrections
        require(data, "correction_time", *(("value",) if kind is Correction.RESTATE else ()))
        n, orders = len(data), data.text(chosen["transaction_id"])
        pairs = objects(
            {"gclid": data.text("gclid"), "conversionDateTime": data.times("event_time", self.route.time)}, n
        )
        money = objects({"adjustedValue": data.numbers("value"), "currencyCode": data.text("currency")}, n)
        written = objects(
            {
                "conversionAction": constant(_action(chosen), n),
                "adjustmentType": constant(facts.kinds[kind], n),
                "adjustmentDateTime": data.times("correction_time", self.route.time),
                "orderId": orders,
                # Order id and click id exclude each other.
                "gclidDateTimePair": [None if order else pair for order, pair in zip(orders, pairs, strict=True)],
                "restatementValue": money if kind is Correction.RESTATE else constant(None, n),
            },
            n,
        )
        return self._requests("conversionAdjustments", written, facts.url.format(**chosen), data, chosen)

    def decode(self, reply: Reply, request: Request) -> list[Outcome]:
        """Read a reply: HTTP 200 even where rows fail, each failed row named by its index.

        Notes
        -----
        Rows without an error count as taken only where ``results`` has a filled slot for each: a failed row's slot is
        empty, and some failed rows are echoed, so that errors are asked first. Where they cannot be read nobody knows.
        """
        body = as_dict(reply.json)
        error = as_dict(body.get("error"))
        if error:
            errors = self._errors(error, request)
            first = {row: codes[0] for row, codes in errors.named.items()}
            return refused(self.route, first, errors.whole, reasons(error), reply, request)
        if not 200 <= reply.status < 300 or not isinstance(reply.json, dict):
            return by_http_status(reply, request)
        failure = body.get("partialFailureError")
        errors = self._errors(as_dict(failure), request)
        found = {row: self._worst(request.row_ids[row], codes, reply) for row, codes in errors.named.items()}
        whole = [code for code in errors.whole if code]
        if whole:
            code = best(self.route, whole)
            others = [judged(self.route, row_id, code, reply) for row_id in request.row_ids]
        elif errors.lost or (failure is not None and not found):
            others = all_rows(request, OutcomeStatus.UNKNOWN, "", "the reply tells of errors, but not of which rows")
        elif validated_only(request):
            others = all_rows(request, OutcomeStatus.UNKNOWN, "validate_only", NOTHING_RECORDED)
        else:
            others = _by_slot(as_list(body.get("results")), reply, request)
        outcomes = rows_named(request, found, others)
        return _undecided(outcomes, as_list(body.get("results")), errors.by_index)

    def _worst(self, row_id: str, codes: list[str], reply: Reply) -> Outcome:
        found = [judged(self.route, row_id, code, reply) for code in codes]
        return min(found, key=lambda one: (_WORST.index(one.status), -(one.retry_after or 0)))

    def _errors(self, status: Mapping[str, Any], request: Request) -> _Errors:
        """Read every error of every failure.

        One failure holds the errors of all rows; the status' own message is the first error's only.
        """
        found = _Errors()
        for failure in map(as_dict, as_list(status.get("details"))):
            for one in map(as_dict, as_list(failure.get("errors"))):
                code = _code(one)
                row, by_index = _position(one, code)
                if row is None:
                    found.whole.append(code)
                    found.lost |= not code
                elif 0 <= row < len(request.row_ids):
                    found.named.setdefault(row, []).append(code)
                    if by_index:
                        found.by_index.add(row)
                else:
                    found.lost = True
        return found


@dataclass(slots=True)
class _Errors:
    """The errors of a reply.

    Parameters
    ----------
    named : dict
        Position of a row to its codes.
    by_index : set of int
        Those of ``named`` whose position is written, not just left out because it is 0.
    whole : list of str
        Codes that are about no row.
    lost : bool
        There are errors of which nothing can be read, or which are about rows that were not in the request.
    """

    named: dict[int, list[str]] = field(default_factory=dict)
    by_index: set[int] = field(default_factory=set)
    whole: list[str] = field(default_factory=list)
    lost: bool = False


def _position(error: Mapping[str, Any], code: str) -> tuple[int | None, bool]:
    """Return the row an error is about (None: the whole request; -1: unreadable), and whether its index is written."""
    for element in map(as_dict, as_list(as_dict(error.get("location")).get("fieldPathElements"))):
        if element.get("fieldName") in _LISTS:
            if element.get("index") is None:
                # Index 0 may be left out; but "too many conversions" names the list and no row.
                return (None, False) if code in _OF_THE_LIST else (0, False)
            index = as_int(element["index"])
            return (-1 if index is None else index), True
    return None, False


def _undecided(outcomes: list[Outcome], results: Sequence[Any], by_index: Collection[int]) -> list[Outcome]:
    """Take back the rejection of rows whose slot is filled, unless an error names them by a written index."""
    if len(results) != len(outcomes):
        return outcomes
    message = "an error that does not name the row speaks against it, a filled result for it"
    return [
        Outcome(one.row_id, OutcomeStatus.UNKNOWN, one.code, message)
        if one.status is OutcomeStatus.REJECTED and as_dict(slot) and at not in by_index
        else one
        for at, (one, slot) in enumerate(zip(outcomes, results, strict=True))
    ]


def _code(error: Mapping[str, Any]) -> str:
    """Return the reason of one error, whichever family it is of."""
    return next((text for value in as_dict(error.get("errorCode")).values() if (text := safe_text(value))), "")


def _by_slot(results: Sequence[Any], reply: Reply, request: Request) -> list[Outcome]:
    if len(results) != len(request.row_ids):
        return by_http_status(reply, request)
    return [
        Outcome(row_id, OutcomeStatus.ACCEPTED)
        if as_dict(slot)
        else Outcome(row_id, OutcomeStatus.UNKNOWN, "", "the reply neither takes the row nor says why not")
        for row_id, slot in zip(request.row_ids, results, strict=True)
    ]


def _adjusted(chosen: Mapping[str, str]) -> pd.Timestamp | None:
    """Read ``adjustment_time``; its shape was checked before, but not that there is such a time."""
    if "adjustment_time" not in chosen:
        return None
    try:
        return utc(datetime.fromisoformat(chosen["adjustment_time"]))
    except (ValueError, OverflowError):
        raise InputError("setting 'adjustment_time' is no time that exists") from None


def _action(chosen: Mapping[str, str]) -> str:
    return f"customers/{chosen['customer_id']}/conversionActions/{chosen['conversion_action_id']}"
