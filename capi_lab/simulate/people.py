"""Made-up people: addresses at example domains, 555 numbers, documentation addresses; what browsers call themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from capi_lab.simulate.columns import digits, hexes, names, text

if TYPE_CHECKING:
    from capi_lab.simulate.columns import Coded
    from capi_lab.simulate.draws import Draws, Entities

__all__ = ["currency_of", "emails", "ips", "phones", "user_agent"]

_FIRST = (
    "maria", "james", "sofia", "lukas", "chloe", "emily", "oscar", "clara",
    "felix", "julia", "henry", "laura", "peter", "nadia", "simon", "alice",
)  # fmt: skip
_DOMAINS = ("@example.com", "@example.net", "@example.org", "@example.com")
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
    one, two = draws.words("address one", of)[rows], draws.words("address two", of)[rows]
    domain = names(_DOMAINS, one & np.uint32(3)).copy()
    domain[bad, 0] = ord(".")
    first = names(_FIRST, one >> np.uint32(28))
    return text(len(rows), [first, ".", hexes([one ^ two, two]), domain], missing)


def phones(draws: Draws, of: Entities, rows: Any, missing: Any, bad: Any) -> Coded:
    """Return each order's phone number, fictitious: an area code, 555 and four digits; or nothing a number could be."""
    word = draws.words("number", of)[rows] % np.uint32(8_000_000)
    number = np.empty((len(rows), 12), dtype=np.uint8)
    number[:, :3] = digits(word // np.uint32(10_000) + np.uint32(200), 4)[:, 1:]
    number[:, 3:8] = np.frombuffer(b" 555 ", dtype=np.uint8)
    number[:, 8:] = digits(word % np.uint32(10_000), 4)
    number[bad] = np.frombuffer(b"not a number", dtype=np.uint8)
    return text(len(rows), ["+1 ", number], missing)


def ips(draws: Draws, of: Entities, rows: Any) -> Coded:
    """Return each order's IP address, of the range kept for documentation."""
    digits_of = hexes([draws.words("ip", of)[rows]])
    return text(len(rows), ["2001:db8:", digits_of[:, :4], ":", digits_of[:, 4:], "::1"])
