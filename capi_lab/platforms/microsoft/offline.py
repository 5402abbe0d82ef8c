"""Microsoft's offline conversions: rows to bodies, replies to outcomes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from capi_lab.platforms.checks import (
    Findings,
    stale_click,
    utc,
)
from capi_lab.platforms.microsoft.clickid import click_ids
from capi_lab.platforms.microsoft.codes import NUMBER_OF
from capi_lab.platforms.microsoft.offline_spec import HASHES
from capi_lab.platforms.microsoft.spec import SPEC
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
    as_dict,
    as_int,
    as_list,
    by_http_status,
    from_rule,
    safe_text,
)

__all__ = ["MicrosoftOffline"]

_FAULT = frozenset({"Errors", "OperationErrors", "BatchErrors"})


class MicrosoftOffline:
    """Wire of route ``offline``."""

    @property
    def spec(self) -> PlatformSpec:
        """Microsoft's facts."""
        return SPEC

    @property
    def route(self) -> Route:
        """The offline conversions' facts."""
        return SPEC.route("offline")

    def validate(self, rows: pd.DataFrame | Rows, settings: Mapping[str, str], *, now: datetime) -> list[Problem]:
        """Say what is wrong with each row; rules O01 to O08, the route's needs, are errors, O20 and on warnings."""
        chosen = checked_settings(self.route, settings)
        data, limits, clock = Rows.of(rows, SPEC), self.route.limits, utc(now)
        found = Findings(data.ids)
        clicks = click_ids(data.text("msclkid"), dashed=False)
        clicked = np.array([one is not None for one in clicks], dtype=bool)
        screen(found, data, self.route, chosen, clock)
        found.warn("O20", ~clicked, "no click id: only a goal with enhanced conversions takes it")
        found.warn("O21", data.has("msclkid") & ~clicked, "msclkid is not a whole one and is left out")
        found.warn(
            "O22", clicked & stale_click(data, limits, clock), "the click is older than 90 days: nothing to match"
        )
        again = pd.DataFrame({"click": clicks, "time": data.times("event_time", self.route.time)})
        again = again.assign(**{name: data.key(name) for name in HASHES})
        found.warn("O23", again.duplicated(), "repeats click, time and hashes of an earlier row: counts once")
        for name in HASHES:
            unusable = data.has(name) & ~data.has_key(name)
            found.warn("O24", unusable, f"{name} is there but cannot be used as it is")
        finer = [one != given for one, given in zip(_thousandths(data), data.numbers("value"), strict=True)]
        found.warn("O25", np.array(finer, dtype=bool), "value has more than three decimals and is rounded")
        names = data.frame["event_name"]
        other = names != names.mode().iloc[0] if len(names) else names.isna()
        found.warn("O26", other, "not the usual event name of these rows: one goal takes them all")
        bare = data.has("value") & ~data.has("currency")
        found.warn("O27", bare, "value without currency: counted in the goal's own")
        return found.problems()

    @collector_paused()
    def encode(self, rows: pd.DataFrame | Rows, settings: Mapping[str, str]) -> list[Request]:
        """Write requests of at most 1,000 conversions; see `validate` for what to mend first.

        Raises
        ------
        InputError
            A setting is missing or malformed.

        Notes
        -----
        The same row always gives the same body: a resend with another time string would count again.
        """
        chosen = checked_settings(self.route, settings)
        data = Rows.to_send(rows, SPEC)
        n = len(data)
        conversions = objects(
            {
                "ConversionName": constant(chosen["conversion_name"], n),
                "ConversionTime": data.times("event_time", self.route.time),
                "MicrosoftClickId": click_ids(data.text("msclkid"), dashed=False),
                "HashedEmailAddress": data.key("email"),
                "HashedPhoneNumber": data.key("phone"),
                "ConversionValue": _thousandths(data),
                "ConversionCurrencyCode": data.text("currency"),
            },
            n,
        )
        return self._requests("OfflineConversions", conversions, self.route.url, data, chosen)

    @collector_paused()
    def correct(self, rows: pd.DataFrame | Rows, settings: Mapping[str, str], *, kind: Correction) -> list[Request]:
        """Write retractions or restatements of conversions that were sent.

        Raises
        ------
        InputError
            A setting is missing or malformed.

        Notes
        -----
        What names the conversion must be as it was uploaded: rows that were changed since name nothing.
        """
        chosen = checked_settings(self.route, settings)
        data, facts = Rows.to_send(rows, SPEC), self.route.corrections
        restate = kind is Correction.RESTATE
        require(data, "correction_time", *(("value",) if restate else ()))
        n = len(data)
        nothing: list[Any] = constant(None, n)
        written = objects(
            {
                "ConversionName": constant(chosen["conversion_name"], n),
                "ConversionTime": data.times("event_time", self.route.time),
                "MicrosoftClickId": click_ids(data.text("msclkid"), dashed=False),
                "HashedEmailAddress": data.key("email"),
                "HashedPhoneNumber": data.key("phone"),
                "AdjustmentType": constant(facts.kinds[kind], n),
                "AdjustmentTime": data.times("correction_time", self.route.time),
                "AdjustmentValue": _thousandths(data) if restate else nothing,
                "AdjustmentCurrencyCode": data.text("currency") if restate else nothing,
            },
            n,
        )
        return self._requests("OfflineConversionAdjustments", written, facts.url, data, chosen)

    def _requests(
        self, name: str, written: list[dict[str, Any]], url: str, data: Rows, chosen: Mapping[str, str]
    ) -> list[Request]:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "CustomerId": chosen["customer_id"],
            "CustomerAccountId": chosen["customer_account_id"],
        }
        return [
            Request("POST", url, headers, {name: written[part]}, tuple(data.ids[part]))
            for part in batches(len(data), self.route.limits.batch_rows)
        ]

    def decode(self, reply: Reply, request: Request) -> list[Outcome]:
        """Read a reply: rows that ``PartialErrors`` does not name were taken; a fault concerns the whole request.

        Notes
        -----
        Taken is not attributed, and a conversion uploaded before is taken without a word.
        """
        body = reply.json
        if not isinstance(body, dict):
            return by_http_status(reply, request)
        if not _FAULT.isdisjoint(body):
            return self._fault(body, reply, request)
        # Null, missing and empty all mean that nothing was rejected, but a body of other things means nothing.
        silent = not body or ("PartialErrors" in body and body["PartialErrors"] is None)
        if 200 <= reply.status < 300 and (silent or isinstance(body.get("PartialErrors"), list)):
            return self._partial(as_list(body.get("PartialErrors")), reply, request)
        return by_http_status(reply, request)

    def _partial(self, errors: Iterable[Any], reply: Reply, request: Request) -> list[Outcome]:
        named, unplaced = self._by_row(errors, reply, request)
        outcomes = []
        for position, row_id in enumerate(request.row_ids):
            if position in named:
                outcomes.append(_for_row(row_id, named[position]))
            elif unplaced:
                # Some row was refused, and the reply does not say which: it may be this one.
                outcomes.append(Outcome(row_id, OutcomeStatus.UNKNOWN, "", "an error names no row of the request"))
            else:
                outcomes.append(Outcome(row_id, OutcomeStatus.ACCEPTED))
        return outcomes

    def _fault(self, body: Mapping[str, Any], reply: Reply, request: Request) -> list[Outcome]:
        """Read a fault: nothing was processed; rows it does not name go again unless the request itself is at fault."""
        named, general = self._by_row(as_list(body.get("BatchErrors")), reply, request)
        general += [
            self._judged(error, reply)
            for part in ("Errors", "OperationErrors")
            for error in as_list(body.get(part))
            if isinstance(error, dict)
        ]
        if not named and not general:
            return by_http_status(reply, request)
        again = Outcome("", OutcomeStatus.RETRY, "", "refused along with other rows: send it again without those")
        return [
            _for_row(row_id, [*named.get(position, ()), *general] or [again])
            for position, row_id in enumerate(request.row_ids)
        ]

    def _by_row(
        self, errors: Iterable[Any], reply: Reply, request: Request
    ) -> tuple[dict[int, list[Outcome]], list[Outcome]]:
        """Sort errors by the row they name; the second list holds those that name none."""
        named: dict[int, list[Outcome]] = defaultdict(list)
        unplaced = []
        for error in errors:
            if error is None:
                continue  # the schema allows empty entries
            judged = self._judged(as_dict(error), reply)
            position = as_int(as_dict(error).get("Index"))
            if position is not None and 0 <= position < len(request.row_ids):
                named[position].append(judged)
            else:
                unplaced.append(judged)
        return named, unplaced

    def _judged(self, error: Mapping[str, Any], reply: Reply) -> Outcome:
        """Judge one error: by its name, which is stable, then by its number."""
        name, number = safe_text(error.get("ErrorCode")), safe_text(as_int(error.get("Code")))
        known = (one for one in (NUMBER_OF.get(name, name), number) if self.route.status_of(one))
        code = next(known, name or number)
        unknown = OutcomeStatus.RETRY if reply.status == 429 or reply.status >= 500 else OutcomeStatus.REJECTED
        status, message, wait = from_rule(self.route, code, reply, unknown=unknown)
        return Outcome("", status, code, message, wait)


def _for_row(row_id: str, found: list[Outcome]) -> Outcome:
    """Return the worst of a row's errors: a rejection, then the longest wait; the first of equals."""
    worst = max(found, key=lambda one: (one.status is OutcomeStatus.REJECTED, one.retry_after or 0.0))
    return Outcome(row_id, worst.status, worst.code, worst.message, worst.retry_after)


def _thousandths(data: Rows) -> list[float | None]:
    """Return values with the three decimals Microsoft takes."""
    return [None if value is None else round(value, 3) for value in data.numbers("value")]
