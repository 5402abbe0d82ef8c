"""What TikTok's server does with a request: it answers HTTP 200 to nearly everything, the code decides."""

from __future__ import annotations

from types import MappingProxyType

from capi_lab.platforms.server import Refusal, Server

__all__ = ["SERVER"]

SERVER = Server(
    refusals=MappingProxyType(
        {
            Refusal.NO_TOKEN: "40104",
            Refusal.WRONG_TOKEN: "40105",
            Refusal.EXPIRED_TOKEN: "40102",
            Refusal.UNREADABLE: "40000",
            Refusal.EMPTY: "40061",
            Refusal.TOO_MANY: "40061",
            Refusal.BAD_FIELD: "40002",
            Refusal.MISSING_FIELD: "40002",
            Refusal.BAD_ROW: "40002",
            Refusal.THROTTLED: "40100",
            Refusal.BROKEN: "50000",
            Refusal.THERE: "40050",
        }
    ),
    statuses=MappingProxyType({"": 200}),
    needs=MappingProxyType(
        {"T01": "40002", "T02": "40002", "T04": "40002", "T06": "40002", "T07": "40002", "T09": "40002"}
    ),
    malformed=MappingProxyType(
        {
            f"data[].user.{name}": "40062"
            for name in ("email", "phone", "external_id", "first_name", "last_name", "zip_code")
        }
    ),
    other_fields=(
        "partner_name",
        "data[].app.*",
        "data[].ad.*",
        "data[].lead.*",
        "data[].device.*",
        "data[].limited_data_use",
        *(f"data[].user.{name}" for name in ("locale", "idfa", "idfv", "gaid", "att_status")),
        *(
            f"data[].properties.{name}"
            for name in ("content_ids", "num_items", "search_string", "query", "description", "shop_id")
        ),
        "data[].properties.customer_type",
        "data[].properties.contents[].content_category",
        "data[].properties.contents[].brand",
    ),
    words=MappingProxyType(
        {"event_source": MappingProxyType({"web": "", "offline": "", "app": "", "crm": ""})},
    ),
)
