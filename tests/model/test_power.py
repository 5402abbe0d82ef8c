"""Sample sizes are those published for the arcsine method."""

from __future__ import annotations

import pytest

import capi_lab as cl
from capi_lab.errors import InputError


@pytest.mark.parametrize(
    ("a", "b", "n"), [(0.62, 0.65, 4041), (0.02, 0.022, 80638), (0.02, 0.0225, 52194), (0.02, 0.0206, 867162)]
)
def test_reference_numbers(a: float, b: float, n: int) -> None:
    """statsmodels' `NormalIndPower` with `proportion_effectsize`, whose root finder is good to some millionths."""
    assert cl.sample_size(a, b) == pytest.approx(n, rel=3e-6)
    assert cl.sample_size(b, a) == cl.sample_size(a, b)


def test_repeated_customers_need_more() -> None:
    """Two orders a customer, wholly alike: twice as many orders; not alike at all: no more."""
    assert cl.sample_size(0.62, 0.65, per_customer=2, icc=1) == pytest.approx(2 * 4041, abs=1)
    assert cl.sample_size(0.62, 0.65, per_customer=2, icc=0) == 4041


@pytest.mark.parametrize("wrong", [{"a": 0}, {"b": 0.62}, {"level": 95}, {"power": 1}, {"icc": 2}, {"per_customer": 0}])
def test_wrong_numbers_are_refused(wrong: dict[str, float]) -> None:
    """Rates, levels and correlations out of range are errors."""
    with pytest.raises(InputError):
        cl.sample_size(**({"a": 0.62, "b": 0.65} | wrong))
