"""The arbitrage bot: two legs at once, never more groups than allowed, one-leg fills taken back."""

import pytest

from engine.bots import base
from engine.bots.arbitrage import RETRY_NS, ArbitrageBot
from engine.config import BotConfig
from engine.instruments import Instruments
from engine.messages import (
    BUY,
    SELL,
    BookState,
    Drain,
    GroupIntent,
    OrderIntent,
    OrderState,
    Reason,
    Risk,
    RiskLevel,
    SetTimer,
    Started,
    TimeInForce,
    TimerFired,
)
from tests.streams import (
    MS,
    SECOND,
    end,
    event,
    fill,
    intents,
    market,
    opportunity,
    refused,
    timers,
    top,
)

MARKET = market()
CONFIG = BotConfig("arb", "arbitrage", ("BTC/USDT",), cooldown_ms=100, order_ttl_ms=250)
COOLDOWN_NS = 100 * MS
LATER = SECOND + 150 * MS  # after the cooldown; an opportunity of SECOND is still young enough
DUST = market(notional_min="50")  # at 10,000 a coin, less than 5 lots of 0.001
SEVERAL = ("BTC/USDT", "ETH/USDT", "LTC/USDT")


def bot(instruments: Instruments = MARKET, config: BotConfig = CONFIG) -> ArbitrageBot:
    """A bot just started, that knows a top on each instrument: the later, the cheaper to buy."""
    made = ArbitrageBot(9, instruments, config, "test")
    made.on_message(Started(0, 1, 0, 1), 77)
    for instrument in instruments:
        made.on_message(top(instrument.id, 999_900 - instrument.id, 1_000_100), SECOND)
    return made


def test_an_opportunity_is_one_group_of_two_orders() -> None:
    """Buy leg and sell leg, immediate-or-cancel, each on its own venue, for the guard to judge as one."""
    (group,) = bot().on_message(opportunity(buy=2, sell=0), SECOND + 3)
    assert isinstance(group, GroupIntent)
    assert (group.bot, group.group, group.sequence) == (9, 1, 3)
    buy, sell = group.legs
    assert (buy.venue, buy.instrument, buy.side, buy.ticks, buy.lots) == (2, 2, BUY, 1_000_100, 10)
    assert (sell.venue, sell.instrument, sell.side, sell.ticks) == (0, 0, SELL, 1_010_000)
    assert (buy.group, buy.leg, sell.group, sell.leg) == (1, 0, 1, 1)
    for leg in (buy, sell):
        assert leg.time_in_force is TimeInForce.IOC
        assert leg.expires_ns == SECOND + 3 + 250 * MS
        assert (leg.bot, leg.sender, leg.received_ns) == (9, 9, SECOND)
    assert buy.client_order_id != sell.client_order_id
    assert (buy.sequence, sell.sequence) == (1, 2)


def test_a_group_is_open_until_both_legs_are_final_and_unknown_is_not() -> None:
    """While a leg lives, or is UNKNOWN, no other group is begun in its symbol."""
    made = bot()
    buy, sell = intents(made.on_message(opportunity(), SECOND))
    end(made, buy, 10, SECOND)
    made.on_message(fill(sell, 10, "s"), SECOND)
    for state in (OrderState.SENT, OrderState.ACKNOWLEDGED, OrderState.UNKNOWN):
        made.on_message(event(sell, state), SECOND)
        assert made.on_message(opportunity(2), LATER) == ()
        assert made.open_work() == 1
    made.on_message(event(sell, OrderState.FILLED, 10), SECOND)
    assert made.open_work() == 0
    assert len(intents(made.on_message(opportunity(3), LATER))) == 2


def test_groups_max_counts_over_symbols() -> None:
    """With two groups allowed, a third symbol waits and a symbol has one group at a time."""
    instruments = market(symbols=SEVERAL)
    config = BotConfig("arb", "arbitrage", SEVERAL, 0, 250, groups_max=2)
    made = bot(instruments, config)
    assert len(intents(made.on_message(opportunity(1, 0, 3), SECOND))) == 2
    assert made.on_message(opportunity(2, 3, 6), SECOND) == ()
    ether = intents(made.on_message(opportunity(3, 1, 4), SECOND))
    assert len(ether) == 2
    assert made.on_message(opportunity(4, 2, 5), SECOND) == ()
    for leg in ether:
        end(made, leg, 0, SECOND)
    assert len(intents(made.on_message(opportunity(5, 2, 5), SECOND))) == 2


def test_the_cooldown_counts_from_the_groups_start() -> None:
    """A nanosecond too early is too early."""
    made = bot()
    for leg in intents(made.on_message(opportunity(), SECOND)):
        end(made, leg, 0, SECOND)
    assert made.on_message(opportunity(2), SECOND + COOLDOWN_NS - 1) == ()
    assert len(intents(made.on_message(opportunity(3), SECOND + COOLDOWN_NS))) == 2


def test_what_is_not_traded() -> None:
    """Other symbols, opportunities told too late, a halt, a drain: nothing."""
    config = BotConfig("arb", "arbitrage", ("BTC/USDT",), 0, 250)
    made = bot(market(symbols=SEVERAL), config)
    assert made.on_message(opportunity(1, 1, 4), SECOND) == ()
    assert made.on_message(opportunity(2, 0, 3), SECOND + 250 * MS + 1) == ()
    made.on_message(RiskLevel(4, 1, 0, Risk.HALT, Reason.KILLED), SECOND)
    assert made.on_message(opportunity(3, 0, 3), SECOND) == ()
    made.on_message(RiskLevel(4, 2, 0, Risk.NORMAL, Reason.NONE), SECOND)
    assert len(intents(made.on_message(opportunity(4, 0, 3), SECOND))) == 2
    made = bot()
    made.on_message(Drain(0, 1, 0), SECOND)
    assert made.on_message(opportunity(), SECOND) == ()


def test_no_symbols_configured_means_all() -> None:
    """An empty list is every symbol there is."""
    made = bot(market(symbols=SEVERAL), BotConfig("arb"))
    assert len(intents(made.on_message(opportunity(1, 2, 5), SECOND))) == 2


@pytest.mark.parametrize(("kept", "side", "venue"), [(0, SELL, 0), (1, BUY, 2)])
def test_a_one_leg_fill_is_taken_back_before_any_new_group(
    kept: int, side: int, venue: int
) -> None:
    """Only one leg filled: the next is one order against it, through the best price of all."""
    made = bot()
    made.on_message(top(2, 999_000, 1_000_050), SECOND)
    made.on_message(top(0, 999_950, 1_000_100), SECOND)
    legs = intents(made.on_message(opportunity(), SECOND))
    end(made, legs[1 - kept], 0, SECOND)
    (timer,) = timers(end(made, legs[kept], 7, SECOND))
    assert timer.at_ns == SECOND + RETRY_NS
    (flat,) = made.on_message(opportunity(2), LATER)
    assert isinstance(flat, OrderIntent)
    assert (flat.side, flat.venue, flat.lots) == (side, venue, 7)
    assert (flat.hedge, flat.group, flat.leg) == (True, 1, 2), "a leg more of its group"
    assert flat.ticks == (999_950 - 499 if side == SELL else 1_000_050 + 500)
    assert made.on_message(opportunity(3), LATER) == ()
    end(made, flat, 7, LATER)
    assert len(intents(made.on_message(opportunity(4, received_ns=LATER), LATER + RETRY_NS))) == 2


def test_at_restricted_it_hedges_and_begins_nothing() -> None:
    """What a group left open is taken back; another opportunity is let go; at HALT neither is done."""
    made = bot()
    buy, sell = intents(made.on_message(opportunity(), SECOND))
    end(made, sell, 0, SECOND)
    end(made, buy, 7, SECOND)
    made.on_message(RiskLevel(4, 1, 0, Risk.HALT, Reason.DAILY_LOSS), SECOND)
    assert not intents(made.on_message(opportunity(2), LATER))
    made.on_message(RiskLevel(4, 2, 0, Risk.RESTRICTED, Reason.OPERATOR), SECOND)
    (hedge,) = intents(made.on_message(opportunity(3), LATER))
    assert (hedge.hedge, hedge.lots) == (True, 7)
    end(made, hedge, 7, LATER)
    later_ns = LATER + RETRY_NS
    assert not intents(made.on_message(opportunity(4, received_ns=later_ns), later_ns))
    made.on_message(RiskLevel(4, 3, 0, Risk.CAUTION, Reason.OPERATOR), SECOND)
    assert len(intents(made.on_message(opportunity(5, received_ns=later_ns), later_ns))) == 2


def test_each_try_to_hedge_is_a_leg_of_its_own() -> None:
    """A hedge that misses is tried again under another leg, and so another name."""
    made = bot()
    buy, sell = intents(made.on_message(opportunity(), SECOND))
    end(made, sell, 0, SECOND)
    end(made, buy, 7, SECOND)
    legs, names, now_ns = [], set(), LATER
    for _ in range(3):
        (hedge,) = intents(made.on_message(opportunity(2, received_ns=now_ns), now_ns))
        legs.append(hedge.leg)
        names.add(hedge.client_order_id)
        end(made, hedge, 0, now_ns)
        now_ns += RETRY_NS
    assert (legs, len(names)) == ([2, 3, 4], 3)


def test_an_imbalance_is_taken_back_without_another_opportunity() -> None:
    """The timer flattens, and again after a miss, until nothing is left."""
    made = bot()
    buy, sell = intents(made.on_message(opportunity(), SECOND))
    end(made, sell, 0, SECOND)
    (timer,) = timers(end(made, buy, 10, SECOND))
    (flat,) = intents(made.on_message(TimerFired(0, 1, 0, 9, timer.key), timer.at_ns))
    (timer,) = timers(end(made, flat, 4, timer.at_ns))
    (flat,) = intents(made.on_message(TimerFired(0, 2, 0, 9, timer.key), timer.at_ns))
    assert flat.lots == 6
    (timer,) = timers(made.on_message(refused(flat), timer.at_ns))
    (flat,) = intents(made.on_message(TimerFired(0, 3, 0, 9, timer.key), timer.at_ns))
    assert end(made, flat, 6, timer.at_ns) == ()


def test_a_flattening_waits_for_prices_and_for_the_halt_to_end() -> None:
    """No LIVE top, or a halt: the timer is set again and nothing is sent."""
    made = bot()
    buy, sell = intents(made.on_message(opportunity(), SECOND))
    end(made, sell, 0, SECOND)
    (timer,) = timers(end(made, buy, 10, SECOND))
    for number in range(3):
        made.on_message(top(number, state=BookState.STALE), SECOND)
    (timer,) = made.on_message(TimerFired(0, 1, 0, 9, timer.key), timer.at_ns)
    assert isinstance(timer, SetTimer)
    made.on_message(top(1), SECOND)
    made.on_message(RiskLevel(4, 1, 0, Risk.HALT, Reason.KILLED), SECOND)
    (timer,) = made.on_message(TimerFired(0, 2, 0, 9, timer.key), timer.at_ns)
    assert isinstance(timer, SetTimer)
    made.on_message(RiskLevel(4, 2, 0, Risk.NORMAL, Reason.NONE), SECOND)
    assert intents(made.on_message(TimerFired(0, 3, 0, 9, timer.key), timer.at_ns))


def test_dust_is_carried_until_more_comes_to_it() -> None:
    """0.003 coins are less than the least order: groups go on; 0.006 are taken back."""
    made = bot(DUST)
    buy, sell = intents(made.on_message(opportunity(), SECOND))
    end(made, sell, 7, SECOND)
    (timer,) = timers(end(made, buy, 10, SECOND))
    assert made.on_message(TimerFired(0, 1, 0, 9, timer.key), timer.at_ns) == ()
    buy, sell = intents(made.on_message(opportunity(2), LATER))
    end(made, sell, 7, LATER)
    end(made, buy, 10, LATER)
    (flat,) = intents(made.on_message(opportunity(3, received_ns=LATER), LATER + SECOND // 8))
    assert (flat.side, flat.lots) == (SELL, 6)


def test_a_late_fill_of_an_order_long_final_is_attended_to() -> None:
    """What fills after its order was thought dead is an imbalance like any other."""
    made = bot()
    legs = intents(made.on_message(opportunity(), SECOND))
    for leg in legs:
        end(made, leg, 0, SECOND)
    assert timers(made.on_message(fill(legs[0], 10, "late"), LATER))
    assert made.on_message(fill(legs[0], 10, "late"), LATER) == ()
    (flat,) = intents(made.on_message(opportunity(2), LATER))
    assert (flat.side, flat.lots) == (SELL, 10)


def test_a_fee_in_coins_is_so_much_less_bought() -> None:
    """10 lots bought less half a lot of fee, 10 sold: half a lot short, which is dust."""
    made = bot()
    buy, sell = intents(made.on_message(opportunity(), SECOND))
    made.on_message(fill(buy, 10, "b", 50_000, "BTC"), SECOND)
    made.on_message(fill(sell, 10, "s"), SECOND)
    assert made.memory.imbalance == {"BTC/USDT": -50_000}


def test_a_refused_second_leg_ends_it_and_the_first_is_followed() -> None:
    """The group is over with the first leg; a refusal as DUPLICATE says nothing of the first."""
    made = bot()
    buy, sell = intents(made.on_message(opportunity(), SECOND))
    made.on_message(refused(sell, Reason.DUPLICATE), SECOND)
    assert made.open_work() == 2
    made.on_message(refused(sell), SECOND)
    assert made.open_work() == 1
    assert timers(end(made, buy, 10, SECOND))


def test_names_are_not_repeated_over_restarts() -> None:
    """A restored bot counts on; one begun from nothing later has other names for the same wish."""
    first = bot()
    names = {o.client_order_id for o in intents(first.on_message(opportunity(), SECOND))}
    restored = ArbitrageBot(9, MARKET, CONFIG, "test")
    restored.restore(first.snapshot())
    restored.on_message(Started(0, 1, 0, 2), LATER)
    restored.placed.clear()
    again = intents(restored.on_message(opportunity(), LATER))
    afresh = ArbitrageBot(9, MARKET, CONFIG, "test")
    afresh.on_message(Started(0, 1, 0, 1), LATER)
    anew = intents(afresh.on_message(opportunity(), LATER))
    names.update(o.client_order_id for o in again + anew)
    assert len(names) == 6


def test_a_restored_bot_names_what_the_first_would_have() -> None:
    """The start of another epoch changes no name: what is done again is the same order."""
    first = bot()
    for leg in intents(first.on_message(opportunity(), SECOND)):
        end(first, leg, 0, SECOND)
    restored = ArbitrageBot(9, MARKET, CONFIG, "test")
    restored.restore(first.snapshot())
    restored.on_message(Started(0, 1, 0, 2), LATER)
    again = restored.on_message(opportunity(), LATER)
    assert again == first.on_message(opportunity(), LATER)


def test_a_fill_with_legs_still_open_sets_no_timer() -> None:
    """While the other leg may still fill, nothing is unbalanced yet."""
    made = bot()
    buy, _ = intents(made.on_message(opportunity(), SECOND))
    assert made.on_message(fill(buy, 10, "b"), SECOND) == ()
    assert made.on_message(event(buy, OrderState.FILLED, 10), SECOND) == ()


def test_a_restart_attends_to_what_was_left() -> None:
    """Timers die with the process: the start of an epoch sets them again."""
    first = bot()
    buy, sell = intents(first.on_message(opportunity(), SECOND))
    end(first, sell, 0, SECOND)
    end(first, buy, 10, SECOND)
    restored = ArbitrageBot(9, MARKET, CONFIG, "test")
    restored.restore(first.snapshot())
    assert timers(restored.on_message(Started(0, 1, 0, 2), LATER))


def test_the_memory_of_trades_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the newest trade ids are kept."""
    monkeypatch.setattr(base, "TRADES_MAX", 3)
    made = bot()
    buy, _ = intents(made.on_message(opportunity(), SECOND))
    before = len(made.snapshot())
    for number in range(100):
        made.on_message(fill(buy, 1, str(number)), SECOND)
    assert len(made.snapshot()) < before + 60
