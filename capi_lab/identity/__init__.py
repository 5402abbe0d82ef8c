"""Who is behind an event: click ids, browser ids, user agents, match keys normalised and hashed. Pure, no network."""

from capi_lab.identity.agents import browser_of
from capi_lab.identity.clickids import click_ids_from_cookies, click_ids_from_url
from capi_lab.identity.forensics import inspect_hashes
from capi_lab.identity.hashing import hash_column, hash_value, normalise
from capi_lab.identity.normalisers import NORMALISERS, Normaliser
from capi_lab.identity.rules import KEY_RULES, OTHER_RULES, KeyRule

__all__ = [
    "KEY_RULES",
    "NORMALISERS",
    "OTHER_RULES",
    "KeyRule",
    "Normaliser",
    "browser_of",
    "click_ids_from_cookies",
    "click_ids_from_url",
    "hash_column",
    "hash_value",
    "inspect_hashes",
    "normalise",
]
