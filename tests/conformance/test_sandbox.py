"""The vendors' own clients, pointed at the sandbox, work unchanged: it takes what they send, they read what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

import capi_lab as cl
from tests.contracts.examples import IDS, NOW, SETTINGS, example_rows, wire_of

pytestmark = pytest.mark.conformance


@pytest.fixture
def box() -> Iterator[cl.Sandbox]:
    with cl.Sandbox(seed=1, now=NOW) as running:
        yield running


def rows_of(platform: str, route: str, n: int = 3) -> list[dict[str, object]]:
    (request,) = wire_of(platform, route).encode(example_rows(n), SETTINGS[platform, route])
    return next(value for key, value in request.json.items() if isinstance(value, list) and key != "destinations")


def test_metas_client_sends_and_reads(box: cl.Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """facebook_business: events of its own making are received; what it did wrong comes back as its own error."""
    sdk = "facebook_business.adobjects.serverside"
    api = pytest.importorskip("facebook_business.api", reason="needs facebook_business")
    session = pytest.importorskip("facebook_business.session")
    request = pytest.importorskip(f"{sdk}.event_request")
    event, source = pytest.importorskip(f"{sdk}.event"), pytest.importorskip(f"{sdk}.action_source")
    user, custom = pytest.importorskip(f"{sdk}.user_data"), pytest.importorskip(f"{sdk}.custom_data")
    errors = pytest.importorskip("facebook_business.exceptions")
    monkeypatch.setattr(session.FacebookSession, "GRAPH", box.url("meta"))
    token = box.credentials("meta")["META_ACCESS_TOKEN"]
    api.FacebookAdsApi.init(access_token=token, api_version="v26.0", crash_log=False)

    def send(age: timedelta) -> object:
        events = [
            event.Event(
                event_name="Purchase",
                event_time=int((NOW - age).timestamp()),
                event_id=f"order-{i}",
                event_source_url="https://shop.example/thanks",
                action_source=source.ActionSource.WEBSITE,
                user_data=user.UserData(
                    email=f"user{i}@example.com", client_user_agent="Mozilla/5.0", fbc=IDS["fbc"], fbp=IDS["fbp"]
                ),
                custom_data=custom.CustomData(value=9.9, currency="EUR", order_id=f"order-{i}"),
            )
            for i in range(3)
        ]
        return request.EventRequest(pixel_id="1234567890", events=events, partner_agent="capi_lab").execute()

    answer = send(timedelta(hours=1))
    assert answer.events_received == 3
    assert box.counted("meta") == 3
    assert box.received("meta")["conversion_id"].tolist() == ["order-0", "order-1", "order-2"]
    with pytest.raises(errors.FacebookRequestError) as found:
        send(timedelta(days=8))
    assert (found.value.api_error_code(), found.value.api_error_subcode()) == (100, 2804003)
    api.FacebookAdsApi.init(access_token=token.upper(), api_version="v26.0", crash_log=False)
    with pytest.raises(errors.FacebookRequestError) as found:
        send(timedelta(hours=1))
    assert found.value.api_error_code() == 190


def test_microsofts_client_sends_and_reads(box: cl.Sandbox) -> None:
    """msads: a batch with one bad row comes back with its partial error, a wrong token as a fault."""
    msads = pytest.importorskip("openapi_client.models.campaign", reason="needs msads")
    from openapi_client.api.campaign_management_service_api import CampaignManagementServiceApi
    from openapi_client.api_client import ApiClient
    from openapi_client.configuration import Configuration
    from openapi_client.exceptions import ApiException

    rows = rows_of("microsoft", "offline")
    rows[1]["ConversionTime"] = (NOW - timedelta(days=100)).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = msads.ApplyOfflineConversionsRequest.from_dict({"OfflineConversions": rows})

    mine = box.credentials("microsoft")

    def apply(token: str) -> object:
        developer = mine["MICROSOFT_DEVELOPER_TOKEN"]
        known = {"Authorization": f"Bearer {token}", "DeveloperToken": developer, "CustomerAccountId": "7654321"}
        client = ApiClient(Configuration(host=box.url("microsoft"), api_key=known))
        api = CampaignManagementServiceApi(client)
        api.api_client.configuration.host = box.url("microsoft")
        return api.apply_offline_conversions(body, _headers={"CustomerId": "1234567"})

    answer = apply(mine["MICROSOFT_ACCESS_TOKEN"])
    (error,) = answer.partial_errors
    assert (error.index, error.code, error.error_code) == (1, 5609, "OfflineConversionTimeOutOfWindow")
    assert box.counted("microsoft") == 2
    with pytest.raises(ApiException) as found:
        apply("wrong")
    assert found.value.status == 401
    assert json.loads(found.value.body)["Errors"][0]["Code"] == 105


def test_linkedins_client_sends_and_reads(box: cl.Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """linkedin-api-client: a batch and a single event are created; one bad event sinks its batch."""
    constants = pytest.importorskip("linkedin_api.common.constants", reason="needs linkedin-api-client")
    restli = pytest.importorskip("linkedin_api.clients.restli.client")
    errors = pytest.importorskip("linkedin_api.common.errors")
    monkeypatch.setattr(constants, "VERSIONED_BASE_URL", f"{box.url('linkedin')}/rest")
    client, token = restli.RestliClient(), box.credentials()["LINKEDIN_ACCESS_TOKEN"]
    rows = rows_of("linkedin", "capi")
    way = {"resource_path": "/conversionEvents", "access_token": token, "version_string": "202609"}
    answer = client.batch_create(entities=rows, **way)
    assert [one.status for one in answer.elements] == [201, 201, 201]
    assert client.create(entity=rows[0], **way).status_code == 201
    late = {**rows[0], "conversionHappenedAt": 1}
    # Their batch call cannot read a refusal, the real one's neither: it looks for a list that is not there.
    with pytest.raises(errors.ResponseFormattingError):
        client.batch_create(entities=[*rows, late], **way)
    assert client.create(entity=late, **way).status_code == 400
    assert client.create(entity=rows[0], **{**way, "access_token": "wrong"}).status_code == 401
    assert client.create(entity=rows[0], **{**way, "version_string": "202401"}).status_code == 426
    assert box.counted("linkedin") == 4


def test_googles_client_sends_and_reads(box: cl.Sandbox) -> None:
    """google-ads-datamanager over REST: events are ingested; a bad one is named in the error's violations."""
    dm = pytest.importorskip("google.ads.datamanager_v1", reason="needs google-ads-datamanager")
    rest = pytest.importorskip("google.ads.datamanager_v1.services.ingestion_service.transports.rest")
    credentials = pytest.importorskip("google.oauth2.credentials")
    errors = pytest.importorskip("google.api_core.exceptions")

    def client(token: str) -> object:
        transport = rest.IngestionServiceRestTransport(
            host=urlsplit(box.url("google")).netloc, credentials=credentials.Credentials(token), url_scheme="http"
        )
        return dm.IngestionServiceClient(transport=transport)

    (request,) = wire_of("google", "data_manager").encode(example_rows(3), SETTINGS["google", "data_manager"])
    body = dm.IngestEventsRequest.from_json(json.dumps(request.json))
    good = client(box.credentials()["GOOGLE_ACCESS_TOKEN"])
    answer = good.ingest_events(request=body)
    assert answer.request_id
    assert box.counted("google", "data_manager") == 3
    body.events[1].event_timestamp = NOW + timedelta(days=3)
    with pytest.raises(errors.BadRequest) as found:
        good.ingest_events(request=body)
    (violations,) = [one["fieldViolations"] for one in found.value.details if "fieldViolations" in one]
    assert [(one["field"], one["reason"]) for one in violations] == [("events.events[1]", "EVENT_TIME_INVALID")]
    refresh = pytest.importorskip("google.auth.exceptions")
    with pytest.raises(refresh.RefreshError):  # told that its token is no good, it asks for another at once
        client("wrong").ingest_events(request=body)
