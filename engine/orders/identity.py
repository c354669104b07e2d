"""Client order ids: a function of the intent, so that the same intent can never be two orders.

An id is two characters that mark the deployment and 16 hexadecimal digits of SHA-256: 18 in all,
the shortest limit among the venues we mean to speak to (Kraken's free-text cl_ord_id; Binance and
Bybit take 36, OKX 32 letters and digits), with 64 bits of hash.
"""

import hashlib
from functools import lru_cache

PREFIX_LENGTH = 2
HASH_LENGTH = 16


@lru_cache
def deployment_prefix(deployment: str) -> str:
    """Two characters that mark a deployment's orders, from its name."""
    return hashlib.sha256(deployment.encode()).hexdigest()[:PREFIX_LENGTH]


def client_order_id(
    deployment: str, account: str, bot: str, incarnation: int, sequence: int, leg: int, content: str
) -> str:
    """The id of one order: 18 characters 0-9a-f.

    `incarnation` and `sequence` count the bot's starts from nothing and its groups; `content` is
    what is ordered, so that a changed order is another one.
    """
    # The separator is one that no part contains, so no two different intents read alike.
    text = (
        f"{deployment}\x1f{account}\x1f{bot}\x1f{incarnation}\x1f{sequence}\x1f{leg}\x1f{content}"
    )
    digest = hashlib.sha256(text.encode()).hexdigest()
    return deployment_prefix(deployment) + digest[:HASH_LENGTH]
