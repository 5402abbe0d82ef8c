"""Draws by counter: uniform, independent, and a function of seed, mechanism and entity alone."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy import stats

from capi_lab.simulate import draws as drawing
from capi_lab.simulate import mixer
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


def test_the_compiled_mixer_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words, lanes and hits are the same as machine code and as passes of numpy, whichever is in use."""
    pytest.importorskip("numba", reason="extra fast: numba is not installed")
    fast = mixer.compiled()
    assert fast is not None
    assert fast is not mixer.PASSES
    assert mixer.current() is fast
    of = everybody(2**33 + 5)
    asked = {
        "words": lambda draws: draws.words("a", of),
        "lanes": lambda draws: np.stack(draws.lanes("b, c", of)),
        "some": lambda draws: draws.words("a", of.at(np.array([7, 3, 199_000]))),
        "one by one": lambda draws: draws.words("a", Entities(of.low, of.low)),
        "rare": lambda draws: draws.hit("d", of, 1e-3),
        "none": lambda draws: draws.words("a", Entities.span(9, 9)),
    }
    got = {name: ask(Draws(11)) for name, ask in asked.items()}
    monkeypatch.setattr(drawing, "current", lambda: mixer.PASSES)
    for name, ask in asked.items():
        want = ask(Draws(11))
        assert got[name].dtype == want.dtype
        np.testing.assert_array_equal(got[name], want, err_msg=name)


def test_without_numba_passes_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where numba cannot be imported, nothing is compiled, and nothing is missed."""
    monkeypatch.setitem(sys.modules, "numba", None)
    mixer.compiled.cache_clear()
    try:
        mixer.ready(10**12)
        assert mixer.current() is mixer.PASSES
    finally:
        mixer.compiled.cache_clear()
