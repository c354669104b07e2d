"""Client order ids: a function of the intent, so that the same intent can never be two orders.

An id is a prefix of the deployment and a hash, in lower-case base 32, 18 characters in all: the
shortest limit among the venues we mean to speak to (Kraken's free-text cl_ord_id; Binance and Bybit
take 36, OKX 32 letters and digits). Of SHA-256 it keeps 15 characters, 75 bits.
"""

import base64
import hashlib

PREFIX_LENGTH = 3
HASH_LENGTH = 15


def deployment_prefix(deployment: str) -> str:
    """Three characters that mark a deployment's orders, from its name."""
    return _base32(hashlib.sha256(deployment.encode()).digest())[:PREFIX_LENGTH]


def client_order_id(
    deployment: str, account: str, bot: str, incarnation: int, sequence: int, leg: int, content: str
) -> str:
    """The id of one order: 18 characters a-z2-7.

    `incarnation` and `sequence` count the bot's starts from nothing and its groups; `content` is
    what is ordered, so that a changed order is another one.
    """
    parts = (deployment, account, bot, str(incarnation), str(sequence), str(leg), content)
    text = "\x1f".join(parts).encode()  # a separator that no part contains
    return deployment_prefix(deployment) + _base32(hashlib.sha256(text).digest())[:HASH_LENGTH]


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()
