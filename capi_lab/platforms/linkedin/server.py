"""What LinkedIn's server does with a request."""

from __future__ import annotations

from types import MappingProxyType

from capi_lab.platforms.server import Refusal, Server

__all__ = ["SERVER"]

_USER = "elements[].user"

SERVER = Server(
    refusals=MappingProxyType(
        {
            Refusal.NO_TOKEN: "EMPTY_ACCESS_TOKEN",
            Refusal.WRONG_TOKEN: "INVALID_ACCESS_TOKEN",
            Refusal.EXPIRED_TOKEN: "EXPIRED_ACCESS_TOKEN",
            Refusal.BAD_VERSION: "NONEXISTENT_VERSION",
            Refusal.UNREADABLE: "http 400",
            Refusal.EMPTY: "http 400",
            Refusal.TOO_MANY: "http 400",
            Refusal.UNKNOWN_FIELD: "http 422",
            Refusal.BAD_FIELD: "http 422",
            Refusal.MISSING_FIELD: "http 422",
            Refusal.BAD_ROW: "http 422",
            Refusal.THROTTLED: "http 429",
        }
    ),
    statuses=MappingProxyType(
        {
            "EMPTY_ACCESS_TOKEN": 401,
            "INVALID_ACCESS_TOKEN": 401,
            "EXPIRED_ACCESS_TOKEN": 401,
            "VERSION_MISSING": 400,
            "NONEXISTENT_VERSION": 426,
            "http 400": 400,
            "http 422": 422,
            "http 429": 429,
        }
    ),
    needs=MappingProxyType({"L01": "http 400", "L02": "http 400", "L03": "http 422"}),
    other_fields=(
        f"{_USER}.lead",
        *(f"{_USER}.userInfo.{name}" for name in ("firstName", "lastName", "title", "companyName")),
    ),
    words=MappingProxyType(
        {
            f"{_USER}.userIds[].idType": MappingProxyType(
                {
                    "SHA256_EMAIL": "",
                    "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID": "",
                    "PLAINTEXT_IP_ADDRESS": "",
                    "ACXIOM_ID": "",
                    "SHA256_IP_ADDRESS": "",
                    "GOOGLE_AID": "",
                    "ORACLE_MOAT_ID": "",
                }
            )
        }
    ),
    headers=MappingProxyType({"LinkedIn-Version": "version"}),
    lacking=MappingProxyType({"LinkedIn-Version": "VERSION_MISSING"}),
    nulls=False,
    version_months=12,
)
