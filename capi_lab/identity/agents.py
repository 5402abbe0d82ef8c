"""What a user agent says: browser, system, device, and whether a page was opened inside an app.

Families come from ua-parser with the patterns of package ua-parser-builtins (uap-core). Here they are folded into the
words the other tables use, and joined with what uap-core does not tell: apps it has no pattern for, the kind of
device, the engine.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from capi_lab.errors import ContractError
from capi_lab.words import Device, Engine

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["browser_of", "is_bot"]


class Agent(NamedTuple):
    """One user agent, classed; the columns of `browser_of`."""

    browser: str | None = None
    browser_version: str | None = None
    os: str | None = None
    device: str | None = None
    in_app: bool | None = None
    engine: str | None = None
    family: str | None = None


_BOT_WORDS = re.compile(r"bot|crawl|spider|preview|monitor", re.IGNORECASE)
_OTHER = "Other"

# ua-parser's family -> the app, for apps that show web pages themselves.
_APPS = {
    "Baidu Explorer": "Baidu",
    "Facebook": "Facebook",
    "Facebook Messenger": "Messenger",
    "Flipboard": "Flipboard",
    "Google": "Google app",
    "Instagram": "Instagram",
    "KakaoTalk": "KakaoTalk",
    "LINE": "LINE",
    "Pinterest": "Pinterest",
    "Snapchat": "Snapchat",
    "Spotify": "Spotify",
    "Telegram": "Telegram",
    "TikTok": "TikTok",
    "TopBuzz": "TopBuzz",
    "Twitter": "Twitter",
    "WeChat Browser": "WeChat",
    "Weibo": "Weibo",
}
# Apps uap-core has no pattern for, or not for every spelling; the first that is found.
_TOKENS = tuple(
    (re.compile(pattern), app)
    for pattern, app in (
        (r"\[?LinkedInApp\b", "LinkedIn"),
        (r"\bBarcelona \d", "Threads"),
        (r"\bmusical_ly_|\btrill_\d", "TikTok"),
        (r"\bGSA/\d", "Google app"),
        (r"\bNAVER\(inapp", "Naver"),
    )
)
# A web view in an app that does not say which it is.
_WEB_VIEWS = {"Chrome Mobile WebView": "Android WebView", "Mobile Safari UI/WKWebView": "iOS WebView"}
_FOLDED = {
    "Android": "Android Browser",
    "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "DuckDuckGo Mobile": "DuckDuckGo",
    "Edge Mobile": "Edge",
    "Firefox Beta": "Firefox",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "IE Large Screen": "IE",
    "IE Mobile": "IE",
    "Mobile Safari": "Safari",
    "Opera GX": "Opera",
    "Opera Mobile": "Opera",
    "Opera Tablet": "Opera",
    "Opera Touch": "Opera",
    "QQ Browser Mini": "QQ Browser",
    "QQ Browser Mobile": "QQ Browser",
}
_SYSTEMS = {
    "Mac OS X": "macOS",
    **dict.fromkeys(
        ("Arch Linux", "CentOS", "Debian", "Fedora", "Gentoo", "Linux Mint", "Mageia", "Mandriva", "Red Hat", "SUSE",
         "Slackware", "Ubuntu"), "Linux"),
}  # fmt: skip
_DESKTOPS = frozenset({"Windows", "macOS", "Linux", "Chrome OS", "FreeBSD", "OpenBSD", "NetBSD", "BSD", "Solaris"})
_PHONES = frozenset(
    {"iOS", "Android", "Windows Phone", "Windows Mobile", "KaiOS", "Firefox OS", "HarmonyOS", "Sailfish", "Symbian OS",
     "BlackBerry OS", "Bada", "Nokia Series 40", "Nokia Series 30 Plus"}
)  # fmt: skip
# Systems that write "Mobile" on phones and leave it out on tablets.
_MARK_PHONES = frozenset({"Android", "HarmonyOS"})
_MOBILE = re.compile(r"\bMobile\b")
_NEVER_MARKS = "Telegram"  # leaves the word out on phones too: its devices cannot be told
_TABLET_DEVICES = re.compile(r"iPad|Kindle|Generic Tablet|BlackBerry Playbook", re.IGNORECASE)
_TELEVISION = re.compile(
    r"smart-?tv|hbbtv|googletv|android ?tv|apple ?tv|netcast|web0s|\bcrkey\b|\broku\b|bravia|\baft[a-z]{1,2}\b", re.I
)
_CONSOLE = re.compile(r"playstation|xbox|nintendo", re.IGNORECASE)
_CHROMIUM = re.compile(r"Chrom(?:e|ium)/(\d+)")
_FIRST_BLINK = 28


def browser_of(user_agents: pd.Series | Sequence[str | None]) -> pd.DataFrame:
    """Class user agents by browser, system and device.

    Parameters
    ----------
    user_agents : Series or sequence of str
        As a log or an order has them; missing where there is none. Each distinct text is read once.

    Returns
    -------
    DataFrame
        One row per user agent, with the index of ``user_agents`` (0, 1, ... for a sequence). Everything is missing
        where the agent is, and each column where the agent does not tell.

        - ``browser`` (str): ``Chrome``, ``Safari``, ``Firefox``, ``Edge``, ``Samsung Internet`` ..., the mobile
          variants folded in. For a page opened inside an app the app: ``Facebook``, ``Instagram``, ``TikTok``,
          ``LinkedIn``, ``Google app`` ...; where the app does not name itself ``Android WebView`` or ``iOS WebView``.
        - ``browser_version`` (str): major version of the family below.
        - ``os`` (str): ``Windows``, ``macOS``, ``iOS``, ``Android``, ``Linux`` ...
        - ``device`` (str): a `capi_lab.words.Device`.
        - ``in_app`` (boolean): a page inside an app's own browser. An app's requests to its own servers are none.
        - ``engine`` (str): a `capi_lab.words.Engine`. Apple's limits on cookies hold for ``WebKit`` on iOS, whatever
          the browser, and on macOS.
        - ``family`` (str): ua-parser's own family.

    Raises
    ------
    ContractError
        ``user_agents`` are not text.

    Notes
    -----
    An order's segments in one line::

        orders.assign(**cl.browser_of(orders["user_agent"])[["browser", "os", "device"]])

    Cannot be known: Brave (it writes Chrome's agent), an iPad that asks for desktop pages (it writes a Mac's), private
    windows, the links an app opens in the system's browser or in a sheet of it (it writes the browser's agent), the
    true system version (Chrome and Safari froze it).
    """
    import numpy as np
    import pandas as pd

    given = user_agents if isinstance(user_agents, pd.Series) else pd.Series(list(user_agents), dtype="object")
    codes, distinct = pd.factorize(given)
    if not all(isinstance(text, str) for text in distinct):
        raise ContractError("user_agents", [("user_agent", f"is {given.dtype}, must be text", None)])
    # The last row is for missing agents, whose code is -1.
    table = pd.DataFrame([*map(_classed, distinct), Agent()], columns=list(Agent._fields))
    types = {name: "boolean" if name == "in_app" else "str" for name in Agent._fields}
    rows = np.where(codes < 0, len(distinct), codes)
    return table.astype(types).take(rows).set_axis(given.index)


@lru_cache(maxsize=65_536)
def is_bot(user_agent: str) -> bool:
    """Say whether one user agent is a crawler's: by the usual words, else by ua-parser's device family."""
    if _BOT_WORDS.search(user_agent):
        return True
    from ua_parser import parse_device

    device = parse_device(user_agent)
    return device is not None and device.family == "Spider"


def _classed(text: str) -> Agent:
    from ua_parser import parse_os, parse_user_agent

    if not text.strip():
        return Agent()
    agent, system = parse_user_agent(text), parse_os(text)
    family = agent.family if agent is not None else _OTHER
    os = system.family if system is not None else _OTHER
    os = None if os == _OTHER else _SYSTEMS.get(os, os)
    bot = is_bot(text)
    app = None if bot else _app(text, family)
    browser = app or _WEB_VIEWS.get(family) or _FOLDED.get(family, family)
    return Agent(
        browser=None if browser == _OTHER else browser,
        browser_version=agent.major if agent is not None else None,
        os=os,
        device=str(Device.BOT) if bot else _device(text, family, os),
        in_app=not bot and (app is not None or family in _WEB_VIEWS) and text.startswith("Mozilla/"),
        engine=_engine(text, os),
        family=family,
    )


def _app(text: str, family: str) -> str | None:
    return _APPS.get(family) or next((app for token, app in _TOKENS if token.search(text)), None)


def _device(text: str, family: str, os: str | None) -> str | None:
    from ua_parser import parse_device

    if _CONSOLE.search(text):
        return str(Device.CONSOLE)
    if _TELEVISION.search(text) or os in ("tvOS", "ATV OS X"):
        return str(Device.TV)
    found = parse_device(text)
    name = found.family if found is not None else ""
    if _TABLET_DEVICES.search(name):
        return str(Device.TABLET)
    if os in _MARK_PHONES and text.startswith("Mozilla/") and not _MOBILE.search(text):
        return None if family == _NEVER_MARKS else str(Device.TABLET)
    if os in _PHONES or (name.startswith("Generic") and family != _OTHER):
        return str(Device.MOBILE)
    return str(Device.DESKTOP) if os in _DESKTOPS else None


def _engine(text: str, os: str | None) -> str | None:
    if os == "iOS":  # Apple lets no other engine in, outside of the EU since iOS 17.4; none has shipped there
        return str(Engine.WEBKIT)
    if re.search(r"Trident/|MSIE ", text):
        return str(Engine.TRIDENT)
    chromium = _CHROMIUM.search(text)
    if chromium:
        return str(Engine.BLINK if int(chromium[1]) >= _FIRST_BLINK else Engine.WEBKIT)
    if "AppleWebKit/" in text:
        return str(Engine.WEBKIT)
    return str(Engine.GECKO) if "Gecko/" in text else None
