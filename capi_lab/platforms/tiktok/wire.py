"""TikTok's Events API: rows to bodies, replies to outcomes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from capi_lab.platforms.checks import (
    Findings,
    bad_currency,
    bad_shape,
    duplicates,
    looks_personal,
    none_of,
    not_fresh,
    older_than,
    utc,
)
from capi_lab.platforms.route import OutcomeStatus, Route
from capi_lab.platforms.rows import Rows, batches, checked_settings, collector_paused, constant, objects, wrapped
from capi_lab.platforms.screen import screen
from capi_lab.platforms.spec import PlatformSpec
from capi_lab.platforms.tiktok.spec import CURRENCIES, LISTS, OFFLINE_KEYS, OWN_IDS, SPEC
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

__all__ = ["TiktokEventsApi"]

_KEYS = tuple(key.source for key in SPEC.match_keys)
_STANDARD = frozenset(SPEC.event_names.values())
_ITEM = {"id": "content_id", "name": "content_name", "quantity": "quantity", "price": "price"}
# "Batch.0.properties.contents.1.content_id": the first number is the event. Only at the head of a path, since the
# message may quote a value, and a value may hold dots and digits of its own.
_NAMED_ROW = re.compile(r"(?:^|(?<![\w.])(?:batch|data)\.)(\d{1,6})\.[a-z_]", re.IGNORECASE)


class TiktokEventsApi:
    """Wire of route ``events_api``."""

    @property
    def spec(self) -> PlatformSpec:
        """TikTok's facts."""
        return SPEC

    @property
    def route(self) -> Route:
        """The Events API's facts."""
        return SPEC.route("events_api")

    def validate(self, rows: pd.DataFrame | Rows, settings: Mapping[str, str], *, now: datetime) -> list[Problem]:
        """Say what is wrong with each row; rules T01 to T10, the route's needs, are errors, T20 and on warnings."""
        chosen = checked_settings(self.route, settings)
        data, limits, clock = Rows.of(rows, SPEC), self.route.limits, utc(now)
        found = Findings(data.ids)
        web = chosen["event_source"] == "web"
        names = pd.Series(data.event_names(), index=data.frame.index, dtype="str")
        purchase, standard = (names == "Purchase").to_numpy(), names.isin(_STANDARD).to_numpy()
        screen(found, data, self.route, chosen, clock)
        if web:
            found.warn("T30", ~standard, "no standard event: seen in reports and audiences, never optimised for")
            found.warn("T32", _thin(data), "only name, address, IP or user agent: too little to be matched by")
        else:
            others = [name for name in _KEYS if name not in OFFLINE_KEYS]
            left_out = ~none_of(data, columns=[*others, *OWN_IDS])
            found.warn("T28", left_out, "offline takes email and phone: other keys and ids are left out")
        found.warn(
            "T20", ~data.has("event_id"), "no event_id: a browser copy counts too, unless ttp and 5 min tie them"
        )
        found.warn(
            "T21", duplicates(data, ("event_name", "event_id")), "repeats name and id of an earlier row: dropped"
        )
        found.warn("T22", not_fresh(data, limits, clock), "older than 1 hour")
        found.warn("T23", purchase & ~(data.has("value") & data.has("currency")), "Purchase without value and currency")
        unlisted = data.has("currency") & ~data.series("currency").isin(CURRENCIES).to_numpy()
        found.warn("T24", unlisted & ~bad_currency(data), "currency is not on TikTok's list")
        for key in _KEYS:
            found.warn("T25", data.has(key) & ~data.has_key(key), f"{key} is there but cannot be used as it is")
        if "test_event_code" in chosen:
            found.warn("T26", constant(True, len(data)), "test_event_code is set: shown under Test Events, not counted")
        for name in OWN_IDS:
            found.warn("T27", bad_shape(data, SPEC.click_id(name)), f"{name} was damaged on its way")
        unread = np.array([lines is None for lines in data.contents(_ITEM)], dtype=bool)
        found.warn("T29", data.has("items") & unread, "items hold no line with an id: contents are left out")
        if limits.click_max_age is not None:
            stale = older_than(data, "click_time", limits.click_max_age, clock)
            found.warn(
                "T33",
                looks_personal(data, "conversion_id"),
                "conversion_id looks like an e-mail or phone",
            )
            found.warn("T31", data.has("ttclid") & stale, "the click is older than 28 days")
        return found.problems()

    @collector_paused()
    def encode(self, rows: pd.DataFrame | Rows, settings: Mapping[str, str]) -> list[Request]:
        """Write requests of at most 1,000 events; see `validate` for what to mend first.

        Raises
        ------
        InputError
            A setting is missing or malformed.
        """
        chosen = checked_settings(self.route, settings)
        data = Rows.to_send(rows, SPEC)
        n, web = len(data), chosen["event_source"] == "web"
        user: dict[str, list[Any]] = {}
        for key in SPEC.match_keys:
            if web or key.source in OFFLINE_KEYS:
                values = data.key(key.source)
                user[key.field] = wrapped(values) if key.source in LISTS else values
        page: dict[str, list[Any]] = {}
        if web:
            user |= {name: data.text(name) for name in OWN_IDS}
            page = {"url": data.text("page_url"), "referrer": data.text("referrer_url")}
        contents = data.contents(_ITEM)
        properties = {
            "currency": data.text("currency"),
            "value": data.numbers("value"),
            "order_id": data.ids,
            "content_type": [lines and "product" for lines in contents],
            "contents": contents,
        }
        events = objects(
            {
                "event": data.event_names(),
                "event_time": data.times("event_time", self.route.time),
                "event_id": data.text("event_id"),
                # An object without a member says nothing, and `page` without its url would be refused.
                "user": [one or None for one in objects(user, n)],
                "page": [one if "url" in one else None for one in objects(page, n)],
                "properties": objects(properties, n),
            },
            n,
        )
        envelope = {
            name: chosen[name] for name in ("event_source", "event_source_id", "test_event_code") if name in chosen
        }
        headers = {"Content-Type": "application/json"}
        return [
            Request("POST", self.route.url, headers, {**envelope, "data": events[part]}, tuple(data.ids[part]))
            for part in batches(n, self.route.limits.batch_rows)
        ]

    def decode(self, reply: Reply, request: Request) -> list[Outcome]:
        """Read a reply: ``code`` decides, since refusals come with HTTP 200 too.

        Notes
        -----
        One bad event sinks its batch. Where the message names it, the others are free to go again without it.
        """
        body = as_dict(reply.json)
        number = as_int(body.get("code"))
        if number is None or (number == 0 and not 200 <= reply.status < 300):
            return by_http_status(reply, request)  # not TikTok's words, or words that deny each other
        code = safe_text(number)
        unknown = OutcomeStatus.RETRY if reply.status >= 500 or reply.status == 429 else OutcomeStatus.REJECTED
        status, message, wait = from_rule(self.route, code, reply, unknown=unknown)
        rule, text = self.route.status_of(code), body.get("message")
        if status is OutcomeStatus.REJECTED and rule is not None and rule.row_fault and isinstance(text, str):
            named = {int(found) for found in _NAMED_ROW.findall(text)}
            return without_named(request, named, code, message)
        return all_rows(request, status, "" if number == 0 else code, message if number else "", wait)


def _thin(data: Rows) -> NDArray[np.bool_]:
    """Say which rows have a key, but none of those TikTok lists as what it matches by."""
    enough = ~none_of(data, ("email", "phone", "external_id"), OWN_IDS)
    enough |= data.has_key("client_ip") & data.has_key("user_agent")
    return ~none_of(data, _KEYS) & ~enough
