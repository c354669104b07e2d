"""Signatures of private requests: pure functions of a secret and the bytes that are signed.

Binance: HMAC-SHA256 of the parameters, in hexadecimal. Kraken: HMAC-SHA512, under the secret that is
written in base64, of the path and the SHA-256 of nonce and body, in base64. Sources:
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/request-security and
https://docs.kraken.com/api/docs/guides/spot-rest-auth
"""

import hmac
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from hashlib import sha256, sha512
from typing import NamedTuple

HIDDEN = "***"


class Secret:
    """A text that no log and no error shows: whoever needs it has to say so."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, to sign with or to send."""
        return self._text

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written anywhere")


class Keys(NamedTuple):
    """What an account is asked with."""

    key: Secret
    secret: Secret


class BadSecret(ValueError):
    """A secret that cannot sign; the message says what form is expected and holds none of it."""


def sign_binance(secret: Secret, payload: str) -> str:
    """The `signature` of the parameters as they are sent."""
    return hmac.new(secret.reveal().encode(), payload.encode(), sha256).hexdigest()


def sign_kraken(secret: Secret, path: str, nonce: str, body: bytes) -> str:
    """The API-Sign of a call; raises BadSecret."""
    try:
        key = b64decode(secret.reveal(), validate=True)
    except (Base64Error, ValueError):
        raise BadSecret("a secret of Kraken is base64, as its page of API keys shows it") from None
    digest = sha256(nonce.encode() + body).digest()
    return b64encode(hmac.digest(key, path.encode() + digest, sha512)).decode()
