"""Make the shipped sample again: real CDNOW orders, tracked by a simulated pixel and server.

Usage::

    python data/make_cdnow.py

It needs pip and npm with a registry each; it fetches the package ``Lifetimes`` 0.11.3 (MIT; holds
``CDNOW_master.txt``) and the npm package ``caniuse-db`` (CC BY 4.0), checks the order log's digest, and
writes the files described in ``data/README.md``. Same versions and seed, same files.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from capi_lab.simulate import World, observe

HERE = Path(__file__).resolve().parent
SEED = 20261123
SHIFT = pd.Timedelta(weeks=1478)  # whole weeks: weekdays and seasons keep their place
LIFETIMES = "Lifetimes==0.11.3"
CDNOW_FILE = "lifetimes/datasets/CDNOW_master.txt"
CDNOW_SHA256 = "eff6889ed364c5199d6eacbbeb7a6d559971df4406ac876f322c373f00a072ef"
CANIUSE = "caniuse-db@1.0.30001813"

# caniuse's agent -> browser, operating system (empty where the data do not say), device class
AGENTS = {
    "chrome": ("Chrome", "", "desktop"),
    "and_chr": ("Chrome", "Android", "mobile"),
    "ios_saf": ("Safari", "iOS", "mobile"),
    "safari": ("Safari", "macOS", "desktop"),
    "edge": ("Edge", "", "desktop"),
    "firefox": ("Firefox", "", "desktop"),
    "and_ff": ("Firefox", "Android", "mobile"),
    "samsung": ("Samsung Internet", "Android", "mobile"),
    "opera": ("Opera", "", "desktop"),
    "op_mob": ("Opera", "Android", "mobile"),
}


def order_log(folder: Path) -> pd.DataFrame:
    """Fetch the CDNOW log and return customer, day and value of every order."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), LIFETIMES]
    subprocess.run(pip, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        raw = archive.read(CDNOW_FILE)
    if hashlib.sha256(raw).hexdigest() != CDNOW_SHA256:
        raise SystemExit("CDNOW_master.txt is not the file this sample was made from")
    names = ["user_key", "day", "n_items", "value"]
    log = pd.read_csv(io.BytesIO(raw), sep=r"\s+", skiprows=1, names=names, dtype={"user_key": "str", "day": "str"})
    return log.assign(day=pd.to_datetime(log["day"], format="%Y%m%d", utc=True) + SHIFT)


def ledger(log: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Give every order an id and a time of day; the log has days only."""
    hour = np.array([1, 1, 1, 1, 1, 1, 2, 3, 5, 6, 7, 7, 7, 7, 7, 7, 7, 8, 9, 10, 10, 8, 5, 3], dtype=float)
    seconds = rng.choice(24, size=len(log), p=hour / hour.sum()) * 3600 + rng.integers(0, 3600, len(log))
    times = (log["day"] + pd.to_timedelta(seconds, unit="s")).dt.as_unit("us")
    orders = log.assign(event_time=times).sort_values(["event_time", "user_key"], ignore_index=True)
    return pd.DataFrame(
        {
            "conversion_id": pd.Series([f"{100000 + n}" for n in range(len(orders))], dtype="str"),
            "event_name": pd.Series("purchase", index=orders.index, dtype="str"),
            "event_time": orders["event_time"],
            "value": orders["value"].astype("float64"),
            "currency": pd.Series("USD", index=orders.index, dtype="str"),
            "user_key": "c" + orders["user_key"],
            "items": ('[{"id":"cd","quantity":' + orders["n_items"].astype("str") + "}]").astype("str"),
            "action_source": pd.Series("web", index=orders.index, dtype="str"),
            "origin": pd.Series("real", index=orders.index, dtype="str"),
        }
    )


def write_browser_shares(folder: Path, path: Path) -> None:
    """Fetch caniuse-db and write each country's shares of page views, in percent."""
    subprocess.run(["npm", "pack", "--silent", CANIUSE], check=True, cwd=folder, stdout=subprocess.DEVNULL)
    (archive,) = folder.glob("caniuse-db-*.tgz")
    rows, month = [], set()
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            name = Path(member.name)
            if name.parent.name != "region-usage-json" or name.suffix != ".json":
                continue
            country = name.stem.removeprefix("alt-") if name.stem == "alt-ww" else name.stem
            if country != "ww" and len(country) != 2:
                continue
            content = tar.extractfile(member)
            region = json.load(content) if content else {}
            month.add(region["month"])
            for agent, (browser, system, device) in AGENTS.items():
                share = sum(value or 0.0 for value in region["data"].get(agent, {}).values())
                rows.append((country, browser, system, device, f"{share:.4f}"))
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(
            f"# Share of page views in percent, {min(month)}. Source: caniuse.com ({CANIUSE}, CC BY 4.0), "
            "from StatCounter; versions summed per browser.\n"
        )
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["country", "browser", "os", "device", "share"])
        writer.writerows(sorted(rows))


def main() -> None:
    """Write all files of the sample beside this script."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_browser_shares(folder, HERE / "browser_shares.csv")
        log = order_log(folder)
    times, tracking = np.random.default_rng(SEED).spawn(2)
    seen = observe(ledger(log, times), World(), rng=tracking)
    for part in ("conversions", "events", "truth"):
        path = HERE / f"cdnow_{part}.parquet"
        getattr(seen, part).to_parquet(path, compression="zstd", compression_level=19, index=False)
        print(f"{path.name}: {len(getattr(seen, part)):,} rows, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
