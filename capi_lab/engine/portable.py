"""Operations every engine has and Ibis has no common word for.

Each is one Ibis operation of ours. Ibis asks an engine's compiler for a method called after the operation; those
methods are here, and nowhere else does the package speak one engine's dialect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
from ibis.backends.sql.compilers import BigQueryCompiler, DuckDBCompiler, PySparkCompiler, SnowflakeCompiler

__all__ = ["epoch_microseconds", "from_epoch_microseconds"]


class EpochMicroseconds(ops.Unary):  # type: ignore[misc]
    """Microseconds since 1970-01-01 00:00 UTC."""

    arg: ops.Value[dt.Timestamp]
    dtype = dt.int64


class FromEpochMicroseconds(ops.Unary):  # type: ignore[misc]
    """The time so many microseconds after 1970-01-01 00:00 UTC."""

    arg: ops.Value[dt.Integer]
    dtype = dt.Timestamp(timezone="UTC")


def epoch_microseconds(time: Any) -> Any:
    """Return a time as microseconds since 1970-01-01 00:00 UTC.

    Whole numbers add, subtract and bound a window the same way on every engine; intervals do not.

    Parameters
    ----------
    time : Ibis timestamp
        With a zone. Missing stays missing.

    Returns
    -------
    Ibis int64
    """
    return EpochMicroseconds(time).to_expr()


def from_epoch_microseconds(number: Any) -> Any:
    """Return the time so many microseconds after 1970-01-01 00:00 UTC.

    Parameters
    ----------
    number : Ibis integer

    Returns
    -------
    Ibis timestamp('UTC')
    """
    return FromEpochMicroseconds(number).to_expr()


# How each engine says it: (compiler, time) -> SQL and (compiler, number) -> SQL.
_WORDS: dict[Any, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    DuckDBCompiler: (lambda c, t: c.f.anon.epoch_us(t), lambda c, n: c.f.anon.make_timestamptz(n)),
    PySparkCompiler: (lambda c, t: c.f.anon.unix_micros(t), lambda c, n: c.f.anon.timestamp_micros(n)),
    BigQueryCompiler: (lambda c, t: c.f.anon.unix_micros(t), lambda c, n: c.f.anon.timestamp_micros(n)),
    SnowflakeCompiler: (
        lambda c, t: c.f.anon.date_part("epoch_microsecond", t),
        lambda c, n: c.f.anon.to_timestamp_tz(n, 6),
    ),
}


def _teach(compiler: Any, operation: type[ops.Node], words: Callable[[Any, Any], Any]) -> None:
    def visit(self: Any, op: Any, *, arg: Any) -> Any:
        return words(self, arg)

    setattr(compiler, f"visit_{operation.__name__}", visit)


for _compiler, (_to_number, _to_time) in _WORDS.items():
    _teach(_compiler, EpochMicroseconds, _to_number)
    _teach(_compiler, FromEpochMicroseconds, _to_time)
