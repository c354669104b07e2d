"""The one vocabulary: every message that travels between components, lands in the journal or on the tape.

Each message names its sender, the sender's sequence number and the receive time of the frame that
caused it. Fields are only ever added at the end, so that old journals stay readable; a golden
encoding of each message in the tests holds this. Prices are ticks and quantities lots of their
instrument; money is in units of its asset (10 ** -decimals).
"""

from enum import IntEnum
from typing import Final

import msgspec

BUY: Final = 1
SELL: Final = -1


class BookState(IntEnum):
    """How far a book can be trusted; only LIVE books are traded on. Stored: never renumber."""

    SYNCING = 1
    LIVE = 2
    STALE = 3
    CROSSED = 4
    BROKEN = 5


class OrderState(IntEnum):
    """Where an order stands in its life. Stored in the journal: never renumber."""

    INTENDED = 1
    APPROVED = 2
    SENT = 3
    ACKNOWLEDGED = 4
    PARTLY_FILLED = 5
    FILLED = 6
    CANCELLING = 7
    CANCELLED = 8
    REJECTED = 9
    EXPIRED = 10
    UNKNOWN = 11


class TimeInForce(IntEnum):
    """How long an order may rest. Stored in the journal: never renumber."""

    IOC = 1
    GTC = 2


class Reason(IntEnum):
    """Why an order was refused, rejected or a book distrusted. Stored: never renumber."""

    NONE = 0
    ORDER_NOTIONAL = 101
    POSITION = 102
    PRICE_DISTANCE = 103
    ORDER_LOTS = 104
    MIN_NOTIONAL = 105
    NO_MARKET = 201
    STALE_MARKET = 202
    UNRESOLVED_ORDER = 203
    DUPLICATE = 204
    UNKNOWN_INSTRUMENT = 205
    DRAINING = 301
    EXPIRED = 302
    STALE_EPOCH = 303
    NOT_CONNECTED = 304
    VENUE_REJECTED = 401
    NEVER_ARRIVED = 402
    BALANCE = 403
    KILLED = 901
    JOURNAL_FULL = 902
    SEQUENCE_GAP = 501
    CHECKSUM = 502
    CROSSED = 503
    DISCONNECTED = 504
    MALFORMED = 505
    OFF_GRID = 506
    SNAPSHOT_OLD = 507
    REFRESH = 508


class BarKind(IntEnum):
    """What fills a bar; the numbers of `ext.bars`. Stored: never renumber."""

    TIME = 1
    TICK = 2
    VOLUME = 3
    DOLLAR = 4


class Risk(IntEnum):
    """The RiskGuard's level. Stored in the journal: never renumber."""

    NORMAL = 1
    HALT = 4


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """What every message carries: who sent it, as its how-manieth, caused by which frame.

    `sender` is the component's number in the topology (0 is the actor's own shell), `sequence`
    counts that sender's messages from 1, `received_ns` is the receive time of the frame at the
    start of the chain of causes (0 where there was none), in ns of the engine's clock.
    """

    sender: int
    sequence: int
    received_ns: int


# --- what the shell puts into an inbox -----------------------------------------------------------


class Started(Message, frozen=True):
    """First message of an epoch: the component was just built or restored."""

    epoch: int


class TimerFired(Message, frozen=True):
    """A timer set by `SetTimer` is due."""

    component: int
    key: int


class Connected(Message, frozen=True):
    """A connection of a venue is open; everything known from the former one is void."""

    venue: int
    connection: int


class Disconnected(Message, frozen=True):
    """A connection of a venue is gone."""

    venue: int
    connection: int
    cause: str


STREAMED = 0  # kinds of frames: what a connection brought,
ANSWERED = 1  # the answer to what was asked over HTTP (`about`),
FAILED = 2  # or why there was none


class Frame(Message, frozen=True):
    """Bytes of one venue as they came; see the kinds above."""

    venue: int
    connection: int
    kind: int
    payload: bytes
    about: str = ""


class RequestRefused(Message, frozen=True):
    """The gateway's edge did not send an order request."""

    venue: int
    client_order_id: str
    reason: Reason


class KillSwitch(Message, frozen=True):
    """The kill switch changed; ON stops everything that can raise exposure."""

    on: bool


class Drain(Message, frozen=True):
    """Start nothing new; finish what is under way."""


# --- market data, conflated by key ----------------------------------------------------------------


class BookTop(Message, frozen=True):
    """Best bid and ask of one instrument in ticks and lots; an empty side is 0 at 0.

    Only a LIVE top may be traded on: in every other state the prices are 0.
    """

    instrument: int
    state: BookState
    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int


class Depth(Message, frozen=True):
    """The best levels of one instrument: a whole state, never a delta.

    `pairs` holds `levels` bids and then `levels` asks from the best, each two little-endian int64
    (ticks, lots), padded with zeros: the layout the pricing kernel reads.
    """

    instrument: int
    state: BookState
    levels: int
    pairs: bytes


class Trade(Message, frozen=True):
    """A trade seen at a venue; `side` is the taker's."""

    instrument: int
    side: int
    ticks: int
    lots: int
    trade_id: str


class VenueStatus(Message, frozen=True):
    """A venue's connection and its counters since the engine's start.

    `unchecked` counts frames whose checksum the venue left out, `duplicates` those that were here
    before, `switches` how often another connection's book was served; `verifies` says what the
    venue's protocol lets us check of a book.
    """

    venue: int
    connected: bool
    frames: int
    gaps: int
    checksums: int
    checksums_failed: int
    crossed: int
    resyncs: int
    malformed: int
    orders_open: int
    orders_unknown: int
    simulated: bool
    unchecked: int = 0
    duplicates: int = 0
    off_grid: int = 0
    snapshots_old: int = 0
    switches: int = 0
    requests_failed: int = 0
    books_live: int = 0
    verifies: str = ""


class BookStateChanged(Message, frozen=True):
    """A book's trust changed, and why; LIVE again, `took_ns` is how long it was not."""

    instrument: int
    state: BookState
    reason: Reason
    took_ns: int = 0


class InstrumentReloaded(Message, frozen=True):
    """A venue moved an instrument to another grid: from here on its ticks and lots are these."""

    instrument: int
    tick_size: str
    lot_size: str


# --- decisions, orders and money, delivered at least once ------------------------------------------


class Opportunity(Message, frozen=True):
    """Buying here and selling there pays after taker fees, at these limits and this size.

    Lots are each instrument's own; `profit` is the profit expected at the books seen, in units of
    the quote asset.
    """

    opportunity: int
    buy_instrument: int
    buy_ticks: int
    buy_lots: int
    sell_instrument: int
    sell_ticks: int
    sell_lots: int
    profit: int


class OpportunityGone(Message, frozen=True):
    """An opportunity announced before is no longer there."""

    opportunity: int
    lifetime_ns: int


class OrderIntent(Message, frozen=True):
    """What a bot wants done. It exists in the journal before anything leaves.

    `client_order_id` is a function of the intent; `expires_ns` is when it is no longer wanted.
    """

    client_order_id: str
    bot: int
    group: int
    leg: int
    venue: int
    instrument: int
    side: int
    ticks: int
    lots: int
    time_in_force: TimeInForce
    expires_ns: int


class CancelIntent(Message, frozen=True):
    """A bot wants one of its orders cancelled."""

    client_order_id: str
    bot: int
    venue: int
    instrument: int


class OrderCommand(Message, frozen=True):
    """An intent the RiskGuard let through. Only the RiskGuard makes one; venues obey nothing else."""

    intent: OrderIntent
    epoch: int


class CancelCommand(Message, frozen=True):
    """A cancel on its way to the venue; cancels always pass the RiskGuard."""

    client_order_id: str
    bot: int
    venue: int
    instrument: int


class OrderRefused(Message, frozen=True):
    """The RiskGuard said no: the rule, its limit and the value that broke it."""

    client_order_id: str
    bot: int
    instrument: int
    reason: Reason
    limit: int
    value: int


class OrderEvent(Message, frozen=True):
    """An order took a step in its life. `filled_lots` is the total so far."""

    client_order_id: str
    bot: int
    venue: int
    instrument: int
    side: int
    ticks: int
    lots: int
    filled_lots: int
    state: OrderState
    reason: Reason


class Fill(Message, frozen=True):
    """A fill of one of our orders, keyed by the venue's trade id; the fee in units of its asset."""

    client_order_id: str
    bot: int
    venue: int
    instrument: int
    side: int
    ticks: int
    lots: int
    fee: int
    fee_asset: str
    trade_id: str
    maker: bool


class BalanceSeen(Message, frozen=True):
    """What the venue says an account holds of an asset, in units."""

    venue: int
    asset: str
    total: int


class RiskLevel(Message, frozen=True):
    """The RiskGuard's level changed."""

    level: Risk
    reason: Reason


class PositionUpdate(Message, frozen=True):
    """What is held of one base asset over all venues from trading, in asset units, and its cost.

    `cost` is what the open position cost (negative: what was received for a short), `realised`
    the profit of what was closed, both in units of the quote asset, fees taken off.
    """

    base: str
    quote: str
    quantity: int
    cost: int
    realised: int
    fees: int


class BalanceUpdate(Message, frozen=True):
    """What the Ledger holds on one venue of one asset, in units."""

    venue: int
    asset: str
    total: int


class PnL(Message, frozen=True):
    """Profit and loss in units of the quote asset, marked at mid prices."""

    quote: str
    realised: int
    unrealised: int
    fees: int
    equity: int


# --- effects: what a component wants done outside ---------------------------------------------------


class SendFrame(Message, frozen=True):
    """Send these bytes on a connection of a venue (a subscription, a query); raises no exposure."""

    venue: int
    connection: int
    payload: bytes


class OrderRequest(Message, frozen=True):
    """Send an order's bytes. Journalled first; the edge checks the kill switch and the expiry."""

    venue: int
    connection: int
    client_order_id: str
    raises_exposure: bool
    expires_ns: int
    payload: bytes


class HttpRequest(Message, frozen=True):
    """Ask a venue over HTTP; the answer comes back as a `Frame` of kind 1 with the same `about`.

    Where none comes, the `Frame` has kind 2 and its payload says why.
    """

    venue: int
    about: str
    connection: int = 0


class SetTimer(Message, frozen=True):
    """Wake me at `at_ns` with `TimerFired(component=sender, key)`; the same key again replaces it."""

    key: int
    at_ns: int


# --- what bots make of trades ----------------------------------------------------------------------


class Bar(Message, frozen=True):
    """A closed bar of trades, built inside the bot that asked for it; see `ext/bars.pyx`.

    `size` is ns, trades, lots or ticks times lots, by kind. Prices are ticks; `notional` is the sum
    of ticks times lots, which may need 128 bits: high * 2 ** 64 + low. `gaps` above 0 says that
    trades are known to be missing from it, or, of a TIME bar, that it began in mid-interval.
    """

    instrument: int
    kind: BarKind
    size: int
    open_ns: int
    close_ns: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    lots: int
    buy_lots: int
    notional_low: int
    notional_high: int
    count: int
    gaps: int

    @property
    def notional(self) -> int:
        """The sum of ticks times lots."""
        return (self.notional_high << 64) | self.notional_low


class TradesShed(Message, frozen=True):
    """A reader was too slow: this many trades of an instrument were dropped, the oldest first."""

    instrument: int
    count: int


AnyMessage = (
    Started
    | TimerFired
    | Connected
    | Disconnected
    | Frame
    | RequestRefused
    | KillSwitch
    | Drain
    | BookTop
    | Depth
    | Trade
    | VenueStatus
    | BookStateChanged
    | InstrumentReloaded
    | Opportunity
    | OpportunityGone
    | OrderIntent
    | CancelIntent
    | OrderCommand
    | CancelCommand
    | OrderRefused
    | OrderEvent
    | Fill
    | BalanceSeen
    | RiskLevel
    | PositionUpdate
    | BalanceUpdate
    | PnL
    | SendFrame
    | OrderRequest
    | HttpRequest
    | SetTimer
    | Bar
    | TradesShed
)


class MessageError(ValueError):
    """Bytes that are no message of this vocabulary: truncated, unknown or of a wrong type."""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[AnyMessage] = msgspec.msgpack.Decoder(AnyMessage)

encode = _ENCODER.encode


def decode(data: bytes | memoryview) -> AnyMessage:
    """The message in `data`; raises `MessageError` naming what is wrong with it."""
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MessageError(f"not a message ({len(data)} bytes): {error}") from error
