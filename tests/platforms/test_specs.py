"""Platform rules are complete, sourced and dated."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

import capi_lab as cl
from capi_lab.errors import UnknownNameError
from capi_lab.platforms import platform


def test_metas_rule_is_the_documented_one() -> None:
    """48 hours, browser preferred within 5 minutes, fallback browser first, repeats in one channel open."""
    rule = cl.PLATFORMS["meta"].spec.dedup
    assert (rule.key, rule.window) == (("event_name", "event_id"), timedelta(hours=48))
    assert (rule.prefer.channel, rule.prefer.within) == ("pixel", timedelta(minutes=5))
    assert (rule.fallback.keys, rule.fallback.first) == (("external_id", "fbp"), "pixel")
    assert rule.merges_same_channel is False


def test_event_names_translate_both_ways() -> None:
    """Any spelling of a standard name is understood, canonical ones too; custom names are none."""
    spec = cl.PLATFORMS["meta"].spec
    for ours, theirs in spec.event_names.items():
        assert spec.canonical_event(theirs) == spec.canonical_event(ours) == ours
    assert spec.canonical_event("COMPLETE_REGISTRATION") == "sign_up"
    assert spec.canonical_event("our own event") is None


def test_specs_cannot_be_changed_in_passing() -> None:
    """Rules are values: nobody edits them at run time."""
    spec = cl.PLATFORMS["meta"].spec
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.name = "x"
    with pytest.raises(TypeError):
        spec.event_names["purchase"] = "x"
    with pytest.raises(UnknownNameError, match=r"known: .*meta"):
        platform("none")
