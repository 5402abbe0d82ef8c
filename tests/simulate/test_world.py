"""A world's parameters: stated once, graded, checked, the same after a round trip."""

from __future__ import annotations

import inspect
import json
import pickle
from dataclasses import fields, replace

import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.simulate.parameters import PARAMETERS
from capi_lab.simulate.world import LAGS, PRESETS
from capi_lab.words import Evidence, Storage

SETTINGS = {"consent_gate", "storage", "ltp_everywhere", "start", "days"}


def test_every_parameter_has_prior_grade_source_and_meaning() -> None:
    """The table names each number once, its default inside its prior; fields without a row are settings."""
    table = cl.World.table()
    assert list(table.columns) == ["name", "default", "low", "high", "grade", "source", "meaning"]
    assert table["name"].is_unique
    assert (table["low"] <= table["default"]).all()
    assert (table["default"] <= table["high"]).all()
    assert set(table["grade"]) <= set(Evidence)
    assert table[["source", "meaning"]].map(len).min().min() > 10
    assert {one.field for one in PARAMETERS} | SETTINGS == {one.name for one in fields(cl.World)}
    assert dict(zip(table["name"], table["default"], strict=True)) == cl.World().values()


def test_every_platform_has_its_own_numbers() -> None:
    """What a platform can match is stated for all five; its click window is its spec's."""
    for name, platform in cl.PLATFORMS.items():
        found = cl.World().matching(name)
        assert found.window == platform.spec.window("click").default
        assert 0 < found.account < 1
    with pytest.raises(UnknownNameError, match=r"World\.account"):
        replace(cl.World(), account={"meta": 0.7}).matching("google")
    with pytest.raises(UnknownNameError):
        cl.World().matching("myspace")


@pytest.mark.parametrize("name", PRESETS)
def test_worlds_survive_json_and_pickle(name: str) -> None:
    """A preset is equal, and hashes equal, after a round trip."""
    world = replace(cl.World.preset(name, lag="criteo"), storage="cloaked", ltp_everywhere=True)
    assert world.storage is Storage.CLOAKED
    for again in (cl.World.from_dict(json.loads(json.dumps(world.to_dict()))), pickle.loads(pickle.dumps(world))):
        assert again == world
        assert hash(again) == hash(world)
    assert world != cl.World()
    assert "storage='cloaked'" in repr(world)


def test_presets_change_what_they_say() -> None:
    """One country is that country only; a lag is a lag; business customers have business accounts."""
    de = cl.World.preset("DE")
    assert {k: v for k, v in de.country_weights.items() if v} == {"DE": 1.0}
    assert cl.World.preset(lag="criteo").lag_same == LAGS["criteo"]["lag_same"] == 0.35
    assert cl.World.preset("b2b").matching("linkedin").account == 0.65
    assert cl.World.preset() == cl.World()
    with pytest.raises(UnknownNameError, match="blend"):
        cl.World.preset("moon")
    with pytest.raises(UnknownNameError, match="ecom"):
        cl.World.preset(lag="moon")


def test_numbers_change_by_name() -> None:
    """A parameter is changed under the name the table gives it; others stay."""
    world = cl.World().with_values({"page_left": 0.02, "consent_deny.DE": 0.3})
    changed = {k: v for k, v in world.values().items() if v != cl.World().values()[k]}
    assert changed == {"page_left": 0.02, "consent_deny.DE": 0.3}
    assert repr(cl.World(page_left=0.02)) == "World(page_left=0.02)"
    for wrong in ("nonsense", "page_left.DE", "consent_deny"):
        with pytest.raises(UnknownNameError, match="parameter"):
            cl.World().with_values({wrong: 0.1})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"page_left": 1.5}, "page_left"),
        ({"page_left": float("nan")}, "page_left"),
        ({"lag_sigma": 0}, "lag_sigma"),
        ({"consent_deny": 0.2}, "consent_deny"),
        ({"page_left": {"US": 0.1}}, "page_left"),
        ({"country_weights": {"IT": 1.0}}, "IT"),
        ({"country_weights": {"US": 0.0}}, "positive weight"),
        ({"use_days": 0}, "use_days"),
        ({"orders_per_customer": 0.5}, "orders_per_customer"),
        ({"start": "July"}, "start"),
        ({"storage": "drawer"}, "js_cookie"),
    ],
)
def test_worlds_refuse_nonsense(values: dict[str, object], says: str) -> None:
    """Values out of range, of the wrong shape, or without a partner are named."""
    with pytest.raises(InputError, match=says):
        cl.World(**values)
    with pytest.raises(UnknownNameError, match="field"):
        cl.World.from_dict({"colour": 1})


def test_the_docstring_is_the_table() -> None:
    """Help names every field; it is written from the same data."""
    doc = inspect.getdoc(cl.World) or ""
    assert all(f"{one.name} :" in doc for one in fields(cl.World))
    assert isinstance(cl.World.table(), pd.DataFrame)
