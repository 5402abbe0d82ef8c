"""LinkedIn: Insight Tag and Conversions API."""

from capi_lab.platforms.linkedin.spec import SPEC
from capi_lab.platforms.linkedin.wire import LinkedinCapi
from capi_lab.platforms.spec import Platform

__all__ = ["LINKEDIN"]

LINKEDIN = Platform(SPEC, {"capi": LinkedinCapi()})
