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
# # 00 Quick tour: four questions in five minutes
#
# **Question.** What does the pixel miss, would the platform count each order once, how often does it know the person
# behind a server event, and how do the missing orders get there, each once?
#
# **Data.** A *simulated* shop: 12,000 orders, what pixel and server reported of them, and what a platform that plays by
# Meta's documented rules would answer. Nothing leaves this machine.
#
# **Answer.** The pixel reports six orders in ten, pixel and server together eight in ten. A server event with a click
# id is matched in nine cases of ten, one with hashed e-mail or phone only in four of ten. The orders the pixel missed
# are then sent to a local sandbox, each once: a second plan finds nothing to send.

# %% tags=["parameters"]
PLATFORM = "meta"
ORDERS = 12_000
SEED = 7

# %%
# %matplotlib inline
import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd

import capi_lab as cl

pd.set_option("display.width", 140, "display.max_columns", 12)
pd.set_option("display.float_format", lambda x: f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.4f}")
world = cl.World()
shop = cl.simulate(world, rng=np.random.default_rng(SEED), n=ORDERS, platform=PLATFORM)
shop

# %% [markdown]
# ## 1. Coverage: what does the pixel miss?
# Orders of the ledger beside what each channel reported. Next: `01_compare_coverage`.

# %%
rec = cl.reconcile(shop.conversions, shop.events, platform=PLATFORM)
covered = cl.coverage(rec)
ax = cl.plots.plot_coverage(covered, title="The server brings back half of what the pixel misses")
# %% [markdown]
# ## 2. Dedup: would each order be counted once?
# The platform's rule is replayed; a pair it would not merge has a cause. Next: `05_diagnose_dedup`.

# %%
causes = cl.pair_causes(rec)
ax = cl.plots.plot_causes(causes)
# %% [markdown]
# ## 3. Match: how often does the platform know who it was?
# A number without its stratum says little: events with a click id are matched by it, the others by hashed e-mail, phone
# or address. Here a simulated platform answers.

# %%
server = shop.events[shop.events["channel"] == "capi"]
answer = cl.answer(server, PLATFORM, world, np.random.default_rng(SEED + 1), clicks=shop.clicks)
rates = cl.match_rate(answer.rows)
rates[["stratum", "k", "n", "value", "low", "high"]]

# %% [markdown]
# ## 4. Send: what the pixel missed, each once
# A plan shows what would leave and what not, with reasons; its fingerprint is the approval. The sandbox answers like
# the platform; its clock stands at the end of the simulated shop, and what is more than a week old is too old for Meta.
# To go live with real orders: an outbox file that stays where it is, `datetime.now(UTC)` as `now`, no `host=`, `env=`
# and `clock=`, and the credential in the environment (docs/sending.md).

# %%
outbox = Path(tempfile.mkdtemp()) / "outbox.sqlite"
now = shop.conversions["event_time"].max() + timedelta(minutes=5)
settings = {"dataset_id": "123456789012345"}
with cl.Sandbox(seed=SEED, now=now) as box:
    known = {"settings": settings, "outbox": outbox, "now": now, "host": box.url(PLATFORM)}
    plan = cl.plan(shop.conversions, PLATFORM, only="gap", rec=rec, **known)
    approved = {"approve": plan.fingerprint, "env": box.credentials(PLATFORM)}
    receipt = cl.send(plan, **approved, progress=False, clock=lambda: now)
    again = cl.plan(shop.conversions, PLATFORM, only="gap", rec=rec, **known)
    arrived = box.counted(PLATFORM)
plan

# %%
receipt

# %%
value = covered.set_index("setup")["value"]
matched = rates.set_index("stratum")["value"]
planned = int((plan.rows["action"] == "send").sum())
assert 0.55 <= value["pixel"] <= 0.70
assert 0.74 <= value["pixel+capi"] <= 0.86
assert 0.85 <= matched["click_id"] <= 0.97
assert 0.30 <= matched["pii_only"] <= 0.50
assert int((receipt.rows["status"] == "accepted").sum()) == planned > 0
assert not (again.rows["action"] == "send").any(), "a second run has nothing to send"
print(
    f"Pixel {value['pixel']:.0%}, pixel + CAPI {value['pixel+capi']:.0%} of {ORDERS:,} orders. Matched with a click "
    f"id {matched['click_id']:.0%}, with hashed data only {matched['pii_only']:.0%}. {planned:,} orders sent to the "
    "sandbox, none of them twice. (simulated)"
)
