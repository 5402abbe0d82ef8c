"""Microsoft Advertising: offline conversions by click id or hash, and the UET tag's Conversions API."""

from capi_lab.platforms.microsoft.offline import MicrosoftOffline
from capi_lab.platforms.microsoft.spec import SPEC
from capi_lab.platforms.microsoft.uet import MicrosoftUet
from capi_lab.platforms.spec import Platform

__all__ = ["MICROSOFT"]

MICROSOFT = Platform(SPEC, {"offline": MicrosoftOffline(), "uet": MicrosoftUet()})
