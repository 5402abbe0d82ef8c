"""A source of tables whose truth is known."""

from capi_lab.simulate.observe import Observation, observe
from capi_lab.simulate.world import World, browser_shares

__all__ = ["Observation", "World", "browser_shares", "observe"]
