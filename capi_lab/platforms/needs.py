"""What a route needs of a row, as values: the one place where a refusal is stated.

A `Need` is a condition, the word for a row that breaks it (`capi_lab.words.Ineligible`), and the id and message of
the wire's rule. `capi_lab.platforms.screen` asks it of rows on their way to a body, `capi_lab.reconcile.eligible` of a
table of any size; both read the same values, so that a rule has one place.

Conditions about what may be missing (a currency, a value, a click time) hold where it is missing: what must be there
says `Has`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from operator import and_, or_
from typing import Any, TypeAlias

from capi_lab.words import Consent, Ineligible

__all__ = [
    "NOT_DENIED",
    "WEB",
    "AfterClick",
    "AllOf",
    "AnyOf",
    "Chosen",
    "ChosenSince",
    "Condition",
    "ConsentKnown",
    "Currency",
    "EventIs",
    "FreshClick",
    "Has",
    "HasChosen",
    "Impersonal",
    "Is",
    "Need",
    "Not",
    "Past",
    "ReadableDigest",
    "Recent",
    "RowCondition",
    "Url",
    "Usable",
    "ValueWithin",
    "Whole",
    "all_of",
    "any_of",
    "holds",
    "settled",
]


@dataclass(frozen=True, slots=True)
class Has:
    """The column has a value; an empty text and a placeholder for an id are none."""

    column: str


@dataclass(frozen=True, slots=True)
class Usable:
    """The match key is there and the platform's normaliser makes something of it."""

    key: str


@dataclass(frozen=True, slots=True)
class Whole:
    """The click or browser id is there and looks like a whole one (`ClickIdRule.pattern`)."""

    param: str


@dataclass(frozen=True, slots=True)
class Url:
    """The column holds an absolute http or https URL."""

    column: str


@dataclass(frozen=True, slots=True)
class Is:
    """The column holds one of these texts."""

    column: str
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class EventIs:
    """The event goes under one of these names of the platform."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Currency:
    """``currency`` is an ISO-4217 code in upper case, or missing."""


@dataclass(frozen=True, slots=True)
class ValueWithin:
    """``value`` is finite and between the two ends, or missing; None is no end."""

    low: float | None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Impersonal:
    """The id does not look like an e-mail address or a phone number, or is missing."""

    column: str


@dataclass(frozen=True, slots=True)
class ReadableDigest:
    """The match key is no digest, or one the platform can use."""

    key: str


@dataclass(frozen=True, slots=True)
class Recent:
    """``event_time`` is at most this long ago; None: the route's own limit, by ``action_source``."""

    most: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """``event_time`` does not lie further ahead of the clock than the route allows."""


@dataclass(frozen=True, slots=True)
class AfterClick:
    """The conversion is not earlier than its click; a click of unknown time is not asked."""


@dataclass(frozen=True, slots=True)
class FreshClick:
    """The click is at most ``limits.click_max_age`` ago; a click of unknown time is not asked."""


@dataclass(frozen=True, slots=True)
class ConsentKnown:
    """``consent_ad_user_data`` is there, or the person is not where a missing answer counts as denied."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The setting is this one, whatever the row."""

    setting: str
    value: str


@dataclass(frozen=True, slots=True)
class ChosenSince:
    """The setting, a version that sorts as text, is this one or a later one."""

    setting: str
    value: str


@dataclass(frozen=True, slots=True)
class HasChosen:
    """The column that the setting names has a value."""

    setting: str


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    part: Condition


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Condition, ...]


RowCondition: TypeAlias = (
    Has
    | Usable
    | Whole
    | Url
    | Is
    | EventIs
    | Currency
    | ValueWithin
    | Impersonal
    | ReadableDigest
    | Recent
    | Past
    | AfterClick
    | FreshClick
    | ConsentKnown
)
"""Asked of a row; each reader of the needs answers these."""

Condition: TypeAlias = RowCondition | Chosen | ChosenSince | HasChosen | Not | AllOf | AnyOf


def all_of(*parts: Condition) -> AllOf:
    """Every part holds."""
    return AllOf(parts)


def any_of(*parts: Condition) -> AnyOf:
    """At least one part holds."""
    return AnyOf(parts)


WEB = Is("action_source", frozenset({"web"}))
NOT_DENIED = Not(Is("consent_ad_user_data", frozenset({str(Consent.DENIED)})))


@dataclass(frozen=True, slots=True)
class Need:
    """Something without which the platform refuses a row, or could do nothing with it.

    Parameters
    ----------
    rule : str
        The wire's id of it, as in `capi_lab.platforms.wire.Problem`.
    reason : Ineligible
    condition : Condition
        Of a row that can be sent.
    message : str
        What is wrong with a row that breaks it; never a value.
    """

    rule: str
    reason: Ineligible
    condition: Condition
    message: str


def settled(condition: Condition, chosen: Mapping[str, str]) -> Condition | bool:
    """Answer what hangs on the settings alone; what is left is about rows.

    Parameters
    ----------
    condition : Condition
    chosen : mapping
        Settings with their defaults.

    Returns
    -------
    Condition or bool
        Without `Chosen`, `ChosenSince` and `HasChosen`.
    """
    match condition:
        case Chosen(setting, value):
            return chosen.get(setting) == value
        case ChosenSince(setting, value):
            return chosen.get(setting, "") >= value
        case HasChosen(setting):
            return Has(chosen[setting])
        case Not(part):
            inner = settled(part, chosen)
            return not inner if isinstance(inner, bool) else Not(inner)
        case AllOf(parts) | AnyOf(parts):
            decisive = isinstance(condition, AnyOf)  # what one part alone can decide
            open_parts = []
            for part in parts:
                inner = settled(part, chosen)
                if inner is decisive:
                    return decisive
                if not isinstance(inner, bool):
                    open_parts.append(inner)
            if not open_parts:
                return not decisive
            return type(condition)(tuple(open_parts))
        case _:
            return condition


def holds(condition: Condition, answer: Callable[[RowCondition], Any]) -> Any:
    """Combine the answers for the parts of a settled condition.

    Parameters
    ----------
    condition : Condition
        As `settled` leaves it.
    answer : callable
        Gives a boolean array, or a boolean expression, for one part.

    Returns
    -------
    As ``answer`` gives: anything that knows ``&``, ``|`` and ``~``.
    """
    match condition:
        case Not(part):
            return ~holds(part, answer)
        case AllOf(parts):
            return reduce(and_, (holds(part, answer) for part in parts))
        case AnyOf(parts):
            return reduce(or_, (holds(part, answer) for part in parts))
        case Chosen() | ChosenSince() | HasChosen():
            raise TypeError("settle the condition first")
        case _:
            return answer(condition)
