"""A world laid on a real ledger: its orders, values and customers stay; what tracking saw of them is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from capi_lab.errors import InputError
from capi_lab.simulate.browsers import browser_shares
from capi_lab.simulate.columns import frame_of
from capi_lab.simulate.draws import Entities
from capi_lab.simulate.engine import Block, journeys, traits_of
from capi_lab.simulate.plan import Cell, Cells, Picker, Trait
from capi_lab.simulate.story import Story, Tables
from capi_lab.tables import CONVERSIONS, checked
from capi_lab.words import Consent, Origin

if TYPE_CHECKING:
    from capi_lab.simulate.engine import Words
    from capi_lab.simulate.plan import Plan
    from capi_lab.simulate.world import World

__all__ = ["LaidWorld", "lay"]

_TRAITS = ("country", "browser", "os", "device")


@dataclass(frozen=True, eq=False, repr=False)
class LaidWorld:
    """A world and the ledger it is laid on (`World.on`).

    Parameters
    ----------
    world : World
    conversions : DataFrame
        Contract ``conversions``.
    """

    world: World
    conversions: pd.DataFrame

    def __post_init__(self) -> None:
        ledger = checked(CONVERSIONS, self.conversions).reset_index(drop=True)
        object.__setattr__(self, "conversions", ledger)

    def __repr__(self) -> str:
        """Show the size, never rows."""
        return f"{self.world!r} on a ledger of {len(self.conversions):,} conversions"


def lay(plan: Plan, laid: LaidWorld) -> tuple[pd.DataFrame, Tables]:
    """Draw what tracking sees of a ledger.

    Parameters
    ----------
    plan : Plan
        Of the same world.
    laid : LaidWorld

    Returns
    -------
    DataFrame
        The ledger, with what was missing filled in.
    Tables
        Its own ``conversions`` hold contract columns only.

    Notes
    -----
    Orders and customers are drawn by their ids, so the order of rows does not matter. Orders of one ``user_key`` share
    their traits; an order without one is a customer of its own. What the ledger says of a customer is what happens
    to it; the rest is drawn to fit.
    """
    ledger = laid.conversions
    key = ledger["user_key"] if "user_key" in ledger else pd.Series(None, index=ledger.index, dtype="str")
    of_person, names = pd.factorize(key.fillna("order " + ledger["conversion_id"]))
    block = Block(Entities.named(ledger["conversion_id"]), Entities.named(names), of_person.astype(np.intp))
    nothing = pd.Series([None] * len(names), dtype="str")
    told = {
        n: ledger[n].groupby(of_person).first() if n in ledger else nothing for n in (*_TRAITS, "consent_ad_user_data")
    }
    cells, cell = _cells(plan, pd.DataFrame(told)[list(_TRAITS)], block.people)
    people = _with_consent(traits_of(plan, block.people, cells, cell), told["consent_ad_user_data"])
    drawn = journeys(plan, block, people)
    story = Story(plan, cells, Origin.SEMI_SYNTHETIC)
    tables = story.tables(block, drawn, _given(ledger))
    made = frame_of(tables.conversions)
    return checked(CONVERSIONS, ledger.assign(**{name: made[name] for name in made})), tables


def _given(ledger: pd.DataFrame) -> dict[str, Any]:
    """Return the ledger's contract columns for Arrow; consent and click ids are drawn, since the losses follow them."""
    found = {}
    for column in CONVERSIONS.columns:
        if column.name not in ledger or column.name.startswith("consent"):
            continue
        kind = {"text": pa.large_string(), "time": pa.timestamp("us", "UTC"), "number": pa.float64()}[column.kind]
        found[column.name] = pa.array(ledger[column.name], type=kind, from_pandas=True)
    if "origin" in found:
        origin = ledger["origin"].mask(ledger["origin"] == str(Origin.REAL), str(Origin.SEMI_SYNTHETIC))
        found["origin"] = pa.array(origin, type=pa.large_string(), from_pandas=True)
    return found


def _with_consent(people: Words, told: pd.Series) -> Words:
    """Let what the ledger says of consent stand."""
    refuses = np.asarray(told == str(Consent.DENIED), dtype=bool)
    no = np.uint32(Trait.NO_CONSENT)
    known = np.asarray(told.notna(), dtype=bool)
    return np.where(known, (people & ~no) | np.where(refuses, no, np.uint32(0)), people).astype(np.uint32)


def _cells(plan: Plan, known: pd.DataFrame, people: Entities) -> tuple[Cells, Any]:
    """Return the cells there are and each customer's, drawn among those that fit what is known."""
    world, u = plan.world, plan.draws.words("browser", people)
    absent = sorted(set(known["country"].dropna()) - set(world.consent_deny))
    if absent:
        raise InputError(
            f"World.consent_deny lacks {', '.join(absent)}, which the ledger has: say which share refuses there, "
            f"World(consent_deny={{**World().consent_deny, '{absent[0]}': share}})"
        )
    rows: dict[Cell, int] = {}
    cell = np.zeros(len(known), dtype=np.uint16)
    groups = known.fillna("").groupby(list(_TRAITS), sort=True).indices
    for values, places in groups.items():
        fitting, shares = _fitting(world, dict(zip(_TRAITS, values, strict=True)))
        numbers = np.array([rows.setdefault(one, len(rows)) for one in fitting], dtype=np.uint16)
        cell[places] = numbers[Picker(shares).pick(u[places])]
    return Cells(world, list(rows)), cell


def _fitting(world: World, told: dict[str, str]) -> tuple[list[Cell], Any]:
    """Return the cells that fit what is known of a customer, and their shares; what is known stands in each."""
    found: list[Cell] = []
    shares: list[float] = []
    countries = {told["country"]: 1.0} if told["country"] else {c: w for c, w in world.country_weights.items() if w}
    for country, weight in sorted(countries.items()):
        table = browser_shares(country)
        table = table.assign(share=table["share"] * np.where(table["device"] == "desktop", world.device_tilt, 1.0))
        table["share"] *= weight / table["share"].sum()
        for name in ("browser", "device", "os"):
            some = table[table[name] == told[name]] if told[name] else table
            table = some if len(some) and some["share"].sum() > 0 else table
        for browser, os, device, share in table[["browser", "os", "device", "share"]].itertuples(index=False):
            found.append(Cell(country, told["browser"] or browser, told["os"] or os, told["device"] or device))
            shares.append(share)
    return found, np.array(shares)
