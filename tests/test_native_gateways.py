"""Binance and Kraken spoken natively to the exchange server: over real sockets, and in process."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from engine.messages import BUY, SELL, OrderState, Reason, TimeInForce
from engine.venues.trading import (
    BalancesSeen,
    CallFailed,
    ClockSeen,
    Effect,
    FillSeen,
    FillsSeen,
    OpenOrdersSeen,
    OrderMissing,
    OrderRef,
    OrderSeen,
)
from tests import binance_server, kraken_server
from tests.loopback_only import loopback_only
from tests.native_desk import SECOND, Account, InProcess, Sockets, intent, keys

MS = 1_000_000
Scene = Callable[[Account], Awaitable[None]]
MIDDLE = {"binance": 10_000, "kraken": 500_000}
RICH = {"binance": 1_500, "kraken": 100}
LOTS = {"binance": 100_000, "kraken": 50_000_000}


def play(protocol: str, way: type[Account], scene: Scene) -> None:
    """A scene on a served venue."""

    async def run() -> None:
        venue: binance_server.Venue | kraken_server.Venue
        if protocol == "binance":
            venue, ours = binance_server.Venue(), keys(binance_server.KEY, binance_server.SECRET)
        else:
            venue, ours = kraken_server.Venue(), keys(kraken_server.KEY, kraken_server.SECRET)
        await venue.open()
        account = way(venue, protocol, ours)
        try:
            await account.open()
            await scene(account)
        finally:
            await account.close()
            await venue.close()

    with loopback_only():
        asyncio.run(asyncio.wait_for(run(), 60))


@pytest.fixture(params=["binance", "kraken"])
def protocol(request: pytest.FixtureRequest) -> str:
    """Which exchange."""
    name: str = request.param
    return name


@pytest.fixture(params=[Sockets, InProcess], ids=["sockets", "in-process"])
def way(request: pytest.FixtureRequest) -> type[Account]:
    """How it is reached."""
    kind: type[Account] = request.param
    return kind


def deadline(account: Account) -> int:
    """Two seconds from now."""
    return account.now_ns + 2 * SECOND


def test_an_order_rests_is_found_and_is_cancelled(protocol: str, way: type[Account]) -> None:
    """Placed, told by the stream, found by its client id and among the open ones, cancelled."""
    ticks, lots = MIDDLE[protocol] - 1_000, LOTS[protocol]

    async def scene(account: Account) -> None:
        trading = account.trading
        order = intent("ab0123456789abcdef", ticks, lots)
        request = trading.create(order, account.now_ns, deadline(account))
        assert abs(request.deadline_ns - deadline(account)) < SECOND
        await account.ask(request)
        seen = await account.seen(OrderSeen, lambda o: o.state is OrderState.ACKNOWLEDGED)
        name = order.client_order_id
        assert seen[:7] == (name, seen.venue_order_id, 0, BUY, ticks, lots, 0)
        assert seen.venue_order_id
        for ref in (OrderRef(name, "", 0), OrderRef("", seen.venue_order_id, 0)):
            found = await account.ask(trading.query(ref, account.now_ns))
            told = [each for each in found if isinstance(each, OrderSeen)]
            assert [o.state for o in told] == [OrderState.ACKNOWLEDGED]
            assert told[0].venue_order_id == seen.venue_order_id
        (request,) = trading.open_orders(account.now_ns)
        (resting,) = [o for o in await account.ask(request) if isinstance(o, OpenOrdersSeen)]
        assert resting.complete
        assert [o[:7] for o in resting.orders] == [seen[:7]]
        ref = OrderRef(name, "", 0)
        await account.ask(trading.cancel(ref, account.now_ns))
        gone = await account.seen(OrderSeen, lambda o: o.state is OrderState.CANCELLED)
        assert gone.client_order_id == name
        found = await account.ask(trading.query(ref, account.now_ns))
        assert [o.state for o in found if isinstance(o, OrderSeen)] == [OrderState.CANCELLED]
        assert not any(isinstance(o, OrderMissing) for o in account.news)

    play(protocol, way, scene)


def test_fills_are_told_alike_by_stream_answers_and_history(
    protocol: str, way: type[Account]
) -> None:
    """A taker's fill: the same trade id, price, size and fee wherever it is told."""
    ticks, lots = MIDDLE[protocol] + 200, LOTS[protocol]

    async def scene(account: Account) -> None:
        trading, begin_ns = account.trading, account.now_ns
        force = TimeInForce.IOC
        order = intent("ab0123456789abcdef", ticks, lots + lots // 2, time_in_force=force)
        await account.ask(trading.create(order, account.now_ns, deadline(account)))
        done = await account.seen(OrderSeen, lambda o: o.state is OrderState.FILLED)
        assert done.filled_lots == order.lots
        instrument = -1 if trading.fills_by_account else 0
        found = await account.ask(trading.fills(instrument, begin_ns, 0, account.now_ns))
        (pages,) = [each for each in found if isinstance(each, FillsSeen)]
        assert pages.instrument == instrument
        assert sum(fill.lots for fill in pages.fills) == order.lots
        live = {f.trade_id: f for f in account.news if isinstance(f, FillSeen)}
        assert {f.trade_id for f in pages.fills} == set(live)
        for fill in pages.fills:
            assert fill.venue_order_id == done.venue_order_id
            told = live[fill.trade_id]
            assert told.client_order_id == order.client_order_id
            assert fill[2:9] == told[2:9]
            assert not fill.maker
            assert fill.fee_asset == "USDT"
            assert fill.fee > 0

    play(protocol, way, scene)


def test_balances_and_clock(protocol: str, way: type[Account]) -> None:
    """What is held, before and after a fill; the venue's time to the millisecond."""

    async def scene(account: Account) -> None:
        trading, exchange = account.trading, account.venue.exchange
        order = intent(
            "ab0123456789abcdef", MIDDLE[protocol] - 200, LOTS[protocol], SELL,
            time_in_force=TimeInForce.IOC,
        )  # fmt: skip
        await account.ask(trading.create(order, account.now_ns, deadline(account)))
        await account.seen(OrderSeen, lambda o: o.state is OrderState.FILLED)
        found = await account.ask(trading.balances(account.now_ns))
        (held,) = [each for each in found if isinstance(each, BalancesSeen)]
        assert {asset for asset, _, _ in held.rows} >= {"BTC", "ETH", "USDT"}
        for asset, total, free in held.rows:
            assert total == exchange.accounts.total("main", asset)
            assert free == exchange.accounts.free("main", asset)
        before_ns = account.now_ns
        await account.ask(trading.clock())
        clock = await account.seen(ClockSeen)
        assert before_ns // MS <= clock.venue_ns // MS <= account.now_ns // MS

    play(protocol, way, scene)


def test_a_late_order_is_refused_by_the_venue(protocol: str, way: type[Account]) -> None:
    """Its deadline was before it came; nothing of it is there."""

    async def scene(account: Account) -> None:
        trading = account.trading
        sent_ns = account.now_ns - 5 * SECOND
        order = intent("ab0123456789abcdef", MIDDLE[protocol] - 1_000, LOTS[protocol])
        await account.ask(trading.create(order, sent_ns, sent_ns + SECOND))
        failed = await account.seen(CallFailed)
        assert (failed.effect, failed.reason) == (Effect.NONE, Reason.EXPIRED)
        ref = OrderRef(order.client_order_id, "", 0)
        found = await account.ask(trading.query(ref, account.now_ns))
        assert [e for e in found if isinstance(e, OrderMissing)] == [OrderMissing(ref[0], 0)]

    play(protocol, way, scene)


def test_refusals_say_why(protocol: str, way: type[Account]) -> None:
    """Too little money; a post-only order that would take; a cancel of what is not there."""
    ticks = MIDDLE[protocol]

    async def refused(account: Account, **changed: object) -> CallFailed:
        account.news.clear()
        fields = {"name": "ab0123456789abcdef", "ticks": ticks - 10, "lots": LOTS[protocol]}
        order = intent(**(fields | changed))  # type: ignore[arg-type]
        await account.ask(account.trading.create(order, account.now_ns, deadline(account)))
        return await account.seen(CallFailed)

    async def scene(account: Account) -> None:
        poor = await refused(account, lots=LOTS[protocol] * RICH[protocol])
        assert (poor.effect, poor.reason) == (Effect.NONE, Reason.BALANCE)
        taking = await refused(account, ticks=ticks + 500, post_only=True)
        assert (taking.effect, taking.reason) == (Effect.NONE, Reason.VENUE_REJECTED)
        account.news.clear()
        ref = OrderRef("ffffffffffffffffff", "", 0)
        await account.ask(account.trading.cancel(ref, account.now_ns))
        gone = await account.seen(CallFailed)
        assert (gone.effect, gone.reason) == (Effect.NONE, Reason.VENUE_REJECTED)

    play(protocol, way, scene)


def test_an_id_that_is_there_is_no_plain_refusal(protocol: str, way: type[Account]) -> None:
    """The venue has an order of that id: whoever sent it, its state is asked for."""

    async def scene(account: Account) -> None:
        trading = account.trading
        order = intent("ab0123456789abcdef", MIDDLE[protocol] - 1_000, LOTS[protocol])
        for _ in range(2):
            await account.ask(trading.create(order, account.now_ns, deadline(account)))
        failed = await account.seen(CallFailed)
        assert (failed.effect, failed.reason) == (Effect.POSSIBLE, Reason.DUPLICATE)

    play(protocol, way, scene)


def test_all_orders_go_at_once(protocol: str, way: type[Account]) -> None:
    """A kill's way: everything that rests is cancelled, and nothing rests then."""

    async def scene(account: Account) -> None:
        trading = account.trading
        for number in range(3):
            order = intent(f"ab{number:016d}", MIDDLE[protocol] - 1_000 - number, LOTS[protocol])
            await account.ask(trading.create(order, account.now_ns, deadline(account)))
        for request in trading.cancel_all(account.now_ns):
            await account.ask(request)

        def gone() -> set[str]:
            seen = [each for each in account.news if isinstance(each, OrderSeen)]
            return {o.client_order_id for o in seen if o.state is OrderState.CANCELLED}

        await account.until(lambda: len(gone()) == 3)
        (request,) = trading.open_orders(account.now_ns)
        found = await account.ask(request)
        assert [each.orders for each in found if isinstance(each, OpenOrdersSeen)] == [()]
        assert account.venue.exchange.open_orders("main", None) == []

    play(protocol, way, scene)


def test_a_cancel_has_a_way_while_the_websocket_is_gone(protocol: str, way: type[Account]) -> None:
    """By REST, at either exchange; at Binance an order too."""

    async def scene(account: Account) -> None:
        trading = account.trading
        order = intent("ab0123456789abcdef", MIDDLE[protocol] - 1_000, LOTS[protocol])
        if protocol == "binance":
            trading.closed()
        request = trading.create(order, account.now_ns, deadline(account))
        assert request.answered is (protocol == "binance")
        await account.ask(request)
        await account.seen(OrderSeen, lambda o: o.state is OrderState.ACKNOWLEDGED)
        trading.closed()
        request = trading.cancel(OrderRef(order.client_order_id, "", 0), account.now_ns)
        assert request.answered
        await account.ask(request)
        assert not any(isinstance(each, CallFailed) for each in account.news)
        assert account.venue.exchange.open_orders("main", None) == []

    play(protocol, way, scene)
