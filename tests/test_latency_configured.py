"""Latency by configuration: what is wrong is named, and in a backtest every way takes what the model says."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.config import Config, ConfigError, parse
from engine.edges.backtesting import make_simulation
from engine.edges.distance import make_latency
from engine.edges.tape import read_tape_frames
from engine.latency_config import ConstantConfig, JitteredConfig
from engine.messages import Fill, Frame, OrderRequest, decode
from engine.venues.simulated import PUBLIC
from tests.test_backtest import DEMO, replayed, run, write_tape

MS = 1_000_000
SECONDS = 8
NO_NEAR = DEMO.replace("latency_ms = 2.0\n", "")
CONSTANT = '[exchange.latency]\nmodel = "constant"\nthere_ms = 7.5\nback_ms = 4\nfeed_ms = 2.25\n'
WAY = "{ median_ms = 3, sigma = 0.5, tail_share = 0.05, tail_ms = 20, cap_ms = 100 }"
JITTERED = "".join(
    [
        '[exchange.latency]\nmodel = "jittered"\n',
        *(f"{w} = {WAY}\n" for w in ("there", "back", "feed")),
    ]
)


def with_latency(table: str, text: str = NO_NEAR) -> Config:
    """The demo at another distance."""
    return parse(f"{text}\n{table}", "demo")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('model = "far"', "exchange.latency.model: Invalid value 'far'"),
        ("there_ms = 1", "exchange.latency: .*missing required field `model`"),
        ('model = "near"\nthere_ms = 1', "exchange.latency: .*unknown field `there_ms`"),
        ('model = "constant"\nthere_ms = 1\nback_ms = 1', "latency: .*missing .*`feed_ms`"),
        (
            'model = "constant"\nthere_ms = -1\nback_ms = 1\nfeed_ms = 1',
            "exchange.latency.there_ms: Expected `float` >= 0",
        ),
        (
            JITTERED.partition("\n")[2].replace("sigma = 0.5", "sigma = 11", 1),
            "exchange.latency.there.sigma: Expected `float` <= 10",
        ),
        ('model = "recorded"\npath = ""', "exchange.latency.path: Expected `str` of length >= 1"),
    ],
)
def test_what_is_wrong_is_named(table: str, says: str) -> None:
    """By its key."""
    with pytest.raises(ConfigError, match=says):
        with_latency(f"[exchange.latency]\n{table}")


def test_the_pages_examples_hold() -> None:
    """docs/exchange-server.md: a recorded market, and each latency model that it shows."""
    page = (Path(__file__).parent.parent / "docs" / "exchange-server.md").read_text()
    shown = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (market,) = (text for text in shown if "[[venues]]" in text)
    (constant,) = (text for text in shown if "[exchange.latency]" in text)
    config = parse(f'name = "x"\n{market}{constant}', "page")
    assert config.venues[0].kind == "replay"
    assert isinstance(config.exchange.latency, ConstantConfig)
    (way,) = re.findall(r"`({ median_ms.*?})`", page)
    ways = "".join(f"{name} = {way}\n" for name in ("there", "back", "feed"))
    jittered = with_latency(f'[exchange.latency]\nmodel = "jittered"\n{ways}').exchange.latency
    assert isinstance(jittered, JitteredConfig)


def test_the_near_models_parameter_is_no_other_models() -> None:
    """It would be silently without effect."""
    text = DEMO.replace("latency_ms = 2.0", "latency_ms = 5.0")
    assert parse(text, "demo").exchange.latency_ms == 5.0
    with pytest.raises(ConfigError, match=r"exchange.latency_ms: only the latency model 'near'"):
        with_latency(CONSTANT, text)


class Times:
    """A recorder that keeps when the engine sent and heard what."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, Frame]] = []
        self.sent: list[tuple[int, OrderRequest]] = []
        self.fills = 0

    def record(self, raw: bytes, now_ns: int) -> None:
        """See `engine.runtime.Recorder`."""
        message = decode(raw)
        if isinstance(message, Frame):
            self.heard.append((now_ns, message))

    def append(self, records: list[bytes], now_ns: int) -> None:
        """See `engine.runtime.Recorder`."""
        for message in map(decode, records):
            self.fills += isinstance(message, Fill)
            if isinstance(message, OrderRequest):
                self.sent.append((now_ns, message))


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds of the demo."""
    path = tmp_path_factory.mktemp("tape") / "tape.parquet"
    write_tape(path, SECONDS)
    return path


Make = Callable[[str], Config]


@pytest.fixture(params=["simulated", "replayed"])
def make(request: pytest.FixtureRequest, tape: Path) -> Make:
    """The demo at a distance, with its own markets or with those of a tape."""
    text = NO_NEAR if request.param == "simulated" else replayed(NO_NEAR, tape)
    return lambda table: with_latency(table, text)


def test_orders_answers_and_the_feed_take_their_time_exactly(make: Make, tape: Path) -> None:
    """Each order takes effect 7.5 ms after it is sent, and is heard of 4 ms after that, to the ns.

    What a tape recorded is heard 2.25 ms after it was.
    """
    config = make(CONSTANT)
    simulation, _, exchanges, begin_ns = make_simulation(config, lambda now_ns: None)
    times = simulation.host.recorder = Times()
    simulation.run(begin_ns, begin_ns + SECONDS * 10**9)
    created = {
        (exchange.venue, order.request.client_id): order.created_ns
        for exchange in exchanges.values()
        for order in exchange.audit().orders
    }
    first: dict[tuple[str, str], int] = {}
    for now_ns, frame in times.heard:
        told = json.loads(frame.payload)
        if told["type"] == "order":
            first.setdefault((config.venues[frame.venue].name, told["client_id"]), now_ns)
    requested = {}
    for now_ns, request in times.sent:
        asked = json.loads(request.payload)
        if asked["op"] == "order":
            requested[config.venues[request.venue].name, asked["client_id"]] = now_ns
    assert len(created) > 10
    assert times.fills > 5
    for key, at_ns in created.items():
        assert at_ns == requested[key] + 7_500_000
        assert first[key] == at_ns + 4 * MS
    if config.venues[0].kind == "replay":
        recorded = [
            frame.at_ns + 2_250_000
            for frame in read_tape_frames(tape, "alpha")
            if frame.payload.startswith(PUBLIC)
        ]
        public = [n for n, f in times.heard if not f.venue and f.payload.startswith(PUBLIC)]
        assert public == [ns for ns in recorded if ns <= begin_ns + SECONDS * 10**9]


def test_chance_comes_from_the_seed(make: Make) -> None:
    """The same seed gives the same run to the byte; another distance another run."""
    once = run(make(JITTERED), SECONDS)
    assert run(make(JITTERED), SECONDS) == once
    assert run(make(CONSTANT), SECONDS) != once
    one, same, other = (
        make_latency(make(JITTERED), venue, 0) for venue in ("alpha", "alpha", "beta")
    )
    draws = [[model.way_there(0) for _ in range(20)] for model in (one, same, other)]
    assert draws[0] == draws[1] != draws[2]


def test_a_recorded_one_is_read_from_its_capture(tmp_path: Path) -> None:
    """From the exchange's begin on; the quickest frame has the floor, orders their multiples."""
    path = tmp_path / "btcusdt.gz"
    frames = [(0, 5), (500, 7), (1000, 2), (2000, 12)]  # sent and on the way, ms; the clock is off
    with gzip.open(path, "wt") as file:
        for sent_ms, way_ms in frames:
            event_ms = 1_700_000_000_000 + sent_ms
            file.write(f'{(event_ms + way_ms - 900) * MS} {{"E":{event_ms}}}\n')
    table = f'[exchange.latency]\nmodel = "recorded"\npath = "{path}"\nfloor_ms = 1\nback = 0.5'
    model = make_latency(with_latency(table), "alpha", 10**18)
    seconds = [10**18 + n * 10**9 for n in range(3)]
    assert [model.feed(ns) for ns in seconds] == [6 * MS, 1 * MS, 11 * MS]
    assert [model.way_there(ns) for ns in seconds] == [6 * MS, 1 * MS, 11 * MS]
    assert [model.way_back(ns) for ns in seconds] == [3 * MS, 500_000, 5_500_000]
    with gzip.open(path, "wt") as file:
        file.write("1 {}\n")
    with pytest.raises(ConfigError, match=r"exchange.latency.path: no frame of .* tells when"):
        make_latency(with_latency(table), "alpha", 0)
    path.write_bytes(b"nonsense")
    with pytest.raises(ConfigError, match=r"exchange.latency.path: .* not a capture"):
        make_latency(with_latency(table), "alpha", 0)
