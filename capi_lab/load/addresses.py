"""Client addresses and user agents as logs carry them."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from capi_lab.identity.agents import is_bot

if TYPE_CHECKING:
    import pandas as pd

    from capi_lab.load.result import Intake

__all__ = ["bots", "client_addresses"]


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
