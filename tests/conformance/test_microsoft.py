"""Microsoft's own Python package takes what we send and says what we read: bodies, path, headers, errors, faults.

The UET Conversions API has no official package; its bodies are held by the golden files alone.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from capi_lab.platforms.microsoft.codes import NUMBER_OF
from capi_lab.platforms.route import OutcomeStatus
from capi_lab.platforms.wire import Reply, Request
from tests.contracts.examples import SETTINGS, example_rows, wire_of

msads = pytest.importorskip("openapi_client.models.campaign", reason="needs msads: pip install '.[conformance]'")
pydantic = pytest.importorskip("pydantic")

pytestmark = pytest.mark.conformance

GOLDEN = Path(__file__).parents[1] / "golden" / "microsoft"
BODIES = [json.loads(path.read_text(encoding="utf-8"))["json"] for path in sorted(GOLDEN.glob("offline_encode_*.json"))]
REPLIES = json.loads((GOLDEN / "offline_decode.json").read_text(encoding="utf-8"))
WIRE = wire_of("microsoft", "offline")
SETTING = SETTINGS["microsoft", "offline"]


class StrictConversion(msads.OfflineConversion):
    """Their conversion, but a field it does not know is an error: as shipped, it drops such fields silently."""

    model_config = pydantic.ConfigDict(extra="forbid")


def test_a_wrong_field_would_be_noticed() -> None:
    """The check itself works: as shipped the model swallows an unknown field, the strict one refuses it."""
    wrong = {"ConversionName": "x", "Msclkid": "y"}
    assert msads.OfflineConversion.model_validate(wrong).to_dict() == {"ConversionName": "x"}
    with pytest.raises(pydantic.ValidationError):
        StrictConversion.model_validate(wrong)
    with pytest.raises(pydantic.ValidationError):
        StrictConversion.model_validate({"ConversionValue": "49.90"})


def instants(body: dict[str, list[dict[str, object]]]) -> list[dict[str, object]]:
    """Times as instants, nulls gone: the package writes ``+00:00`` for ``Z``, and null for what is not set."""
    rows = [{name: value for name, value in row.items() if value is not None} for row in body["OfflineConversions"]]
    for row in rows:
        when = row["ConversionTime"]
        row["ConversionTime"] = datetime.fromisoformat(when) if isinstance(when, str) else when
    return rows


@pytest.mark.parametrize(
    "body", [*BODIES, WIRE.encode(example_rows(25), SETTING)[0].json], ids=["bare", "full", "rows"]
)
def test_bodies_are_theirs_and_survive_the_round_trip(body: dict[str, list[dict[str, object]]]) -> None:
    """Every field is known, of their type, and comes back unchanged from their model."""
    for row in body["OfflineConversions"]:
        StrictConversion.model_validate(row)
    model = msads.ApplyOfflineConversionsRequest.from_dict(body)
    assert set(body) == set(model.to_dict())
    assert instants(model.to_dict()) == instants(body)
    assert all(row["ConversionTime"].utcoffset().total_seconds() == 0 for row in instants(body))


def test_path_and_headers_are_those_of_the_package() -> None:
    """Their client prepares the same request: method, path, customer headers; the two tokens are all it adds."""
    from openapi_client.api.campaign_management_service_api import CampaignManagementServiceApi
    from openapi_client.api_client import ApiClient
    from openapi_client.configuration import Configuration

    (request,) = WIRE.encode(example_rows(1), SETTING)
    secrets = {"Authorization": "Bearer made-up", "DeveloperToken": "made-up"}
    known = secrets | {"CustomerAccountId": request.headers["CustomerAccountId"]}
    client = ApiClient(Configuration(host="https://campaign.api.bingads.microsoft.com", api_key=known))
    api = CampaignManagementServiceApi(client)
    method, url, headers, body, _ = api._apply_offline_conversions_serialize(
        apply_offline_conversions_request=msads.ApplyOfflineConversionsRequest.from_dict(request.json),
        _request_auth=None,
        _content_type=None,
        _headers={"CustomerId": request.headers["CustomerId"]},  # its configuration knows the others only
        _host_index=0,
    )
    assert (method, url) == (request.method, request.url)
    headers |= {name: setting["value"] for name, setting in client.configuration.auth_settings().items()}
    assert {name: headers[name] for name in request.headers} == request.headers
    # Api-Revision is the package's own build; the reference does not know it.
    assert set(headers) - set(request.headers) == {*secrets, "User-Agent", "Api-Revision"}
    assert len(body["OfflineConversions"]) == 1


def model_of(case: dict[str, object]) -> object:
    """A canned reply as their client would read it."""
    success = case["status"] == 200
    return (msads.ApplyOfflineConversionsResponse if success else msads.ApplicationFault).from_dict(case["json"])


# A text where a list belongs, an entry that is null, and a page of a proxy: replies nobody should send.
ODD = {"text is no list of errors", "HTML from a proxy", "empty entries are skipped"}


@pytest.mark.parametrize("case", [c for c in REPLIES if c["name"] not in ODD], ids=lambda c: c["name"])
def test_canned_replies_are_replies_their_models_read_whole(case: dict[str, object]) -> None:
    """Our decode tests use real shapes: their model keeps every value of the reply."""
    model = model_of(case)
    kept = json.loads(json.dumps(model.to_dict()))
    if case["status"] != 200:
        assert type(model).__name__ == case["json"]["Type"]
    assert without_nulls(kept) == without_nulls(case["json"])


def without_nulls(value: object) -> object:
    """Drop what is null: their models write fields that are not set as null."""
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [without_nulls(inner) for inner in value]
    return value


REQUEST = Request("POST", "https://x", {}, None, ("a", "b", "c"))


@pytest.mark.parametrize(("name", "number"), sorted(NUMBER_OF.items(), key=lambda pair: int(pair[1])))
def test_errors_written_by_the_package_are_read(name: str, number: str) -> None:
    """Each error as partial error, operation error and service error, serialised by their classes."""
    batch = msads.BatchErrorBase(Index=1, Code=int(number), ErrorCode=name, Message="text", FieldPath="x")
    partial = msads.ApplyOfflineConversionsResponse(PartialErrors=[batch]).to_dict()
    outcomes = WIRE.decode(Reply(200, {}, json.loads(json.dumps(partial))), REQUEST)
    assert [one.code for one in outcomes] == ["", number, ""]
    assert [one.status for one in outcomes][::2] == [OutcomeStatus.ACCEPTED] * 2

    service = msads.AdApiFaultDetail(Errors=[msads.AdApiError(Code=int(number), ErrorCode=name, Detail="text")])
    operation = msads.ApiFaultDetail(OperationErrors=[msads.OperationError(Code=int(number), ErrorCode=name)])
    for fault in (service, operation):
        outcomes = WIRE.decode(Reply(400, {}, json.loads(json.dumps(fault.to_dict()))), REQUEST)
        assert {one.code for one in outcomes} == {number}
        assert {one.status for one in outcomes} == {WIRE.route.status_of(number).status}
