"""A part of `make fuzz`: generated identifiers and replies end in answers or in our own errors."""

from __future__ import annotations

import pytest

from tests.fuzz import fuzz_columns, fuzz_identifiers, fuzz_replies


@pytest.mark.parametrize("seed", [1, 2])
def test_identifiers(seed: int) -> None:
    """20,000 identifiers, some no text, through every platform's rules: no foreign error, no value in a message."""
    counts = fuzz_identifiers(20_000, seed)
    assert counts["normalised"] > 4_000
    assert counts["nothing to send"] > 1_000
    assert counts["own error"] > 500


@pytest.mark.parametrize("seed", [1, 2])
def test_columns(seed: int) -> None:
    """20 columns of 600 identifiers or more: row by row what the scalar gives."""
    counts = fuzz_columns(20, seed)
    assert counts["hashed"] > 2_000
    assert counts["nothing to send"] > 2_000


@pytest.mark.parametrize("seed", [1, 2])
def test_replies(seed: int) -> None:
    """10,000 replies over all routes: one outcome per row, every kind occurs, none repeats a text that was planted."""
    counts = fuzz_replies(10_000, seed)
    assert set(counts) >= {"accepted", "rejected", "retry", "unknown"}
    assert counts["marked"] > 3_000
