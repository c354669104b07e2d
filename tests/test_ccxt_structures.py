"""Whatever ccxt may give, by chance: it is read to the unit, or it is malformed and nothing else."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.edges.ccxt_structures import result_of
from engine.messages import BUY, SELL, Answer, OrderState, Reason
from engine.units import format_decimal
from engine.venues.ccxt_calls import BALANCE, ORDERS, TRADES
from engine.venues.handler import Malformed
from engine.venues.trading import BalancesSeen, FillSeen, OrderRef, OrderSeen, PrivateNews
from tests.ccxt_account import trading_at
from tests.test_ccxt_account import NAME, NOW, intent, trading

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "id symbol side price amount filled status order fee data watch".split()
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(payload=st.binary(max_size=60) | JSON.map(msgspec.json.encode))
def test_whatever_comes_is_read_or_malformed(payload: bytes) -> None:
    """No answer and no frame raises anything else."""
    made = trading_at("kraken")
    ref = OrderRef(NAME, "", 0)
    requests = [made.query(ref, NOW), made.cancel(ref, NOW), made.fills(-1, NOW, 0, NOW)]
    requests += [made.balances(NOW), *made.open_orders(NOW), *made.transfers(NOW, NOW)]
    requests += [made.create(intent(), NOW, NOW)]
    for body in (payload, b"[" + payload + b"]"):
        for request in requests:
            try:
                made.answered(request, Answer(0, 1, NOW, 0, 1, 200, body))
            except Malformed:
                continue
    try:
        made.heard(payload)
    except Malformed:
        return


# --- against a slow reading -------------------------------------------------------------------------

LOTS = st.integers(1, 10**9)
TICKS = st.integers(1, 10**7)


@settings(max_examples=200, deadline=None)
@given(
    lots=LOTS,
    ticks=TICKS,
    share=st.integers(0, 10),
    side=st.sampled_from((BUY, SELL)),
    status=st.sampled_from(["open", "closed", "canceled", "expired", "rejected"]),
    floats=st.booleans(),
)
def test_what_the_edge_writes_is_read_to_the_lot(
    lots: int, ticks: int, share: int, side: int, status: str, floats: bool
) -> None:
    """ccxt's whole structure in, numbers as texts or as floats; the same ints out."""
    filled = lots * share // 10
    number = float if floats else str
    item: dict[str, object] = {
        "id": "9",
        "clientOrderId": NAME,
        "symbol": "BTC/USDT",
        "side": "buy" if side == BUY else "sell",
        "price": number(format_decimal(ticks, 2)),
        "amount": number(format_decimal(lots, 5)),
        "filled": number(format_decimal(filled, 5)),
        "status": status,
        "timestamp": 5,
        "trades": [],
        "info": {"anything": 1.5},
    }
    made = trading()
    told = msgspec.json.encode({"watch": "orders", "data": result_of(ORDERS, [item])})
    (seen,) = made.heard(told)
    assert isinstance(seen, OrderSeen)
    assert seen[:7] == (NAME, "9", 0, side, ticks, lots, filled)
    ended = {
        "closed": OrderState.FILLED if filled == lots else OrderState.CANCELLED,
        "canceled": OrderState.CANCELLED,
        "expired": OrderState.EXPIRED,
        "rejected": OrderState.REJECTED,
        "open": OrderState.PARTLY_FILLED if filled else OrderState.ACKNOWLEDGED,
    }
    assert seen.state is ended[status]
    assert (seen.reason is Reason.NONE) == (status in ("open", "closed", "canceled"))


@settings(max_examples=200, deadline=None)
@given(lots=LOTS, ticks=TICKS, fee=st.integers(-(10**6), 10**9), floats=st.booleans())
def test_trades_and_balances_are_read_to_the_unit(
    lots: int, ticks: int, fee: int, floats: bool
) -> None:
    """The fee too, and what is held."""
    number = float if floats else str
    item: dict[str, object] = {
        "id": 12,
        "order": "9",
        "symbol": "BTC/USDT",
        "side": "sell",
        "price": number(format_decimal(ticks, 2)),
        "amount": number(format_decimal(lots, 5)),
        "fee": {"cost": number(format_decimal(fee, 8)), "currency": "USDT", "rate": 0.1},
        "takerOrMaker": "taker",
        "timestamp": 1.0,
        "info": {"clientOrderId": NAME},
    }
    made = trading()
    (seen,) = made.heard(
        msgspec.json.encode({"watch": "trades", "data": result_of(TRADES, [item])})
    )
    assert seen == FillSeen(
        NAME, "9", 0, SELL, ticks, lots, fee, "USDT", "BTC/USDT-12", False, 1_000_000
    )
    held = {"total": {"BTC": number(format_decimal(lots, 8)), "ETH": None}, "info": {}}
    told = msgspec.json.encode({"watch": "balance", "data": result_of(BALANCE, held)})
    news: PrivateNews = made.heard(told)[0]
    assert news == BalancesSeen((("BTC", lots, lots),), 0)
