"""Clicks Google Ads reports: a day and no hour."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import LoadError, NaiveTimeError

HEADER = "click_view.gclid,segments.date,segments.click_type,campaign.id\n"


def test_a_day_is_the_accounts(tmp_path: Path) -> None:
    """Without the account's zone the day is refused; with it, the click's time is where that day begins."""
    path = tmp_path / "day.csv"
    path.write_text(HEADER + "G1,2026-07-01,URL_CLICKS,7\n")
    with pytest.raises(NaiveTimeError, match=r"segments\.date"):
        cl.load.google_click_view(path)
    loaded = cl.load.google_click_view(path, tz="America/New_York")
    assert loaded.df["click_time"].iloc[0] == pd.Timestamp("2026-07-01 04:00", tz="UTC")
    assert loaded.df[["platform", "param", "click_date", "campaign_id"]].to_numpy().tolist() == [
        ["google", "gclid", "2026-07-01", "7"]
    ]
    assert any("gives the day only" in note for note in loaded.report.notes)


def test_one_file_a_day(tmp_path: Path) -> None:
    """A pattern reads all days; a click that is split by segments, or in two files, is one click."""
    (tmp_path / "a.csv").write_text(HEADER + "G1,2026-07-01,URL_CLICKS,7\nG1,2026-07-01,SITELINKS,7\n,2026-07-01,x,7\n")
    (tmp_path / "b.csv").write_text(HEADER + "G1,2026-07-02,URL_CLICKS,7\nG2,2026-07-02,URL_CLICKS,7\n")
    loaded = cl.load.google_click_view(tmp_path / "*.csv", tz="UTC")
    assert loaded.df["click_id"].tolist() == ["G1", "G2"]
    assert loaded.report.dropped == {"no_click_id": 1, "repeated_click": 2}


def test_the_resource_name_will_do(tmp_path: Path) -> None:
    """Day and gclid stand in the resource name too; a file without either is another."""
    path = tmp_path / "x.json"
    path.write_text('{"results": [{"clickView": {"resourceName": "customers/1/clickViews/2026-07-01~Cj0K_x-y"}}]}')
    loaded = cl.load.google_click_view(path, tz="UTC")
    assert loaded.df[["click_id", "click_date"]].to_numpy().tolist() == [["Cj0K_x-y", "2026-07-01"]]
    path.write_text('{"results": []}')
    assert cl.load.google_click_view(path, tz="UTC").report.rows_in == 0, "a day without clicks is a day"
    path.write_text('{"results": [{"campaign": {"id": "1"}}]}')
    with pytest.raises(LoadError, match=r"no 'click_view\.gclid'"):
        cl.load.google_click_view(path, tz="UTC")
