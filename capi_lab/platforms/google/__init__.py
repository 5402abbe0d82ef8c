"""Google Ads: tag, Data Manager API and Google Ads API."""

from capi_lab.platforms.google.ads_api import GoogleAdsApi
from capi_lab.platforms.google.data_manager import GoogleDataManager
from capi_lab.platforms.google.spec import SPEC
from capi_lab.platforms.spec import Platform

__all__ = ["GOOGLE"]

GOOGLE = Platform(SPEC, {"data_manager": GoogleDataManager(), "ads_api": GoogleAdsApi()})
