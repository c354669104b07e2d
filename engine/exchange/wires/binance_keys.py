"""Who asks: API keys, HMAC-SHA256 signatures, timestamps, and listen keys.

A signed request is looked at in this order: the form of its key (-2014), its parameters (see
`binance_params`), whether the key exists and may do this (-2015), its time (-1131, -1021), its
signature (-1022). Binance documents each of these errors and not their order. Source:
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/request-security
"""

import hashlib
import hmac
import re
from enum import IntEnum

from engine.exchange.accounts import Credentials
from engine.exchange.wires.binance_params import Values
from engine.exchange.wires.binance_words import MS, Names, Problem, wrong

KEY_FORM = re.compile(r"^[A-Za-z0-9._-]{1,128}\Z")
WINDOW_NS = 5_000 * MS
WINDOW_NS_MAX = 60_000 * MS
AHEAD_NS = 1_000 * MS
MICROSECONDS_FROM = 10**14  # a timestamp this large is in microseconds
LISTEN_NS = 3_600_000 * MS
TRADE_RIGHT = "trade"
AHEAD = "Timestamp for this request was 1000ms ahead of the server's time."


class Security(IntEnum):
    """What a request needs."""

    NONE = 0
    KEY = 1
    USER_DATA = 2
    TRADE = 3


def signature_of(payload: str, secret: bytes) -> str:
    """HMAC-SHA256, as hexadecimal digits."""
    return hmac.new(secret, payload.encode(), hashlib.sha256).hexdigest()


def check_form(key: str) -> None:
    """A key looks like one; raises Problem."""
    if KEY_FORM.match(key) is None:
        raise wrong(-2014)


def check_rights(known: Credentials | None, security: Security) -> Credentials:
    """A key exists and may do this; raises Problem."""
    if known is None or (security is Security.TRADE and TRADE_RIGHT not in known.rights):
        raise wrong(-2015)
    return known


def check_time(values: Values, now_ns: int) -> None:
    """A request is neither too old nor from the future; raises Problem."""
    window_ns = values.get("recvWindow", WINDOW_NS)
    if window_ns > WINDOW_NS_MAX:
        raise wrong(-1131)
    sent = values["timestamp"]
    sent_ns = sent * 1_000 if sent >= MICROSECONDS_FROM else sent * MS
    if sent_ns >= now_ns + AHEAD_NS:
        raise Problem(-1021, AHEAD)
    if now_ns - sent_ns > window_ns + MS - 1:  # its clock has milliseconds only
        raise wrong(-1021)


def check_signature(payload: str, signature: str, known: Credentials) -> None:
    """It is the key's owner who asks; raises Problem."""
    right = signature_of(payload, known.secret)
    if not hmac.compare_digest(right.encode(), signature.lower().encode()):
        raise wrong(-1022)


class ListenKeys:
    """Keys of user data streams: valid for an hour, one for each account."""

    def __init__(self, seed: str) -> None:
        self._names = Names(f"{seed}/listen")
        self._of: dict[str, str] = {}
        self._until_ns: dict[str, tuple[str, int]] = {}
        self._stopped: list[tuple[str, str]] = []

    def start(self, account: str, now_ns: int) -> str:
        """The key of an account, a new one unless it has one; good for an hour from now."""
        key = self._of.get(account) or self._names.next(42) + self._names.next(22)
        self._of[account] = key
        self._until_ns[key] = (account, now_ns + LISTEN_NS)
        return key

    def extend(self, key: str, account: str, now_ns: int) -> None:
        """Good for an hour from now; raises Problem."""
        if self.account(key) != account:
            raise wrong(-1125)
        self._until_ns[key] = (account, now_ns + LISTEN_NS)

    def stop(self, key: str, account: str) -> None:
        """Not good any more; raises Problem."""
        if self.account(key) != account:
            raise wrong(-1125)
        del self._until_ns[key], self._of[account]
        self._stopped.append((key, account))

    def take_stopped(self) -> list[tuple[str, str]]:
        """Keys that were stopped since last asked, each with its account."""
        stopped, self._stopped = self._stopped, []
        return stopped

    def account(self, key: str) -> str:
        """Whose a key is; '' for none."""
        return self._until_ns.get(key, ("", 0))[0]

    def expired(self, now_ns: int) -> list[tuple[str, str]]:
        """Keys whose hour is over, each with its account; they are forgotten."""
        ended = [
            (key, account)
            for key, (account, until_ns) in self._until_ns.items()
            if until_ns <= now_ns
        ]
        for key, account in ended:
            del self._until_ns[key], self._of[account]
        return ended

    def due_ns(self, never_ns: int) -> int:
        """When the first of them is over."""
        return min((until_ns for _, until_ns in self._until_ns.values()), default=never_ns)
