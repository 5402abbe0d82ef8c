"""Credentials: found in the environment or the keyring, shown nowhere, renewed where they can be."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import httpx

from capi_lab.errors import CredentialError, MissingExtraError
from capi_lab.platforms.route import AuthStyle, Route
from capi_lab.platforms.sending import TokenRule
from capi_lab.send.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KEYRING_SERVICE", "Login", "Secrets"]

KEYRING_SERVICE = "capi-lab"
"""Under this name the keyring is asked; the user name is the environment variable's."""
_MARGIN = timedelta(minutes=1)
_SANDBOX = "sandbox"


class Secrets:
    """Where credentials are looked up; never shows one.

    Parameters
    ----------
    env : mapping, optional
        Default: the process's environment.
    keyring : bool
        Ask the system's keyring for what the environment lacks (extra ``keyring``).
    """

    def __init__(self, env: Mapping[str, str] | None = None, *, keyring: bool = False) -> None:
        self._env = os.environ if env is None else env
        self._keyring = keyring

    def __repr__(self) -> str:
        return "Secrets(***)"

    def get(self, name: str) -> str | None:
        """Return a credential, or None."""
        if value := self._env.get(name):
            return value
        if not self._keyring:
            return None
        try:
            import keyring
        except ImportError:
            raise MissingExtraError("keyring", "keyring") from None
        return keyring.get_password(KEYRING_SERVICE, name) or None


class Login:
    """How requests of a route show who sends them.

    Parameters
    ----------
    route : Route
    target : Target
    secrets : Secrets
    client : httpx.Client
        For token endpoints.
    clock : callable
        Gives the time, with a zone.

    Raises
    ------
    CredentialError
        There is none; the message names the variables that may hold one.
    """

    def __init__(
        self, route: Route, target: Target, secrets: Secrets, client: httpx.Client, clock: Callable[[], datetime]
    ) -> None:
        self._route, self._target, self._secrets = route, target, secrets
        self._client, self._clock, self._lock = client, clock, Lock()
        self._token: str | None = secrets.get(route.auth.credentials[0])
        self._refresh: str | None = None
        self._ends: datetime | None = None
        self._generation = 0
        if self._token is None and not self._can_renew():
            if target.live:
                raise CredentialError(self._where())
            self._token = _SANDBOX
        self._further = {name: self._found(variable) for name, variable in route.auth.headers.items()}

    def __repr__(self) -> str:
        return f"Login({self._route.name!r}, ***)"

    def _where(self) -> str:
        names = [self._route.auth.credentials[0]]
        rule = self._route.auth.token
        if rule is not None:
            names += (
                [" and ".join(v for f, v in rule.refresh.items() if f not in rule.optional)] if rule.refresh else []
            )
            names += [rule.service_account] if rule.service_account else []
        return f"no credential for {self._route.title}: set {', or '.join(names)} in the environment or the keyring"

    def _found(self, variable: str) -> str:
        value = self._secrets.get(variable)
        if value is None and self._target.live:
            raise CredentialError(f"no credential for {self._route.title}: set {variable} as well")
        return value or _SANDBOX

    def _can_renew(self) -> bool:
        rule = self._route.auth.token
        if rule is None:
            return False
        if rule.service_account and self._secrets.get(rule.service_account):
            return True
        needed = [variable for name, variable in rule.refresh.items() if name not in rule.optional]
        return bool(needed) and all(self._secrets.get(one) for one in needed)

    def ready(self) -> int:
        """Get a token if there is none, or it is about to end; returns a number that changes with the token."""
        with self._lock:
            if self._token is None or (self._ends is not None and self._clock() >= self._ends):
                self._renew()
            return self._generation

    def renew(self, generation: int) -> bool:
        """Get a new token because the one of ``generation`` was refused; False where that cannot be done."""
        with self._lock:
            if generation != self._generation:
                return True  # another thread has done it
            if not self._can_renew():
                return False
            self._renew()
            return True

    def headers(self) -> dict[str, str]:
        """Return the headers that carry the credential."""
        auth, token = self._route.auth, self._token or ""
        own = {
            AuthStyle.BEARER: {auth.field: f"Bearer {token}"},
            AuthStyle.HEADER: {auth.field: token},
            AuthStyle.BODY: {},
        }[auth.style]
        return own | self._further

    def body(self) -> dict[str, str]:
        """Return what of the credential goes beside the rows."""
        return {self._route.auth.field: self._token or ""} if self._route.auth.style is AuthStyle.BODY else {}

    def asking(self) -> dict[str, str]:
        """Return headers for a request that has no body: a credential in a URL ends up in logs."""
        if self._route.auth.style is AuthStyle.BODY:
            return {"Authorization": f"Bearer {self._token or ''}"} | self._further
        return self.headers()

    def _renew(self) -> None:
        rule = self._route.auth.token
        if rule is None:
            raise CredentialError(self._where())
        key_file = self._secrets.get(rule.service_account) if rule.service_account else None
        if key_file is not None:
            self._token, self._ends = self._by_google(rule, key_file)
        else:
            self._token, self._ends = self._by_form(rule)
        self._generation += 1

    def _by_form(self, rule: TokenRule) -> tuple[str, datetime]:
        form = {name: self._secrets.get(variable) for name, variable in rule.refresh.items()}
        if self._refresh is not None:
            form["refresh_token"] = self._refresh  # the newest one; the first may have been withdrawn
        sent = {name: value for name, value in form.items() if value} | {"grant_type": "refresh_token"}
        if rule.scope:
            sent["scope"] = rule.scope
        try:
            reply = self._client.post(self._target.url(rule.url), data=sent)
            answer = reply.json()
        except (httpx.HTTPError, ValueError):
            raise CredentialError("the token endpoint gave no answer that can be read: try again later") from None
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not reply.is_success or not isinstance(token, str):
            raise CredentialError(f"the refresh token was refused (http {reply.status_code}): get a new one")
        newest = answer.get("refresh_token")
        self._refresh = newest if isinstance(newest, str) and newest else self._refresh
        life = answer.get("expires_in")
        lives = timedelta(seconds=life) if isinstance(life, int | float) and 0 < life < 10**9 else rule.life
        return token, self._clock() + lives - _MARGIN

    def _by_google(self, rule: TokenRule, key_file: str) -> tuple[str, datetime | None]:
        from google.auth.exceptions import GoogleAuthError
        from google.oauth2 import credentials, service_account

        try:
            info: dict[str, Any] = json.loads(Path(key_file).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise CredentialError(f"{rule.service_account} names no key file that can be read") from None
        info["token_uri"] = self._target.url(rule.url)
        try:
            if info.get("type") == "service_account":
                login = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
                    info, scopes=[rule.scope]
                )
            else:
                kept = {name: info[name] for name in ("refresh_token", "client_id", "client_secret")}
                login = credentials.Credentials(  # type: ignore[no-untyped-call]
                    None, token_uri=info["token_uri"], scopes=[rule.scope], **kept
                )
            login.refresh(_OverHttpx(self._client))
        except (GoogleAuthError, ValueError, KeyError):
            # Its text may quote the key file.
            raise CredentialError(f"Google gave no token for the key file of {rule.service_account}") from None
        ends = login.expiry
        zone = self._clock().tzinfo
        return str(login.token), None if ends is None else ends.replace(tzinfo=zone) - _MARGIN


class _OverHttpx:
    """What google-auth asks over: our client, so that no second HTTP library is needed."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> _Answer:
        from google.auth.exceptions import TransportError

        try:
            reply = self._client.request(method, url, content=body, headers=dict(headers or {}), timeout=timeout or 30)
        except httpx.HTTPError:
            raise TransportError("no answer") from None  # type: ignore[no-untyped-call]
        return _Answer(reply)


class _Answer:
    def __init__(self, reply: httpx.Response) -> None:
        self.status, self.headers, self.data = reply.status_code, reply.headers, reply.content
