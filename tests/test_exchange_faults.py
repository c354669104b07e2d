"""The real exchange under faults: races and short fills add up, and an operator can set all of it."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.config import ConfigError, parse
from engine.edges.exchange_server import make_exchange, make_front, make_fronts, make_wires
from engine.exchange.admin import administer
from engine.exchange.front import Answered, Front
from engine.exchange.orders import NewOrder, Order, Refused, Status, Why
from engine.exchange.wires.wire import Call, Outgoing
from engine.fault_config import FaultConfig, FaultKind
from engine.messages import BUY, SELL
from ext.matching import CONTINUOUS, FOK, GTC, HALTED, IOC, LIMIT, MARKET

DEMO = (Path(__file__).parent.parent / "configs" / "demo.toml").read_text()
CONFIG = parse(DEMO, "demo")
BEGIN = 10**18
MS = 1_000_000


class Venue:
    """Alpha of the demo, with a client of its own protocol."""

    def __init__(self, *plan: FaultConfig) -> None:
        faults = msgspec.structs.replace(CONFIG.exchange.faults, plan=plan)
        exchange = msgspec.structs.replace(CONFIG.exchange, faults=faults)
        config = msgspec.structs.replace(CONFIG, exchange=exchange)
        self.exchange = make_exchange(config, 0, BEGIN)
        wires = make_wires(config, self.exchange)
        self.front: Front = make_front(config, self.exchange, BEGIN, wires)
        self.front.connect(1, "simulated", "", "", BEGIN)
        self.now_ns = BEGIN
        self.until(1_000)

    def until(self, ms: float) -> list[bytes]:
        """The frames that have come by so many milliseconds after the begin."""
        self.now_ns = BEGIN + int(ms * MS)
        outputs = self.front.advance(self.now_ns)
        return [out.payload for out in outputs if isinstance(out, Outgoing) and out.payload]

    def best(self, side: int) -> tuple[int, int]:
        """Price and lots at the touch of BTC/USDT."""
        return self.exchange.markets[0].book.best(side)

    def place(self, side: int, ticks: int, lots: int, **more: Any) -> Order:
        """An order of the account, and a copy of what became of it at once."""
        new = NewOrder(0, side, more.pop("kind", LIMIT), lots, ticks, **more)
        return self.exchange.place("main", new, self.now_ns)

    def adds_up(self) -> None:
        """The exchange's own books have no complaint."""
        assert self.exchange.audit().problems == ()

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        """An operator's request."""
        data = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        answer = administer(self.front, Call(method, path, "", {}, data), self.now_ns)
        return answer.status, json.loads(answer.body)


# --- cancels that come too late ---------------------------------------------------------------------------


@pytest.mark.parametrize("side", [BUY, SELL])
def test_a_cancel_comes_just_after_the_fill(side: int) -> None:
    """The house fills it and all before it; the cancel finds nothing, and every unit is accounted for."""
    venue = Venue(FaultConfig(FaultKind.FILL_BEFORE_CANCEL, count=1))
    best, _ = venue.best(side)
    order = venue.place(side, best - side * 10, 500)
    with pytest.raises(Refused) as refused:
        venue.exchange.cancel("main", order.number, venue.now_ns)
    assert refused.value.why is Why.UNKNOWN_ORDER
    assert (order.status, order.filled) == (Status.FILLED, 500)
    venue.adds_up()
    later = venue.place(side, best - side * 1000, 500)
    assert venue.exchange.cancel("main", later.number, venue.now_ns).status is Status.CANCELLED
    assert [struck.what for struck in venue.front.faults.struck] == [f"order {order.number}"]


def test_a_replacement_and_a_cancel_of_all_come_too_late_too() -> None:
    """What was left of the orders by then goes."""
    venue = Venue(FaultConfig(FaultKind.FILL_BEFORE_CANCEL, count=2))
    best, _ = venue.best(BUY)
    orders = [venue.place(BUY, best - 10 - place, 500) for place in range(3)]
    with pytest.raises(Refused):
        venue.exchange.replace("main", orders[0].number, best - 20, 0, venue.now_ns)
    venue.exchange.cancel_all("main", None, venue.now_ns)
    statuses = [order.status for order in orders]
    assert statuses == [Status.FILLED, Status.FILLED, Status.CANCELLED]
    venue.adds_up()


def test_an_iceberg_is_filled_whole_before_its_cancel() -> None:
    """Its hidden part goes behind others at its price; the house comes again for it."""
    venue = Venue(FaultConfig(FaultKind.FILL_BEFORE_CANCEL))
    best, _ = venue.best(BUY)
    order = venue.place(BUY, best, 5_000, display=500)
    with pytest.raises(Refused):
        venue.exchange.cancel("main", order.number, venue.now_ns)
    assert order.status is Status.FILLED
    venue.adds_up()


def test_an_order_that_does_not_rest_is_cancelled_in_peace() -> None:
    """Nothing struck: there was nothing to fill."""
    venue = Venue(FaultConfig(FaultKind.FILL_BEFORE_CANCEL))
    best, _ = venue.best(SELL)
    order = venue.place(SELL, best, 500, trigger=1, trigger_ticks=best - 50_000)
    assert venue.exchange.cancel("main", order.number, venue.now_ns).status is Status.CANCELLED
    assert not venue.front.faults.struck


# --- orders that get only part ----------------------------------------------------------------------------


@pytest.mark.parametrize("side", [BUY, SELL])
@pytest.mark.parametrize("kind", [LIMIT, MARKET])
def test_an_order_that_takes_gets_only_part(side: int, kind: int) -> None:
    """Half of it, or less where the house had to take more; it is told as it was asked."""
    venue = Venue(FaultConfig(FaultKind.PARTIAL_FILL, count=1, part=0.5))
    best, there = venue.best(-side)
    ticks = best + side * 5_000 if kind == LIMIT else 0
    lots = there * 3
    order = venue.place(side, ticks, lots, kind=kind, tif=IOC, client_id="cut")
    assert 0 < order.filled < lots
    assert (order.status, order.lots) == (Status.CANCELLED, lots)
    assert (order.request.kind, order.request.ticks, order.ticks) == (kind, ticks, ticks)
    venue.adds_up()
    frames = [json.loads(frame) for frame in venue.until(1_200)]
    said = [frame for frame in frames if frame["type"] == "order"]
    assert said[-1]["state"] == "cancelled"
    again = venue.place(side, ticks, 500, kind=kind, tif=IOC)
    assert again.status is Status.FILLED, "it struck once"


@pytest.mark.parametrize("more", [{"tif": GTC}, {"tif": FOK}])
def test_an_order_that_may_rest_or_takes_all_or_nothing_is_left_alone(more: dict[str, int]) -> None:
    """Nothing struck."""
    venue = Venue(FaultConfig(FaultKind.PARTIAL_FILL))
    best, _ = venue.best(SELL)
    assert venue.place(BUY, best + 5_000, 500, **more).status is Status.FILLED
    assert not venue.front.faults.struck


def test_what_would_be_refused_is_refused_before_the_house_moves() -> None:
    """An account that lacks the money costs the market nothing."""
    venue = Venue(FaultConfig(FaultKind.PARTIAL_FILL))
    best, _ = venue.best(SELL)
    with pytest.raises(Refused) as refused:
        venue.place(BUY, best + 5_000, 90_000_000, tif=IOC)
    assert refused.value.why is Why.INSUFFICIENT_BALANCE
    assert not venue.front.faults.struck


def test_a_clock_that_is_set_back_stops_no_market() -> None:
    """Half a minute fast for a second; then its traders go on at once."""
    venue = Venue(FaultConfig(FaultKind.CLOCK_SKEW, skew_ms=30_000, from_s=1, for_s=1))
    venue.until(3_000)
    market = venue.front.exchange.markets[0]
    before = market.sequence
    venue.until(8_000)
    assert market.sequence > before + 10


# --- the configuration ------------------------------------------------------------------------------------


def test_a_plan_comes_from_the_configuration() -> None:
    """Each venue draws for itself."""
    text = f"""{DEMO}
[exchange.faults]
seed = 9
[[exchange.faults.plan]]
kind = "timeout_done"
chance = 0.5
endpoint = '"op":"order"'
[[exchange.faults.plan]]
kind = "maintenance"
venue = "beta"
from_s = 1
for_s = 1
"""
    fronts = make_fronts(parse(text, "demo"), BEGIN)
    kinds = {
        name: [fault.kind for _, fault, _, _ in front.faults.armed()]
        for name, front in fronts.items()
    }
    assert kinds["alpha"] == [FaultKind.TIMEOUT_DONE]
    assert kinds["beta"] == [FaultKind.TIMEOUT_DONE, FaultKind.MAINTENANCE]
    fronts["beta"].advance(BEGIN + 1_500 * MS)
    assert fronts["beta"].exchange.markets[2].book.phase == HALTED
    fronts["beta"].advance(BEGIN + 2_500 * MS)
    assert fronts["beta"].exchange.markets[2].book.phase == CONTINUOUS


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ('kind = "nonsense"', "exchange.faults.plan[0].kind"),
        ('kind = "slow"\nchance = 1.5', "exchange.faults.plan[0].chance"),
        ('kind = "slow"\nvenue = "omega"', "exchange.faults.plan[0].venue"),
        ('kind = "gap"\nsymbol = "X/Y"', "exchange.faults.plan[0].symbol"),
        ('kind = "slow"\naccount = "nobody"', "exchange.faults.plan[0].account"),
        ('kind = "slow"\nwire = "telex"', "exchange.faults.plan[0].wire"),
        ('kind = "slow"\nevery_s = 5', "every_s"),
        ('kind = "clock_skew"', "skew_ms"),
        ('kind = "slow"\nsurprise = 1', "exchange.faults.plan[0]"),
    ],
)
def test_a_plan_that_does_not_hold_names_its_field(line: str, path: str) -> None:
    """Before anything is started."""
    with pytest.raises(ConfigError) as error:
        make_fronts(parse(f"{DEMO}\n[[exchange.faults.plan]]\n{line}\n", "demo"), BEGIN)
    assert path in str(error.value)


def test_no_venue_has_the_operators_name() -> None:
    """Its path would be the operator's."""
    with pytest.raises(ConfigError, match=r"venues\[0\].name"):
        make_fronts(
            parse(DEMO.replace('"alpha"', '"admin"').replace(".alpha]", ".admin]"), "demo"), BEGIN
        )


# --- the operator -----------------------------------------------------------------------------------------


def test_an_operator_sets_sees_and_clears_faults() -> None:
    """By number, or all at once; what struck is listed."""
    venue = Venue()
    wanted = {"kind": "timeout_done", "count": 1, "endpoint": '"op":"balances"'}
    assert venue.ask("POST", "/faults", wanted) == (200, {"number": 1, "simulated": True})
    assert venue.ask("POST", "/faults", {"kind": "gap", "symbol": "ETH/USDT"})[1]["number"] == 2
    venue.front.receive(1, b'{"op":"balances"}', venue.now_ns)
    assert venue.until(1_010) == []
    status, said = venue.ask("GET", "/faults")
    assert status == 200
    assert [(fault["number"], fault["kind"]) for fault in said["faults"]] == [
        (1, "timeout_done"),
        (2, "gap"),
    ]
    assert said["counts"]["timeout_done"] == 1
    assert said["struck"][0]["account"] == ""
    assert venue.ask("DELETE", "/faults/1")[1]["left"] == 1
    assert venue.ask("DELETE", "/faults/1")[0] == 404
    assert venue.ask("DELETE", "/faults")[1]["left"] == 0


def test_maintenance_that_is_cleared_ends_at_once() -> None:
    """Markets go on, requests are served."""
    venue = Venue()
    venue.ask("POST", "/faults", {"kind": "maintenance"})
    venue.until(1_001)
    assert venue.ask("GET", "/")[1]["maintenance"] is True
    venue.front.receive(1, b'{"op":"balances"}', venue.now_ns)
    assert [json.loads(frame)["type"] for frame in venue.until(1_010)] == ["error"]
    assert venue.exchange.markets[0].book.phase == HALTED
    venue.ask("DELETE", "/faults")
    assert venue.exchange.markets[0].book.phase == CONTINUOUS
    venue.front.receive(1, b'{"op":"balances"}', venue.now_ns)
    assert [json.loads(frame)["type"] for frame in venue.until(1_020)] == ["balances"]


def test_markets_are_halted_auctioned_and_opened() -> None:
    """One of them, or all."""
    venue = Venue()
    assert venue.ask("POST", "/halt", {"symbol": "BTC/USDT"})[1]["phase"] == "halted"
    phases = [market["phase"] for market in venue.ask("GET", "/")[1]["markets"]]
    assert phases == ["halted", "continuous"]
    assert venue.ask("POST", "/resume", {"symbol": "BTC/USDT"})[0] == 200
    assert venue.ask("POST", "/auction")[1]["symbols"] == ["BTC/USDT", "ETH/USDT"]
    venue.until(2_000)
    assert venue.ask("POST", "/resume")[0] == 409, "an auction ends by uncrossing"
    assert venue.ask("POST", "/uncross")[0] == 200
    assert venue.ask("POST", "/uncross")[0] == 409
    venue.adds_up()


def test_money_comes_and_goes_and_the_audit_says_so() -> None:
    """To the unit, and never below nothing."""
    venue = Venue()
    money = {"account": "main", "asset": "BTC", "amount": "1.5", "note": "a gift"}
    assert venue.ask("POST", "/deposit", money)[1]["entry"]["balance"] == 650_000_000
    assert venue.ask("POST", "/withdraw", {**money, "amount": "6.5"})[1]["entry"]["balance"] == 0
    assert venue.ask("POST", "/withdraw", money)[0] == 409
    status, audit = venue.ask("GET", "/audit")
    assert (status, audit["problems"], audit["outside"]["BTC"]) == (200, [], 0)
    assert "orders" not in audit
    venue.place(BUY, venue.best(BUY)[0] - 10_000, 500, client_id="kept")
    orders = venue.ask("GET", "/audit/orders")[1]["orders"]
    assert [order["request"]["client_id"] for order in orders] == ["kept"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/faults", b"{", ""),
        ("/faults", {}, "kind"),
        ("/faults", {"kind": "slow", "delay_ms": "soon"}, "delay_ms"),
        ("/faults", {"kind": "slow", "sometimes": 1}, "sometimes"),
        ("/faults", {"kind": "slow", "wire": "telex"}, "wire"),
        ("/faults", {"kind": "slow", "venue": "beta"}, "venue"),
        ("/faults", {"kind": "slow", "every_s": 5}, "every_s"),
        ("/halt", {"symbol": "X/Y"}, "symbol"),
        ("/deposit", {"account": "main", "asset": "BTC"}, "amount"),
        ("/deposit", {"account": "nobody", "asset": "BTC", "amount": "1"}, "account"),
        ("/deposit", {"account": "main", "asset": "DOGE", "amount": "1"}, "asset"),
        ("/deposit", {"account": "main", "asset": "BTC", "amount": "one"}, "amount"),
        ("/deposit", {"account": "main", "asset": "BTC", "amount": "0"}, "amount"),
        ("/deposit", {"account": "main", "asset": "BTC", "amount": "-1"}, "amount"),
    ],
)
def test_a_wrong_request_names_its_field_and_does_nothing(
    path: str, body: object, field: str
) -> None:
    """400, with words for people."""
    venue = Venue()
    before = venue.ask("GET", "/audit")[1]
    status, said = venue.ask("POST", path, body)
    assert (status, said["field"]) == (400, field)
    assert said["error"]
    assert venue.ask("GET", "/audit")[1] == before
    assert venue.ask("GET", "/faults")[1]["faults"] == []


def test_what_an_operator_cannot_ask_is_said_with_what_can_be() -> None:
    """404."""
    status, said = Venue().ask("PUT", "/faults", {})
    assert status == 404
    assert "deposit" in said["error"]


def test_the_same_seed_and_requests_leave_the_same_bytes() -> None:
    """Ten seconds of orders under many faults, twice."""

    def run() -> list[object]:
        plan = [
            FaultConfig(kind, chance=0.2)
            for kind in (
                FaultKind.TIMEOUT_DONE,
                FaultKind.TIMEOUT_NOT_DONE,
                FaultKind.ERROR_DONE,
                FaultKind.SLOW,
                FaultKind.REJECTED,
                FaultKind.DROP_FRAME,
                FaultKind.REPEAT_FRAME,
                FaultKind.GAP,
                FaultKind.FILL_BEFORE_CANCEL,
                FaultKind.PARTIAL_FILL,
            )
        ]
        plan.append(FaultConfig(FaultKind.MAINTENANCE, from_s=3, for_s=0.5, every_s=2))
        venue = Venue(*plan)
        venue.front.receive(1, b'{"op":"subscribe","symbols":["BTC/USDT"]}', venue.now_ns)
        said: list[object] = []
        for number in range(200):
            at_ms = 1_010 + number * 50
            price = 60_000 + (number % 7 - 3) * 20
            side = "buy" if number % 2 else "sell"
            tif = "ioc" if number % 3 else "gtc"
            order = {
                "op": "order", "client_id": f"o{number}", "symbol": "BTC/USDT", "side": side,
                "price": f"{price}.00", "qty": "0.05000", "tif": tif,
            }  # fmt: skip
            cancel = {"op": "cancel", "client_id": f"o{number - 3}"}
            for request in (order, cancel):
                venue.front.receive(1, json.dumps(request).encode(), venue.now_ns)
            said += venue.until(at_ms)
        venue.adds_up()
        said += list(venue.front.faults.struck)
        assert not any(isinstance(each, Answered) for each in said)
        return said

    once = run()
    assert run() == once
    kinds = {struck.kind for struck in once if not isinstance(struck, bytes)}
    assert len(kinds) >= 10
