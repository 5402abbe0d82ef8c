"""HAR files and URL lists of pixel requests, written as browsers and captured requests show them.

Sources: HAR 1.2, and the captures named in `PlatformSpec.pixel`. Every person and shop is invented.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode

from tests.load.make_samples import AGENT, Format, Row, decimal, stamp, value

_SALE = ("conversion_id", "event_time", "event_name", "value", "currency", "page_url", "gclid")
_FORM = "application/x-www-form-urlencoded;charset=UTF-8"


def entry(
    url: str,
    *,
    started: str = "2026-05-17T10:05:03.500Z",
    status: int = 200,
    method: str | None = None,
    body: str | None = None,
    media_type: str = "text/plain;charset=UTF-8",
    **response: Any,
) -> Row:
    """One entry as Chrome writes it; ``response`` adds to its answer (``_error``, ``redirectURL``)."""
    request: Row = {
        "method": method or ("POST" if body is not None else "GET"),
        "url": url,
        "httpVersion": "h3",
        "headers": [{"name": "User-Agent", "value": AGENT}],
        "queryString": [],
        "cookies": [],
    }
    if body is not None:
        request["postData"] = {"mimeType": media_type, "text": body}
    answer = {"status": status, "statusText": "", "redirectURL": "", "content": {"size": 43, "text": "R0lGOD"}}
    return {"startedDateTime": started, "time": 12.5, "request": request, "response": answer | response}


def har(entries: list[Any]) -> str:
    return json.dumps({"log": {"version": "1.2", "creator": {"name": "tests"}, "pages": [], "entries": entries}})


def query(values: Row) -> str:
    return urlencode(values, quote_via=quote)


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def meta_values(row: Row) -> Row:
    """What ``fbevents.js`` sends: the event's time in milliseconds, custom data in brackets, keys hashed."""
    return {
        "id": "123456789012345", "ev": row["name"], "dl": row["page"], "rl": row["referrer"], "if": "false",
        "ts": row["time"] * 1000, "cd[value]": decimal(row), "cd[currency]": row["currency"],
        "cd[order_id]": row["id"], "cud[em]": "****@*******.***", "ud[em]": digest(row["email"]), "sw": "1920",
        "v": "2.9.345", "ec": "2", "eid": f"e-{row['nth']}", "fbp": f"fb.1.1778869247376.{row['nth']}5",
    }  # fmt: skip


def meta(row: Row) -> Row:
    values = query(meta_values(row))
    if row["nth"] % 2:
        return entry("https://www.facebook.com/tr/", body=values, media_type=_FORM)
    return entry(f"https://www.facebook.com/tr/?{values}")


def tiktok(row: Row) -> Row:
    """What ``events.js`` sends: JSON as plain text, or the same in base64."""
    body = json.dumps(
        {
            "event": row["name"], "event_id": f"e-{row['nth']}", "timestamp": stamp(row), "is_onsite": False,
            "context": {
                "pixel": {"code": "C1234567890", "runtime": "1"},
                "page": {"url": row["page"], "referrer": row["referrer"]},
                "user": {"email": digest(row["email"])},
                "library": {"name": "pixel.js"},
            },
            "properties": {
                "order_id": row["id"], "value": value(row), "currency": row["currency"],
                "contents": [{"content_id": 119, "price": 1.5, "quantity": 1}],
            },
        }
    )  # fmt: skip
    url = "https://analytics.tiktok.com/api/v2/pixel"
    if row["nth"] % 2:
        return entry(f"{url}/act?analytics_message={quote(base64.b64encode(body.encode()).decode(), safe='')}")
    return entry(url, body=body)


def google_ads(row: Row) -> Row:
    """The conversion request of Google Ads, which carries no time."""
    values = {
        "random": row["nth"], "en": row["name"], "gcs": "G111", "url": row["page"], "ref": row["referrer"],
        "label": "AbC-D_efG", "oid": row["id"], "value": decimal(row), "currency_code": row["currency"],
        "gclaw": row["click"], "fmt": "3",
    }  # fmt: skip
    return entry(f"https://www.googleadservices.com/pagead/conversion/1071635065/?{query(values)}", started=stamp(row))


def analytics(row: Row) -> Row:
    """A GA4 hit whose event stands in the body."""
    shared = {"v": "2", "tid": "G-TEST", "cid": row["visitor"], "uid": row["person"], "gcs": "G111", "dl": row["page"]}
    event = {"en": row["name"], "ep.transaction_id": row["id"], "epn.value": decimal(row), "cu": row["currency"]}
    url = f"https://region1.google-analytics.com/g/collect?{query(shared | {'dr': row['referrer']})}"
    return entry(url, body=query(event), started=stamp(row), status=204)


def uet(row: Row) -> Row:
    """Microsoft's tag: hashed keys in one parameter, whether the click is new behind its id."""
    values = {
        "ti": "1234567", "Ver": "2", "mid": "d34f6979-ecfc-ecac-745d-e40447afd9b2", "vid": row["visitor"],
        "uid": row["person"], "msclkid": f"{row['nth']:032x}-0" if row["nth"] % 2 else "N", "evt": "custom",
        "ea": row["name"], "transaction_id": row["id"], "gv": decimal(row), "gc": row["currency"].lower(),
        "p": row["page"], "r": row["referrer"], "pid": query({"em": digest(row["email"])}), "asc": "G", "rn": "692799",
    }  # fmt: skip
    return entry(f"https://bat.bing.com/action/0?{query(values)}", started=stamp(row), status=204)


def linkedin(row: Row) -> Row:
    """The Insight Tag's conversion; it has neither value nor name."""
    values = {
        "v": "2", "fmt": "js", "pid": "12345678", "time": row["time"] * 1000, "conversionId": "111111",
        "url": row["page"], "li_fat_id": f"a1b2-{row['nth']}",
    }  # fmt: skip
    return entry(f"https://px.ads.linkedin.com/collect?{query(values)}")


def _file(request: Callable[[Row], Row]) -> Callable[[list[Row]], str]:
    return lambda rows: har([request(row) for row in rows])


def url_list(rows: list[Row]) -> str:
    """Lines as a proxy writes them: time, then URL."""
    return "".join(f"{one['startedDateTime']}\t{one['request']['url']}\r\n" for one in map(google_ads, rows))


PIXEL_FORMATS = [
    Format("har_meta", "pixel_har", ".har", (*_SALE, "referrer_url"), _file(meta)),
    Format("har_tiktok", "pixel_har", ".har", (*_SALE, "referrer_url"), _file(tiktok)),
    Format("har_google_ads", "pixel_har", ".har", (*_SALE, "referrer_url"), _file(google_ads)),
    Format("har_analytics", "pixel_har", ".har", (*_SALE, "referrer_url", "user_key", "visitor_id"), _file(analytics)),
    Format("har_uet", "pixel_har", ".har", (*_SALE, "referrer_url", "user_key", "visitor_id"), _file(uet)),
    Format("har_linkedin", "pixel_har", ".har", ("event_time", "page_url", "gclid"), _file(linkedin)),
]
URL_LIST = Format("pixel_urls", "pixel_har", ".txt", (*_SALE, "referrer_url"), url_list)
