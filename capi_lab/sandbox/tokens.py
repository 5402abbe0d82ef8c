"""The credentials a sandbox takes: made from its seed, good for nothing elsewhere."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

from capi_lab.platforms.route import Route
from capi_lab.platforms.server import Refusal

__all__ = ["Tokens"]


class Tokens:
    """Which credentials are good, and until when.

    Parameters
    ----------
    seed : int
    routes : iterable of Route
    """

    def __init__(self, seed: int, routes: Iterable[Route]) -> None:
        self._rng = random.Random(f"{seed}/tokens")  # noqa: S311 - good for nothing elsewhere
        names = dict.fromkeys(route.auth.credentials[0] for route in routes)
        self.variables: dict[str, str] = {name: self._new(name) for name in names}
        """Environment variable to a credential that does not expire."""
        self._issued: dict[str, float] = {}

    def _new(self, name: str) -> str:
        return f"sandbox-{name.lower().replace('_', '-')}-{self._rng.getrandbits(64):016x}"

    def judge(self, route: Route, token: str | None, now: float) -> Refusal | None:
        """Say what is wrong with an access token; None if it is good."""
        if not token:
            return Refusal.NO_TOKEN
        if token == self.variables[route.auth.credentials[0]]:
            return None
        if token not in self._issued:
            return Refusal.WRONG_TOKEN
        return None if now < self._issued[token] else Refusal.EXPIRED_TOKEN

    def environment(self, route: Route) -> Mapping[str, str]:
        """Return the variables a sender for this route reads."""
        return {name: self.variables[name] for name in route.auth.credentials if name in self.variables}
