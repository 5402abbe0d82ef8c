"""TikTok: pixel and Events API 2.0."""

from capi_lab.platforms.spec import Platform
from capi_lab.platforms.tiktok.spec import SPEC
from capi_lab.platforms.tiktok.wire import TiktokEventsApi

__all__ = ["TIKTOK"]

TIKTOK = Platform(SPEC, {"events_api": TiktokEventsApi()})
