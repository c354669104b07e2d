"""Every fill of an account is told, once, to each of its connections, on all wires at once."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from engine.config import Config, parse
from engine.edges.exchange_server import make_fronts
from engine.exchange.accounts import credentials
from engine.exchange.front import Answered, Front
from engine.exchange.orders import NewOrder, Refused
from engine.exchange.wires.binance_keys import signature_of
from engine.exchange.wires.kraken_keys import sign
from engine.exchange.wires.wire import Call
from ext.matching import BUY, GTC, IOC, LIMIT, MARKET, SELL

BEGIN = 1_700_000_000_000_000_000
MS = 1_000_000
OWN, BINANCE, KRAKEN = 1, 2, 3
STEPS = 1_500


def config(seed: int) -> Config:
    """The demo's, with a seed of its own."""
    text = (Path(__file__).parent.parent / "configs" / "demo.toml").read_text()
    return parse(text.replace("seed = 7", f"seed = {seed}"), "demo")


class Listeners:
    """One venue, and a connection of its account on each wire."""

    def __init__(self, seed: int) -> None:
        made = config(seed)
        self.front: Front = make_fronts(made, BEGIN)["alpha"]
        self.now_ns = BEGIN
        self.answers: list[bytes] = []
        self.told: dict[int, list[Any]] = {OWN: [], BINANCE: [], KRAKEN: []}
        key, secret = credentials(made.name, "main")
        self._own()
        self._binance(key, secret)
        self._kraken(key, secret)

    def _own(self) -> None:
        self.front.connect(OWN, "simulated", "", "", self.now_ns)
        self.say(OWN, {"op": "login", "account": "main"})

    def _binance(self, key: str, secret: bytes) -> None:
        self.front.connect(BINANCE, "binance", "/ws-api/v3", "", self.now_ns)
        params: dict[str, Any] = {"apiKey": key, "timestamp": self.now_ns // MS}
        text = "&".join(f"{name}={value}" for name, value in sorted(params.items()))
        params["signature"] = signature_of(text, secret)
        self.say(
            BINANCE, {"id": 1, "method": "userDataStream.subscribe.signature", "params": params}
        )

    def _kraken(self, key: str, secret: bytes) -> None:
        body, path = b"nonce=1", "/0/private/GetWebSocketsToken"
        headers = {"api-key": key, "api-sign": sign(secret, path, "1", body)}
        self.front.call(1, "kraken", Call("POST", path, "", headers, body), self.now_ns)
        self.go_on(20)
        token = json.loads(self.answers[0])["result"]["token"]
        self.front.connect(KRAKEN, "kraken", "/v2", "", self.now_ns)
        asked = {"channel": "executions", "token": token, "snap_trades": False}
        self.say(KRAKEN, {"method": "subscribe", "params": asked})

    def say(self, connection: int, frame: dict[str, Any]) -> None:
        """A client's frame."""
        self.front.receive(connection, json.dumps(frame).encode(), self.now_ns)
        self.go_on(20)

    def go_on(self, milliseconds: int) -> None:
        """Time passes."""
        self.now_ns += milliseconds * MS
        for output in self.front.advance(self.now_ns):
            if isinstance(output, Answered):
                assert output.answer is not None
                self.answers.append(output.answer.body)
            elif output.payload is not None:
                self.told[output.connection].append(json.loads(output.payload))

    def place(self, random: Random) -> None:
        """An order near the touch, or at any price."""
        number = random.choice(list(self.front.exchange.instruments))
        book = self.front.exchange.markets[number].book
        side, kind = random.choice((BUY, SELL)), random.choice((LIMIT, LIMIT, LIMIT, MARKET))
        ticks = book.best(-side)[0] - side * random.randint(-20, 400) if kind == LIMIT else 0
        new = NewOrder(
            number,
            side,
            kind,
            random.randint(500, 20_000),
            ticks,
            tif=IOC if kind == MARKET else random.choice((GTC, GTC, IOC)),
        )
        self.front.do(lambda now_ns: self.front.exchange.place("main", new, now_ns), self.now_ns)


def binance_trades(told: list[Any]) -> Iterator[tuple[str, str, int, str]]:
    """Symbol, trade, order and quantity of each execution report that is a trade."""
    for frame in told:
        event = frame.get("event", {})
        if event.get("e") == "executionReport" and event["x"] == "TRADE":
            yield event["s"], str(event["t"]), event["i"], event["l"]


def kraken_trades(told: list[Any]) -> Iterator[tuple[str, str]]:
    """Id and quantity of each execution that is a trade."""
    for frame in told:
        if frame.get("channel") == "executions":
            for report in frame["data"]:
                if report["exec_type"] == "trade":
                    yield report["exec_id"], f"{report['last_qty']:.8f}"


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_no_fill_is_missing_and_none_comes_twice(seed: int) -> None:
    """Maker's and taker's, one or many a request, on three protocols: as many as REST would list."""
    random, heard = Random(seed), Listeners(seed)
    refused = 0
    for _ in range(STEPS):
        try:
            heard.place(random)
        except Refused:
            refused += 1
        heard.go_on(random.choice((1, 10, 100)))
    heard.go_on(1_000)
    fills = heard.front.exchange.fills("main")
    assert len(fills) > 300
    assert sum(fill.maker for fill in fills) > 30
    assert refused < STEPS / 2
    own = [frame["fill_seq"] for frame in heard.told[OWN] if frame.get("type") == "fill"]
    assert own == list(range(1, len(fills) + 1))
    binance = list(binance_trades(heard.told[BINANCE]))
    assert len(set(binance)) == len(binance) == len(fills)
    kraken = list(kraken_trades(heard.told[KRAKEN]))
    assert len(set(kraken)) == len(kraken) == len(fills)
    lots = [heard.front.exchange.instruments[fill.instrument] for fill in fills]
    quantities = [
        float(each.lots_to_quantity(fill.lots)) for each, fill in zip(lots, fills, strict=True)
    ]
    assert [float(lots) for *_, lots in binance] == pytest.approx(quantities)
    assert [float(lots) for _, lots in kraken] == pytest.approx(quantities)
