"""Credentials: what is good, until when, and how a token is renewed."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

import capi_lab as cl
from capi_lab.platforms.route import AuthStyle
from capi_lab.sandbox.tokens import OPEN
from tests.contracts.examples import NOW, ROUTES, SETTINGS, example_rows, wire_of
from tests.sandbox.posting import opened, post

RENEWED = [key for key in ROUTES if wire_of(*key).route.auth.token is not None]


def asked(box: cl.Sandbox, platform: str, route: str, **changed: str) -> tuple[int, dict[str, object]]:
    """Renew a token as a sender would."""
    rule = wire_of(platform, route).route.auth.token
    env = box.credentials(platform, renewable=True)
    form = {name: env[variable] for name, variable in rule.refresh.items()} | {"grant_type": "refresh_token"}
    with opened() as client:
        answer = client.post(box.url() + urlsplit(rule.url).path, data=form | {"scope": rule.scope} | changed)
        return answer.status_code, answer.json()


@pytest.mark.parametrize(("platform", "route"), RENEWED)
def test_tokens_are_renewed_and_end(platform: str, route: str) -> None:
    """A renewed token is good for as long as it says, then refused as expired; a wrong grant gets none."""
    wire = wire_of(platform, route)
    assert wire.route.auth.style is AuthStyle.BEARER
    (request,) = wire.encode(example_rows(1), SETTINGS[platform, route])
    with cl.Sandbox(seed=2, now=NOW) as box, opened() as client:
        assert wire.route.auth.credentials[0] not in box.credentials(platform, renewable=True)
        status, answer = asked(box, platform, route)
        assert status == 200
        assert timedelta(seconds=answer["expires_in"]) == wire.route.auth.token.life
        assert ("refresh_token" in answer) is wire.route.server.new_refresh_token
        if "refresh_token" in answer:
            assert asked(box, platform, route, refresh_token=answer["refresh_token"])[0] == 200
        token = answer["access_token"]
        assert post(box, client, request, wire.route, token=token).status == 200
        box.advance(wire.route.auth.token.life)
        assert box.now() == NOW + wire.route.auth.token.life
        outcome = wire.decode(post(box, client, request, wire.route, token=token), request)[0]
        assert outcome.status == "rejected"
        assert wire.route.status_of(outcome.code).row_fault is False
        assert asked(box, platform, route, **{"refresh_token": "wrong"}) == (
            400,
            {"error": "invalid_grant", "error_description": "the grant is wrong, expired or withdrawn"},
        )
        assert asked(box, platform, route, grant_type="password")[0] == 400


@pytest.mark.parametrize(("change", "good"), [({}, True), ({"exp": 8000}, False), ({"scope": "other"}, False)])
def test_google_takes_signed_assertions(change: dict[str, object], good: bool) -> None:
    """A service account's assertion must name issuer, audience and scope, and live an hour at most."""
    rule = wire_of("google", "data_manager").route.auth.token
    start = int(NOW.timestamp())
    claims = {"iss": "robot@project.example", "aud": rule.url, "scope": rule.scope, "iat": start, "exp": start + 3600}
    claims |= {name: start + value if isinstance(value, int) else value for name, value in change.items()}
    parts = [
        base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in ({"alg": "RS256"}, claims)
    ]
    with cl.Sandbox(seed=2, now=NOW) as box, opened() as client:
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": ".".join([*parts, "signed"])}
        answer = client.post(box.url() + urlsplit(rule.url).path, data=form)
        assert (answer.status_code == 200) is good


def test_the_open_token_is_good_everywhere() -> None:
    """Whoever does not want to try credentials shows the word `sandbox`."""
    with cl.Sandbox(seed=2, now=NOW) as box, opened() as client:
        for platform, route in ROUTES:
            wire = wire_of(platform, route)
            (request,) = wire.encode(example_rows(1), SETTINGS[platform, route])
            further = dict.fromkeys(wire.route.auth.headers, OPEN)
            assert post(box, client, request, wire.route, token=OPEN, headers=further).status == 200


def test_a_further_credential_is_asked_for() -> None:
    """Microsoft's developer token: a wrong one is refused as wrong credentials."""
    wire = wire_of("microsoft", "offline")
    (request,) = wire.encode(example_rows(1), SETTINGS["microsoft", "offline"])
    with cl.Sandbox(seed=2, now=NOW) as box, opened() as client:
        for given in ("wrong", None):
            reply = post(box, client, request, wire.route, headers={"DeveloperToken": given})
            assert wire.decode(reply, request)[0].code == "105"
