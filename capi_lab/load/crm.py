"""Leads out of a CRM: HubSpot contacts and Salesforce leads.

Format: HubSpot's contact properties (API JSON, exports with internal names or English labels, Fivetran's
``property_`` columns) and Salesforce's Lead object (API JSON, data export, report CSV); read 2026-11-23.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capi_lab.errors import LoadError
from capi_lab.load.clicks import add_click_ids
from capi_lab.load.files import Part, Paths, require_columns
from capi_lab.load.gather import gather
from capi_lab.load.records import Cells, Records, read_any
from capi_lab.load.result import Intake, Loaded
from capi_lab.load.signatures import Signature
from capi_lab.load.values import currency_codes, event_times, money, repeats
from capi_lab.tables import CLICK_ID_COLUMNS, CONVERSIONS
from capi_lab.words import LoadDrop

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["crm_leads"]

SIGNATURES = {
    "crm_leads": (
        Signature(
            fields=(
                ("properties.createdate",),
                ("hs_object_id", "createdate"),
                ("property_createdate",),
                ("record id", "create date"),
                ("record id - contact", "create date"),
                ("contact id", "create date"),
                ("lead id", "created date"),
                ("lead id", "create date"),
                ("id", "createddate", "lastname"),
                ("id", "createddate", "leadsource"),
                ("id", "createddate", "email"),
            )
        ),
    ),
}

_FORMAT = "CRM leads"
# Ours to theirs: HubSpot's internal name and label, Salesforce's API name and report label.
_NAMES: dict[str, tuple[str, ...]] = {
    "conversion_id": ("hs_object_id", "Record ID", "Record ID - Contact", "Contact ID", "Lead ID", "Id"),
    "email": ("email",),
    "phone": ("phone", "Phone Number", "mobilephone", "Mobile Phone Number", "Mobile"),
    "first_name": ("firstname", "First Name"),
    "last_name": ("lastname", "Last Name"),
    "street": ("address", "Street Address", "Street"),
    "city": ("city",),
    "region": ("StateCode", "state", "State/Region", "State/Province"),
    "postal_code": ("zip", "Postal Code", "PostalCode", "Zip/Postal Code"),
    "country": ("CountryCode", "hs_country_region_code", "country", "Country/Region"),
    "lead_source": ("hs_analytics_source", "Original Source", "Original Traffic Source", "LeadSource", "Lead Source"),
    "lead_status": ("lifecyclestage", "Lifecycle Stage", "Status", "Lead Status"),
    "gclid": ("hs_google_click_id", "Google ad click id", "GCLID__c", "gclid"),
    "fbclid": ("hs_facebook_click_id", "Facebook click id", "FBCLID__c", "fbclid"),
    **{name: (f"{name}__c", name) for name in CLICK_ID_COLUMNS if name not in ("gclid", "fbclid")},
}
_CREATED = ("createdate", "Create Date", "CreatedDate", "Created Date")
# Not the last page seen: it may have been seen long after the lead.
_FIRST_URL = ("hs_analytics_first_url", "First Page Seen")
_STAGE_WORDS = {"marketingqualifiedlead": "Marketing Qualified Lead", "salesqualifiedlead": "Sales Qualified Lead"}
_SLASHED = r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}\b.*"


def crm_leads(
    path: Paths,
    *,
    tz: str | None = None,
    columns: Mapping[str, str] | None = None,
    stage: str | None = None,
    time_format: str | None = None,
    to: str | Path | None = None,
) -> Loaded:
    """Read leads as the ledger, each when it was made or when it reached a stage.

    Parameters
    ----------
    path : str, Path or sequence
        HubSpot: API JSON (``{"results": [...]}``), CSV with internal names or English labels, Fivetran's columns.
        Salesforce: API JSON (``{"records": [...]}``), export or report CSV.
    tz : str, optional
        Zone of times that carry none: the portal's (HubSpot CSV) or the user's (Salesforce report).
    columns : mapping, optional
        Their column name to ours, e.g. ``{"Google_Click__c": "gclid"}``: needed for a site's own fields and for
        labels in another language. ``{"...": "event_time"}`` names the time.
    stage : str, optional
        Take the time a lead reached this stage instead of its creation, and its name as ``event_name``. HubSpot:
        the dated property ``hs_lifecyclestage_<stage>_date``; Salesforce: ``converted`` (``ConvertedDate``).
        Leads that did not reach it are ``other_record``.
    time_format : str, optional
        `datetime.strptime` format of times in a reader's format, e.g. ``"%d/%m/%Y, %H:%M"``; which of two numbers
        is the month is not guessed.
    to : str or Path, optional
        Write the rows to this Parquet file instead of holding them.

    Returns
    -------
    Loaded
        Contract ``conversions``; ``event_name`` is ``lead`` or the stage. Click ids come from the CRM's field,
        then from the first page seen (the last may be later than the lead). Extra columns ``lead_source``,
        ``lead_status``; a country that is no two-letter code stands in ``country_name``.

    Raises
    ------
    LoadError
        The file cannot be read, or has no id or time under a name we know.
    NaiveTimeError
        Times carry no zone and ``tz`` is not given.

    Notes
    -----
    Cannot be known: when the click was, unless the site stored it; earlier clicks, for the field is overwritten;
    when a stage was reached, unless its date is exported; whether the lead came by the site at all
    (``action_source`` is missing). Salesforce's 15-character ids are case-sensitive and kept so.
    """
    chosen = dict(columns or {})
    return gather(path, lambda part: _leads(part, tz, chosen, stage, time_format), to=to)


def _leads(path: Part, tz: str | None, columns: dict[str, str], stage: str | None, time_format: str | None) -> Loaded:
    import pandas as pd

    cells, intake = _opened(path, columns)
    mapped = {ours: theirs.removeprefix("property_") for theirs, ours in columns.items()}

    def names(ours: str, known: tuple[str, ...]) -> tuple[str, ...]:
        return (mapped[ours],) if ours in mapped else known

    known = {ours: cells.col(*names(ours, theirs)) for ours, theirs in _NAMES.items()}
    when = names("event_time", _stage_names(stage))
    for wanted, columns_of in (
        ("id", names("conversion_id", _NAMES["conversion_id"])),
        ("time of that stage" if stage else "time of creation", when),
    ):
        if cells.lacks(*columns_of):
            raise LoadError(
                f"'{path.name}' has no {wanted} under a name HubSpot or Salesforce uses: "
                "map yours with columns={'theirs': 'ours'}"
            )
    others = {ours: cells.col(theirs) for ours, theirs in mapped.items() if ours not in known and ours != "event_time"}
    code = known["country"].str.fullmatch(r"[A-Za-z]{2}")
    if "value" in others:
        others["value"] = money(others["value"], intake)
    if "currency" in others:
        others["currency"] = currency_codes(others["currency"], intake)
    intake.frame = pd.DataFrame(
        {
            **known,
            **others,
            "event_name": (stage or "lead").lower(),
            "country": known["country"].where(code).str.upper(),
            "country_name": known["country"].where(~code),
            "landing_url": cells.col(*_FIRST_URL),
            "origin": "real",
            "_time": cells.col(*when),
        },
        index=cells.frame.index,
    )
    intake.drop(_footers(cells.frame), LoadDrop.OTHER_RECORD)
    intake.drop(intake.frame["conversion_id"].isna(), LoadDrop.NO_ID)
    intake.drop(repeats(intake.frame["conversion_id"]), LoadDrop.DUPLICATE_ID)
    if stage is not None:
        intake.drop(intake.frame["_time"].isna(), LoadDrop.OTHER_RECORD)
    happened = event_times(_as_written(intake, time_format), intake, tz=tz, column="time of the lead")
    frame = intake.frame.assign(event_time=happened)
    if "click_time" in frame:
        clicked = event_times(frame["click_time"], intake, tz=tz, column="click_time", drop=False)
        frame = frame.assign(click_time=clicked)
    frame = add_click_ids(frame, intake, urls=frame["landing_url"])
    intake.note_count(int(frame["country_name"].notna().sum()), "{n} countries are names, not codes: see country_name")
    always = {"conversion_id", "event_name", "event_time", "origin"}
    keep = [name for name in frame.columns if name in always or frame[name].notna().any()]
    return intake.loaded(CONVERSIONS, frame[[name for name in keep if not name.startswith("_")]])


def _stage_names(stage: str | None) -> tuple[str, ...]:
    if stage is None:
        return _CREATED
    if stage.lower() == "converted":
        return ("ConvertedDate", "Converted Date")
    words = _STAGE_WORDS.get(stage.lower(), stage)
    return (f"hs_lifecyclestage_{stage.lower()}_date", f"Became a {words} Date", f"Became an {words} Date")


def _as_written(intake: Intake, time_format: str | None) -> pd.Series:
    """Read times by the caller's format; say so where they need one."""
    import pandas as pd

    written = intake.frame["_time"]
    if time_format is not None:
        return pd.to_datetime(written, format=time_format, errors="coerce")
    slashed = written.str.fullmatch(_SLASHED)
    intake.note_count(int(slashed.sum()), "{n} times are in a reader's format: say which with time_format=")
    return written


def _footers(frame: pd.DataFrame) -> pd.Series:
    """Mark the lines a report ends with: one text, whatever the columns."""
    filled = frame.notna().sum(axis="columns")
    return filled <= 1 if len(frame.columns) > 2 else filled < 0


def _opened(path: Part, columns: Mapping[str, str]) -> tuple[Cells, Intake]:
    source = read_any(path, _FORMAT, under=("results", "records"))
    if isinstance(source, Records):
        flat = Records([_record(one) for one in source.objects], source.unparsable, path, _FORMAT)
        frame, intake = flat.flat(), flat.intake()
    else:
        frame, intake = source[0].frame, source[1]
    if len(frame.columns):  # an answer without records has none
        require_columns(frame, list(columns), path, hint="the mapping is {'theirs': 'ours'}")
    # Fivetran writes HubSpot's properties with a prefix.
    return Cells(frame.rename(columns=lambda name: str(name).removeprefix("property_"))), intake


def _record(one: dict[str, Any]) -> dict[str, Any]:
    """Bring HubSpot's properties to the top (also the older ``{"value": ...}``); leave Salesforce's own out."""
    plain = {name: value for name, value in one.items() if name not in ("properties", "attributes")}
    properties = one.get("properties")
    for name, value in properties.items() if isinstance(properties, dict) else ():
        plain[name] = value.get("value") if isinstance(value, dict) else value
    return plain
