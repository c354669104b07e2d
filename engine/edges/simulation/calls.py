"""Calls over HTTP in the simulated world: what `PrivateHttp` and `VenueHttp` do, on a front."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.edges.private_http import TIMEOUT_S, TOKEN_S, WITH_NONCE
from engine.exchange.front import Answered
from engine.exchange.wires.wire import Answer as WireAnswer
from engine.exchange.wires.wire import Call
from engine.messages import ANSWERED, FAILED, Answer, Frame, HttpRequest
from engine.venues.native_calls import (
    HEADERS_TOLD,
    NativeCall,
    call_of,
    http_call,
    token_call,
    token_of,
)

if TYPE_CHECKING:
    from engine.edges.simulation.line import VenueLine

TOKEN_NS = int(TOKEN_S * 1_000_000_000)
TIMEOUT_NS = int(TIMEOUT_S * 1_000_000_000)
OK = 200

Got = Callable[[WireAnswer | None, str], None]
"""The answer, or the word for why there is none."""


class Calls:
    """The calls of one venue. Those with a rising nonce go one after the other."""

    def __init__(self, line: "VenueLine", protocol: str) -> None:
        self._line = line
        self._protocol = protocol
        self._count = 0
        self._nonce = 0
        self._waiting: dict[int, Got] = {}
        self._turn: deque[tuple[NativeCall, Got]] = deque()
        self._under_way = False
        self._turns = 0
        self._turn_ns = line.world.config.venues[line.venue].order_timeout_ms * 1_000_000
        self._asked: dict[str, list[int]] = {}  # path -> the connections that asked

    # --- private ------------------------------------------------------------------------------------

    def ask(self, number: int, payload: bytes) -> None:
        """A private call; an `Answer` of this number follows."""

        def got(answer: WireAnswer | None, failure: str) -> None:
            told = (0, b"", (), failure) if answer is None else _told(answer)
            line, at_ns = self._line, self._line.world.now_ns
            line.tell(lambda stamp: Answer(0, stamp, at_ns, line.venue, number, *told))

        self._line.leave(self._send, call_of(payload), got)

    def token(self, then: Callable[[str | None], None]) -> None:
        """What opens the private stream: '' where the keys alone do, None where it was not told."""
        call = token_call(self._protocol)
        if call is None:
            then("")
            return

        told = False

        def late() -> None:
            if not told:
                got(None, "timeout")

        def got(answer: WireAnswer | None, failure: str) -> None:
            nonlocal told
            if told:
                return
            told = True
            token = None
            if answer is not None and answer.status == OK:
                try:
                    token = token_of(answer.body)
                except ValueError:
                    token = None
            then(token)

        self._send(call, got)
        self._line.world.at(self._line.world.now_ns + TOKEN_NS, late)

    def _send(self, call: NativeCall, got: Got) -> None:
        if self._protocol not in WITH_NONCE or not call.signed:
            self._leave(call, got)
            return
        self._turn.append((call, got))
        self._next()

    def _next(self) -> None:
        if self._under_way or not self._turn:
            return
        self._under_way = True
        self._turns += 1
        mine = self._turns
        call, got = self._turn.popleft()

        def done(answer: WireAnswer | None, failure: str) -> None:
            got(answer, failure)
            self._over(mine)

        self._leave(call, done)
        world = self._line.world
        world.at(world.now_ns + self._turn_ns, self._over, mine)

    def _over(self, turn: int) -> None:
        """By now it has arrived or is lost: the next may go."""
        if turn == self._turns and self._under_way:
            self._under_way = False
            self._next()

    def _leave(self, call: NativeCall, got: Got) -> None:
        self._nonce = max(self._nonce + 1, self._line.world.now_ns // 1000)
        signed = http_call(self._protocol, call, self._line.keys, self._nonce)
        self._call(Call(signed.method, signed.path, signed.query, signed.headers, signed.body), got)

    # --- public -------------------------------------------------------------------------------------

    def fetch(self, request: HttpRequest) -> None:
        """A question of market data; a `Frame` follows to each connection that asked by then."""
        path, asked = request.about, self._asked.get(request.about)
        if asked is not None:
            if request.connection not in asked:
                asked.append(request.connection)
            return
        self._asked[path] = [request.connection]
        place, _, query = path.partition("?")

        def got(answer: WireAnswer | None, failure: str) -> None:
            given = self._asked.pop(path, [])
            good = answer is not None and answer.status == OK
            payload = answer.body if answer is not None and good else b"no answer"
            kind, line, at_ns = ANSWERED if good else FAILED, self._line, self._line.world.now_ns
            for connection in given:
                line.tell(
                    lambda number, to=connection: Frame(  # type: ignore[misc]  # a default binds it; mypy infers none
                        0, number, at_ns, line.venue, to, kind, payload, path
                    )
                )

        self._call(Call("GET", place, query, {}, b""), got)

    def forget(self, connection: int) -> None:
        """A connection was lost."""
        for connections in self._asked.values():
            if connection in connections:
                connections.remove(connection)

    # --- the way there and back -----------------------------------------------------------------------

    def _call(self, call: Call, got: Got) -> None:
        line = self._line
        self._count += 1
        self._waiting[self._count] = got
        line.front.call(self._count, self._protocol, call, line.world.now_ns)
        line.schedule()
        line.world.at(line.world.now_ns + TIMEOUT_NS, self._ended, self._count, "timeout")

    def answered(self, answered: Answered) -> None:
        """The exchange's word; None is no word ever, and the client waits for its timeout."""
        if answered.answer is not None:
            got = self._waiting.pop(answered.call, None)
            if got is not None:
                got(answered.answer, "")

    def _ended(self, number: int, failure: str) -> None:
        got = self._waiting.pop(number, None)
        if got is not None:
            got(None, failure)

    def lose(self) -> None:
        """The network is gone: nobody answers what is under way, whatever becomes of it."""
        for number in list(self._waiting):
            self._ended(number, "disconnected")

    def drop(self) -> None:
        """Who asked is dead."""
        self._waiting.clear()
        self._turn.clear()
        self._asked.clear()
        self._under_way = False


def _told(answer: WireAnswer) -> tuple[int, bytes, tuple[tuple[str, str], ...], str]:
    headers = {name.lower(): value for name, value in answer.headers}
    kept = tuple((name, headers[name]) for name in HEADERS_TOLD if name in headers)
    return answer.status, answer.body, kept, ""
