"""What a sandbox was sent as a table, and what the platform makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from capi_lab.platforms.received import read_requests
from capi_lab.platforms.wire import Request
from capi_lab.sandbox.counting import Mark
from capi_lab.sandbox.doors import Door
from capi_lab.sandbox.kept import Kept, KeptRequest
from capi_lab.simulate import World, answer
from capi_lab.tables import EVENTS

if TYPE_CHECKING:
    from capi_lab.simulate.answer import Answer

__all__ = ["answered", "table"]


def table(door: Door, kept: Kept, requests: Sequence[KeptRequest]) -> pd.DataFrame:
    """Write one row per conversion of some requests of one route; changes of conversions are left out.

    Parameters
    ----------
    door : Door
    kept : Kept
    requests : sequence of KeptRequest

    Returns
    -------
    DataFrame
        See `Sandbox.received`.
    """
    requests = [one for one in requests if one.rows == door.shape.lists[0]]
    sent = [
        Request(door.route.method, one.path, one.headers, kept.body(one), tuple("" for _ in one.marks))
        for one in requests
    ]
    frame = read_requests(sent, door.spec, door.route)
    rows = [(one, at) for one in requests for at in range(len(one.marks))]
    told = pd.DataFrame(
        {
            "route": door.route.name,
            "request_id": pd.Series([one.request_id for one, _ in rows], dtype="str"),
            "row": pd.Series([at for _, at in rows], dtype="int64"),
            "received_time": pd.to_datetime([round(one.at * 1e6) for one, _ in rows], unit="us", utc=True).as_unit(
                "us"
            ),
            "accepted": pd.Series([one.marks[at] != Mark.REFUSED for one, at in rows], dtype="bool"),
            "code": pd.Series([one.codes.get(at) for one, at in rows], dtype="str"),
            "counted": pd.Series([_counted(door, kept, one, at) for one, at in rows], dtype="bool"),
        }
    )
    frame["conversion_id"] = frame["conversion_id"].mask(frame["conversion_id"] == "")
    return pd.concat([told, frame], axis=1)


def _counted(door: Door, kept: Kept, request: KeptRequest, at: int) -> bool:
    if request.marks[at] != Mark.TAKEN:
        return False
    account = request.accounts[0 if len(request.accounts) == 1 else at]
    return door.counting.counts(kept.row_id(request, at), account)


def answered(
    door: Door,
    rows: pd.DataFrame,
    world: World | None,
    seed: int,
    clicks: pd.DataFrame | None,
    conversions: pd.DataFrame | None,
) -> Answer:
    """Let the platform match and attribute what it counts.

    Parameters
    ----------
    door : Door
    rows : DataFrame
        Of `table`.
    world : World or None
        None for the one by default.
    seed : int
    clicks, conversions : DataFrame or None
        As `capi_lab.answer` takes them.
    """
    known = {column.name for column in EVENTS.columns}
    events = rows[rows["counted"]]
    events = events[[name for name in events if name in known]].reset_index(drop=True)
    return answer(
        events, door.spec.name, world or World(), seed, clicks=clicks, conversions=conversions, route=door.route.name
    )
