"""exchange_server: an order to its acknowledgement over loopback, 50 clients, the clients a process of their own.

Once at a pace of 3,000 orders a second, each counted from when it was due (so that one slow answer
counts for all that had to wait behind it), and once as fast as each client is answered. Orders rest
below the market, on a book that also moves by itself. At the end the exchange's own audit has to hold
every order that was sent.

ORCHESTRATOR_SECONDS sets how long each measurement takes: 5 by default.
"""

import hashlib
import hmac
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.exchange_clients import Speech, Tally, cpu_s, load, masked
from benchmarks.report import Report, arguments, percentiles
from engine.exchange.accounts import credentials

CLIENTS = 50
ACCOUNTS = 10
"""A client's: on Binance none may have more than 200 orders open."""
RATE = 3_000.0
LATENCY_BAR_MS = 1.0
ROUNDS = 3
VENUE = "alpha"
NAME = "bench"
HEAD = f"""
name = "{NAME}"
seed = 7
[[venues]]
name = "{VENUE}"
[[instruments]]
venue = "{VENUE}"
symbol = "BTC/USDT"
tick_size = "0.01"
lot_size = "0.00001"
notional_min = "5"
maker_fee = "0.0001"
taker_fee = "0.0002"
[exchange]
events_per_second = 20
latency_ms = 0
limits = false
prices = {{ "BTC/USDT" = "60000" }}
[exchange.balances.{VENUE}]
BTC = "1000"
USDT = "100000000"
[[exchange.accounts]]
name = "main"
"""


def config() -> str:
    """One venue, one market, the clients' accounts."""
    return HEAD + "".join(
        f'[[exchange.accounts]]\nname = "client-{number}"\n' for number in range(CLIENTS * ACCOUNTS)
    )


def price(client: int, number: int) -> str:
    """Below the market, and not everybody's the same."""
    return f"{50_000 + (client * 7 + number) % 500}.00"


def simulated() -> Speech:
    """The project's own protocol."""

    def hello(client: int) -> list[bytes]:
        return [masked(b'{"op":"login","account":"client-%d"}' % (client * ACCOUNTS))]

    def order(client: int, number: int) -> tuple[bytes, bytes]:
        name = f"{client}-{number}"
        text = (
            f'{{"op":"order","client_id":"{name}","symbol":"BTC/USDT","side":"buy",'
            f'"price":"{price(client, number)}","qty":"0.00100","tif":"gtc"}}'
        )
        return masked(text.encode()), f'"client_id":"{name}"'.encode()

    return Speech(f"/{VENUE}", True, hello, order, b'"rejected"')


def keys(client: int, number: int) -> tuple[str, Callable[[str], str]]:
    """The Binance key of one of a client's accounts, and how it signs."""
    key, secret = credentials(NAME, f"client-{client * ACCOUNTS + number % ACCOUNTS}")
    return key, lambda text: hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


def parameters(client: int, number: int) -> dict[str, str]:
    """Binance's words for an order; stamped when it is made, which is before the clock starts."""
    return {
        "newClientOrderId": f"{client}-{number}",
        "price": price(client, number),
        "quantity": "0.00100",
        "recvWindow": "60000",
        "side": "BUY",
        "symbol": "BTCUSDT",
        "timeInForce": "GTC",
        "timestamp": str(time.time_ns() // 1_000_000),
        "type": "LIMIT",
    }


def binance_socket() -> Speech:
    """Binance's WebSocket API; its limits of requests are lifted."""

    def order(client: int, number: int) -> tuple[bytes, bytes]:
        key, sign = keys(client, number)
        said = {"apiKey": key, **parameters(client, number)}
        said["signature"] = sign("&".join(f"{name}={value}" for name, value in said.items()))
        name = f"{client}-{number}"
        request = {"id": name, "method": "order.place", "params": said}
        return masked(json.dumps(request).encode()), f'"id":"{name}"'.encode()

    return Speech(f"/{VENUE}/binance/ws-api/v3", True, lambda client: (), order, b'"error"')


def binance_rest() -> Speech:
    """Binance's REST, one connection a client that is kept open."""

    def order(client: int, number: int) -> tuple[bytes, bytes]:
        key, sign = keys(client, number)
        text = urlencode(parameters(client, number))
        head = (
            f"POST /{VENUE}/binance/api/v3/order HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"X-MBX-APIKEY: {key}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        )
        body = f"{text}&signature={sign(text)}"
        return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode(), b"HTTP/1.1"

    return Speech(f"/{VENUE}/binance", False, lambda client: (), order, b'"code"')


SPEECHES: dict[str, Callable[[], Speech]] = {
    "simulated": simulated,
    "binance_socket": binance_socket,
    "binance_rest": binance_rest,
}


@contextmanager
def served() -> Iterator[tuple[int, int]]:
    """The exchange in a process of its own: its port and process id."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_text(config())
        process = subprocess.Popen(
            [sys.executable, "-m", "engine", "exchange", str(path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            yield int(line.rpartition(":")[2]), process.pid
        finally:
            process.terminate()
            process.wait(10)


def orders_held(port: int) -> int:
    """How many orders the exchange has had, by its own audit; it must have no complaint."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/admin/{VENUE}/audit") as answer:
        audit = json.load(answer)
    assert audit["problems"] == [], audit["problems"]
    return int(audit["order_count"])


def measure(speech: str, rate: float, seconds: float) -> tuple[Tally, int, float]:
    """One load on a fresh exchange: what came of it, orders not in its audit, CPU of the server."""
    with served() as (port, pid):
        before = cpu_s(pid)
        tally = load(port, speech, CLIENTS, rate, seconds)
        used = cpu_s(pid) - before
        return tally, tally.sent - tally.refused - orders_held(port), used


def report_wire(report: Report, speech: str, seconds: float) -> None:
    """Both loads of one wire; of each the best of three rounds, since the machine is not ours alone."""
    paced = [measure(speech, RATE, seconds) for _ in range(ROUNDS)]
    best, _, used = min(paced, key=lambda each: percentiles(each[0].latencies)["p50"])
    found = percentiles([s * 1e3 for s in best.latencies], 50, 90, 99, 99.9)
    each_us = 1e6 * used / max(1, best.sent)
    load_text = (
        f"{best.sent} orders at {RATE:,.0f}/s, {CLIENTS} clients; p50 of the best of {ROUNDS}"
    )
    report.figure(
        f"exchange_server.{speech}.latency", found["p50"], "ms", bar=LATENCY_BAR_MS, spread=found,
        load=f"{load_text}; the server's CPU {each_us:.0f} us an order",
    )  # fmt: skip
    full = [measure(speech, 0.0, seconds) for _ in range(ROUNDS)]
    rates = sorted(len(tally.latencies) / tally.seconds for tally, _, _ in full)
    report.figure(
        f"exchange_server.{speech}.throughput", rates[-1], "orders/s", bar=RATE, better="higher",
        spread={"min": rates[0], "median": rates[len(rates) // 2], "max": rates[-1]},
        load=f"{CLIENTS} clients, each one order at a time; the best of {ROUNDS}",
    )  # fmt: skip
    lost = sum(abs(tally.lost) + abs(missing) for tally, missing, _ in paced + full)
    refused = sum(tally.refused for tally, _, _ in paced + full)
    if refused:
        example = next(tally.example for tally, _, _ in paced + full if tally.refused)
        report.note(f"refused: {example[:300].decode(errors='replace')}")
    report.figure(
        f"exchange_server.{speech}.lost", lost + refused, "orders", bar=0,
        load=f"of {sum(tally.sent for tally, _, _ in paced + full)}: not answered, not in the audit, "
        "or refused",
    )  # fmt: skip


def main() -> None:
    """Print the figures."""
    report = Report(as_json=arguments(__doc__.partition("\n")[0]).json)
    report.machine()
    seconds = float(os.environ.get("ORCHESTRATOR_SECONDS", "5"))
    for speech in SPEECHES:
        report_wire(report, speech, seconds)


if __name__ == "__main__":
    main()
