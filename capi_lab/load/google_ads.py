"""Clicks as Google Ads bills them.

Format: resource ``click_view`` of the Google Ads API, developers.google.com/google-ads/api/fields (also what a script
writes); read 2026-11-23.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from capi_lab.errors import LoadError
from capi_lab.identity.clickids import URL_PARAMETERS
from capi_lab.load.files import Part, Paths
from capi_lab.load.gather import gather
from capi_lab.load.records import Cells, Records, listed, read_any
from capi_lab.load.result import Intake, Loaded
from capi_lab.load.signatures import Signature
from capi_lab.load.values import event_times, pick, repeats
from capi_lab.tables import CLICKS
from capi_lab.words import IdSource, LoadDrop

__all__ = ["dotted", "google_click_view"]

SIGNATURES = {
    "google_click_view": (
        Signature(
            fields=(
                ("click_view.gclid",),
                ("clickview.gclid",),
                ("click_view_gclid",),
                ("click_view.resource_name",),
                ("click_view_resource_name",),
                ("gclid", "segments.date"),
            )
        ),
    ),
}

_FORMAT = "Google Ads click_view"
_EXTRA = {
    "campaign_id": "campaign.id",
    "ad_group_id": "ad_group.id",
    "customer_id": "customer.id",
    "device": "segments.device",
    "click_type": "segments.click_type",
    "ad_network_type": "segments.ad_network_type",
}
_HOUR_UNKNOWN = "click_view gives the day only: click_time is the day's start in the account's zone"
_COUNTS_ALL = "invalid clicks are included; clicks with gbraid or wbraid and app installs have no row"


def google_click_view(path: Paths, *, tz: str | None = None, to: str | Path | None = None) -> Loaded:
    """Read the clicks Google Ads reports, the denominator for those a site has seen.

    Parameters
    ----------
    path : str, Path or sequence
        CSV with dotted headers (``click_view.gclid``) or the API's JSON, nested in camel or snake case; one query
        covers one day, so mostly a pattern such as ``clicks/*.csv``.
    tz : str
        The account's zone: ``segments.date`` is a day there. No default.
    to : str or Path, optional
        Write the rows to this Parquet file instead of holding them.

    Returns
    -------
    Loaded
        Contract ``clicks``; ``param`` is ``gclid``. ``click_time`` is the start of the click's day, for the hour
        is not reported: compare days, not hours, with it. Extra columns: ``click_date`` and, where they are
        there, campaign, ad group, customer, device, click type and network.

    Raises
    ------
    LoadError
        The file cannot be read, or has no gclid or date.
    NaiveTimeError
        ``tz`` is not given.

    Notes
    -----
    Cannot be known: the hour; clicks that carry ``gbraid`` or ``wbraid``; clicks older than 90 days, and which of
    the clicks Google found invalid later. No other network has such a report.
    """
    return gather(path, lambda part: _click_view(part, tz), to=to, repeated=LoadDrop.REPEATED_CLICK)


def _click_view(path: Part, tz: str | None) -> Loaded:
    import pandas as pd

    cells, intake = _opened(path)

    def names(name: str) -> tuple[str, ...]:
        return (name, name.replace(".", "_"), name.rpartition(".")[2])

    resource_names = names("click_view.resource_name")
    for name in ("click_view.gclid", "segments.date"):
        if cells.lacks(*names(name), *resource_names):
            raise LoadError(f"'{path.name}' has no '{name}': is it {_FORMAT}?")
    resource = cells.col(*resource_names).str.extract(r"/clickViews/(\d{4}-\d{2}-\d{2})~(.+)$")
    gclid = pick(cells.col(*names("click_view.gclid")), resource[1])
    day = pick(cells.col(*names("segments.date")), resource[0])
    extra = {ours: cells.col(theirs, theirs.replace(".", "_")) for ours, theirs in _EXTRA.items()}
    intake.frame = pd.DataFrame(
        {
            # One click is one row of our table, whatever segments the query split it by.
            "click_row_id": "gclid/" + gclid,
            "platform": URL_PARAMETERS["gclid"],
            "param": "gclid",
            "click_id": gclid,
            "id_source": str(IdSource.COLUMN),
            "click_date": day,
            **{name: values for name, values in extra.items() if values.notna().any()},
            "origin": "real",
        },
        index=gclid.index,
    )
    intake.note(_HOUR_UNKNOWN)
    intake.note(_COUNTS_ALL)
    intake.drop(intake.frame["click_id"].isna(), LoadDrop.NO_CLICK_ID)
    times = event_times(intake.frame["click_date"], intake, tz=tz, column="segments.date")
    intake.frame = intake.frame.assign(click_time=times)
    intake.drop(repeats(intake.frame["click_id"]), LoadDrop.REPEATED_CLICK)
    return intake.loaded(CLICKS)


def _opened(path: Part) -> tuple[Cells, Intake]:
    source = read_any(path, _FORMAT, under=("results",))
    if not isinstance(source, Records):
        return source
    rows: list[dict[str, Any]] = []
    for one in source.objects:  # a streamed answer is a list of pages
        pages = [row for row in listed(one.get("results")) if isinstance(row, dict)]
        rows += pages or ([] if "results" in one else [one])
    flat = Records([dotted(row) for row in rows], source.unparsable, path, _FORMAT)
    return Cells(flat.flat()), flat.intake()


def dotted(row: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Flatten ``{"clickView": {"gclid": ...}}`` to ``{"click_view.gclid": ...}``."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        path = above + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(name)).lower()
        flat |= dotted(value, f"{path}.") if isinstance(value, dict) else {path: value}
    return flat
