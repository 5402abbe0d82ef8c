"""Changes of conversions that are there: refunds, other values, enhancements."""

from __future__ import annotations

import pandas as pd
import pytest

import capi_lab as cl
from tests.contracts.examples import NOW, ROUTES, SETTINGS, example_rows, wire_of
from tests.sandbox.posting import opened, post

CORRECTABLE = [key for key in ROUTES if wire_of(*key).route.corrections.url]


@pytest.mark.parametrize(("platform", "route"), CORRECTABLE)
def test_a_refund_takes_a_conversion_back_once(platform: str, route: str) -> None:
    """Sent by our own sender: what is retracted no longer counts, a restatement changes no count."""
    settings = SETTINGS[platform, route]
    rows = example_rows(4, correction_time=pd.Timestamp(NOW).as_unit("us"))
    clock = {"clock": lambda: NOW, "sleep": lambda _: None, "progress": False}
    with cl.Sandbox(seed=1, now=NOW) as box, cl.Outbox(":memory:") as outbox:
        where = {"route": route, "settings": settings, "outbox": outbox, "now": NOW, "host": box.url()}
        plan = cl.plan(rows.drop(columns="correction_time"), platform, **where)
        cl.send(plan, approve=plan.fingerprint, **clock)
        assert box.counted(platform, route) == 4
        for kind, n, left in (("restate", 4, 4), ("retract", 2, 2)):
            plan = cl.correct(rows.head(n).assign(value=1.0), platform, kind=kind, **where)
            receipt = cl.send(plan, approve=plan.fingerprint, **clock)
            assert receipt.rows["status"].tolist() == ["accepted"] * n
            assert box.counted(platform, route) == left
        assert box.received(platform, route)["counted"].tolist() == [False, False, True, True]


@pytest.mark.parametrize("by", ["order id", "click"])
def test_the_ads_api_names_what_cannot_be_corrected(by: str) -> None:
    """Nothing there, taken back before, the same value before: each row has its own code, index 0 too."""
    wire, settings = wire_of("google", "ads_api"), SETTINGS["google", "ads_api"]
    rows = example_rows(3, correction_time=pd.Timestamp(NOW).as_unit("us"))
    rows["gclid"] = [f"{one}{i}" for i, one in enumerate(rows["gclid"])]
    (sent,) = wire.encode(rows.head(2).drop(columns="correction_time"), settings)
    with cl.Sandbox(seed=1, now=NOW) as box, opened() as client:
        post(box, client, sent, wire.route)

        def codes(kind: str) -> list[str]:
            (request,) = wire.correct(rows, settings, kind=kind)
            if by == "click":
                for row in request.json["conversionAdjustments"]:
                    at = rows["conversion_id"].tolist().index(row.pop("orderId"))
                    when = rows["event_time"].iloc[at].strftime("%Y-%m-%d %H:%M:%S+00:00")
                    row["gclidDateTimePair"] = {"gclid": rows["gclid"].iloc[at], "conversionDateTime": when}
            return [one.code for one in wire.decode(post(box, client, request, wire.route), request)]

        assert codes("restate") == ["", "", "CONVERSION_NOT_FOUND"]
        assert codes("restate") == ["RESTATEMENT_ALREADY_EXISTS"] * 2 + ["CONVERSION_NOT_FOUND"]
        assert codes("retract") == ["", "", "CONVERSION_NOT_FOUND"]
        assert codes("retract") == ["CONVERSION_ALREADY_RETRACTED"] * 2 + ["CONVERSION_NOT_FOUND"]
        assert box.counted("google", "ads_api") == 0


def test_an_enhancement_is_no_conversion() -> None:
    """It adds to a conversion of the tag: taken once, said to be done before the second time, never counted."""
    wire, settings = wire_of("google", "ads_api"), SETTINGS["google", "ads_api"] | {"operation": "enhancement"}
    (request,) = wire.encode(example_rows(2), settings)
    with cl.Sandbox(seed=1, now=NOW) as box, opened() as client:
        for code in ("", "CONVERSION_ALREADY_ENHANCED"):
            outcomes = wire.decode(post(box, client, request, wire.route), request)
            assert {(str(one.status), one.code) for one in outcomes} == {("accepted", code)}
        assert box.counted("google", "ads_api") == 0
