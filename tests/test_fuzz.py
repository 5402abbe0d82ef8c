"""A part of `make fuzz`: generated identifiers and replies end in answers or in our own errors."""

from __future__ import annotations

import pytest

from tests.fuzz import fuzz_identifiers, fuzz_replies


@pytest.mark.parametrize("seed", [1, 2])
def test_identifiers(seed: int) -> None:
    """20,000 mutated identifiers through every platform's rules: no foreign error, no value in a message."""
    counts = fuzz_identifiers(20_000, seed)
    assert counts["normalised"] > 4_000
    assert counts["nothing to send"] > 1_000


@pytest.mark.parametrize("seed", [1, 2])
def test_replies(seed: int) -> None:
    """10,000 random replies over all routes: one outcome per row, every kind of outcome occurs."""
    counts = fuzz_replies(10_000, seed)
    assert set(counts) >= {"rejected", "retry", "unknown"}
