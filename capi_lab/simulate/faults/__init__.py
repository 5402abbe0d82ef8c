"""Faults to lay on a log, one at least for every cause of a pair: what breaks between a pixel and a server.

Each is a small frozen value: the share of conversions it hits, and how. `capi_lab.inject` lays them on any log.
``rate`` is the share of the conversions the fault can hit: those both channels report and that carry what it changes.
"""

from capi_lab.simulate.faults.fault import Fault
from capi_lab.simulate.faults.ids import (
    DesyncEventId,
    DropEventId,
    PadEventId,
    PrefixEventId,
    ReloadWithNewId,
    ReuseEventId,
)
from capi_lab.simulate.faults.reports import (
    ChangeCurrency,
    ChangeValue,
    RenameEvent,
    SendLate,
    ServerBeforePixel,
    SkewClock,
)

__all__ = [
    "ChangeCurrency",
    "ChangeValue",
    "DesyncEventId",
    "DropEventId",
    "Fault",
    "PadEventId",
    "PrefixEventId",
    "ReloadWithNewId",
    "RenameEvent",
    "ReuseEventId",
    "SendLate",
    "ServerBeforePixel",
    "SkewClock",
]
