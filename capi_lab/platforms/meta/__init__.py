"""Meta (Facebook, Instagram): pixel and Conversions API."""

from capi_lab.platforms.meta.spec import SPEC
from capi_lab.platforms.meta.wire import MetaCapi
from capi_lab.platforms.spec import Platform

__all__ = ["META"]

META = Platform(SPEC, {"capi": MetaCapi()})
