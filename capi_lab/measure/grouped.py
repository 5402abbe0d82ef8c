"""From rows of any size to one rate per group: numerators and denominators summed where the table lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import ibis
import numpy as np
import pandas as pd

from capi_lab.engine import epoch_microseconds, from_epoch_microseconds, to_frame
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.measure.bootstrap import bootstrap_limits
from capi_lab.measure.rates import check_level, interval_of
from capi_lab.reconcile.chance import DAY_US
from capi_lab.words import Interval

__all__ = ["RATE", "Clusters", "How", "Part", "grouped", "rate_sums", "rate_table", "with_day"]

RATE = ("k", "n", "value", "low", "high", "method", "level", "denominator")
_DAY = "day"

Clusters: TypeAlias = str | Sequence[str] | None


@dataclass(frozen=True)
class Part:
    """One rate over rows.

    Parameters
    ----------
    k : Ibis boolean or number
        Which rows of the denominator are in the numerator, or what each adds to it.
    n : Ibis boolean
        Which rows are in the denominator. The same object in several parts is summed once.
    denominator : str
        The denominator in words.
    """

    k: Any
    n: Any
    denominator: str


@dataclass(frozen=True)
class How:
    """How intervals are made.

    Parameters
    ----------
    level : float
    cluster : str, sequence of str, or None
        Column whose equal values are one person, or two columns for two-way clusters. A row without a value stands
        alone. ``user_key`` is used where the table has it; ``day`` is cut from ``event_time``.
    method : str
        A word of `capi_lab.words.Interval`.
    rng : Generator, optional
        Needed by ``bootstrap``.
    """

    level: float = 0.95
    cluster: Clusters = "user_key"
    method: str = Interval.WILSON
    rng: np.random.Generator | None = None

    def keys(self, table: ibis.Table) -> list[str]:
        """Check, and return the cluster columns the table has."""
        check_level(self.level)
        if self.method not in tuple(Interval):
            raise UnknownNameError("interval method", self.method, [str(word) for word in Interval])
        names = [self.cluster] if isinstance(self.cluster, str) else list(dict.fromkeys(self.cluster or []))
        for name in names:
            if name != "user_key" and name not in with_day(table, names).columns:
                raise UnknownNameError("column of the table", name, table.columns)
        keys = [name for name in names if name in with_day(table, names).columns]
        if len(keys) > 2:
            raise InputError("intervals are made robust to one or two kinds of cluster, not more")
        if self.method == Interval.BOOTSTRAP and len(keys) > 1:
            raise InputError("the bootstrap draws one kind of cluster: give one column, or another method")
        if self.method == Interval.BOOTSTRAP and self.rng is None:
            raise InputError("method='bootstrap' draws: give rng=numpy.random.default_rng(seed)")
        return keys


def with_day(table: ibis.Table, wanted: Sequence[str]) -> ibis.Table:
    """Add ``day``, midnight UTC of ``event_time``, if it is wanted and not there."""
    if _DAY not in wanted or _DAY in table.columns or "event_time" not in table.columns:
        return table
    # Cut from microseconds: what a cast to a date makes of a time hangs on an engine's session.
    now = epoch_microseconds(table.event_time)
    return table.mutate(**{_DAY: from_epoch_microseconds(now - ((now % DAY_US) + DAY_US) % DAY_US)})


def grouped(table: ibis.Table, by: str | Sequence[str] | None, reserved: Sequence[str]) -> tuple[ibis.Table, list[str]]:
    """Check the columns to group by, and add ``day`` where it is one of them.

    Raises
    ------
    UnknownNameError
        The table has no such column.
    InputError
        The result has a column of that name.
    """
    groups = [by] if isinstance(by, str) else list(dict.fromkeys(by or []))
    table = with_day(table, groups)
    for name in groups:
        if name not in table.columns:
            raise UnknownNameError("column of the table", name, table.columns)
        if name in (*reserved, *RATE):
            raise InputError(f"cannot group by '{name}': the result has a column of that name; rename it in the table")
    return table, groups


def rate_table(
    table: ibis.Table,
    label: str,
    parts: Mapping[str, Part],
    groups: Sequence[str],
    how: How,
    row: str,
    weight: Any = None,
) -> pd.DataFrame:
    """Measure several rates in one pass.

    Parameters
    ----------
    table : Ibis table
    label : str
        Column of the result that names the rate.
    parts : mapping
        Name to `Part`.
    groups : sequence of str
        As `grouped` gives them.
    how : How
    row : str
        The rows' id: a row without a cluster is one by itself.
    weight : Ibis number, optional
        What each row weighs. Default: one.

    Returns
    -------
    DataFrame
        Group by group, in the order of ``parts``: the groups, ``label``, `RATE`; ``rows_k`` and ``rows_n``, the rows
        behind k and n.
    """
    keys = how.keys(table)
    table = with_day(table, keys)
    plan = _plan(parts, groups, weight)
    rows = _rows(table, groups, keys, plan, row, weight)
    cuts = [[i for i, _ in enumerate(keys)]] if len(keys) < 2 else [[0], [1], [0, 1]]
    tables = [plan.long(to_frame(_sums(rows, cut, plan)), label, list(parts)) for cut in cuts]
    method = Interval.WILSON if how.method == Interval.BOOTSTRAP else how.method
    crossed = (tables[1], tables[2]) if len(tables) > 1 else None
    result = tables[0].join(interval_of(tables[0], how.level, method, crossed))
    if how.method == Interval.BOOTSTRAP:
        result = _bootstrapped(result, _cells(rows, cuts[0], plan), plan, how)
    result = result.assign(level=how.level).rename(columns=dict(zip(plan.by, groups, strict=True)))
    result = result.astype(dict.fromkeys(["rows_k", "rows_n", *(["k", "n"] if plan.plain else [])], "int64"))
    return result[[*groups, label, *RATE, "rows_k", "rows_n"]]


def rate_sums(
    table: ibis.Table, label: str, parts: Mapping[str, Part], groups: Sequence[str], how: How, row: str
) -> pd.DataFrame:
    """Sum over clusters of one kind, without turning the sums into rates.

    Parameters
    ----------
    table, label, parts, groups, how, row
        As for `rate_table`.

    Returns
    -------
    DataFrame
        The groups, ``label`` and what `capi_lab.measure.rates.interval_of` takes.
    """
    keys = how.keys(table)
    if len(keys) > 1:
        raise InputError("give one kind of cluster here")
    table = with_day(table, keys)
    plan = _plan(parts, groups, None)
    sums = to_frame(_sums(_rows(table, groups, keys, plan, row, None), [0] if keys else [], plan))
    return plan.long(sums, label, list(parts)).rename(columns=dict(zip(plan.by, groups, strict=True)))


class _Plan:
    """Which columns of the sums belong to which rate."""

    def __init__(self, by: tuple[str, ...], parts: list[Part], *, plain: bool) -> None:
        self.by, self.parts, self.plain = by, parts, plain
        names: dict[int, str] = {}
        for part in parts:
            names.setdefault(id(part.n), f"n{len(names)}")
        self.n_of = [names[id(part.n)] for part in parts]
        self.k_of = [f"k{i}" for i in range(len(parts))]
        self.flags = {name: part.n for name, part in zip(self.n_of, parts, strict=True)}

    def units(self, name: str) -> str:
        """Name the count of rows behind an amount; of a count it is the count itself."""
        return name if self.plain else f"rows_{name}"

    def long(self, sums: pd.DataFrame, label: str, names: list[str]) -> pd.DataFrame:
        """Put one rate in a line, group by group."""
        sums = sums.sort_values(list(self.by), ignore_index=True) if self.by else sums
        lines = []
        for order, (name, k, n, part) in enumerate(zip(names, self.k_of, self.n_of, self.parts, strict=True)):
            found = {
                "k": k, "n": n, "kk": f"kk_{k}", "kn": f"kn_{k}", "nn": f"nn_{n}",
                "nnnn": f"nnnn_{n}", "clusters": f"clusters_{n}",
                "units": self.units(n), "rows_k": self.units(k), "rows_n": self.units(n),
            }  # fmt: skip
            line = sums[list(self.by)].assign(**{ours: sums[theirs] for ours, theirs in found.items()})
            numbers = line[list(found)].astype("float64").fillna(0.0)  # sums over no row are missing
            line[list(found)] = numbers
            lines.append(line.assign(**{label: name}, denominator=part.denominator, _group=line.index, _order=order))
        table = pd.concat(lines).sort_values(["_group", "_order"], ignore_index=True)
        return table.astype({label: "str", "denominator": "str"})


def _plan(parts: Mapping[str, Part], groups: Sequence[str], weight: Any) -> _Plan:
    return _Plan(tuple(f"by_{i}" for i in range(len(groups))), list(parts.values()), plain=weight is None)


def _rows(table: ibis.Table, groups: Sequence[str], keys: list[str], plan: _Plan, row: str, weight: Any) -> ibis.Table:
    """Say of each row what it adds to every numerator and denominator."""
    one = ibis.literal(1.0) if weight is None else weight
    columns: dict[str, Any] = {name: table[group] for name, group in zip(plan.by, groups, strict=True)}
    own = dict(zip(plan.k_of, plan.parts, strict=True))
    flags = plan.flags | {name: part.n & part.k if _is_flag(part) else part.n for name, part in own.items()}
    for name, flag in flags.items():
        amount = one if name not in own or _is_flag(own[name]) else own[name].k.cast("float64")
        columns[name] = ibis.ifelse(flag.fill_null(False), amount, 0.0)
        columns[plan.units(name)] = columns[name] if plan.plain else flag.fill_null(False).cast("int64")
    for i, name in enumerate(keys):
        value = table[name] if table[name].type().is_string() else table[name].cast("string")
        columns[f"alone_{i}"] = value.isnull()
        columns[f"who_{i}"] = ibis.ifelse(value.isnull(), table[row], value)
    return table.select(**columns)


def _is_flag(part: Part) -> bool:
    return bool(part.k.type().is_boolean())


def _numbers(plan: _Plan) -> list[str]:
    names = [*plan.flags, *plan.k_of]
    return list(dict.fromkeys([*names, *map(plan.units, names)]))


def _clustered(rows: ibis.Table, cut: list[int], plan: _Plan) -> ibis.Table:
    """Sum rows over clusters; without any, each row is one."""
    if not cut:
        return rows
    keys = [*plan.by, *(f"{part}_{i}" for i in cut for part in ("alone", "who"))]
    return rows.group_by(keys).aggregate(**{name: rows[name].sum() for name in _numbers(plan)})


def _sums(rows: ibis.Table, cut: list[int], plan: _Plan) -> ibis.Table:
    """Sum numerators and denominators per group, and their squares over clusters, in one pass."""
    per = _clustered(rows, cut, plan)
    # Rows that stand alone and count once are their own squares: that saves most of the work of a large table.
    ones = not cut and plan.plain and all(map(_is_flag, plan.parts))
    totals: dict[str, Any] = {name: per[name].sum() for name in _numbers(plan)}
    for name in plan.flags:
        n, present = per[name], (per[plan.units(name)] > 0)
        totals[f"nn_{name}"] = n.sum() if ones else (n * n).sum()
        totals[f"nnnn_{name}"] = n.sum() if ones else (n * n * n * n).sum()
        totals[f"clusters_{name}"] = n.sum() if ones else present.sum()
    for name, below in zip(plan.k_of, plan.n_of, strict=True):
        k = per[name]
        totals[f"kk_{name}"] = k.sum() if ones else (k * k).sum()
        totals[f"kn_{name}"] = k.sum() if ones else (k * per[below]).sum()
    return per.group_by(list(plan.by)).aggregate(**totals) if plan.by else per.aggregate(**totals)


def _cells(rows: ibis.Table, cut: list[int], plan: _Plan) -> pd.DataFrame:
    """Count the clusters that have the same numbers."""
    per = _clustered(rows, cut, plan)
    numbers = [*plan.flags, *plan.k_of]
    cells = to_frame(per.group_by([*plan.by, *numbers]).aggregate(times=per.count()))
    return cells.sort_values([*plan.by, *numbers], ignore_index=True)


def _bootstrapped(result: pd.DataFrame, cells: pd.DataFrame, plan: _Plan, how: How) -> pd.DataFrame:
    """Put the bootstrap's limits where it has any; where no cluster differs from another, the others stay."""
    rng = how.rng
    if rng is None:  # `How.keys` has asked
        raise InputError("method='bootstrap' draws: give rng=numpy.random.default_rng(seed)")
    by = list(plan.by)
    parts = [part for _, part in cells.groupby(by, dropna=False, sort=True)] if by else [cells]
    width = len(plan.parts)
    low, high = result["low"].to_numpy("float64").copy(), result["high"].to_numpy("float64").copy()
    method = result["method"].to_numpy("object").copy()
    for i, cell in enumerate(parts):
        k, n = cell[plan.k_of].to_numpy("float64"), cell[plan.n_of].to_numpy("float64")
        ends = bootstrap_limits(k, n, cell["times"].to_numpy("int64"), how.level, rng)
        at = np.arange(i * width, (i + 1) * width)
        told = at[(ends[1] > ends[0]) & (result["clusters"].to_numpy()[at] >= 2)]
        low[told], high[told] = ends[0][told - i * width], ends[1][told - i * width]
        method[told] = "cluster bootstrap"
    return result.assign(low=low, high=high, method=pd.array(method.tolist(), dtype="str"))
