"""Throw generated identifiers and replies at every rule and wire.

``make fuzz`` runs the full numbers; ``tests/test_fuzz.py`` a small part of them. Nothing but the package's own errors may
come out, and no message may hold what went in.
"""

from __future__ import annotations

import argparse
import json
import random
import string
from collections import Counter
from collections.abc import Iterator

from capi_lab import PLATFORMS
from capi_lab.errors import CapiLabError
from capi_lab.identity import KEY_RULES, hash_value, normalise
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


def fuzz_identifiers(n: int, seed: int) -> Counter[str]:
    """Run ``n`` identifiers through random rules; raise on a foreign error or a value in a message."""
    rng = random.Random(seed)
    rules = [(platform, key, rule.hashed) for platform, keys in KEY_RULES.items() for key, rule in keys.items()]
    counts: Counter[str] = Counter()
    for text in identifiers(n, rng):
        platform, key, hashed = rng.choice(rules)
        try:
            normal = normalise(text, key, platform, rng.choice(COUNTRIES))
            if hashed:
                digest = hash_value(text, key, platform, rng.choice(COUNTRIES))
                assert digest is None or len(digest) in (64, 67, 73), (platform, key)
            counts["nothing to send" if normal is None else "normalised"] += 1
        except CapiLabError as error:
            assert len(text) < 4 or text not in str(error), f"{platform} {key}: the message holds the value"
            counts["own error"] += 1
    return counts


def fuzz_replies(n: int, seed: int) -> Counter[str]:
    """Decode ``n`` random replies, spread over all routes; one outcome per row each time."""
    rng = random.Random(seed)
    wires = [wire for platform in PLATFORMS.values() for wire in platform.wires.values()]
    request = Request("POST", "https://x", {}, None, ("a", "b", "c"))
    counts: Counter[str] = Counter()
    for _ in range(n):
        body = value(rng)
        if rng.random() < 0.2:
            body = truncated(body, rng)
        status = rng.choice((200, 200, 201, 400, 401, 403, 404, 422, 426, 429, 500, 503, rng.randrange(1000)))
        headers = {"Retry-After": str(value(rng, 9))} if rng.random() < 0.2 else {}
        wire = rng.choice(wires)
        outcomes = wire.decode(Reply(status, headers, body), request)
        assert [one.row_id for one in outcomes] == list(request.row_ids), wire.route.name
        for one in outcomes:
            assert isinstance(one.status, OutcomeStatus)
            assert one.retry_after is None or 0 <= one.retry_after < float("inf")
            counts[str(one.status)] += 1
    return counts


def main() -> None:
    """Run the full numbers and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--identifiers", type=int, default=1_000_000)
    parser.add_argument("--replies", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=20261123)
    args = parser.parse_args()
    print(f"{args.identifiers:,} identifiers:", dict(fuzz_identifiers(args.identifiers, args.seed)))
    print(f"{args.replies:,} replies:", dict(fuzz_replies(args.replies, args.seed)))


if __name__ == "__main__":
    main()
