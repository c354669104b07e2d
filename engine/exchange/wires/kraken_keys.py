"""Who asks: Kraken's signature, its rising nonce, and the tokens of the stream.

API-Sign is HMAC-SHA512, under the secret that is written in base64, of the path and the SHA-256 of the
nonce and the body. Source: https://docs.kraken.com/api/docs/guides/spot-rest-auth
"""

import binascii
import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import sha256, sha512
from typing import NamedTuple, Protocol

from engine.exchange.wires.kraken_forms import Fields
from engine.exchange.wires.kraken_words import SECOND_NS, KrakenError

NONCE_MAX = (1 << 64) - 1
TOKEN_S = 900
TOKENS_MAX = 1000
KEYS_MAX = 10_000


class Credentials(Protocol):
    """What the accounts know of a key."""

    @property
    def account(self) -> str:
        """Whose it is."""

    @property
    def secret(self) -> bytes:
        """What it signs with; for Kraken it is read as base64."""

    @property
    def rights(self) -> frozenset[str]:
        """What it may."""


class KeysOfAccounts(Protocol):
    """Where keys are found; `engine/exchange/accounts.py`."""

    def by_key(self, key: str) -> Credentials | None:
        """What belongs to a key."""


class Caller(NamedTuple):
    """A client whose signature was right."""

    key: str
    account: str
    rights: frozenset[str]


class Token(NamedTuple):
    """What opens the private channels: until it expires, unless it was used before."""

    caller: Caller
    expires_ns: int


def sign(secret: bytes, path: str, nonce: str, body: bytes) -> str:
    """The API-Sign of a call. Raises ValueError for a secret that is no base64."""
    digest = sha256(nonce.encode() + body).digest()
    return b64encode(hmac.digest(b64decode(secret), path.encode() + digest, sha512)).decode()


class Keys:
    """The last nonce of each key, and the tokens that were given."""

    def __init__(self, accounts: KeysOfAccounts) -> None:
        self._accounts = accounts
        self._nonces: dict[str, int] = {}
        self._tokens: dict[str, Token] = {}
        self._given = 0

    def caller(self, headers: Mapping[str, str], path: str, fields: Fields, body: bytes) -> Caller:
        """Who signed a call; its nonce is used up then. Raises KrakenError."""
        key = headers.get("api-key", "")
        found = self._accounts.by_key(key) if key else None
        if found is None:
            raise KrakenError("EAPI:Invalid key")
        nonce = fields.text("nonce")
        try:
            expected = sign(found.secret, path, nonce, body)
        except (ValueError, binascii.Error):
            raise KrakenError("EAPI:Invalid signature") from None
        given = headers.get("api-sign", "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode()):
            raise KrakenError("EAPI:Invalid signature")
        if not (nonce.isascii() and nonce.isdigit() and len(nonce) <= 20):
            raise KrakenError("EAPI:Invalid nonce")
        number = int(nonce)
        if not self._nonces.get(key, 0) < number <= NONCE_MAX:
            raise KrakenError("EAPI:Invalid nonce")
        if key not in self._nonces and len(self._nonces) >= KEYS_MAX:
            del self._nonces[next(iter(self._nonces))]
        self._nonces[key] = number
        return Caller(key, found.account, found.rights)

    def token(self, caller: Caller, now_ns: int) -> str:
        """A new token."""
        self._given += 1
        if len(self._tokens) >= TOKENS_MAX:
            del self._tokens[next(iter(self._tokens))]
        found = self._accounts.by_key(caller.key)
        secret = found.secret if found is not None else b""
        seed = f"{caller.key}/{self._given}/{now_ns}".encode()
        text = b64encode(hmac.digest(secret, seed, sha256)).decode().rstrip("=")
        self._tokens[text] = Token(caller, now_ns + TOKEN_S * SECOND_NS)
        return text

    def holder(self, token: str, now_ns: int) -> Caller:
        """Whose token it is. Raises KrakenError for one that is unknown or too old."""
        found = self._tokens.get(token)
        if found is None or found.expires_ns < now_ns:
            self._tokens.pop(token, None)
            raise KrakenError("ESession:Invalid session")
        return found.caller

    def keep(self, token: str) -> None:
        """A token in use does not expire."""
        found = self._tokens.get(token)
        if found is not None:
            self._tokens[token] = found._replace(expires_ns=1 << 62)
