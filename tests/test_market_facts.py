"""What markets are measured by: laws that are known, a fit that finds what it was given, real captures."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
from typer.testing import CliRunner

from engine.__main__ import app
from engine.analytics.hawkes_fit import Events, fit
from engine.analytics.market_facts import (
    DISTANCES_BPS,
    Deeper,
    Takers,
    Tape,
    Tops,
    fano,
    measure,
    rows,
    signature,
    weighted_quantiles,
)
from engine.analytics.order_events import (
    FAR,
    MARKET,
    MOVE,
    NEAR_CANCEL,
    NEAR_LIMIT,
    events_of,
    joined_money,
)
from engine.analytics.simulated_market import depth_of, simulate
from engine.edges.capture import CaptureError
from engine.edges.flow import figure
from engine.edges.flow.bitstamp import Entry, OrderLog, read_bitstamp
from engine.edges.flow.captures import BookTicker, read_binance, takers_of
from engine.edges.flow.commands import RECORDED
from engine.exchange.flow_presets import PRESETS
from engine.exchange.hawkes import Hawkes

Floats = np.ndarray


def tops_of(middle: Floats, step_s: float) -> Tops:
    """Best prices a cent from a middle that changes evenly."""
    ones = np.ones(len(middle))
    return Tops(np.arange(len(middle)) * step_s, middle - 0.01, ones, middle + 0.01, ones)


def test_a_poisson_process_has_a_fano_factor_of_one() -> None:
    """And a process of pairs one of about two."""
    chance = np.random.default_rng(5)
    times = np.cumsum(chance.exponential(0.01, 100_000))
    assert fano(times, 1.0) == pytest.approx(1.0, abs=0.15)
    assert fano(np.sort(np.concatenate([times, times + 1e-6])), 1.0) == pytest.approx(2.0, abs=0.3)


def test_the_signature_of_a_random_walk_is_level_and_of_a_bounce_falls() -> None:
    """Realised volatility by interval tells noise from moves."""
    chance = np.random.default_rng(6)
    walk = 1000 + np.cumsum(chance.normal(0, 0.01, 200_000))
    level = [signature(tops_of(walk, 0.01), interval) for interval in (0.01, 0.1, 1.0)]
    assert level == pytest.approx([level[0]] * 3, rel=0.1)
    bounce = tops_of(walk + chance.choice([-0.1, 0.1], 200_000), 0.01)
    assert signature(bounce, 0.01) > 3 * signature(bounce, 1.0)


def test_quantiles_count_by_weight() -> None:
    """A value that was there for long counts for long."""
    found = weighted_quantiles(np.array([3.0, 1.0]), np.array([1.0, 9.0]), (0.5, 0.85, 0.95))
    assert found.tolist() == [1.0, 1.0, 3.0]


def test_depth_is_money_by_distance() -> None:
    """Levels within a distance of the middle, the mean of both sides."""
    found = depth_of([(9999, 10), (9950, 5)], [(10001, 30)], 0.1)
    within_1, within_20 = found[DISTANCES_BPS.index(1.0)], found[DISTANCES_BPS.index(20.0)]
    assert within_1 == pytest.approx((9999 + 3 * 10001) / 2)
    assert within_20 == within_1


def test_the_fit_finds_the_process_that_made_the_events() -> None:
    """Base rates, branching by cause and side, and the shares of the kernels."""
    same, opposite = [[0.5, 0.2], [0.1, 0.0]], [[0.0, 0.0], [0.3, 0.1]]
    shares, betas = [[0.7, 0.3], [0.2, 0.8]], (40.0, 2.0)
    branching = np.zeros((2, 4, 4))
    for k in (0, 1):
        for side in (0, 1):
            weight = np.array(shares)[:, k : k + 1]
            branching[k, side::2, side::2] = np.array(same) * weight
            branching[k, side::2, 1 - side :: 2] = np.array(opposite) * weight
    process, now_s = Hawkes([0.8, 0.8, 0.4, 0.4], branching, betas, Random(9)), 0.0
    made = []
    while len(made) < 40_000:
        gap_s, kind = process.next()
        now_s += gap_s
        made.append((now_s, kind // 2, kind % 2))
    times, kinds, sides = (np.array(each) for each in zip(*made, strict=True))
    found = fit(Events(times, kinds, sides), 2, betas)
    assert found.base == pytest.approx([0.8, 0.4], rel=0.15)
    assert found.same == pytest.approx(np.array(same), abs=0.06)
    assert found.opposite == pytest.approx(np.array(opposite), abs=0.06)
    assert found.weights == pytest.approx(np.array(shares), abs=0.1)


def test_events_are_read_out_of_best_prices_and_trades() -> None:
    """Larger and better is a limit order, smaller a cancel unless taken, a new middle a move."""
    tops = Tops(
        np.array([0.0, 1.0, 2.0, 3.0, 4.0]),
        np.array([100.0, 100.0, 100.0, 101.0, 101.0]),
        np.array([5.0, 7.0, 6.0, 1.0, 1.0]),
        np.array([102.0] * 5),
        np.array([9.0, 9.0, 9.0, 9.0, 4.0]),
    )
    takers = Takers(np.array([4.002]), np.array([0]), np.array([510.0]))
    deeper = Deeper(np.array([0.0, 2.5, 4.5]), np.array([0, 1, 0]))
    found = events_of(Tape(1.0, tops, takers, deeper, np.ones((1, 8))))
    told = list(zip(found.times_s, found.kinds, found.sides, strict=True))
    assert told == [
        (0.0, FAR, 0),
        (1.0, NEAR_LIMIT, 0),
        (2.0, NEAR_CANCEL, 0),
        (2.5, FAR, 1),
        (3.0, NEAR_LIMIT, 0),
        (3.0, MOVE, 0),
    ]
    assert MARKET not in found.kinds, "after the last top"
    assert sorted(joined_money(tops)) == [101.0, 200.0]


def test_fills_told_together_are_one_taker() -> None:
    """By time and side."""
    found = takers_of([(1.0, 1, 5.0), (1.0002, 1, 7.0), (1.0003, -1, 2.0), (2.0, -1, 1.0)])
    assert (found.sides.tolist(), found.money.tolist()) == ([0, 1, 1], [12.0, 2.0, 1.0])


def test_an_order_log_is_a_book() -> None:
    """Orders come, change and go; one whose end is told before its beginning never rests."""
    log = OrderLog()
    for at_s, (kind, order, side, price, amount) in enumerate(
        [
            ("order_created", 1, 0, "10.00", "2"),
            ("order_created", 2, 1, "10.05", "1"),
            ("order_changed", 1, 0, "10.00", "1.5"),
            ("order_deleted", 3, 1, "10.01", "0"),
            ("order_created", 3, 1, "10.01", "4"),
            ("order_created", 4, 1, "10.00", "1"),
            ("order_deleted", 1, 0, "10.00", "0"),
        ]
    ):
        log.take(float(at_s), kind, Entry(price, amount, order, side))
    log.take(8.0, "trade", Entry(10.0, 1.5))
    assert [top[1:] for top in log.tops] == pytest.approx(
        np.array([(10.0, 2.0, 10.05, 1.0), (10.0, 1.5, 10.05, 1.0)])
    )
    assert log.takers == [(8.0, 1, 15.0)]


# --- recorded markets -----------------------------------------------------------------------------


def test_binance_is_what_is_known_of_it(recorded: Path) -> None:
    """The facts of the capture that the preset `btc` was measured on."""
    facts = measure(read_binance(recorded / RECORDED["btc"]))
    known = dict(rows(facts))
    assert facts.one_tick == pytest.approx(0.993, abs=0.001)
    assert facts.tops_s == pytest.approx(81.06, abs=0.01)
    assert facts.events_s == pytest.approx(527.2, abs=0.5)
    assert known["volatility at 1 s, bps / root s"] == pytest.approx(1.304, abs=0.002)


def test_bitstamp_is_what_is_known_of_it(recorded: Path) -> None:
    """The facts of the order log that the preset `bitstamp` was measured on."""
    facts = measure(read_bitstamp(recorded / RECORDED["bitstamp"]))
    assert facts.spread_bps[0] == pytest.approx(6.77, abs=0.01)
    assert facts.events_s == pytest.approx(2.69, abs=0.01)


def test_the_model_is_near_the_market(recorded: Path) -> None:
    """A minute of the flow beside the capture: spread, depth, bursts, volatility."""
    real = measure(read_binance(recorded / RECORDED["btc"]))
    simulated = measure(simulate("hawkes", PRESETS["btc"], 60.0, 7))
    assert simulated.one_tick == pytest.approx(real.one_tick, abs=0.02)
    ratio = simulated.depth / real.depth
    assert ((ratio > 0.4) & (ratio < 2.5)).all()
    bursts = simulated.fano[:4] / real.fano[:4]
    assert ((bursts > 0.3) & (bursts < 3)).all()
    assert simulated.signature == pytest.approx(real.signature, rel=0.6)


def test_what_is_no_capture_is_said(tmp_path: Path) -> None:
    """A file of something else is an error with its name."""
    other = tmp_path / "other.xz"
    other.write_bytes(b"nothing")
    with pytest.raises(CaptureError, match=r"other\.xz"):
        read_bitstamp(other)
    assert BookTicker(1, "1", "1", "1", "1").u == 1


# --- the command ----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["hawkes", "santa-fe"])
def test_the_plot_is_drawn_without_data_too(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture and the table of the simulated market alone."""
    pytest.importorskip("matplotlib", reason="matplotlib, the extra `plot`, is not installed")
    monkeypatch.setenv("ORCHESTRATOR_DATA", str(tmp_path))
    out = tmp_path / "flow.png"
    options = ["flow", "plot", "--out", str(out), "--model", model, "--seconds", "20"]
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 0, done.output
    assert out.read_bytes().startswith(b"\x89PNG")
    assert "no recorded market here" in done.output
    assert "spread one tick, share of time" in done.output


def test_the_plot_stands_beside_the_recorded_market(recorded: Path, tmp_path: Path) -> None:
    """With data there are two columns."""
    pytest.importorskip("matplotlib", reason="matplotlib, the extra `plot`, is not installed")
    out = tmp_path / "flow.svg"
    options = ["flow", "plot", "--out", str(out), "--preset", "bitstamp", "--seconds", "2000"]
    done = CliRunner().invoke(app, options, env={"ORCHESTRATOR_DATA": str(recorded)})
    assert done.exit_code == 0, done.output
    assert "recorded   simulated" in done.output
    assert "recorded" in out.read_text()


def test_what_the_plot_cannot_do_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing matplotlib and a wrong preset: exit code 2, a line that says how to mend it."""
    out = ["flow", "plot", "--out", str(tmp_path / "flow.png")]
    done = CliRunner().invoke(app, [*out, "--preset", "doge"])
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert "btc, eth, bitstamp" in done.output
    monkeypatch.setattr(figure, "find_spec", lambda name: None)
    done = CliRunner().invoke(app, out)
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert "pip install 'crypto-orchestrator[plot]'" in done.output


def test_the_fit_prints_parameters(recorded: Path) -> None:
    """Those of the presets can be had again."""
    done = CliRunner().invoke(
        app, ["flow", "fit", "--preset", "bitstamp"], env={"ORCHESTRATOR_DATA": str(recorded)}
    )
    assert done.exit_code == 0, done.output
    assert "branching ratio 0.9" in done.output
