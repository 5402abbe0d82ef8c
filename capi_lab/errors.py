"""Every error the package raises on purpose, in one tree.

::

    CapiLabError
    ├── InputError             what the caller handed over cannot be used
    │   ├── ContractError      a table breaks its contract (column, check, count)
    │   ├── LoadError          a file cannot be read as the format it is said to be
    │   ├── NaiveTimeError     times without a zone, and no ``tz=`` to place them
    │   └── UnknownNameError   a platform, sample, column or key that does not exist
    ├── NotebookError          a cell of a notebook failed
    ├── OutboxError            the outbox cannot be used as it is
    │   └── OutboxBusyError    another process is sending to the same account
    ├── SendError              a send cannot be made
    │   ├── ApprovalError      the plan is not the one that was approved
    │   ├── CredentialError    a credential is missing or refused
    │   └── NotSupportedError  the platform has no such thing
    └── MissingExtraError      an optional dependency is not installed

One warning is not an error: `CaveatWarning`, where a number is right only under a condition nobody has checked.

Messages name the column, the check, the number of rows and the remedy. They never hold a value taken
from a row: a value may be somebody's e-mail address.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "ApprovalError",
    "CapiLabError",
    "CaveatWarning",
    "ContractError",
    "CredentialError",
    "InputError",
    "LoadError",
    "MissingExtraError",
    "NaiveTimeError",
    "NotSupportedError",
    "NotebookError",
    "OutboxBusyError",
    "OutboxError",
    "SendError",
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


class OutboxError(CapiLabError):
    """The outbox cannot be used as it is."""


class OutboxBusyError(OutboxError):
    """Another process is sending to the same account; wait for it or stop it."""


class SendError(CapiLabError):
    """A send cannot be made."""


class ApprovalError(SendError):
    """The plan is not the one that was approved."""


class CredentialError(SendError):
    """A credential is missing or refused; the message names where it is looked for, never what was found."""


class NotSupportedError(SendError):
    """The platform has no such thing; the message says what to do instead."""


class MissingExtraError(CapiLabError, ImportError):
    """An optional dependency is not installed; the message says which extra brings it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"'{package}' is not installed; extra '{extra}' brings it: pip install -e '.[{extra}]' in the clone"
        )


class CaveatWarning(UserWarning):
    """A number is right only under a condition that the data do not show to hold; the message says which."""
