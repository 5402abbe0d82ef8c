"""The embedded engine keeps to the memory it is given, and says what it cannot use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import capi_lab as cl
from capi_lab.errors import InputError
from tests.engines import logs

# In a process of its own: limits hold for the process.
RUN = """
import sys
import capi_lab as cl
from capi_lab.engine import default_backend, materialise
memory, disk, path = sys.argv[1:]
cl.limit_engine(memory, spill_to=".", threads=2)
default_backend().raw_sql(f"SET max_temp_directory_size = '{disk}'")
marked = materialise(cl.dedup(path, "meta"))
verdicts = marked.aggregate(k=marked.kept.sum(), h=marked.duplicate_of.hash().sum().cast("string"))
print(verdicts.to_pandas().iloc[0].tolist())
"""


@pytest.mark.slow
def test_what_does_not_fit_goes_to_disk(tmp_path: Path) -> None:
    """The same rows under a limit: the same verdicts where there is a disk, and no way without one."""
    rng = np.random.default_rng(5)
    path = tmp_path / "events.parquet"
    logs.events(rng, logs.ledger(rng, 100_000), 400_000).to_parquet(path)

    def run(memory: str, disk: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "ignore", "-c", RUN, memory, disk, str(path)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    free, tight, hopeless = run("4GB", "1GB"), run("128MB", "1GB"), run("128MB", "0KB")
    assert free.returncode == 0, free.stderr
    assert tight.stdout == free.stdout, tight.stderr
    assert hopeless.returncode != 0
    assert "OutOfMemory" in hopeless.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["events.parquet"], "nothing of ours is left behind"


@pytest.mark.parametrize("memory", ["2", "2 bottles", "2GB'; DROP TABLE x; --", ""])
def test_memory_must_be_a_size(memory: str) -> None:
    """Only a number and a unit reach the engine."""
    with pytest.raises(InputError, match="2GB"):
        cl.limit_engine(memory)


def test_threads_and_folder_must_be_usable(tmp_path: Path) -> None:
    """No thread at all, or a folder that is not there, is refused in words."""
    with pytest.raises(InputError, match="at least 1"):
        cl.limit_engine(threads=0)
    with pytest.raises(InputError, match="make it first"):
        cl.limit_engine(spill_to=tmp_path / "missing")
