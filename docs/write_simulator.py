"""Write the measured tables of docs/simulator.md, between its two marks (`make docs`)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

import capi_lab as cl
from capi_lab.simulate.headlines import HEADLINES, click_id_survival_by_lag, headlines
from capi_lab.simulate.world import World
from capi_lab.words import Storage

PAGE = Path(__file__).with_name("simulator.md")
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
SEED, N = 20261123, 500_000
INDEPENDENT = replace(World(), privacy_rho=0.0)

# What the first version of this simulator gave for the same world: Meta, Google, TikTok, LinkedIn.
SHEET = {
    "pixel_coverage": (0.616,) * 4,
    "server_coverage": (0.794,) * 4,
    "union_coverage": (0.800,) * 4,
    "click_id_match": (0.858,) * 4,
    "click_id_match_any": (0.930, 0.905, 0.924, 0.925),
    "click_id_attributed": (0.817, 0.858, 0.817, 0.858),
    "pii_only_match": (0.393, 0.385, 0.216, 0.192),
    "pii_ad_match": (0.50, 0.33, 0.47, 0.47),
    "pii_ad_attributed": (0.40, 0.33, 0.38, 0.47),
    "pii_attributed": (0.049, 0.034, 0.046, 0.058),
    "click_id_recall": (0.675, 0.733, 0.675, 0.675),
    "recall_pixel": (0.419, 0.451, 0.417, 0.447),
    "recall_both": (0.617, 0.630, 0.608, 0.662),
}
PLATFORMS = ("meta", "google", "tiktok", "linkedin", "microsoft")


def value(world: World, name: str, platform: str = "meta", **group: str) -> float:
    """Return one headline; of one group where a column and its value are given."""
    by = next(iter(group), None)
    table = headlines(world, rng=np.random.default_rng(SEED), n=N, platform=platform, by=by)
    rows = table["headline"] == name
    for column, wanted in group.items():
        rows &= table[column] == wanted
    return float(table.loc[rows, "value"].iloc[0])


def table_of(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    """Yield a table's lines."""
    for row in (head, ["---"] * len(head), *rows):
        yield "| " + " | ".join(row) + " |"
    yield ""


def lines() -> Iterator[str]:
    """Yield the page's measured part."""
    found = {
        p: headlines(INDEPENDENT, rng=np.random.default_rng(SEED), n=N, platform=p).set_index("headline")["value"]
        for p in PLATFORMS
    }
    yield f"{N:,} orders, seed {SEED}, `privacy_rho=0`; in brackets the prototype of the calibration sheet.\n"
    rows = []
    for name in HEADLINES:
        sheet = SHEET.get(name, ())
        cells = [
            f"{found[p][name]:.3f}" + (f" ({sheet[i]:.3f})" if i < len(sheet) else "") for i, p in enumerate(PLATFORMS)
        ]
        rows.append([f"`{name}`", HEADLINES[name], *cells])
    yield from table_of(["headline", "what / of what", *(cl.PLATFORMS[p].spec.title for p in PLATFORMS)], rows)

    yield "Pixel coverage by country, and with the gate off:\n"
    table = headlines(INDEPENDENT, rng=np.random.default_rng(SEED), n=N, by="country")
    pixel = table[table["headline"] == "pixel_coverage"].set_index("country")["value"]
    no_gate = replace(INDEPENDENT, consent_gate=False)
    nobody = no_gate.with_values(dict.fromkeys([f"consent_deny.{c}" for c in INDEPENDENT.consent_deny], 0.0))
    sheet = {"US": "0.72", "GB": "0.58", "FR": "0.46", "DE": "0.43"}
    row = [f"{pixel[c]:.3f} ({s})" for c, s in sheet.items()]
    row += [f"{value(nobody, 'pixel_coverage'):.3f} (0.768)", f"{value(no_gate, 'server_coverage'):.3f} (0.990)"]
    yield from table_of([*sheet, "pixel, nobody asked", "server, gate off"], [row])

    yield "Click-id recall in the US by storage, Safari and others:\n"
    us = replace(World.preset("US"), privacy_rho=0.0)
    sheet_of = {"meta": ("0.55", "0.62", "0.65"), "google": ("0.60", "0.71", "0.77")}
    rows = []
    for platform, sheet_row in sheet_of.items():
        for lag in ("ecom", "criteo"):
            world = replace(us, **_lag_of(lag))
            safari, others = (
                [value(replace(world, storage=s), "click_id_recall", platform, safari=who) for s in Storage]
                for who in ("Safari", "others")
            )
            brackets = [f" ({s})" for s in sheet_row] if lag == "ecom" else [""] * 3
            title = cl.PLATFORMS[platform].spec.title
            cells = [f"{v:.3f}{s}" for v, s in zip(safari, brackets, strict=True)]
            rows.append([f"{title}, lag `{lag}`", *cells, f"{others[0]:.3f}"])
    yield from table_of(["", *(f"Safari, `{s}`" for s in Storage), "others, any"], rows)

    yield "Captured click ids still there at the order, US, `js_cookie` (sheet: Safari 1.00/.51/.17/.00, others "
    yield "1.00/.62/.58/.51):\n"
    kept = click_id_survival_by_lag(us, rng=np.random.default_rng(SEED), n=N)
    wide = kept.pivot(index="browser", columns="lag", values="value")[list(dict.fromkeys(kept["lag"]))]
    yield from table_of(["browser", *wide.columns], [[b, *(f"{v:.3f}" for v in row)] for b, row in wide.iterrows()])

    yield "What if Safari stripped click ids everywhere (US, Meta)?\n"
    names = {"click_id_recall": ("0.68", "0.52"), "recall_both": ("0.72", "0.66"), "recall_pixel": ("0.49", "0.38")}
    rows = []
    for name, (before, after) in names.items():
        now, then = (value(replace(us, ltp_everywhere=x), name) for x in (False, True))
        rows.append([f"`{name}`", f"{now:.3f} ({before})", f"{then:.3f} ({after})"])
    yield from table_of(["headline", "today", "stripped everywhere"], rows)

    yield "Losses that depend within a person (`privacy_rho`), pixel coverage:\n"
    rhos = {0.0: "0.616", 0.2: "0.634", 0.4: "0.654", 0.6: "0.676"}
    cells = [f"{value(replace(World(), privacy_rho=r), 'pixel_coverage'):.3f} ({s})" for r, s in rhos.items()]
    yield from table_of([str(r) for r in rhos], [cells])


def _lag_of(name: str) -> dict[str, float]:
    world = World.preset(lag=name)
    return {f: getattr(world, f) for f in ("lag_same", "lag_median_days", "lag_sigma", "lag_max_days")}


def main() -> None:
    """Rewrite the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{chr(10).join(lines())}{END}{after}", encoding="utf-8")
    sys.stdout.write(f"{PAGE.name} written\n")


if __name__ == "__main__":
    main()
