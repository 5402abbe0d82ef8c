"""A local server that answers like the five platforms, for trying a sender without sending anything anywhere."""

from __future__ import annotations

from capi_lab.errors import MissingExtraError

try:
    import starlette as _starlette
    import uvicorn as _uvicorn
except ImportError as error:  # pragma: no cover - the extra is there wherever tests run
    raise MissingExtraError(str(error.name), "sandbox") from None

from capi_lab.sandbox.box import Sandbox
from capi_lab.sandbox.switches import Fault

__all__ = ["Fault", "Sandbox"]

del _starlette, _uvicorn
