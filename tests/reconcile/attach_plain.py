"""Bring click ids to orders as one would do it by hand: every order against every click. The oracle; slow."""

from __future__ import annotations

from typing import Any

from tests.reconcile.lastclick_plain import DAY, Row, bare

PLATFORM = {
    "gclid": "google", "gbraid": "google", "wbraid": "google", "fbclid": "meta", "fbc": "meta", "ttclid": "tiktok",
    "msclkid": "microsoft", "li_fat_id": "linkedin",
}  # fmt: skip
NAMES = ("gclid", "gbraid", "wbraid", "fbclid", "ttclid", "msclkid", "li_fat_id")
LIVES = dict.fromkeys(NAMES, 90 * DAY) | {"ttclid": 30 * DAY, "li_fat_id": 30 * DAY}
NOT_BESIDE = {"wbraid": ("gclid", "gbraid"), "gclid": ("wbraid",), "gbraid": ("wbraid",)}
KEYS = ("user_key", "visitor_id")


def spelled(name: str) -> tuple[str, ...]:
    return ("fbclid", "fbc") if name == "fbclid" else (name,)


def own_id(order: Row, name: str) -> str | None:
    """Return the order's own id, an fbc by the fbclid inside."""
    for column in spelled(name):
        if order[column]:
            found = bare(column, order[column])
            if found:
                return found[1]
    return None


def last(order: Row, clicks: list[Row], name: str, longest: int | None, tied: Any) -> Row | None:
    """Return the last click of one id that ``tied`` accepts."""
    best = None
    for click in clicks:
        lag = order["at"] - click["at"]
        if click["param"] not in spelled(name) or lag < 0 or (longest is not None and lag > longest):
            continue
        if tied(click) and (best is None or (click["at"], click["click_row_id"]) > (best["at"], best["click_row_id"])):
            best = click
    return best


def persons_click(order: Row, clicks: list[Row], name: str, window: int | None) -> tuple[Row | None, str | None]:
    for key in KEYS:
        same = lambda click, key=key: bool(order[key]) and order[key] == click[key]  # noqa: E731
        found = last(order, clicks, name, window or LIVES[name], same)
        if found:
            return found, key
    return None, None


def attached(order: Row, clicks: list[Row], window: int | None = None) -> dict[str, Any]:
    """Return the order's ids afterwards, with the time and the tie of each."""
    after: dict[str, Any] = {column: order[column] or None for column in PLATFORM}
    candidates: dict[str, tuple[Row, str | None]] = {}
    times = []
    for name in NAMES:
        click, key = persons_click(order, clicks, name, window)
        own = own_id(order, name)
        after[f"{name}_time"] = after[f"{name}_tied_by"] = None
        if own is not None:
            known = last(
                order,
                clicks,
                name,
                None,
                lambda one, own=own: (bare(one["param"], one["click_id"]) or (0, 0))[1] == own,
            )
            after[f"{name}_tied_by"] = "click_id" if known else "kept" if click else "own"
            if known:
                after[f"{name}_time"] = known["at"]
        elif click and not any(order[other] for other in NOT_BESIDE.get(name, ())):
            candidates[name] = (click, key)
    for name, (click, key) in candidates.items():
        rivals = [candidates[other][0] for other in NOT_BESIDE.get(name, ()) if other in candidates]
        if all((click["at"], click["click_row_id"]) > (one["at"], one["click_row_id"]) for one in rivals):
            after[f"{name}_time"], after[f"{name}_tied_by"] = click["at"], key
            inner = bare(click["param"], click["click_id"])
            for column in spelled(name):
                if not after[column]:
                    after[column] = click["click_id"] if click["param"] == column else None
            if not after[name] and inner:
                after[name] = inner[1]
    times = [after[f"{name}_time"] for name in NAMES if after[f"{name}_time"] is not None]
    after["click_time"] = order["click_at"] if order["click_at"] is not None else min(times, default=None)
    return after
