"""Client addresses and user agents as logs carry them."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from capi_lab.identity.agents import is_bot

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from capi_lab.load.result import Intake

__all__ = ["bots", "client_addresses"]

_OCTET = r"(?:[1-9]?\d|1\d\d|2[0-4]\d|25[0-5])"
_IPV4 = rf"^{_OCTET}(?:\.{_OCTET}){{3}}$"
# Somewhere below these numbers lies a block that is no client's; a test asks `ipaddress` about all others.
_SPECIAL_IPV4 = r"^(?:0|10|127|169|172|192|198|203|2[45]\d)\."


def client_addresses(values: pd.Series, intake: Intake) -> pd.Series:
    """Keep addresses that could be a browser's; hashed, masked, private and broken ones become missing."""
    import numpy as np
    import pandas as pd

    codes, distinct = pd.factorize(values)
    # The last one is for rows without an address, whose code is -1.
    good = np.append(_are_clients(distinct), False)
    kept = values.where(good[codes])
    intake.note_count(
        int((kept.isna() & values.notna()).sum()),
        "{n} client addresses are hashed, private or no address; left missing",
    )
    return kept


def _are_clients(addresses: Any) -> np.ndarray:
    """Say which of some texts are a browser's address; the plain ones without asking one by one."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pa.array(addresses, pa.large_string())
    plain = pc.match_substring_regex(texts, _IPV4)
    plain = pc.and_not(plain, pc.match_substring_regex(texts, _SPECIAL_IPV4))
    good: np.ndarray = plain.to_numpy(zero_copy_only=False).copy()
    others = np.flatnonzero(~good)
    good[others] = [_is_client(texts[at].as_py()) for at in others.tolist()]
    return good


@lru_cache(maxsize=65_536)
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
