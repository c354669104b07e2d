"""A simulated market of one flow on the matching kernel, written down as a tape of facts."""

from typing import NamedTuple

import numpy as np

from engine.analytics.market_facts import DISTANCES_BPS, Floats, Takers, Tape, Tops
from engine.analytics.order_events import deeper_of
from engine.exchange.actions import NOTHING, Action
from engine.exchange.fair_price import FairPrice
from engine.exchange.flow import make_flow
from engine.exchange.flow_presets import Preset
from engine.instruments import Instrument
from engine.messages import BUY, SELL
from ext.matching import TRADE, MatchingBook

SAMPLE_NS = 1_000_000_000
WARM_UP_EVENTS = 10_000  # before the tape begins: the first orders have gone by then


class _Rows(NamedTuple):
    """What a tape is made of, as it comes."""

    tops: list[tuple[float, float, float, float, float]]
    takers: list[tuple[float, int, float]]
    deeper: list[tuple[float, float]]
    depth: list[list[float]]


def instrument_of(preset: Preset) -> Instrument:
    """The market that a preset imitates."""
    return Instrument(0, 0, "SIM/USDT", "SIM", "USDT", preset.tick_size, preset.lot_size, 12, 12)


def simulate(model: str, preset: Preset, seconds: float, seed: int) -> Tape:
    """So many seconds of a market, after a warm-up."""
    instrument = instrument_of(preset)
    fair = FairPrice(seed, instrument.symbol, preset.price, preset.fair, 0)
    flow = make_flow(
        model,
        instrument,
        fair,
        seed=seed,
        venue="simulated",
        rate=preset.rate,
        lag_ns=0,
        noise_bps=0.0,
        begin_ns=0,
        preset=preset,
    )
    book = MatchingBook(orders_max=8 * flow.orders_max)
    flow.open(book)
    rows = _Rows([], [], [], [])
    begin_ns = int(WARM_UP_EVENTS / preset.rate * 1e9)
    end_ns = begin_ns + int(seconds * 1e9)
    sample_ns = begin_ns
    before: tuple[int, ...] = ()
    while (at_ns := flow.next_ns) < end_ns:
        action = flow.act(book)
        told = book.reports()
        if at_ns < begin_ns:
            continue
        at_s = (at_ns - begin_ns) / 1e9
        money = sum(each.ticks * each.lots for each in told if each.kind == TRADE)
        top = book.best(BUY) + book.best(SELL)
        _write(rows, instrument, at_s, action, money, top if top != before else ())
        before = top
        if at_ns >= sample_ns:
            sample_ns += SAMPLE_NS
            tick_lot = instrument.tick * instrument.lot
            rows.depth.append(depth_of(book.levels(BUY), book.levels(SELL), tick_lot))
    return _tape(instrument, rows)


def _write(
    rows: _Rows,
    instrument: Instrument,
    at_s: float,
    action: Action,
    money: int,
    top: tuple[int, ...],
) -> None:
    tick, lot = instrument.tick, instrument.lot
    if money:
        rows.takers.append((at_s, 0 if action.side == BUY else 1, money * tick * lot))
    if top:
        rows.tops.append((at_s, top[0] * tick, top[1] * lot, top[2] * tick, top[3] * lot))
    elif action.kind != NOTHING:
        rows.deeper.append((at_s, 0.0 if action.side == BUY else 1.0))


def _tape(instrument: Instrument, rows: _Rows) -> Tape:
    takers = np.array(rows.takers)
    deeper = np.array(rows.deeper)
    return Tape(
        instrument.tick,
        Tops(*np.array(rows.tops).T),
        Takers(takers[:, 0], takers[:, 1].astype(np.int64), takers[:, 2]),
        deeper_of(deeper[:, 0], deeper[:, 1]),
        np.array(rows.depth),
    )


def depth_of(
    bids: list[tuple[int, int]], asks: list[tuple[int, int]], tick_lot: float
) -> list[float]:
    """Money within each distance of the middle, the mean of both sides; levels best first."""
    middle = (bids[0][0] + asks[0][0]) / 2
    totals: Floats = np.zeros(len(DISTANCES_BPS))
    for levels in (bids, asks):
        rows = np.array(levels, dtype=np.float64)
        away = np.abs(rows[:, 0] / middle - 1) * 10_000
        money = np.cumsum(rows[:, 0] * rows[:, 1]) * tick_lot
        reached = np.searchsorted(away, DISTANCES_BPS, side="right")
        totals += np.where(reached > 0, money[np.maximum(reached, 1) - 1], 0.0)
    return [float(each) / 2 for each in totals]
