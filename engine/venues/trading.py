"""What a venue's private protocol is: wishes in, requests out; answers and private frames in, news out.

The counterpart of `handler.py` for our own account. A `Trading` is pure and decides nothing: when to
ask, how often, what an answer proves and what is done about it is the gateway's
(engine/orders/gateway.py), the same for all exchanges. It holds no secret: its requests are signed by
the edge that sends them. Times are ns since 1970 by the venue's clock, as far as that is known.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

from engine.messages import Answer, CallKind, OrderIntent, OrderState, Reason


class IdForm(IntEnum):
    """What kind of client order ids a venue takes."""

    TEXT = 1
    UUID = 2
    NUMBER = 3


class IdRules(NamedTuple):
    """What a venue takes as a client order id: the characters, the longest, and where that is said.

    Each begins with `prefix`, which counts in the length. `engine.orders.identity` spells an id so
    and reads it back; a `Trading` does both, and tells the gateway of ids as the engine knows them.
    """

    alphabet: str
    length_max: int
    source: str
    form: IdForm = IdForm.TEXT
    prefix: str = ""


class Unsupported(ValueError):
    """A venue has no such order (a time in force, post-only); raised by `create`, says what."""


class Budget(NamedTuple):
    """So much weight of requests in so long a time; `per_host` ones are shared by all venues there."""

    name: str
    limit: int
    interval_ns: int
    per_host: bool = True


UNLIMITED = 10**12


def lifted(budgets: tuple[Budget, ...]) -> tuple[Budget, ...]:
    """The same budgets without a limit, for an exchange of our own that has none."""
    return tuple(budget._replace(limit=UNLIMITED) for budget in budgets)


class Request(NamedTuple):
    """A private request, not yet signed. `payload` is the protocol's own, for its own edge.

    An `answered` one gets a number and an `Answer`; another is a frame of the venue's connection
    whose effect the stream tells by client order id. `weights` are by name of the budget.
    `deadline_ns` is the deadline that it carries, which may be later than was asked for.
    """

    kind: CallKind
    payload: bytes
    answered: bool = True
    weights: tuple[tuple[str, int], ...] = ()
    client_order_id: str = ""
    instrument: int = -1
    deadline_ns: int = 0


class OrderRef(NamedTuple):
    """What names an order at a venue; `venue_order_id` is '' while the venue has not told it."""

    client_order_id: str
    venue_order_id: str
    instrument: int


class Effect(IntEnum):
    """Whether a request that failed may have been carried out."""

    NONE = 0
    POSSIBLE = 1


class OrderSeen(NamedTuple):
    """What a venue says of an order on our account; `client_order_id` is '' where it has none.

    `instrument` is -1 where it is none of ours. `filled_lots` is the total.
    """

    client_order_id: str
    venue_order_id: str
    instrument: int
    side: int
    ticks: int
    lots: int
    filled_lots: int
    state: OrderState
    reason: Reason
    venue_ns: int


class OrderMissing(NamedTuple):
    """The venue says at a time that it has no order of that client id.

    Here and below `venue_ns` is when the venue looked, by its own word; where an answer bears no time
    it is 0, and the gateway takes the time at which it asked.
    """

    client_order_id: str
    venue_ns: int


class OpenOrdersSeen(NamedTuple):
    """Every order that rests on our account, or so many that fit; `complete` says which."""

    orders: tuple[OrderSeen, ...]
    complete: bool
    venue_ns: int


class FillSeen(NamedTuple):
    """A fill on our account. `number` counts the venue's fills without a hole; 0 where it does not."""

    client_order_id: str
    venue_order_id: str
    instrument: int
    side: int
    ticks: int
    lots: int
    fee: int
    fee_asset: str
    trade_id: str
    maker: bool
    venue_ns: int
    number: int = 0


class FillsSeen(NamedTuple):
    """The fills since what was asked for, as the venue knew them at `through_ns`; 0: not told.

    `more` asks for those that did not fit; with it, `through_ns` is the time of the last one here.
    `instrument` is -1 for those of the whole account.
    """

    instrument: int
    fills: tuple[FillSeen, ...]
    through_ns: int
    more: Request | None = None


class BalancesSeen(NamedTuple):
    """What the account holds, in units: (asset, total, free). Assets that are not ours are left out."""

    rows: tuple[tuple[str, int, int], ...]
    venue_ns: int


class TransferSeen(NamedTuple):
    """Money that came or went and was not traded, in units; negative went."""

    asset: str
    amount: int
    transfer_id: str
    kind: str
    venue_ns: int


class ClockSeen(NamedTuple):
    """The venue's clock when it answered."""

    venue_ns: int


class UsageSeen(NamedTuple):
    """So much of a budget the venue says is used, and its limit where it says that (else 0)."""

    budget: str
    used: int
    limit: int = 0


class BannedSeen(NamedTuple):
    """The venue told the whole host to stay away for so long."""

    wait_ns: int
    banned: bool


class CallFailed(NamedTuple):
    """The venue, or the way there, refused a request; whether it may have been done all the same.

    `text` is the venue's own, for people; it holds no secret. A failure with `clock` says that our
    clock is off; one with `venue_down` counts against the venue's health. One that came as a frame
    names its order and what was asked; for an answer the gateway knows both.
    """

    effect: Effect
    reason: Reason
    text: str
    clock: bool = False
    venue_down: bool = False
    client_order_id: str = ""
    kind: CallKind = CallKind.CREATE


class AskMore(NamedTuple):
    """The answer goes on in that of another request, which is part of the same call."""

    request: Request


class StreamReady(NamedTuple):
    """The private stream tells of everything from here on."""


class CallAnswered(NamedTuple):
    """On a shared line: the answer to the request that bore this number."""

    call: int
    news: tuple["PrivateNews", ...]


class StreamGap(NamedTuple):
    """The private stream's numbers have a hole: something was not told."""


PrivateNews = (
    OrderSeen
    | OrderMissing
    | OpenOrdersSeen
    | FillSeen
    | FillsSeen
    | BalancesSeen
    | TransferSeen
    | ClockSeen
    | UsageSeen
    | BannedSeen
    | CallFailed
    | AskMore
    | StreamReady
    | CallAnswered
    | StreamGap
)


class Trading(Protocol):
    """One exchange's private protocol.

    `has_deadline` declares that the venue itself refuses an order after its deadline, so that 'not
    found' becomes evidence. `fills_numbered` declares that fills bear numbers without a hole;
    `fills_by_account` that they are asked for all instruments at once, -1 (numbered ones always are).
    `private_stream` declares that orders and fills are told without being asked for; else the
    gateway asks every so often. `shared_line` declares that they come on the connection that
    brings the market data: its handler passes them on (`AccountNews`), and requests leave there.
    """

    ids: IdRules
    budgets: tuple[Budget, ...]
    has_deadline: bool
    fills_numbered: bool
    fills_by_account: bool
    private_stream: bool
    shared_line: bool

    def opened(self, venue_ns: int) -> Sequence[Request]:
        """What to ask or send when the private connection is open, so that it tells of orders.

        With a `private_stream`, `StreamReady` says that it does; asked again until then. Without one
        it is asked once, at the start.
        """

    def closed(self) -> None:
        """The private connection is gone, and what it was asked with it."""

    def keep_alive(self, venue_ns: int) -> Sequence[Request]:
        """What keeps the private stream alive; called each second."""

    def create(self, intent: OrderIntent, venue_ns: int, deadline_ns: int) -> Request:
        """Place an order, which the venue is to refuse after the deadline where it can.

        Raises Unsupported for one that the venue does not know.
        """

    def cancel(self, ref: OrderRef, venue_ns: int) -> Request:
        """Take an order out."""

    def cancel_all(self, venue_ns: int) -> Sequence[Request]:
        """Take out all orders of the account's instruments at once; nothing where there is no such."""

    def query(self, ref: OrderRef, venue_ns: int) -> Request:
        """What became of an order, whatever became of it."""

    def open_orders(self, venue_ns: int) -> Sequence[Request]:
        """Every order that rests; the answers of all requests together."""

    def fills(self, instrument: int, since_ns: int, since_number: int, venue_ns: int) -> Request:
        """The fills of an instrument since a time (or of the account since a number, where numbered)."""

    def balances(self, venue_ns: int) -> Request:
        """What the account holds."""

    def transfers(self, since_ns: int, venue_ns: int) -> Sequence[Request]:
        """Deposits, withdrawals and the like since a time; nothing where there are none."""

    def clock(self) -> Request | None:
        """The venue's time, where it tells it apart."""

    def dead_man(self, timeout_s: int, venue_ns: int) -> Request | None:
        """Have the venue cancel all unless asked again in time (0: never); None where it has none."""

    def answered(self, request: Request, answer: Answer) -> Sequence[PrivateNews]:
        """What an answer says; raises Malformed for one that is not of the protocol.

        Never asked of an answer that did not come (`failure` timeout, disconnected, unsent).
        """

    def heard(self, payload: bytes) -> Sequence[PrivateNews]:
        """What a frame of the private connection says; raises Malformed."""

    def snapshot(self) -> bytes:
        """What is kept between messages."""

    def restore(self, data: bytes) -> None:
        """Become what `snapshot` gave."""


class SharedLineTrading(Trading, Protocol):
    """One whose requests are frames of the connection that brings the market data."""

    def framed(self, request: Request, call: int) -> bytes:
        """The frame of a request that bears a number; `CallAnswered` will name it."""
