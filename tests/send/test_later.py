"""What comes after a send: corrections, read-back, credentials that end, trying out, the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pandas as pd
import pytest
from typer.testing import CliRunner

import capi_lab as cl
from capi_lab.cli import app
from capi_lab.errors import ContractError, CredentialError, InputError, NotSupportedError, SendError
from capi_lab.platforms.sending import Correction
from capi_lab.platforms.wire import Corrector
from tests.contracts.examples import NOW, ROUTES, SETTINGS, example_rows, wire_of
from tests.contracts.test_wires import paths
from tests.send.door import LOSE, Door, door
from tests.send.worlds import few, planned, sent, told

REFUNDS = {"correction_time": pd.Timestamp(NOW).as_unit("us")}
MICROSOFT, ADS = SETTINGS["microsoft", "offline"], SETTINGS["google", "ads_api"]


@pytest.fixture
def box() -> Iterator[Door]:
    with door() as one:
        yield one


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[cl.Outbox]:
    with cl.Outbox(tmp_path / "outbox.sqlite") as one:
        yield one


def test_corrections_hold_what_the_specs_list_and_nothing_else() -> None:
    """Every kind a platform takes becomes a body of listed fields; what it does not take it says so, with a way out."""
    rows = example_rows(2, **REFUNDS)
    for platform, route in ROUTES:
        wire = wire_of(platform, route)
        facts = wire.route.corrections
        assert bool(facts.kinds) == isinstance(wire, Corrector), (platform, route)
        known = set(facts.fields) or {rule.path for rule in wire.route.fields}
        for kind in facts.kinds:
            (request,) = wire.correct(rows, SETTINGS[platform, route], kind=kind)
            assert {path for path, _ in paths(request.json)} <= known
            assert list(request.row_ids) == rows["conversion_id"].tolist()
        for kind in set(Correction) - set(facts.kinds):
            with pytest.raises(NotSupportedError, match=facts.note[:20]):
                cl.correct(rows, platform, route=route, kind=kind, settings=SETTINGS[platform, route],
                           outbox=":memory:", now=NOW)  # fmt: skip


def test_a_refund_corrects_what_was_accepted_once(box: Door, ledger: cl.Outbox) -> None:
    """Only accepted conversions are retracted, each once; a restatement may follow with another value, once each."""
    box.script = lambda number, rows: (200, {}, {"PartialErrors": [{"Index": 1, "Code": 5606, "ErrorCode": "x"}]})
    sent(planned(box, ledger, "microsoft", 2))
    box.script = lambda number, rows: None

    def correct(kind: str, **columns: object) -> cl.Plan:
        rows = few(3, **REFUNDS | columns)
        return cl.correct(rows, "microsoft", kind=kind, settings=MICROSOFT, outbox=ledger, now=NOW, host=box.url)

    plan = correct("retract")
    reasons = plan.rows.set_index("conversion_id")["reason"]
    assert reasons.to_dict() == {"order-1001": "new", "order-1002": "not_sent_before", "order-1003": "not_sent_before"}
    assert told(sent(plan))[0] == ("accepted", "")
    assert box.paths[-1].endswith("/OfflineConversionAdjustments/Apply")
    assert box.bodies[-1]["OfflineConversionAdjustments"][0]["AdjustmentType"] == "Retract"
    assert told(sent(correct("retract")))[0] == ("accepted", "already_accepted")
    for value, reason in ((10.0, "new"), (10.0, "already_accepted"), (5.0, "content_changed")):
        plan = correct("restate", value=value)
        assert plan.rows.set_index("conversion_id")["reason"]["order-1001"] == reason
        sent(plan)
    amounts = [body["OfflineConversionAdjustments"][0].get("AdjustmentValue") for body in box.bodies[1:]]
    assert amounts == [None, 10.0, 5.0]
    assert set(planned(box, ledger, "microsoft", 1).rows["reason"]) == {"already_accepted"}
    with pytest.raises(ContractError, match="correction_time"):
        cl.correct(few(1), "microsoft", kind="retract", settings=MICROSOFT, outbox=ledger, now=NOW, host=box.url)


def test_status_is_asked_for_each_accepted_request(box: Door, ledger: cl.Outbox) -> None:
    """Google answers by request: those old enough are asked for, under the day they were sent."""
    sent(planned(box, ledger, "google", 2))
    settings = SETTINGS["google", "data_manager"]
    soon = cl.read_back("google", settings=settings, outbox=ledger, now=NOW + timedelta(minutes=5), host=box.url)
    assert len(soon) == 0
    assert len(box.paths) == 1
    status = {"requestStatusPerDestination": [{
        "requestStatus": "PARTIAL_SUCCESS", "eventsIngestionStatus": {"recordCount": "2"},
        "errorInfo": {"errorCounts": [{"reason": "PROCESSING_ERROR_REASON_CLICK_NOT_FOUND", "recordCount": "1"}]},
    }]}  # fmt: skip
    box.script = lambda number, rows: (200, {}, status)
    reports = cl.read_back("google", settings=settings, outbox=ledger, now=NOW + timedelta(hours=1), host=box.url)
    assert box.paths[-1] == "/v1/requestStatus:retrieve?requestId=trace-1"
    assert reports.set_index("metric")["count"].to_dict() == {"received": 2.0, "accepted": 1.0}
    assert set(reports["day"]) == {pd.Timestamp("2026-11-23", tz="UTC")}
    with pytest.raises(InputError, match="outbox= is needed"):
        cl.read_back("google", settings=settings, now=NOW, host=box.url)


def test_reports_are_asked_for_in_the_stretches_a_platform_allows(box: Door) -> None:
    """Microsoft by goal, seven days at a time; Meta without its token in the URL; others have none."""
    goals = {"OfflineGoalConversionSummaries": [{"GoalId": "7", "DailySummaries": [
        {"GoalId": "7", "UploadDate": "2026-11-20T00:00:00", "SuccessCount": "3", "UnattributedCount": "1"}
    ]}]}  # fmt: skip
    box.script = lambda number, rows: (200, {}, goals if number == 0 else {"OfflineGoalConversionSummaries": []})
    reports = cl.read_back(
        "microsoft", settings=MICROSOFT | {"goal_ids": "7,8"}, now=NOW, since=NOW - timedelta(days=10), host=box.url
    )
    assert reports.set_index("metric")["count"].to_dict() == {"received": 4.0, "matched": 3.0}
    assert [body["GoalIds"] for body in box.bodies] == [["7", "8"]] * 2
    assert box.bodies[0]["EndDateUtc"] == box.bodies[1]["StartDateUtc"] == "2026-11-20T12:00:00Z"
    assert box.headers[0]["CustomerId"] == MICROSOFT["customer_id"]
    assert {"Authorization", "DeveloperToken"} <= set(box.headers[0])
    with pytest.raises(InputError, match="goal_ids"):
        cl.read_back("microsoft", settings=MICROSOFT, now=NOW, host=box.url)
    quality = {"web": [{"event_name": "Purchase", "event_match_quality": {
        "composite_score": 6.1, "diagnostics": [{"total_event_count": 40}]}}]}  # fmt: skip
    box.script = lambda number, rows: (200, {}, quality)
    env = {"META_ACCESS_TOKEN": "secret"}
    reports = cl.read_back("meta", settings=SETTINGS["meta", "capi"], now=NOW, host=box.url, env=env)
    assert reports["count"].tolist() == [40.0]
    assert "secret" not in box.paths[-1]
    assert box.headers[-1]["Authorization"] == "Bearer secret"
    assert parse_qs(box.paths[-1].partition("?")[2])["dataset_id"] == ["1234567890"]
    with pytest.raises(NotSupportedError, match="no report"):
        cl.read_back("tiktok", settings=SETTINGS["tiktok", "events_api"], now=NOW, host=box.url)
    for status, error in ((403, CredentialError), (500, SendError)):
        box.script = lambda number, rows, status=status: (status, {}, {})
        with pytest.raises(error):
            cl.read_back("meta", settings=SETTINGS["meta", "capi"], now=NOW, host=box.url)


def test_receipts_and_reports_feed_the_waterfall(box: Door, ledger: cl.Outbox) -> None:
    """What a send tells goes into the waterfall as it is: accepted, rejected and in doubt are three things."""
    error = {"Index": 1, "Code": 5606, "ErrorCode": "OfflineConversionNameInvalid"}
    box.script = lambda number, rows: (200, {}, {"PartialErrors": [error]}) if number == 0 else LOSE
    rows = few(4)
    receipt = sent(planned(box, ledger, "microsoft", rows, batch_rows=2), attempts=1)
    assert told(receipt) == [
        ("accepted", ""), ("rejected", "5606"), ("unknown", "no_answer"), ("unknown", "no_answer")
    ]  # fmt: skip
    nobody = pd.DataFrame({"row_id": ["x"], "channel": "capi", "event_name": "other",
                           "event_time": [pd.Timestamp(NOW).as_unit("us")]})  # fmt: skip
    rec = cl.reconcile(rows, nobody, platform="microsoft")
    buckets = cl.waterfall(rec, receipts=receipt.rows).buckets
    named = dict(zip(buckets["conversion_id"], buckets["bucket"], strict=True))
    assert named == {"order-1001": "server_only", "order-1002": "rejected", "order-1003": "reply_unknown",
                     "order-1004": "reply_unknown"}  # fmt: skip


def test_a_token_is_renewed_before_it_ends_and_when_it_is_refused(ledger: cl.Outbox) -> None:
    """Refresh flow: the newest refresh token is kept, an expired access token is replaced once, rows are sent once."""
    asked: list[dict[str, list[str]]] = []
    tokens: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if "token" in request.url.path:
            asked.append(parse_qs(request.content.decode()))
            return httpx.Response(
                200, json={"access_token": f"a{len(asked)}", "refresh_token": f"r{len(asked)}", "expires_in": 3600}
            )
        tokens.append(request.headers["Authorization"])
        if tokens[-1] == "Bearer a1":
            return httpx.Response(401, json={"Errors": [{"Code": 109, "ErrorCode": "AuthenticationTokenExpired"}]})
        return httpx.Response(200, json={"PartialErrors": []})

    env = {"MICROSOFT_CLIENT_ID": "c", "MICROSOFT_REFRESH_TOKEN": "r0", "MICROSOFT_DEVELOPER_TOKEN": "d"}
    real = few(2, page_url="https://shop.acme-store.com/")
    plan = cl.plan(real, "microsoft", settings=MICROSOFT, outbox=ledger, now=NOW)
    receipt = sent(plan, env=env, transport=httpx.MockTransport(answer))
    assert told(receipt) == [("accepted", "")] * 2
    assert tokens == ["Bearer a1", "Bearer a2"]
    assert [form["refresh_token"] for form in asked] == [["r0"], ["r1"]]
    assert asked[0]["grant_type"] == ["refresh_token"]
    again = cl.plan(few(1, conversion_id="z", page_url=None), "microsoft", settings=MICROSOFT, outbox=ledger, now=NOW)
    with pytest.raises(CredentialError, match="MICROSOFT_ACCESS_TOKEN") as caught:
        sent(again, env={"MICROSOFT_DEVELOPER_TOKEN": "d"})
    assert "MICROSOFT_CLIENT_ID and MICROSOFT_REFRESH_TOKEN" in str(caught.value)
    refused = httpx.MockTransport(lambda request: httpx.Response(400, json={"error": "invalid_grant r0"}))
    receipt = sent(again, env=env, transport=refused)
    assert told(receipt) == [("retry", "no_connection")]
    assert "refresh token was refused" in receipt.stopped
    assert "r0" not in receipt.stopped


def test_a_service_account_signs_and_gets_a_token_over_our_client(ledger: cl.Outbox, tmp_path: Path) -> None:
    """google-auth asks over httpx, with the scope of the route; the key is nowhere in what fails."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    info = {"type": "service_account", "client_email": "s@p.iam.gserviceaccount.com", "private_key": pem,
            "token_uri": "https://elsewhere.invalid/token", "project_id": "p", "private_key_id": "k"}  # fmt: skip
    (tmp_path / "key.json").write_text(json.dumps(info))
    urls: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        urls.append(str(request.url))
        if request.url.path == "/token":
            assert b"jwt-bearer" in request.content
            return httpx.Response(200, json={"access_token": "g1", "expires_in": 3600, "token_type": "Bearer"})
        assert request.headers["Authorization"] == "Bearer g1"
        return httpx.Response(200, json={"requestId": "q"})

    env = {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "key.json")}
    real = few(1, page_url=None, gclid="Cj0KCQiAvvKBBhCXARIsACTePW-ExampleClick_wcB")
    plan = cl.plan(real, "google", settings=SETTINGS["google", "data_manager"], outbox=ledger, now=NOW)
    assert told(sent(plan, env=env, transport=httpx.MockTransport(answer))) == [("accepted", "")]
    assert urls[0] == "https://oauth2.googleapis.com/token"
    (tmp_path / "key.json").write_text(json.dumps(info | {"private_key": "broken"}))
    more = few(1, conversion_id="m", page_url=None, gclid="Cj0KCQiAvvKBBhCXARIsACTePW-ExampleClick_wcC")
    plan = cl.plan(more, "google", settings=SETTINGS["google", "data_manager"], outbox=ledger, now=NOW)
    receipt = sent(plan, env=env, transport=httpx.MockTransport(answer))
    assert "GOOGLE_APPLICATION_CREDENTIALS" in receipt.stopped
    assert "broken" not in receipt.stopped


@pytest.mark.parametrize(("platform", "route"), ROUTES, ids=lambda v: v)
def test_the_doctor_records_nothing(box: Door, platform: str, route: str) -> None:
    """Each route's own way of trying: seen to work, seen to fail, or said to be impossible."""
    settings = SETTINGS[platform, route]
    probe = wire_of(platform, route).route.sending.probe
    good = probe.good[0] if probe and probe.url else 200
    box.script = lambda number, rows: (good, {}, {"requestId": "r", "partialFailureError": None, "results": []})
    found = cl.doctor(platform, route=route, settings=settings, now=NOW, host=box.url).set_index("check")["ok"]
    tried = probe is not None and not probe.asks
    assert found["settings"]
    assert found["credential"]
    assert bool(found["platform"]) if tried else pd.isna(found["platform"])
    assert not box.kept
    assert len(box.paths) == int(tried)
    box.script = lambda number, rows: (403 if good != 403 else 401, {}, {})
    if tried:
        found = cl.doctor(platform, route=route, settings=settings, now=NOW, host=box.url).set_index("check")["ok"]
        assert not found["platform"]
    lacking = cl.doctor(platform, route=route, settings={}, now=NOW, host=box.url)
    assert lacking["ok"].tolist() == [False]
    live = cl.doctor(platform, route=route, settings=settings, now=NOW, env={})
    assert live["ok"].tolist() == [True, False]


def test_the_command_line_sends_only_what_was_approved(
    box: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plan, a dry run, a wrong and the right fingerprint, a second run: exit codes 0, 3, 2, 0, 0."""
    rows = few(2).assign(event_time=pd.Timestamp.now("UTC").floor("s") - pd.Timedelta(hours=1))
    rows.to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "meta.toml").write_text('dataset_id = "1234567890"\n')
    common = [str(tmp_path / "rows.parquet"), "meta", "--settings", str(tmp_path / "meta.toml"), "--outbox",
              str(tmp_path / "o.sqlite"), "--host", box.url]  # fmt: skip
    monkeypatch.setenv("META_ACCESS_TOKEN", "from-the-environment")
    runner = CliRunner()
    shown = runner.invoke(app, ["plan", *common])
    assert shown.exit_code == 0, shown.output
    fingerprint = shown.output.partition("fingerprint")[2].split()[0]
    dry = runner.invoke(app, ["send", *common])
    assert dry.exit_code == 3
    assert f"--approve {fingerprint}" in dry.output
    assert box.sizes == []
    wrong = runner.invoke(app, ["send", *common, "--approve", "0" * 16])
    assert wrong.exception is not None
    assert box.sizes == []
    right = runner.invoke(app, ["send", *common, "--approve", fingerprint, "--receipt", str(tmp_path / "r.csv")])
    assert right.exit_code == 0, right.output
    assert box.sizes == [2]
    assert box.bodies[0]["access_token"] == "from-the-environment"  # noqa: S105 - nobody's
    assert pd.read_csv(tmp_path / "r.csv")["status"].tolist() == ["accepted"] * 2
    assert runner.invoke(app, ["send", *common]).output.count("already accepted") == 1
    theirs = rows.rename(columns={"conversion_id": "Order no."})
    theirs.to_csv(tmp_path / "theirs.csv", index=False)
    mapped = runner.invoke(
        app, ["send", str(tmp_path / "theirs.csv"), *common[1:], "--map-order", "Order no.=conversion_id"]
    )
    assert (mapped.exit_code, mapped.output.count("already accepted")) == (3, 1), mapped.output
    box.script = lambda number, rows: (200, {}, {"web": []})
    seen = runner.invoke(app, ["doctor", "meta", *common[2:4], "--host", box.url])
    assert (seen.exit_code, seen.output.count(" ok ")) == (0, 3)
