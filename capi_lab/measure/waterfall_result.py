"""What `capi_lab.waterfall` returns: tables, a sentence, and a check that nothing got lost on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import NamedTuple

import ibis
import pandas as pd

from capi_lab.engine import to_frame
from capi_lab.words import Channel, Fate, Step

__all__ = ["Remark", "Waterfall"]

_BAR = {Fate.THROUGH: "0,114,178", Fate.IGNORED: "140,146,156", Fate.FAILED: "213,94,0"}
_LOST = {Fate.IGNORED: "ignored", Fate.FAILED: "failed", Fate.UNKNOWN: "of unknown fate"}
_SHOWN = 12  # lines of reasons a step may take in text before the small ones are added up


class Remark(NamedTuple):
    """What the buckets cannot show, in words; ``fewest`` is the smallest number of conversions it names."""

    text: str
    fewest: int | None = None


@dataclass(frozen=True, repr=False, eq=False)
class Waterfall:
    """How far the ledger's conversions got, each of them in exactly one bucket.

    Parameters
    ----------
    platform : str
    steps : tuple of Step
        Those measured; without receipts, for one, nothing is known of ``accepted``.
    by : tuple of str
        Columns of the groups.
    table : DataFrame
        Rows of kind ``step`` (how many got this far) and of kind ``bucket`` (where they ended; these sum to the
        ledger). Columns: those of ``by``, ``kind``, ``step``, ``bucket``, ``reason``, ``fate`` (`capi_lab.words.Fate`),
        ``k`` (conversions), ``k_pixel`` (of these, seen by the pixel), ``n`` (conversions in the ledger), ``value``
        (k/n), ``low``, ``high``, ``method``, and ``amount_...`` for each currency.
    amounts : DataFrame
        The same rows in money, a block per ``currency``: ``k``, ``k_pixel`` and ``n`` are amounts, ``value`` the share
        of the currency's amount; ``conversions_k``, ``conversions_n`` count the conversions behind them. Those
        without a value take no part.
    reported : DataFrame
        The platform's own totals over the ledger's days: ``metric``, ``stratum``, ``days``, ``k`` with the
        platform's bounds ``low_k`` and ``high_k``, and as shares of the ledger's ``n``: ``value``, ``low``, ``high``.
        No sampling interval, and not tied to conversions: a platform may count what the ledger does not have.
    remarks : tuple of Remark
    silent : tuple of Channel
        Those the platform reads and the log holds no event of: what they reported is not known.
    bucket_table : Ibis table
        `buckets` where they lie.
    ledger : Ibis table
    order : Series or None
        The caller's conversion ids, where a frame was given.
    """

    platform: str
    steps: tuple[Step, ...]
    by: tuple[str, ...]
    table: pd.DataFrame
    amounts: pd.DataFrame
    reported: pd.DataFrame
    remarks: tuple[Remark, ...]
    silent: tuple[Channel, ...]
    bucket_table: ibis.Table
    ledger: ibis.Table
    order: pd.Series | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """The remarks in words."""
        return tuple(remark.text for remark in self.remarks)

    @cached_property
    def buckets(self) -> pd.DataFrame:
        """One row per conversion: its ``step``, ``bucket``, ``reason``, ``fate``, and what they rest on.

        ``brought_by`` says which setup got it to the platform (missing: none did); ``sent`` and ``reply`` tell of the
        server's copy.
        """
        frame = to_frame(self.bucket_table)
        if self.order is None:
            return frame
        return frame.set_index("conversion_id", drop=False).loc[self.order].reset_index(drop=True)

    @cached_property
    def conservation(self) -> pd.DataFrame:
        """Laws that must hold, counted anew: ``law``, ``expected``, ``found``, ``holds``."""
        ledger, rows = self.ledger, self.bucket_table
        n = int(to_frame(ledger.aggregate(n=ledger.count()))["n"].iloc[0])
        placed = rows.semi_join(ledger, "conversion_id")
        found = to_frame(placed.aggregate(rows=placed.count(), ids=placed.conversion_id.nunique())).iloc[0]
        buckets = self.table[self.table["kind"] == "bucket"]
        at = self.table[self.table["kind"] == "step"].groupby("step")["k"].sum()
        laws: list[tuple[str, float, float]] = [
            ("every conversion has a bucket", n, found["ids"]),
            ("no conversion has two", n, found["rows"]),
            ("buckets sum to the ledger", n, buckets["k"].sum()),
        ]
        left = n
        for step in self.steps:
            if step is Step.PIXEL:
                seen = to_frame(ledger.aggregate(n=ledger.seen_pixel.sum()))["n"].iloc[0]
                laws.append(("step pixel is what the pixel saw", seen, at[str(step)]))
                continue
            lost = buckets[(buckets["step"] == str(step)) & (buckets["fate"] != str(Fate.THROUGH))]
            left -= int(lost["k"].sum())
            laws.append((f"step {step} is the step before less its losses", left, at[str(step)]))
        laws += self._amount_laws()
        table = pd.DataFrame(laws, columns=["law", "expected", "found"]).astype({"expected": float, "found": float})
        gap = (table["expected"] - table["found"]).abs()
        return table.assign(holds=gap <= 1e-9 * table["expected"].abs().clip(lower=1.0))

    def _amount_laws(self) -> Iterator[tuple[str, float, float]]:
        if self.amounts.empty:
            return
        ledger = self.ledger
        currency = ledger.currency if "currency" in ledger.columns else ibis.null("string")
        sums = to_frame(ledger.group_by(unit=currency.fill_null("")).aggregate(amount=ledger["value"].sum()))
        whole = sums.set_index("unit")["amount"].dropna()
        buckets = self.amounts[self.amounts["kind"] == "bucket"]
        found = buckets.groupby(buckets["currency"].fillna(""))["k"].sum()
        for unit, amount in whole.sort_index().items():
            yield f"amounts in {unit or 'no currency'} sum to the ledger's", amount, found.get(unit, 0.0)

    @property
    def headline(self) -> str:
        """The waterfall in one sentence."""
        return self.sentence(self._lines())

    def sentence(self, lines: pd.DataFrame) -> str:
        """Say it in one sentence.

        Parameters
        ----------
        lines : DataFrame
            `table` of a waterfall without groups, as it is or as `capi_lab.suppress_small` leaves it.

        Returns
        -------
        str
            What is suppressed is not said; empty where nothing is left to say.
        """
        at = lines[lines["kind"] == "step"].set_index("step")["k"]
        n, pixel, server = (at.get(str(step), 0) for step in (Step.TRUTH, Step.PIXEL, Step.SERVER))
        if pd.isna([n, pixel, server]).any():
            return ""
        both = Step.PIXEL in self.steps
        saw = f"the pixel saw {pixel:,.0f}" if both and Channel.PIXEL not in self.silent else None
        brought = f"the server adds {server - pixel:,.0f}" if saw else f"the server sent {server:,.0f}"
        parts = [what for what in (saw, None if Channel.CAPI in self.silent else brought) if what]
        parts = [f"Of {n:,.0f} conversions {', '.join(parts) or 'the log tells nothing'}"]
        lost = lines[lines["kind"].eq("bucket") & lines["fate"].isin([str(fate) for fate in _LOST])]
        unreported = lost["step"] == str(Step.SERVER)
        for which, where, always in ((unreported, "", True), (~unreported, " after that", False)):
            mine = lost[which]
            if mine["k"].notna().all() and (always or mine["k"].sum()):
                k = int(mine["k"].sum())
                parts.append(f"{k:,} {'is' if k == 1 else 'are'} lost{where}{_kinds(mine)}")
        return "; ".join(parts) + "."

    def _footer(self) -> list[str]:
        """Say below the table what the steps are worth in each currency, and the notes."""
        money = []
        steps = self.amounts[self.amounts["kind"] == "step"].fillna({"currency": "no currency"})
        for currency, rows in steps.groupby("currency"):
            k = rows.groupby("step", sort=False)["k"].sum()
            n = k.iloc[0]
            shares = [f"{Step(step).label} {amount / n:.1%}" for step, amount in k.iloc[1:].items()] if n else []
            money.append(f"{currency} {n:,.2f}: " + ", ".join(shares))
        return money + [f"note: {note}" for note in self.notes]

    def _lines(self) -> pd.DataFrame:
        """Add the groups up; their intervals cannot be."""
        if not self.by:
            return self.table
        label = ["kind", "step", "bucket", "reason", "fate"]
        counts = self.table.groupby(label, dropna=False, sort=False, as_index=False)[["k", "k_pixel"]].sum()
        n = int(counts.loc[0, "k"])
        return counts.assign(n=n, value=counts["k"] / n if n else float("nan"), low=float("nan"), high=float("nan"))

    def __repr__(self) -> str:
        lines = [f"Waterfall for {self.platform}: {self.headline}"]
        adds = Step.PIXEL in self.steps and not self.silent
        rows = _short(self._lines())
        wide = min(max(rows["text"].str.len().max() + 2, 36), 72)
        for row in rows.itertuples(index=False):
            name = row.text if len(row.text) <= wide else row.text[: wide - 1] + "…"
            interval = f"  {row.low:6.1%} – {row.high:.1%}" if pd.notna(row.low) and row.step != str(Step.TRUTH) else ""
            added = f"  (the server adds {row.k - row.k_pixel:,})" if adds and row.text == Step.SERVER.label else ""
            lines.append(f"  {name:<{wide}}{row.k:>12,}  {row.value:7.1%}{interval}{added}".rstrip())
        for row in self.reported[self.reported["stratum"] == "all"].itertuples(index=False):
            bounds = f"  ({row.low_k:,.0f} – {row.high_k:,.0f})" if row.low_k < row.high_k else ""
            lines.append(f"  {f'platform reports {row.metric}':<{wide}}{row.k:>12,.0f}  {row.value:7.1%}{bounds}")
        lines += [f"  {remark}" for remark in self._footer()]
        lines += [f"  by {', '.join(self.by)}: see .table"] if self.by else []
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Draw a table with bars, in inline styles that hold on light and dark pages, without script."""
        cell = "padding:2px 10px;text-align:right;border:0"
        left = "padding:2px 10px;text-align:left;border:0;max-width:30em;overflow-wrap:anywhere;white-space:normal"
        head = "".join(f'<th style="{left if not i else cell}">{name}</th>' for i, name in enumerate(_HEAD))
        body = []
        for row in _short(self._lines()).itertuples(index=False):
            step = row.kind == "step"
            colour = _BAR[Fate.THROUGH] if step else _BAR.get(row.fate, "140,146,156")
            share = min(max(float(row.value), 0.0), 1.0) if pd.notna(row.value) else 0.0
            bar = (
                f'<div style="width:{share * 140:.0f}px;min-width:1px;height:10px;'
                f'background:rgba({colour},{0.9 if step else 0.6})"></div>'
            )
            shown = pd.notna(row.low) and row.step != str(Step.TRUTH)
            interval = f"{row.low:.1%} – {row.high:.1%}" if shown else ""
            weight = "font-weight:bold;" if step else "padding-left:2em;"
            body.append(
                f'<tr style="background:transparent"><td style="{left};{weight}">{escape(row.text)}</td>'
                f'<td style="{cell}">{row.k:,}</td><td style="{cell}">{row.value:.1%}</td>'
                f'<td style="{cell}">{interval}</td><td style="{left}">{bar}</td></tr>'
            )
        for row in self.reported[self.reported["stratum"] == "all"].itertuples(index=False):
            bounds = f"{row.low:.1%} – {row.high:.1%}" if row.low_k < row.high_k else ""
            body.append(
                f'<tr style="background:transparent"><td style="{left};font-style:italic">platform reports '
                f'{escape(row.metric)}</td><td style="{cell}">{row.k:,.0f}</td><td style="{cell}">{row.value:.1%}</td>'
                f'<td style="{cell}">{bounds}</td><td style="{cell}"></td></tr>'
            )
        notes = "".join(f'<div style="opacity:0.8">{escape(remark)}</div>' for remark in self._footer())
        return (
            f'<div style="color:inherit;font-size:13px"><div style="margin-bottom:6px">{escape(self.headline)}</div>'
            f'<table style="border-collapse:collapse;color:inherit;background:transparent">'
            f"<thead><tr>{head}</tr></thead>"
            f"<tbody>{''.join(body)}</tbody></table>{notes}</div>"
        )


_HEAD = ("", "conversions", "of the ledger", "interval", "")


def _kinds(lost: pd.DataFrame) -> str:
    """Say how many were lost in which way, and the most frequent reason of each."""
    kinds = []
    for fate, word in _LOST.items():
        mine = lost[lost["fate"] == str(fate)]
        if k := int(mine["k"].sum()):
            first = mine.sort_values(["k", "bucket", "reason"], ascending=[False, True, True]).iloc[0]
            name = _name(first) if len(mine) == 1 else f"most: {_name(first)} {int(first['k']):,}"
            kinds.append(f"{k:,} {word} ({name})")
    return ": " + ", ".join(kinds) if kinds else ""


def _name(row: pd.Series) -> str:
    bucket = str(row["bucket"])
    return bucket if pd.isna(row["reason"]) else f"{bucket}: {row['reason']}"


def _text(row: pd.Series) -> str:
    """Name a line: the step, or what was lost with the fate before it, or by which way the rest got through."""
    if row["kind"] == "step":
        return Step(row["step"]).label
    named = (str(Fate.IGNORED), str(Fate.FAILED), str(Fate.UNKNOWN))
    fate = f"{row['fate']}: " if row["fate"] in named else ""
    return f"{'·' if row['fate'] == str(Fate.THROUGH) else '−'} {fate}{_name(row)}"


def _short(lines: pd.DataFrame) -> pd.DataFrame:
    """Name each line; add up small reasons of a bucket that has very many."""
    lines = lines.assign(text=[_text(row) for _, row in lines.iterrows()])
    rank = lines.groupby(["step", "fate", "bucket"], dropna=False)["k"].rank(method="first", ascending=False)
    rest = (lines["kind"] == "bucket") & (rank > _SHOWN)
    if not rest.any():
        return lines
    summed = lines[rest].groupby(["step", "fate", "bucket"], sort=False)[["k", "k_pixel", "value"]].sum()
    many = lines[rest].groupby(["step", "fate", "bucket"], sort=False).size()
    last = lines[(lines["kind"] == "bucket") & (rank == _SHOWN)]
    extra = []
    for index, row in last.iterrows():
        key = (row["step"], row["fate"], row["bucket"])
        if key in summed.index:
            text = _text(row.where(row.index != "reason", f"{many[key]} other reasons"))
            changed = {"text": text, "low": float("nan"), "high": float("nan")}
            extra.append(pd.Series({**row, **summed.loc[key], **changed}, name=index + 0.5))
    short = pd.concat([lines[~rest], pd.DataFrame(extra)]).sort_index()
    return short.astype({"k": "int64", "k_pixel": "int64"})
