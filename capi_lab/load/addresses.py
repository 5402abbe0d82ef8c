"""Client addresses and user agents as logs carry them."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from capi_lab.load.result import Intake

__all__ = ["bots", "client_addresses"]

_BOT_WORDS = re.compile(r"bot|crawl|spider|preview|monitor", re.IGNORECASE)


def client_addresses(values: pd.Series, intake: Intake) -> pd.Series:
    """Keep addresses that could be a browser's; hashed, masked, private and broken ones become missing."""
    good = [text for text in values.dropna().unique() if _is_client(text)]
    kept = values.where(values.isin(good))
    intake.note_count(
        int((kept.isna() & values.notna()).sum()),
        "{n} client addresses are hashed, private or no address; left missing",
    )
    return kept


def _is_client(text: str) -> bool:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return False
    return not (address.is_private or address.is_loopback or address.is_unspecified or address.is_link_local)


def bots(user_agents: pd.Series) -> pd.Series:
    """Mark crawlers and monitors by ua-parser's device family and the usual words; a missing agent is none.

    Returns
    -------
    Series of bool
    """
    import numpy as np
    import pandas as pd

    codes, distinct = pd.factorize(user_agents)
    # The last one is for rows without an agent, whose code is -1.
    found = np.array([*(is_bot(text) for text in distinct), False])
    return pd.Series(found[codes], index=user_agents.index)


@lru_cache(maxsize=65_536)
def is_bot(user_agent: str) -> bool:
    """Say whether one user agent is a crawler's."""
    if _BOT_WORDS.search(user_agent):
        return True
    from ua_parser import parse_device

    device = parse_device(user_agent)
    return device is not None and device.family == "Spider"
