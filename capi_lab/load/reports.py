"""What platforms report back, as the contract ``reports``.

Formats, read 2026-11-26: Meta's ``dataset_quality`` (developers.facebook.com, Conversions API, "Dataset Quality API");
Google Ads API ``offline_conversion_upload_client_summary`` and ``..._conversion_action_summary``
(developers.google.com/google-ads/api/fields/v26) and Data Manager's ``requestStatus:retrieve``
(developers.google.com/data-manager/api/reference/rest/v1/requestStatus); Microsoft Advertising's
``GetOfflineConversionReportByGoalIds`` and ``GetOfflineConversionReports`` (learn.microsoft.com, bingads-13).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from capi_lab.errors import LoadError
from capi_lab.load.buckets import exact_count, read_count
from capi_lab.load.files import Part, Paths, require_columns
from capi_lab.load.gather import gather
from capi_lab.load.parquet import Repeat
from capi_lab.load.records import Cells, Records, read_any
from capi_lab.load.report_answers import ANSWERS, Context, Item, day_text, goal_day
from capi_lab.load.result import Intake, Loaded
from capi_lab.load.signatures import Signature
from capi_lab.load.values import blank_to_missing, text_column
from capi_lab.platforms import PLATFORMS
from capi_lab.tables import REPORTS
from capi_lab.words import LoadDrop

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["answers", "platform_report"]

SIGNATURES = {
    "platform_report": (
        Signature(
            fields=(
                ("event_name", "event_match_quality"),
                ("offlineconversionuploadclientsummary",),
                ("offline_conversion_upload_client_summary",),
                ("offlineconversionuploadconversionactionsummary",),
                ("offline_conversion_upload_conversion_action_summary",),
                ("requeststatusperdestination",),
                ("offlinegoalconversionsummaries",),
                ("uploaddate", "successcount"),
                ("platform", "day", "metric", "count"),
            )
        ),
    ),
}

_TEXT = ("platform", "day", "metric", "stratum", "event_name", "conversion_action", "client", "report_row_id")
_NUMBERS = ("count", "low", "high", "match_quality")
_SAME_CELL = Repeat(("report_row_id",), LoadDrop.DUPLICATE_ROW)
_KNOWN = (
    "known are Meta's dataset_quality, Google's upload summaries (Ads API) and request status (Data Manager), "
    "Microsoft's offline conversion reports, and tables with the columns day, platform, metric and count: map yours "
    "with columns={'theirs': 'ours'}"
)


def platform_report(
    path: Paths,
    *,
    tz: str | None = None,
    day: date | str | None = None,
    totals: Mapping[str, float] | None = None,
    columns: Mapping[str, str] | None = None,
    to: str | Path | None = None,
) -> Loaded:
    """Read what a platform says it received, accepted and matched; which format a file has is found out.

    Parameters
    ----------
    path : str, Path or sequence
        The answer as the API gave it (JSON, pages of it, or one answer a line), or a table (CSV, JSON, Parquet).
    tz : None
        Not needed: a day is the platform's own, in the account's zone, and stays the day it says.
    day : date or str, optional
        The day of an answer that names none (Meta's quality, Data Manager's status). An answer kept with a key ``day``
        of your own beside the platform's keys needs it not.
    totals : mapping, optional
        Events by name that Meta received, where its answer has percentages only.
    columns : mapping, optional
        Their column name to ours, for a table; or to Microsoft's (``SuccessCount`` ...), where its report has others.
    to : str or Path, optional
        Write the rows to this Parquet file instead of holding them.

    Returns
    -------
    Loaded
        Contract ``reports``; ``day`` is midnight UTC of the day as named. What is told in ranges or rounded has ``low``
        and ``high``, and ``count`` in between. Extra columns where there are any: ``event_name``,
        ``conversion_action`` (goal or action), ``client`` (what uploaded), ``match_quality`` (Meta's score, 0 to 10,
        which is no rate) and ``report_row_id``. The same day of the same action in a second file is
        ``duplicate_row``: the file named first stays, so name the newest first.

        Meta: ``received`` by event name, and how many of them had a click id (``fbc``). Google: ``received`` and
        ``accepted``, which may still grow by what is pending. Microsoft by goal: ``received`` and ``matched``, which
        is what it could tie to a click; without goals ``accepted``.

    Raises
    ------
    LoadError
        The file cannot be read or is none of these; or its answers name no day and ``day`` is not given.
    ContractError
        A table has a metric or stratum that the contract does not know.

    Notes
    -----
    Microsoft's report is documented as an API answer only; the columns of a CSV are taken to be called alike
    (assumed). Cannot be known: which events Meta's ``total_event_count`` counts and over how many days (its coverage
    is an average of 7); whether a record that Data Manager counts under one error is also under another (the bounds
    say so); whether a matched conversion was attributed to a campaign; anything of a single event. No platform here
    reports match rates for events but Microsoft; Meta's and TikTok's scores are none, LinkedIn has no report.
    """
    chosen = day_text(day) if day is not None else None
    if day is not None and chosen is None:
        raise LoadError("day= is no day: write it as '2026-11-26'")
    if not all(isinstance(n, int | float) and 0 <= n < float("inf") for n in (totals or {}).values()):
        raise LoadError("totals= must be numbers of events, by event name")
    read = partial(_report, context=Context(chosen, dict(totals or {})), columns=dict(columns or {}))
    return gather(path, read, to=to, also=(_SAME_CELL,))


def answers(objects: Sequence[Mapping[str, object]], *, day: date | str | None = None) -> Loaded:
    """Read answers that were just given, as `platform_report` reads them out of files.

    Parameters
    ----------
    objects : sequence of mapping
        The parsed bodies, each of one platform's interface.
    day : date or str, optional
        Of an answer that names none.

    Raises
    ------
    LoadError
        They are none of the answers we know.
    """
    lines = "\n".join(json.dumps(one) for one in objects)
    part = Part("answers", Path("answers"), data=lines.encode(), is_json=True)
    return _report(part, context=Context(None if day is None else day_text(day), {}), columns={})


def _report(part: Part, *, context: Context, columns: dict[str, str]) -> Loaded:
    source = read_any(part, "platform report")
    if isinstance(source, Records):
        for kind in ANSWERS:
            answers = [one for one in source.objects if kind.fits(one)]
            if answers:
                items = [item for one in answers for item in kind.read(one, context)]
                # A page without results is no record of anything.
                others = [one for one in source.objects if not kind.fits(one) and one.get("results") != []]
                items += [(LoadDrop.OTHER_RECORD, [])] * len(others)
                return _loaded(part, kind.format, items, source.unparsable)
        frame, unparsable = source.flat(), source.unparsable
    else:
        frame, unparsable = source[0].frame, 0
    if len(frame.columns):
        require_columns(frame, list(columns), part, hint="the mapping is {'theirs': 'ours'}")
    cells = Cells(frame.rename(columns=columns))
    if cells.has("UploadDate") and cells.has("SuccessCount"):
        names = ("GoalId", "ConversionName", "UploadDate", "SuccessCount", "UnattributedCount", "FailureCount")
        days = [
            {name: value for name, value in zip(names, values, strict=True) if isinstance(value, str)}
            for values in zip(*(cells.col(name) for name in names), strict=True)
        ]
        return _loaded(part, "Microsoft offline conversion report", [goal_day(one, {}) for one in days], unparsable)
    if not all(cells.has(name) for name in ("day", "platform", "metric", "count")):
        raise LoadError(f"'{part.name}' is no report we know: {_KNOWN}")
    return _table(part, cells, unparsable)


def _loaded(part: Part, format_: str, items: Sequence[Item], unparsable: int) -> Loaded:
    """Make a table of the rows of every item, and close its account."""
    import pandas as pd

    intake = Intake(part.name, format_, pd.DataFrame(index=pd.RangeIndex(len(items))), unparsable=unparsable)
    intake.drop_each([reason for reason, _ in items])
    rows = [row for _, found in items for row in found]
    views = sorted({row["_view"] for row in rows if "_view" in row})
    if len(views) > 1:
        raise LoadError(f"'{part.name}' counts the same uploads {' and '.join(views)}: load one of the two")
    for view in views:
        intake.note(f"counted {view}: the other summary counts the same uploads")
    open_ = sum(1 for row in rows if row.get("low") is not None)
    intake.note_count(open_, "{n} counts are told in a range or rounded: see low and high")
    lost = sum(1 for reason, _ in items if reason is LoadDrop.NO_COUNT)
    intake.note_count(
        lost, "{n} records have no number: not counted yet, or percentages only (say of what with totals=)"
    )
    columns: dict[str, pd.Series] = {name: text_column([row.get(name) for row in rows]) for name in _TEXT}
    columns |= {name: pd.Series([row.get(name) for row in rows], dtype="float64") for name in _NUMBERS}
    frame = pd.DataFrame(columns)
    lines = text_column([f"{part.name}:{n}" for n in range(1, len(rows) + 1)])
    frame["report_row_id"] = frame["report_row_id"].fillna(lines)
    return _closed(intake, frame, expanded=len(rows) - len(intake.frame))


def _closed(intake: Intake, frame: pd.DataFrame, *, expanded: int = 0) -> Loaded:
    import pandas as pd

    days = pd.to_datetime(frame["day"], format="%Y-%m-%d", utc=True).dt.as_unit("us")
    always = {*REPORTS.names, "report_row_id"}
    keep = [name for name in frame.columns if name in always or frame[name].notna().any()]
    return intake.loaded(REPORTS, frame.assign(day=days)[keep], expanded=expanded)


def _table(part: Part, cells: Cells, unparsable: int) -> Loaded:
    """Read a table with the contract's columns; what else it has is passed on."""
    import pandas as pd

    raw = cells.frame
    intake = Intake(part.name, "table of reports", raw, unparsable=unparsable)
    counts = [read_count(text) if isinstance(text, str) else None for text in cells.col("count")]
    ends = {
        name: [exact_count(text) if isinstance(text, str) else None for text in cells.col(name)]
        for name in ("low", "high")
    }
    nothing = (None, None, None)
    told = pd.DataFrame([count or nothing for count in counts], columns=["count", "low", "high"], index=raw.index)
    told = told.astype("float64")
    lines = text_column([f"{part.name}:{n}" for n in range(1, len(raw) + 1)], raw.index)
    own = {"report_row_id", *REPORTS.names}
    frame = pd.DataFrame(
        {
            **{name: cells.col(name).str.lower() for name in ("platform", "metric", "stratum")},
            "day": text_column([day_text(text) for text in cells.col("day")], raw.index),
            "count": told["count"],
            **{name: pd.Series(values, raw.index, dtype="float64").fillna(told[name]) for name, values in ends.items()},
            **{str(name): blank_to_missing(raw[name]) for name in raw.columns if str(name).lower() not in own},
            "report_row_id": cells.col("report_row_id").fillna(lines),
        },
        index=raw.index,
    )
    intake.frame = frame
    intake.drop(intake.frame["platform"].isna() | intake.frame["metric"].isna(), LoadDrop.UNPARSABLE)
    intake.drop(intake.frame["day"].isna(), LoadDrop.NO_TIME)
    intake.drop(intake.frame["count"].isna(), LoadDrop.NO_COUNT)
    frame = intake.frame
    ranged = told.loc[frame.index, "low"].notna()
    intake.note_count(int(ranged.sum()), "{n} counts are told in a range or rounded: see low and high")
    unknown = ~frame["platform"].isin(list(PLATFORMS))
    intake.note_count(int(unknown.sum()), "{n} rows are of a platform we have no rules for")
    if "match_quality" in frame:
        frame = frame.assign(match_quality=pd.to_numeric(frame["match_quality"], errors="coerce"))
    return _closed(intake, frame)
