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
# # 03 Simulate what if: which repair brings back how much?
#
# **Question.** The pixel misses orders, and the platform cannot tie all it hears of to a click. What would each repair
# bring: a cookie set by one's own server, phone numbers at checkout, fewer refusals?
#
# **Data.** A simulated shop (`origin` says so). Its inputs are graded: some are measured, most are assumed; see
# `cl.World.table()`. Replace them by your own before you believe a size.
#
# **Answer.** Recovering an *order* and recovering its *attribution* are two things. A cookie set by the shop's own
# server brings back no order; it keeps 3 more of 100 click ids, and attributes less than 1 more of 100 ad-driven
# orders, since many were found by e-mail anyway or fall outside the 7 days. Only consent moves both. The last cell
# checks this.

# %% tags=["parameters"]
PLATFORM = "meta"
ORDERS = 200_000
SEED = 7

# %%
# %matplotlib inline
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import capi_lab as cl

pd.set_option("display.width", 140, "display.max_columns", 14, "display.float_format", "{:.3f}".format)
world = cl.World()
sim = cl.simulate(world, rng=np.random.default_rng(SEED), n=20_000, platform=PLATFORM)
sim

# %% [markdown]
# ## What the world rests on
# Every number with its prior and how well it is known. `assumed` means that no usable source was found.

# %%
inputs = cl.World.table()
print(inputs["grade"].value_counts().to_string())
inputs[["name", "default", "low", "high", "grade", "source"]].head(12)

# %% [markdown]
# ## A simulated shop is measured like a real one
# Nothing downstream knows the difference; only here the truth is known as well.

# %%
rec = cl.reconcile(sim.conversions, sim.events, platform=PLATFORM)
measured = cl.coverage(rec).set_index("setup")
print(measured[["k", "n", "value", "low", "high"]].to_string())

# %% [markdown]
# ## What becomes of a click's id until the order
# Orders that an ad click precedes, by the first thing that took the id away.

# %%
fates = sim.truth.loc[sim.truth["ad_click"], "click_id_fate"].value_counts(normalize=True)
print(fates.to_string())

# %% [markdown]
# A log shows no fates. It shows where an id was seen last, of orders whose buyer was known on the landing already, and
# so which fix would have kept it.

# %%
funnel = cl.click_id_funnel(sim.clicks, None, sim.conversions, rec, platform=PLATFORM)
cl.plots.plot_click_id_funnel(funnel)
funnel

# %% [markdown]
# How long an id stays known is seen when people come back. Here everybody logs in and comes back once, to order; of a
# real log take all returns of people who log in, since buyers come back soon. Safari's day and week show as steps.

# %%
landed = sim.truth["click_row_id"].notna() & sim.conversions["browser"].isin(["Chrome", "Safari"])
buyers = sim.conversions[landed]
clicks = sim.clicks.set_index("click_row_id").loc[sim.truth.loc[landed, "click_row_id"]]
landings = pd.DataFrame(
    {
        "visit_row_id": "landing " + buyers["conversion_id"],
        "visit_time": clicks["click_time"].array,
        "page_url": clicks["landing_url"].array,
        "user_agent": clicks["user_agent"].array,
        "fbclid": clicks["click_id"].array,
        "user_key": buyers["conversion_id"],
    }
)
returns = pd.DataFrame(
    {
        "visit_row_id": "return " + buyers["conversion_id"],
        "visit_time": buyers["event_time"],
        "page_url": buyers["page_url"],
        "user_agent": buyers["user_agent"],
        "fbc": buyers["fbc"],
        "user_key": buyers["conversion_id"],
    }
)
survival = cl.click_id_survival(pd.concat([landings, returns]), platform=PLATFORM)
cl.plots.plot_click_id_survival(survival)
survival

# %% [markdown]
# ## Repairs, one at a time
# Under one seed two worlds have the same customers, orders and clicks; what a repair does not touch stays as it was. So
# differences are paired, and even small ones stand out.

# %%
repairs = {
    "cookie set under a CNAME": {"storage": "cloaked"},
    "cookie set by the own server": {"storage": "first_party"},
    "phone number always asked for (90 %)": {"phone_given": 0.9},
    "no typing errors": {"pii_bad": 0.0},
    "redirects keep the click id": {"param_lost": 0.0},
    "tag before the page can be left": {"page_left": 0.01},
    "half of refusals won over": {"consent_deny": {c: p / 2 for c, p in world.consent_deny.items()}},
    "what if Safari stripped ids everywhere": {"ltp_everywhere": True},
}


def figures(changed: dict) -> pd.Series:
    """Return the headline figures of the world with some fields changed."""
    settings = world.to_dict() | changed
    table = cl.headlines(cl.World.from_dict(settings), rng=np.random.default_rng(SEED), n=ORDERS, platform=PLATFORM)
    return table.set_index("headline")["value"]


base = figures({})
changes = pd.DataFrame({name: figures(changed) - base for name, changed in repairs.items()}).T
shown = ["pixel_coverage", "union_coverage", "click_id_recall", "recall_both"]
print(base[shown].to_string(), "\n")
print((100 * changes[shown]).to_string(float_format="{:+.1f}".format))

# %%
order = changes["recall_both"].sort_values().index
places = np.arange(len(order))
fig, ax = plt.subplots(figsize=(8, 4.2))
for shift, name, label, colour in (
    (0.2, "union_coverage", "orders that pixel or server report", "#0072B2"),
    (-0.2, "recall_both", "ad-driven orders attributed", "#E69F00"),
):
    bars = ax.barh(places + shift, 100 * changes.loc[order, name], height=0.36, label=label, color=colour)
    ax.bar_label(bars, fmt="%+.1f", padding=3, fontsize=8)
ax.set_yticks(places, order)
ax.axvline(0, color="black", linewidth=0.8)
ax.margins(x=0.12)
ax.set_xlabel("change in percentage points")
ax.set_title("Orders and attribution are won back by different repairs", loc="left", fontsize=11)
ax.legend(frameon=False, loc="lower right", fontsize=8)
ax.spines[["top", "right"]].set_visible(False)
fig.tight_layout()

# %% [markdown]
# ## One technology, two countries
# The same set-up under other consent: a blended figure hides it.

# %%
by_country = cl.headlines(world, rng=np.random.default_rng(SEED), n=ORDERS, platform=PLATFORM, by="country")
print(by_country.pivot(index="headline", columns="country", values="value").loc[shown].to_string())

# %%
storage = changes.loc["cookie set by the own server"]
assert storage["pixel_coverage"] == storage["union_coverage"] == 0, "a cookie loses no event"
assert 0.02 <= storage["click_id_recall"] <= 0.04, "the answer on top"
assert 0 < storage["recall_both"] < 0.01
consent = changes.loc["half of refusals won over"]
assert min(consent["union_coverage"], consent["recall_both"]) > 0.03
others = changes.drop("half of refusals won over")
assert (others["union_coverage"].abs() < 0.01).all(), "no other repair brings back orders that the server has anyway"
assert measured.loc["pixel", "k"] == sim.truth["seen_pixel"].sum(), "measured is the truth"
assert set(sim.conversions["origin"]) == {"simulated"}
print(
    f"Of {ORDERS:,} simulated orders, pixel or server report {base['union_coverage']:.1%}; {base['recall_both']:.1%} "
    f"of the ad-driven ones are attributed. In points: own cookie {100 * storage['recall_both']:+.1f}, half the "
    f"refusals {100 * consent['recall_both']:+.1f}. (simulated)"
)
assert set(funnel.rows("order")["fix"]) >= {"ask_consent", "own_server_cookie", "store_on_landing"}
known = survival.table[survival.table["days"] == 2].set_index("browser")["value"]
assert known["Safari"] < known["Chrome"] / 2, "Safari forgets after a day"
