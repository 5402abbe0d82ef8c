"""Made-up people: addresses at example domains, 555 numbers, documentation addresses; what browsers call themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from capi_lab.simulate.columns import Coded, digits, hexes, names, text

if TYPE_CHECKING:
    from capi_lab.simulate.draws import Draws, Entities

__all__ = ["currency_of", "emails", "ips", "phones", "user_agent"]

_FIRST = (
    "maria", "james", "sofia", "lukas", "chloe", "emily", "oscar", "clara",
    "felix", "julia", "henry", "laura", "peter", "nadia", "simon", "alice",
)  # fmt: skip
_DOMAINS = ("example.com", "example.net", "example.org", "example.com")
_BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"
_WINDOWS, _ANDROID = "(Windows NT 10.0; Win64; x64)", "(Linux; Android 10; K)"
_AGENTS = {
    ("Chrome", "desktop"): f"Mozilla/5.0 {_WINDOWS} {_BLINK} Chrome/142.0.0.0 Safari/537.36",
    ("Chrome", "mobile"): f"Mozilla/5.0 {_ANDROID} {_BLINK} Chrome/142.0.0.0 Mobile Safari/537.36",
    ("Safari", "desktop"): "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/26.0 Safari/605.1.15",
    ("Safari", "mobile"): "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
    ("Edge", "desktop"): f"Mozilla/5.0 {_WINDOWS} {_BLINK} Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
    ("Firefox", "desktop"): "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
    ("Firefox", "mobile"): "Mozilla/5.0 (Android 14; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0",
    ("Samsung Internet", "mobile"): f"Mozilla/5.0 {_ANDROID} {_BLINK} SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile "
    "Safari/537.36",
    ("Opera", "desktop"): f"Mozilla/5.0 {_WINDOWS} {_BLINK} Chrome/142.0.0.0 Safari/537.36 OPR/126.0.0.0",
    ("Opera", "mobile"): f"Mozilla/5.0 {_ANDROID} {_BLINK} Chrome/142.0.0.0 Mobile Safari/537.36 OPR/92.0.0.0",
}
_EURO = frozenset(
    ("AT", "BE", "CY", "DE", "EE", "ES", "FI", "FR", "GR", "HR", "IE", "IT", "LT", "LU", "LV", "MT", "NL", "PT", "SI",
     "SK")
)  # fmt: skip
_MONEY = {
    "GB": "GBP", "CH": "CHF", "SE": "SEK", "NO": "NOK", "DK": "DKK", "PL": "PLN", "JP": "JPY", "BR": "BRL",
    "IN": "INR", "CA": "CAD", "AU": "AUD",
}  # fmt: skip


def user_agent(browser: str, device: str) -> str | None:
    """Return what the browser calls itself; None for one the shares do not hold."""
    return _AGENTS.get((browser, device))


def currency_of(country: str) -> str:
    """Return the country's currency, US dollars where it is not one of the commoner ones."""
    return "EUR" if country in _EURO else _MONEY.get(country, "USD")


def emails(draws: Draws, of: Entities, rows: Any, missing: Any, bad: Any) -> Coded:
    """Return each order's e-mail address: the customer's, or mistyped so that nothing can read it as one.

    Parameters
    ----------
    draws : Draws
    of : Entities
        Customers.
    rows : ndarray of intp
        Each order's customer.
    missing, bad : ndarray of bool
        One for each order.
    """

    def written(some: Entities, at: str) -> Coded:
        one, two = draws.words("address one", some), draws.words("address two", some)
        first, domain = names(_FIRST, one >> np.uint32(28)), names(_DOMAINS, one & np.uint32(3))
        return text(len(one), [first, ".", hexes([one ^ two, two]), at, domain])

    return _of_customers(of, rows, missing, bad, lambda some: written(some, "@"), lambda some: written(some, "."))


def phones(draws: Draws, of: Entities, rows: Any, missing: Any, bad: Any) -> Coded:
    """Return each order's phone number, fictitious: an area code, 555 and four digits; or nothing a number could be."""

    def written(some: Entities) -> Coded:
        word = draws.words("number", some) % np.uint32(8_000_000)
        area = digits(word // np.uint32(10_000) + np.uint32(200), 4)[:, 1:]
        return text(len(word), ["+1 ", area, " 555 ", digits(word % np.uint32(10_000), 4)])

    return _of_customers(of, rows, missing, bad, written, lambda some: text(len(some.low), ["number withheld"]))


def ips(draws: Draws, of: Entities, rows: Any) -> Coded:
    """Return each order's IP address, of the range kept for documentation."""
    word = hexes([draws.words("ip", of)])
    return Coded(text(len(of.low), ["2001:db8:", word[:, :4], ":", word[:, 4:], "::1"]).texts, rows)


def _of_customers(of: Entities, rows: Any, missing: Any, bad: Any, good_of: Any, bad_of: Any) -> Coded:
    """Write a text for each customer, and another for each order where it is mistyped."""
    mistyped = np.flatnonzero(bad & ~missing)
    place = rows.astype(np.int32)
    place[mistyped] = len(of.low) + np.arange(len(mistyped))
    texts = pa.concat_arrays([good_of(of).texts, bad_of(of.at(rows[mistyped])).texts])
    return Coded(texts, place, missing)
