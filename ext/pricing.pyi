"""The pricing kernel."""

def sweep(levels: bytes, lots: int) -> tuple[int, int]:
    """How many of `lots` one side's levels fill, and what they cost in ticks times lots."""

def vwap(levels: bytes, lots: int) -> float:
    """The volume-weighted price in ticks of taking up to `lots`; nan when nothing is there."""

def microprice(bid_ticks: int, bid_lots: int, ask_ticks: int, ask_lots: int) -> float:
    """The mid in ticks, leaning to the side with less."""

def imbalance(depth: bytes, levels: int, n: int) -> float:
    """(bid - ask) / (bid + ask) lots over the best `n` of a depth."""

def cross(
    depth_buy: bytes,
    depth_sell: bytes,
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
