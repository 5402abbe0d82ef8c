"""The platform's side: what it takes, counts, matches, attributes and reports of what it was sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capi_lab.errors import InputError, NaiveTimeError
from capi_lab.platforms import platform as platform_named
from capi_lab.platforms.deduper import Deduper
from capi_lab.platforms.received import read_requests
from capi_lab.platforms.wire import Request
from capi_lab.simulate.identify import Known, canonical_clicks, identifiers, match
from capi_lab.simulate.reported import reported
from capi_lab.tables import CLICKS, CONVERSIONS, EVENTS, checked
from capi_lab.words import Channel, Consent, MatchedBy

if TYPE_CHECKING:
    from datetime import datetime

    from capi_lab.platforms.route import Route
    from capi_lab.platforms.rules import MergeRule
    from capi_lab.platforms.spec import PlatformSpec
    from capi_lab.simulate.world import World

__all__ = ["Answer", "answer"]

_ROWS = (
    "row_id", "channel", "conversion_id", "event_name", "event_time", "received_time", "accepted", "kept",
    "drop_reason", "duplicate_of", "stratum", "matched", "matched_by", "attributed", "click_row_id", "click_time",
    "lag",
)  # fmt: skip
_PEOPLE = ("email", "phone", "user_key", "country")


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """What a platform makes of events.

    Parameters
    ----------
    platform, route : str
    rows : DataFrame
        What the platform knows: one row per event, in the order given; see `answer`.
    reports : DataFrame
        What it tells: contract ``reports``, with ``modelled`` (how much of ``count`` was never observed; no platform
        says).
    """

    platform: str
    route: str
    rows: pd.DataFrame
    reports: pd.DataFrame

    def __repr__(self) -> str:
        """Show counts, never rows."""
        rows, n = self.rows, len(self.rows)
        kept = rows[rows["kept"]]
        unknown = int(kept["attributed"].isna().sum())
        counts = {
            "accepted": int(rows["accepted"].sum()),
            "counted once": len(kept),
            "matched": int(kept["matched"].sum()),
            "attributed": int(kept["attributed"].fillna(False).sum()),
        }
        by = ", ".join(f"{way} {k:,}" for way, k in kept["matched_by"].value_counts().items())
        lines = [f"Answer of {self.platform} ({self.route}): {n:,} events received"]
        lines += [
            f"  {word:<12} {k:>10,}  ({k / n:.1%} of received)" if n else f"  {word}" for word, k in counts.items()
        ]
        lines += [f"  matched by   {by}"] if by else []
        lines += [f"  attribution not known for {unknown:,}: no clicks were given"] if unknown else []
        return "\n".join(lines)


def answer(
    events: pd.DataFrame | Sequence[Request],
    platform: str,
    world: World,
    rng: np.random.Generator | int,
    *,
    clicks: pd.DataFrame | None = None,
    conversions: pd.DataFrame | None = None,
    route: str | None = None,
    now: datetime | None = None,
) -> Answer:
    """Let a platform receive events, and return what it knows and what it would report.

    Parameters
    ----------
    events : DataFrame or sequence of Request
        Contract ``events``, of both channels or one; or requests of a wire's ``encode``, in the order they are sent.
    platform : str
        Whose rules; a name in `capi_lab.PLATFORMS`.
    world : World
        What the platform can match: ``account``, ``em_eq``, ``ph_eq``, ``ip_match``, ``signed_in_at_click``,
        ``cid_corrupt``, ``cid_foreign``, ``cid_invalid``, ``cid_optout``, ``pixel_signed_in``, ``modelled``.
    rng : numpy Generator or int
        The seed of the platform's knowledge (a Generator is asked for one number). With the same seed the same person
        and the same click id are answered alike, in every batch and any order.
    clicks : DataFrame, optional
        Contract ``clicks``: the clicks the platform saw. Without, a click id counts as one it knows, and whether a
        match lies in the window is known only for events that carry ``click_time``.
    conversions : DataFrame, optional
        Contract ``conversions``: who is behind each ``conversion_id``. Ties people to their clicks (``user_key``)
        where the events do not say it themselves, such as those of requests. The platform is told nothing by it.
    route : str, optional
        Default: the platform's default route.
    now : datetime, optional
        When events without ``received_time`` are received.

    Returns
    -------
    Answer
        ``.rows``: ``row_id``, ``channel``, ``conversion_id``, ``event_name``, ``event_time``, ``received_time``;
        ``accepted`` (bool: no older than the route takes, as far as a receipt is known); ``kept``, ``drop_reason``,
        ``duplicate_of`` (as `capi_lab.dedup`; what is not accepted, or a test, is not kept); ``stratum`` (a
        `capi_lab.words.Stratum`: the strongest thing it could be matched by); ``matched`` (bool: tied to a click or an
        account), ``matched_by`` (a `capi_lab.words.MatchedBy`); ``attributed`` (boolean, missing where not known: the
        click lies inside the platform's click window), ``click_row_id``, ``click_time``, ``lag`` (timedelta64[us]).

    Raises
    ------
    ContractError
        A table breaks its contract.
    InputError
        The events belong to another platform.
    NaiveTimeError
        ``now`` has no zone.
    UnknownNameError
        No such platform or route.

    Notes
    -----
    Accepted is not matched is not attributed: a row can be any of the first alone. Refused consent, and where the
    platform takes a missing one for refused, is accepted and not matched. A kept event has the keys its rule lets it
    take over from its copies (`DedupRule.merge`), and only those. Views are not simulated: attribution is by click.
    """
    spec = platform_named(platform).spec
    way = spec.route(route)
    seed = int(rng) if isinstance(rng, int | np.integer) else int(rng.integers(2**63))
    table = _received(events, spec, way, now)
    people = _people(table, conversions)
    accepted, counts = _accepted(table, way), _counted(table, way)
    table = table.assign(accepted=accepted, **_dedup(table, way, accepted & counts))
    if way.dedup.merge:
        table = _taken_over(table, way.dedup.merge)
    known = identifiers(table, people, spec)
    seen = None if clicks is None else _clicks(clicks, spec)
    by_person = _last_click(table["event_time"], _text(people, "user_key"), seen, "user_key")
    by_id = _last_click(table["event_time"], known.click, seen, "click")
    strata = known.stratum
    unseen = by_id["click_row_id"].isna() if seen is not None else pd.Series(False, index=table.index)
    clicker = by_person["click_row_id"].notna() | known.click.notna()
    usable = Known(known.email, known.phone, known.ip, known.click.mask(unseen), known.person)
    matched_by = match(
        usable, table["channel"], _text(table, "browser"), clicker.to_numpy(dtype=bool), world, platform, seed
    )
    matched_by = matched_by.mask(~accepted | _barred(table, spec))
    table = table.assign(stratum=strata, matched=matched_by.notna(), matched_by=matched_by)
    table = table.assign(**_attributed(table, by_id, by_person, spec, clicks_given=seen is not None))
    rows = table.reindex(columns=list(_ROWS))
    return Answer(platform, way.name, rows, reported(rows, spec, world, seed))


def _received(
    events: pd.DataFrame | Sequence[Request], spec: PlatformSpec, route: Route, now: datetime | None
) -> pd.DataFrame:
    if now is not None and now.tzinfo is None:
        raise NaiveTimeError("now has no zone")
    if isinstance(events, pd.DataFrame):
        table = checked(EVENTS, events)
        if "platform" in table and (others := int((table["platform"].fillna(spec.name) != spec.name).sum())):
            raise InputError(
                f"column 'platform' names another platform than {spec.name!r} in {others:,} rows: filter the events"
            )
    else:
        table = read_requests(events, spec, route)
    times = table["received_time"] if "received_time" in table else _no_times(table.index)
    return table.assign(received_time=times if now is None else times.fillna(pd.Timestamp(now).tz_convert("UTC")))


def _people(table: pd.DataFrame, conversions: pd.DataFrame | None) -> pd.DataFrame:
    """Return who is behind each row, as far as the ledger or the row itself says."""
    people = pd.DataFrame({name: _text(table, name) for name in ("user_key", "country")})
    if conversions is None:
        return people
    ledger = checked(CONVERSIONS, conversions).set_index("conversion_id")
    order = _text(table, "conversion_id")
    for name in _PEOPLE:
        told = order.map(_text(ledger, name)).astype("str")
        people[name] = people[name].fillna(told) if name in people else told
    return people


def _accepted(table: pd.DataFrame, route: Route) -> pd.Series:
    """Say which rows are neither too old nor of the future; the browser's are taken as they come."""
    limits = route.limits
    age = table["received_time"] - table["event_time"]
    most = _text(table, "action_source").map(dict(limits.max_age_of)).astype("timedelta64[us]")
    refused = (age > most.fillna(limits.max_age)) | (age < -limits.future) | table["event_time"].isna()
    return ~((table["channel"] == str(Channel.CAPI)) & refused)


def _counted(table: pd.DataFrame, route: Route) -> pd.Series:
    """Say which rows are not tests, where the platform does not count tests."""
    tests = [one.name for one in route.settings if not one.counts and one.name in table]
    return ~table[tests].notna().any(axis=1) if tests else pd.Series(True, index=table.index)


def _dedup(table: pd.DataFrame, route: Route, counts: pd.Series) -> dict[str, pd.Series]:
    rule, take = route.dedup, table[counts.to_numpy()]
    names = {"row_id", "channel", "event_name", *rule.key, *rule.instead}
    names |= set(rule.fallback.keys if rule.fallback else ())
    clock = take["received_time"].fillna(take["event_time"]).astype("int64")
    order = np.lexsort((take["row_id"], take["channel"] != str(Channel.PIXEL), clock))
    columns = {name: _objects(_column(take, name).iloc[order]) for name in sorted(names)}
    deduper, keys = Deduper(rule), list(columns)
    rows = zip(*columns.values(), strict=True)
    deduper.receive_all(
        (dict(zip(keys, values, strict=True)), at) for values, at in zip(rows, clock.iloc[order].tolist(), strict=True)
    )
    found = {row: deduper.verdict(row) for row in take["row_id"].tolist()}
    verdicts = [found.get(row) for row in table["row_id"]]
    return {
        "kept": pd.Series([one is not None and one.kept for one in verdicts], index=table.index, dtype="bool"),
        "drop_reason": _texts([one and one.drop_reason and str(one.drop_reason) for one in verdicts], table),
        "duplicate_of": _texts([one and one.duplicate_of for one in verdicts], table),
    }


def _taken_over(table: pd.DataFrame, rule: MergeRule) -> pd.DataFrame:
    """Fill what kept events lack from the copies their rule lets them take from, the earliest first."""
    fill = [name for name in rule.fill if name in table]
    gone = table[table["duplicate_of"].notna()]
    if gone.empty or not fill:
        return table
    place = pd.Series(np.arange(len(table)), index=table["row_id"])
    keeper = table.iloc[place.loc[gone["duplicate_of"]].to_numpy()].set_axis(gone.index)
    clock = gone["received_time"].fillna(gone["event_time"])
    gives = pd.Series(True, index=gone.index)
    if rule.across_channels_only:
        gives &= gone["channel"] != keeper["channel"]
    if rule.from_channel:
        gives &= gone["channel"] == str(rule.from_channel)
    if rule.within:
        gives &= (clock - keeper["received_time"].fillna(keeper["event_time"])).abs() <= rule.within
    if rule.fill_together:
        gives &= keeper[fill].isna().all(axis=1)
    giver = gone[gives].assign(clock=clock).sort_values(["clock", "row_id"])
    result = table.copy()
    for name in fill:
        given = giver.dropna(subset=name).drop_duplicates("duplicate_of").set_index("duplicate_of")[name]
        values = table["row_id"].map(given)
        result[name] = table[name].fillna(values.astype(table[name].dtype))
    return result


def _barred(table: pd.DataFrame, spec: PlatformSpec) -> pd.Series:
    """Say whose consent was refused, or is missing where the platform takes that for refused."""
    name = "consent_ad_user_data"
    if name not in table:
        return pd.Series(False, index=table.index)
    strict = _text(table, "country").str.upper().isin(spec.consent.missing_is_denied_in)
    return (table[name] == str(Consent.DENIED)) | (table[name].isna() & strict)


def _clicks(clicks: pd.DataFrame, spec: PlatformSpec) -> pd.DataFrame:
    """Return the platform's own clicks, in the order in which a later one wins."""
    seen = checked(CLICKS, clicks)
    seen = seen[seen["platform"] == spec.name]
    ids = seen["click_id"].astype("str")
    for param in seen["param"].unique():
        ids = ids.mask(seen["param"] == param, canonical_clicks(seen["click_id"], param, spec))
    seen = seen.assign(click=ids, user_key=_text(seen, "user_key"))
    return seen.sort_values(["click_time", "click_row_id"])[["click", "user_key", "click_time", "click_row_id"]]


def _last_click(times: pd.Series, keys: pd.Series, clicks: pd.DataFrame | None, on: str) -> pd.DataFrame:
    """Return the last click with an equal key that is not later than each row."""
    ids = pd.Series(None, index=times.index, dtype="str")
    nothing = pd.DataFrame({"click_row_id": ids, "click_time": _no_times(times.index)})
    if clicks is None:
        return nothing
    asked = pd.DataFrame({"at": times, "key": keys, "row": np.arange(len(times))}).dropna(subset=["at", "key"])
    known = clicks.dropna(subset=on)[["click_time", "click_row_id", on]].rename(columns={on: "key"})
    if asked.empty or known.empty:
        return nothing
    found = pd.merge_asof(asked.sort_values(["at", "row"]), known, left_on="at", right_on="click_time", by="key")
    return found.set_index("row").reindex(range(len(times)))[list(nothing.columns)].set_axis(times.index)


def _attributed(
    table: pd.DataFrame, by_id: pd.DataFrame, by_person: pd.DataFrame, spec: PlatformSpec, *, clicks_given: bool
) -> dict[str, pd.Series]:
    window = spec.window("click")

    def inside(time: pd.Series) -> pd.Series:
        lag = table["event_time"] - time
        soon = (lag <= window.default) if window.includes_end else (lag < window.default)
        return soon & (lag >= pd.Timedelta(0))

    # Who is known by an old click can have clicked again since.
    by_click = (table["matched_by"] == str(MatchedBy.CLICK_ID)) & inside(by_id["click_time"])
    row = by_id["click_row_id"].where(by_click, by_person["click_row_id"]).where(table["matched"])
    time = by_id["click_time"].where(by_click, by_person["click_time"])
    if not clicks_given and "click_time" in table:
        time = time.fillna(table["click_time"])  # the row's own word for it
    time = time.where(table["matched"])
    result = inside(time).astype("boolean")
    if not clicks_given:
        result = result.mask(table["matched"] & time.isna())
    lag = (table["event_time"] - time).astype("timedelta64[us]")
    return {"attributed": result, "click_row_id": row, "click_time": time, "lag": lag}


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    return frame[name] if name in frame else pd.Series(None, index=frame.index, dtype="str")


_text = _column


def _no_times(index: pd.Index) -> pd.Series:
    return pd.Series(pd.NaT, index=index, dtype="datetime64[us, UTC]")


def _texts(values: Sequence[str | None], like: pd.DataFrame) -> pd.Series:
    return pd.Series(list(values), index=like.index, dtype="str")


def _objects(series: pd.Series) -> list[object]:
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        series = series.astype("int64").where(series.notna())
    listed: list[object] = series.astype("object").where(series.notna(), None).tolist()
    return listed
