"""Fixtures shared by all tests."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import settings

# Figures are drawn without a screen.
os.environ.setdefault("MPLBACKEND", "Agg")

# What is imported stays: collecting it again and again is a tenth of the suite's processor time.
gc.collect()
gc.freeze()
gc.set_threshold(100_000, 50, 100)

# No test is timed: machines differ, and so do their days.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Files whose tests are long and share nothing: each goes to whoever is free, and they go first.
ALONE = ("tests/test_chaos.py", "tests/test_lab.py", "tests/engines/test_limits.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long ones first, so that no worker ends with one while the other is idle."""
    items.sort(key=lambda item: not item.nodeid.startswith(ALONE))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a file's tests to one worker, which makes what they share once.

    xdist's own groups do nothing with pytest 9.2: it no longer reads the names that xdist writes.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid if nodeid.startswith(ALONE) else nodeid.partition("::")[0]

    config.option.loadscopereorder = False
    return ByFile(config, log)


REAL = Path(__file__).parents[2] / "shared" / "data" / "real"


@pytest.fixture
def real() -> Path:
    """Folder of real files in the formats we load; not shipped, so tests that need it skip elsewhere."""
    if not REAL.is_dir():
        pytest.skip("the real input files are not part of the project and are absent here")
    return REAL


@pytest.fixture
def tiny() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Four orders of two customers: seen by both, by the pixel, by the server, by neither."""
    t = pd.Timestamp("2026-05-04 12:00", tz="UTC")
    conversions = pd.DataFrame(
        {
            "conversion_id": ["1", "2", "3", "4"],
            "event_name": "purchase",
            "event_time": [t + pd.Timedelta(hours=i) for i in range(4)],
            "value": [10.0, 20.0, 30.0, 40.0],
            "currency": "EUR",
            "event_id": ["e1", "e2", "e3", "e4"],
            "user_key": ["a", "a", "b", "b"],
            "browser": ["Safari", "Safari", "Chrome", "Chrome"],
        }
    )
    events = pd.DataFrame(
        {
            "row_id": ["p1", "s1", "p2", "s3"],
            "channel": ["pixel", "capi", "pixel", "capi"],
            "event_name": ["Purchase", "Purchase", "Purchase", "Purchase"],
            "event_id": ["e1", "e1", "e2", "e3"],
            "event_time": [t, t, t + pd.Timedelta(hours=1), t + pd.Timedelta(hours=2)],
            "conversion_id": ["1", "1", None, "3"],
        }
    )
    return conversions, events
