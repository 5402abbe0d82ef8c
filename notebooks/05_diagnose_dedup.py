# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 05 Diagnose dedup: why does the platform count some orders twice?
#
# **Question.** Pixel and conversions API both report an order. Which orders would the platform *not* count exactly
# once, what is wrong with each, and since when?
#
# **Data.** 12,000 real orders (CDNOW, dates shifted), reported by both channels without loss. Eight faults are laid on
# the log on purpose, so that every diagnosis can be held against the truth. Rows say `semi-synthetic`.
#
# **Answer.** 9 % of the pairs would be counted twice. Four in ten of them come from one release that put a prefix
# before the server's ids: between 3 and 17 August every second pair is broken. Each cause is found in at least 95 of
# 100 pairs that have it.

# %% tags=["parameters"]
PLATFORM = "meta"
ORDERS = 12_000
RELEASE, FIXED = "2026-08-03", "2026-08-17"
RATE = 0.01

# %%
# %matplotlib inline
import numpy as np
import pandas as pd

import capi_lab as cl

pd.set_option("display.width", 140, "display.max_columns", 12)
pd.set_option("display.float_format", lambda x: f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.4f}")

# %% [markdown]
# ## A log with faults we know
# `cl.World.lossless()` lets both channels report every order; `cl.inject` then breaks some pairs and keeps a record of
# each. With files of your own, start at the next heading.

# %%
orders = cl.load.sample("cdnow").conversions.sort_values("event_time").tail(ORDERS)
orders = orders.drop(columns=["event_id", "consent_ad_user_data"])
clean = cl.observe(orders, cl.World.lossless(), rng=np.random.default_rng(1), platform=PLATFORM)

everyday = [
    cl.faults.DropEventId(RATE),
    cl.faults.PadEventId(RATE),
    cl.faults.RenameEvent(RATE),
    cl.faults.SendLate(RATE),
    cl.faults.ReloadWithNewId(RATE),
    cl.faults.ChangeValue(RATE),
    cl.faults.DesyncEventId(RATE),
]
hit = cl.inject(clean.conversions, clean.events, everyday, rng=np.random.default_rng(2), disjoint=True)

# A release puts a prefix before half of the server's ids; two weeks later it is mended.
at = hit.conversions["event_time"]
during = hit.conversions[
    (at >= RELEASE) & (at < FIXED) & ~hit.conversions["conversion_id"].isin(hit.faults["conversion_id"])
]
theirs = hit.events["conversion_id"].isin(during["conversion_id"])
release = cl.inject(during, hit.events[theirs], [cl.faults.PrefixEventId(0.5)], rng=np.random.default_rng(3))

conversions = hit.conversions
events = pd.concat([hit.events[~theirs], release.events], ignore_index=True)
injected = pd.concat([hit.faults, release.faults], ignore_index=True)
injected["cause"].value_counts().to_frame("pairs broken on purpose")

# %% [markdown]
# ## What the platform would count
# Events are tied to orders, then the platform's rule is replayed in order of receipt. A pair is an order both channels
# report.

# %%
rec = cl.reconcile(conversions, events, platform=PLATFORM)
rec

# %% [markdown]
# ## What is wrong, and how often
# Every pair that is not simply deduplicated has a cause, or says `unknown`: nothing is guessed. A differing value does
# not break dedup, and is shown because it makes two reports of one sale disagree.

# %%
causes = cl.pair_causes(rec)
ax = cl.plots.plot_causes(causes)
# %% [markdown]
# ## Since when?
# A share that jumps on one day and falls on another is a release, not customers.

# %%
ax = cl.plots.plot_dedup_timeline(rec.pairs, conversions.set_index("conversion_id")["event_time"], days=2)
# %% [markdown]
# ## The evidence
# The two reports of a pair, side by side: the ids of the release differ by a prefix only. The fix is to send the same
# string from both sides.

# %%
broken = rec.pairs[rec.pairs["cause"] == "id_prefix_or_case"]
broken[["conversion_id", "outcome", "first_id", "second_id", "clock_difference"]].head()

# %% [markdown]
# ## Held against the truth
# Rows: what was done to the pair. Columns: what the diagnosis says. An id made up afresh leaves no trace of why, so
# `unknown` is the right answer there.

# %%
truth = injected.set_index("conversion_id")["cause"]
found = rec.pairs.set_index("conversion_id")["cause"].fillna("none")
confusion = pd.crosstab(truth.reindex(found.index).fillna("none").rename("done"), found.rename("found"))
confusion

# %%
pairs = len(rec.pairs)
twice = int((rec.pairs["outcome"] == "double_counted").sum())
by_cause = causes[causes["outcome"] == "double_counted"].set_index("cause")["k"]
right = pd.Series({c: confusion.loc[c, c] / confusion.loc[c].sum() for c in confusion.index})
days = conversions.set_index("conversion_id")["event_time"].reindex(broken["conversion_id"])
share = causes[causes["outcome"] == "double_counted"]["k"].sum() / pairs
assert right.min() >= 0.95, "each cause is found where it was laid"
assert round(share, 2) == 0.09, "the answer on top"
assert 0.35 < by_cause.max() / twice < 0.45
assert by_cause.idxmax() == "id_prefix_or_case"
assert (days >= pd.Timestamp(RELEASE, tz="UTC")).all()
assert (days < pd.Timestamp(FIXED, tz="UTC")).all()
assert set(conversions["origin"]) == {"semi-synthetic"}
print(
    f"{twice:,} of {pairs:,} pairs ({twice / pairs:.1%}) would be counted twice; {by_cause.max() / twice:.0%} of them "
    f"by the prefix. Each cause was found in at least {right.min():.0%} of the pairs that have it. (semi-synthetic)"
)
