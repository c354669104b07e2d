"""The simulated exchange: an account to the unit, an order at most once, a market that holds."""

import json
from pathlib import Path

import pytest

from engine.config import parse
from engine.edges.exchange_server import make_fronts
from engine.exchange.front import Front
from engine.messages import SELL

CONFIG = parse((Path(__file__).parent.parent / "configs" / "demo.toml").read_text(), "demo")
BEGIN = 10**18
MS = 1_000_000


@pytest.fixture
def front() -> Front:
    """Venue alpha with a client that subscribed to nothing."""
    made = make_fronts(CONFIG, BEGIN)["alpha"]
    made.connect(1, "simulated", "", "", BEGIN)
    return made


def totals(front: Front) -> dict[str, int]:
    """What the account has, in units."""
    return {held.asset: held.total for held in front.exchange.audit().balances}


def ask(front: Front, now_ns: int, **fields: object) -> list[dict[str, object]]:
    """Send a request and give what comes back within 20 ms."""
    front.receive(1, json.dumps(fields).encode(), now_ns)
    frames = front.advance(now_ns + 20 * MS)
    return [json.loads(frame) for _, frame in frames]


def order(name: str, side: str = "buy", price: str = "70000.00", **more: object) -> dict:
    """An order that crosses the market."""
    return {
        "op": "order",
        "client_id": name,
        "symbol": "BTC/USDT",
        "side": side,
        "price": price,
        "qty": "0.01000",
        "tif": "ioc",
        **more,
    }


def states(frames: list[dict[str, object]]) -> list[object]:
    """What was said of orders."""
    return [frame["state"] for frame in frames if frame["type"] == "order"]


def test_an_order_is_filled_and_paid_to_the_unit(front: Front) -> None:
    """What the account lost in USDT is the fills' value and fees, exactly."""
    before = totals(front)
    frames = ask(front, BEGIN, **order("a"))
    assert states(frames) == ["acknowledged", "filled"]
    fills = [frame for frame in frames if frame["type"] == "fill"]
    spent = sum(round(float(f["price"]) * float(f["qty"]) * 1e8) for f in fills)
    fees = sum(round(float(f["fee"]) * 1e8) for f in fills)
    assert before["USDT"] - totals(front)["USDT"] == spent + fees
    assert totals(front)["BTC"] - before["BTC"] == 1_000_000
    assert frames[-1]["state"] == "filled", "fills are told before the state that counts them"


def test_a_repeated_client_id_is_executed_once(front: Front) -> None:
    """The second is an error and counted; the account does not move."""
    ask(front, BEGIN, **order("a"))
    after = totals(front)
    frames = ask(front, BEGIN + 50 * MS, **order("a"))
    assert [f["reason"] for f in frames if f["type"] == "error"] == ["duplicate client_id"]
    assert totals(front) == after
    assert front.wires["simulated"].audit("main")["duplicates"] == 1


def test_an_order_past_its_deadline_is_never_executed(front: Front) -> None:
    """It arrives after its latency; a deadline before that means it expired."""
    before = totals(front)
    frames = ask(front, BEGIN, **order("a", deadline_ns=BEGIN + 1))
    assert states(frames) == ["expired"]
    assert totals(front) == before
    (answer,) = [
        f for f in ask(front, BEGIN + 50 * MS, op="query", client_id="a") if f["type"] == "query"
    ]
    assert (answer["found"], answer["state"]) == (True, "expired")


def test_the_rest_of_an_ioc_is_cancelled(front: Front) -> None:
    """More than the market holds within the limit: the rest does not stay."""
    best, lots = front.exchange.markets[0].book.best(SELL)
    quantity = f"{(lots + 100_000) / 100_000:.5f}"
    frames = ask(front, BEGIN, **order("a", price=f"{best / 100:.2f}", qty=quantity))
    assert states(frames)[-1] == "cancelled"
    assert front.wires["simulated"].audit("main")["orders"][0]["state"] != "acknowledged"


def test_what_the_account_lacks_is_rejected(front: Front) -> None:
    """Nothing moves."""
    before = totals(front)
    frames = ask(front, BEGIN, **order("a", qty="900.00000"))
    assert states(frames) == ["rejected"]
    assert frames[0]["reason"] == "insufficient balance"
    assert totals(front) == before


def test_a_resting_order_is_locked_filled_as_maker_or_cancelled(front: Front) -> None:
    """GTC below the market rests and locks its cost; a cancel gives it back."""
    frames = ask(front, BEGIN, **order("a", price="50000.00", tif="gtc"))
    assert states(frames)[-1] == "acknowledged"
    accounts = front.exchange.accounts
    assert accounts.free("main", "USDT") < accounts.total("main", "USDT")
    (listed,) = [
        f for f in ask(front, BEGIN + 50 * MS, op="open_orders") if f["type"] == "open_orders"
    ]
    assert [o["client_id"] for o in listed["orders"]] == ["a"]
    frames = ask(front, BEGIN + 100 * MS, op="cancel", client_id="a")
    assert states(frames) == ["cancelled"]
    assert accounts.free("main", "USDT") == accounts.total("main", "USDT")


def test_fills_since_are_numbered_without_a_hole(front: Front) -> None:
    """A client that was away asks for what it missed."""
    for number in range(3):
        ask(front, BEGIN + number * 50 * MS, **order(f"o{number}"))
    (all_of_them,) = [
        f for f in ask(front, BEGIN + 200 * MS, op="fills", since=0) if f["type"] == "fills"
    ]
    numbers = [fill["fill_seq"] for fill in all_of_them["fills"]]
    assert numbers == list(range(1, len(numbers) + 1))
    (later,) = [
        f for f in ask(front, BEGIN + 250 * MS, op="fills", since=2) if f["type"] == "fills"
    ]
    assert [fill["fill_seq"] for fill in later["fills"]] == numbers[2:]


@pytest.mark.parametrize(
    "fields",
    [
        order("a", symbol="X/Y"),
        order("a", side="hold"),
        order("a", price="1.005"),
        order("a", price="-1"),
        order("a", qty="0"),
        order(""),
        {"op": "dance"},
        {"op": 7},
        {"op": "subscribe", "symbols": ["X/Y"]},
        {"op": "cancel", "client_id": "nobody"},
    ],
    ids=str,
)
def test_bad_requests_get_an_error_and_change_nothing(
    front: Front, fields: dict[str, object]
) -> None:
    """An error frame that says why."""
    before = totals(front)
    frames = ask(front, BEGIN, **fields)
    assert [frame["type"] for frame in frames] == ["error"]
    assert frames[0]["reason"]
    assert totals(front) == before
    assert front.wires["simulated"].audit("main")["orders"] == []


def test_the_same_seed_gives_the_same_bytes() -> None:
    """Market and answers are a function of seed, inputs and time."""

    def run() -> list[bytes]:
        made = make_fronts(CONFIG, BEGIN)["beta"]
        made.connect(1, "simulated", "", "", BEGIN)
        made.receive(1, b'{"op":"subscribe","symbols":["BTC/USDT","ETH/USDT"]}', BEGIN)
        made.receive(1, json.dumps(order("a")).encode(), BEGIN + 5)
        return [frame for _, frame in made.advance(BEGIN + 5 * 10**9)]

    once = run()
    assert run() == once
    assert len(once) > 100


def test_the_market_is_never_crossed_and_updates_are_gapless() -> None:
    """Thirty seconds of flow: a book rebuilt from the frames stays in order on both sides."""
    made = make_fronts(CONFIG, BEGIN)["gamma"]
    made.connect(1, "simulated", "", "", BEGIN)
    made.receive(1, b'{"op":"subscribe","symbols":["BTC/USDT"]}', BEGIN)
    sides: dict[str, dict[float, str]] = {"bids": {}, "asks": {}}
    sequence = None
    seconds = [made.advance(BEGIN + second * 10**9) for second in range(31)]
    for _, data in (frame for second in seconds for frame in second):
        frame = json.loads(data)
        if frame.get("symbol") != "BTC/USDT" or frame["type"] not in ("snapshot", "update"):
            continue
        if frame["type"] == "update" and sequence is not None:
            assert frame["seq"] == sequence + 1
        if frame["type"] == "update" and sequence is None:
            continue
        sequence = frame["seq"]
        for side, levels in sides.items():
            for price, quantity in frame[side]:
                levels[float(price)] = quantity
                if quantity == "0":
                    del levels[float(price)]
        assert max(sides["bids"]) < min(sides["asks"])
    assert sequence is not None
    assert sequence > 500
