"""Order flows: chance by seed only, both sides alive, bounded, and the laws that they are named after."""

import pickle
from random import Random

import numpy as np
import pytest

from engine.exchange.actions import CANCEL, MARKET, NOTHING, Action, OrderFlow, Sizes, round_lots
from engine.exchange.fair_price import FairPrice, FairSettings, Regime, VenuePrice, mean_variance
from engine.exchange.flow import MODELS, make_flow
from engine.exchange.flow_presets import PRESETS
from engine.exchange.hawkes import Hawkes, mean_rates
from engine.exchange.hawkes_flow import KINDS
from engine.exchange.santa_fe import SantaFeSettings, expected_spread
from engine.instruments import Instrument
from engine.messages import BUY, SELL
from ext.matching import CONTINUOUS, HALTED, LIMIT, MatchingBook

SECOND = 1_000_000_000
PRICE = 60_000.0
INSTRUMENT = Instrument(0, 0, "BTC/USDT", "BTC", "USDT", "0.01", "0.00001", 8, 8, notional_min="10")


def fair_of(seed: int = 7, symbol: str = "BTC/USDT", begin_ns: int = 0) -> FairPrice:
    """A fair price with the settings of the only preset."""
    return FairPrice(seed, symbol, PRICE, PRESETS["btc"].fair, begin_ns)


def flow_of(
    model: str, seed: int = 7, venue: str = "alpha", rate: float = 500.0, noise_bps: float = 0.0
) -> OrderFlow:
    """A flow that begins at 0."""
    return make_flow(
        model,
        INSTRUMENT,
        fair_of(seed),
        seed=seed,
        venue=venue,
        rate=rate,
        lag_ns=20_000_000,
        noise_bps=noise_bps,
        begin_ns=0,
    )


def played(flow: OrderFlow, events: int) -> list[tuple[int, Action]]:
    """The first events on a new book: when, and what."""
    book = MatchingBook()
    flow.open(book)
    return [(flow.next_ns, flow.act(book)) for _ in range(events)]


# --- the fair price -------------------------------------------------------------------------------


def test_the_fair_price_hangs_on_the_seed_and_not_on_who_asks_when() -> None:
    """Often, seldom, late or twice: each time has one price; another seed or symbol has another."""
    often, seldom = fair_of(), fair_of()
    known = {at: often.at(at) for at in range(0, 60 * SECOND, 3_000_000)}
    chance = Random(3)
    for at in sorted(chance.sample(sorted(known), 300)):
        assert seldom.at(at) == known[at]
        assert seldom.at(max(0, at - 150_000_000)) == known[max(0, at - 150_000_000)]
    last = max(known)
    assert fair_of().at(last) == known[last]
    assert fair_of(seed=8).at(last) != known[last]
    assert fair_of(symbol="ETH/USDT").at(last) != known[last]


def test_venues_see_the_same_price_late_and_off_by_their_own_offset() -> None:
    """Without noise a venue sees what was fair a lag ago; with it, about `noise_bps` off."""
    fair, lag = fair_of(), 80_000_000
    exact = VenuePrice(fair_of(), 7, "alpha", "BTC/USDT", lag, 0.0, 0)
    noisy = VenuePrice(fair_of(), 7, "beta", "BTC/USDT", lag, 5.0, 0)
    offsets = []
    for at in range(SECOND, 2000 * SECOND, SECOND // 2):
        assert exact.at(at) == fair.at(at - lag)
        offsets.append((noisy.at(at) / fair.at(at - lag) - 1) * 10_000)
    assert np.std(offsets) == pytest.approx(5.0, rel=0.15)
    assert abs(np.mean(offsets)) < 1.0
    near = np.corrcoef(offsets[:-1], offsets[1:])[0, 1]
    assert near == pytest.approx(np.exp(-0.5 / 1.5), abs=0.1), "it reverts within seconds"


def test_the_fair_price_has_the_volatility_it_was_told() -> None:
    """Regimes and jumps together have `volatility_bps`; both leave tails that a normal has not."""
    quick = tuple(Regime(*each[:2], each.seconds / 20) for each in FairSettings().regimes)
    settings = FairSettings(2.0, 0.2, 1200.0, (quick[0], quick[1], quick[2]))
    fair = FairPrice(5, "X", 100.0, settings, 0)
    seen = set()
    logs = []
    for at in range(0, 5000 * SECOND, SECOND // 2):
        logs.append(np.log(fair.at(at)))
        seen.add(fair.regime)
    returns = np.diff(logs) * 10_000
    assert np.sqrt(np.mean(returns**2) * 2) == pytest.approx(2.0, rel=0.15)
    assert seen == {"calm", "normal", "wild"}
    assert np.mean((returns / returns.std()) ** 4) > 4, "a normal has 3"
    calm = FairSettings(2.0, 0.0, 0.0, (Regime("a", 1, 1), Regime("b", 1, 1), Regime("c", 1, 1)))
    assert mean_variance(calm) == pytest.approx(1.0)


# --- sizes ----------------------------------------------------------------------------------------


def test_sizes_are_log_normal_in_money_and_round_at_times() -> None:
    """The median is kept, and as many as were asked for are 1, 2 or 5 with zeros."""
    chance = Random(1)
    plain = [Sizes(1000.0, 1.0, 0.0).lots(chance, 0.1) for _ in range(4000)]
    assert np.median(plain) == pytest.approx(10_000, rel=0.1)
    assert np.log(plain).std() == pytest.approx(1.0, rel=0.1)
    rounded = [Sizes(1000.0, 1.0, 0.5).lots(chance, 0.1) for _ in range(4000)]
    share = np.mean([str(each).rstrip("0") in {"1", "2", "5"} for each in rounded])
    assert share == pytest.approx(0.5, abs=0.05)
    assert [round_lots(each) for each in (0.2, 1.3, 3, 4, 8, 70, 150)] == [1, 1, 2, 5, 10, 50, 200]


# --- the Hawkes process ---------------------------------------------------------------------------

BASE = [1.0, 3.0]
BRANCHING = [[[0.3, 0.1], [0.0, 0.2]], [[0.2, 0.0], [0.3, 0.1]]]
BETAS = [50.0, 2.0]


def test_a_hawkes_process_has_the_rates_of_theory() -> None:
    """Over a long run the events of each type come at (1 - n)**-1 mu a second."""
    process = Hawkes(BASE, BRANCHING, BETAS, Random(4))
    now_s, counts = 0.0, [0, 0]
    while now_s < 10_000:
        gap_s, kind = process.next()
        now_s += gap_s
        counts[kind] += 1
    expected = mean_rates(BASE, np.sum(BRANCHING, axis=0))
    assert counts == pytest.approx((expected * now_s).tolist(), rel=0.05)


def test_a_process_that_would_explode_is_refused() -> None:
    """A branching ratio of one or more has no mean rate."""
    with pytest.raises(ValueError, match="branching ratio"):
        Hawkes([1.0], [[[1.01]]], [1.0], Random(1))


@pytest.mark.parametrize("name", PRESETS)
def test_presets_stand_still_on_average(name: str) -> None:
    """Each preset's events call forth fewer than themselves."""
    arrivals = PRESETS[name].hawkes.arrivals
    assert 0 < arrivals.ratio() < 1
    assert (arrivals.rates() > 0).all()
    assert [sum(each) for each in arrivals.weights] == pytest.approx([1.0] * KINDS, abs=0.011)


def fano(times_s: list[float], window_s: float) -> float:
    """The variance of counts over their mean: 1 for a Poisson process."""
    counts = np.bincount((np.asarray(times_s) / window_s).astype(int))[:-1]
    return float(counts.var() / counts.mean())


def test_hawkes_arrivals_cluster_and_poisson_ones_do_not() -> None:
    """Counts in a tenth of a second vary with the bursts of one model and only by chance in the other."""
    spread = {
        model: fano([at / 1e9 for at, _ in played(flow_of(model), 20_000)], 0.1) for model in MODELS
    }
    assert spread["santa-fe"] == pytest.approx(1.0, abs=0.3)
    assert spread["hawkes"] > 2.5


# --- both flows -----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_the_same_seed_does_the_same(model: str) -> None:
    """Actions and their times hang on seed and venue."""
    once = played(flow_of(model), 3000)
    assert played(flow_of(model), 3000) == once
    assert played(flow_of(model, seed=8), 3000) != once
    assert played(flow_of(model, venue="beta"), 3000) != once
    assert [at for at, _ in once] == sorted(at for at, _ in once)


@pytest.mark.parametrize("model", MODELS)
def test_both_sides_live_and_orders_are_bounded(model: str) -> None:
    """A hundred thousand events: never an empty or crossed book, never more orders than allowed."""
    flow, book = flow_of(model, noise_bps=2.0), MatchingBook()
    flow.open(book)
    kinds = set()
    for _ in range(100_000):
        kinds.add(flow.act(book).kind)
        bid, ask = book.best(BUY)[0], book.best(SELL)[0]
        assert 0 < bid < ask
        assert len(book) <= flow.orders_max + 6
        assert flow.resting <= flow.orders_max + 6
    assert kinds >= {LIMIT, MARKET, CANCEL}
    assert len(book) > flow.orders / 2


@pytest.mark.parametrize("model", MODELS)
def test_a_flow_can_be_kept_and_goes_on_the_same(model: str) -> None:
    """All state is in the flow and the book: both copied, they do the same from there on."""
    flow, book = flow_of(model, noise_bps=2.0), MatchingBook()
    flow.open(book)
    for _ in range(500):
        flow.act(book)
    kept, copy = MatchingBook.restore(book.snapshot()), pickle.loads(pickle.dumps(flow))
    assert [copy.act(kept) for _ in range(500)] == [flow.act(book) for _ in range(500)]


def test_a_slow_market_has_fewer_and_larger_orders() -> None:
    """At a tenth of the rate the depth is that of the preset, in fewer orders."""
    depths, numbers = [], []
    for rate in (525.0, 52.5):
        flow, book = flow_of("hawkes", rate=rate), MatchingBook()
        flow.open(book)
        depths.append(sum(lots for side in (BUY, SELL) for _, lots in book.levels(side)))
        numbers.append(len(book))
    assert numbers[1] < numbers[0] / 4
    assert depths[1] == pytest.approx(depths[0], rel=0.5)


@pytest.mark.parametrize("model", MODELS)
def test_the_rate_is_what_was_asked_for(model: str) -> None:
    """Events a second over many minutes."""
    events = 40_000
    times = [at for at, _ in played(flow_of(model, rate=100.0), events)]
    assert events / (times[-1] / 1e9) == pytest.approx(100.0, rel=0.1)


@pytest.mark.parametrize("model", MODELS)
def test_a_swept_side_is_filled_at_once(model: str) -> None:
    """Somebody takes all asks: the next event, or `tend`, puts new ones there."""
    flow, book = flow_of(model), MatchingBook()
    flow.open(book)
    for heal in (lambda: flow.tend(book), lambda: flow.act(book)):
        book.submit(BUY, 1, 1 << 30, 1 << 29, 9, 2)
        assert not book.best(SELL)[0]
        heal()
        assert book.best(SELL)[0] > book.best(BUY)[0]


@pytest.mark.parametrize("model", MODELS)
def test_orders_are_worth_the_least_that_the_instrument_takes(model: str) -> None:
    """No order is below the notional that the exchange refuses."""
    least = INSTRUMENT.notional_min_units
    for _, action in played(flow_of(model), 5000):
        if action.lots:
            assert action.ticks * action.lots * INSTRUMENT.quote_units_per_tick_lot >= least


@pytest.mark.parametrize("model", MODELS)
def test_after_a_pause_it_goes_on_from_now(model: str) -> None:
    """Events of the hours in between do not come."""
    flow, book = flow_of(model), MatchingBook()
    flow.open(book)
    flow.skip_to(3600 * SECOND)
    assert 3600 * SECOND < flow.next_ns < 3601 * SECOND
    flow.act(book)
    assert book.best(BUY)[0] < book.best(SELL)[0]


@pytest.mark.parametrize("model", MODELS)
def test_while_the_book_is_halted_nothing_is_done(model: str) -> None:
    """Nobody trades, cancels or fills sides; then it goes on."""
    flow, book = flow_of(model), MatchingBook()
    flow.open(book)
    book.set_phase(HALTED)
    before = book.levels(BUY), book.levels(SELL), flow.next_ns
    assert {flow.act(book).kind for _ in range(100)} == {NOTHING}
    assert (book.levels(BUY), book.levels(SELL)) == before[:2]
    assert flow.next_ns > before[2]
    book.set_phase(CONTINUOUS)
    assert {flow.act(book).kind for _ in range(100)} >= {LIMIT, CANCEL}


@pytest.mark.parametrize("model", MODELS)
def test_the_book_follows_the_fair_price(model: str) -> None:
    """The middle of the book is within a few basis points of what is fair."""
    flow, book, fair = flow_of(model), MatchingBook(), fair_of()
    flow.open(book)
    away = []
    for _ in range(20_000):
        at = flow.next_ns
        flow.act(book)
        middle = (book.best(BUY)[0] + book.best(SELL)[0]) / 2 * 0.01
        away.append((middle / fair.at(at) - 1) * 10_000)
    assert np.std(away) < 3.0
    assert abs(np.mean(away)) < 2.0


def test_models_and_presets_are_known_by_name() -> None:
    """A wrong name says which are right."""
    with pytest.raises(ValueError, match="santa-fe, hawkes"):
        flow_of("brownian")
    with pytest.raises(ValueError, match="btc"):
        make_flow(
            "hawkes",
            INSTRUMENT,
            fair_of(),
            seed=1,
            venue="alpha",
            rate=1.0,
            lag_ns=0,
            noise_bps=0.0,
            begin_ns=0,
            preset="doge",
        )


def test_zero_intelligence_has_the_spread_and_depth_of_theory() -> None:
    """The pure model, one size, no pull: spread and depth are near what its authors derive."""
    lot_value = PRICE * INSTRUMENT.lot
    pure = SantaFeSettings(0.3, 300, 8.0, 0.0, Sizes(100 * lot_value, 0.0, 0.0))
    preset = PRESETS["btc"]._replace(rate=400.0, santa_fe=pure)
    rate = 400.0
    flow = make_flow(
        "santa-fe",
        INSTRUMENT,
        FairPrice(1, "X", PRICE, FairSettings(0.0, 0.0, 0.0), 0),
        seed=1,
        venue="alpha",
        rate=rate,
        lag_ns=0,
        noise_bps=0.0,
        begin_ns=0,
        preset=preset,
    )
    book = MatchingBook()
    flow.open(book)
    spreads, resting = [], []
    for count in range(40_000):
        flow.act(book)
        if count > 5000:
            spreads.append(book.best(SELL)[0] - book.best(BUY)[0])
            resting.append(len(book))
    band = PRICE * 8.0 / 10_000 / INSTRUMENT.tick
    # Their rates are those of one side's limit orders, and of market orders of both sides halved.
    theory = expected_spread(
        rate / 4 * 0.3 * 100, rate / 4 * 100 / band, pure.cancel_rate(rate), 100
    )
    assert 0.6 < np.mean(spreads) / theory < 1.7
    assert np.mean(resting) == pytest.approx(300, rel=0.2)
