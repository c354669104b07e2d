"""Orders at the touch of Binance's recorded markets: bounds that hold whatever the queue was.

Nobody knows who stood where in these queues. What is known: an order cannot have traded more than
others traded at its price or beyond since it came, and who waits behind everybody trades least.
"""

import json
from collections import defaultdict, deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.edges.capture import read_capture
from engine.exchange.replayed import ReplayedMarket
from engine.exchange.replayed_desk import SKEW_NS
from engine.messages import BUY, SELL, Connected, Depth, Trade
from ext.matching import LIMIT, POST_ONLY, TRADE
from tests.captures import config_of
from tests.test_venues import as_frame, venue_of

SECOND = 10**9
EVERY_NS, KEPT_NS = 2 * SECOND, 30 * SECOND
LOTS = {"spot/btcusdt": 20_000, "usdm/btcusdt": 20}  # 0.02 BTC
QUEUES = ("pessimistic", "power", "log")


def market_data(path: Path) -> Iterator[tuple[int, Depth | Trade]]:
    """What the engine's own decoding makes of a capture: the best levels, and every trade."""
    venue = venue_of(config_of(path))
    venue.on_message(Connected(0, 1, 0, 0, 0), 1)
    for number, frame in enumerate(read_capture(path)):
        for output in venue.on_message(as_frame(frame, number), frame.at_ns):
            if isinstance(output, Depth | Trade):
                yield frame.at_ns, output


class Run:
    """Every two seconds a bid and an ask at the touch in a market of each model, kept half a minute."""

    def __init__(self, path: Path, lots: int) -> None:
        self.markets = {queue: ReplayedMarket(queue, crossing_lots=True) for queue in QUEUES}
        self._lots = lots
        self.filled: dict[str, dict[int, int]] = {queue: defaultdict(int) for queue in QUEUES}
        self.crossed: dict[str, int] = dict.fromkeys(QUEUES, 0)
        self.placed: dict[int, tuple[int, int, int]] = {}  # side, ticks, until
        self.traded: dict[int, int] = defaultdict(
            int
        )  # at an order's price or beyond, since it came
        due_ns = 0
        for now_ns, message in market_data(path):
            self._expire(now_ns)
            self._tell(now_ns, message)
            if isinstance(message, Depth) and now_ns >= due_ns:
                due_ns = now_ns + EVERY_NS
                self._place(now_ns)

    def _tell(self, now_ns: int, message: Depth | Trade) -> None:
        if isinstance(message, Trade):
            for number, (side, ticks, _) in self.placed.items():
                if side != message.side and (ticks - message.ticks) * side >= 0:
                    self.traded[number] += message.lots
        for queue, market in self.markets.items():
            market.advance(now_ns)
            if isinstance(message, Trade):
                market.trade(message.ticks, message.lots, message.side)
            else:
                market.follow(message)
            fills = [report for report in market.reports() if report.kind == TRADE]
            for report in fills:
                self.filled[queue][report.other] += report.lots
                self.crossed[queue] += isinstance(message, Depth)
            if isinstance(message, Trade):
                assert sum(report.lots for report in fills) <= message.lots

    def _place(self, now_ns: int) -> None:
        for side in (BUY, SELL):
            for market in self.markets.values():
                ticks = market.best(side)[0]
                number = market.submit(side, LIMIT, ticks, self._lots, flags=POST_ONLY)
                self.placed[number] = side, ticks, now_ns + KEPT_NS

    def _expire(self, now_ns: int) -> None:
        for number, (_, _, until_ns) in list(self.placed.items()):
            if until_ns <= now_ns:
                del self.placed[number]
                for market in self.markets.values():
                    market.cancel(number)


def capture(recorded: Path, name: str) -> Path:
    """The file of a capture; without it the test is skipped."""
    path = recorded / "hftbacktest" / f"{name}_20240808.gz"
    if not path.is_file():
        pytest.skip(f"no capture at {path}")
    return path


@pytest.mark.parametrize("name", LOTS)
def test_no_more_is_filled_than_was_traded(name: str, recorded: Path) -> None:
    """Each order's fills are within what others traded at its price or beyond since it came.

    The level that crosses an order may be told before the trades that made it; in the end they agree.
    """
    run = Run(capture(recorded, name), LOTS[name])
    placed = run.markets["pessimistic"].next_order - 1
    print(f"\n{name}: {placed} orders of {LOTS[name]} lots")
    for queue in QUEUES:
        filled = run.filled[queue]
        whole = sum(lots == LOTS[name] for lots in filled.values())
        print(
            f"{queue:12} {whole} whole of {len(filled)} filled, {run.crossed[queue]} fills by levels"
        )
        assert {n: lots for n, lots in filled.items() if lots > run.traded[n]} == {}
        for number, lots in run.filled["pessimistic"].items():
            assert lots <= filled[number]
    assert placed > 300
    assert len(run.filled["pessimistic"]) > placed // 2


@pytest.mark.parametrize("name", LOTS)
def test_a_trade_and_its_level_are_told_within_the_skew(name: str, recorded: Path) -> None:
    """By the exchange's own times: how many trades come after the level that has them, and how late."""
    level_event_ms = level_at_ns = 0
    trades, after, before = 0, [], []
    waiting: deque[tuple[int, int]] = deque()
    for frame in read_capture(capture(recorded, name)):
        data = json.loads(frame.payload).get("data", {})
        if data.get("e") == "depthUpdate":
            level_event_ms, level_at_ns = data.get("T", data["E"]), frame.at_ns
            while waiting and waiting[0][0] <= level_event_ms:
                before.append(frame.at_ns - waiting.popleft()[1])
        elif data.get("e") == "trade":
            trades += 1
            if data["T"] < level_event_ms:
                after.append(frame.at_ns - level_at_ns)
            else:
                waiting.append((data["T"], frame.at_ns))
    print(
        f"\n{name}: {len(after)} of {trades} trades after their level, by up to {max(after) / 1e6:.0f} "
        f"ms; the others before it, by up to {max(before) / 1e6:.0f} ms"
    )
    assert after
    assert max(*after, *before) < SKEW_NS
