"""Markets, messages and streams of them for the tests of components, and what each must survive.

`holds_over_restore` is the contract of `snapshot()` and `restore()`: cut anywhere, a stream goes on
to the same outputs and the same state.
"""

import struct
from collections.abc import Callable, Sequence

from engine.component import Component
from engine.instruments import Instrument, Instruments
from engine.messages import (
    BUY,
    AnyMessage,
    BookState,
    BookTop,
    Depth,
    Fill,
    GroupIntent,
    Opportunity,
    OrderEvent,
    OrderIntent,
    OrderRefused,
    OrderState,
    Reason,
    SetTimer,
    TimeInForce,
)

SECOND = 1_000_000_000
MS = 1_000_000
LEVELS = 5
Stream = Sequence[tuple[AnyMessage, int]]


def market(
    lots: Sequence[str] = ("0.001", "0.001", "0.001"),
    fee: str = "0.001",
    notional_min: str = "5",
    lots_max: int = 1_000_000,
    symbols: Sequence[str] = ("BTC/USDT",),
) -> Instruments:
    """One instrument a symbol and venue, as many venues as lot sizes; a tick is 0.01."""
    table = []
    for venue, lot in enumerate(lots):
        for symbol in symbols:
            base, _, quote = symbol.partition("/")
            table.append(
                Instrument(
                    id=len(table),
                    venue=venue,
                    symbol=symbol,
                    base=base,
                    quote=quote,
                    tick_size="0.01",
                    lot_size=lot,
                    base_decimals=8,
                    quote_decimals=8,
                    lots_max=lots_max,
                    notional_min=notional_min,
                    taker_fee=fee,
                )
            )
    return Instruments(table, [f"venue{number}" for number in range(len(lots))])


def depth(
    instrument: int,
    bids: Sequence[tuple[int, int]],
    asks: Sequence[tuple[int, int]],
    received_ns: int = SECOND,
    state: BookState = BookState.LIVE,
) -> Depth:
    """A whole depth of `LEVELS` levels from (ticks, lots), the best first."""
    padding = [(0, 0)] * LEVELS
    levels = [*[*bids, *padding][:LEVELS], *[*asks, *padding][:LEVELS]]
    pairs = b"".join(struct.pack("<qq", *level) for level in levels)
    return Depth(1, 1, received_ns, instrument, state, LEVELS, pairs)


def top(
    instrument: int,
    bid_ticks: int = 1_000_000,
    ask_ticks: int = 1_000_100,
    received_ns: int = SECOND,
    state: BookState = BookState.LIVE,
    lots: int = 1000,
) -> BookTop:
    """The best prices of an instrument."""
    return BookTop(1, 1, received_ns, instrument, state, bid_ticks, lots, ask_ticks, lots)


def intent(
    name: str = "a",
    instrument: int = 0,
    side: int = BUY,
    ticks: int = 1_000_100,
    lots: int = 10,
    venue: int | None = None,
    expires_ns: int = 10 * SECOND,
) -> OrderIntent:
    """An order a bot (component 9) wants; instruments of `market()` stand on their own venue."""
    return OrderIntent(
        9,
        1,
        SECOND,
        name,
        9,
        1,
        0,
        instrument if venue is None else venue,
        instrument,
        side,
        ticks,
        lots,
        TimeInForce.IOC,
        expires_ns,
    )


def event(
    order: OrderIntent, state: OrderState, filled: int = 0, reason: Reason = Reason.NONE
) -> OrderEvent:
    """What a venue says of an order."""
    return OrderEvent(
        1,
        1,
        SECOND,
        order.client_order_id,
        order.bot,
        order.venue,
        order.instrument,
        order.side,
        order.ticks,
        order.lots,
        filled,
        state,
        reason,
    )


def fill(
    order: OrderIntent, lots: int, trade_id: str, fee: int = 0, fee_asset: str = "USDT"
) -> Fill:
    """A fill of an order at its limit."""
    return Fill(
        1,
        1,
        SECOND,
        order.client_order_id,
        order.bot,
        order.venue,
        order.instrument,
        order.side,
        order.ticks,
        lots,
        fee,
        fee_asset,
        trade_id,
        False,
    )


def opportunity(
    number: int = 1, buy: int = 0, sell: int = 1, lots: int = 10, received_ns: int = SECOND
) -> Opportunity:
    """Buy at 10,001.00 on one instrument, sell at 10,100.00 on another."""
    return Opportunity(2, 1, received_ns, number, buy, 1_000_100, lots, sell, 1_010_000, lots, 1)


def intents(outputs: tuple[AnyMessage, ...] | list[AnyMessage]) -> list[OrderIntent]:
    """The orders among outputs, those of groups too."""
    found: list[OrderIntent] = []
    for out in outputs:
        if isinstance(out, GroupIntent):
            found.extend(out.legs)
        elif isinstance(out, OrderIntent):
            found.append(out)
    return found


def timers(outputs: tuple[AnyMessage, ...]) -> list[SetTimer]:
    """The timers among outputs."""
    return [out for out in outputs if isinstance(out, SetTimer)]


def refused(order: OrderIntent, reason: Reason = Reason.POSITION) -> OrderRefused:
    """The guard says no."""
    name, number = order.client_order_id, order.instrument
    return OrderRefused(4, 1, SECOND, name, order.bot, number, reason, 0, 1)


def end(made: Component, order: OrderIntent, filled: int, now_ns: int) -> tuple[AnyMessage, ...]:
    """A venue fills some of an order, as fills and final event come; the last answer."""
    if filled:
        made.on_message(fill(order, filled, f"{order.client_order_id}+"), now_ns)
    state = OrderState.FILLED if filled == order.lots else OrderState.CANCELLED
    return made.on_message(event(order, state, filled), now_ns)


def run(component: Component, stream: Stream) -> list[AnyMessage]:
    """All outputs of a component on a stream, in order."""
    return [out for message, now_ns in stream for out in component.on_message(message, now_ns)]


def holds_over_restore(make: Callable[[], Component], stream: Stream, cut: int) -> list[AnyMessage]:
    """Cut a stream after `cut` messages: a restored component goes on as the first one does.

    Returns the first one's outputs.
    """
    first, second = make(), make()
    begun = run(first, stream[:cut])
    second.restore(first.snapshot())
    assert second.snapshot() == first.snapshot()
    rest = run(first, stream[cut:])
    assert run(second, stream[cut:]) == rest
    assert second.snapshot() == first.snapshot()
    return begun + rest
