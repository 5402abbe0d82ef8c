"""Send once, exactly: plan, approve, send, and know what became of every row.

`plan` says what would leave and what not; `outbox` remembers what left; `drain` sends and writes down what came back;
`receipts` tells it row by row; `readback` asks what became of it later, `adjust` corrects it, `doctor` tries things
out. Nothing else of the package talks to a network.
"""

from capi_lab.send.adjust import correct
from capi_lab.send.drain import send
from capi_lab.send.examine import doctor
from capi_lab.send.outbox import Outbox
from capi_lab.send.planned import Plan
from capi_lab.send.planning import plan
from capi_lab.send.readback import read_back
from capi_lab.send.receipts import Receipt

__all__ = ["Outbox", "Plan", "Receipt", "correct", "doctor", "plan", "read_back", "send"]
