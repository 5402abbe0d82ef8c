"""The numbers people quote, counted over simulated orders: k of n each, from the bare engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from capi_lab.errors import InputError, UnknownNameError
from capi_lab.simulate.engine import Block, Journeys, blocks, has, journeys, match, traits_of
from capi_lab.simulate.plan import Plan, Trait

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from capi_lab.simulate.world import World

    Flags = NDArray[np.bool_]

__all__ = ["HEADLINES", "click_id_survival_by_lag", "drawn_blocks", "headlines", "parts"]

HEADLINES = {
    "pixel_coverage": "seen by the pixel / orders",
    "server_coverage": "sent by the server / orders",
    "union_coverage": "seen by either / orders",
    "click_id_match": "matched by click id / server events with a click id",
    "click_id_match_any": "matched on any path / server events with a click id",
    "click_id_attributed": "matched by click id, click in the window / server events with a click id",
    "pii_only_match": "matched / server events without a click id",
    "pii_by_email": "e-mail would match / server events without a click id",
    "pii_by_phone": "phone would match / server events without a click id",
    "pii_by_address": "IP and user agent would match / server events without a click id",
    "pii_ad_match": "matched / server events without a click id of ad-driven orders",
    "pii_ad_attributed": "matched, click in the window / the same",
    "pii_attributed": "matched, click in the window / server events without a click id",
    "all_match": "matched / server events",
    "click_id_recall": "with a click id / server events of ad-driven orders",
    "recall_pixel": "attributed through the pixel / ad-driven orders",
    "recall_both": "attributed through either / ad-driven orders",
}
"""Name to *numerator / denominator*. An ad-driven order has a click on the platform's ads before it."""

_BY: dict[str, Callable[[Any], str]] = {
    "country": lambda cell: cell.country,
    "browser": lambda cell: cell.browser,
    "device": lambda cell: cell.device,
    "safari": lambda cell: "Safari" if cell.browser == "Safari" else "others",
}


def headlines(
    world: World,
    *,
    rng: np.random.Generator,
    n: int = 500_000,
    platform: str = "meta",
    by: Literal["country", "browser", "device", "safari"] | None = None,
) -> pd.DataFrame:
    """Count a world's headline figures over simulated orders.

    Parameters
    ----------
    world : World
    rng : numpy Generator
        Its next number is the seed of all draws, as in `simulate`: same state, same orders.
    n : int
        Orders to draw; memory does not grow with it.
    platform : str
        Whose clicks, accounts and window.
    by : str, optional
        ``country``, ``browser``, ``device`` or ``safari`` (Safari against all others).

    Returns
    -------
    DataFrame
        ``headline`` (a name of `HEADLINES`), the group, ``k``, ``n``, ``value``.

    Raises
    ------
    InputError
        ``n`` is below 1.
    UnknownNameError
        No such platform or group.
    """
    if n < 1:
        raise InputError("n must be 1 or more")
    if by is not None and by not in _BY:
        raise UnknownNameError("group", by, _BY)
    plan = Plan(world, platform, int(rng.integers(2**63)))
    labels = [_BY[by](cell) if by else "all" for cell in plan.cells.rows]
    groups = sorted(set(labels))
    of_cell = np.array([groups.index(label) for label in labels])
    counts = np.zeros((2, len(HEADLINES), len(groups)), dtype=np.int64)
    for block, drawn in drawn_blocks(plan, n):
        group = of_cell[drawn.traits >> np.uint32(16)] if by else None
        for place, both in enumerate(parts(plan, block, drawn)):
            for side, flags in enumerate(both):
                counts[side, place] += (
                    np.count_nonzero(flags) if group is None else np.bincount(group[flags], minlength=len(groups))
                )
    found = [
        {"headline": name, **({by: label} if by else {}), "k": int(counts[0, i, g]), "n": int(counts[1, i, g])}
        for i, name in enumerate(HEADLINES)
        for g, label in enumerate(groups)
    ]
    table = pd.DataFrame(found)
    return table.assign(value=table["k"] / table["n"].where(table["n"] > 0))


def drawn_blocks(plan: Plan, n: int) -> Iterator[tuple[Block, Journeys]]:
    """Yield blocks of orders with what became of them."""
    for block in blocks(plan, n):
        yield block, journeys(plan, block, traits_of(plan, block.people))


def parts(plan: Plan, block: Block, drawn: Journeys) -> list[tuple[Flags, Flags]]:
    """Return numerator and denominator of each headline, in their order; a numerator is a part of its denominator."""
    known = match(plan, block, drawn)
    sent, seen = drawn.seen_capi, drawn.seen_pixel
    ad = np.zeros(len(sent), dtype=bool)
    ad[drawn.click.rows] = True
    everybody = np.ones(len(sent), dtype=bool)
    with_id, without = sent & drawn.click_id, sent & ~drawn.click_id
    ad_without, ad_sent = without & ad, sent & ad
    timely = known.matched & known.in_window
    by_pixel = known.pixel_matched & known.in_window
    return [
        (seen, everybody),
        (sent, everybody),
        (seen | sent, everybody),
        (with_id & known.by_click, with_id),
        (with_id & known.matched, with_id),
        (with_id & known.by_click & known.in_window, with_id),
        (without & known.matched, without),
        (without & known.by_email, without),
        (without & known.by_phone, without),
        (without & known.by_address, without),
        (ad_without & known.matched, ad_without),
        (ad_without & timely, ad_without),
        (without & timely, without),
        (known.matched, sent),
        (ad_sent & drawn.click_id, ad_sent),
        (by_pixel, ad),
        (by_pixel | timely, ad),
    ]


def click_id_survival_by_lag(
    world: World, *, rng: np.random.Generator, n: int = 500_000, platform: str = "meta"
) -> pd.DataFrame:
    """Count how many captured click ids are still there at the order, by time since the click.

    Parameters
    ----------
    world, rng, n, platform
        As in `headlines`.

    Returns
    -------
    DataFrame
        ``browser`` (``Safari`` or ``others``), ``lag`` (``to 1 h``, ``1 h to 1 d``, ``1 to 7 d``, ``7 d and more``),
        ``k``, ``n``, ``value``.
    """
    plan = Plan(world, platform, int(rng.integers(2**63)))
    cuts = np.array([plan.within(t) for t in (timedelta(hours=1), timedelta(days=1), timedelta(days=7))])
    counts = np.zeros((2, 8), dtype=np.int64)
    for _, drawn in drawn_blocks(plan, n):
        rows = drawn.click.rows
        cell = np.searchsorted(cuts, drawn.click.lag, side="right") + 4 * ~has(drawn.traits[rows], Trait.SAFARI)
        captured, kept = drawn.captured[rows], drawn.click_id[rows]
        counts[0] += np.bincount(cell[kept], minlength=8)
        counts[1] += np.bincount(cell[captured], minlength=8)
    names = pd.MultiIndex.from_product([["Safari", "others"], ["to 1 h", "1 h to 1 d", "1 to 7 d", "7 d and more"]])
    table = pd.DataFrame({"k": counts[0], "n": counts[1]}, index=names.set_names(["browser", "lag"])).reset_index()
    return table.assign(value=table["k"] / table["n"].where(table["n"] > 0))
