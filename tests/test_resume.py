"""A deployment over runs: who may start it, what it goes on with, and that nothing is named twice."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.config import Config, parse
from engine.edges.comparison import compare_accounts
from engine.edges.exchange_process import ExchangeProcess
from engine.edges.journal import HEADER, JournalLocked, read_inbox, read_journal, segments
from engine.edges.runs import NoRunError, OpenedRun, alive, resumes
from engine.edges.solo import SoloRun
from engine.messages import (
    Fill,
    GroupIntent,
    OrderIntent,
    OrderRequest,
    OrderState,
    Started,
    decode,
)
from engine.orders.lifecycle import FINAL
from ext.fold import Fold

TEXT = """
name = "again"
state_dir = "{state}"
[[venues]]
name = "alpha"
[[venues]]
name = "beta"
[[instruments]]
venue = "alpha"
symbol = "BTC/USDT"
tick_size = "0.01"
lot_size = "0.0001"
[[instruments]]
venue = "beta"
symbol = "BTC/USDT"
tick_size = "0.01"
lot_size = "0.0001"
[scanner]
profit_min_bps = 0.1
quantity_max = {{ BTC = "0.01" }}
[risk]
position_max = {{ BTC = "5" }}
[[bots]]
name = "arb"
cooldown_ms = 0
[api]
port = 0
[exchange]
events_per_second = 400
noise_bps = 20
prices = {{ "BTC/USDT" = "60000" }}
[exchange.balances.alpha]
BTC = "5"
USDT = "500000"
[exchange.balances.beta]
BTC = "5"
USDT = "500000"
"""
ACTORS = ("solo",)


def configured(folder: Path, **replaced: str) -> tuple[Config, str]:
    """The configuration above, its state in `folder`, with some of its text replaced."""
    text = TEXT.format(state=folder)
    for old, new in replaced.items():
        text = text.replace(old.replace("_", " "), new)
    return parse(text, "test"), text


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    """One simulated exchange that outlives the runs."""
    path = tmp_path / "exchange.toml"
    path.write_text(configured(tmp_path)[1])
    process = ExchangeProcess(path)
    process.wait_ready()
    yield process
    process.stop()


def trade(folder: Path, exchange: ExchangeProcess, resume: bool, fills: int) -> SoloRun:
    """Run until so many more fills were told; drained, stopped and closed."""
    config, text = configured(folder)
    solo = SoloRun(config, text, resume)
    solo.exchange = exchange
    counted: list[int] = []

    def look() -> None:
        counted.append(solo.ledger.trade_count)
        if counted[-1] >= counted[0] + fills:
            solo.directory.stop_wanted = True

    try:
        assert asyncio.run(solo.serve(60, look)), "it came to rest"
        assert solo.loop.error == ""
        assert counted[-1] >= counted[0] + fills
        assert compare_accounts(config, exchange.url, solo.ledger).holds
    finally:
        solo.exchange = None
        solo.close()
    return solo


def folds_to_the_same(solo: SoloRun, count: int) -> None:
    """What the journal's records leave behind is what the components came to, by another way."""
    fold = Fold()
    for path in segments(solo.folder / "solo", "journal"):
        fold.take(path.file("journal").read_bytes(), HEADER.size)
    venues = solo.loop.host.components[0].instruments.venues
    balances = {(venues[venue], asset): total for (venue, asset), total in fold.balances().items()}
    assert balances == solo.ledger.balances
    held = solo.ledger.positions
    assert {pair: row[0] for pair, row in fold.positions().items()} == {
        pair: position.quantity for pair, position in held.items()
    }
    orders = fold.orders()
    assert len(orders) == count
    assert all(OrderState(order[7]) in FINAL for order in orders.values()), "it came to rest"
    assert fold.fills == solo.ledger.trade_count


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, exchange: ExchangeProcess) -> None:
    """Three lives of one run: epochs rise, no order's name comes twice, the books stay the venue's."""
    first = trade(tmp_path, exchange, resume=False, fills=3)
    second = trade(tmp_path, exchange, resume=True, fills=3)
    third = trade(tmp_path, exchange, resume=True, fills=3)
    assert first.folder == second.folder == third.folder
    names: list[str] = []
    sent: list[str] = []
    trades: set[tuple[int, str]] = set()
    started: list[Started] = []
    for path in segments(first.folder / "solo"):
        for record in read_inbox(path):
            message = decode(record.data)
            if isinstance(message, Started):
                started.append(message)
        for record in read_journal(path):
            message = decode(record.data)
            if isinstance(message, OrderIntent):
                names.append(message.client_order_id)
            elif isinstance(message, GroupIntent):
                names += [leg.client_order_id for leg in message.legs]
            elif isinstance(message, OrderRequest) and message.raises_exposure:
                sent.append(message.client_order_id)
            elif isinstance(message, Fill):
                trades.add((message.venue, message.trade_id))
    assert [(m.epoch, m.resumed) for m in started] == [(1, False), (2, True), (3, True)]
    assert len(names) == len(set(names)) > 6
    assert len(sent) == len(set(sent)) > 6
    assert third.ledger.trade_count == len(trades)
    folds_to_the_same(third, len(names))


def test_a_second_start_is_refused_and_told_why(tmp_path: Path) -> None:
    """Also from another process; when the first is gone it may."""
    config, text = configured(tmp_path)
    opened = OpenedRun(config, text, ACTORS, resume=False)
    with pytest.raises(JournalLocked, match=rf"again.lock: held by process {os.getpid()} \(again"):
        OpenedRun(config, text, ACTORS, resume=False)
    path = tmp_path / "again.toml"
    path.write_text(text)
    command = [sys.executable, "-m", "engine", "run", str(path), "--runtime", "solo", "--for", "1s"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"held by process {os.getpid()}" in done.stderr
    opened.close()
    OpenedRun(config, text, ACTORS, resume=False).close()


def test_an_account_has_one_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its key, wherever the other one keeps its state and whatever it is called."""
    secret = os.urandom(8).hex()
    monkeypatch.setenv("SOME_KEY", secret)
    trading = 'name = "alpha"\n[venues.trading]\nkey_env = "SOME_KEY"'
    texts = [
        TEXT.format(state=tmp_path / name)
        .replace('name = "again"', f'name = "{name}"')
        .replace('name = "alpha"', trading, 1)
        for name in ("one", "two")
    ]
    first = OpenedRun(parse(texts[0], "test"), texts[0], ACTORS, resume=False)
    with pytest.raises(JournalLocked, match=r"held by process \d+ \(one\) of ") as refused:
        OpenedRun(parse(texts[1], "test"), texts[1], ACTORS, resume=False)
    assert secret not in str(refused.value)
    first.close()
    OpenedRun(parse(texts[1], "test"), texts[1], ACTORS, resume=False).close()


def test_what_cannot_be_resumed_is_named(tmp_path: Path) -> None:
    """No run, another grid, other bots, another runtime's actors."""
    config, text = configured(tmp_path)
    with pytest.raises(NoRunError, match="no run of again is known"):
        OpenedRun(config, text, ACTORS, resume=True)
    run = OpenedRun(config, text, ACTORS, resume=False)
    run.close()
    for change, what in (
        (('lot_size = "0.0001"', 'lot_size = "0.001"'), "instruments"),
        (('name = "arb"', 'name = "other"'), "bots"),
        (('name = "beta"', 'name = "gamma"'), "venues"),
    ):
        other = (
            text.replace(*change).replace('venue = "beta"', 'venue = "gamma"')
            if (what == "venues")
            else text.replace(*change)
        )
        other = other.replace("balances.beta", "balances.gamma") if what == "venues" else other
        with pytest.raises(NoRunError, match=f"the configuration's {what} are not those"):
            OpenedRun(parse(other, "test"), other, ACTORS, resume=True)
    (run.folder / "venue-alpha").mkdir()
    (run.folder / "venue-alpha" / "000001-000000.snapshot").touch()
    with pytest.raises(NoRunError, match="resume it in the runtime"):
        OpenedRun(config, text, ACTORS, resume=True)


def test_only_real_accounts_are_resumed_unasked(tmp_path: Path) -> None:
    """A simulated exchange is new each time, so its run is too."""
    config, text = configured(tmp_path)
    OpenedRun(config, text, ACTORS, resume=False).close()
    assert [resumes(config, wanted) for wanted in (None, True, False)] == [False, True, False]


HEADLESS = """
import ctypes, sys, threading
def stay():
    print("staying", flush=True)
    sys.stdin.read()
threading.Thread(target=stay).start()
ctypes.CDLL(None).syscall(60, 0)  # exit: of this thread alone
"""


def test_a_process_is_dead_when_its_last_thread_is(tmp_path: Path) -> None:
    """A first thread that ended looks like a zombie while others may still send and hold the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HEADLESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"staying\n"
    stat = Path(f"/proc/{process.pid}/stat")
    while stat.read_text().rpartition(")")[2].split()[0] != "Z":
        pass  # the first thread is on its way out
    assert alive(process.pid)
    process.kill()
    process.wait()
    assert not alive(process.pid)
