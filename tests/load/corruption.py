"""Damage a file byte by byte and see that a loader tells: its own error, or every row accounted for.

For any loader::

    def test_damage(tmp_path: Path) -> None:
        assert_damage_is_told(cl.load.my_events, SAMPLE.encode(), tmp_path, "x.jsonl", rows=lines_with_text)
"""

from __future__ import annotations

import gzip
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pyarrow as pa

from capi_lab.errors import CapiLabError
from capi_lab.load import Loaded

__all__ = ["assert_damage_is_told", "damaged", "lines_with_text", "zstd"]


def lines_with_text(data: bytes) -> int:
    """Count lines that are not blank: the rows of a line format, by a count of its own."""
    return sum(1 for line in data.split(b"\n") if re.search(rb"[^\t\n\f\r ]", line))


def zstd(data: bytes) -> bytes:
    """Compress as a zstd file."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def damaged(data: bytes, rng: Random) -> bytes:
    """Return ``data`` with one thing wrong with it."""
    at = rng.randrange(len(data))
    kind = rng.randrange(7)
    if kind == 0:  # a flipped bit
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    if kind == 1:  # another byte
        return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    if kind == 2:  # cut short
        return data[: at + 1]
    if kind == 3:  # a hole
        return data[:at] + data[at + rng.randrange(1, 60) :]
    if kind == 4:  # something in between
        return data[:at] + rng.randbytes(rng.randrange(1, 20)) + data[at:]
    if kind == 5:  # zeros, as a full disk leaves them
        return data[:at] + bytes(len(data[at : at + 40])) + data[at + 40 :]
    return data + data[at : at + 200]  # a piece written twice


def _several(data: bytes, rng: Random) -> Iterator[tuple[str, bytes]]:
    many = damaged(data, rng)
    while rng.random() < 0.4:
        many = damaged(many or b"\0", rng)
    yield "plain", many
    for name, pack in (("gzip", lambda raw: gzip.compress(raw, mtime=0)), ("zstd", zstd)):
        packed = pack(data)
        yield name, packed[: rng.randrange(1, len(packed))]


def assert_damage_is_told(
    load: Callable[[Path], Loaded],
    sample: bytes,
    folder: Path,
    name: str,
    *,
    rows: Callable[[bytes], int] | None = None,
    seed: int = 1,
    n: int = 12,
) -> None:
    """Load ``n`` damaged copies of a sample and as many truncated archives of it.

    Parameters
    ----------
    load : callable
        Path to `Loaded`; bind what else the loader needs.
    sample : bytes
        A good file, uncompressed.
    folder : Path
        Where to write.
    name : str
        File name, for loaders that look at the suffix.
    rows : callable, optional
        Bytes of a file to how many rows it has, counted apart from the loader; then no row may be lost in silence.
        Without it only the loader's own account is checked.
    seed, n : int
        Which damages, and how many; a failure names the one.
    """
    path = folder / name
    path.write_bytes(sample)
    good = load(path).report
    assert rows is None or good.rows_in == rows(sample), "the row count given does not fit the loader's"
    told = 0
    for number in range(n):
        for kind, data in _several(sample, Random(f"{seed}/{number}")):
            path.write_bytes(data)
            where = f"damage {number} of seed {seed}, {kind}"
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    loaded = load(path)
            except CapiLabError as error:
                assert str(folder) not in str(error), where
                told += 1
                continue
            except Exception as error:
                raise AssertionError(f"{where}: {type(error).__name__} is not our error") from error
            report = loaded.report
            assert report.rows_in + report.expanded == len(loaded.df) + sum(report.dropped.values()), where
            assert kind == "plain", f"{where}: a truncated archive was read as if it were whole"
            if rows is not None:
                assert report.rows_in == rows(data), where
            told += bool(set(report.dropped) - set(good.dropped))
    assert told, "no damage was noticed: is the sample too small to be hurt?"
