"""Credit each conversion to the last ad click before it, under each platform's own click window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import ibis
import pandas as pd

from capi_lab.engine import TableLike, as_table, joins_asof, same_backend, same_kind, to_frame
from capi_lab.errors import ContractError, InputError, UnknownNameError
from capi_lab.platforms import PLATFORMS
from capi_lab.platforms import platform as platform_named
from capi_lab.reconcile.lastclick import Claim, IdTie, Spelling, last_clicks
from capi_lab.reconcile.paths import paths
from capi_lab.tables import CLICKS, CONVERSIONS
from capi_lab.words import CreditModel

__all__ = ["attribute", "one_per_click", "touches"]

Window = timedelta | Mapping[str, timedelta] | None


def attribute(
    conversions: TableLike,
    clicks: TableLike,
    window: Window = None,
    platform: str | None = None,
    *,
    on: str | Sequence[str] | None = None,
    end_inside: bool | None = None,
) -> pd.DataFrame | ibis.Table:
    """Say which ad click each conversion would be credited to.

    Parameters
    ----------
    conversions, clicks : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        Contracts `capi_lab.tables.CONVERSIONS` and `capi_lab.tables.CLICKS`.
    window : timedelta or mapping of platform to timedelta, optional
        How long before the conversion the click may be. Default: the click window in the platform's spec.
    platform : str, optional
        Look at this platform's clicks only: what *it* would claim. Default: the last of all platforms' claims, each
        within its own window; one conversion, one click. Platforms know only their own clicks, so their single claims
        add up to more than this.
    on : str or sequence of str, optional
        Columns of both tables that tie a conversion to clicks, strongest first, e.g. ``("user_key", "visitor_id")``.
        Default: ``user_key`` where both tables have it; ``()`` for click ids alone.
    end_inside : bool, optional
        Does a conversion exactly one window after the click count? Default: what each spec documents or assumes.

    Returns
    -------
    DataFrame, or Ibis table where ``conversions`` was a path or an Ibis table
        All conversions, with ``attributed`` (bool), ``click_row_id``, ``click_platform``, ``tied_by`` (``click_id``,
        or the name of the column in ``on``) and ``lag`` (from click to conversion: ``timedelta64[us]``; in an Ibis
        table int64 microseconds, for not every engine has durations); the last four missing where not attributed.

    Raises
    ------
    ContractError
        A table breaks its contract.
    InputError
        A column of ``on`` is missing or no text; nothing could tie the tables; a window is not positive, or not known
        for a platform in ``clicks``.
    UnknownNameError
        ``platform``, or one named in ``window``, is neither known nor in ``clicks``.

    Notes
    -----
    For each platform: (1) if a click id that the conversion carries stands in the clicks of that parameter, byte for
    byte, inside the window, the latest such click; an ``fbc`` is compared by the ``fbclid`` inside it; else (2) the
    latest click inside the window with the same value in the first column of ``on`` that gives one. A click at the
    same microsecond as the conversion counts, a later one never. Equally late clicks: the greatest ``click_row_id``.
    Neither row order nor file split changes a result.

    A click id proves a landing with that id; only for ids that networks append to ads alone (``gclid``) an ad click:
    Facebook appends ``fbclid`` to organic links too.
    """
    left, right, claims, keys = _claims(conversions, clicks, window, platform, on, end_inside)
    result = same_kind(conversions, last_clicks(left, right, claims, keys, asof=joins_asof(left, right)))
    if isinstance(result, pd.DataFrame):
        result = _with_durations(result)
        if isinstance(conversions, pd.DataFrame):
            ids = conversions["conversion_id"]
            result = result.set_index("conversion_id", drop=False).loc[ids].set_axis(conversions.index)
    return result


def touches(
    conversions: TableLike,
    clicks: TableLike,
    window: Window = None,
    platform: str | None = None,
    *,
    model: str = CreditModel.LAST,
    on: str | Sequence[str] | None = None,
    end_inside: bool | None = None,
) -> pd.DataFrame | ibis.Table:
    """List every click inside the window of each conversion, with its share of the credit.

    Parameters
    ----------
    conversions, clicks, window, platform, on, end_inside : as for `attribute`
    model : str
        A `capi_lab.words.CreditModel`: ``last`` (the click `attribute` names), ``first`` (the earliest) or
        ``linear`` (equal shares).

    Returns
    -------
    DataFrame, or Ibis table where ``conversions`` was a path or an Ibis table
        One row per conversion and click: ``conversion_id``, ``click_row_id``, ``click_platform``, ``tied_by`` (the
        strongest tie), ``lag`` (as in `attribute`), ``position`` (1 is the earliest), ``touches`` (clicks of this
        conversion) and ``credit`` (sums to 1 over a conversion). A DataFrame is sorted by conversion and position.
        Conversions without a click have no row.

    Raises
    ------
    ContractError, InputError, UnknownNameError
        As `attribute`; `UnknownNameError` also for an unknown ``model``.

    Notes
    -----
    All ties are taken together here, so that a path is whole: under ``last`` the credit of a conversion with a tie by
    click id can lie on another click than the one at the last position, which was tied by a weaker column.
    The answer has as many rows as there are pairs: one person with a million clicks gives a million to each of their
    conversions.
    """
    if model not in list(CreditModel):
        raise UnknownNameError("credit model", model, list(CreditModel))
    left, right, claims, keys = _claims(conversions, clicks, window, platform, on, end_inside)
    result = same_kind(conversions, paths(left, right, claims, keys, CreditModel(model)))
    if isinstance(result, pd.DataFrame):
        result = _with_durations(result).sort_values(["conversion_id", "position"], ignore_index=True)
    return result


def one_per_click(attributed: TableLike, *, action: str = "event_name") -> pd.DataFrame | ibis.Table:
    """Mark the conversions that count where an action counts one per ad click.

    Parameters
    ----------
    attributed : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        What `attribute` gave.
    action : str
        Column that names the conversion action; two actions count apart.

    Returns
    -------
    DataFrame, or Ibis table where the input was a path or an Ibis table
        All rows with ``counted_per_click`` (bool): attributed, and the first conversion of its click and action by
        ``event_time``, then ``conversion_id``.

    Raises
    ------
    ContractError
        A column that `attribute` adds is missing, or ``action``.

    Notes
    -----
    Google's ``ONE_PER_CLICK`` (see the source of ``dedup.one_per_click`` in docs/platforms.md): at most one per click
    inside the window. Under ``MANY_PER_CLICK`` every attributed conversion counts.
    """
    table = as_table(attributed, CONVERSIONS)
    absent = [(name, "column is missing", None) for name in ("click_row_id", action) if name not in table.columns]
    if absent:
        raise ContractError("attributed", absent)
    order = ibis.row_number().over(
        group_by=[table.click_row_id, table[action]], order_by=[table.event_time, table.conversion_id]
    )
    marked = table.mutate(counted_per_click=table.click_row_id.notnull() & (order == 0))
    if isinstance(attributed, str | Path | ibis.Table):
        return marked
    # The caller's own rows, marked: a duration does not come back from the engine as it went in.
    rows = attributed if isinstance(attributed, pd.DataFrame) else attributed.to_pandas()
    marks = to_frame(marked.select("conversion_id", "counted_per_click")).set_index("conversion_id")[
        "counted_per_click"
    ]
    return rows.assign(counted_per_click=marks.loc[rows["conversion_id"]].to_numpy())


def _claims(
    conversions: TableLike,
    clicks: TableLike,
    window: Window,
    platform: str | None,
    on: str | Sequence[str] | None,
    end_inside: bool | None,
) -> tuple[ibis.Table, ibis.Table, list[Claim], list[str]]:
    """Check both tables and settle who may claim by what."""
    left = as_table(conversions, CONVERSIONS)
    right = as_table(clicks, CLICKS, beside=left)
    same_backend(left, right)
    keys = tying_keys(left, right, on)
    kinds = to_frame(right.select("platform", "param").distinct())
    params = kinds.sort_values(["platform", "param"]).groupby("platform")["param"].agg(list).to_dict()
    if isinstance(window, Mapping):
        for name in window:
            if name not in PLATFORMS and name not in params:
                raise UnknownNameError("platform of window=", name, PLATFORMS)
    if platform is not None:
        if platform not in PLATFORMS and platform not in params:
            raise UnknownNameError("platform", platform, PLATFORMS)
        params = {name: found for name, found in params.items() if name == platform}
    claims = [
        claim(name, found, _window(name, window), left.columns, end_inside=end_inside)
        for name, found in sorted(params.items())
    ]
    if claims and not keys and not any(one.ids for one in claims):
        raise InputError(
            "nothing ties conversions to clicks: give both a 'user_key', name a column of both with on=, "
            "or give the conversions a click-id column"
        )
    return left, right, claims, keys


def tying_keys(conversions: ibis.Table, clicks: ibis.Table, on: str | Sequence[str] | None) -> list[str]:
    """Settle by which columns of both tables a click is a person's: those of ``on``, else ``user_key`` if there."""
    if on is None:
        return ["user_key"] if "user_key" in conversions.columns and "user_key" in clicks.columns else []
    keys = [on] if isinstance(on, str) else list(on)
    for name, table in ((CONVERSIONS.name, conversions), (CLICKS.name, clicks)):
        problems = [(key, "column of on= is missing", None) for key in keys if key not in table.columns]
        problems += [
            (key, f"is {table[key].type()}, must be text to tie by", None)
            for key in keys
            if key in table.columns and not table[key].type().is_string()
        ]
        if problems:
            raise ContractError(name, problems)
    return keys


def _window(name: str, window: Window) -> timedelta:
    given = window.get(name) if isinstance(window, Mapping) else window
    if given is None:
        if name not in PLATFORMS:
            raise InputError(
                f"clicks of a platform without a known click window; known: {', '.join(sorted(PLATFORMS))}: "
                "give window=, or choose with platform="
            )
        return platform_named(name).spec.window("click").default
    if not isinstance(given, timedelta) or given <= timedelta(0):
        raise InputError("window= must be a positive timedelta, or a mapping of platform to such")
    return given


def claim(
    name: str, params: Sequence[str], window: timedelta, columns: Sequence[str], *, end_inside: bool | None
) -> Claim:
    """Pair the click ids of one platform's clicks with the conversions' columns.

    Parameters
    ----------
    name : str
        The platform; one without a spec has its parameters as they are.
    params : sequence of str
        Those of its clicks.
    window : timedelta
    columns : sequence of str
        Of the conversions.
    end_inside : bool or None
        None for what the spec documents or assumes.
    """
    spec = PLATFORMS[name].spec if name in PLATFORMS else None
    rules = {rule.param: rule for rule in spec.click_ids} if spec else {}
    params = [param for param in params if param not in rules or rules[param].is_click]
    wraps = {param: rule.wraps for param, rule in rules.items() if rule.wraps}
    ids = []
    for bare in sorted({wraps[param].param if param in wraps else param for param in params}):
        spelled = [Spelling(bare), *(Spelling(outer, held) for outer, held in wraps.items() if held.param == bare)]
        here = tuple(one for one in spelled if one.name in columns)
        if here:
            ids.append(IdTie(here, tuple(one for one in spelled if one.name in params)))
    default = spec.window("click").includes_end if spec else True
    return Claim(name, window, default if end_inside is None else end_inside, tuple(ids), tuple(params))


def _with_durations(frame: pd.DataFrame) -> pd.DataFrame:
    frame["lag"] = pd.to_timedelta(frame["lag"], unit="us").astype("timedelta64[us]")
    return frame
