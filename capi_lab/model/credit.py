"""Sharing conversions among the channels of their paths: seven rules, and how far unseen touches could move them.

Formulas: position, decay and linear shares as platforms document them; Shapley value of the unanimity game (a path pays
if all its channels take part), whose closed form is an equal split over the channels of each path; Markov chain of
order 1, removal effects from the exact solution of its absorption probabilities. None of them is causal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capi_lab.errors import ContractError, InputError, UnknownNameError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CREDIT_RULES", "credit"]

CREDIT_RULES = ("first", "last", "linear", "position", "decay", "shapley", "markov")


def credit(
    paths: pd.DataFrame,
    model: str = "last",
    *,
    separator: str = " > ",
    half_life: float = 1.0,
    unseen: float = 0.0,
) -> pd.DataFrame:
    """Share the conversions of paths among the channels on them.

    Parameters
    ----------
    paths : DataFrame
        One row per path: ``path`` (channels in order of time, a list or one text), ``conversions`` (how many paths of
        this kind converted), optionally ``value`` (of these conversions together, money) and ``nulls`` (paths of this
        kind that did not convert; only ``markov`` uses them).
    model : str
        ``first``, ``last``, ``linear``, ``position`` (40 % each to first and last, the rest shared), ``decay`` (a touch
        counts half as much every ``half_life`` touches back), ``shapley`` (equal shares of a path's distinct
        channels), ``markov`` (removal effects, order 1).
    separator : str
        Between channels, where ``path`` is text.
    half_life : float
        In touches, of ``decay``.
    unseen : float
        Largest share of conversions whose path may lack touches, for want of consent or of a click id, say. Any of
        these may owe everything or nothing to a channel: ``low`` and ``high`` are what that leaves possible.

    Returns
    -------
    DataFrame
        One row per channel, most credit first: ``channel``, ``credit`` (conversions), ``n`` (all conversions),
        ``share`` (credit/n), ``low``, ``high`` (bounds of ``credit``; sharp under ``unseen``; missing for ``markov``
        unless ``unseen`` is 0, since its credit is no sum over paths), ``value_credit`` where ``value`` is there, and
        ``removal_effect`` for ``markov``. Credits sum to ``n``.

    Raises
    ------
    ContractError
        A column is missing, negative or not finite, or a path has no channel.
    UnknownNameError
        No such model.
    InputError
        ``half_life`` or ``unseen`` is out of range, or nothing converted.
    """
    if model not in CREDIT_RULES:
        raise UnknownNameError("credit model", model, CREDIT_RULES)
    if not half_life > 0:
        raise InputError("half_life must be positive, in touches")
    if not 0 <= unseen <= 1:
        raise InputError("unseen is a share of the conversions, between 0 and 1")
    table = _Paths(paths, separator)
    n = float(table.conversions.sum())
    if n <= 0:
        raise InputError("no path converted: there is nothing to share")
    effects = None
    if model == "markov":
        effects = table.removal_effects()
        total = effects.sum()
        shares = effects / total if total > 0 else np.full(len(effects), 1 / len(effects))
        given = n * shares
        value = table.value.sum() * shares
        bounds = given if unseen == 0 else np.full(len(given), np.nan)
        low = high = bounds
    else:
        weights = table.weights(model, half_life)
        given = table.summed(weights * table.conversions[table.path])
        value = table.summed(weights * table.value[table.path])
        low, high = table.bounds(weights, unseen * n)
    result = pd.DataFrame(
        {"channel": table.channels, "credit": given, "n": n, "share": given / n, "low": low, "high": high}
    )
    if "value" in paths:
        result["value_credit"] = value
    if effects is not None:
        result["removal_effect"] = effects
    return result.sort_values(["credit", "channel"], ascending=[False, True], ignore_index=True)


class _Paths:
    """Touches one after the other, by path: ``path`` and ``channel`` of each, and its place from either end."""

    def __init__(self, paths: pd.DataFrame, separator: str) -> None:
        absent = [(name, "column is missing", None) for name in ("path", "conversions") if name not in paths]
        if absent:
            raise ContractError("paths", absent)
        self.conversions = _amounts(paths, "conversions")
        self.value = _amounts(paths, "value")
        self.nulls = _amounts(paths, "nulls")
        split = [_channels(one, separator) for one in paths["path"]]
        lengths = np.array([len(one) for one in split], dtype=np.int64)
        if (lengths == 0).any():
            raise ContractError("paths", [("path", "has no channel", int((lengths == 0).sum()))])
        names = pd.Series([channel for one in split for channel in one], dtype="str")
        codes, channels = pd.factorize(names, sort=True)
        self.channels = channels.astype("str")
        self.channel = codes.astype(np.int64)
        self.path = np.repeat(np.arange(len(split)), lengths)
        self.length = lengths[self.path]
        self.place = np.arange(len(codes)) - np.repeat(np.cumsum(lengths) - lengths, lengths)

    def summed(self, amounts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up an amount of each touch by channel."""
        return np.bincount(self.channel, weights=amounts, minlength=len(self.channels)).astype(float)

    def weights(self, model: str, half_life: float) -> NDArray[np.float64]:
        """Return each touch's share of its path; shares of a path sum to 1."""
        last = self.place == self.length - 1
        if model == "first":
            return np.asarray(self.place == 0, dtype=float)
        if model == "last":
            return np.asarray(last, dtype=float)
        if model == "linear":
            return np.asarray(1.0 / self.length)
        if model == "position":
            inner = 0.2 / np.maximum(self.length - 2, 1)
            ends = np.where(self.length == 1, 1.0, np.where(self.length == 2, 0.5, 0.4))
            return np.asarray(np.where((self.place == 0) | last, ends, inner))
        if model == "decay":
            raw = 0.5 ** ((self.length - 1 - self.place) / half_life)
            return np.asarray(raw / np.bincount(self.path, weights=raw)[self.path])
        # Shapley of the unanimity game: the first touch of each distinct channel carries an equal share.
        keys = self.path * len(self.channels) + self.channel
        first = np.zeros(len(keys), dtype=bool)
        first[np.unique(keys, return_index=True)[1]] = True
        return np.asarray(first / np.bincount(self.path, weights=first)[self.path])

    def bounds(self, weights: NDArray[np.float64], free: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what each channel keeps, and gets, at worst and at best, if ``free`` conversions may owe anything."""
        n = len(self.channels)
        keys = self.channel * len(self.conversions) + self.path
        found, place = np.unique(keys, return_inverse=True)
        share = np.bincount(place, weights=weights)
        channel, path = np.divmod(found, len(self.conversions))
        conversions = self.conversions[path]
        whole = np.bincount(channel, weights=share * conversions, minlength=n)
        low, high = np.empty(n), np.empty(n)
        total = self.conversions.sum()
        for c in range(n):  # a handful of channels
            own = channel == c
            by_share = np.argsort(-share[own], kind="stable")
            s, k = share[own][by_share], conversions[own][by_share]
            taken = np.clip(free - (np.cumsum(k) - k), 0, k)  # those that give most lose it first
            low[c] = whole[c] - (s * taken).sum()
            without = total - k.sum()  # conversions that give nothing now could give all
            left = max(free - without, 0.0)
            gained = min(free, without)
            again = np.clip(left - (np.cumsum(k[::-1]) - k[::-1]), 0, k[::-1])
            high[c] = whole[c] + gained + ((1 - s[::-1]) * again).sum()
        return low, high

    def removal_effects(self) -> NDArray[np.float64]:
        """Return 1 - P(conversion without the channel) / P(conversion), from the chain's exact solution."""
        n = len(self.channels)
        starts = self.conversions + self.nulls
        start, conversion, null = n, n + 1, n + 2
        counts = np.zeros((n + 3, n + 3))
        first, last = self.place == 0, self.place == self.length - 1
        np.add.at(counts, (start, self.channel[first]), starts)
        np.add.at(counts, (self.channel[last], conversion), self.conversions)
        np.add.at(counts, (self.channel[last], null), self.nulls)
        inner = ~last
        np.add.at(counts, (self.channel[inner], self.channel[1:][inner[:-1]]), starts[self.path[inner]])
        rows = counts.sum(axis=1, keepdims=True)
        chain = np.divide(counts, rows, out=np.zeros_like(counts), where=rows > 0)
        whole = _reached(chain, n, None)
        return np.array([1 - _reached(chain, n, c) / whole for c in range(n)]) if whole > 0 else np.zeros(n)


def _reached(chain: NDArray[np.float64], n: int, removed: int | None) -> float:
    """Return the probability of a conversion; whoever would go to the removed channel is lost."""
    keep = [c for c in range(n + 1) if c != removed]  # channels and, as the last one, the start
    between = chain[np.ix_(keep, keep)]
    solved = np.linalg.solve(np.eye(len(keep)) - between, chain[keep, n + 1])
    return float(solved[-1])


def _amounts(paths: pd.DataFrame, name: str) -> NDArray[np.float64]:
    if name not in paths:
        return np.zeros(len(paths))
    amounts = pd.to_numeric(paths[name], errors="coerce").to_numpy(dtype=float)
    wrong = ~np.isfinite(amounts) | (amounts < 0)
    if wrong.any():
        raise ContractError("paths", [(name, "is negative or no number", int(wrong.sum()))])
    return np.asarray(amounts)


def _channels(path: str | Sequence[str], separator: str) -> list[str]:
    if isinstance(path, str):
        path = path.split(separator)
    try:
        found = [str(channel).strip() for channel in path if not pd.isna(channel)]
    except TypeError:
        return []  # a missing path
    return [channel for channel in found if channel]
