"""Try settings and credential without recording anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from capi_lab.errors import CapiLabError, CredentialError, InputError
from capi_lab.platforms import platform as platform_named
from capi_lab.platforms.checks import utc
from capi_lab.platforms.route import OutcomeStatus
from capi_lab.platforms.rows import checked_settings
from capi_lab.platforms.sending import Probe
from capi_lab.platforms.wire import Wire
from capi_lab.send.auth import Login, Secrets
from capi_lab.send.bodies import letters
from capi_lab.send.client import Lost, ask, http_client
from capi_lab.send.readback import filled, headers_of
from capi_lab.send.target import Target, target_of

if TYPE_CHECKING:
    import httpx
    import pandas as pd

__all__ = ["doctor"]


def doctor(
    platform: str,
    *,
    settings: Mapping[str, str],
    now: datetime,
    route: str | None = None,
    host: str | None = None,
    env: Mapping[str, str] | None = None,
    keyring: bool = False,
    transport: httpx.BaseTransport | None = None,
    clock: Callable[[], datetime] | None = None,
) -> pd.DataFrame:
    """Check that a route could be sent to: settings, credential, and whether the platform lets one in.

    Parameters
    ----------
    platform : str
    settings : mapping
    now : datetime
        With a zone.
    route, host : str, optional
        As for `capi_lab.plan`.
    env : mapping, optional
        As for `capi_lab.send`.
    keyring : bool
        As for `capi_lab.send`.
    transport, clock : optional
        For tests.

    Returns
    -------
    DataFrame
        ``check`` (``settings``, ``credential``, ``platform``), ``ok`` (bool, missing where it could not be tried) and
        ``detail``. Nothing was recorded: each platform's own way of trying is a fact of its spec (`Route.sending`).
    """
    import pandas as pd

    wire, moment = platform_named(platform).wire(route), utc(now)
    found: list[tuple[str, bool | None, str]] = []

    def table() -> pd.DataFrame:
        frame = pd.DataFrame(found, columns=["check", "ok", "detail"])
        return frame.astype({"check": "str", "ok": "boolean", "detail": "str"})

    try:
        chosen = checked_settings(wire.route, settings)
        target = target_of(host)
    except InputError as error:
        found.append(("settings", False, str(error)))
        return table()
    found.append(("settings", True, f"{len(chosen)} settings of route {wire.route.name}; goes to {target.label}"))
    secrets = Secrets({} if env is None and not target.live else env, keyring=keyring)
    with http_client(target, timedelta(seconds=30), transport, 1) as client:
        try:
            login = Login(wire.route, target, secrets, client, clock or (lambda: datetime.now(UTC)))
            login.ready()
        except CredentialError as error:
            found.append(("credential", False, str(error)))
            return table()
        found.append(("credential", True, "found; not shown"))
        found.append(("platform", *_tried(wire, chosen, target, login, client, moment)))
    return table()


def _tried(
    wire: Wire, chosen: Mapping[str, str], target: Target, login: Login, client: httpx.Client, moment: pd.Timestamp
) -> tuple[bool | None, str]:
    probe = wire.route.sending.probe
    if probe is None:
        return None, "there is no way to try without recording: send one conversion and look into the platform's pages"
    lacking = [name for name in probe.asks if name not in chosen]
    if lacking:
        return None, f"not tried: set {', '.join(lacking)} to let it ({probe.note})"
    try:
        if probe.url:
            return _reached(wire, probe, chosen, target, login, client, moment)
        return _refused_nothing(wire, probe, chosen, target, login, client, moment)
    except Lost:
        return False, "no answer: is the network open, is a proxy needed?"
    except CapiLabError as error:
        return False, str(error)


def _reached(
    wire: Wire,
    probe: Probe,
    chosen: Mapping[str, str],
    target: Target,
    login: Login,
    client: httpx.Client,
    moment: pd.Timestamp,
) -> tuple[bool, str]:
    """Ask for something that only a good credential is answered."""
    import pandas as pd

    day = f"{moment - pd.Timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    values = {**chosen, "start": day, "end": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}
    body = json.dumps(filled(probe.body, values)).encode() if probe.body else None
    url = target.url(probe.url.format(**values))
    reply = ask(client, probe.method, url, headers_of(wire.route, chosen) | login.asking(), body)
    good = reply.status in probe.good
    return good, f"http {reply.status}: {probe.note if good else 'check credential, access and settings'}"


def _refused_nothing(
    wire: Wire,
    probe: Probe,
    chosen: Mapping[str, str],
    target: Target,
    login: Login,
    client: httpx.Client,
    moment: pd.Timestamp,
) -> tuple[bool, str]:
    """Send an invented conversion under the settings under which nothing is recorded."""
    tried = {**chosen, **{name: value for name, value in probe.overlay.items() if value}}
    (letter,) = letters(wire.encode(_invented(moment), tried), wire.route)
    request = letter.request
    headers = {**request.headers, **login.headers()}
    reply = ask(client, request.method, target.url(request.url), headers, letter.body(login.body()))
    (one,) = wire.decode(reply, request)
    rule = wire.route.status_of(one.code)
    # A complaint about the invented row shows that everything before it was in order.
    about_row = one.status is OutcomeStatus.REJECTED and rule is not None and rule.row_fault
    good = 200 <= reply.status < 300 and one.status is not OutcomeStatus.REJECTED
    said = f"http {reply.status}" + (f", {one.code}: {one.message}" if one.code else "")
    return good or about_row, f"{said}; {probe.note}" if good or about_row else said


def _invented(moment: pd.Timestamp) -> pd.DataFrame:
    """Return a conversion that nobody made."""
    import pandas as pd

    return pd.DataFrame(
        {
            "conversion_id": ["capi-lab-doctor"],
            "event_name": ["purchase"],
            "event_time": [(moment - pd.Timedelta(hours=7)).as_unit("us")],
            "event_id": ["capi-lab-doctor"],
            "value": [1.0],
            "currency": ["EUR"],
            "email": ["nobody@example.com"],
            "action_source": ["web"],
            "page_url": ["https://example.com/"],
            "user_agent": ["capi-lab doctor"],
            "consent_ad_user_data": ["granted"],
            "consent_ad_personalization": ["granted"],
            "origin": ["simulated"],
        }
    )
