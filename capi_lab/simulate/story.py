"""The story written down: what was drawn for a block of orders, as tables of the contracts and the truth.

Nothing is decided here that `engine` decides; what is drawn here is what things are called, when they happen, and which
of a pair's ids differ.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import stats

from capi_lab.simulate import people
from capi_lab.simulate.columns import TEXT, Coded, choice, constant, digits, hexes, names, table_of, text, times
from capi_lab.simulate.draws import LANE, Entities, below
from capi_lab.simulate.engine import Block, Journeys, has
from capi_lab.simulate.plan import Cells, Plan, Trait
from capi_lab.simulate.truth import truth_of
from capi_lab.words import Channel, Consent, IdSource, Origin

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]
    Columns = dict[str, Any]

__all__ = ["Story", "Tables"]

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
# Orders by hour of the day, as in the shipped sample; UTC.
_HOURS = np.array([1, 1, 1, 1, 1, 1, 2, 3, 5, 6, 7, 7, 7, 7, 7, 7, 7, 8, 9, 10, 10, 8, 5, 3], dtype=float)
_FIRST_ORDER = 10**9
_SHOP = "https://shop.example.com/"
_NOTHING = pa.scalar("", TEXT)


class Tables(NamedTuple):
    """The tables of one run, or of a part of it (Arrow)."""

    conversions: pa.Table
    events: pa.Table
    clicks: pa.Table
    truth: pa.Table


@dataclass(frozen=True)
class Story:
    """Writes tables of blocks.

    Parameters
    ----------
    plan : Plan
    cells : Cells
        Those the traits' numbers mean.
    origin : Origin
    """

    plan: Plan
    cells: Cells
    origin: Origin = Origin.SIMULATED

    @cached_property
    def _middles(self) -> NDArray[np.float64]:
        return (np.arange(LANE) + 0.5) / LANE

    @cached_property
    def _values(self) -> NDArray[np.float64]:
        world = self.plan.world
        spread = np.exp(world.value_sigma * stats.norm.ppf(self._middles))
        return np.asarray(np.round(world.value_median * spread, 2))

    @cached_property
    def _hours(self) -> NDArray[np.int64]:
        return np.searchsorted(np.cumsum(_HOURS) / _HOURS.sum(), self._middles, side="right").astype(np.int64)

    @cached_property
    def _waits(self) -> NDArray[np.float64]:
        """Exponential waits of mean 1."""
        return -np.log1p(-self._middles)

    @cached_property
    def _delays(self) -> dict[str, NDArray[np.int64]]:
        """Waits in microseconds, to the millisecond, by draw."""
        world = self.plan.world
        spread = np.exp(world.server_delay_sigma * stats.norm.ppf(self._middles))
        seconds = {
            "pixel": 1 + world.pixel_delay_seconds * self._waits,
            "server": world.server_delay_seconds * spread,
            "retry": 60 + world.retry_delay_seconds * self._waits,
            "reload": np.round(60 + 3600 * self._waits),
        }
        return {name: np.round(values * 1000).astype(np.int64) * 1000 for name, values in seconds.items()}

    @cached_property
    def _agents(self) -> list[str | None]:
        return [people.user_agent(cell.browser, cell.device) for cell in self.cells.rows]

    @cached_property
    def _click_param(self) -> tuple[str, str, str]:
        """Name the URL's parameter, our column, and what stands before the id in it, with ``{milliseconds}``."""
        rule = next(one for one in self.plan.spec.click_ids if one.is_click)
        if rule.wraps is None:
            return rule.param, rule.param, ""
        return rule.wraps.param, rule.param, rule.wraps.made.removesuffix("{id}")

    def tables(self, block: Block, drawn: Journeys, given: Mapping[str, Any] | None = None) -> Tables:
        """Write one block.

        Parameters
        ----------
        block : Block
        drawn : Journeys
        given : mapping, optional
            Columns a ledger has already (Arrow); they stand where they are not missing.
        """
        orders = self._orders(block, drawn, given or {})
        clicks, click_row_id = self._clicks(block, drawn, orders)
        events = self._events(block, drawn, orders)
        truth = truth_of(self.plan, drawn, orders, click_row_id)
        ledger = {k: v for k, v in orders.items() if not k.startswith("_")}
        return Tables(*(table_of(one) for one in (ledger, events, clicks, truth)))

    # -- the ledger ----------------------------------------------------------------------------------------------

    def _orders(self, block: Block, drawn: Journeys, given: Mapping[str, Any]) -> Columns:
        """Write what happened; columns whose names begin with ``_`` are for the other tables."""
        plan, world, draws, who = self.plan, self.plan.world, self.plan.draws, block.of_person
        orders, n = block.orders, len(block.of_person)
        cell = (drawn.traits >> np.uint32(16)).astype(np.int32)
        rows = self.cells.rows

        def own(name: str, made: Any, *, fill: bool = False) -> Coded:
            """Let the ledger's own column stand as it is, or with what it lacks filled in."""
            if name not in given:
                return made()  # type: ignore[no-any-return]
            kept = given[name]
            return Coded(pc.coalesce(kept, made().plain()) if fill and kept.null_count else kept)

        if given:
            ids, happened = _Ids(given["conversion_id"]), np.asarray(given["event_time"].cast(pa.int64()))
        else:
            ids, happened = _Ids.made(digits(_serial(orders) + _FIRST_ORDER, 12)[:, 2:]), self._when(orders)
        email, phone = (below(lane, p)[who] for lane, p in zip(
            draws.lanes("email, phone", block.people), (world.email_given, world.phone_given), strict=True
        ))  # fmt: skip
        email_bad, phone_bad = (below(lane, world.pii_bad) for lane in draws.lanes("email, phone mistyped", orders))
        known = draws.hit("known", block.people, world.known_customer)[who]
        lag = plan.lag.days(drawn.click.lag)
        click_at = happened[drawn.click.rows] - np.maximum(lag * _DAY, _SECOND).astype(np.int64)
        user_key = own("user_key", lambda: Coded(text(len(block.people.low), self._customer(block.people)).texts, who))
        if given:  # an amount nobody named is not invented
            value, currency = given.get("value", pa.nulls(n, pa.float64())), Coded(pa.nulls(n, TEXT))
            email, phone = (
                np.asarray(given[name].is_valid()) if name in given else flags
                for name, flags in (("email", email), ("phone", phone))
            )
        else:
            value = pa.array(self._values[draws.lanes("value", orders)[1]])
            currency = choice([people.currency_of(c.country) for c in rows], cell)
        refused = has(drawn.traits, Trait.NO_CONSENT)
        found = {
            "conversion_id": Coded(ids.texts),
            "event_name": own("event_name", lambda: constant("purchase", n)),
            "event_time": times(happened),
            "value": value,
            "currency": own("currency", lambda: currency),
            "event_id": own("event_id", lambda: ids.behind("o-"), fill=True),
            "user_key": user_key,
            "email": own("email", lambda: people.emails(draws, block.people, who, ~email, email_bad)),
            "phone": own("phone", lambda: people.phones(draws, block.people, who, ~phone, phone_bad)),
            "country": own("country", lambda: choice([c.country for c in rows], cell), fill=True),
            "external_id": own("external_id", lambda: user_key.without(~known)),
            "client_ip": own("client_ip", lambda: people.ips(draws, block.people, who)),
            "user_agent": own("user_agent", lambda: choice(self._agents, cell)),
        }
        found |= self._ids(block, drawn, click_at)
        kept_at = np.zeros(n, dtype=np.int64)
        kept_at[drawn.click.rows] = click_at
        found |= {
            "click_time": times(kept_at, ~drawn.click_id),
            "consent_ad_user_data": choice([str(Consent.GRANTED), str(Consent.DENIED)], refused.view(np.int8)),
            "action_source": own("action_source", lambda: constant("web", n)),
            "page_url": own("page_url", lambda: constant(f"{_SHOP}thanks", n)),
            "browser": own("browser", lambda: choice([c.browser for c in rows], cell), fill=True),
            "os": own("os", lambda: choice([c.os or None for c in rows], cell), fill=True),
            "device": own("device", lambda: choice([c.device for c in rows], cell), fill=True),
            "origin": own("origin", lambda: constant(str(self.origin), n), fill=True),
        }
        keys = (email, phone, email_bad, phone_bad)
        hidden = {
            "ids": ids,
            "at": happened,
            "click_at": click_at,
            "kept_at": kept_at,
            "lag": lag,
            "known": known,
            "keys": keys,
        }
        return found | {f"_{name}": value for name, value in hidden.items()}

    def _customer(self, of: Entities) -> list[Any]:
        return ["c", digits(_serial(of) + _FIRST_ORDER, 12)[:, 2:]]

    def _when(self, orders: Entities) -> NDArray[np.int64]:
        """Draw the times of orders, in microseconds."""
        hour, rest = self.plan.draws.lanes("hour", orders)
        day = (self.plan.draws.words("day", orders).astype(np.uint64) * np.uint64(self.plan.world.days)) >> np.uint64(
            32
        )
        seconds = self._hours[hour] * 3600 + (rest.astype(np.int64) * 3600 >> 16)
        start = np.datetime64(self.plan.world.start, "us").astype(np.int64)
        return np.asarray(start + day.astype(np.int64) * _DAY + seconds * _SECOND, dtype=np.int64)

    def _ids(self, block: Block, drawn: Journeys, click_at: Any) -> Columns:
        """Write the platform's click id as the shop still has it, and its browser id."""
        draws, clicked, who = self.plan.draws, drawn.click.rows, block.people
        _, column, before = self._click_param
        of_click = block.orders.at(clicked)
        id_ = hexes([draws.words(f"click id {i} {self.plan.platform}", of_click) for i in range(4)], mixed=True)
        place = np.zeros(len(block.of_person), dtype=np.int32)
        place[clicked] = np.arange(len(clicked))
        texts = text(len(clicked), [*self._prefix(before, click_at), id_]).texts
        if not len(clicked):  # a dictionary has a place for what is missing, too
            texts = pa.array([""], type=TEXT)
        found = {column: Coded(texts, place, ~drawn.click_id), "_click_id": id_, "_click_place": place}
        for rule in self.plan.spec.click_ids:
            if rule.is_click:
                continue
            one, two = (draws.words(f"browser id {i}", who) for i in range(2))
            if re.fullmatch(rule.pattern, "x" * 10):
                pieces: list[Any] = [hexes([one, two])]
            else:  # it has the shape of a first-party cookie
                made = np.datetime64(self.plan.world.start, "ms").astype(np.int64) - one.astype(np.int64)
                number = digits(1_000_000_000 + (two >> np.uint32(2)).astype(np.int64), 12)[:, 2:]
                pieces = ["fb.1.", digits(made, 16)[:, 3:], ".", number]
            found[rule.param] = Coded(text(len(who.low), pieces).texts, block.of_person)
        return found

    def _prefix(self, before: str, click_at: Any) -> list[Any]:
        if "{milliseconds}" not in before:
            return [before] if before else []
        head, tail = before.split("{milliseconds}")
        return [head, digits(np.maximum(click_at // 1000, 0), 16)[:, 3:], tail]

    # -- what channels report ------------------------------------------------------------------------------------

    def _events(self, block: Block, drawn: Journeys, ledger: Columns) -> Columns:
        """Write what each channel sent, with late, repeated and unlike ids."""
        world, draws, orders = self.plan.world, self.plan.draws, block.orders
        n, ids, delays = len(block.of_person), ledger["_ids"], self._delays
        unlike, lacking = draws.lanes("id unlike, id lacking", orders)
        fast, slow = draws.lanes("pixel delay, server delay", orders)
        again, later = draws.lanes("reload, reload delay", orders)
        retry, wait = draws.lanes("retry, retry delay", orders)
        lacks, on_pixel = below(lacking, world.id_missing), below(lacking, world.id_missing / 2)  # half on either side
        retried = below(retry, world.server_retry)
        twice = retried & draws.hit("retry repeats", orders, world.retry_repeats)
        fired, sent = delays["pixel"][fast], delays["server"][slow]
        reloaded, second = delays["reload"][later], sent + delays["retry"][wait]
        # Pixel, pixel again after a reload, server, server again although the first try had arrived.
        kinds = [
            np.flatnonzero(drawn.seen_pixel),
            np.flatnonzero(drawn.seen_pixel & below(again, world.reload)),
            np.flatnonzero(drawn.seen_capi),
            np.flatnonzero(drawn.seen_capi & twice),
        ]
        waits = [fired, reloaded + fired, np.where(retried & ~twice, second, sent), second]
        rows = np.concatenate(kinds)
        kind = np.repeat(np.arange(4, dtype=np.int32), [len(some) for some in kinds])
        server = kind >= 2
        happened = ledger["_at"][rows]
        received = happened + np.concatenate([wait[some] for wait, some in zip(waits, kinds, strict=True)])
        happened += np.where(kind == 1, reloaded[rows], 0)
        # A pixel's own ids stand behind the shared ones in the list of texts.
        unlike_rows = np.flatnonzero(below(unlike, world.id_mismatch))
        place = np.arange(n, dtype=np.int32)
        place[unlike_rows] = n + np.arange(len(unlike_rows))
        event_id = Coded(
            pa.concat_arrays([ledger["event_id"].plain(), ids.behind("p-", unlike_rows).texts]),
            np.where(server, rows, place[rows]),
            lacks[rows] & (on_pixel[rows] != server),
        )
        found: Columns = {
            # What kind of report it is, and the conversion's id.
            "row_id": ids.behind(("p-", "r-", "s-", "t-"), rows, kind),
            "channel": choice([str(Channel.PIXEL), str(Channel.CAPI)], server.view(np.int8)),
            "platform": constant(self.plan.platform, len(rows)),
            "event_name": self._names(ledger["event_name"]).at(rows),
            "event_id": event_id,
            "event_time": times(happened),
            "received_time": times(received),
            "conversion_id": ledger["conversion_id"].at(rows),
            "value": _numbers_at(ledger["value"], rows),
            "click_time": times(ledger["_kept_at"][rows], ~drawn.click_id[rows]),
            "visitor_id": self._jars(block.people).at(block.of_person[rows], server),
        }
        for name in ("currency", "external_id", "client_ip", "user_agent", self._click_param[1], "page_url",
                     "consent_ad_user_data", "country", "browser", "os", "device", "origin"):  # fmt: skip
            found[name] = ledger[name].at(rows)
        for name in ("email", "phone"):
            found[name] = ledger[name].at(rows, ~server)
        unknown = server & ~ledger["_known"][rows]  # a server has it only of those it can tie to their browser
        for rule in self.plan.spec.click_ids:
            if not rule.is_click:
                found[rule.param] = ledger[rule.param].at(rows, unknown)
        return found

    def _jars(self, of: Entities) -> Coded:
        """Return the name of each customer's own cookie jar."""
        return text(len(of.low), ["v-", hexes([self.plan.draws.words(f"jar {i}", of) for i in range(2)])])

    def _names(self, ours: Coded) -> Coded:
        """Spell event names as the platform does."""
        if ours.index is None:
            coded = pc.dictionary_encode(ours.texts)
            texts, index = coded.dictionary, np.asarray(coded.indices)
        else:
            texts, index = ours.texts, ours.index
        return choice([self.plan.spec.event_names.get(name, name) for name in texts.to_pylist()], index)

    # -- clicks --------------------------------------------------------------------------------------------------

    def _clicks(self, block: Block, drawn: Journeys, ledger: Columns) -> tuple[Columns, Any]:
        """Write the landings that showed a click id, and each order's row among them."""
        draws, click, n = self.plan.draws, drawn.click, len(block.of_person)
        arrived = ~(click.stripped | click.redirect_lost)
        mine = ~(click.jar_left | click.device_changed | click.session_ended | click.cleared)[arrived]
        rows = click.rows[arrived]
        m, who = len(rows), block.orders.at(rows)
        param, _, _ = self._click_param
        row_id = text(m, ["k-", hexes([draws.words(f"click row {i} {self.plan.platform}", who) for i in range(3)])])
        own = [draws.words(f"jar {i}", block.people)[block.of_person[rows]] for i in range(2)]
        other = [draws.words(f"other jar {i} {self.plan.platform}", who) for i in range(2)]
        jar = [np.where(mine, one, two) for one, two in zip(own, other, strict=True)]
        id_ = ledger["_click_id"][arrived]
        table = {
            "click_row_id": row_id,
            "platform": constant(self.plan.platform, m),
            "param": constant(param, m),
            "click_id": text(m, [id_]),
            "click_time": times(ledger["_click_at"][arrived]),
            "id_source": constant(str(IdSource.URL), m),
            "visitor_id": text(m, ["v-", hexes(jar)]),
            "user_key": ledger["user_key"].at(rows, ~(mine & ledger["_known"][rows])),
            "landing_url": text(m, [f"{_SHOP}?utm_source={self.plan.platform}&{param}=", id_]),
            "user_agent": ledger["user_agent"].at(rows),
            "client_ip": ledger["client_ip"].at(rows),
            "origin": ledger["origin"].at(rows),
        }
        place, missing = np.zeros(n, dtype=np.int32), np.ones(n, dtype=bool)
        place[rows], missing[rows] = np.arange(m), False
        return table, Coded(row_id.texts if m else pa.array([""], type=TEXT), place, missing)


def _serial(of: Entities) -> NDArray[np.int64]:
    high = of.high if isinstance(of.high, int) else of.high.astype(np.int64)
    return np.asarray(of.low.astype(np.int64) + (high << 32))


def _numbers_at(column: Any, rows: Any) -> pa.Array:
    return column.take(pa.array(rows)) if column.null_count else pa.array(np.asarray(column)[rows])


@dataclass(frozen=True, slots=True)
class _Ids:
    """The orders' ids, whose letters stand in a block where we made them.

    Parameters
    ----------
    texts : Array
    letters : ndarray of uint8, or None
        Shape (n, width).
    """

    texts: pa.Array
    letters: NDArray[np.uint8] | None = None

    @classmethod
    def made(cls, letters: NDArray[np.uint8]) -> _Ids:
        """Take ids that are all as long as each other."""
        return cls(text(len(letters), [letters]).texts, letters)

    def behind(self, prefix: str | tuple[str, ...], rows: Any = None, which: Any = None) -> Coded:
        """Return ids, of some rows, behind a prefix; or behind one of several, all as long, for each row."""
        m = len(self.texts) if rows is None else len(rows)
        if self.letters is not None:
            head = prefix if isinstance(prefix, str) else names(prefix, which)
            return text(m, [head, self.letters if rows is None else self.letters.take(rows, axis=0)])
        head = pa.array([prefix] if isinstance(prefix, str) else prefix, type=TEXT)
        of = pa.array(np.zeros(m, dtype=np.int32) if which is None else which)
        ids = self.texts if rows is None else self.texts.take(pa.array(rows))
        return Coded(pc.binary_join_element_wise(head.take(of), ids, _NOTHING))
