"""Parts read by two threads come out as if they were read one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from capi_lab.errors import LoadError
from capi_lab.load import ahead
from capi_lab.load.ahead import read_ahead
from capi_lab.load.files import Part


def part(number: int, data: bytes | None = b"x") -> Part:
    """Return a part of a file."""
    return Part("a file", Path("a file"), number, data)


def outcomes(parts: Iterator[Part], read: Callable[[Part], int]) -> list[int | str]:
    """Return what every part gave, its result or its error, and the error of the parts themselves."""
    said: list[int | str] = []
    try:
        for _, outcome in read_ahead(parts, read):
            try:
                said.append(outcome())
            except LoadError as error:
                said.append(str(error))
    except OSError as error:
        said.append(f"parts: {error}")
    return said


@pytest.mark.parametrize("processors", [1, 2, 64])
@pytest.mark.parametrize("ends", [0, 1, 2, 7])
def test_order_and_errors(monkeypatch: pytest.MonkeyPatch, processors: int, ends: int) -> None:
    """Results and errors come in the order of the parts, an error of the parts themselves behind the parts before."""
    monkeypatch.setattr(ahead, "_processors", lambda: processors)

    def parts() -> Iterator[Part]:
        for number in range(ends):
            yield part(number, None if number == 4 else b"" if number == 5 else b"x")
        raise OSError("damaged")

    def read(one: Part) -> int:
        if one.first == 2:
            raise LoadError("no such format")
        return one.first

    expected = [number if number != 2 else "no such format" for number in range(ends)]
    assert outcomes(parts(), read) == [*expected, "parts: damaged"]


def test_two_at_once_and_few_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two parts are read at the same time; no more than three are cut before the first is used."""
    monkeypatch.setattr(ahead, "_processors", lambda: 2)
    together, cut = threading.Barrier(2), []

    def parts() -> Iterator[Part]:
        for number in range(8):
            cut.append(number)
            yield part(number)

    def read(one: Part) -> int:
        together.wait(timeout=30)  # breaks unless another part is read meanwhile
        return one.first

    for nth, (_, outcome) in enumerate(read_ahead(parts(), read)):
        assert len(cut) <= nth + 3
        assert outcome() == nth


def test_whole_files_are_read_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not cut may fill the memory: it is read by whoever asks, when it asks."""
    monkeypatch.setattr(ahead, "_processors", lambda: 2)
    reads: list[tuple[int, str]] = []

    def read(one: Part) -> int:
        reads.append((one.first, threading.current_thread().name))
        return one.first

    for nth, (_, outcome) in enumerate(read_ahead(iter([part(n, None) for n in range(5)]), read)):
        assert len(reads) == nth
        assert outcome() == nth
    assert {name for _, name in reads} == {threading.current_thread().name}


def test_who_stops_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed early, no further part is read and no thread goes on."""
    monkeypatch.setattr(ahead, "_processors", lambda: 2)
    reads: list[int] = []

    def read(one: Part) -> int:
        reads.append(one.first)
        return one.first

    parts = read_ahead((part(n) for n in range(100)), read)
    next(parts)[1]()
    parts.close()
    assert len(reads) <= 3
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("reader")]
