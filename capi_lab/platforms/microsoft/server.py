"""What Microsoft's two servers do with a request."""

from __future__ import annotations

from types import MappingProxyType

from capi_lab.platforms.server import Refusal, Server

__all__ = ["OFFLINE_SERVER", "UET_SERVER"]

_ROW = "OfflineConversions[]"
_USER, _CUSTOM = "data[].userData", "data[].customData"

OFFLINE_SERVER = Server(
    refusals=MappingProxyType(
        {
            Refusal.NO_TOKEN: "105",
            Refusal.WRONG_TOKEN: "105",
            Refusal.EXPIRED_TOKEN: "109",
            Refusal.UNREADABLE: "100",
            Refusal.EMPTY: "5600",
            Refusal.TOO_MANY: "5601",
            Refusal.BAD_FIELD: "0",
            Refusal.MISSING_FIELD: "5602",
            Refusal.BAD_ROW: "5604",
            Refusal.THROTTLED: "117",
            Refusal.BROKEN: "0",
        }
    ),
    statuses=MappingProxyType({"105": 401, "109": 401, "106": 403, "117": 429, "0": 500, "": 400}),
    needs=MappingProxyType({"O01": "5609", "O02": "5614", "O03": "5603", "O05": "5611", "O06": "5610"}),
    malformed=MappingProxyType(
        {
            f"{_ROW}.ConversionName": "5605",
            f"{_ROW}.ConversionTime": "5607",
            f"{_ROW}.MicrosoftClickId": "5604",
            f"{_ROW}.ConversionValue": "5610",
            f"{_ROW}.ConversionCurrencyCode": "5611",
            f"{_ROW}.HashedEmailAddress": "ConversionEmailAddressIsNotHashed",
            f"{_ROW}.HashedPhoneNumber": "ConversionPhoneNumberIsNotHashed",
        }
    ),
    other_fields=(f"{_ROW}.ExternalAttributionCredit", f"{_ROW}.ExternalAttributionModel"),
    headers=MappingProxyType(
        {
            "CustomerId": "customer_id",
            "CustomerAccountId": "customer_account_id",
        }
    ),
    new_refresh_token=True,
    lacking=MappingProxyType({"DeveloperToken": "105", "CustomerId": "1029", "CustomerAccountId": "1030"}),
)

UET_SERVER = Server(
    refusals=MappingProxyType(
        {
            Refusal.NO_TOKEN: "Unauthorized",
            Refusal.WRONG_TOKEN: "Unauthorized",
            Refusal.EXPIRED_TOKEN: "Unauthorized",
            Refusal.UNREADABLE: "ValidationError",
            Refusal.EMPTY: "ValidationError",
            Refusal.TOO_MANY: "ValidationError",
            Refusal.BAD_FIELD: "ValidationError",
            Refusal.MISSING_FIELD: "Empty",
            Refusal.BAD_ROW: "ValidationError",
        }
    ),
    statuses=MappingProxyType({"Unauthorized": 401, "": 400}),
    needs=MappingProxyType({"U01": "InvalidEventTime", "U02": "InvalidEventTime", "U03": "Empty", "U04": "InvalidUrl"}),
    malformed=MappingProxyType(
        {
            "data[].eventType": "InvalidEnumValue",
            "data[].adStorageConsent": "InvalidEnumValue",
            "data[].eventTime": "InvalidEventTime",
        }
    ),
    dropped=MappingProxyType(
        {f"{_USER}.em": "InvalidSha256", f"{_USER}.ph": "InvalidSha256", "data[].referrerUrl": "InvalidUrl"}
    ),
    other_fields=(
        "data[].pageLoadId",
        "data[].pageTitle",
        "data[].keywords",
        f"{_USER}.anonymousId",
        f"{_USER}.idfa",
        f"{_USER}.gaid",
        *(
            f"{_CUSTOM}.{name}"
            for name in ("eventLabel", "eventValue", "searchTerm", "itemIds", "pageType", "ecommTotalValue")
        ),
        f"{_CUSTOM}.ecommCategory",
        f"{_CUSTOM}.hotelData.*",
    ),
    words=MappingProxyType(
        {
            "data[].eventType": MappingProxyType({"custom": "", "pageLoad": ""}),
            "data[].adStorageConsent": MappingProxyType({"G": "granted", "D": "denied"}),
        }
    ),
)
