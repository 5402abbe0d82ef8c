"""What Meta's server does with a request."""

from __future__ import annotations

from types import MappingProxyType

from capi_lab.platforms.server import Refusal, Server

__all__ = ["SERVER"]

_USER = "data[].user_data"

_OTHER_KEYS = (
    "subscription_id",
    "fb_login_id",
    "lead_id",
    "anon_id",
    "madid",
    "page_id",
    "page_scoped_user_id",
    "ctwa_clid",
    "ig_account_id",
    "ig_sid",
    "f5first",
    "f5last",
    "fi",
    "dobd",
    "dobm",
    "doby",
)

SERVER = Server(
    refusals=MappingProxyType(
        {
            Refusal.NO_TOKEN: "190",
            Refusal.WRONG_TOKEN: "190",
            Refusal.EXPIRED_TOKEN: "190",
            Refusal.BAD_VERSION: "100",
            Refusal.UNREADABLE: "100",
            Refusal.EMPTY: "100",
            Refusal.TOO_MANY: "100",
            Refusal.UNKNOWN_FIELD: "100",
            Refusal.BAD_FIELD: "100",
            Refusal.MISSING_FIELD: "100",
            Refusal.BAD_ROW: "100",
            Refusal.THROTTLED: "80004",
            Refusal.BROKEN: "2",
        }
    ),
    statuses=MappingProxyType({"1": 500, "2": 500, "80004": 429, "": 400}),
    needs=MappingProxyType(
        {
            "M01": "100/2804003",
            "M02": "100",
            "M03": "100/2804050",
            "M04": "100/2804050",
            "M05": "100",
            "M06": "100",
            "M07": "100",
            "M08": "100",
            "M09": "100/2804001",
            "M12": "100",
        }
    ),
    other_fields=(
        "partner_agent",
        "upload_id",
        "upload_tag",
        "upload_source",
        "namespace_id",
        "platforms.*",
        "progress.*",
        "trace",
        "data[].opt_out",
        "data[].data_processing_options",
        "data[].data_processing_options_country",
        "data[].data_processing_options_state",
        "data[].original_event_data.*",
        "data[].customer_segmentation",
        "data[].app_data.*",
        "data[].attribution_data.*",
        "data[].messaging_channel",
        "data[].advanced_measurement_table",
        "data[].custom_data.*",
        *(f"{_USER}.{name}" for name in _OTHER_KEYS),
    ),
    words=MappingProxyType(
        {
            "data[].action_source": MappingProxyType(
                {
                    "website": "web",
                    "app": "app",
                    "physical_store": "store",
                    "phone_call": "phone",
                    "email": "email",
                    "chat": "chat",
                    "other": "other",
                    "system_generated": "",
                    "business_messaging": "",
                }
            )
        }
    ),
    versions=("v24.0", "v25.0", "v26.0"),
)
