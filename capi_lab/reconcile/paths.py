"""Every click that leads to a conversion, in order of time, and how the credit is shared."""

from __future__ import annotations

from collections.abc import Sequence

import ibis

from capi_lab.engine import epoch_microseconds
from capi_lab.reconcile.lastclick import Claim, Level, levels
from capi_lab.words import CreditModel, Tie

__all__ = ["paths"]


def paths(
    conversions: ibis.Table, clicks: ibis.Table, claims: Sequence[Claim], keys: Sequence[str], model: CreditModel
) -> ibis.Table:
    """Return one row per conversion and click inside the window; ``lag`` in microseconds (int64).

    Parameters
    ----------
    conversions, clicks, claims, keys : as for `capi_lab.reconcile.lastclick.last_clicks`
    model : CreditModel
    """
    none = conversions.limit(0).select(
        conversion_id="conversion_id",
        click_row_id=ibis.null("string"),
        click_platform=ibis.null("string"),
        lag=ibis.null("int64"),
        tie=ibis.null("int64"),
    )
    words = [str(Tie.CLICK_ID), *keys]  # strongest first
    tied = [
        _pairs(conversions, level, words.index(level.word))
        for claim in claims
        for level in levels(conversions, clicks, claim, keys)
    ]
    pairs = ibis.union(none, *tied) if tied else none
    pairs = pairs.group_by("conversion_id", "click_row_id", "click_platform", "lag").aggregate(tie=pairs.tie.min())
    # As in `last_clicks`: each platform's claim rests on its strongest tie, and the latest claim is the last click.
    strongest = pairs.tie.min().over(group_by=[pairs.conversion_id, pairs.click_platform])
    pairs = pairs.mutate(claims=ibis.ifelse(pairs.tie == strongest, 0, 1))
    by_time = [pairs.lag.desc(), pairs.click_row_id]
    pairs = pairs.mutate(
        position=ibis.row_number().over(group_by=pairs.conversion_id, order_by=by_time) + 1,
        touches=pairs.click_row_id.count().over(group_by=pairs.conversion_id),
        from_last=ibis.row_number().over(
            group_by=pairs.conversion_id, order_by=[pairs.claims, pairs.lag, pairs.click_row_id.desc()]
        ),
    )
    shares = {
        CreditModel.LAST: ibis.ifelse(pairs.from_last == 0, 1.0, 0.0),
        CreditModel.FIRST: ibis.ifelse(pairs.position == 1, 1.0, 0.0),
        CreditModel.LINEAR: 1 / pairs.touches.cast("float64"),  # Spark takes 1.0 for a decimal
    }
    return pairs.select(
        "conversion_id",
        "click_row_id",
        "click_platform",
        tied_by=pairs.tie.cases(*enumerate(words)),
        lag=pairs.lag,
        position=pairs.position,
        touches=pairs.touches,
        credit=shares[model].cast("float64"),
    )


def _pairs(conversions: ibis.Table, level: Level, tie: int) -> ibis.Table:
    """Return the conversions and clicks one level ties, inside the claim's window."""
    asks = conversions.select("conversion_id", ask=level.asked, at=conversions.event_time)
    joined = asks.join(level.clicks, [asks.ask == level.clicks.key, asks.at >= level.clicks.click_time])
    lag = epoch_microseconds(joined.at) - epoch_microseconds(joined.click_time)
    return joined.filter(lag <= level.claim.longest).select(
        "conversion_id",
        "click_row_id",
        click_platform=ibis.literal(level.claim.platform, "string"),
        lag=lag,
        tie=ibis.literal(tie, "int64"),
    )
