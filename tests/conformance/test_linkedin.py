"""LinkedIn's own client puts the bytes on the wire that our requests say."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from capi_lab.platforms.route import OutcomeStatus
from capi_lab.platforms.wire import Reply
from tests.contracts.examples import SETTINGS, example_rows, wire_of

constants = pytest.importorskip("linkedin_api.common.constants", reason="needs linkedin-api-client")
restli = pytest.importorskip("linkedin_api.clients.restli.client", reason="needs linkedin-api-client")

pytestmark = pytest.mark.conformance

WIRE = wire_of("linkedin", "capi")


class Capture(BaseHTTPRequestHandler):
    """Keeps what was asked, and answers as LinkedIn does."""

    seen: list[tuple[str, dict[str, str], bytes]]
    answer: bytes

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.answer)))
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def capture(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Capture]]:
    handler = type("Once", (Capture,), {"seen": [], "answer": b"{}"})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setattr(constants, "VERSIONED_BASE_URL", f"http://127.0.0.1:{server.server_port}/rest")
        yield handler
        server.shutdown()
        thread.join()


ROWS = {
    "full": example_rows(),
    "bare": example_rows(2, value=None, email=None, li_fat_id=None, client_ip=None, first_name=None, event_id=None),
    "accents": example_rows(1, external_id="Zoë-東京", value=1e16),
}


@pytest.mark.parametrize("name", ROWS)
def test_the_official_client_sends_our_bytes(capture: type[Capture], name: str) -> None:
    """Same path, same headers, same body to the byte; its reading of the reply and ours agree."""
    (request,) = WIRE.encode(ROWS[name], SETTINGS["linkedin", "capi"])
    n = len(request.row_ids)
    answer = {"elements": [{"status": 201}] * (n - 1) + [{"status": 422, "error": {"message": "no", "status": 422}}]}
    capture.answer = json.dumps(answer).encode()
    client = restli.RestliClient()
    client.session.trust_env = False  # a proxy of the machine has no business here
    with client.session:
        theirs = client.batch_create(
            resource_path="/conversionEvents",
            entities=request.json["elements"],
            access_token="none",  # noqa: S106 - nobody checks it here
            version_string=request.headers["LinkedIn-Version"],
        )
    ((path, headers, body),) = capture.seen
    assert request.url == f"https://api.linkedin.com{path}"
    for header, value in request.headers.items():
        assert headers[header.lower()] == value
    assert body == json.dumps(request.json, allow_nan=False).encode()
    ours = WIRE.decode(Reply(theirs.status_code, dict(theirs.headers), json.loads(capture.answer)), request)
    for element, outcome in zip(theirs.elements, ours, strict=True):
        assert (element.status < 400) is (outcome.status is OutcomeStatus.ACCEPTED)
