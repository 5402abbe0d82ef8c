"""A part of `make chaos`: a sender that is killed at any moment loses nothing and sends nothing twice."""

from __future__ import annotations

import multiprocessing

import pytest

from tests.chaos import World, resendable, runs, summary
from tests.contracts.examples import ROUTES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("forkserver" not in multiprocessing.get_all_start_methods(), reason="needs a system that forks"),
]


@pytest.mark.parametrize("part", range(2))
def test_every_conversion_is_counted_once_or_said_not_to_be(part: int) -> None:
    """30 worlds each, about four a route: faults of every kind, SIGKILL on the way, then a run to the end."""
    found = runs([World(30 * part + i, kills=1, share=0.02) for i in range(30)])
    assert not [(one.world.seed, one.wrong) for one in found if one.wrong], summary(found)
    # The check must not pass for want of trouble.
    assert sum(one.kills for one in found) >= 20
    assert sum(one.states["accepted"] for one in found) > 30 * 12 / 2
    assert {state for one in found for state in one.states} >= {"accepted", "rejected", "unknown"}


def test_without_the_outbox_the_same_check_fails() -> None:
    """Where nothing is remembered a killed sender's successor sends everything again, and platforms count it twice."""
    worlds = [World(seed, remembers=False) for seed in range(20 * len(ROUTES))]
    found = []
    # A sender killed before its first request did no harm: on to the next, until one was killed too late.
    for world in (one for one in worlds if not resendable(one.route)):
        found += runs([world])
        if any("times" in word for word in found[-1].wrong):
            return
    pytest.fail(summary(found))
