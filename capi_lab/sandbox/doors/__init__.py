"""A server for every route; a platform's own words are in the module of its name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from capi_lab.sandbox.doors.door import Answer, Call, Door
from capi_lab.sandbox.doors.google_ads import GoogleAdsDoor
from capi_lab.sandbox.doors.google_data_manager import DataManagerDoor
from capi_lab.sandbox.doors.linkedin import LinkedinDoor
from capi_lab.sandbox.doors.meta import MetaDoor
from capi_lab.sandbox.doors.microsoft import OfflineDoor, UetDoor
from capi_lab.sandbox.doors.tiktok import TiktokDoor

__all__ = ["DOORS", "Answer", "Call", "Door"]

DOORS: Mapping[tuple[str, str], type[Door]] = MappingProxyType(
    {
        ("meta", "capi"): MetaDoor,
        ("google", "data_manager"): DataManagerDoor,
        ("google", "ads_api"): GoogleAdsDoor,
        ("tiktok", "events_api"): TiktokDoor,
        ("microsoft", "offline"): OfflineDoor,
        ("microsoft", "uet"): UetDoor,
        ("linkedin", "capi"): LinkedinDoor,
    }
)
