"""Which of ccxt's exchanges can be traded on, and what each one's client can do.

ccxt's clients are alike from outside and differ inside. What the gateway has to know of one before
anything is sent stands here, as ccxt 4.5.90's clients say of themselves; tests/test_ccxt_exchanges.py
holds it against the ccxt that is installed. An exchange that a later ccxt adds is taken as the
default: it is polled, slowly, under ids that all venues take.
"""

from typing import NamedTuple

from engine.messages import CallKind
from engine.venues.kraken_words import CALLS_OF, ORDERS_OF, Tier
from engine.venues.trading import Budget, IdForm, IdRules

SECOND_NS = 1_000_000_000
BINANCES = frozenset("binance binanceus binanceusdm binancecoinm".split())
_DIGITS = "0123456789"
_LOWER = "abcdefghijklmnopqrstuvwxyz"
_LETTERS = _DIGITS + _LOWER + _LOWER.upper()
_HEX = _DIGITS + "abcdef"


class Exchange(NamedTuple):
    """What ccxt's client of an exchange can do.

    `stream`: it tells orders and own trades by itself. `closed` is the call for orders that ended, ''
    where there is none. `clock`: it has the venue's time. `interval_ms` is ccxt's own pace of calls.
    """

    stream: bool = False
    closed: str = ""
    clock: bool = False
    interval_ms: int = 1000


_TABLE = """
alpaca                stream  closed  time  333
apex                  stream  orders  time  20
aster                 stream  closed  time  333
backpack              -       orders  time  50
bequant               -       closed  -     4
bigone                -       closed  time  20
binance               stream  closed  time  50
binancecoinm          stream  closed  time  50
binanceus             stream  closed  time  50
binanceusdm           stream  closed  time  50
bingx                 stream  closed  time  100
bitget                stream  closed  time  50
bitrue                -       closed  time  10
bitstamp              stream  -       -     75
bittrade              -       closed  time  100
bitvavo               stream  orders  time  60
blockchaincom         -       closed  -     500
blofin                -       closed  -     200
btcmarkets            -       closed  time  1000
btcturk               -       orders  -     100
btse                  -       -       time  14
bullish               stream  closed  time  20
bybit                 stream  closed  time  20
bybiteu               stream  closed  time  20
bybitid               stream  closed  time  20
coinbase              -       closed  time  34
coinbaseexchange      stream  closed  time  100
coinbaseinternational stream  -       time  100
coinmate              -       orders  time  600
coinsph               -       closed  time  50
cryptocom             stream  closed  -     10
deepcoin              stream  closed  -     200
delta                 -       closed  time  300
derive                stream  closed  time  50
extended              stream  closed  -     600
fmfwio                -       closed  -     4
foxbit                -       closed  -     34
gate                  stream  closed  time  50
gateeu                stream  closed  time  20
gemini                -       -       -     100
grvt                  stream  orders  -     10
hashkey               stream  -       time  100
hitbtc                -       closed  -     4
htx                   stream  closed  time  100
kraken                stream  closed  time  1000
krakenfutures         stream  closed  -     600
kucoin                stream  closed  time  8
kucoinfutures         stream  closed  time  8
latoken               -       orders  time  1000
lbank                 -       orders  time  20
mexc                  stream  closed  time  50
modetrade             stream  closed  time  100
myokx                 stream  closed  time  110
ndax                  -       orders  -     1000
okx                   stream  closed  time  110
okxus                 stream  closed  time  110
onetrading            stream  closed  time  300
pacifica              stream  closed  -     600
paradex               stream  orders  time  50
phemex                stream  closed  -     121
poloniex              stream  closed  time  5
polymarket            stream  orders  time  60
revolutx              -       closed  -     1000
tokocrypto            -       closed  time  2000
toobit                stream  closed  time  20
weex                  stream  closed  time  20
whitebit              stream  closed  time  20
woo                   stream  closed  time  100
woofipro              stream  closed  time  100
xt                    stream  closed  time  100
zebpay                -       -       time  50
"""


def _rows(table: str) -> dict[str, Exchange]:
    found = {}
    for line in table.strip().splitlines():
        name, stream, closed, clock, pace = line.split()
        call = (
            "" if closed == "-" else {"closed": "fetch_closed_orders"}.get(closed, "fetch_orders")
        )
        found[name] = Exchange(stream == "stream", call, clock == "time", int(pace))
    return found


EXCHANGES = _rows(_TABLE)

_NO_ID = "ccxt sends no client order id there, so an order whose answer is lost could not be found"
_SHORT_ID = "its client order ids are numbers too short for 64 bits of hash"
_NO_LIST = "ccxt has no call there for own trades or open orders, so nothing could be compared"

UNTRADED: dict[str, str] = {
    **dict.fromkeys(
        "bit2c bitbank bitbns bitopro bitso bitteam coincheck coinone deribit digifinex hibachi hollaex "
        "independentreserve luno mudrex nado p2b".split(),
        _NO_ID,
    ),
    **dict.fromkeys("bitfinex dydx lighter".split(), _SHORT_ID),
    **dict.fromkeys(
        "bitflyer bithumb btcbox bydfi cex coinspot cryptomus indodax mercado paymium upbit zaif".split(),
        _NO_LIST,
    ),
    "hyperliquid": "its client order ids are 0x and 32 hexadecimal digits, no more and no fewer",
}
"""Exchanges that ccxt has and this engine does not trade on through it, each with the reason."""

DEAD_MAN = frozenset(
    (
        "bingx bitvavo btse bybit bybiteu bybitid extended htx "
        "kraken krakenfutures myokx okx okxus polymarket whitebit woo"
    ).split()
)
"""Whose client can have the exchange cancel all unless it is asked again in time."""

BY_NAME = BINANCES | frozenset("okx myokx okxus".split())
"""Whose `fetch_order` finds an order by its client order id."""
NAMED_LISTS = frozenset({"kraken"})
"""Whose lists of orders can be asked for one client order id, and whose cancel goes by it."""
PAGES = dict.fromkeys(BINANCES, 500) | {"kraken": 50}
WHOLE_LISTS = BINANCES | {"kraken"}
"""Who tell every open order at once."""

DEFAULT_IDS = IdRules(_HEX, 18, "not looked up: what every venue below takes")

_BINANCE = IdRules(
    _LETTERS + ".:/_-", 36, "https://developers.binance.com/docs/binance-spot-api-docs/enums"
)
_BYBIT = IdRules(_LETTERS + "_-", 36, "https://bybit-exchange.github.io/docs/v5/order/create-order")
_OKX = IdRules(
    _LETTERS, 32, "https://www.okx.com/docs-v5/en/#order-book-trading-trade-post-place-order"
)
_KUCOIN = IdRules(
    _LETTERS + "_-", 40, "https://www.kucoin.com/docs-new/rest/spot-trading/orders/add-order"
)
_GATE = IdRules(
    _LETTERS + "._-",
    30,
    "https://www.gate.com/docs/developers/apiv4/en/#create-an-order",
    prefix="t-",
)
_UUID = _HEX + "-"

IDS: dict[str, IdRules] = {
    **dict.fromkeys(BINANCES, _BINANCE),
    **dict.fromkeys("bybit bybiteu bybitid".split(), _BYBIT),
    **dict.fromkeys("okx myokx okxus".split(), _OKX),
    **dict.fromkeys("kucoin kucoinfutures".split(), _KUCOIN),
    **dict.fromkeys("gate gateeu".split(), _GATE),
    "bitget": IdRules(_LETTERS + "_-", 50, "https://www.bitget.com/api-doc/spot/trade/Place-Order"),
    "bitvavo": IdRules(_UUID, 36, "https://docs.bitvavo.com (clientOrderId)", IdForm.UUID),
    "coinbase": IdRules(
        _LETTERS + "-",
        128,
        "https://docs.cdp.coinbase.com/advanced-trade/reference (client_order_id)",
    ),
    "coinbaseexchange": IdRules(
        _UUID, 36, "https://docs.cdp.coinbase.com/exchange/reference (client_oid)", IdForm.UUID
    ),
    "kraken": IdRules(
        _LETTERS, 18, "https://docs.kraken.com/api/docs/rest-api/add-order (cl_ord_id, free text)"
    ),
}


def ids_of(exchange: str) -> IdRules:
    """What an exchange takes as a client order id; those that are not known take the least."""
    return IDS.get(exchange, DEFAULT_IDS)


def exchange_of(exchange: str) -> Exchange:
    """What is known of an exchange; raises ValueError where it is not traded on, with the reason."""
    why = UNTRADED.get(exchange)
    if why is not None:
        raise ValueError(f"no trading on {exchange} through ccxt: {why}")
    return EXCHANGES.get(exchange, Exchange())


_IDS_OF = {
    "binance_futures": "binanceusdm",
    "bybit_linear": "bybit",
    "coinbase_exchange": "coinbaseexchange",
    "kraken_v1": "kraken",
}


def ccxt_id(protocol: str, exchange: str) -> str:
    """ccxt's id of the exchange that a venue is watched at; `exchange` where that is by ccxt too.

    Raises ValueError for our own protocol, which ccxt does not speak.
    """
    if protocol == "simulated":
        raise ValueError("ccxt does not speak the protocol 'simulated'")
    return exchange or _IDS_OF.get(protocol, protocol)


def budgets_of(exchange: str, interval_ms: int, tier: Tier = "starter") -> tuple[Budget, ...]:
    """The venue's own where they are known, else ccxt's pace. `tier` is Kraken's of the account.

    Kraken counts orders by pair; here one pair's budget is for all of them.
    """
    if exchange in BINANCES:
        return (
            Budget("weight", 6000, 60 * SECOND_NS),
            Budget("orders-10s", 100, 10 * SECOND_NS, per_host=False),
        )
    if exchange == "kraken":
        (calls, calls_s), (orders, orders_s) = CALLS_OF[tier], ORDERS_OF[tier]
        return (
            Budget("calls", calls, calls_s * SECOND_NS, per_host=False),
            Budget("orders", orders, orders_s * SECOND_NS, per_host=False),
        )
    return (Budget("calls", max(1, 10 * 1000 // interval_ms), 10 * SECOND_NS),)


_BINANCE_WEIGHTS = {
    CallKind.CREATE: 1,
    CallKind.CANCEL: 1,
    CallKind.QUERY: 4,
    CallKind.OPEN_ORDERS: 6,
    CallKind.FILLS: 20,
    CallKind.BALANCES: 20,
    CallKind.TRANSFERS: 2,
    CallKind.CLOCK: 1,
}
_KRAKEN_COUNTS = {CallKind.FILLS: 2, CallKind.TRANSFERS: 2, CallKind.CLOCK: 0}


def weights_of(exchange: str, kind: CallKind, calls: int) -> tuple[tuple[str, int], ...]:
    """What a request of so many calls weighs, by budget. Kraken's cancels are never refused."""
    if exchange in BINANCES:
        orders = (("orders-10s", 1),) if kind is CallKind.CREATE else ()
        return (("weight", _BINANCE_WEIGHTS.get(kind, 10) * calls), *orders)
    if exchange == "kraken":
        if kind in (CallKind.CREATE, CallKind.CANCEL):
            return (("orders", 1),) if kind is CallKind.CREATE else ()
        return (("calls", _KRAKEN_COUNTS.get(kind, 1) * calls),)
    return (("calls", calls),)
