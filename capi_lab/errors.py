"""Every error the package raises on purpose, in one tree.

::

    CapiLabError
    ├── InputError             what the caller handed over cannot be used
    │   ├── ContractError      a table breaks its contract (column, check, count)
    │   ├── LoadError          a file cannot be read as the format it is said to be
    │   ├── NaiveTimeError     times without a zone, and no ``tz=`` to place them
    │   └── UnknownNameError   a platform, sample, column or key that does not exist
    ├── NotebookError          a cell of a notebook failed
    └── MissingExtraError      an optional dependency is not installed

One warning is not an error: `CaveatWarning`, where a number is right only under a condition nobody has checked.

Messages name the column, the check, the number of rows and the remedy. They never hold a value taken
from a row: a value may be somebody's e-mail address.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "CapiLabError",
    "CaveatWarning",
    "ContractError",
    "InputError",
    "LoadError",
    "MissingExtraError",
    "NaiveTimeError",
    "NotebookError",
    "UnknownNameError",
]


class CapiLabError(Exception):
    """Root of all errors raised on purpose."""


class InputError(CapiLabError, ValueError):
    """What the caller handed over cannot be used."""


class ContractError(InputError):
    """A table breaks its contract.

    Parameters
    ----------
    table : str
        Name of the contract, e.g. ``"conversions"``.
    failures : iterable of (column, check, count)
        ``count`` is the number of rows that fail, or None where the column as a whole does.
    """

    def __init__(self, table: str, failures: Iterable[tuple[str, str, int | None]]) -> None:
        self.table = table
        self.failures = tuple(failures)
        lines = [
            f"  {column}: {check}" + ("" if count is None else f" ({count:,} row{'s' * (count != 1)})")
            for column, check, count in self.failures
        ]
        super().__init__(f"table '{table}' breaks its contract:\n" + "\n".join(lines))


class LoadError(InputError):
    """A file cannot be read as the format it is said to be."""


class NaiveTimeError(InputError):
    """Times carry no zone and no ``tz=`` was given: guessing would move events across days."""


class UnknownNameError(InputError):
    """A name is not one of those that exist; the message lists them."""

    def __init__(self, what: str, name: object, known: Iterable[str]) -> None:
        super().__init__(f"unknown {what} {name!r}; known: {', '.join(sorted(known))}")


class NotebookError(CapiLabError):
    """A cell of a notebook failed; the message names the error, not what the cell held."""


class MissingExtraError(CapiLabError, ImportError):
    """An optional dependency is not installed; the message says which extra brings it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"'{package}' is not installed; get it with: pip install 'capi-lab[{extra}]'")


class CaveatWarning(UserWarning):
    """A number is right only under a condition that the data do not show to hold; the message says which."""
