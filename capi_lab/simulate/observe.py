"""What pixel and server report of a ledger: the simulator's story, without the people and clicks it would make up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from capi_lab.simulate.columns import frame_of
from capi_lab.simulate.ledger import lay
from capi_lab.simulate.plan import Plan
from capi_lab.simulate.world import World
from capi_lab.tables import CONVERSIONS, EVENTS, checked

__all__ = ["Observation", "observe"]

_ADDED = ("country", "browser", "os", "device", "consent_ad_user_data", "event_id", "origin")
_TOLD = ("conversion_id", "seen_pixel", "seen_capi", "no_consent", "blocker", "browser_private", "page_left",
         "script_failed", "server_failed")  # fmt: skip
_SENT = ("platform", "event_name", "conversion_id", "value", "currency", "external_id", "origin", "row_id", "channel",
         "event_id", "event_time", "received_time")  # fmt: skip


@dataclass(frozen=True, slots=True, repr=False)
class Observation:
    """Two channels' view of one ledger.

    Parameters
    ----------
    conversions : DataFrame
        The ledger, with the customers' segments and consent.
    events : DataFrame
        Contract ``events``.
    truth : DataFrame
        One row per conversion: every `GapCause` that was active (bool, whether or not another was too),
        ``seen_pixel``, ``seen_capi``. No log shows this.
    """

    conversions: pd.DataFrame
    events: pd.DataFrame
    truth: pd.DataFrame

    def __repr__(self) -> str:
        """Show sizes, never rows: the ledger may hold people's data."""
        return (
            f"Observation: {len(self.conversions):,} conversions, {len(self.events):,} events; seen by the pixel "
            f"{self.truth['seen_pixel'].mean():.1%}, by the server {self.truth['seen_capi'].mean():.1%}"
        )


def observe(
    conversions: pd.DataFrame, world: World, *, rng: np.random.Generator, platform: str = "meta"
) -> Observation:
    """Lay tracking loss on a ledger.

    Parameters
    ----------
    conversions : DataFrame
        Contract ``conversions``. Orders of one ``user_key`` share their traits; an order without one is a
        customer of its own. ``country``, ``browser``, ``os``, ``device``, consent and ``event_id`` are drawn or
        made where missing; what the ledger says of a customer is what happens to it.
    world : World
    rng : numpy Generator
        Same state, same tables.
    platform : str
        To which platform both channels report.

    Returns
    -------
    Observation
        ``origin`` is ``semi-synthetic`` where the ledger is ``real``, else the ledger's own.

    Raises
    ------
    ContractError
        The ledger breaks its contract.
    UnknownNameError
        No such platform, or no browser shares for a country.
    """
    laid = world.on(conversions)
    ledger, tables = lay(Plan(world, platform, int(rng.integers(2**63))), laid)
    seen = laid.conversions.assign(**{name: ledger[name] for name in _ADDED})
    events = frame_of(tables.events.select(list(_SENT)))
    events = events.sort_values(["received_time", "row_id"], ignore_index=True)
    truth = frame_of(tables.truth.select(list(_TOLD)))
    return Observation(checked(CONVERSIONS, seen), checked(EVENTS, events), truth)
