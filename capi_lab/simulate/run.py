"""Draw a world and write it down: in memory, or to Parquet without holding more than a few blocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from capi_lab.errors import InputError
from capi_lab.simulate.columns import frame_of
from capi_lab.simulate.engine import BLOCK, Block, blocks, journeys, traits_of
from capi_lab.simulate.inject import inject
from capi_lab.simulate.ledger import LaidWorld, lay
from capi_lab.simulate.plan import Plan
from capi_lab.simulate.story import Story, Tables
from capi_lab.simulate.world import World

if TYPE_CHECKING:
    import pandas as pd

    from capi_lab.simulate.faults import Fault

__all__ = ["Simulation", "simulate"]

_N = 10_000
_TOGETHER = 8  # blocks written as one row group


@dataclass(frozen=True, slots=True, repr=False)
class Simulation:
    """One simulated shop: what channels report, and the truth.

    Parameters
    ----------
    conversions, events, clicks : DataFrame or Path
        Contract tables; paths of Parquet files where the run was written to a folder.
    truth : DataFrame or Path
        One row per conversion, in the same order. Every `GapCause` that was active (bool, whether or not another was
        too), ``seen_pixel``, ``seen_capi``; ``ad_click``, ``in_window`` (of the platform's click window),
        ``lag_days``, ``click_row_id`` (missing where the landing showed no id), ``click_id_captured``,
        ``click_id_kept`` (still there at the order), ``click_id_fate`` (`ClickFate`), ``in_app``, ``private_mode``;
        ``email_given``, ``phone_given`` and whether they are ``email_mistyped``, ``phone_mistyped``; ``faults`` where
        any were laid on. No log shows this.
    world : World
    platform : str
    counts : dict
        Rows of each table, and conversions seen by each channel.
    """

    conversions: Any
    events: Any
    clicks: Any
    truth: Any
    world: World
    platform: str
    counts: dict[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Show sizes, never rows: a ledger may hold people's data."""
        n = max(self.counts["conversions"], 1)
        seen = f"pixel sees {self.counts['seen_pixel'] / n:.1%}, server {self.counts['seen_capi'] / n:.1%}"
        sizes = ", ".join(f"{self.counts[name]:,} {name}" for name in ("conversions", "events", "clicks"))
        gate = "" if self.world.consent_gate else "; server events are NOT gated on consent: unlawful in most places"
        return f"Simulation ({self.platform}): {sizes}; {seen}{gate}"

    def _repr_html_(self) -> str:
        rows = {**self.counts, "platform": self.platform, "world": repr(self.world)}
        said = {name: f"{value:,}" if isinstance(value, int) else str(value) for name, value in rows.items()}
        cells = "".join(f"<tr><th>{name}</th><td>{escape(text)}</td></tr>" for name, text in said.items())
        return f"<table><caption>Simulation</caption>{cells}</table>"


def simulate(
    world: World | LaidWorld,
    *,
    rng: np.random.Generator,
    n: int | None = None,
    platform: str = "meta",
    faults: Sequence[Fault] = (),
    to: str | Path | None = None,
    threads: int = 1,
) -> Simulation:
    """Draw a shop's orders, clicks and what pixel and server report of them.

    Parameters
    ----------
    world : World or LaidWorld
        A world draws its own orders; ``world.on(conversions)`` lays it on a ledger.
    rng : numpy Generator
        Its next number is the seed of all draws. The same seed and another world give a paired comparison: what the
        change does not touch stays as it was.
    n : int, optional
        Orders to draw; 10,000 by default. A shorter run is the beginning of a longer one. Not with a ledger.
    platform : str
        Whose ads are clicked and to whom both channels report.
    faults : sequence of Fault
        Laid on with `inject`; ``truth.faults`` names those that hit an order, comma-separated.
    to : str or Path, optional
        Folder for ``conversions.parquet``, ``events.parquet``, ``clicks.parquet`` and ``truth.parquet``, written as
        they are drawn: memory does not grow with ``n``.
    threads : int
        Blocks drawn at a time. It changes no result.

    Returns
    -------
    Simulation

    Raises
    ------
    InputError
        ``n`` beside a ledger, faults or a ledger beside ``to``, or a number below 1.
    UnknownNameError
        No such platform, or no browser shares for a country.

    Examples
    --------
    >>> sim = cl.simulate(cl.World(), rng=np.random.default_rng(7))  # doctest: +SKIP
    >>> cl.coverage(cl.reconcile(sim.conversions, sim.events))  # doctest: +SKIP
    """
    laid = world if isinstance(world, LaidWorld) else None
    plan = Plan(laid.world if laid else world, platform, int(rng.integers(2**63)))  # type: ignore[arg-type]
    if laid and (n is not None or to is not None):
        raise InputError("a ledger has its own orders and is held in memory: leave out n and to")
    if to is not None and faults:
        raise InputError("faults are laid on tables in memory: leave out to, or lay them on with inject")
    n = _N if n is None else n
    if n < 1 or threads < 1:
        raise InputError("n and threads must be 1 or more")
    if laid:
        conversions, tables = lay(plan, laid)
        return _finished(plan, conversions, tables, faults, rng)
    story = Story(plan, plan.cells)
    parts = _parts(story, n, threads)
    if to is not None:
        return _written(plan, parts, Path(to))
    tables = _together(list(parts))
    return _finished(plan, frame_of(tables.conversions), tables, faults, rng)


def _parts(story: Story, n: int, threads: int) -> Iterator[Tables]:
    """Yield tables block by block, in order, however many are drawn at a time."""
    plan = story.plan

    def one(block: Block) -> Tables:
        return story.tables(block, journeys(plan, block, traits_of(plan, block.people)))

    if threads == 1:
        yield from map(one, blocks(plan, n))
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Any] = deque()
        for block in blocks(plan, n):
            waiting.append(pool.submit(one, block))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _together(parts: list[Tables]) -> Tables:
    return Tables(*(pa.concat_tables(list(some)) for some in zip(*parts, strict=True)))


def _counts(tables: Tables) -> dict[str, int]:
    sizes = {name: getattr(tables, name).num_rows for name in ("conversions", "events", "clicks")}
    seen = {name: int(np.count_nonzero(tables.truth[name].to_numpy())) for name in ("seen_pixel", "seen_capi")}
    return sizes | seen


def _finished(
    plan: Plan, conversions: pd.DataFrame, tables: Tables, faults: Sequence[Fault], rng: np.random.Generator
) -> Simulation:
    events, clicks, truth = (frame_of(one) for one in tables[1:])
    counts = _counts(tables)
    if faults:
        changed = inject(conversions, events, faults, rng=rng)
        conversions, events = changed.conversions, changed.events
        counts["events"] = len(events)
        hit = changed.faults.groupby("conversion_id")["fault"].agg(lambda kinds: ",".join(sorted(kinds)))
        truth["faults"] = truth["conversion_id"].map(hit).astype("str")
    return Simulation(conversions, events, clicks, truth, plan.world, plan.platform, counts)


def _written(plan: Plan, parts: Iterator[Tables], folder: Path) -> Simulation:
    """Write tables as they come; each appears under its name only when all are complete."""
    folder.mkdir(parents=True, exist_ok=True)
    final = {name: folder / f"{name}.parquet" for name in Tables._fields}
    writers: dict[str, pq.ParquetWriter] = {}
    counts: dict[str, int] = {}
    try:
        for some in _bundles(parts):
            for name, table in zip(Tables._fields, some, strict=True):
                if name not in writers:
                    # Without Arrow's own schema the file says text, not dictionary, to whoever reads it.
                    writers[name] = pq.ParquetWriter(
                        final[name].with_suffix(".part"), table.schema, compression="zstd", store_schema=False
                    )
                writers[name].write_table(table, row_group_size=_TOGETHER * BLOCK * 2)
            for name, count in _counts(some).items():
                counts[name] = counts.get(name, 0) + count
    finally:
        for writer in writers.values():
            writer.close()
    for path in final.values():
        path.with_suffix(".part").replace(path)
    return Simulation(
        final["conversions"], final["events"], final["clicks"], final["truth"], plan.world, plan.platform, counts
    )


def _bundles(parts: Iterator[Tables]) -> Iterator[Tables]:
    held: list[Tables] = []
    for part in parts:
        held.append(part)
        if len(held) == _TOGETHER:
            yield _together(held)
            held = []
    if held:
        yield _together(held)
