"""The fault switches: each does what its word says, and what was processed is in the books."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import httpx
import pytest

import capi_lab as cl
from capi_lab.errors import CapiLabError, InputError
from capi_lab.sandbox import Fault
from capi_lab.words import ServerFault
from tests.contracts.examples import NOW, ROUTES, SETTINGS, example_rows, wire_of
from tests.sandbox.posting import opened, post

REQUESTS = {key: wire_of(*key).encode(example_rows(4), SETTINGS[key])[0] for key in ROUTES}
PROCESSED = {
    ServerFault.THROTTLED: 0,
    ServerFault.THROTTLED_SILENTLY: 0,
    ServerFault.SERVER_ERROR: 0,
    ServerFault.TIMEOUT_BEFORE: 0,
    ServerFault.TIMEOUT_AFTER: 4,
    ServerFault.RESET_BEFORE: 0,
    ServerFault.RESET_AFTER: 4,
    ServerFault.TRUNCATED_REPLY: 4,
    ServerFault.SLOW_REPLY: 4,
    ServerFault.EXPIRED_TOKEN: 0,
    ServerFault.ALREADY_EXISTS: 4,
}


@pytest.mark.parametrize("fault", PROCESSED)
def test_each_fault_does_what_its_word_says(fault: ServerFault) -> None:
    """On every route: the reply, or its lack, and whether the rows were processed."""
    with (
        cl.Sandbox(seed=3, now=NOW, patience=0.05, slowness=0.01) as box,
        opened() as client,
    ):
        for platform, route in ROUTES:
            wire = wire_of(platform, route)
            request = REQUESTS[platform, route]
            box.fail_next(fault, platform, route)
            try:
                outcomes = wire.decode(post(box, client, request, wire.route), request)
                found = {str(one.status) for one in outcomes}
                waits = {one.retry_after for one in outcomes}
            except httpx.TransportError:
                found, waits = {"no reply"}, set()
            expected = {
                ServerFault.THROTTLED: {"retry"},
                ServerFault.THROTTLED_SILENTLY: {"retry"},
                ServerFault.SERVER_ERROR: {"retry"},
                ServerFault.TRUNCATED_REPLY: {"unknown"},
                ServerFault.SLOW_REPLY: {"accepted"},
                ServerFault.ALREADY_EXISTS: {"accepted"},
                ServerFault.EXPIRED_TOKEN: {"rejected"},
            }.get(fault, {"no reply"})
            assert found == expected, (platform, route)
            assert box.counted(platform, route) == PROCESSED[fault], (platform, route)
            if fault is ServerFault.THROTTLED:
                assert None not in waits, (platform, route)


def test_a_page_instead_of_a_reply_comes_with_and_without_processing() -> None:
    """Nobody can tell from the page whether the rows are there."""
    wire = wire_of("meta", "capi")
    (request,) = wire.encode(example_rows(1), SETTINGS["meta", "capi"])
    with cl.Sandbox(seed=3, now=NOW, faults=["html_reply:1"]) as box, opened() as client:
        counted = []
        for _ in range(12):
            assert wire.decode(post(box, client, request, wire.route), request)[0].status == "unknown"
            counted.append(box.counted("meta"))
        assert 0 < counted[-1] < 12


def test_bad_rows_stay_bad_and_the_others_pass() -> None:
    """A row that is bad by order is so in every request; without it the rest is taken."""
    wire = wire_of("meta", "capi")
    with cl.Sandbox(seed=3, now=NOW, faults=["one_bad_row:1:1"]) as box, opened() as client:
        good = []
        for _ in range(2):
            request = REQUESTS["meta", "capi"]
            assert {o.status for o in wire.decode(post(box, client, request, wire.route), request)} == {"rejected"}
        for at in range(4):
            (request,) = wire.encode(example_rows(4).iloc[[at]], SETTINGS["meta", "capi"])
            good.append(wire.decode(post(box, client, request, wire.route), request)[0].status == "accepted")
        assert sorted(good) == [False, True, True, True]
        assert box.counted("meta") == 3


def test_draws_hang_on_the_seed_alone() -> None:
    """The same seed gives the same faults, another one others, whatever other routes are sent in between."""

    def run(seed: int, noise: bool) -> list[int]:
        faults = ["server_error:0.3", "throttled:0.3"]
        with cl.Sandbox(seed=seed, now=NOW, faults=faults) as box, opened() as client:
            found = []
            for _ in range(15):
                for key in [("tiktok", "events_api")] * noise + [("meta", "capi")]:
                    reply = post(box, client, REQUESTS[key], wire_of(*key).route)
                found.append(reply.status)
            return found

    first = run(5, noise=False)
    assert first == run(5, noise=True)
    assert first != run(6, noise=False)
    assert {200, 429} < set(first)


def test_faults_are_read_strictly() -> None:
    """A slip in a fault's name or share is an error, not a sandbox without faults."""
    for wrong in ("no_such_fault", "throttled:2", "throttled:x", "throttled:0.1:-1"):
        with pytest.raises(InputError):
            cl.Sandbox(faults=[wrong])
    assert Fault("throttled").kind is ServerFault.THROTTLED


def test_it_ends_cleanly_while_requests_are_held() -> None:
    """Stopping cuts what is held; no thread and no socket stays behind."""
    before = threading.active_count()
    wire = wire_of("meta", "capi")
    (request,) = wire.encode(example_rows(1), SETTINGS["meta", "capi"])
    errors: list[Exception] = []
    box = cl.Sandbox(seed=1, now=NOW, faults=["timeout_after:1"]).start()

    def hang() -> None:
        try:
            with opened() as client:
                post(box, client, request, wire.route)
        except httpx.TransportError as error:
            errors.append(error)

    waiting = threading.Thread(target=hang)
    waiting.start()
    while box.counted("meta") == 0:
        pass
    box.stop()
    waiting.join()
    assert len(errors) == 1
    assert threading.active_count() == before
    with pytest.raises(InputError, match="does not run"):
        box.url("meta")


def test_the_command_line_runs_one() -> None:
    """`capi-lab sandbox` says where it listens and which credentials are good, and ends with an interrupt."""
    words = ["capi-lab", "sandbox", "--port", "0", "--seed", "4", "--faults", "throttled:0.5"]
    # Who starts the tests in the background has interrupts ignored, and children inherit that.
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += f"sys.argv = {words}; from capi_lab.cli import main; main()"
    process = subprocess.Popen([sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    expected = cl.Sandbox(seed=4).credentials()
    url = process.stdout.readline().split()[2]
    told = [process.stdout.readline() for _ in expected]
    with opened() as client:
        assert client.get(url).status_code == 404
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert told == [f"export {name}={value}\n" for name, value in expected.items()]


def test_its_own_failures_come_out_without_a_value(caplog) -> None:
    """A bug of the sandbox is no reply of a platform: it is raised where the sandbox ends, and nothing is logged."""

    def broken(*_: object) -> None:
        raise KeyError("jane.doe@example.com")

    def use() -> None:
        with cl.Sandbox(seed=1, now=NOW) as box, opened() as client:
            box._doors["meta", "capi"].receive = broken
            assert post(box, client, REQUESTS["meta", "capi"], wire_of("meta", "capi").route).status == 500

    with pytest.raises(CapiLabError, match=r"failed 1 times, first with KeyError at test_faults[.]py") as found:
        use()
    assert "jane" not in str(found.value)
    assert not caplog.records
