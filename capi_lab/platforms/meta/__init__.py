"""Meta (Facebook, Instagram): pixel and Conversions API."""

from capi_lab.platforms.meta.spec import SPEC

__all__ = ["SPEC"]
