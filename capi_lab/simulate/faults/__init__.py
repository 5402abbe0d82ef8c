"""Faults to lay on a log, one at least for every cause there is a word for: what breaks between a pixel and a server.

Each is a small frozen value: the share of conversions it hits, and how. `capi_lab.inject` lays them on any log.
``rate`` is the share of the conversions the fault can hit: those that carry what it changes, and that both channels
report unless a report is what it takes out or adds.
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
from capi_lab.simulate.faults.keys import (
    HashNothing,
    HashTwice,
    LeaveTestCode,
    LowerCaseClickId,
    SendBraidBesideGclid,
    TruncateClickId,
    WithdrawConsent,
)
from capi_lab.simulate.faults.lost import (
    BlockPixel,
    FailScript,
    FailServer,
    HidePixel,
    LeavePage,
    LoseEveryNth,
    LoseSilently,
    MarkTestOrder,
    Outage,
    RefuseConsent,
    ReloadPage,
    ResendReport,
)
from capi_lab.simulate.faults.reports import (
    AddShipping,
    ChangeCurrency,
    ChangeValue,
    NaiveTime,
    RenameEvent,
    SendLate,
    ServerBeforePixel,
    SkewClock,
)

__all__ = [
    "AddShipping",
    "BlockPixel",
    "ChangeCurrency",
    "ChangeValue",
    "DesyncEventId",
    "DropEventId",
    "FailScript",
    "FailServer",
    "Fault",
    "HashNothing",
    "HashTwice",
    "HidePixel",
    "LeavePage",
    "LeaveTestCode",
    "LoseEveryNth",
    "LoseSilently",
    "LowerCaseClickId",
    "MarkTestOrder",
    "NaiveTime",
    "Outage",
    "PadEventId",
    "PrefixEventId",
    "RefuseConsent",
    "ReloadPage",
    "ReloadWithNewId",
    "RenameEvent",
    "ResendReport",
    "ReuseEventId",
    "SendBraidBesideGclid",
    "SendLate",
    "ServerBeforePixel",
    "SkewClock",
    "TruncateClickId",
    "WithdrawConsent",
]
