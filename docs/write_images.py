"""Draw the README's pictures anew from the shipped sample (`make docs`)."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

import capi_lab as cl

FOLDER = Path(__file__).with_name("images")


def main() -> None:
    """Write both."""
    mpl.use("Agg")
    shop = cl.load.sample("cdnow")
    rec = cl.reconcile(shop.conversions, shop.events, platform="meta")
    denied = shop.conversions["consent_ad_user_data"] == "denied"
    marks = shop.conversions[["conversion_id"]].assign(eligible=~denied, ineligible_reason="no_consent")
    drawn = {
        "coverage_by_country": cl.plots.plot_coverage(cl.coverage(rec, by="country"), title="Coverage by country"),
        "waterfall": cl.plots.plot_waterfall(cl.waterfall(rec, marks=marks)),
    }
    for name, ax in drawn.items():
        ax.figure.savefig(FOLDER / f"{name}.png", dpi=110, bbox_inches="tight", pad_inches=0.15)


if __name__ == "__main__":
    main()
