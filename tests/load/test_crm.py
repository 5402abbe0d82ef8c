"""Leads: labels, reports for readers, stages, and where the click id stood."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import LoadError, NaiveTimeError

REPORT = """Lead ID,Created Date,Lead Status,Country,GCLID__c
00Q5e00001aBcDe,"03/02/2026, 09:15",Open,Germany,G1
00Q5e00001aBcdE,"04/02/2026, 10:00",Open,FR,
00Q5e00001aBcdE,"04/02/2026, 10:00",Open,FR,

"Confidential Information - Do Not Distribute",,,,
"Copyright (c) 2026, all rights reserved",,,,
"""


def write(folder: Path, text: str, name: str = "leads.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_report_for_readers(tmp_path: Path) -> None:
    """Footers and repeats are counted; day and month are read as told, never guessed; 15-character ids keep case."""
    path = write(tmp_path, REPORT)
    guessed = cl.load.crm_leads(path, tz="Europe/Berlin")
    assert guessed.report.dropped == {"other_record": 2, "duplicate_id": 1, "no_time": 2}
    assert any("say which with time_format=" in note for note in guessed.report.notes)
    with pytest.raises(NaiveTimeError, match="'time of the lead' has 2 times"):
        cl.load.crm_leads(path, time_format="%d/%m/%Y, %H:%M")
    loaded = cl.load.crm_leads(path, time_format="%d/%m/%Y, %H:%M", tz="Europe/Berlin")
    assert loaded.report.dropped == {"other_record": 2, "duplicate_id": 1}
    assert loaded.df["conversion_id"].tolist() == ["00Q5e00001aBcDe", "00Q5e00001aBcdE"]
    assert loaded.df["event_time"].iloc[0] == pd.Timestamp("2026-02-03 08:15", tz="UTC")
    assert loaded.df["country"].fillna("-").tolist() == ["-", "FR"], "a name is no code"
    assert loaded.df["country_name"].iloc[0] == "Germany"
    assert (loaded.df["event_name"] == "lead").all()


def test_hubspot_labels_and_urls(tmp_path: Path) -> None:
    """English labels are known; the CRM's field comes before the first page; the last may be later than the lead."""
    text = (
        "Record ID,Create Date,Email,First Page Seen,Last Page Seen,Google ad click id\n"
        "1,2026-01-01 09:00,a@example.com,https://s.example/?gclid=A,https://s.example/?gclid=B,C\n"
        "2,2026-01-01 09:00,b@example.com,https://s.example/?gclid=A,https://s.example/?gclid=B,\n"
        "3,2026-01-01 09:00,c@example.com,https://s.example/?gclid=A&fbclid=F,https://s.example/,\n"
    )
    loaded = cl.load.crm_leads(write(tmp_path, text), tz="Europe/Berlin")
    assert loaded.df["gclid"].tolist() == ["C", "A", "A"]
    assert loaded.df["fbclid"].tolist()[2] == "F"
    assert loaded.df["event_time"].iloc[0] == pd.Timestamp("2026-01-01 08:00", tz="UTC")


def test_stage_takes_its_own_date(tmp_path: Path) -> None:
    """With stage= a lead counts when it got there; who did not get there is counted out. Epoch text is read."""
    contacts = [
        {"id": "1", "properties": {"createdate": "1767225600000", "hs_lifecyclestage_customer_date": "1769904000000"}},
        {"id": "2", "properties": {"createdate": {"value": "1767225600000"}, "hs_lifecyclestage_customer_date": ""}},
    ]
    path = write(tmp_path, json.dumps({"results": contacts}), "c.json")
    assert cl.load.crm_leads(path).report.rows_out == 2
    loaded = cl.load.crm_leads(path, stage="customer")
    assert loaded.report.dropped == {"other_record": 1}
    assert loaded.df[["conversion_id", "event_name"]].to_numpy().tolist() == [["1", "customer"]]
    assert loaded.df["event_time"].iloc[0] == pd.Timestamp("2026-02-01", tz="UTC")
    with pytest.raises(LoadError, match="no time of that stage"):
        cl.load.crm_leads(path, stage="opportunity")


def test_salesforce_api_and_conversion(tmp_path: Path) -> None:
    """The API's records load as they are; ConvertedDate is a day, so it needs a zone; a site's fields are mapped."""
    lead = {
        "attributes": {"type": "Lead"},
        "Id": "00Q5e00001aBcDeAAK",
        "CreatedDate": "2026-01-01T09:00:00.000+0000",
        "ConvertedDate": "2026-01-05",
        "Click_Time__c": "2025-12-31T23:00:00.000+0000",
        "Web_GCLID__c": "G9",
        "Amount__c": 12.5,
    }
    path = write(tmp_path, json.dumps({"records": [lead]}), "l.json")
    mapping = {"Web_GCLID__c": "gclid", "Click_Time__c": "click_time", "Amount__c": "value"}
    row = cl.load.crm_leads(path, columns=mapping).df.iloc[0]
    assert row["value"] == 12.5
    assert (row["gclid"], row["click_time"]) == ("G9", pd.Timestamp("2025-12-31 23:00", tz="UTC"))
    with pytest.raises(NaiveTimeError):
        cl.load.crm_leads(path, stage="converted")
    converted = cl.load.crm_leads(path, stage="converted", tz="Europe/Berlin").df
    assert converted["event_time"].iloc[0] == pd.Timestamp("2026-01-04 23:00", tz="UTC")
    with pytest.raises(LoadError, match="'Nope'"):
        cl.load.crm_leads(path, columns={"Nope": "gclid"})


def test_labels_in_another_language(tmp_path: Path) -> None:
    """What we do not know is asked for, and mapped."""
    path = write(tmp_path, "Datensatz-ID,Erstellt,E-Mail\n7,2026-01-01T00:00:00Z,a@example.com\n")
    with pytest.raises(LoadError, match="no id under a name HubSpot or Salesforce uses"):
        cl.load.crm_leads(path)
    columns = {"Datensatz-ID": "conversion_id", "Erstellt": "event_time", "E-Mail": "email"}
    assert cl.load.crm_leads(path, columns=columns).df["email"].tolist() == ["a@example.com"]
