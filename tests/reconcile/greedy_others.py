"""Plain simulators of the other platforms' rules, written from the words of each rule and of nothing else.

A row is a dict: ``row_id``, ``channel``, ``clock`` (receipt, microseconds), ``event_time`` and whatever columns it
carries; a column it lacks is None. A verdict is (kept, drop_reason, duplicate_of, merged columns).
"""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
Verdict = tuple[bool, str | None, str | None, str | None]

HOUR = 3_600_000_000
MINUTE = 60_000_000
DAY = 24 * HOUR


def in_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda r: (r["clock"], r["channel"] != "pixel", r["row_id"]))


def reason(row: Row, keeper: Row) -> str:
    return "duplicate_same_channel" if row["channel"] == keeper["channel"] else "duplicate_other_channel"


def greedy_tiktok(rows: list[Row]) -> dict[str, Verdict]:
    """Same event and id within 48 h of the first: dropped, whatever the channel.

    A copy of the other channel within 5 minutes fills what the kept one lacks. A server event without an id: dropped
    behind a browser event with the same name and _ttp of the 5 minutes before.
    """
    fills = (
        "email", "phone", "external_id", "first_name", "last_name", "city", "region", "postal_code", "country",
        "client_ip", "user_agent", "ttclid", "ttp", "value", "currency",
    )  # fmt: skip
    counted: list[Row] = []
    dropped: dict[str, tuple[str, Row]] = {}
    merged: dict[str, set[str]] = {}
    for row in in_order(rows):
        keeper = None
        if row["event_id"] is not None:
            for one in counted:
                same = one["event_id"] == row["event_id"] and one["event_name"] == row["event_name"]
                if same and row["clock"] - one["clock"] <= 48 * HOUR:
                    keeper = one
                    break
            why = reason(row, keeper) if keeper else ""
        elif row["channel"] == "capi" and row["ttp"] is not None:
            near = [
                one
                for one in counted
                if one["channel"] == "pixel"
                and one["ttp"] == row["ttp"]
                and one["event_name"] == row["event_name"]
                and row["clock"] - one["clock"] <= 5 * MINUTE
            ]
            keeper = min(near, key=lambda one: (one["clock"], one["row_id"]), default=None)
            why = "fallback_key"
        if keeper is None:
            counted.append(row)
            continue
        dropped[row["row_id"]] = (why, keeper)
        if row["channel"] != keeper["channel"] and row["clock"] - keeper["clock"] <= 5 * MINUTE:
            for name in fills:
                if keeper.get(name) is None and row.get(name) is not None:
                    merged.setdefault(keeper["row_id"], set()).add(name)
    return verdicts(rows, dropped, merged, fills)


def greedy_google(rows: list[Row]) -> dict[str, Verdict]:
    """Same action and transaction id: one conversion, the first.

    Any later server copy overwrites value and currency, and gives its user data if the first had none at all. Without a
    transaction id: same action, gclid and time.
    """
    user = ("email", "phone", "first_name", "last_name", "postal_code", "country")
    replaced = ("value", "currency")
    counted: list[Row] = []
    dropped: dict[str, tuple[str, Row]] = {}
    merged: dict[str, set[str]] = {}
    for row in in_order(rows):
        keeper = None
        for one in counted:
            if one["event_name"] != row["event_name"]:
                continue
            if row["conversion_id"] is not None or one["conversion_id"] is not None:
                if row["conversion_id"] == one["conversion_id"]:
                    keeper = one
                    break
            elif row["gclid"] is not None and (row["gclid"], row["event_time"]) == (one["gclid"], one["event_time"]):
                keeper = one
                break
        if keeper is None:
            counted.append(row)
            continue
        dropped[row["row_id"]] = (reason(row, keeper), keeper)
        if row["channel"] == "capi":
            taken = [name for name in replaced if row.get(name) is not None]
            if all(keeper.get(name) is None for name in user):
                taken += [name for name in user if row.get(name) is not None]
            merged.setdefault(keeper["row_id"], set()).update(taken)
    return verdicts(rows, dropped, merged, (*replaced, *user))


def greedy_google_ads(rows: list[Row]) -> dict[str, Verdict]:
    """Uploads only: same action and order id, or without one same gclid and time; the first stays."""
    uploads = greedy_google([row for row in rows if row["channel"] == "capi"])
    plain = {row_id: (kept, why, of, None) for row_id, (kept, why, of, _) in uploads.items()}
    return plain | {row["row_id"]: (True, None, None, None) for row in rows if row["channel"] == "pixel"}


def greedy_offline(rows: list[Row]) -> dict[str, Verdict]:
    """Microsoft's uploads: click id, name, time and both hashes equal; a missing one equals a missing one."""
    seen: dict[tuple[object, ...], Row] = {}
    dropped: dict[str, tuple[str, Row]] = {}
    for row in in_order(rows):
        if row["channel"] != "capi" or row["msclkid"] == row["email"] == row["phone"]:  # all missing
            continue
        key = (row["msclkid"], row["event_name"], row["event_time"], row.get("email"), row.get("phone"))
        if key in seen:
            dropped[row["row_id"]] = (reason(row, seen[key]), seen[key])
        else:
            seen[key] = row
    return verdicts(rows, dropped, {}, ())


def greedy_uet(rows: list[Row]) -> dict[str, Verdict]:
    """Same id and name, whatever its case, within 7 days of the first: the first stays."""
    counted: list[Row] = []
    dropped: dict[str, tuple[str, Row]] = {}
    for row in in_order(rows):
        keeper = None
        if row["event_id"] is not None:
            for one in counted:
                same = one["event_id"] == row["event_id"]
                same = same and one["event_name"].lower() == row["event_name"].lower()
                if same and row["clock"] - one["clock"] <= 7 * DAY:
                    keeper = one
                    break
        if keeper is None:
            counted.append(row)
        else:
            dropped[row["row_id"]] = (reason(row, keeper), keeper)
    return verdicts(rows, dropped, {}, ())


def greedy_linkedin(rows: list[Row], *, same_channel: bool) -> dict[str, Verdict]:
    """Same event id: the tag's event counts and the server's is discarded, whichever came first."""
    dropped: dict[str, tuple[str, Row]] = {}
    ordered = in_order(rows)
    for event_id in {row["event_id"] for row in rows} - {None}:
        alike = [row for row in ordered if row["event_id"] == event_id]
        tags = [row for row in alike if row["channel"] == "pixel"]
        winner = (tags or alike)[0]
        for row in alike:
            if row is winner:
                continue
            if row["channel"] != winner["channel"]:
                early = row["clock"] < winner["clock"]
                dropped[row["row_id"]] = ("browser_preferred" if early else "duplicate_other_channel", winner)
            elif same_channel:
                dropped[row["row_id"]] = ("duplicate_same_channel", winner)
    return verdicts(rows, dropped, {}, ())


def verdicts(
    rows: list[Row], dropped: dict[str, tuple[str, Row]], merged: dict[str, set[str]], names: tuple[str, ...]
) -> dict[str, Verdict]:
    result: dict[str, Verdict] = {}
    for row in rows:
        if row["row_id"] in dropped:
            why, keeper = dropped[row["row_id"]]
            result[row["row_id"]] = (False, why, keeper["row_id"], None)
        else:
            taken = merged.get(row["row_id"], set())
            result[row["row_id"]] = (True, None, None, ",".join(n for n in names if n in taken) or None)
    return result
