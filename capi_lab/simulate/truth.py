"""What no log shows: each order's causes, its click, and what became of the click's id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from capi_lab.simulate.columns import Coded, choice, constant
from capi_lab.simulate.engine import Journeys, has
from capi_lab.simulate.plan import Plan, Trait
from capi_lab.words import ClickFate, GapCause

__all__ = ["truth_of"]

_FATES = tuple(ClickFate)


def truth_of(plan: Plan, drawn: Journeys, ledger: Mapping[str, Any], click_row_id: Coded) -> dict[str, Any]:
    """Return the columns of ``truth`` for a block.

    Parameters
    ----------
    plan : Plan
    drawn : Journeys
    ledger : mapping
        The orders' columns, with those for other tables only.
    click_row_id : Coded
        Each order's row among the clicks.
    """
    traits, click, n = drawn.traits, drawn.click, len(drawn.traits)
    clicked = np.zeros(n, dtype=bool)
    clicked[click.rows] = True

    def of_click(values: Any, missing: Any = False) -> Any:
        out = np.full(n, missing, dtype=np.asarray(values).dtype)
        out[click.rows] = values
        return out

    landed = (
        (ClickFate.EXPIRED, click.expired),
        (ClickFate.CLEARED, click.cleared),
        (ClickFate.SESSION_ENDED, click.session_ended),
        (ClickFate.DEVICE_CHANGED, click.device_changed),
        (ClickFate.JAR_LEFT, click.jar_left),
        (ClickFate.CAPTURE_FAILED, click.capture_failed),
        (ClickFate.REDIRECT_LOST, click.redirect_lost),
        (ClickFate.STRIPPED, click.stripped),
        (ClickFate.NO_CONSENT, has(traits[click.rows], Trait.NO_CONSENT)),
    )
    fate = np.full(len(click.rows), _FATES.index(ClickFate.KEPT), dtype=np.int8)
    for word, flags in landed:  # the first that happened is written last
        fate[flags] = _FATES.index(word)
    email, phone, email_bad, phone_bad = ledger["_keys"]
    return {
        "conversion_id": ledger["conversion_id"],
        "seen_pixel": pa.array(drawn.seen_pixel),
        "seen_capi": pa.array(drawn.seen_capi),
        str(GapCause.NO_CONSENT): pa.array(has(traits, Trait.NO_CONSENT)),
        str(GapCause.BLOCKER): pa.array(has(traits, Trait.BLOCKER)),
        str(GapCause.BROWSER_PRIVATE): pa.array(has(traits, Trait.BUILT_IN)),
        str(GapCause.PAGE_LEFT): pa.array(drawn.page_left),
        str(GapCause.SCRIPT_FAILED): pa.array(drawn.script_failed),
        str(GapCause.SERVER_FAILED): pa.array(drawn.server_failed),
        "platform": constant(plan.platform, n),
        "ad_click": pa.array(clicked),
        "in_window": pa.array(of_click(click.lag < plan.in_window)),
        "lag_days": pa.array(of_click(ledger["_lag"]), mask=~clicked),
        "click_row_id": click_row_id,
        "click_id_captured": pa.array(drawn.captured),
        "click_id_kept": pa.array(drawn.click_id),
        "click_id_fate": choice([str(one) for one in _FATES], of_click(fate, _FATES.index(ClickFate.NO_CLICK))),
        "in_app": pa.array(of_click(click.in_app)),
        "private_mode": pa.array(has(traits, Trait.PRIVATE)),
        "email_given": pa.array(email),
        "phone_given": pa.array(phone),
        "email_mistyped": pa.array(email_bad),
        "phone_mistyped": pa.array(phone_bad),
    }
