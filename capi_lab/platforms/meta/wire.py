"""Meta's Conversions API: rows to bodies, replies to outcomes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from capi_lab.platforms.checks import (
    Findings,
    bad_shape,
    duplicates,
    looks_personal,
    not_fresh,
    stale_click,
    utc,
)
from capi_lab.platforms.meta.spec import ACTION_SOURCES, OWN_IDS, SPEC
from capi_lab.platforms.route import OutcomeStatus, Route
from capi_lab.platforms.rows import (
    Rows,
    batches,
    checked_settings,
    collector_paused,
    constant,
    objects,
    require,
    wrapped,
)
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
    as_list,
    by_http_status,
    from_rule,
    retry_after,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MetaCapi"]

_KEYS = tuple(key.source for key in SPEC.match_keys)


class MetaCapi:
    """Wire of route ``capi``."""

    @property
    def spec(self) -> PlatformSpec:
        """Meta's facts."""
        return SPEC

    @property
    def route(self) -> Route:
        """The Conversions API's facts."""
        return SPEC.route("capi")

    def validate(self, rows: pd.DataFrame | Rows, settings: Mapping[str, str], *, now: datetime) -> list[Problem]:
        """Say what is wrong with each row; rules M01 to M13, the route's needs, are errors, M20 and on warnings."""
        chosen = checked_settings(self.route, settings)
        data, limits, clock = Rows.of(rows, SPEC), self.route.limits, utc(now)
        found = Findings(data.ids)
        screen(found, data, self.route, chosen, clock)
        found.warn("M20", ~data.has("event_id"), "no event_id: a browser copy would be counted as well")
        found.warn("M21", _in_seconds(data), "fbc holds seconds where milliseconds belong")
        found.warn("M22", bad_shape(data, SPEC.click_id("fbp")), "fbp does not look like one")
        found.warn("M23", not_fresh(data, limits, clock), "older than 2 hours: of less use for delivery")
        found.warn("M24", duplicates(data, ("event_name", "event_id")), "repeats event name and id of an earlier row")
        found.warn("M25", data.has("fbc") & stale_click(data, limits, clock), "the click is older than 90 days")
        for key in _KEYS:
            unusable = data.has(key) & ~data.has_key(key)
            found.warn("M26", unusable, f"{key} is there but cannot be used as it is")
        found.warn(
            "M28",
            looks_personal(data, "conversion_id"),
            "conversion_id looks like an e-mail or phone",
        )
        if "test_event_code" in chosen:
            found.warn("M27", constant(True, len(data)), "test_event_code is set: the event still counts")
        return found.problems()

    @collector_paused()
    def encode(self, rows: pd.DataFrame | Rows, settings: Mapping[str, str]) -> list[Request]:
        """Write requests of at most 1,000 events; see `validate` for what to mend first.

        Raises
        ------
        InputError
            A setting is missing, or a row lacks ``action_source``.
        """
        chosen = checked_settings(self.route, settings)
        data = Rows.to_send(rows, SPEC)
        require(data, "action_source")
        events = self._events(data)
        url = self.route.url.format(**chosen)
        extra = {"test_event_code": chosen["test_event_code"]} if "test_event_code" in chosen else {}
        headers = {"Content-Type": "application/json"}
        return [
            Request("POST", url, headers, {"data": events[part], **extra}, tuple(data.ids[part]))
            for part in batches(len(data), self.route.limits.batch_rows)
        ]

    def _events(self, data: Rows) -> list[dict[str, Any]]:
        n = len(data)
        user: dict[str, list[Any]] = {}
        for key in SPEC.match_keys:
            values = data.key(key.source)
            # Digests go as lists, as in Meta's own samples: a person may have several.
            user[key.field] = wrapped(values) if key.hashed else values
        user |= {name: data.text(name) for name in OWN_IDS}
        contents = data.contents({"id": "id", "quantity": "quantity", "price": "item_price"})
        custom = {
            "value": data.numbers("value"),
            "currency": data.text("currency"),
            "order_id": data.ids,
            "content_type": [None if c is None else "product" for c in contents],
            "contents": contents,
        }
        return objects(
            {
                "event_name": data.event_names(),
                "event_time": data.times("event_time", self.route.time),
                "event_id": data.text("event_id"),
                "action_source": [ACTION_SOURCES[source] for source in data.text("action_source")],
                "event_source_url": data.text("page_url"),
                "referrer_url": data.text("referrer_url"),
                "user_data": objects(user, n),
                "custom_data": objects(custom, n),
            },
            n,
        )

    def decode(self, reply: Reply, request: Request) -> list[Outcome]:
        """Read a reply: all rows share one fate, since one bad event sinks its batch.

        Notes
        -----
        Codes are asked first, the HTTP status second: the two are not reliably paired.
        """
        body = as_dict(reply.json)
        error = as_dict(body.get("error"))
        if error:
            return self._failed(error, reply, request)
        received = as_int(body.get("events_received"))
        if 200 <= reply.status < 300 and received is not None:
            if received == len(request.row_ids):
                return all_rows(request, OutcomeStatus.ACCEPTED)
            return all_rows(
                request, OutcomeStatus.UNKNOWN, "", "the reply counts another number of events than was sent"
            )
        return by_http_status(reply, request)

    def _failed(self, error: Mapping[str, Any], reply: Reply, request: Request) -> list[Outcome]:
        code, sub = as_int(error.get("code")), as_int(error.get("error_subcode"))
        if code is None:
            return by_http_status(reply, request)
        name = "negative" if code < 0 else str(code)
        if sub is not None and self.route.status_of(f"{name}/{sub}"):
            name = f"{name}/{sub}"
        if error.get("is_transient") is True:
            wait = retry_after(reply)
            return all_rows(request, OutcomeStatus.RETRY, name, "Meta says that the error is transient", wait)
        unknown = OutcomeStatus.RETRY if reply.status >= 500 else OutcomeStatus.REJECTED
        status, message, wait = from_rule(self.route, name, reply, unknown=unknown)
        if status is OutcomeStatus.RETRY:
            wait = max((seconds for seconds in (wait, _regain(reply)) if seconds is not None), default=None)
        return all_rows(request, status, name, message, wait)


def _regain(reply: Reply) -> float | None:
    """Read when a throttled account may write again: the usage header says so in minutes."""
    for name, text in reply.headers.items():
        if name.lower() not in ("x-business-use-case-usage", "x-business-use-case"):
            continue
        try:
            usage = json.loads(text)
        except (TypeError, ValueError, RecursionError):
            return None
        entries = (as_dict(entry) for account in as_dict(usage).values() for entry in as_list(account))
        minutes = [as_int(entry.get("estimated_time_to_regain_access")) for entry in entries]
        return max((60.0 * m for m in minutes if m is not None and 0 < m < 100_000), default=None)
    return None


def _in_seconds(data: Rows) -> NDArray[np.bool_]:
    fbc = data.series("fbc")
    return np.asarray(fbc.notna() & fbc.str.fullmatch(r"fb\.\d+\.\d{10}\..*"), dtype=bool)
