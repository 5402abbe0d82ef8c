"""Who is behind an event: click ids, browser ids and hashed identifiers. Pure functions, no network."""

from capi_lab.identity.clickids import click_ids_from_cookies, click_ids_from_url

__all__ = ["click_ids_from_cookies", "click_ids_from_url"]
