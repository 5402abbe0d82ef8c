"""Last-click attribution as one would do it by hand: every conversion against every click. The oracle; slow."""

from __future__ import annotations

from typing import Any

DAY = 86_400_000_000
WINDOWS = {"google": 30 * DAY, "meta": 7 * DAY, "tiktok": 7 * DAY}
IDS = ("gclid", "wbraid", "fbclid", "fbc", "ttclid")
Row = dict[str, Any]
Answer = tuple[str | None, str | None, str | None, int | None]


def bare(param: str, value: str) -> tuple[str, str] | None:
    """Name the click an id stands for; an fbc for that of the fbclid inside it, if it is whole."""
    if param != "fbc":
        return (param, value)
    parts = value.split(".")
    whole = len(parts) >= 4 and parts[0] == "fb" and parts[1].isdigit() and parts[2].isdigit() and parts[3]
    return ("fbclid", parts[3]) if whole else None


def tie(conversion: Row, click: Row, keys: tuple[str, ...]) -> int | None:
    """Return 0 if a click id ties them, else the number of the first key that does, from 1."""
    named = bare(click["param"], click["click_id"])
    carried = [bare(name, conversion[name]) for name in IDS if conversion[name]]
    if named is not None and named in carried:
        return 0
    for number, key in enumerate(keys, start=1):
        if conversion[key] and conversion[key] == click[key]:
            return number
    return None


def reachable(
    conversion: Row, clicks: list[Row], keys: tuple[str, ...], platform: str | None, window: int | None, *, end: bool
) -> list[tuple[Row, int, int]]:
    """Return the clicks inside the window, each with its tie and lag."""
    found = []
    for click in clicks:
        if click["param"] == "ttp" or (platform and click["platform"] != platform):
            continue
        lag = conversion["at"] - click["at"]
        longest = window or WINDOWS[click["platform"]]
        if lag < 0 or lag > longest or (lag == longest and not end):
            continue
        how = tie(conversion, click, keys)
        if how is not None:
            found.append((click, how, lag))
    return found


def last_click(
    conversion: Row,
    clicks: list[Row],
    keys: tuple[str, ...],
    platform: str | None = None,
    window: int | None = None,
    *,
    end: bool = True,
) -> Answer:
    """Return click, its platform, what ties it, and the lag."""
    best: tuple[Row, int, int] | None = None
    near = reachable(conversion, clicks, keys, platform, window, end=end)
    for name in WINDOWS:
        mine = [one for one in near if one[0]["platform"] == name]
        strongest = min((how for _, how, _ in mine), default=None)
        for one in mine:
            if one[1] != strongest:
                continue
            if best is None or (one[0]["at"], one[0]["click_row_id"]) > (best[0]["at"], best[0]["click_row_id"]):
                best = one
    if best is None:
        return (None, None, None, None)
    return (best[0]["click_row_id"], best[0]["platform"], ("click_id", *keys)[best[1]], best[2])
