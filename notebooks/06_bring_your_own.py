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
# # 06 Bring your own data
#
# **Question.** How do the files you have become the tables everything here works on: orders, events, clicks?
#
# **Data.** One small file of each format the loaders read (`data/formats`), written as the formats' own documentation
# says such a file looks. All people in them are invented; six orders prove nothing about a shop. Put paths of your own
# into the next cell and run it again.
#
# **Answer.** Three calls load orders, pixel requests and a server log of your own making; two more lay them side by
# side and measure coverage, and two more bring click ids.
# Of the 6 orders the pixel saw 6 and the server 4, and 6 of 6 carry the click id of a logged visit.

# %% tags=["parameters"]
FOLDER = "../data/formats"
ORDERS = f"{FOLDER}/woocommerce.json"
PIXEL = f"{FOLDER}/har_meta.har"
CLICKS = f"{FOLDER}/ga4_clicks.jsonl"

# %%
# %matplotlib inline
import tempfile
from pathlib import Path

import pandas as pd

import capi_lab as cl

pd.set_option("display.width", 140, "display.max_columns", 12, "display.max_colwidth", 110)

# %% [markdown]
# ## What is this file?
# `cl.check` (on the command line `capi-lab check FILE`) knows a file by its content, loads it and says what is in it.
# It shows counts, never a person's data.

# %%
cl.check(ORDERS)

# %% [markdown]
# Every file of the folder at once. `usable` is false where something has to be said first; the last column says what.

# %%
seen = []
for path in sorted(Path(FOLDER).iterdir()):
    try:
        found = cl.check(path)
        rows = f"{found.report.rows_out:,}" if found.report else ""
        seen.append((path.name, found.format, rows, found.usable, "; ".join(found.reasons)))
    except cl.errors.CapiLabError as error:
        seen.append((path.name, "not recognised", "", False, str(error)))
files = pd.DataFrame(seen, columns=["file", "format", "rows", "usable", "why not"])
files

# %% [markdown]
# ## Times without a zone are not guessed at
# A guess would move orders across days, so you say which zone a file is in.

# %%
try:
    cl.load.ga4_fivetran(f"{FOLDER}/ga4_fivetran.csv")
except cl.errors.NaiveTimeError as error:
    print(error)
cl.load.ga4_fivetran(f"{FOLDER}/ga4_fivetran.csv", tz="UTC").report

# %% [markdown]
# ## Orders
# A shop's export has a loader of its own. Every row is accounted for: taken, or left out for a reason.

# %%
orders = cl.load.woocommerce_orders(ORDERS)
orders

# %% [markdown]
# ## Columns of your own
# What your server sent to the conversions API is nobody's format but yours. Map your names to ours; whatever is not
# mapped stays as it is. Here such a log is made up first, with a zone that is said, not guessed.

# %%
folder = Path(tempfile.mkdtemp())
sent = orders.df.head(4)
pd.DataFrame(
    {
        "Order": sent["conversion_id"],
        "Event": "Purchase",
        "Sent at": sent["event_time"].dt.tz_convert("Europe/Berlin").dt.strftime("%Y-%m-%d %H:%M:%S"),
        "Dedup": "e-" + sent.index.astype("str"),
        "Via": "capi",
    }
).to_csv(folder / "server.csv", index=False)

mapping = {
    "Order": "conversion_id",
    "Event": "event_name",
    "Sent at": "event_time",
    "Dedup": "event_id",
    "Via": "channel",
}
server = cl.load.table(folder / "server.csv", "events", columns=mapping, tz="Europe/Berlin")
server

# %% [markdown]
# ## What the browser sent
# Requests of all five platforms' pixels are read out of a HAR file, or out of a list of URLs.

# %%
pixel = cl.load.pixel_har(PIXEL)
# The pixel's dedup id, its event name and its order id: what Meta compares.
pixel.df[["channel", "event_name", "event_id", "conversion_id", "event_time"]].head(3)

# %% [markdown]
# ## Lay them beside the orders

# %%
names = ["row_id", "channel", "event_name", "event_id", "event_time", "conversion_id"]
events = pd.concat([pixel.df[names], server.df[names]], ignore_index=True)
rec = cl.reconcile(orders.df, events, platform="meta")
table = cl.coverage(rec)
ax = cl.plots.plot_coverage(table, title="Six orders: the intervals say how little that proves")
# %% [markdown]
# ## Click ids from the visits before
# Orders keep a click id only if the shop stored it. Analytics saw the landing page; `attach_clicks` brings the id of
# the person's last click over, never one that came after the order.

# %%
clicks = cl.load.ga4_clicks(CLICKS)
bare = orders.df.drop(columns=["gclid"])
with_ids = cl.attach_clicks(bare, clicks.df, on=["user_key"])
with_ids[["conversion_id", "gclid", "click_time"]].head(3)

# %%
by_setup = table.set_index("setup")
known = with_ids["gclid"].notna()
assert files.loc[~files["usable"], "file"].tolist() == [
    "click_view_csv.csv",
    "click_view_json.json",
    "ga4_fivetran.csv",
    "har_linkedin.har",
    "hubspot_fivetran.csv",
    "ledger_csv.csv",
], "bare times, a pixel that sends no ids, and names of one's own"
assert (by_setup.loc["pixel", "k"], by_setup.loc["capi", "k"], by_setup.loc["pixel", "n"]) == (6, 4, 6)
assert (with_ids.loc[known, "gclid"] == orders.df.loc[known, "gclid"]).all(), "everyone's own click"
assert known.all()
print(
    f"Pixel {by_setup.loc['pixel', 'k']:.0f}, server {by_setup.loc['capi', 'k']:.0f} of {len(known)} orders; "
    f"{known.sum()} of {len(known)} orders have a click id from the visits."
)
