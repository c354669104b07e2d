"""Kraken's history of an account, the rights of its keys, and how much they may ask."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.exchange.wires.kraken_limits import POINT, PRO, STARTER, Meter
from tests.kraken_server import READ_KEY, SECRET
from tests.kraken_talk import Talk, limit

PAIR = "XBTUSDT"


@pytest.fixture
def talk() -> Talk:
    """A fresh exchange."""
    return Talk()


def test_history_comes_fifty_at_a_time(talk: Talk) -> None:
    """Newest first, by offset, within times."""
    for number in range(60):
        talk.order(
            pair=PAIR, type="buy" if number % 2 else "sell", ordertype="market", volume="0.001"
        )
        talk.go_on(1)
    first = talk.result("TradesHistory")
    assert (first["count"], len(first["trades"])) == (60, 50)
    rest = talk.result("TradesHistory", ofs="50")
    assert len(rest["trades"]) == 10
    assert not first["trades"].keys() & rest["trades"].keys()
    times = [each["time"] for each in (*first["trades"].values(), *rest["trades"].values())]
    assert times == sorted(times, reverse=True)
    middle = str(times[30])
    assert talk.result("TradesHistory", start=middle)["count"] == 30
    assert talk.result("TradesHistory", end=middle)["count"] == 30
    closed = talk.result("ClosedOrders")
    assert (closed["count"], len(closed["closed"])) == (60, 50)


def test_ledger_adds_up(talk: Talk) -> None:
    """The last balance of each asset is its balance; a trade has two entries, the fee in one."""
    talk.order(pair=PAIR, type="buy", ordertype="market", volume="0.01")
    ledger = talk.result("Ledgers")["ledger"]
    balances = talk.result("Balance")
    latest: dict[str, str] = {}
    for entry in ledger.values():
        latest.setdefault(entry["asset"], entry["balance"])
    assert {asset: balances[asset] for asset in latest} == latest
    trades = [entry for entry in ledger.values() if entry["type"] == "trade"]
    assert sorted(entry["asset"] for entry in trades) == ["USDT", "XXBT"]
    assert len({entry["refid"] for entry in trades}) == 1
    (paid,) = [float(entry["fee"]) for entry in trades if float(entry["fee"])]
    assert paid == pytest.approx(500.01 * 0.0026)
    (ids, _) = next(iter(ledger.items()))
    assert talk.result("QueryLedgers", id=ids)[ids] == ledger[ids]
    assert talk.result("DepositStatus", asset="XXBT")[0]["asset"] == "XXBT"


# --- who may --------------------------------------------------------------------------------------


def test_rights_of_a_key(talk: Talk) -> None:
    """A key that may only read does."""
    assert talk.private("Balance", key=READ_KEY)["error"] == []
    denied = talk.private("AddOrder", limit(), key=READ_KEY)
    assert denied == {"error": ["EGeneral:Permission denied"]}
    assert talk.private("Withdraw", key=READ_KEY)["error"] == ["EGeneral:Permission denied"]


def test_secret_shows_nowhere(talk: Talk) -> None:
    """Neither in what is kept nor in what is said."""
    token = talk.token()
    assert SECRET not in repr(vars(talk.wire._rest._keys)) + token
    assert SECRET not in str(talk.private("Balance", secret="d3Jvbmc="))


def test_calls_are_counted_by_key() -> None:
    """Starters have 15 points, and get one back in three seconds; orders are not counted here."""
    talk = Talk(STARTER)
    for _ in range(15):
        talk.result("Balance")
    assert talk.error("Balance") == "EAPI:Rate limit exceeded"
    talk.order(**limit())
    talk.go_on(7)
    talk.result("Balance")
    talk.result("Balance")
    assert talk.error("Ledgers") == "EAPI:Rate limit exceeded"


@given(
    held=st.integers(0, 20 * POINT),
    second=st.sampled_from((330, 500, 1000, 2340, 3750)),
    waits=st.lists(st.integers(0, 10**9), min_size=1, max_size=50),
)
def test_a_counter_empties_as_fast_however_often_one_looks(
    held: int, second: int, waits: list[int]
) -> None:
    """Looking at it costs none of its time."""
    meter, once, now_ns = Meter(0), Meter(0), 0
    meter.held = once.held = held
    for wait in waits:
        now_ns += wait
        meter.at(now_ns, second)
    assert meter.at(now_ns, second) - once.at(now_ns, second) in (0, 1)


def test_orders_are_counted_by_pair() -> None:
    """Adds cost one, early cancels eight, and the counter decays; another pair has its own."""
    talk = Talk(PRO)
    for _ in range(20):
        talk.result("CancelOrder", txid=talk.order(**limit()))
    assert talk.error("AddOrder", **limit()) == "EOrder:Rate limit exceeded"
    talk.order(**limit(pair="ETHUSDT", price="2400", volume="1"))
    talk.go_on(3)
    talk.order(**limit())
    talk = Talk(STARTER)
    for _ in range(60):
        talk.order(**limit())
        talk.go_on(1)
    assert talk.error("AddOrder", **limit()) == "EOrder:Orders limit exceeded"
