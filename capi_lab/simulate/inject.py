"""Lay faults on a log whose truth is then known: the test of every diagnosis."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from capi_lab.simulate.faults import Fault
from capi_lab.simulate.log import Log
from capi_lab.tables import CONVERSIONS, EVENTS, checked
from capi_lab.words import Origin

__all__ = ["Injected", "inject"]

_FAULTS = ("fault", "cause", "conversion_id", "row_ids", "other_conversion_id")


class Injected(NamedTuple):
    """A log with faults, and the list of them.

    Parameters
    ----------
    conversions, events : DataFrame
        Contract tables; rows of real origin are now ``semi-synthetic``.
    faults : DataFrame
        One row per conversion a fault hit: ``fault`` (its class), ``cause`` (the word for what it is, see `Fault`),
        ``conversion_id``, ``row_ids`` (of the events changed, added or taken out, comma-separated; missing where the
        conversion was only drawn in, as the one whose id another took, or only the ledger changed),
        ``other_conversion_id`` (of a fault between two: the other one). No log shows this.
    """

    conversions: pd.DataFrame
    events: pd.DataFrame
    faults: pd.DataFrame

    def __repr__(self) -> str:
        """Show sizes, never rows: the ledger may hold people's data."""
        hit = self.faults.groupby("fault").size()
        sizes = f"{len(self.conversions):,} conversions, {len(self.events):,} events, {len(self.faults):,} faults"
        return f"Injected: {sizes} ({', '.join(f'{name} {n:,}' for name, n in hit.items())})"


def inject(
    conversions: pd.DataFrame,
    events: pd.DataFrame,
    faults: Sequence[Fault],
    *,
    rng: np.random.Generator,
    disjoint: bool = False,
) -> Injected:
    """Lay faults on a log, one after the other.

    Parameters
    ----------
    conversions, events : DataFrame
        Contract tables, of any origin. Conversions nobody reports are not hit; most faults want both channels.
    faults : sequence of Fault
        From `capi_lab.faults`; a kind may be given several times. What one takes out, the next ones do not find.
    rng : numpy Generator
        Same state, same tables. Each fault draws from a stream of its own, per conversion: adding one, changing a
        rate or the order of the rows leaves the draws of the others as they were, and a higher rate hits the same
        conversions and more.
    disjoint : bool
        No conversion is hit twice: the faults that come first go first.

    Returns
    -------
    Injected

    Raises
    ------
    ContractError
        A table breaks its contract.
    InputError
        A rate is none.
    """
    ledger = checked(CONVERSIONS, conversions)
    log = Log(ledger, checked(EVENTS, events))
    base = int(rng.integers(2**63))
    taken = np.zeros(log.n, dtype=bool)
    found: list[pd.DataFrame] = []
    kinds: dict[str, int] = {}
    for fault in faults:
        kind = type(fault).__name__
        kinds[kind] = kinds.get(kind, 0) + 1
        own = np.random.default_rng([base, zlib.crc32(kind.encode()), kinds[kind]])
        chosen = fault.choose(log, own) & fault.fits(log)
        if fault.pairs_only:
            chosen &= log.pairs
        if disjoint:
            chosen &= ~taken
        partner = fault.partner(log)
        drawn_in = np.zeros_like(chosen)
        if partner is not None:  # two that are one another's partner would undo each other
            chosen &= ~(chosen | (taken if disjoint else False))[partner]
            drawn_in[partner[chosen]] = True
        if not chosen.any():
            continue
        touched = log.touched(fault.hit(log, chosen, own))
        taken |= chosen | drawn_in
        row = pd.DataFrame({"fault": kind, "cause": str(fault.cause), "conversion_id": log.ids[chosen | drawn_in]})
        row["row_ids"] = row["conversion_id"].map(touched)
        if partner is not None:
            two = dict(zip(log.ids[chosen], log.ids[partner[chosen]], strict=True))
            row["other_conversion_id"] = row["conversion_id"].map(two | {b: a for a, b in two.items()})
        found.append(row)
    empty = pd.DataFrame({name: pd.Series(dtype="str") for name in _FAULTS})
    table = pd.concat([empty, *found], ignore_index=True).astype("str")
    ledger = checked(CONVERSIONS, _no_longer_real(log.conversions))
    return Injected(ledger, checked(EVENTS, _no_longer_real(log.remaining)), table)


def _no_longer_real(frame: pd.DataFrame) -> pd.DataFrame:
    if "origin" not in frame:
        return frame.assign(origin=str(Origin.SEMI_SYNTHETIC))
    real = frame["origin"].isna() | (frame["origin"] == str(Origin.REAL))
    return frame.assign(origin=frame["origin"].mask(real, str(Origin.SEMI_SYNTHETIC)))
