"""Throw generated identifiers and replies at every rule and wire.

``make fuzz`` runs the full numbers; ``tests/test_fuzz.py`` a small part of them. Nothing but the package's own errors may
come out, no message may hold what went in, and a column must equal its scalars.
"""

from __future__ import annotations

import argparse
import json
import random
import string
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd

from capi_lab import PLATFORMS
from capi_lab.errors import CapiLabError
from capi_lab.identity import KEY_RULES, hash_column, hash_value, normalise
from capi_lab.platforms.route import OutcomeStatus
from capi_lab.platforms.wire import Reply, Request

SEEDS = (
    "Jane.Doe+News@Example.COM", "first.last@googlemail.com", "a@b@c", "@", "+1 (650) 555-1212", "0044 20 7946 0958",
    "+39 06 6982 0000", "(0)", "ext. 9", "John", "O’Brien", "Müller", "Vale\u0301ry", "정", "李", "Female", " M ",
    "2/16/1997", "1997-02-16", "30.02.2001", "São Paulo", "St. Louis", "Rue de l’Église 12-14", "N.Y.", "Québec",
    "94035-1234", "SW1A 1AA", "United States", "UK", "DEU", "user_123", "203.0.113.7", "::1", "999.1.1.1", "fe80::1%eth0",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "62A14E44" * 8, "d41d8cd98f00b204e9800998ecf8427e",
    "huC55WwXzE0SOH4ZSbhQU/vnO8POWhGIcTqdMAzGEz0=", "null", "n/a", "{{Email}}", "", " ", "\u0661\u0662\u0663", "\ufeff", "\x00",
)  # fmt: skip
NAN = float("nan")
ODD_COUNTRIES = (NAN, 49, 4.9, b"DE", ["DE"], date(1997, 2, 16))
COUNTRIES = (None, "US", "GB", "DE", "IT", "JP", "BR", "CN", "XX", "", "usa")
ALPHABET = string.printable + "äöüßéñçİıŁ\u0301\u200b\u202e\u0660\u0967中文😀\ud7ff\ufffd"
KEYS_OF_REPLIES = (
    "error", "code", "error_subcode", "is_transient", "message", "data", "details", "elements", "status", "PartialErrors",
    "Index", "Code", "ErrorCode", "results", "partialFailureError", "errors", "errorCode", "location", "fieldPathElements",
    "fieldName", "index", "events_received", "eventsReceived", "requestId", "fieldViolations", "field", "reason",
    "isWarning", "propertyName", "Errors", "OperationErrors", "BatchErrors", "serviceErrorCode", "request_id", "TrackingId",
    "conversionUploadError", "trigger", "requestStatusPerDestination", "errorInfo", "errorCounts", "recordCount", "@type",
)  # fmt: skip
WORDS = (
    "100", "190", "OK", "0", "40002", "Batch.0.properties", "events.events[1].user_data", "conversions", "Index: 2,",
    "indices [0] (0-indexed)", "5615", "OfflineConversionNotAcceptedForGoal", "UNPARSEABLE_GCLID", "INVALID_ARGUMENT",
    "type.googleapis.com/google.rpc.BadRequest", "data[0].eventType", "-1", "99999999999999999999", "", " ",
)  # fmt: skip


LEAK = "LEAK-jane.doe@example.com"
GOLDEN = Path(__file__).parent / "golden"


def identifiers(n: int, rng: random.Random) -> Iterator[str]:
    """Yield mutated examples: cut, doubled, re-cased, spliced, with odd characters put in."""
    for _ in range(n):
        text = rng.choice(SEEDS)
        for _ in range(rng.randrange(4)):
            at = rng.randrange(len(text) + 1)
            kind = rng.randrange(6)
            if kind == 0:
                text = text[:at] + rng.choice(ALPHABET) + text[at:]
            elif kind == 1:
                text = text[:at] + text[at + 1 :]
            elif kind == 2:
                text = text.swapcase()
            elif kind == 3:
                text = text[:at] + rng.choice(SEEDS)
            elif kind == 4:
                text = rng.choice("  \t\u00a0'\"") + text + rng.choice(" \n\u3000")
            else:
                text = text * rng.randrange(1, 4)
        yield text


def value(rng: random.Random, depth: int = 0) -> object:
    """Return random JSON with the names and words that decoders look for."""
    kind = rng.randrange(9 if depth < 4 else 6)
    if kind == 0:
        return rng.choice((None, True, False))
    if kind == 1:
        return rng.choice(
            (0, 1, 2, -1, 100, 190, 10**19, -(10**19), rng.randrange(50), 1.5, float("inf"), float("nan"))
        )
    if kind in (2, 3):
        return rng.choice(WORDS)
    if kind in (4, 5):
        return "".join(rng.choice(ALPHABET) for _ in range(rng.randrange(12)))
    if kind == 6:
        return [value(rng, depth + 1) for _ in range(rng.randrange(5))]
    return {rng.choice(KEYS_OF_REPLIES): value(rng, depth + 1) for _ in range(rng.randrange(6))}


def truncated(body: object, rng: random.Random) -> object:
    """Cut the text of a body somewhere; what cannot be parsed any more arrives as None."""
    text = json.dumps(body)
    try:
        return json.loads(text[: rng.randrange(len(text) + 1)])
    except ValueError:
        return None


def no_text(rng: random.Random) -> object:
    """Return a value that is no text; written out, it is long enough to be found in a message."""
    number = rng.randrange(10**8, 10**12)
    text = rng.choice(SEEDS)
    return rng.choice(
        (
            number,
            -number,
            number + 0.5,
            NAN,
            float("inf"),
            text.encode("utf-8"),
            [text, number],
            {text: number},
            date(rng.randrange(1900, 2030), rng.randrange(1, 13), rng.randrange(1, 29)),
            rng.random() < 0.5,
        )
    )


def pieces(given: object) -> Iterator[str]:
    """Yield what of a value would give it away in a message; what is too short to tell from our own words is left out."""
    if isinstance(given, bytes):
        given = given.decode("utf-8")
    if isinstance(given, list | dict):
        for one in given:
            yield from pieces(one)
    elif not isinstance(given, bool) and len(text := str(given)) >= 4 and text.strip():
        yield text


def fuzz_identifiers(n: int, seed: int) -> Counter[str]:
    """Run ``n`` identifiers through random rules; raise on a foreign error or a value in a message.

    One in twenty is no text, and one country in fifty neither text nor missing: those must end in our own errors.
    """
    rng = random.Random(seed)
    rules = [(platform, key, rule.hashed) for platform, keys in KEY_RULES.items() for key, rule in keys.items()]
    counts: Counter[str] = Counter()
    for text in identifiers(n, rng):
        platform, key, hashed = rng.choice(rules)
        given = no_text(rng) if rng.random() < 0.05 else text
        country: object = rng.choice(COUNTRIES)
        if rng.random() < 0.02:
            country = rng.choice(ODD_COUNTRIES)
        # Missing, and dates where a date belongs, are taken.
        taken = isinstance(given, str) or given is NAN or (isinstance(given, date) and key == "date_of_birth")
        try:
            normal = normalise(given, key, platform, country)
            assert taken, f"{platform} {key}: took a {type(given).__name__}"
            if hashed:
                digest = hash_value(given, key, platform, country)
                assert digest is None or len(digest) in (64, 67, 73), (platform, key)
            counts["nothing to send" if normal is None else "normalised"] += 1
        except CapiLabError as error:
            assert not taken or country in ODD_COUNTRIES, f"{platform} {key}: refused text"
            for piece in pieces(given):
                assert piece not in str(error), f"{platform} {key}: the message holds the value"
            counts["own error"] += 1
    return counts


def fuzz_columns(n: int, seed: int) -> Counter[str]:
    """Hash ``n`` columns of 600 to 1,200 identifiers; raise where a row differs from what `hash_value` gives for it.

    Long enough for the engine's way, also where a country per row splits the column.
    """
    rng = random.Random(seed)
    keys = [(platform, key) for platform, rules in KEY_RULES.items() for key, rule in rules.items() if rule.hashed]
    # Only these have a way of their own through the engine.
    engine = [pair for pair in keys if pair[1] in {"email", "phone", "external_id"}]
    counts: Counter[str] = Counter()
    for _ in range(n):
        platform, key = rng.choice(engine if rng.random() < 0.7 else keys)
        rows: list[str | None] = list(identifiers(rng.randrange(600, 1_200), rng))
        rows = [None if rng.random() < 0.01 else text for text in rows]
        country: str | pd.Series | None = rng.choice(COUNTRIES)
        each: list[str | None] = [country] * len(rows)
        if rng.random() < 0.2:
            # One of them often enough that its part is long as well.
            each = [rng.choice(COUNTRIES) if rng.random() < 0.1 else each[0] for _ in rows]
            country = pd.Series(each, dtype="object")
        found = hash_column(pd.Series(rows, dtype="object"), key, platform, country)
        digests = [None if pd.isna(one) else one for one in found]
        for at, (text, where) in enumerate(zip(rows, each, strict=True)):
            expected = hash_value(text, key, platform, where)
            assert digests[at] == expected, f"{platform} {key} {where}: {text!r} differs in a column"
            counts["nothing to send" if expected is None else "hashed"] += 1
    return counts


def marked(body: object, rng: random.Random) -> object:
    """Plant `LEAK` in random places: as a text, inside one, and as a message or detail that was not there."""
    if isinstance(body, str):
        kind = rng.randrange(6)
        return LEAK if kind == 0 else f"{body} '{LEAK}' was sent" if kind == 1 else LEAK + body if kind == 2 else body
    if isinstance(body, list):
        return [marked(one, rng) for one in body] + ([LEAK] if rng.random() < 0.1 else [])
    if isinstance(body, dict):
        planted = {key: marked(one, rng) for key, one in body.items()}
        for key in KEYS_OF_REPLIES:
            if rng.random() < 0.02:
                planted[key] = LEAK
        for key in ("message", "details"):
            if key in planted and rng.random() < 0.3:
                planted[key] = LEAK
        return planted
    return body


def fuzz_replies(n: int, seed: int) -> Counter[str]:
    """Decode ``n`` replies, spread over all routes; one outcome per row each time, and no text of the reply in any.

    Half are random, half are the golden replies with `LEAK` planted in them, so that every branch is reached.
    """
    rng = random.Random(seed)
    wires = [wire for platform in PLATFORMS.values() for wire in platform.wires.values()]
    golden = {
        wire.route.name + wire.spec.name: json.loads(
            (GOLDEN / wire.spec.name / f"{wire.route.name}_decode.json").read_text(encoding="utf-8")
        )
        for wire in wires
    }
    counts: Counter[str] = Counter()
    for _ in range(n):
        wire = rng.choice(wires)
        status = rng.choice((200, 200, 201, 400, 401, 403, 404, 422, 426, 429, 500, 503, rng.randrange(1000)))
        row_ids, sent = ("a", "b", "c"), None
        if rng.random() < 0.5:
            body = value(rng)
        else:
            case = rng.choice(golden[wire.route.name + wire.spec.name])
            body, sent = case.get("json"), case.get("request")
            row_ids = tuple(f"r{at}" for at in range(len(case["outcomes"])))
            status = case["status"] if rng.random() < 0.8 else status
        body = marked(body, rng)
        if rng.random() < 0.2:
            body = truncated(body, rng)
        headers = {"Retry-After": str(value(rng, 9))} if rng.random() < 0.2 else {}
        outcomes = wire.decode(Reply(status, headers, body), Request("POST", "https://x", {}, sent, row_ids))
        assert [one.row_id for one in outcomes] == list(row_ids), wire.route.name
        counts["marked"] += "LEAK" in json.dumps(body)
        for one in outcomes:
            assert isinstance(one.status, OutcomeStatus)
            assert one.retry_after is None or 0 <= one.retry_after < float("inf")
            for said in (one.message, one.code):
                assert "LEAK" not in said, f"{wire.spec.name} {wire.route.name}: an outcome repeats the reply's text"
                assert "jane.doe" not in said, (
                    f"{wire.spec.name} {wire.route.name}: an outcome repeats the reply's text"
                )
            counts[str(one.status)] += 1
    return counts


def main() -> None:
    """Run the full numbers and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--identifiers", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=1_000)
    parser.add_argument("--replies", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=20261123)
    args = parser.parse_args()
    print(f"{args.identifiers:,} identifiers:", dict(fuzz_identifiers(args.identifiers, args.seed)))
    print(f"{args.columns:,} columns:", dict(fuzz_columns(args.columns, args.seed)))
    print(f"{args.replies:,} replies:", dict(fuzz_replies(args.replies, args.seed)))


if __name__ == "__main__":
    main()
