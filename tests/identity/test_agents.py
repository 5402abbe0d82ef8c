"""User agents are classed as uap-core's own cases say, each distinct one once, and nothing is made up."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import capi_lab as cl
from capi_lab.errors import ContractError
from capi_lab.load.addresses import bots
from capi_lab.words import Device, Engine

IOS = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPAD = IOS.replace("iPhone; CPU iPhone OS", "iPad; CPU OS")
DROID = "Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/UD1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
# user agent -> browser, version, os, device, in_app, engine
KNOWN = {
    f"{IOS} Version/18.5 Mobile/15E148 Safari/604.1": ("Safari", "18", "iOS", "mobile", False, "WebKit"),
    f"{IPAD} Version/18.5 Mobile/15E148 Safari/604.1": ("Safari", "18", "iOS", "tablet", False, "WebKit"),
    f"{IOS} CriOS/138.0.7204.53 Mobile/15E148 Safari/604.1": ("Chrome", "138", "iOS", "mobile", False, "WebKit"),
    f"{IOS} FxiOS/140.0 Mobile/15E148 Safari/604.1": ("Firefox", "140", "iOS", "mobile", False, "WebKit"),
    f"{IOS} Mobile/15E148": ("iOS WebView", None, "iOS", "mobile", True, "WebKit"),
    f"{IOS} Mobile/15E148 [LinkedInApp]/9.29.5434": ("LinkedIn", None, "iOS", "mobile", True, "WebKit"),
    f"{IOS} Mobile/15E148 musical_ly_34.3.1 JsSdk/2.0": ("TikTok", "34", "iOS", "mobile", True, "WebKit"),
    f"{DROID} Chrome/126.0.6478.71 Mobile Safari/537.36": (
        "Android WebView", "126", "Android", "mobile", True, "Blink",
    ),
    f"{DROID} Chrome/126.0.6478.71 Mobile Safari/537.36 [LinkedInApp]": (
        "LinkedIn", "126", "Android", "mobile", True, "Blink",
    ),
    f"{DROID} Chrome/126.0.6478.71 Safari/537.36 [FB_IAB/FB4A;FBAV/400.0.0.30.15;]": (
        "Facebook", "400", "Android", "tablet", True, "Blink",
    ),
    f"{WINDOWS} Chrome/126.0.0.0 Safari/537.36": ("Chrome", "126", "Windows", "desktop", False, "Blink"),
    f"{WINDOWS} Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0": ("Edge", "126", "Windows", "desktop", False, "Blink"),
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Safari/605.1.15": ("Safari", "18", "macOS", "desktop", False, "WebKit"),
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": (
        "Firefox", "140", "Linux", "desktop", False, "Gecko",
    ),
    "Mozilla/5.0 (Linux; Android 13; SM-G991B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/23.0 "
    "Chrome/115.0.0.0 Mobile Safari/537.36": ("Samsung Internet", "23", "Android", "mobile", False, "Blink"),
    "Mozilla/5.0 (PlayStation; PlayStation 5/2.26) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 "
    "Safari/605.1.15": ("Safari", "13", None, "console", False, "WebKit"),
    "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/4.0 "
    "Chrome/76.0.3809.146 TV Safari/537.36": ("Samsung Internet", "4", "Tizen", "tv", False, "Blink"),
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": (
        "Googlebot", "2", None, "bot", False, None,
    ),
    # An app's request to its own server is no page in its browser; a library names neither system nor device.
    "Snapchat/10.29.1.0 (iPhone10,1; iOS 11.2; gzip)": ("Snapchat", "10", "iOS", "mobile", False, "WebKit"),
    "curl/8.5.0": ("curl", "8", None, None, False, None),
    "no such program": (None, None, None, None, False, None),
}  # fmt: skip
# uap-core's family -> the app whose browser it is.
APPS = {
    "Facebook": "Facebook", "Facebook Messenger": "Messenger", "Google": "Google app", "Instagram": "Instagram",
    "KakaoTalk": "KakaoTalk", "LINE": "LINE", "Pinterest": "Pinterest", "Snapchat": "Snapchat", "Telegram": "Telegram",
    "TikTok": "TikTok", "Twitter": "Twitter", "WeChat Browser": "WeChat", "Weibo": "Weibo",
    "Chrome Mobile WebView": "Android WebView", "Mobile Safari UI/WKWebView": "iOS WebView",
}  # fmt: skip


def uap_cases(real: Path, name: str) -> pd.DataFrame:
    yaml = pytest.importorskip("yaml", reason="reads uap-core's cases; comes with the extra 'lab'")
    cases = yaml.safe_load((real / "useragents" / name).read_text(encoding="utf-8"))["test_cases"]
    return pd.DataFrame(cases)[["user_agent_string", "family"]].astype("str")


@pytest.mark.parametrize(("agent", "columns"), KNOWN.items(), ids=lambda v: v if isinstance(v, str) else "")
def test_known_agents_are_classed(agent: str, columns: tuple[object, ...]) -> None:
    """Today's browsers, in-app browsers, televisions, crawlers and libraries get their words."""
    row = cl.browser_of([agent]).iloc[0]
    got = tuple(None if pd.isna(row[name]) else row[name] for name in list(row.index)[:6])
    assert got == columns


def test_all_of_uap_cores_browser_cases_agree(real: Path) -> None:
    """``family`` is what uap-core expects in each of its 1,601 browser cases."""
    cases = uap_cases(real, "uap_test_ua.yaml")
    assert len(cases) == 1601
    assert cl.browser_of(cases["user_agent_string"])["family"].tolist() == cases["family"].tolist()


def test_all_of_uap_cores_system_cases_agree(real: Path) -> None:
    """``os`` is what uap-core expects in each of its 483 system cases, distributions folded into Linux."""
    cases = uap_cases(real, "uap_test_os.yaml")
    assert len(cases) == 483
    linux = ["Ubuntu", "Debian", "Gentoo", "Mandriva", "Red Hat"]
    wanted = cases["family"].replace({"Mac OS X": "macOS", **dict.fromkeys(linux, "Linux")})
    got = cl.browser_of(cases["user_agent_string"])["os"]
    assert got.fillna("Other").tolist() == wanted.tolist()


def test_in_app_browsers_of_uap_core_are_their_apps(real: Path) -> None:
    """Every page view out of an app among the cases is that app's, and no plain browser is taken for one."""
    cases = uap_cases(real, "uap_test_ua.yaml")
    table = cl.browser_of(cases["user_agent_string"])
    pages = cases["family"].isin(APPS) & cases["user_agent_string"].str.startswith("Mozilla/") & (table.device != "bot")
    assert pages.sum() > 50
    assert table.loc[pages, "browser"].tolist() == cases.loc[pages, "family"].map(APPS).tolist()
    assert table.loc[pages, "in_app"].all()
    assert {"Facebook", "Instagram", "TikTok", "Pinterest", "Snapchat", "WeChat", "LINE", "Google app"} <= set(
        table.loc[pages, "browser"]
    )
    plain = cases["family"].isin(["Safari", "Mobile Safari", "Chrome", "Chrome Mobile", "Firefox", "Edge", "Opera"])
    assert not table.loc[plain, "in_app"].any()


def test_bots_of_a_real_log_are_those_the_loaders_drop(real: Path) -> None:
    """One rule says what a crawler is, here and in every loader; the system of 4,000 real requests is known or not."""
    lines = (real / "weblogs" / "apache_combined_4000_ip24.log").read_text(encoding="utf-8").splitlines()
    agents = pd.Series([line.rsplit('"', 2)[1] for line in lines])
    table = cl.browser_of(agents)
    assert ((table["device"] == Device.BOT).fillna(value=False) == bots(agents)).all()
    assert set(table["device"].dropna()) <= set(Device)
    assert set(table["engine"].dropna()) <= set(Engine)


def test_missing_agents_stay_missing_and_the_index_stays() -> None:
    """A missing or blank agent gives a row of missing values, at its place under its own label."""
    agents = pd.Series([None, next(iter(KNOWN)), "  "], index=["x", "y", "y"])
    table = cl.browser_of(agents)
    assert table.index.tolist() == ["x", "y", "y"]
    assert table.iloc[[0, 2]].isna().all(axis=None)
    assert table.iloc[1].notna().all()
    empty = cl.browser_of(agents.iloc[:0])
    assert list(empty.columns) == list(table.columns)
    assert empty.dtypes.tolist() == table.dtypes.tolist()


def test_what_is_no_text_is_refused_without_showing_it() -> None:
    """Numbers are no user agents; the message holds none of them."""
    with pytest.raises(ContractError, match="must be text") as caught:
        cl.browser_of(pd.Series([123456789]))
    assert "123456789" not in str(caught.value)


@settings(max_examples=60)
@given(agents=st.lists(st.one_of(st.none(), st.sampled_from(list(KNOWN)), st.text(max_size=60)), max_size=12))
def test_each_row_is_classed_by_itself(agents: list[str | None]) -> None:
    """Whatever stands around it, and however often, an agent is classed the same; no text makes an error."""
    table = cl.browser_of(agents)
    assert len(table) == len(agents)
    alone = [cl.browser_of([agent]) for agent in agents]
    if alone:
        pd.testing.assert_frame_equal(table, pd.concat(alone, ignore_index=True))


def test_segments_in_one_line_serve_coverage(tiny) -> None:
    """The documented line gives a ledger the columns that `coverage` splits by."""
    conversions, events = tiny
    agents = list(KNOWN)[:2] * 2
    orders = conversions.drop(columns="browser").assign(user_agent=agents)
    orders = orders.assign(**cl.browser_of(orders["user_agent"])[["browser", "os", "device"]])
    table = cl.coverage(cl.reconcile(orders, events, platform="meta"), by="device")
    assert set(table["device"]) == {"mobile", "tablet"}
