"""The pricing kernel: sweeps, averages, leanings and crossings over `top_bytes` layouts."""

from typing_extensions import Buffer

def sweep(levels: Buffer, lots: int) -> tuple[int, int]:
    """How many of `lots` one side's levels fill, and what they cost in ticks times lots."""

def vwap(levels: Buffer, lots: int) -> float:
    """The volume-weighted price in ticks of taking up to `lots`; nan when nothing is there."""

def microprice(bid_ticks: int, bid_lots: int, ask_ticks: int, ask_lots: int) -> float:
    """The mid in ticks, leaning to the side with less; nan when a side is empty."""

def imbalance(depth: Buffer, levels: int, n: int) -> float:
    """(bid - ask) / (bid + ask) lots over the best `n` of a depth; 0 when it is empty."""

def cross(
    depth_buy: Buffer,
    depth_sell: Buffer,
    buy_levels: int,
    sell_levels: int,
    buy_tick: float,
    buy_lot: float,
    sell_tick: float,
    sell_lot: float,
    buy_fee: float,
    sell_fee: float,
    step: float,
    quantity_max: float,
) -> tuple[float, int, int, float]:
    """(quantity in base, buy limit ticks, sell limit ticks, profit in quote) that profits most."""
