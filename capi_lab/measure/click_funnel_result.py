"""What `capi_lab.click_id_funnel` returns: steps as rates, losses row by row, and what would keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape

import pandas as pd

from capi_lab.errors import UnknownNameError
from capi_lab.words import ClickFix, ClickStep

__all__ = ["ClickIdFunnel"]

_BASE = (str(ClickStep.BOUGHT), str(ClickStep.CAME))


@dataclass(frozen=True, repr=False, eq=False)
class ClickIdFunnel:
    """How far a platform's click ids get.

    Parameters
    ----------
    platform : str
    by : tuple of str
        Columns of the groups.
    table : DataFrame
        One row per group and observed step: those of ``by``, ``unit`` (``clicks`` or ``orders``), ``step`` (a word of
        `capi_lab.words.ClickStep`), ``k`` (passed), ``n``, ``value`` (k/n), ``low``, ``high``, ``method``, ``level``,
        ``denominator``, ``lost`` (n - k; for ``came``, 0: most orders follow no ad click) and ``not_observed`` (got to
        the step, and nothing shows whether they passed it; in no denominator).
    unseen : mapping
        Steps nothing was given for, and what would show them. They are not in the table: unknown is not zero.
    notes : tuple of str
    lost : DataFrame
        One row per id lost: ``step``, ``unit``, ``fix`` (a word of `capi_lab.words.ClickFix`), ``conversion_id``
        (of orders), ``click_row_id`` (the click's row in clicks, or in visits), ``tied_by``, ``lag``, ``lag_band``,
        ``browser``, ``landing_path``, ``hop``, ``reply_code``, and those of ``by``.
    """

    platform: str
    by: tuple[str, ...]
    table: pd.DataFrame
    unseen: Mapping[str, str]
    notes: tuple[str, ...]
    lost: pd.DataFrame

    def rows(self, step: str) -> pd.DataFrame:
        """Return the rows of `lost` behind one step.

        Raises
        ------
        UnknownNameError
            No such step.
        """
        if step not in list(ClickStep):
            raise UnknownNameError("step", step, list(ClickStep))
        return self.lost[self.lost["step"] == step].reset_index(drop=True)

    @cached_property
    def fixes(self) -> pd.DataFrame:
        """What would keep the ids, step by step, the greatest first.

        Those of ``by``, ``step``, ``fix``, ``k`` (ids it would keep), ``n`` (lost at the step), ``value`` (k/n) and
        ``remedy``.
        """
        keys = [*self.by, "step"]
        counts = self.lost.groupby([*keys, "fix"], dropna=False, as_index=False).agg(k=("unit", "size"))
        n = counts.groupby(keys, dropna=False)["k"].transform("sum")
        order = {str(step): place for place, step in enumerate(ClickStep)}
        counts = counts.assign(n=n, value=counts["k"] / n, remedy=[ClickFix(word).remedy for word in counts["fix"]])
        counts = counts.assign(_step=counts["step"].map(order))
        by = [*self.by, "_step", "k", "fix"]
        counts = counts.sort_values(by, ascending=[name != "k" for name in by], ignore_index=True)
        return counts[[*keys, "fix", "k", "n", "value", "remedy"]]

    @property
    def headline(self) -> str:
        """The funnel in a sentence or two."""
        at = self._lines().set_index("step")
        parts = []
        if str(ClickStep.LANDED) in at.index:
            one = at.loc[str(ClickStep.LANDED)]
            parts.append(f"Of {one.n:,} clicks bought {one.value:.1%} landed with their id.")
        orders = at[(at["unit"] == "orders") & (at.index != str(ClickStep.CAME)) & (at["n"] > 0)]
        if len(orders):
            kept = float(orders["value"].prod())
            worst = orders["value"].idxmin()
            one = orders.loc[worst]
            parts.append(
                f"Of ids behind orders {kept:.1%} get through every step observed; "
                f"the most are lost at '{ClickStep(worst).label}' ({one.lost:,} of {one.n:,})."
            )
        return " ".join(parts) or "Nothing of the way of a click id was observed."

    def _lines(self) -> pd.DataFrame:
        """Add the groups up; their intervals cannot be."""
        if not self.by or self.table.empty:
            return self.table
        sums = self.table.groupby(["unit", "step", "denominator"], sort=False, as_index=False)[
            ["k", "n", "lost", "not_observed"]
        ].sum()
        sums = sums.assign(value=sums["k"] / sums["n"].where(sums["n"] > 0), low=float("nan"), high=float("nan"))
        order = {str(step): place for place, step in enumerate(ClickStep)}
        return sums.sort_values("step", key=lambda steps: steps.map(order), ignore_index=True)

    def _shown(self) -> list[tuple[str, str, str, str, float]]:
        """Return a line for each step there is: label, k of n, share, interval, value."""
        at = {row.step: row for row in self._lines().itertuples(index=False)}
        lines = []
        for step in ClickStep:
            row = at.get(str(step))
            if row is None:
                if str(step) in self.unseen:
                    lines.append((step.label, "not observed", "", self.unseen[str(step)], float("nan")))
                continue
            interval = f"{row.low:.1%} – {row.high:.1%}" if pd.notna(row.low) and row.step != _BASE[0] else ""
            share = f"{row.value:.1%}" if pd.notna(row.value) else ""
            lines.append((step.label, f"{row.k:,} of {row.n:,}", share, interval, row.value))
        return lines

    def _losses(self) -> list[str]:
        """Say in a line each what would keep the most ids."""
        if self.lost.empty:
            return []
        counts = self.lost.groupby(["step", "fix"], as_index=False).agg(k=("unit", "size"))
        counts = counts.sort_values(["k", "step", "fix"], ascending=[False, True, True])
        return [
            f"{row.k:,} lost at '{ClickStep(row.step).label}': {row.fix} – {ClickFix(row.fix).remedy}"
            for row in counts.head(5).itertuples(index=False)
        ]

    def __repr__(self) -> str:
        lines = [f"ClickIdFunnel for {self.platform}: {self.headline}"]
        for label, counts, share, interval, _ in self._shown():
            lines.append(f"  {label:<28}{counts:>22}  {share:>7}  {interval}".rstrip())
        lines += [f"  {line}" for line in self._losses()]
        lines += [f"  note: {note}" for note in self.notes]
        lines += [f"  by {', '.join(self.by)}: see .table"] if self.by else []
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Draw a table with bars, in inline styles that hold on light and dark pages, without script."""
        cell = "padding:2px 10px;text-align:right;border:0"
        left = "padding:2px 10px;text-align:left;border:0;max-width:30em;overflow-wrap:anywhere;white-space:normal"
        body = []
        for label, counts, share, interval, value in self._shown():
            width = min(max(value, 0.0), 1.0) * 140 if pd.notna(value) else 0
            bar = f'<div style="width:{width:.0f}px;height:10px;background:rgba(0,114,178,0.8)"></div>'
            body.append(
                f'<tr style="background:transparent"><td style="{left}">{escape(label)}</td>'
                f'<td style="{cell}">{escape(counts)}</td><td style="{cell}">{share}</td>'
                f'<td style="{left}">{escape(interval)}</td><td style="{left}">{bar}</td></tr>'
            )
        notes = [*self._losses(), *(f"note: {note}" for note in self.notes)]
        notes += [f"by {', '.join(self.by)}: see .table"] if self.by else []
        told = "".join(f'<div style="opacity:0.8">{escape(note)}</div>' for note in notes)
        return (
            f'<div style="color:inherit;font-size:13px"><div style="margin-bottom:6px">{escape(self.headline)}</div>'
            f'<table style="border-collapse:collapse;color:inherit;background:transparent">'
            f"<tbody>{''.join(body)}</tbody></table>{told}</div>"
        )
