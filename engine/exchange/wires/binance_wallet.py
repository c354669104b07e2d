"""What a spot client asks of Binance's other interfaces when it starts: valid answers, mostly empty.

There is no margin, no contract and no option here; coins move only by the exchange's own accounts.
"""

from typing import Any

from engine.exchange.wires import binance_views as views
from engine.exchange.wires.binance_orders import Ask
from engine.exchange.wires.binance_state import State
from engine.exchange.wires.binance_words import decimal, ms

Answer = dict[str, Any]


def system_status(state: State, ask: Ask) -> Answer:
    """GET /sapi/v1/system/status."""
    del state, ask
    return {"status": 0, "msg": "normal"}


def key_rights(state: State, ask: Ask) -> Answer:
    """GET /sapi/v1/account/apiRestrictions: what the key that asks may do."""
    del state
    return {
        "ipRestrict": False,
        "createTime": 0,
        "enableReading": "read" in ask.rights,
        "enableWithdrawals": "withdraw" in ask.rights,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": "trade" in ask.rights,
        "enablePortfolioMarginTrading": False,
    }


def _network(asset: str, decimals: int) -> Answer:
    """The only network of a coin, which moves nothing; clients read the coin's precision here."""
    return {
        "network": asset,
        "coin": asset,
        "withdrawIntegerMultiple": decimal(1, decimals),
        "isDefault": True,
        "depositEnable": False,
        "withdrawEnable": False,
        "depositDesc": "",
        "withdrawDesc": "",
        "specialTips": "",
        "name": asset,
        "resetAddressStatus": False,
        "addressRegex": "",
        "memoRegex": "",
        "withdrawFee": "0",
        "withdrawMin": "0",
        "withdrawMax": "0",
        "minConfirm": 1,
        "unLockConfirm": 0,
    }


def coins(state: State, ask: Ask) -> list[Answer]:
    """GET /sapi/v1/capital/config/getall: what an account has of each asset; no network moves any."""
    accounts = state.exchange.accounts
    rows = []
    for asset, decimals in accounts.decimals.items():
        rows.append(
            {
                "coin": asset,
                "depositAllEnable": False,
                "withdrawAllEnable": False,
                "name": asset,
                "free": decimal(accounts.free(ask.account, asset), decimals),
                "locked": decimal(accounts.locked(ask.account, asset), decimals),
                "freeze": "0",
                "withdrawing": "0",
                "ipoing": "0",
                "ipoable": "0",
                "storage": "0",
                "isLegalMoney": False,
                "trading": True,
                "networkList": [_network(asset, decimals)],
            }
        )
    return rows


def trade_fees(state: State, ask: Ask) -> list[Answer]:
    """GET /sapi/v1/asset/tradeFee."""
    name = ask.values.get("symbol")
    shown = [state.listing(name)] if name else list(state.listings.values())
    rows = []
    for listing in shown:
        maker, taker = state.exchange.accounts.rates(ask.account, listing.instrument)
        rows.append(
            {
                "symbol": listing.native,
                "makerCommission": views.rate(maker),
                "takerCommission": views.rate(taker),
            }
        )
    return rows


def no_rows(state: State, ask: Ask) -> list[Answer]:
    """A list of nothing."""
    del state, ask
    return []


def no_transfers(state: State, ask: Ask) -> Answer:
    """GET /sapi/v1/asset/transfer."""
    del state, ask
    return {"total": 0, "rows": []}


def no_symbols(state: State, ask: Ask) -> Answer:
    """exchangeInfo of futures and options: there are none."""
    del state
    return {
        "timezone": "UTC",
        "serverTime": ms(ask.now_ns),
        "rateLimits": [],
        "exchangeFilters": [],
        "assets": [],
        "symbols": [],
        "optionContracts": [],
        "optionAssets": [],
        "optionSymbols": [],
    }
