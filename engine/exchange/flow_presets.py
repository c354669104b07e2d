"""Parameters of the order flows, measured: each preset says on which capture.

docs/order-flow.md tells how they were found and how near the models come to the data.
"""

from typing import NamedTuple

from engine.exchange.actions import Sizes
from engine.exchange.fair_price import FairSettings
from engine.exchange.hawkes_flow import Arrivals, HawkesSettings
from engine.exchange.santa_fe import SantaFeSettings


class Preset(NamedTuple):
    """A market to imitate: its grid and price, its fair price, and both models of its flow.

    It has `rate` events a second.
    """

    source: str
    price: float
    tick_size: str
    lot_size: str
    rate: float
    fair: FairSettings
    hawkes: HawkesSettings
    santa_fe: SantaFeSettings


BTC_ARRIVALS = Arrivals(
    base=(2.627, 1.654, 1.937, 16.61),
    moves=3.86,
    same=(
        (0.567, 0.064, 0.145, 0.002, 0.918),
        (0.011, 0.251, 0.000, 0.000, 0.300),
        (0.030, 0.013, 0.508, 0.002, 0.000),
        (0.031, 0.036, 0.246, 0.667, 0.829),
    ),
    opposite=(
        (0.035, 0.003, 0.166, 0.003, 0.002),
        (0.000, 0.009, 0.000, 0.003, 0.000),
        (0.029, 0.003, 0.025, 0.001, 0.000),
        (0.057, 0.201, 0.072, 0.191, 1.448),
    ),
    betas=(5000.0, 500.0, 50.0, 2.0),
    weights=(
        (0.49, 0.26, 0.15, 0.10),
        (0.00, 0.56, 0.33, 0.11),
        (0.31, 0.32, 0.26, 0.11),
        (0.00, 0.00, 0.97, 0.03),
    ),
)
ETH_ARRIVALS = Arrivals(
    base=(2.414, 0.770, 1.890, 13.43),
    moves=3.37,
    same=(
        (0.469, 0.132, 0.163, 0.001, 1.149),
        (0.003, 0.219, 0.000, 0.000, 0.308),
        (0.057, 0.053, 0.441, 0.002, 0.000),
        (0.019, 0.023, 0.247, 0.610, 0.463),
    ),
    opposite=(
        (0.039, 0.023, 0.182, 0.003, 0.000),
        (0.000, 0.000, 0.000, 0.002, 0.000),
        (0.043, 0.000, 0.027, 0.000, 0.000),
        (0.039, 0.228, 0.052, 0.266, 1.324),
    ),
    betas=(5000.0, 500.0, 50.0, 2.0),
    weights=(
        (0.45, 0.29, 0.18, 0.08),
        (0.00, 0.71, 0.25, 0.04),
        (0.30, 0.32, 0.34, 0.04),
        (0.00, 0.00, 0.99, 0.01),
    ),
)
BITSTAMP_ARRIVALS = Arrivals(
    base=(0.0001, 0.002, 0.002, 0.077),
    moves=0.04,
    same=(
        (0.347, 0.108, 0.751, 0.000, 0.000),
        (0.002, 0.241, 0.004, 0.000, 0.000),
        (0.203, 0.000, 0.028, 0.000, 0.000),
        (0.286, 0.101, 0.178, 0.899, 0.278),
    ),
    opposite=(
        (0.000, 0.000, 0.086, 0.000, 0.003),
        (0.000, 0.000, 0.367, 0.000, 0.000),
        (0.050, 0.511, 0.032, 0.004, 0.000),
        (0.254, 0.189, 0.294, 0.002, 0.183),
    ),
    betas=(20.0, 0.5, 0.01),
    weights=(
        (0.03, 0.37, 0.60),
        (0.96, 0.00, 0.04),
        (0.39, 0.00, 0.61),
        (0.04, 0.59, 0.37),
    ),
)
PRESETS = {
    "btc": Preset(
        source="Binance spot BTCUSDT, 2024-08-08 23:54 to 24:00 UTC",
        price=61_800.0,
        tick_size="0.01",
        lot_size="0.00001",
        rate=525.0,
        fair=FairSettings(1.35),
        hawkes=HawkesSettings(
            arrivals=BTC_ARRIVALS,
            orders=800,
            guard_bps=1.3,
            inner=0.6,
            eager=1.0,
            distance_bps=30.0,
            tail=1.5,
            near_sizes=Sizes(5800.0, 1.15, 0.12),
            market_sizes=Sizes(270.0, 2.3, 0.12),
            far_sizes=Sizes(10_000.0, 1.5, 0.12),
        ),
        santa_fe=SantaFeSettings(
            market_share=0.036,
            orders=800,
            band_bps=30.0,
            pull_bps=2.0,
            sizes=Sizes(11_000.0, 1.15, 0.12),
        ),
    ),
    "eth": Preset(
        source="Binance spot ETHUSDT, 2024-08-08 23:54 to 24:00 UTC",
        price=2_683.0,
        tick_size="0.01",
        lot_size="0.0001",
        rate=455.0,
        fair=FairSettings(1.15),
        hawkes=HawkesSettings(
            arrivals=ETH_ARRIVALS,
            orders=800,
            guard_bps=1.1,
            inner=0.6,
            eager=1.0,
            distance_bps=35.0,
            tail=1.5,
            near_sizes=Sizes(3000.0, 0.9, 0.3),
            market_sizes=Sizes(130.0, 2.5, 0.3),
            far_sizes=Sizes(7000.0, 1.5, 0.3),
        ),
        santa_fe=SantaFeSettings(
            market_share=0.026,
            orders=800,
            band_bps=30.0,
            pull_bps=2.0,
            sizes=Sizes(8_000.0, 1.15, 0.3),
        ),
    ),
    "bitstamp": Preset(
        source="Bitstamp BTC/USD order by order, 2015-05-01, five hours",
        price=235.0,
        tick_size="0.01",
        lot_size="0.00000001",
        rate=2.69,
        fair=FairSettings(0.75),
        hawkes=HawkesSettings(
            arrivals=BITSTAMP_ARRIVALS,
            orders=100,
            guard_bps=5.0,
            inner=0.6,
            eager=0.0,
            distance_bps=60.0,
            tail=1.5,
            near_sizes=Sizes(680.0, 1.0, 0.06),
            market_sizes=Sizes(50.0, 2.05, 0.06),
            far_sizes=Sizes(2030.0, 0.7, 0.06),
        ),
        santa_fe=SantaFeSettings(
            market_share=0.018,
            orders=100,
            band_bps=170.0,
            pull_bps=4.0,
            sizes=Sizes(2030.0, 0.7, 0.06),
        ),
    ),
}
