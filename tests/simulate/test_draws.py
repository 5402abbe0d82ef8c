"""Draws by counter: uniform, independent, and a function of seed, mechanism and entity alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from capi_lab.simulate.draws import LANE, WORD, Draws, Entities, below, threshold

N = 200_000


def everybody(start: int = 0) -> Entities:
    return Entities.span(start, start + N)


def test_a_draw_depends_on_seed_mechanism_and_entity_only() -> None:
    """Asked alone, in another order or in a longer span, an entity draws the same; another key draws another."""
    draws, of = Draws(5), everybody(2**32 + 77)
    words = draws.words("lag", of)
    rows = np.array([199_999, 3, 70_000])
    np.testing.assert_array_equal(draws.words("lag", of.at(rows)), words[rows])
    np.testing.assert_array_equal(Draws(5).words("lag", Entities.span(2**32 + 80, 2**32 + 81)), words[3:4])
    for other in (Draws(6).words("lag", of), draws.words("lag meta", of), draws.words("lag", everybody(77))):
        assert (other == words).mean() < 1e-4
    wide = Entities(of.low, np.ones(N, dtype=np.uint32))  # the upper half given one by one
    np.testing.assert_array_equal(draws.words("lag", wide), words)


def test_lanes_are_uniform() -> None:
    """Sixteen equal classes of each lane of 40 mechanisms: the p-values of their chi-square tests are uniform."""
    draws = Draws(1)
    values = []
    for k in range(40):
        for lane in draws.lanes(f"mechanism {k}", everybody()):
            counts = np.bincount(lane >> np.uint32(12), minlength=16)
            assert len(counts) == 16
            values.append(stats.chisquare(counts).pvalue)
    assert stats.kstest(values, "uniform").pvalue > 1e-3
    assert min(values) > 1e-5


def test_mechanisms_lanes_and_neighbours_are_independent() -> None:
    """Two mechanisms, two lanes of a word, and two entities next to each other: joint hits as often as the product."""
    draws, p = Draws(2), 0.3
    lanes = [lane for k in range(12) for lane in draws.lanes(f"m{k}", everybody())]
    hits = [below(lane, p) for lane in lanes]
    sigma = (N * p**2 * (1 - p**2)) ** 0.5
    z = [((a & b).sum() - N * p**2) / sigma for i, a in enumerate(hits) for b in hits[:i]]
    assert max(map(abs, z)) < 4.5
    assert 0.8 < np.std(z) < 1.2
    for step in (1, 256):
        near = [((h[step:] & h[:-step]).sum() - (N - step) * p**2) / sigma for h in hits]
        assert max(map(abs, near)) < 5


@pytest.mark.parametrize("p", [0.0, 1e-4, 0.03, 0.5, 1.0])
def test_chances_are_met(p: float) -> None:
    """A hit of chance p happens p of the time; of 0 never, of 1 always, and more chance hits the same and more."""
    draws, of = Draws(3), everybody()
    lane, _ = draws.lanes("x, y", of)
    sigma = max((N * p * (1 - p)) ** 0.5, 1e-9)
    for hits in (draws.hit("x", of, p), below(lane, p)):
        assert abs(hits.sum() - N * p) <= 4 * sigma + N / LANE
    assert not (below(lane, p) & ~below(lane, min(1.0, p * 1.5))).any()
    assert threshold(1.0) == LANE
    assert threshold(1.0, WORD - 1) == WORD - 1


def test_names_give_numbers_wherever_they_stand() -> None:
    """The same text is the same entity, in any order; different texts are different ones."""
    names = np.array([f"order {i}" for i in range(5000)], dtype=object)
    of, back = Entities.named(names), Entities.named(names[::-1])
    assert len({*zip(of.low.tolist(), np.asarray(of.high).tolist(), strict=True)}) == 5000
    np.testing.assert_array_equal(Draws(1).words("x", of), Draws(1).words("x", back)[::-1])
