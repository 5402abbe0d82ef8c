"""The bare engine: what becomes of each order, as booleans, block by block.

One story (docs/simulator.md): traits of customers, mishaps of orders, the click and what becomes of its id, and what
the platform could do with what arrives. Tables are written elsewhere, from what is drawn here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from capi_lab.simulate.draws import Entities, below, uniform
from capi_lab.simulate.mixer import ready
from capi_lab.simulate.plan import NEIGHBOURS, Trait
from capi_lab.words import Storage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from capi_lab.simulate.plan import Cells, Plan

    Flags: TypeAlias = NDArray[np.bool_]
    Rows: TypeAlias = NDArray[np.intp]
    Words: TypeAlias = NDArray[np.uint32]

__all__ = ["BLOCK", "Block", "Click", "Journeys", "Match", "blocks", "has", "journeys", "match", "traits_of"]

BLOCK = 128 * NEIGHBOURS
"""Orders drawn together: what they need fits into a core's cache."""

_BLOCKS_PIXEL = np.uint32(Trait.NO_CONSENT | Trait.BLOCKER | Trait.BUILT_IN)


def has(words: Words, trait: Trait) -> Flags:
    """Say where a trait (or one of several) is set."""
    return np.asarray((words & np.uint32(trait)) != 0)


@dataclass(frozen=True, slots=True)
class Block:
    """Orders to draw, and their customers.

    Parameters
    ----------
    orders, people : Entities
    of_person : ndarray of intp
        Place of each order's customer among ``people``.
    """

    orders: Entities
    people: Entities
    of_person: Rows


@dataclass(frozen=True, slots=True)
class Click:
    """The ad click before an order, for the orders that have one.

    Parameters
    ----------
    rows : ndarray of intp
        Their places among the orders of the block.
    lag : ndarray of uint32
        Draw of the time to the order (`Lag`).
    stripped, redirect_lost, capture_failed : ndarray of bool
        The landing: the browser took the id off the URL, a redirect lost it, the script did not store it.
    in_app, jar_left, device_changed, session_ended, cleared, expired : ndarray of bool
        What happened until the order: an in-app browser was left for the system's; another device; the private
        window was closed; cookies were cleared; the browser's own limit.
    """

    rows: Rows
    lag: Words
    stripped: Flags
    redirect_lost: Flags
    capture_failed: Flags
    in_app: Flags
    jar_left: Flags
    device_changed: Flags
    session_ended: Flags
    cleared: Flags
    expired: Flags


@dataclass(frozen=True, slots=True)
class Journeys:
    """What became of the orders of a block, one row each.

    Parameters
    ----------
    traits : ndarray of uint32
        `Trait` bits of the order's customer, and the number of the cell.
    page_left, script_failed, server_failed : ndarray of bool
    seen_pixel, seen_capi : ndarray of bool
        Which channel reports the order.
    click : Click
    captured, click_id : ndarray of bool
        The click's id was stored; it is still there at the order.
    """

    traits: Words
    page_left: Flags
    script_failed: Flags
    server_failed: Flags
    seen_pixel: Flags
    seen_capi: Flags
    click: Click
    captured: Flags
    click_id: Flags


@dataclass(frozen=True, slots=True)
class Match:
    """What the platform could do with each order's reports, one row each.

    Parameters
    ----------
    by_click, by_email, by_phone, by_address : ndarray of bool
        Paths on which the server's event would lead to the right account; `by_address` is IP and user agent.
    matched, pixel_matched : ndarray of bool
        The server's event was sent and leads there by any; the pixel's was, by what the browser holds.
    in_window : ndarray of bool
        An ad click lies before it, inside the platform's window.
    """

    by_click: Flags
    by_email: Flags
    by_phone: Flags
    by_address: Flags
    matched: Flags
    pixel_matched: Flags
    in_window: Flags


def blocks(plan: Plan, n: int, start: int = 0) -> Iterator[Block]:
    """Yield the orders from ``start`` to ``n`` in blocks; a block's draws do not depend on where blocks are cut."""
    ready(n - start)
    base = np.repeat(np.arange(BLOCK // NEIGHBOURS, dtype=np.uint32) * np.uint32(plan.slots), NEIGHBOURS)
    for at in range(start - start % BLOCK, n, BLOCK):
        orders = Entities.span(at, at + BLOCK)
        people = at // NEIGHBOURS * plan.slots
        everybody = Entities.span(people, people + BLOCK // NEIGHBOURS * plan.slots)
        if plan.alone:
            of_person = np.arange(BLOCK, dtype=np.intp)
        else:
            slot = plan.draws.words("customer", orders)
            slot >>= np.uint32(16)
            slot *= np.uint32(plan.slots)
            slot >>= np.uint32(16)
            slot += base
            of_person = slot.astype(np.intp)
        low, high = max(start - at, 0), min(n - at, BLOCK)
        if (low, high) != (0, BLOCK):
            orders, of_person = Entities(orders.low[low:high], orders.high), of_person[low:high]
        yield Block(orders, everybody, of_person)


def traits_of(
    plan: Plan, people: Entities, cells: Cells | None = None, cell: NDArray[np.uint16] | None = None
) -> Words:
    """Draw every customer once: `Trait` bits and the cell; the cell where it is known, among ``cells``."""
    draws = plan.draws
    cells = plan.cells if cells is None else cells
    if cell is None:
        cell = plan.picker.pick(draws.words("browser", people))
    level, consent = draws.lanes("privacy, consent", people)
    blocker, hardened = draws.lanes("blocker, hardened", people)
    private, clears = draws.lanes("private, clears", people)
    level >>= np.uint32(8)
    at = cell.astype(np.intp)
    words = cells.words.take(at)
    at <<= 8
    at += level.astype(np.intp)
    hard = hardened < cells.hardened.take(at)
    alone = private < cells.private.take(at)
    # Private windows of Safari and Firefox block known trackers; Chrome's block cookies only.
    built_in = hard | (alone & has(words, Trait.SAFARI | Trait.FIREFOX))
    bits = (consent < cells.refuses.take(at)).view(np.uint8).copy()
    for flag, trait in (
        (blocker < cells.blocks.take(at), Trait.BLOCKER),
        (hard, Trait.HARDENED),
        (alone, Trait.PRIVATE),
        (below(clears, plan.world.clear_share), Trait.CLEARS),
        (built_in, Trait.BUILT_IN),
    ):
        bits |= flag.view(np.uint8) * np.uint8(trait)
    words |= bits.astype(np.uint32)
    return words


def journeys(plan: Plan, block: Block, people: Words) -> Journeys:
    """Draw what happens to the orders of a block, given their customers' traits."""
    world, draws, orders = plan.world, plan.draws, block.orders
    traits = people.take(block.of_person)
    page, script = draws.lanes("page, script", orders)
    page_left, script_failed = below(page, world.page_left), below(script, world.script_failed)
    server_failed = draws.hit("server", orders, world.server_failed)
    seen_pixel = (traits & _BLOCKS_PIXEL) == 0
    seen_pixel &= ~(page_left | script_failed)
    seen_capi = ~server_failed
    if world.consent_gate:
        seen_capi &= ~has(traits, Trait.NO_CONSENT)
    clicked = draws.hit(f"ad click {plan.platform}", orders, world.ad_click)
    click, kept, there = _click(plan, orders, traits, np.flatnonzero(clicked))
    captured = np.zeros(len(page_left), dtype=bool)
    click_id = captured.copy()
    captured[click.rows] = kept
    click_id[click.rows] = there
    return Journeys(traits, page_left, script_failed, server_failed, seen_pixel, seen_capi, click, captured, click_id)


def _click(plan: Plan, orders: Entities, traits: Words, rows: Rows) -> tuple[Click, Flags, Flags]:
    """Draw the landing and the return of the orders that have a click."""
    world, draws, name = plan.world, plan.draws, plan.platform
    who, own = orders.at(rows), traits.take(rows)
    safari, private = has(own, Trait.SAFARI), has(own, Trait.PRIVATE)
    lag = draws.words(f"lag {name}", who)
    redirect, capture = draws.lanes(f"redirect, capture {name}", who)
    app, switch = draws.lanes(f"in app, switch {name}", who)
    device, visit = draws.lanes(f"device, visit {name}", who)
    stripped = safari.copy() if world.ltp_everywhere else safari & private
    if world.mail_click:
        stripped |= safari & draws.hit(f"mail {name}", who, world.mail_click)
    stripped |= (own & np.uint32(Trait.HARDENED | Trait.CHROME)) == Trait.HARDENED | Trait.CHROME  # Brave
    redirect_lost, capture_failed = below(redirect, world.param_lost), below(capture, world.capture_fail)
    later = lag >= plan.session
    in_app = below(app, plan.matching.iab) & has(own, Trait.MOBILE)
    jar_left = in_app & later & below(switch, world.iab_switch)
    device_changed = later & below(device, world.xdev)
    session_ended = private & later
    expired = safari & (lag >= _safari_life(plan, who, visit))
    expired |= lag >= plan.kept_anywhere
    cleared = _cleared(plan, who, lag, later & has(own, Trait.CLEARS))
    captured = ~(stripped | redirect_lost | capture_failed | has(own, Trait.NO_CONSENT))
    there = captured & ~(jar_left | device_changed | session_ended | cleared | expired)
    click = Click(
        rows, lag, stripped, redirect_lost, capture_failed, in_app, jar_left, device_changed, session_ended,
        cleared, expired,
    )  # fmt: skip
    return click, captured, there


def _safari_life(plan: Plan, who: Entities, visit: Words) -> Words:
    """Return the first draw of the lag that outlives each click's cookie on Safari."""
    world = plan.world
    first, week, fortnight = plan.safari_lives
    life = np.full(len(visit), first, dtype=np.uint32)
    if world.storage is Storage.JS_COOKIE:
        life = np.where(below(visit, world.itp_regap_visit), week, life)
    if world.week_renewal and world.storage is not Storage.FIRST_PARTY:
        again = plan.draws.hit(f"visit within a week {plan.platform}", who, world.week_renewal)
        life = np.where((life == week) & again, fortnight, life)
    return life


def _cleared(plan: Plan, who: Entities, lag: Words, maybe: Flags) -> Flags:
    """Say whose cookies were cleared between click and order: the sooner, the more often they do."""
    found = np.zeros(len(lag), dtype=bool)
    some = np.flatnonzero(maybe)
    draw, lag = plan.draws.words(f"cleared {plan.platform}", who.at(some)), lag.take(some)
    most, least = (cuts.take((lag >> np.uint32(20)).astype(np.intp)) for cuts in plan.surely_cleared)
    cleared = draw > most
    unsure = np.flatnonzero((draw >= least) & ~cleared)
    cleared[unsure] = -plan.world.clear_days * np.log(uniform(draw[unsure])) < plan.lag.days(lag[unsure])
    found[some] = cleared
    return found


_ACCOUNT, _EMAIL, _PHONE, _SHOWN = (np.uint8(1 << bit) for bit in range(4))


def match(plan: Plan, block: Block, drawn: Journeys) -> Match:
    """Draw what the platform could do with each report: by click id, else by match keys."""
    world, draws, name, orders = plan.world, plan.draws, plan.platform, block.orders
    able, click, people = plan.matching, drawn.click, block.people
    account, email_equal = draws.lanes(f"account, em_eq {name}", people)
    email_given, phone_given = draws.lanes("email, phone", people)
    phone_equal, shown = draws.lanes(f"ph_eq, signed in {name}", people)
    bits = below(account, able.account).view(np.uint8).copy()
    email = below(email_given, world.email_given) & below(email_equal, able.em_eq)
    phone = below(phone_given, world.phone_given) & below(phone_equal, able.ph_eq)
    for place, flag in ((_EMAIL, email), (_PHONE, phone), (_SHOWN, below(shown, world.pixel_signed_in))):
        bits |= flag.view(np.uint8) * place
    own = bits.take(block.of_person)
    who = orders.at(click.rows)
    corrupt, foreign = draws.lanes(f"corrupt, foreign {name}", who)
    invalid, optout = draws.lanes(f"invalid, opted out {name}", who)
    bad = below(corrupt, world.cid_corrupt) | below(foreign, world.cid_foreign)
    bad |= below(invalid, world.cid_invalid) | below(optout, world.cid_optout)
    # Ad clickers are on the platform when they click: their account is whether they were signed in.
    theirs = own.take(click.rows) & ~_ACCOUNT
    theirs |= draws.hit(f"signed in at click {name}", who, able.signed_in_at_click).view(np.uint8)
    own[click.rows] = theirs
    by_click = drawn.click_id.copy()
    by_click[click.rows] &= ~bad
    in_window = np.zeros(len(own), dtype=bool)
    in_window[click.rows] = click.lag < plan.in_window
    email_bad, phone_bad = draws.lanes("email, phone mistyped", orders)
    by_email = ((own & (_ACCOUNT | _EMAIL)) == _ACCOUNT | _EMAIL) & ~below(email_bad, world.pii_bad)
    by_phone = ((own & (_ACCOUNT | _PHONE)) == _ACCOUNT | _PHONE) & ~below(phone_bad, world.pii_bad)
    by_address = draws.hit(f"address {name}", orders, able.ip_match) & ((own & _ACCOUNT) != 0)
    seen_by_cookie = ((own & (_ACCOUNT | _SHOWN)) == _ACCOUNT | _SHOWN) & has(drawn.traits, Trait.CHROME)
    seen_by_cookie &= ~has(drawn.traits, Trait.PRIVATE)
    return Match(
        by_click, by_email, by_phone, by_address,
        matched=drawn.seen_capi & (by_click | by_email | by_phone | by_address),
        pixel_matched=drawn.seen_pixel & (by_click | seen_by_cookie),
        in_window=in_window,
    )  # fmt: skip
