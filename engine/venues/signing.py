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


class BadSecret(ValueError):
    """A secret that cannot sign; the message says what form is expected and holds none of it."""


def sign_binance(secret: str, payload: str) -> str:
    """The `signature` of the parameters as they are sent."""
    return hmac.new(secret.encode(), payload.encode(), sha256).hexdigest()


def sign_kraken(secret: str, path: str, nonce: str, body: bytes) -> str:
    """The API-Sign of a call; raises BadSecret."""
    try:
        key = b64decode(secret, validate=True)
    except (Base64Error, ValueError):
        raise BadSecret("a secret of Kraken is base64, as its page of API keys shows it") from None
    digest = sha256(nonce.encode() + body).digest()
    return b64encode(hmac.digest(key, path.encode() + digest, sha512)).decode()
