"""Requests a server logged, to page views of people and the ad clicks among them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from capi_lab.errors import UnknownNameError
from capi_lab.load.addresses import bots, client_addresses
from capi_lab.load.clicks import add_click_ids, as_clicks
from capi_lab.load.files import Part, Paths
from capi_lab.load.gather import gather
from capi_lab.load.parquet import Repeat
from capi_lab.load.result import Intake, Loaded
from capi_lab.load.values import repeats
from capi_lab.tables import VISITS
from capi_lab.words import LoadDrop

__all__ = ["REQUEST", "REQUEST_COLUMNS", "page_views", "refuse_unknown_kind", "requests_loaded"]

REQUEST = r"^(?P<method>[A-Z]+) (?P<target>\S+) HTTP/[\d.]+$"
"""The request line as logs write it; anything else is no visit."""

REQUEST_COLUMNS = (
    "row", "time", "method", "page_url", "referrer_url", "status", "user_agent", "client_ip", "cookie",
)  # fmt: skip
"""What `page_views` needs: row id, ``datetime64[us, UTC]``, then text."""

SAME_CLICK = Repeat(
    keys=("param", "click_id", "client_ip", "user_agent"),
    reason=LoadDrop.REPEATED_CLICK,
    time="click_time",
    seconds=60,
    order="click_row_id",
)
"""A redirect hop and its target are one click."""

_STATIC = (
    r"(?i)^[^?#]*\.(?:css|js|mjs|map|png|jpe?g|gif|svg|ico|webp|avif|woff2?|ttf|eot|otf|mp[34]|webm|pdf|zip|gz|xml|txt"
    r"|json)(?:[?#]|$)"
)


def refuse_unknown_kind(kind: str) -> None:
    """Raise `UnknownNameError` unless ``kind`` is a table a request log can become."""
    if kind not in ("clicks", "visits"):
        raise UnknownNameError("kind of access log table", kind, ["clicks", "visits"])


def requests_loaded(
    path: Paths,
    parsed: Callable[[Part], Intake],
    *,
    kind: str,
    to: str | Path | None = None,
) -> Loaded:
    """Read request logs part by part as one of the two tables; see `capi_lab.load.gather.gather`.

    Parameters
    ----------
    path : str, Path or sequence
    parsed : callable
        `Part` to the `Intake` that `page_views` takes.
    kind : {"clicks", "visits"}
    to : str or Path, optional
    """
    clicks = kind == "clicks"
    loaded = gather(
        path,
        lambda part: page_views(parsed(part), kind),
        split="lines",
        to=to,
        also=[SAME_CLICK] if clicks else [],
    )
    if to is not None or not clicks:
        return loaded
    return Loaded(loaded.df.sort_values(["click_time", "click_row_id"], ignore_index=True), loaded.report)


def page_views(intake: Intake, kind: str) -> Loaded:
    """Keep page views of people and make one of the two tables.

    Parameters
    ----------
    intake : Intake
        Its frame has `REQUEST_COLUMNS`.
    kind : {"clicks", "visits"}

    Returns
    -------
    Loaded
        Contract ``clicks`` or ``visits``; repeated clicks are still in it, to be judged over all parts.
    """
    frame = intake.frame
    status = frame["status"].fillna("")
    intake.drop_by_first(
        [
            (frame["time"].isna(), LoadDrop.NO_TIME),
            (frame["method"] != "GET", LoadDrop.NOT_A_VISIT),  # HEAD, POST, and malformed requests
            (bots(frame["user_agent"]), LoadDrop.BOT),
            (~((status.str.len() == 3) & status.str.slice(0, 1).isin(["2", "3"])), LoadDrop.HTTP_STATUS),
            (frame["page_url"].str.contains(_STATIC), LoadDrop.STATIC_FILE),
        ]
    )
    intake.frame = intake.frame.assign(client_ip=client_addresses(intake.frame["client_ip"], intake))
    if kind == "visits":
        return _visits(intake)
    intake.frame = intake.frame.rename(columns={"page_url": "landing_url"})
    return as_clicks(intake, same=None)


def _visits(intake: Intake) -> Loaded:
    intake.drop(repeats(intake.frame["row"]), LoadDrop.DUPLICATE_ID)
    visits = add_click_ids(intake.frame, intake, urls=intake.frame["page_url"], cookies=intake.frame["cookie"])
    return intake.loaded(
        VISITS,
        visits.rename(columns={"time": "visit_time", "row": "visit_row_id"}).drop(columns=["cookie", "method"]),
    )
