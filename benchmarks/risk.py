"""Claim: all pre-trade checks take at most 300 ns in the kernel, and an intent 4 us through the RiskGuard.

Load: 1,000 instruments of 500 assets on two venues, 50 bots, 5,000 open orders, and every kind of limit
set: gross, net and venue exposure, clusters, shares, pace, counts, bands, balances, repeats. Orders are drawn
over all instruments and bots with a seed, and all pass, so that each goes through every check. `warm` is a C
loop over 100,000 rows; `cold` is single calls, each after 32 MB of other memory was walked. The
component takes an intent in and gives the command out, reserved; it is cancelled outside the clock.
"""

import gc
import time
from random import Random

import numpy as np

from benchmarks.report import Report, arguments, median_spread, percentiles
from engine.instruments import Instrument, Instruments
from engine.messages import (
    BUY,
    SELL,
    BalanceUpdate,
    BookState,
    BookTop,
    Equity,
    OrderCommand,
    OrderEvent,
    OrderIntent,
    OrderState,
    Reason,
    Started,
    TimeInForce,
)
from engine.risk import RiskGuard
from engine.risk_config import BotRiskConfig, ClusterConfig, RiskConfig, VenueRiskConfig
from engine.risk_limits import Surroundings
from ext.risk import WISH, content_of, key_of

SEED = 7
INSTRUMENTS = 1_000
BOTS = 50
OPEN = 5_000
ROWS = 100_000
ROUNDS = 7
COLD = 300
INTENTS = 20_000
NOW_NS = 1_000_000_000
MID = 100_000
KERNEL_NS_MAX = 300
COMPONENT_US_MAX = 4.0
FIRST_BOT = 10


def market() -> Instruments:
    """500 base assets, each on two venues, against one quote."""
    table = [
        Instrument(
            id=number,
            venue=number % 2,
            symbol=f"A{number // 2}/USDT",
            base=f"A{number // 2}",
            quote="USDT",
            tick_size="0.01",
            lot_size="0.001",
            base_decimals=8,
            quote_decimals=8,
            notional_min="1",
        )
        for number in range(INSTRUMENTS)
    ]
    return Instruments(table, ["one", "two"])


def config() -> RiskConfig:
    """Every limit is set, and wide enough for what is open."""
    wide = "1000000000"
    return RiskConfig(
        order_notional_max="100000",
        position_max_share="0.5",
        price_distance_max_bps=500,
        orders_open_max=1_000_000,
        gross_max=wide,
        net_max=wide,
        venues={name: VenueRiskConfig(wide, 900_000, 1_000_000) for name in ("one", "two")},
        bots={f"bot-{n}": BotRiskConfig("100000", 900_000, 1_000_000) for n in range(BOTS)},
        clusters={
            f"cluster-{n}": ClusterConfig(tuple(f"A{a}" for a in range(n, 500, 10)), wide)
            for n in range(10)
        },
    )


def guard(instruments: Instruments, chance: Random) -> RiskGuard:
    """A guard with markets, balances, an equity and the open orders."""
    bots = {FIRST_BOT + number: f"bot-{number}" for number in range(BOTS)}
    made = RiskGuard(4, instruments, config(), Surroundings("bench", bots))
    made.on_message(Started(0, 1, 0, 1), NOW_NS)
    for number in range(INSTRUMENTS):
        live = BookState.LIVE
        made.on_message(BookTop(1, 1, NOW_NS, number, live, MID - 1, 9, MID + 1, 9), NOW_NS)
    for venue in range(2):
        for asset in made.limits.assets:
            made.on_message(BalanceUpdate(3, 1, 0, venue, asset, 10**17), NOW_NS)
    made.on_message(Equity(3, 1, 0, "USDT", 10**18, 10**18, 0, 10**18, 0), NOW_NS)
    for number in range(OPEN):
        (out,) = made.on_message(intent(number, chance), NOW_NS)
        assert isinstance(out, OrderCommand), out
    return made


def intent(number: int, chance: Random) -> OrderIntent:
    """An order near the market: bids below, asks above, so that none crosses our own."""
    instrument, side = chance.randrange(INSTRUMENTS), chance.choice((BUY, SELL))
    bot = FIRST_BOT + chance.randrange(BOTS)
    ticks, lots = MID - side * chance.randint(1, 1000), chance.randint(10, 60)
    return OrderIntent(
        bot, 1, NOW_NS, f"{number:018x}", bot, number + 1, 0, instrument % 2, instrument, side,
        ticks, lots, TimeInForce.GTC, 10 * NOW_NS,
    )  # fmt: skip


def rows(chance: Random) -> np.ndarray:
    """The same kind of orders as rows for the kernel's own loop."""
    table = np.zeros(ROWS, dtype=np.dtype(WISH))
    for number in range(ROWS):
        wish = intent(OPEN + number, chance)
        table[number] = (
            key_of(wish.client_order_id),
            content_of(wish.bot, wish.group, 0, wish.instrument, wish.side, wish.ticks, wish.lots),
            wish.ticks, wish.lots, wish.expires_ns, wish.bot, wish.venue, wish.instrument,
            wish.side, 0, 0,
        )  # fmt: skip
    return table


def warm(made: RiskGuard, table: np.ndarray) -> list[float]:
    """Nanoseconds a check, a round each."""
    taken = []
    for _ in range(ROUNDS + 1):
        begun = time.perf_counter_ns()
        passed = made.kernel.check_rows(table, NOW_NS)
        taken.append((time.perf_counter_ns() - begun) / ROWS)
        assert passed == ROWS, f"{ROWS - passed} of the orders are refused"
    return taken[1:]


def cold(made: RiskGuard, table: np.ndarray) -> list[float]:
    """Nanoseconds of single checks, the caches full of something else before each."""
    other = np.zeros(32 * 1024 * 1024 // 8, dtype=np.int64)
    taken = []
    for number in range(COLD):
        row = table[number : number + 1]
        other += 1
        begun = time.perf_counter_ns()
        made.kernel.check_rows(row, NOW_NS)
        taken.append(float(time.perf_counter_ns() - begun))
    return taken


def component(made: RiskGuard, chance: Random) -> list[float]:
    """Microseconds from an intent to its command, one at a time."""
    wishes = [intent(OPEN + ROWS + number, chance) for number in range(INTENTS)]
    on_message, clock, taken = made.on_message, time.perf_counter_ns, []
    for wish in wishes:
        begun = clock()
        outputs = on_message(wish, NOW_NS)
        taken.append((clock() - begun) / 1000)
        assert type(outputs[0]) is OrderCommand, outputs
        made.on_message(
            OrderEvent(
                1, 1, NOW_NS, wish.client_order_id, wish.bot, wish.venue, wish.instrument,
                wish.side, wish.ticks, wish.lots, 0, OrderState.CANCELLED, Reason.NONE,
            ),
            NOW_NS,
        )  # fmt: skip
    return taken


def main() -> None:
    """The kernel warm and cold, and the component."""
    asked = arguments(__doc__.partition("\n")[0])
    report = Report(as_json=asked.json)
    report.machine()
    gc.disable()
    chance = Random(SEED)
    made = guard(market(), chance)
    table = rows(chance)
    about = f"{INSTRUMENTS:,} instruments, {BOTS} bots, {len(made.kernel):,} open, all limits set"
    value, spread = median_spread(warm(made, table))
    report.figure(
        "kernel, all checks, warm", value, "ns", bar=KERNEL_NS_MAX, spread=spread, load=about
    )
    ranks = percentiles(cold(made, table), 50, 99)
    report.figure(
        "kernel, all checks, cold, p50", ranks["p50"], "ns", spread=ranks,
        load="one Python call and two readings of the clock included",
    )  # fmt: skip
    ranks = percentiles(component(made, chance), 50, 99)
    report.figure(
        "component, intent to command, p50", ranks["p50"], "us", bar=COMPONENT_US_MAX, spread=ranks,
        load=about,
    )  # fmt: skip


if __name__ == "__main__":
    main()
