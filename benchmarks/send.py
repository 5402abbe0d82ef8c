"""Speed of sending to a server on this machine, against a bare socket that writes the same bytes.

Usage::

    python -m benchmarks.send [--rows 50000]

The servers are loops in processes of their own: they read a request and answer that all was taken, as Meta would. Four
figures: a bare socket that has the finished bodies; the sender's HTTP client with the same; `send` with rows that were
written out before (everything but that: outbox, claims, answers, receipt); and a whole `send`. The outbox is timed by
itself on a file, every commit synced.
"""

from __future__ import annotations

import argparse
import multiprocessing
import socket
import statistics
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from unittest import mock

import capi_lab as cl
from benchmarks.wires import NOW, SETTINGS, purchases
from capi_lab.send import drain
from capi_lab.send.bodies import Letter
from capi_lab.send.client import ask, http_client
from capi_lab.send.outbox import Outbox
from capi_lab.send.parcels import Parcel, Settlement, digest
from capi_lab.send.target import target_of
from capi_lab.send.words import SendState

HEAD = b"POST /v26.0/1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


def serve(listener: socket.socket) -> None:
    """Answer every request with the number of its events, one connection at a time."""
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer = bytearray()
        while True:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                if not (piece := connection.recv(1 << 20)):
                    break
                buffer += piece
                continue
            length = int(bytes(buffer[:end]).lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            while len(buffer) < end + 4 + length:
                buffer += connection.recv(1 << 20)
            body = b'{"events_received":%d,"fbtrace_id":"A1"}' % buffer.count(b'"event_name":')
            del buffer[: end + 4 + length]
            connection.sendall(REPLY % (len(body), body))


def bare(port: int, bodies: list[bytes]) -> float:
    """Seconds to write the bodies to a socket and read the answers, one after the other."""
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        start = time.perf_counter()
        for body in bodies:
            line.sendall(HEAD % len(body))
            line.sendall(body)
            line.recv(65536)
        return time.perf_counter() - start


def asked(host: str, bodies: list[bytes]) -> float:
    """Seconds to have the sender's HTTP client do the same, one after the other; nothing is written down."""
    with http_client(target_of(host), timedelta(seconds=10), None, 1) as client:
        start = time.perf_counter()
        for body in bodies:
            reply = ask(client, "POST", f"{host}/v26.0/1/events", {"Content-Type": "application/json"}, body)
            if reply.status != 200:
                raise SystemExit(f"refused: {reply.status}")
        return time.perf_counter() - start


def sent(plan: cl.Plan, letters: list[Letter] | None) -> float:
    """Seconds to send a plan; with ``letters`` its rows need not be written out."""
    approved = plan.fingerprint
    with mock.patch.multiple(
        drain,
        encoder=drain.encoder if letters is None else lambda *_: lambda rows: rows,
        letters=drain.letters if letters is None else lambda *_: letters,
        pieces=drain.pieces if letters is None else lambda n, _: [slice(0, n)],
    ):
        start = time.perf_counter()
        receipt = cl.send(plan, approve=approved, progress=False, clock=lambda: NOW + timedelta(seconds=1))
        seconds = time.perf_counter() - start
    if not receipt.rows["status"].eq("accepted").all():
        raise SystemExit(f"not everything was accepted:\n{receipt}")
    return seconds


def outbox_alone(folder: Path, n: int) -> tuple[float, float]:
    """Milliseconds for 1,000 events, by the clock and of the processor."""
    keys = [digest(str(i)) for i in range(n)]
    parcels = [Parcel(b"".join(keys[i : i + 1000]), bytes(8000), b"", 2**60) for i in range(0, n, 1000)]
    with Outbox(folder / "alone.sqlite") as box:
        account = box.account("meta", "a", live=False)
        wall, processor = time.perf_counter(), time.process_time()
        settled: list[Settlement] = []
        for number in box.enqueue(account, "capi", "conversion", parcels):
            box.exchange(settled, [number], 1)
            settled = [Settlement(number, SendState.ACCEPTED, 2, trace="A1", http=200)]
        box.exchange(settled)
        return (time.perf_counter() - wall) / n * 1e6, (time.process_time() - processor) / n * 1e6


def main() -> None:
    """Time all and print events per second and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=float, default=5e4)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    n = int(args.rows)
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    port = listener.getsockname()[1]
    for _ in range(4):
        multiprocessing.get_context("fork").Process(target=serve, args=(listener,), daemon=True).start()
    rows = purchases(n)
    with tempfile.TemporaryDirectory() as name:
        folder, host = Path(name), f"http://127.0.0.1:{port}"

        def planned(number: int) -> cl.Plan:
            outbox = folder / f"{number}.sqlite"
            return cl.plan(rows, "meta", settings=SETTINGS, outbox=outbox, now=NOW, host=host)

        start = time.perf_counter()
        plan = planned(0)
        print(f"plan, {n:,} Meta purchases with 15 identifiers: {n / (time.perf_counter() - start):12,.0f} events/s")
        letters: list[Letter] = []
        for at in range(0, n, 20_000):
            part = plan.held.rows(plan.places[at : at + 20_000])
            letters += drain.letters(drain.encoder(plan.wire, plan.settings, plan.kind)(part), plan.wire.route)
        bodies = [letter.body() for letter in letters]
        socket_alone = statistics.median(bare(port, bodies) for _ in range(args.runs))
        size = sum(map(len, bodies)) / n
        print(f"bare socket, {len(bodies)} bodies, {size:,.0f} bytes an event: {n / socket_alone:12,.0f} events/s")
        took = statistics.median(asked(host, bodies) for _ in range(args.runs))
        print(f"HTTP client, the same bodies: {n / took:12,.0f} events/s, {socket_alone / took:.2f} of the bare socket")
        for label, ready in (("send, rows written out before", letters), ("send, whole", None)):
            took = statistics.median(sent(planned(1 + run + 100 * bool(ready)), ready) for run in range(args.runs))
            print(f"{label}: {n / took:12,.0f} events/s, {socket_alone / took:.2f} of the bare socket")
        wall, processor = outbox_alone(folder, n)
        print(f"outbox, 1,000 events: {wall:.2f} ms by the clock, every commit synced; {processor:.2f} ms of processor")


if __name__ == "__main__":
    main()
