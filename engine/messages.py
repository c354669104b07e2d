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
    FOK = 3
    GTD = 4


class Reason(IntEnum):
    """Why an order was refused, rejected or a book distrusted. Stored: never renumber."""

    NONE = 0
    ORDER_NOTIONAL = 101
    POSITION = 102
    PRICE_DISTANCE = 103
    ORDER_LOTS = 104
    MIN_NOTIONAL = 105
    GROSS_EXPOSURE = 106
    NET_EXPOSURE = 107
    VENUE_GROSS = 108
    CLUSTER = 109
    ORDERS_OPEN = 110
    MESSAGE_RATE = 111
    SELF_CROSS = 112
    EQUITY_SHARE = 113
    BOT_NOTIONAL = 114
    NO_MARKET = 201
    STALE_MARKET = 202
    UNRESOLVED_ORDER = 203
    DUPLICATE = 204
    UNKNOWN_INSTRUMENT = 205
    RISK_LEVEL = 206
    GROUP = 207
    NOT_RECONCILED = 208
    SAME_CONTENT = 209
    NOT_REDUCING = 210
    DRAINING = 301
    EXPIRED = 302
    STALE_EPOCH = 303
    NOT_CONNECTED = 304
    BREAKER_OPEN = 305
    RATE_LIMITED = 306
    VENUE_REJECTED = 401
    NEVER_ARRIVED = 402
    BALANCE = 403
    UNSUPPORTED = 404
    OVER_FILLED = 405
    KILLED = 901
    JOURNAL_FULL = 902
    OPERATOR = 903
    DAILY_LOSS = 904
    DRAWDOWN = 905
    STALE_MARK = 906
    BAD_DATA = 907
    ERROR_RATE = 908
    POSITION_DRIFT = 909
    LATENCY = 910
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
    """The RiskGuard's level: what is still allowed. Stored in the journal: never renumber.

    CAUTION warns. RESTRICTED lets pass what reduces, and declared hedges. HALT cancels all orders and
    lets pass only what is marked as flattening; SHUTDOWN flattens too. From HALT up only an operator
    brings it down again.
    """

    NORMAL = 1
    CAUTION = 2
    RESTRICTED = 3
    HALT = 4
    SHUTDOWN = 5


class CallKind(IntEnum):
    """What a private request to a venue is for. Stored in the journal: never renumber."""

    CREATE = 1
    CANCEL = 2
    QUERY = 3
    OPEN_ORDERS = 4
    FILLS = 5
    BALANCES = 6
    CLOCK = 7
    STREAM = 8  # keys and tokens of private streams
    CANCEL_ALL = 9
    DEAD_MAN = 10
    TRANSFERS = 11


class Circuit(IntEnum):
    """A circuit breaker's state. Stored: never renumber."""

    CLOSED = 1
    OPEN = 2
    HALF_OPEN = 3


class DifferenceKind(IntEnum):
    """How a venue's books and ours may differ. Stored in the journal: never renumber."""

    MISSING_FILL = 1  # the venue has a fill that we were not told of
    FOREIGN_ORDER = 2  # an order with no client id of ours
    ADOPTED_ORDER = 3  # an order of ours that the journal lacks
    GHOST_ORDER = 4  # we think it open, the venue does not
    BALANCE_DRIFT = 5
    POSITION_DRIFT = 6


class ParentKind(IntEnum):
    """Orders that the engine emulates. Stored in the journal: never renumber."""

    STOP_LOSS = 1
    TAKE_PROFIT = 2
    TRAILING_STOP = 3
    STOP_LIMIT = 4
    OCO = 5
    BRACKET = 6
    GTD = 7


class TriggerSource(IntEnum):
    """The price that a trigger watches. Stored in the journal: never renumber."""

    LAST = 1
    BID_ASK = 2  # the side that would be traded with
    MID = 3


class ParentState(IntEnum):
    """Where an emulated order stands. Stored in the journal: never renumber."""

    WAITING = 1  # for its trigger, or for its entry to fill
    WORKING = 2  # a child is at the venue
    DONE = 3
    CANCELLED = 4
    REFUSED = 5
    EXPIRED = 6


class Scope(IntEnum):
    """To what a limit applies. Stored in the journal: never renumber."""

    GLOBAL = 1
    VENUE = 2
    ASSET = 3
    BOT = 4
    INSTRUMENT = 5


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
    """First message of an epoch: the component was just built or restored.

    `resumed` says that the whole engine was stopped meanwhile: what drained, drains no more.
    """

    epoch: int
    resumed: bool = False


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
    """The gate did not let an order request out; `call` and `kind` are the request's."""

    venue: int
    client_order_id: str
    reason: Reason
    call: int = 0
    kind: CallKind = CallKind.CREATE


class Answer(Message, frozen=True):
    """The answer to the private request that bore the number `call`, or why there is none.

    `status` is that of HTTP, or 200 for one that came as a frame; 0 means that no answer came, and
    `failure` says why in a word the edge owns: 'timeout', 'disconnected', 'unsent' (it certainly never
    left), or the name of the client library's exception. Header names are lower-case.
    """

    venue: int
    call: int
    status: int
    payload: bytes
    headers: tuple[tuple[str, str], ...] = ()
    failure: str = ""


class SetRiskLevel(Message, frozen=True):
    """An operator moves the RiskGuard to a level; `who` is for the record."""

    level: Risk
    who: str


class SetLimit(Message, frozen=True):
    """An operator changes a limit; an empty `value` takes back what the configuration says.

    `subject` is the venue's, asset's, bot's name or instrument's symbol that `scope` speaks of.
    """

    scope: Scope
    subject: str
    name: str
    value: str
    who: str


class SetBreaker(Message, frozen=True):
    """An operator closes (`open` False) or opens a venue's circuit breaker."""

    venue: int
    open: bool
    who: str


class Reconcile(Message, frozen=True):
    """Compare with this venue now."""

    venue: int
    who: str


class ResolveUnknown(Message, frozen=True):
    """An operator says what became of an UNKNOWN order: a final state, by evidence of their own."""

    venue: int
    client_order_id: str
    state: OrderState
    who: str


class CancelAll(Message, frozen=True):
    """Cancel every open order of ours at a venue (-1: at all). It raises no exposure."""

    venue: int
    who: str


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
    venue's protocol lets us check of a book. The rest is the gateway's (docs/orders.md): whether it was
    compared with since it was connected, its breaker, the share of the last calls that succeeded, how
    far its clock is ahead of ours and how often that jumped.
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
    reconciled: bool = True
    circuit: Circuit = Circuit.CLOSED
    health: int = 100
    success_bps: int = 10_000
    clock_offset_ns: int = 0
    requests_waiting: int = 0
    orders_foreign: int = 0
    transitions_illegal: int = 0
    clock_jumps: int = 0
    commands_repeated: int = 0


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

    `client_order_id` is a function of the intent; until `expires_ns` it may be sent (a GTD order rests
    until `good_until_ns`). A `hedge` takes back what other legs of its group did, `flattening` takes back
    a position by the operator's or the guard's will: both are let through where others are not, and
    only as far as they reduce. `parent` is the emulated order that it works for.
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
    post_only: bool = False
    flattening: bool = False
    hedge: bool = False
    good_until_ns: int = 0
    parent: str = ""


class GroupIntent(Message, frozen=True):
    """Orders that are wanted all or none: checked and reserved together."""

    bot: int
    group: int
    legs: tuple[OrderIntent, ...]


class ParentIntent(Message, frozen=True):
    """An order that the engine emulates: it watches a price and sends ordinary orders for it.

    `parent` is its id, of the same making as a client order id. `side` and `lots` are what is done when
    `trigger_ticks` is met by `source`. After the trigger a limit order at `limit_ticks` rests (STOP_LIMIT,
    GTD, and TAKE_PROFIT with a limit); with `limit_ticks` 0 it takes at once, at most `slip_ticks` through
    the best price. TRAILING_STOP follows the best price seen at `trail_ticks` or `trail_bps`. OCO is a
    limit at `limit_ticks` and a stop at `stop_ticks`. BRACKET enters at `limit_ticks` and, as that
    fills, guards it by a take-profit at `trigger_ticks` and a stop at `stop_ticks`. GTD ends at
    `good_until_ns`, as any other does where that is not 0.
    """

    parent: str
    bot: int
    venue: int
    instrument: int
    kind: ParentKind
    side: int
    lots: int
    source: TriggerSource
    trigger_ticks: int
    limit_ticks: int
    stop_ticks: int
    trail_ticks: int
    trail_bps: int
    slip_ticks: int
    good_until_ns: int


class ParentCancel(Message, frozen=True):
    """The bot no longer wants an emulated order: its children are cancelled.

    With `park` it stays, sends nothing, and goes on when the engine is resumed.
    """

    parent: str
    bot: int
    park: bool = False


class ParentEvent(Message, frozen=True):
    """An emulated order took a step; `filled_lots` is what its children filled so far."""

    parent: str
    bot: int
    venue: int
    instrument: int
    kind: ParentKind
    state: ParentState
    side: int
    lots: int
    filled_lots: int
    trigger_ticks: int
    reason: Reason


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
    reduces: bool = False


class CancelCommand(Message, frozen=True):
    """A cancel on its way to the venue; cancels always pass the RiskGuard."""

    client_order_id: str
    bot: int
    venue: int
    instrument: int


class OrderRefused(Message, frozen=True):
    """The RiskGuard said no: the rule, its limit and the value that broke it.

    Amounts of money are in units of `asset`, where the rule is about one; see docs/risk.md for the others.
    """

    client_order_id: str
    bot: int
    instrument: int
    reason: Reason
    limit: int
    value: int
    asset: str = ""


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
    venue_order_id: str = ""


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
    """What the venue says an account holds of an asset, in units.

    `settled` says that every fill which the venue counted into it was told before this message.
    """

    venue: int
    asset: str
    total: int
    settled: bool = False


class Transfer(Message, frozen=True):
    """Money that came (positive) or went and was not traded: deposit, withdrawal, funding, other."""

    venue: int
    asset: str
    amount: int
    transfer_id: str
    kind: str


class Difference(Message, frozen=True):
    """A venue's books and ours differ: about what, what each says, and whether it was repaired."""

    venue: int
    kind: DifferenceKind
    subject: str
    ours: int
    theirs: int
    repaired: bool


class Reconciled(Message, frozen=True):
    """A venue was compared with; `clean` is False while something that was found is not repaired."""

    venue: int
    clean: bool
    differences: int


class Resting(Message, frozen=True):
    """By the venue's own word so many orders of ours, and of others on the account, rest there now."""

    venue: int
    orders: int
    foreign: int


class KillProgress(Message, frozen=True):
    """How far a kill has come: finished when no venue has an order of ours and, at SHUTDOWN, no position.

    `resting` counts orders by the venues' own word (-1 while one has not spoken), `unknown` those in
    doubt, `positions` the assets that are away from their target.
    """

    level: Risk
    resting: int
    unknown: int
    positions: int
    finished: bool


class Equity(Message, frozen=True):
    """What everything is worth in the chosen currency, in its units, and since when it was marked.

    `opening` is that of the UTC day, and of accounts that were first heard of since; `transfers` is what
    came and went in the day without being traded. The day's profit is `equity - opening - transfers`.
    `peak` is the highest since the account began; transfers move it, so that `peak - equity` is the
    drawdown. `stale_ns` is the age of the oldest mark that was used, INT64_MAX while there is none for an
    asset that is held: those are named in `unmarked`, with commas between, and are not counted.
    """

    currency: str
    equity: int
    opening: int
    transfers: int
    peak: int
    stale_ns: int
    unmarked: str = ""


class RiskLevel(Message, frozen=True):
    """The RiskGuard's level changed."""

    level: Risk
    reason: Reason


class LimitChanged(Message, frozen=True):
    """An operator's word on a limit was taken (`accepted`) or refused; `value` is what applies now.

    `text` says why it was refused. A restart that finds a change that no longer holds says so too.
    """

    scope: Scope
    subject: str
    name: str
    value: str
    who: str
    accepted: bool
    text: str


class PositionUpdate(Message, frozen=True):
    """What is held of one base asset over all venues from trading, in asset units, and its cost.

    `cost` is what the open position cost (negative: what was received for a short), `realised`
    the profit of what was closed before `fees`, all in units of the quote asset. A fee paid in the base
    asset is a sale of so much at the fill's price, and that value a fee.
    """

    base: str
    quote: str
    quantity: int
    cost: int
    realised: int
    fees: int


class BalanceUpdate(Message, frozen=True):
    """What the Ledger holds on one venue of one asset, in units; `dust` is the part too small to sell."""

    venue: int
    asset: str
    total: int
    dust: int = 0


class PnL(Message, frozen=True):
    """Profit and loss in units of the quote asset, marked at mid prices."""

    quote: str
    realised: int
    unrealised: int
    fees: int
    equity: int


class BookPnL(Message, frozen=True):
    """What one bot made on one venue with one pair, marked at mid; `base` units and `quote` units.

    `cost` is that of the open position by average cost, and `unrealised` is against it. What was closed is
    worked out twice: first in first out, and by average cost; with the unrealised profit of either way
    both come to the same. `fees_other` are those in third assets, at their marks when they were paid.
    """

    bot: int
    venue: int
    base: str
    quote: str
    quantity: int
    cost: int
    realised_fifo: int
    realised_average: int
    unrealised: int
    fees: int
    fees_other: int


class Dust(Message, frozen=True):
    """What is left of an asset after an exit and too small to be traded: the Ledger puts it aside.

    In units, negative for what is missing of a short. It stays in the balance.
    """

    venue: int
    asset: str
    bot: int
    amount: int


# --- effects: what a component wants done outside ---------------------------------------------------


class SendFrame(Message, frozen=True):
    """Send these bytes on a connection of a venue (a subscription, a query); raises no exposure."""

    venue: int
    connection: int
    payload: bytes


class OrderRequest(Message, frozen=True):
    """Send an order's bytes. Journalled first; the edge checks the kill switch and the expiry.

    With `call` 0 they are a frame of a connection, else a private request that an `Answer` follows.
    """

    venue: int
    connection: int
    client_order_id: str
    raises_exposure: bool
    expires_ns: int
    payload: bytes
    call: int = 0
    kind: CallKind = CallKind.CREATE


class VenueCall(Message, frozen=True):
    """Ask a venue something of our account; it changes no order. An `Answer` with `call` follows."""

    venue: int
    call: int
    kind: CallKind
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
    | Answer
    | SetRiskLevel
    | SetLimit
    | SetBreaker
    | Reconcile
    | ResolveUnknown
    | CancelAll
    | BookTop
    | Depth
    | Trade
    | VenueStatus
    | BookStateChanged
    | InstrumentReloaded
    | Opportunity
    | OpportunityGone
    | OrderIntent
    | GroupIntent
    | ParentIntent
    | ParentCancel
    | ParentEvent
    | CancelIntent
    | OrderCommand
    | CancelCommand
    | OrderRefused
    | OrderEvent
    | Fill
    | BalanceSeen
    | Transfer
    | Difference
    | Reconciled
    | Resting
    | KillProgress
    | Equity
    | RiskLevel
    | LimitChanged
    | PositionUpdate
    | BalanceUpdate
    | PnL
    | BookPnL
    | Dust
    | SendFrame
    | OrderRequest
    | VenueCall
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
