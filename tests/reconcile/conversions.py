"""Random conversions in which anything can be wrong, to try the laws of `eligible` on. Nobody in here exists."""

from __future__ import annotations

import random
from hashlib import sha256

import pandas as pd

from tests.contracts.examples import IDS, NOW

WHEN = pd.Timestamp(NOW)
DIGEST = sha256(b"jane@example.com").hexdigest()
NOTHING = sha256(b"").hexdigest()
MD5 = "0123456789abcdef0123456789abcdef"
BLANKS = [None, None, "", " ", "n/a", "null", "(not set)", "{{x}}", "0", "undefined"]

VALUES: dict[str, list[str | None]] = {
    "email": [
        "jane@example.com", " Jane.Doe+x@Gmail.com ", "a b@example.com", "jane", "@example.com", "jane@", "a@b@c.com",
        "...@gmail.com", "+tag@gmail.com", "+tag@example.com", "jane@example", "jane@example..com", "jane@.com",
        "j@\u00fcnicode.example", "jane\uff20example.com", "\ufeffjane@example.com", "j@exam\u200bple.com", "{{a@b.c}}",
        DIGEST, DIGEST.upper(), NOTHING, DIGEST + ".AQ", NOTHING + ".AQQCAQIB", DIGEST[:40], MD5,
        "UJ6TMBm7KFoTSpM0uLtnnf950M4CPVKa9L10TUe0/Yo=", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    ],
    "phone": [
        "+1 650 555 1212", "(650) 555-1212", "0030 21 0555 0123", "+49 30 5550123", "12", "+12", "no phone", "+", "555",
        "1-800-FLOWERS", "011 49 30 5550123", "\uff0b16505551212", "+1 650 555", "6505551212", DIGEST, NOTHING, MD5,
    ],
    "first_name": ["Jane", "O'Brien", "...", "- -", "n.o.n.e", "\u00fc",
        "\u4e2d", "~^|", "Dr.", "Mr. Unknown", DIGEST, MD5, "\u1fef"],
    "last_name": ["Doe", "d'Arc", "!!", "von ", "M\u00fcller", "jr", ", jr", DIGEST, NOTHING],
    "gender": ["f", "Male", "m\u00e4nnlich", "x", "Other", "F.", DIGEST],
    "date_of_birth": [
        "1997-02-16", "16.02.1997", "02/16/1997", "03/04/1997", "1897-01-01", "not a date", "19970216", "1997-02-31",
    ],
    "street": ["1 Main St."],
    "city": ["New York", "M\u00fcnchen", "??", "+++", "-"],
    "region": ["NY", "US-NY", "Bavaria", "..", "$$"],
    "postal_code": ["10001", "10001-1234", "1000", "SW1A 1AA", "--", "D-10115", "abcde", "12345 6789"],
    "country": [
        "US", "us", "USA", "United States", "DE", "Germany", "\u00d6sterreich", "Osterreich", "GB", "UK", "CH",
        "Narnia",
        "XX", "F R", "\ufeffDE", "FRA", "U.S.", "O\u0308sterreich", "\uff24\uff25",
    ],
    "external_id": ["user_123", "jane@example.com", "+16505551212", MD5, DIGEST, NOTHING, " 0 ", " x "],
    "client_ip": [
        "203.0.113.7", "10.0.0.1", "100.64.0.1", "172.20.1.1", "172.32.1.1", "203.0.113.7, 10.0.0.1",
        "10.0.0.1, 203.0.113.7", "203.0.113.7:443", "10.0.0.1:80", "2001:db8::7", "fe80::1", "[2001:db8::7]:443",
        "::ffff:203.0.113.7", "::ffff:10.0.0.1", "256.1.1.1", "01.2.3.4", "localhost", "1.2.3", '"203.0.113.7"',
        "224.0.0.1", "fe80::1%eth0", "12:34", "[203.0.113.7]",
    ],
    "user_agent": ["Mozilla/5.0 (X11) Example/1.0", " - "],
    "gclid": [IDS["gclid"], IDS["gclid"] + "\n", "short"],
    "gbraid": ["0AAAAAo5KMxExampleBraid1234"],
    "wbraid": ["0AAAAAo5KMxExampleBraid5678"],
    "fbc": [IDS["fbc"], "IwAR0-bare", IDS["fbc"] + ".AQ"],
    "fbp": [IDS["fbp"]],
    "ttclid": [IDS["ttclid"]],
    "ttp": [IDS["ttp"]],
    "msclkid": [IDS["msclkid"], "not-whole", "_uet" + IDS["msclkid"] + "-1N"],
    "li_fat_id": [IDS["li_fat_id"]],
    "currency": ["EUR", "eur", "USD", "XYZ"],
    "event_id": ["e1", "e2"],
    "page_url": ["https://shop.example/thanks?o=1", "/thanks", "HTTP://s.example", "https:// x", "shop.example"],
    "consent_ad_user_data": ["granted", "granted", "denied"],
    "action_source": ["web", "web", "web", "app", "store", "phone", "email", "chat", "other"],
}  # fmt: skip
EVENTS = ["purchase", "purchase", "Purchase", "lead", "our_own"]
AGES = [0, 1, 3_600, 86_400, 7 * 86_400, 28 * 86_400, 54 * 86_400, 62 * 86_400, 90 * 86_400, -60, 200 * 86_400]
STEPS = [0, 0, 1, -1, 1_000_000, -1_000_000]
MONEY = [None, 0.0, 49.9, -1.0, float("inf"), float("-inf"), 999_999_999_999.0, 1e12]


def random_conversions(n: int, seed: int) -> pd.DataFrame:
    """``n`` conversions; each row fills a random share of the columns, so that many hang on a single key."""
    rng = random.Random(seed)

    def when() -> pd.Timestamp:
        return WHEN - pd.Timedelta(seconds=rng.choice(AGES)) + pd.Timedelta(microseconds=rng.choice(STEPS))

    rows = []
    for at in range(n):
        filled = rng.choice((0.05, 0.15, 0.4, 0.9))
        row: dict[str, object] = {
            "conversion_id": f"order-{at}",
            "event_name": rng.choice(EVENTS),
            "event_time": when() if rng.random() < 0.5 else WHEN - pd.Timedelta(hours=1),
            "value": rng.choice(MONEY) if rng.random() < 0.3 else 49.9,
            "click_time": when() if rng.random() < 0.5 else None,
        }
        for name, pool in VALUES.items():
            # What most rows need is mostly there, or no row would get past it.
            common = name in ("action_source", "currency", "page_url", "country", "user_agent")
            value: str | None = None
            if rng.random() < (max(filled, 0.7) if common else filled):
                value = pool[0] if rng.random() < 0.4 else rng.choice(pool)
            elif rng.random() < 0.1 and name not in ("consent_ad_user_data", "action_source"):
                value = rng.choice(BLANKS)
            row[name] = value
        rows.append(row)
    frame = pd.DataFrame(rows)
    for name in VALUES:
        frame[name] = frame[name].astype("str").where(frame[name].notna())
    frame["click_time"] = pd.to_datetime(frame["click_time"], utc=True).dt.as_unit("us")
    frame["event_time"] = frame["event_time"].dt.as_unit("us")
    return frame
