"""Requests read back as the rows they were written from: what a platform knows after it was sent them.

Only what an event says of itself and of its person; codes of our own words (``action_source``) and line items are left
out. Match keys stay as they were sent, hashed where the platform wants them hashed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from capi_lab.platforms.route import Route, TimeFormat
from capi_lab.platforms.wire import Request, as_list
from capi_lab.words import Channel, Consent

if TYPE_CHECKING:
    import pandas as pd

    from capi_lab.platforms.spec import PlatformSpec

__all__ = ["read_requests"]

_LEFT_OUT = ("action_source", "items")
_STEP = re.compile(r"([^.\[\]]+)(?:\[([^\]]*)\])?")


def read_requests(requests: Sequence[Request], spec: PlatformSpec, route: Route) -> pd.DataFrame:
    """Read requests of one route.

    Parameters
    ----------
    requests : sequence of Request
        As a wire's ``encode`` gives them, in the order they were sent.
    spec : PlatformSpec
    route : Route

    Returns
    -------
    DataFrame
        One row per event: ``row_id`` (number of the request and place in it), ``channel`` (``capi``),
        ``conversion_id`` (the order id the body carries, else the request's own note of it), ``event_name`` (as
        spelled, or the conversion action), ``event_time`` (UTC, missing where it cannot be read), every other column
        of ours that the route's fields name, and the settings that mark tests (``Setting.counts``).

    Notes
    -----
    What is where is read from ``route.fields``; a body that lacks the list of events holds none.
    """
    import pandas as pd

    tests = [one.name for one in route.settings if not one.counts]
    fields = [one for one in route.fields if one.column is not None and one.column not in _LEFT_OUT]
    columns = {str(one.column): "" for one in fields} | {"event_time": "", "conversion_id": "", "event_name": ""}
    roots = {one.path.split("[]", 1)[0] for one in fields}
    columns |= dict.fromkeys(tests, "")
    rows: list[dict[str, Any]] = []
    for number, request in enumerate(requests):
        for root in sorted(roots):
            events = as_list(request.json.get(root)) if isinstance(request.json, dict) else []
            known = [(str(one.column), _steps(one.path.split("[].", 1)[1])) for one in fields if _of(one.path, root)]
            for place, event in enumerate(events):
                row: dict[str, Any] = dict.fromkeys(columns) | {name: request.json.get(name) for name in tests}
                for column, steps in known:
                    if row[column] is None:
                        row[column] = next(_values(event, steps), None)
                if row["conversion_id"] is None and place < len(request.row_ids):
                    row["conversion_id"] = request.row_ids[place]
                if row["event_name"] is None:
                    row["event_name"] = _action(request.json, event, route, roots)
                rows.append(row | {"row_id": f"{number:06d}/{place:05d}", "channel": str(Channel.CAPI)})
    frame = pd.DataFrame(rows, columns=["row_id", "channel", *columns], dtype="object")
    consent = {theirs: ours for ours, theirs in spec.consent.words.items()}
    for name in spec.consent.fields:
        if name in frame:
            frame[name] = [_consent(value, consent) for value in frame[name]]
    frame["event_time"] = _times(frame["event_time"], route.time)
    frame["value"] = pd.to_numeric(frame["value"] if "value" in frame else None, errors="coerce").astype("float64")
    texts = [name for name in frame if name not in ("event_time", "value")]
    return frame.assign(**{name: pd.Series(list(map(_text, frame[name])), dtype="str") for name in texts})


def _of(path: str, root: str) -> bool:
    return path.startswith(f"{root}[].")


def _steps(path: str) -> list[tuple[str, str | None]]:
    """Cut ``user.userIds[idType=EMAIL].idValue`` into names, each with what its list's members must be; None: no list.

    An empty condition takes every member.
    """
    return [(found[1], found[2]) for found in _STEP.finditer(path)]


def _values(value: Any, steps: Sequence[tuple[str, str | None]]) -> Iterator[Any]:
    """Yield what stands at a path; of a list at its end, the members."""
    if not steps:
        yield from (one for one in (value if isinstance(value, list) else [value]) if one not in (None, ""))
        return
    name, wanted = steps[0]
    inner = value.get(name) if isinstance(value, dict) else None
    if wanted is None:
        yield from _values(inner, steps[1:])
        return
    key, _, word = wanted.partition("=")
    for one in as_list(inner):
        if not key or (isinstance(one, dict) and one.get(key) == word):
            yield from _values(one, steps[1:])


def _action(body: Any, event: Any, route: Route, roots: Collection[str]) -> str | None:
    """Return the conversion action, of the event or of the whole request."""
    for one in route.fields:
        if one.names_event:
            root, _, inside = one.path.partition("[].")
            found = _values(event, _steps(inside)) if root in roots else _values(body, _steps(one.path))
            if (word := next(found, None)) is not None:
                return str(word)
    return None


def _consent(value: Any, words: Mapping[str, str]) -> str | None:
    if value is None:
        return None
    word = words.get(value, str(value).lower())
    return word if word in set(Consent) else None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _times(values: pd.Series, form: TimeFormat) -> pd.Series:
    import pandas as pd

    unit = {TimeFormat.SECONDS: 1_000_000, TimeFormat.MILLISECONDS: 1_000}.get(form)
    if unit is None:
        times = pd.to_datetime(values, utc=True, errors="coerce", format="ISO8601")
    else:
        numbers = pd.to_numeric(values, errors="coerce").astype("Float64").astype("Int64") * unit
        times = pd.to_datetime(numbers, unit="us", utc=True, errors="coerce")
    return times.astype("datetime64[us, UTC]")
