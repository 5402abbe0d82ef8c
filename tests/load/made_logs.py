"""Write web-server logs whose content is known: the same requests in each server's own spelling.

`requests` draws them from a seed: pages with and without click ids, static files, redirects, errors, crawlers, odd
characters. `combined`, `cloudfront` and `load_balancer` spell one as httpd and nginx, CloudFront and an Application
Load Balancer document it (sources in the loaders). Addresses are of documentation or benchmark ranges that count as
public; nothing here is anybody's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from urllib.parse import quote

AGENTS = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 15) [FBAN/FB4A;FBAV/500.0]",
)
CRAWLER = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
PATHS = ("/", "/shoes", "/cart/checkout", "/caf%C3%A9", "/search?q=a%20b&page=2")
STATIC = ("/app.js", "/img/logo.png?v=3", "/fonts/a.woff2")
HOST = "shop.example.com"


@dataclass(frozen=True)
class Request:
    """One request as it was; what a log of it says depends on the server."""

    number: int
    time: datetime
    client_ip: str
    method: str
    target: str
    status: int
    referrer: str | None
    agent: str
    cookie: str | None

    @property
    def is_page_view(self) -> bool:
        """Whether a person saw a page."""
        static = self.target in STATIC
        return self.method == "GET" and 200 <= self.status < 400 and not static and self.agent != CRAWLER


def requests(n: int, seed: int) -> list[Request]:
    """Draw ``n`` requests, in order of time."""
    rng = Random(seed)
    time = datetime(2026, 5, 17, 8, 0, tzinfo=UTC)
    made = []
    for number in range(n):
        time += timedelta(seconds=rng.randrange(120))
        target = rng.choice(STATIC if rng.random() < 0.4 else PATHS)
        if target in PATHS and rng.random() < 0.3:
            ids = rng.sample(["gclid", "fbclid", "ttclid", "msclkid"], rng.choice([1, 1, 1, 2]))
            pairs = "&".join(f"{name}={name[0].upper()}{rng.randrange(10**9):09d}" for name in ids)
            target += ("&" if "?" in target else "?") + pairs
        made.append(
            Request(
                number=number,
                time=time,
                client_ip=f"11.{rng.randrange(4)}.{rng.randrange(4)}.{rng.randrange(1, 200)}",
                method=rng.choices(["GET", "POST", "HEAD"], [95, 3, 2])[0],
                target=target,
                status=rng.choices([200, 301, 404, 502], [90, 4, 4, 2])[0],
                referrer=rng.choice([None, "https://www.google.com/", "https://news.example.org/a?b=c%20d"]),
                agent=rng.choices([*AGENTS, CRAWLER, 'odd "quoted" \\ agent'], [30, 40, 20, 8, 2])[0],
                cookie=f"_fbp=fb.1.{1795300000000 + number}.{number}" if rng.random() < 0.5 else None,
            )
        )
    return made


def combined(one: Request, *, extra: bool = True) -> str:
    """Write a line of httpd's combined format, with cookies and host behind it if ``extra``."""

    def field(text: str | None) -> str:
        return '"' + ("-" if text is None else text.replace("\\", "\\\\").replace('"', '\\"')) + '"'

    stamp = one.time.strftime("%d/%b/%Y:%H:%M:%S +0000")
    request = field(f"{one.method} {one.target} HTTP/1.1")
    line = f"{one.client_ip} - - [{stamp}] {request} {one.status} 512 {field(one.referrer)} {field(one.agent)}"
    return line + (f" {field(one.cookie)} {field(HOST)}" if extra else "") + "\n"


def cloudfront(made: list[Request], *, fields: int = 33, header: bool = True) -> str:
    """Write a CloudFront standard log of 24, 26 or 33 fields; values are percent-encoded once more."""

    def value(text: str | None) -> str:
        return "-" if text is None else quote(text, safe="!#$&'()*+,/:;=?@[]~")

    names = (
        "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) "
        "cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken "
        "x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status "
        "fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len "
        "sc-range-start sc-range-end"
    )
    lines = ["#Version: 1.0", "#Fields: " + " ".join(names.split()[:fields])] if header else []
    for one in made:
        path, _, query = one.target.partition("?")
        row = [
            f"{one.time:%Y-%m-%d}", f"{one.time:%H:%M:%S}", "FRA2", "182", one.client_ip, one.method,
            "d111111abcdef8.cloudfront.net", value(path), str(one.status), value(one.referrer), value(one.agent),
            value(query or None), value(one.cookie), "Hit", f"request{one.number}==", HOST, "https", "23", "0.001", "-",
            "TLSv1.3", "TLS_AES_128_GCM_SHA256", "Hit", "HTTP/2.0", "-", "-", "443", "0.001", "Hit", "text/html", "78",
            "-", "-",
        ]  # fmt: skip
        lines.append("\t".join(row[:fields]))
    return "\n".join(lines) + "\n"


def load_balancer(one: Request) -> str:
    """Write a line of an Application Load Balancer; how many fields stand at its end depends on the request."""
    created = one.time.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    answered = (one.time + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%S.123456Z")
    agent = one.agent.replace("\\", "\\x5C").replace('"', '\\"')
    later = ['"-" "-"', '"-" "-" "10.0.0.1:80" "200" "-" "-"', '"-" "-" "-" "-" "-" "-" TID_0123456789abcdef'][
        one.number % 3
    ]
    return (
        f"h2 {answered} app/my-lb/50dc6c495c0c9188 {one.client_ip}:2817 10.0.0.1:80 0.000 0.001 0.000 {one.status} "
        f'{one.status} 34 366 "{one.method} https://{HOST}:443{one.target} HTTP/2.0" "{agent}" '
        "ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/t/1 "
        f'"Root=1-{one.number:08x}" "{HOST}" "arn:aws:acm:x" 1 {created} "forward" {later}\n'
    )
