"""Backtest and solo: one tape, one seed, the same orders; and a run is a function of its inputs."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.config import Config, parse
from engine.edges.backtesting import BEGIN_NS, make_simulation, paced
from engine.edges.tape import SCHEMA, TapeError, read_tape_frames
from engine.messages import (
    Fill,
    Frame,
    OrderCommand,
    OrderEvent,
    OrderIntent,
    OrderRefused,
    PnL,
    decode,
    encode,
)

DEMO = (Path(__file__).parent.parent / "configs" / "demo.toml").read_text()
ORDERS = (OrderIntent, OrderCommand, OrderRefused, OrderEvent, Fill, PnL)


def run(config: Config, seconds: float, speed: float = 0.0) -> list[bytes]:
    """All orders, their fates and the money of a run, encoded."""
    simulation, recorder, _, begin_ns = make_simulation(config, lambda now_ns: None)
    if speed:
        simulation, recorder, _, begin_ns = make_simulation(config, paced(begin_ns, speed))
    simulation.run(begin_ns, begin_ns + int(seconds * 1e9))
    return [data for data in recorder.durable if isinstance(decode(data), ORDERS)]


def write_tape(path: Path, seconds: float) -> None:
    """A tape of the simulated venues' frames, in the recorder's format."""
    config = parse(DEMO, "demo")
    simulation, _, _, begin_ns = make_simulation(config, lambda now_ns: None)
    rows: list[dict[str, object]] = []

    class Recorder:
        """Keeps the frames of every venue."""

        def record(self, raw: bytes, now_ns: int) -> None:
            message = decode(raw)
            if isinstance(message, Frame):
                actor = f"venue-{config.venues[message.venue].name}"
                place = {"epoch": 1, "part": 0, "place": len(rows), "now_ns": now_ns}
                rows.append({"actor": actor, "type": "Frame", "message": encode(message), **place})

        def append(self, records: list[bytes], now_ns: int) -> None:
            assert records

    simulation.host.recorder = Recorder()
    simulation.run(begin_ns, begin_ns + int(seconds * 1e9))
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)


def replayed(text: str, path: Path) -> str:
    """The demo with the venues of a tape in place of its own."""
    for name in ("alpha", "beta", "gamma"):
        text = text.replace(
            f'[[venues]]\nname = "{name}"',
            f'[[venues]]\nname = "{name}"\nkind = "replay"\npath = "{path}"\nspeed = 0.0',
        )
    return text


@pytest.fixture(scope="module")
def tape_config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The demo's venues replayed from a tape, traded on it."""
    path = tmp_path_factory.mktemp("tape") / "tape.parquet"
    write_tape(path, 12)
    return parse(replayed(DEMO, path), "tape")


def test_same_tape_same_seed_same_orders_in_backtest_and_solo(tape_config: Config) -> None:
    """Paced by the real clock, eight times as fast, every order is the backtest's, byte for byte."""
    backtest = run(tape_config, 12)
    solo = run(tape_config, 12, speed=8.0)
    assert solo == backtest
    kinds = {type(decode(data)) for data in backtest}
    assert {OrderIntent, OrderCommand, OrderEvent, Fill} <= kinds, "the tape was traded on"


def test_a_seed_decides_everything() -> None:
    """The same seed gives the same run to the byte; another seed another market."""
    config = parse(DEMO, "demo")
    once = run(config, 10)
    assert run(config, 10) == once
    other = parse(DEMO.replace("seed = 7", "seed = 8"), "demo")
    assert run(other, 10) != once


def test_the_ledger_equals_the_exchanges_accounts() -> None:
    """After a minute of trading every balance is equal, to the unit, and no order is open."""
    config = parse(DEMO, "demo")
    simulation, recorder, exchanges, begin_ns = make_simulation(config, lambda now_ns: None)
    simulation.run(begin_ns, begin_ns + 60 * 10**9)
    ledger = next(c for c in simulation.host.components if c.kind == "ledger")
    for exchange in exchanges.values():
        audit = exchange.audit()
        for _, asset, units, _ in audit.balances:
            assert ledger.balances[exchange.venue, asset] == units
        assert audit.problems == ()
    assert sum(c.open_work() for c in simulation.host.components) == 0
    assert sum(isinstance(decode(d), Fill) for d in recorder.durable) > 100
    assert begin_ns == BEGIN_NS


def test_what_is_no_tape_is_named(tmp_path: Path) -> None:
    """A file of another kind, or a table of other columns, is refused by name."""
    path = tmp_path / "other.parquet"
    path.write_bytes(b"nonsense")
    with pytest.raises(TapeError, match="not a tape"):
        list(read_tape_frames(path, "alpha"))
    pq.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(TapeError, match="its columns are"):
        list(read_tape_frames(path, "alpha"))
