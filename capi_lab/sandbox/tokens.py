"""The credentials a sandbox takes, made from its seed and good for nothing elsewhere; and where they are renewed."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from capi_lab.platforms.route import Route
from capi_lab.platforms.sending import TokenRule
from capi_lab.platforms.server import Refusal

__all__ = ["OPEN", "Tokens"]

OPEN = "sandbox"
"""Good for every route, where nobody wants to try credentials; our own sender shows it where it was given none."""
_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LONGEST = timedelta(hours=1)


class Tokens:
    """Which credentials are good, and until when.

    Parameters
    ----------
    seed : int
    routes : iterable of Route
    """

    def __init__(self, seed: int, routes: Iterable[Route]) -> None:
        self._rng = random.Random(f"{seed}/tokens")  # noqa: S311 - good for nothing elsewhere
        self._made: dict[str, str] = {}
        self._renewed: dict[str, str] = {}
        self._ends: dict[str, float] = {}
        for route in routes:
            for name in (*route.auth.credentials[:1], *route.auth.headers.values(), *_renewing(route).values()):
                if name not in self._made:
                    self._made[name] = self._new(name)

    def _new(self, name: str) -> str:
        return f"{OPEN}-{name.lower().replace('_', '-')}-{self._rng.getrandbits(64):016x}"

    def environment(self, route: Route, *, renewable: bool) -> dict[str, str]:
        """Return the variables a sender for this route reads.

        Parameters
        ----------
        route : Route
        renewable : bool
            Where there is a token endpoint, what it takes to get a token, and no token.
        """
        renewing = list(_renewing(route).values()) if renewable else []
        names = renewing or list(route.auth.credentials[:1])
        return {name: self._made[name] for name in (*names, *route.auth.headers.values())}

    def judge(self, route: Route, token: str | None, now: float) -> Refusal | None:
        """Say what is wrong with an access token; None if it is good."""
        if not token:
            return Refusal.NO_TOKEN
        if token in (OPEN, self._made[route.auth.credentials[0]]):
            return None
        if token not in self._ends:
            return Refusal.WRONG_TOKEN
        return None if now < self._ends[token] else Refusal.EXPIRED_TOKEN

    def knows(self, variable: str, value: str | None) -> bool:
        """Say whether a further credential is the right one."""
        return value in (OPEN, self._made[variable])

    def renew(self, route: Route, form: Mapping[str, str], now: float) -> tuple[int, dict[str, Any]]:
        """Answer a token endpoint.

        Parameters
        ----------
        route : Route
            One whose tokens are renewed there.
        form : mapping
        now : float
            Epoch seconds.

        Returns
        -------
        status : int
        body : dict
        """
        rule = route.auth.token
        if rule is None:
            return 404, {"error": "not_found"}
        grant = form.get("grant_type")
        if grant == _JWT and rule.service_account:
            good = _claims(form.get("assertion", ""), rule, now)
        elif grant == "refresh_token":
            good = self._refreshes(route, form)
        else:
            return 400, {"error": "unsupported_grant_type"}
        if not good:
            return 400, {"error": "invalid_grant", "error_description": "the grant is wrong, expired or withdrawn"}
        token = self._new(route.auth.credentials[0])
        self._ends[token] = now + rule.life.total_seconds()
        body = {"access_token": token, "token_type": "Bearer", "expires_in": int(rule.life.total_seconds())}
        if rule.scope:
            body["scope"] = rule.scope
        if grant == "refresh_token" and route.server.new_refresh_token:
            variable = rule.refresh["refresh_token"]
            self._renewed[variable] = body["refresh_token"] = self._new(variable)
        return 200, body

    def _refreshes(self, route: Route, form: Mapping[str, str]) -> bool:
        rule = route.auth.token
        for name, variable in (rule.refresh if rule is not None else {}).items():
            lacking = rule is not None and name in rule.optional and name not in form
            # The first refresh token stays good, for whoever was killed before the newer one was put away.
            if not lacking and form.get(name) not in (self._made[variable], self._renewed.get(variable)):
                return False
        return True


def _renewing(route: Route) -> Mapping[str, str]:
    return {} if route.auth.token is None else route.auth.token.refresh


def _claims(assertion: str, rule: TokenRule, now: float) -> bool:
    """Say whether a signed assertion claims what it must; whose signature it has nobody here can tell."""
    parts = assertion.split(".")
    if len(parts) != 3:
        return False
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        life, ends = claims["exp"] - claims["iat"], claims["exp"]
        named = bool(claims["iss"]) and bool(claims["aud"]) and rule.scope in claims["scope"].split()
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    return bool(named and 0 < life <= _LONGEST.total_seconds() and ends > now)
