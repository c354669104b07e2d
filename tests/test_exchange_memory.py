"""What is forgotten when there is too much of it, and what a plan of faults may say."""

from pathlib import Path

import msgspec
import pytest

from engine.config import ConfigError, parse
from engine.edges.exchange_server import make_fronts
from engine.exchange.wires import binance_state
from engine.exchange.wires.forgetting import LOOKS, drop_oldest
from engine.fault_config import FaultConfig
from tests.binance_client import Desk

DEMO = (Path(__file__).parent.parent / "configs" / "demo.toml").read_text()


def test_the_oldest_that_is_final_is_forgotten() -> None:
    """Those that live stay, however old they are."""
    kept = dict.fromkeys(range(10), "note")
    drop_oldest(kept, lambda number: number < 3)
    assert sorted(kept) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    many = dict.fromkeys(range(LOOKS + 5), "note")
    drop_oldest(many, lambda number: True)
    assert len(many) == LOOKS + 5


def test_an_open_list_keeps_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """More orders come than Binance's wire remembers, while a list is open."""
    monkeypatch.setattr(binance_state, "NOTES_MAX", 5)
    desk = Desk()
    both = {"aboveType": "LIMIT_MAKER", "abovePrice": "110", "belowType": "STOP_LOSS"}
    listed = desk.signed(
        "POST", "orderList/oco", symbol="BTCUSDT", side="SELL", quantity="1",
        belowStopPrice="90", **both,
    )  # fmt: skip
    number = listed["orders"][0]["orderId"]
    for _ in range(12):
        order = desk.signed(
            "POST", "order", symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC",
            quantity="1", price="95",
        )  # fmt: skip
        desk.signed("DELETE", "order", symbol="BTCUSDT", orderId=order["orderId"])
    seen = desk.signed("GET", "order", symbol="BTCUSDT", orderId=number)
    assert seen["orderListId"] == listed["orderListId"] >= 0


def test_a_fault_does_not_come_a_million_times_a_second() -> None:
    """The shortest time is a millisecond: less would be work without an end."""
    for name in ("for_s", "every_s"):
        fields = {"kind": "slow", "for_s": 1.0, name: 1e-6}
        with pytest.raises(msgspec.ValidationError, match=f"{name}: a fault lasts"):
            msgspec.convert(fields, FaultConfig)


def test_what_cannot_be_served_is_said_in_a_line() -> None:
    """An asset that nobody knows, and a configuration without a venue to serve."""
    doge = parse(DEMO.replace('ETH = "80"', 'ETH = "80"\nDOGE = "1"', 1), "demo")
    with pytest.raises(ConfigError, match=r"1 DOGE: the decimals of DOGE are not known"):
        make_fronts(doge, 10**18)
    watched = parse((Path(__file__).parent.parent / "configs" / "watch.toml").read_text(), "watch")
    with pytest.raises(ConfigError, match="nothing to serve"):
        make_fronts(watched, 10**18)
