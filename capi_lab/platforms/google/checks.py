"""Checks of rows that both of Google's routes make.

Errors are the routes' needs, in `google.needs` and the specs. Rule ids are those of the reference sheet: G errors, W
warnings, A the Ads API's own. Ours are G23 (too old), G24 (consent denied, the sheet's W12 made an error), G25 (only
an expired click to match by), G26 (consent missing where that counts as denied), W15 (key unusable), W16 (negative
value), W17 (click id's shape), W18 (before its click), W19 (enhancement late), W20 and A09 (user data beside a braid:
sent by the one route, left out by the other) and A10 (adjustment before its conversion). G15 and A04 warn only, since
what they are about is left out and the rest is sent; W13 is an error where Google refuses the copies.

What only a finished body can break (unknown fields, too many destinations, another API's words, a cart) cannot happen
here and has no check; nor has W10, since a digest does not show how its e-mail was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capi_lab.platforms.checks import Findings, bad_shape, bad_value, duplicates
from capi_lab.platforms.google.needs import ADDRESS, CLICK_IDS, SENT
from capi_lab.platforms.google.spec import SPEC
from capi_lab.platforms.route import Limits
from capi_lab.platforms.rows import Rows
from capi_lab.platforms.screen import is_digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["check_clicks", "check_repeats", "check_rows", "full_address", "sent_time"]


def full_address(data: Rows) -> NDArray[np.bool_]:
    """Say which rows have all of an address that Google wants."""
    return np.asarray(np.logical_and.reduce([data.has_key(name) for name in ADDRESS]), dtype=bool)


def check_rows(found: Findings, data: Rows, chosen: Mapping[str, str]) -> None:
    """Look at value, ids and person of every row for what is suspicious or left out."""
    value = data.frame["value"].to_numpy(dtype="float64") if "value" in data.frame else np.zeros(len(data))
    found.warn("W16", bad_value(data) & ~np.isinf(value), "value is negative: Google does not say what becomes of it")
    transaction = data.series(chosen["transaction_id"])
    found.warn("W03", _matches(transaction, r"[0-9]+"), "transaction id of digits only: one account saw it refused")
    found.warn("W04", _matches(transaction, r".*@.*|\+[0-9]{7,15}"), "transaction id looks like an e-mail or phone")
    for key in SENT:
        # One that is a digest is an error, G13.
        unusable = data.has(key) & ~data.has_key(key)
        if unusable.any():
            found.warn("W15", unusable & ~is_digest(data, key), f"{key} is there but cannot be used as it is")
    named = data.has_key("first_name") | data.has_key("last_name")
    found.warn("G15", named & ~full_address(data), "address is incomplete and left out: both names, country, postcode")


def check_clicks(found: Findings, data: Rows, limits: Limits, chosen: Mapping[str, str], clock: pd.Timestamp) -> None:
    """Check click ids: which go together, how they look, how old they are."""
    gclid, gbraid, wbraid = (data.has(name) for name in CLICK_IDS)
    braid = (gbraid | wbraid) & ~gclid
    found.warn("W06", gclid & wbraid, "wbraid is left out beside the gclid")
    if chosen["counting"] == "ONE_PER_CLICK":
        found.warn("W08", braid, "gbraid and wbraid need an action that counts every conversion")
    for name in CLICK_IDS:
        found.warn("W17", bad_shape(data, SPEC.click_id(name)), f"{name} does not look like a whole one")
    if not data.has("click_time").any():
        return
    clicked = data.series("click_time")
    any_click = gclid | gbraid | wbraid
    found.warn("W01", any_click & _true(clock - clicked > limits.click_max_age), "the click is older than 90 days")
    found.warn("W02", any_click & _true(clock - clicked < limits.click_min_age), "the click is younger than 6 hours")
    found.warn("W18", any_click & _true(clicked > data.series("event_time")), "earlier than its click")


def check_repeats(found: Findings, data: Rows, chosen: Mapping[str, str], *, error: bool) -> None:
    """Look for rows that Google would take for one."""
    column = chosen["transaction_id"]
    click = pd.DataFrame({"gclid": data.series("gclid"), "second": sent_time(data)})
    same_click = (click.duplicated() & click.notna().all(axis=1)).to_numpy(dtype=bool)
    again = duplicates(data, (column,)) | (same_click & ~data.has(column))
    say = found.error if error else found.warn
    say("W13", again, "repeats the transaction id, or gclid and time, of an earlier row")


def sent_time(data: Rows) -> pd.Series:
    """Return the conversions' times as both routes write them: without fractions of a second."""
    return data.series("event_time").dt.floor("s")


def _matches(series: pd.Series, pattern: str) -> NDArray[np.bool_]:
    return np.asarray(series.notna() & series.str.fullmatch(pattern), dtype=bool)


def _true(flags: pd.Series) -> NDArray[np.bool_]:
    return np.asarray(flags.fillna(value=False), dtype=bool)
