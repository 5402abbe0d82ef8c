"""Posts a wire's request to a sandbox as a sender would, credential and all."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx

import capi_lab as cl
from capi_lab.platforms.route import AuthStyle, Route
from capi_lab.platforms.wire import Reply, Request


def opened() -> httpx.Client:
    """A client that does not load certificates, which plain HTTP has no use for."""
    return httpx.Client(timeout=20, verify=False)  # noqa: S501


def post(
    box: cl.Sandbox,
    client: httpx.Client,
    request: Request,
    route: Route,
    *,
    token: str | None = None,
    json: object = None,
    headers: Mapping[str, str | None] | None = None,
) -> Reply:
    """Send a request; ``json`` and ``headers`` replace its own (a header of None is left out)."""
    token = box.credentials()[route.auth.credentials[0]] if token is None else token
    sent: dict[str, str | None] = {
        **request.headers,
        **{name: box.credentials()[one] for name, one in route.auth.headers.items()},
        **(headers or {}),
    }
    body = request.json if json is None else json
    match route.auth.style if token else None:
        case AuthStyle.BODY:
            body = {**body, route.auth.field: token}
        case AuthStyle.BEARER:
            sent[route.auth.field] = f"Bearer {token}"
        case AuthStyle.HEADER:
            sent[route.auth.field] = token
    answer = client.request(
        request.method,
        box.url() + urlsplit(request.url).path,
        json=body,
        headers={name: value for name, value in sent.items() if value is not None},
    )
    try:
        parsed = answer.json()
    except ValueError:
        parsed = None
    return Reply(answer.status_code, dict(answer.headers), parsed)
