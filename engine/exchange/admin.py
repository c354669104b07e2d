"""What an operator of the simulated exchange may ask: faults, phases of markets, money, the audit.

Requests and answers are JSON. What is wrong with a request is said with the field that is wrong, and
then nothing is done.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.exchange.front import Front
from engine.exchange.orders import Refused
from engine.exchange.wires.wire import UNREADABLE, Answer, Call
from engine.fault_config import FaultConfig
from engine.units import UnitError, parse_decimal
from ext.matching import AUCTION, CLOSED, CONTINUOUS, HALTED

STRUCK_SHOWN = 1000
PHASES = {CONTINUOUS: "continuous", AUCTION: "auction", HALTED: "halted", CLOSED: "closed"}
ACTS: dict[str, tuple[int, frozenset[int]]] = {
    "halt": (HALTED, frozenset({CONTINUOUS, AUCTION, HALTED})),
    "resume": (CONTINUOUS, frozenset({HALTED, CLOSED, CONTINUOUS})),
    "auction": (AUCTION, frozenset({CONTINUOUS, HALTED, AUCTION})),
    "uncross": (CONTINUOUS, frozenset({AUCTION})),
}
"""To which phase, and from which."""


class Wrong(Exception):
    """A request that cannot be carried out: the field that is wrong, and why."""

    def __init__(self, field: str, why: str, status: int = 400) -> None:
        super().__init__(f"{field}: {why}" if field else why)
        self.field = field
        self.why = why
        self.status = status


class Market(msgspec.Struct, forbid_unknown_fields=True):
    """Which market is meant; all of them without a symbol."""

    symbol: str = ""


class Money(msgspec.Struct, forbid_unknown_fields=True):
    """What an account is given or gives."""

    account: str
    asset: str
    amount: str
    note: str = ""


def administer(front: Front, call: Call, now_ns: int) -> Answer:
    """Answer an operator; `path` is without the venue's prefix."""
    what, _, rest = call.path.strip("/").partition("/")
    try:
        said = _route(front, call.method, what, rest, call.body, now_ns)
    except Wrong as wrong:
        status, said = wrong.status, {"error": str(wrong), "field": wrong.field}
        return Answer(status, msgspec.json.encode(said))
    return Answer(200, msgspec.json.encode({**said, "simulated": True}))


def _route(
    front: Front, method: str, what: str, rest: str, body: bytes, now_ns: int
) -> dict[str, Any]:
    match method, what, rest:
        case "GET", "", "":
            return _status(front)
        case "GET", "faults", "":
            return _faults(front)
        case "POST", "faults", "":
            return {"number": front.faults.set(_fault(front, body), now_ns)}
        case "DELETE", "faults", number:
            return _clear(front, number, now_ns)
        case "GET", "audit", "" | "orders":
            return _audit(front, rest == "orders")
        case "POST", "deposit" | "withdraw", "":
            return _move(front, what, body, now_ns)
        case "POST", act, "" if act in ACTS:
            return _act(front, act, body, now_ns)
    known = "GET / faults audit audit/orders; POST faults deposit withdraw " + " ".join(ACTS)
    why = f"no {method} /{what}; there is: {known}; DELETE faults, faults/NUMBER"
    raise Wrong("", why, 404)


def _read(body: bytes, kind: type[Any]) -> Any:
    """The request's body; raises Wrong naming the field."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        field = path.removesuffix("`").lstrip(".")
        if not field and message.startswith("Object "):
            field = message.split("`")[1]  # a field that is missing, or one too many
        elif not field and ": " in message:
            field, _, message = message.partition(": ")
        raise Wrong(field, message) from error
    except UNREADABLE as error:
        raise Wrong("", f"not JSON: {error}") from error


def _status(front: Front) -> dict[str, Any]:
    exchange = front.exchange
    markets = [
        {
            "symbol": market.instrument.symbol,
            "phase": PHASES[market.book.phase],
            "last": market.instrument.ticks_to_price(market.book.last),
        }
        for market in exchange.markets.values()
    ]
    return {
        "venue": exchange.venue,
        "wires": list(front.wires),
        "accounts": exchange.accounts.names,
        "markets": markets,
        "maintenance": front.faults.maintenance,
        "clock_skew_ms": front.faults.skew_ns // 1_000_000,
    }


def _audit(front: Front, orders: bool) -> dict[str, Any]:
    """What the exchange's own books say; every order it keeps only when that is asked for."""
    audit = front.exchange.audit()._asdict()
    audit["balances"] = [each._asdict() for each in audit["balances"]]
    if not orders:
        del audit["orders"]
    return audit


def _faults(front: Front) -> dict[str, Any]:
    armed = [
        {"number": number, "on": on, "left": left, **msgspec.to_builtins(fault)}
        for number, fault, on, left in front.faults.armed()
    ]
    struck = [each._asdict() for each in list(front.faults.struck)[-STRUCK_SHOWN:]]
    return {"faults": armed, "counts": front.faults.counts, "struck": struck}


def _fault(front: Front, body: bytes) -> FaultConfig:
    fault: FaultConfig = _read(body, FaultConfig)
    problem = fault_problem(front, fault)
    if problem is not None:
        raise Wrong(*problem)
    return fault


def fault_problem(front: Front, fault: FaultConfig) -> tuple[str, str] | None:
    """The field of a fault that names nothing of this venue, and why; None when all is well."""
    exchange = front.exchange
    for field, name, known in (
        ("venue", fault.venue, [exchange.venue]),
        ("wire", fault.wire, list(front.wires)),
        ("account", fault.account, exchange.accounts.names),
        ("symbol", fault.symbol, list(exchange.symbols)),
    ):
        if name and name not in known:
            return field, f"one of {', '.join(known)} expected, not {name!r}"
    return None


def _clear(front: Front, number: str, now_ns: int) -> dict[str, Any]:
    if number and not number.isdecimal():
        raise Wrong("number", f"a number expected, not {number!r}")
    try:
        turns = front.faults.clear(int(number or 0), now_ns)
    except LookupError as error:
        raise Wrong("number", str(error.args[0]), 404) from error
    front.turned(turns, now_ns)
    return {"left": len(front.faults.armed())}


def _act(front: Front, act: str, body: bytes, now_ns: int) -> dict[str, Any]:
    wanted: Market = _read(body, Market)
    exchange = front.exchange
    if wanted.symbol and wanted.symbol not in exchange.symbols:
        known = ", ".join(exchange.symbols)
        raise Wrong("symbol", f"one of {known} expected, not {wanted.symbol!r}")
    phase, possible = ACTS[act]
    instruments = [i for i in exchange.symbols.values() if wanted.symbol in ("", i.symbol)]
    for instrument in instruments:
        now = exchange.markets[instrument.id].book.phase
        if now not in possible:
            raise Wrong("symbol", f"{instrument.symbol} is {PHASES[now]}: no {act} now", 409)
        if phase == AUCTION and exchange.markets[instrument.id].replayed is not None:
            raise Wrong("symbol", f"{instrument.symbol} is a recording: no {act}", 409)
    for instrument in instruments:
        front.do(_phase(front, instrument.id, phase), now_ns)
    return {"phase": PHASES[phase], "symbols": [each.symbol for each in instruments]}


def _phase(front: Front, instrument: int, phase: int) -> Callable[[int], None]:
    return lambda now_ns: front.exchange.set_phase(instrument, phase, now_ns)


def _move(front: Front, what: str, body: bytes, now_ns: int) -> dict[str, Any]:
    money: Money = _read(body, Money)
    accounts = front.exchange.accounts
    if money.account not in accounts.names:
        raise Wrong("account", f"one of {', '.join(accounts.names)} expected")
    if money.asset not in accounts.decimals:
        raise Wrong("asset", f"one of {', '.join(accounts.decimals)} expected")
    try:
        units = parse_decimal(money.amount, accounts.decimals[money.asset])
    except UnitError as error:
        raise Wrong("amount", str(error)) from error
    if units <= 0:
        raise Wrong("amount", "more than 0 expected")
    move = accounts.deposit if what == "deposit" else accounts.withdraw
    try:
        entry = front.do(
            lambda at_ns: move(money.account, money.asset, units, at_ns, money.note), now_ns
        )
    except Refused as refused:
        raise Wrong("amount", refused.detail, 409) from refused
    return {"entry": entry._asdict()}
