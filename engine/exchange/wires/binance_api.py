"""Binance's WebSocket API: requests and answers in frames, and the user data stream beside them.

Sessions (`session.logon`) are for Ed25519 keys, of which there are none here. Source:
https://developers.binance.com/docs/binance-spot-api-docs/websocket-api
"""

from typing import Any

import msgspec

from engine.exchange.wires.binance_endpoints import BY_METHOD, USER_DATA, Endpoint
from engine.exchange.wires.binance_limits import retry_data
from engine.exchange.wires.binance_market import ping
from engine.exchange.wires.binance_orders import Ask
from engine.exchange.wires.binance_params import declared, form, json_params, signed_text
from engine.exchange.wires.binance_rest import admit, encode, failure_problem
from engine.exchange.wires.binance_state import State
from engine.exchange.wires.binance_user import Listener, UserStreams, enveloped
from engine.exchange.wires.binance_words import Problem, ms, wrong
from engine.exchange.wires.wire import UNREADABLE, Failure, Outgoing

CONNECTING = 2  # what a connection weighs
SUBSCRIBE = Endpoint(ping, USER_DATA, 2, declared("timestamp! signature! recvWindow"), False)
NO_STREAM = b"{}"
JSON_NULL = b"null"
NOT_OF_REQUEST = ("apiKey", "returnRateLimits")


class _Request(msgspec.Struct):
    method: str
    id: msgspec.Raw = msgspec.Raw(JSON_NULL)
    params: msgspec.Raw = msgspec.Raw(NO_STREAM)


class _Id(msgspec.Struct):
    id: int | str | None = None


_REQUEST = msgspec.json.Decoder(_Request).decode
_ID = msgspec.json.Decoder(_Id).decode


class _Session(msgspec.Struct):
    """A connection: whether answers tell the limits, its next subscription's number, its last account."""

    limits: bool
    connected_ms: int
    subscriptions: int = 0
    account: str = ""


def _id_of(payload: bytes) -> msgspec.Raw:
    try:
        return msgspec.Raw(encode(_ID(payload).id))
    except UNREADABLE:
        return msgspec.Raw(JSON_NULL)


class Api:
    """The connections of the WebSocket API."""

    def __init__(self, state: State, users: UserStreams) -> None:
        self._state = state
        self._users = users
        self._sessions: dict[int, _Session] = {}

    def connected(self, connection: int, query: str, now_ns: int) -> list[Outgoing]:
        """A websocket is open; a banned address is hung up on."""
        try:
            self._state.meter.arrived(now_ns)
            self._state.meter.weigh(CONNECTING, now_ns)
            limits = form(query).get("returnRateLimits") != "false"
        except Problem:
            return [Outgoing(connection, None)]
        self._sessions[connection] = _Session(limits, ms(now_ns))
        return []

    def disconnected(self, connection: int) -> None:
        """It is closed."""
        self._sessions.pop(connection, None)

    def knows(self, connection: int) -> bool:
        """Whether it is one of these."""
        return connection in self._sessions

    def account_of(self, connection: int) -> str:
        """The account of its last request that had one, there being no sessions; '' if none had."""
        session = self._sessions.get(connection)
        return session.account if session else ""

    def frame(self, connection: int, payload: bytes, now_ns: int) -> list[Outgoing]:
        """The answer to a request, and the end of a stream that it ended."""
        session = self._sessions[connection]
        number, shows, account = _id_of(payload), session.limits, ""
        after: list[Outgoing] = []
        view: dict[str, Any] = {"id": number, "status": 200}
        try:
            self._state.meter.arrived(now_ns)
            method, sent = self._read(payload)
            shows = _flag(sent.get("returnRateLimits", ""), shows)
            view["result"], account = self._act(connection, method, sent, now_ns, after)
        except Problem as problem:
            view["status"] = problem.status
            view["error"] = problem.body()
            if problem.retry_after_s:
                view["error"]["data"] = retry_data(problem, now_ns)
        if shows:
            view["rateLimits"] = self._state.meter.rows(account, now_ns)
        return [Outgoing(connection, encode(view)), *after]

    @staticmethod
    def _read(payload: bytes) -> tuple[str, dict[str, str]]:
        try:
            request = _REQUEST(payload)
            _ID(payload)
        except UNREADABLE:
            raise wrong(-1135) from None
        return request.method.removeprefix("v3/"), json_params(bytes(request.params))

    def _act(
        self,
        connection: int,
        method: str,
        sent: dict[str, str],
        now_ns: int,
        after: list[Outgoing],
    ) -> tuple[Any, str]:
        endpoint = BY_METHOD.get(method)
        if endpoint is None:
            self._state.meter.weigh(2, now_ns)
            return self._session_request(connection, method, sent, now_ns, after), ""
        self._state.meter.weigh(endpoint.weighs(sent), now_ns)
        ask = self._admit(endpoint, connection, sent, now_ns)
        return endpoint.act(self._state, ask), ask.account if endpoint.counts else ""

    def _admit(self, endpoint: Endpoint, connection: int, sent: dict[str, str], now_ns: int) -> Ask:
        """Who asks; the key and the wish for limits are signed, and no parameters of the request."""
        payload = signed_text(sent)
        key = sent.get("apiKey", "")
        rest = {name: text for name, text in sent.items() if name not in NOT_OF_REQUEST}
        ask = admit(self._state, endpoint, key, rest, payload, now_ns)
        session = self._sessions[connection]
        session.account = ask.account or session.account
        return ask

    def _session_request(
        self,
        connection: int,
        method: str,
        sent: dict[str, str],
        now_ns: int,
        after: list[Outgoing],
    ) -> Any:
        match method:
            case "session.logon":
                raise wrong(-4056)
            case "session.status" | "session.logout":
                return {
                    "apiKey": None,
                    "authorizedSince": None,
                    "connectedSince": self._sessions[connection].connected_ms,
                    "returnRateLimits": self._sessions[connection].limits,
                    "serverTime": ms(now_ns),
                    "userDataStream": bool(self._users.subscriptions(connection)),
                }
            case "session.subscriptions":
                return [
                    {"subscriptionId": listener.subscription}
                    for _, listener in self._users.subscriptions(connection)
                ]
            case "userDataStream.subscribe":
                raise wrong(-1002)
            case "userDataStream.subscribe.signature":
                return self._subscribe(connection, sent, now_ns)
            case "userDataStream.unsubscribe":
                return self._unsubscribe(connection, sent, now_ns, after)
        raise wrong(-1020)

    def _subscribe(self, connection: int, sent: dict[str, str], now_ns: int) -> dict[str, int]:
        ask = self._admit(SUBSCRIBE, connection, sent, now_ns)
        if any(account == ask.account for account, _ in self._users.subscriptions(connection)):
            raise Problem(-1000, "User data stream of this account is subscribed to already.")
        session = self._sessions[connection]
        number = session.subscriptions
        session.subscriptions += 1
        self._users.listen(ask.account, Listener(connection, "", False, number))
        return {"subscriptionId": number}

    def _unsubscribe(
        self, connection: int, sent: dict[str, str], now_ns: int, after: list[Outgoing]
    ) -> dict[str, Any]:
        """One subscription, or all of the connection's."""
        wanted = sent.get("subscriptionId", "")
        found = [
            (account, listener)
            for account, listener in self._users.subscriptions(connection)
            if wanted in ("", str(listener.subscription))
        ]
        if wanted and not found:
            raise wrong(-1130, "subscriptionId")
        event = encode({"e": "eventStreamTerminated", "E": ms(now_ns)})
        for account, listener in found:
            self._users.leave(account, listener)
            after.append(Outgoing(connection, enveloped(listener, event)))
        return {}

    def refused(self, failure: Failure, payload: bytes, retry_after_s: int) -> bytes:
        """The answer to a request that the front makes fail."""
        verb = "DELETE" if b"cancel" in payload else "POST"
        problem = failure_problem(self._state, failure, verb, retry_after_s)
        error = problem.body()
        if problem.retry_after_s:
            error["data"] = retry_data(problem, self._state.now_ns)
        return encode({"id": _id_of(payload), "status": problem.status, "error": error})


def _flag(text: str, otherwise: bool) -> bool:
    if text in ("", "null"):
        return otherwise
    if text not in ("true", "false"):
        raise wrong(-1130, "returnRateLimits")
    return text == "true"
