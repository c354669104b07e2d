"""The guesses of a queue position: their formulas, what they may never do, and how wrong they are."""

from collections import defaultdict
from math import inf, log
from random import Random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.exchange.queue_models import (
    NOT_SEEN,
    ExactPlace,
    GuessedPlace,
    Log,
    Pessimistic,
    Power,
    QueueModel,
    queue_model,
)
from engine.exchange.replayed import ReplayedMarket
from engine.messages import BUY, SELL
from ext.matching import LIMIT
from tests.l3_market import OURS, Publisher, TinyMarket

LOTS = st.floats(0, 1e12)
MODELS = [Pessimistic(), Power(1), Power(2), Power(3.5), Log()]


@pytest.mark.parametrize(
    ("model", "ahead", "behind", "share"),
    [
        (Pessimistic(), 5, 0, 0.0),
        (Power(1), 30, 10, 30 / 40),
        (Power(2), 30, 10, 900 / 1000),
        (Power(3), 10, 30, 1000 / 28000),
        (Log(), 30, 10, log(31) / (log(31) + log(11))),
        (Power(400), 1e9, 1e8, 1.0),
        (Power(400), 1e8, 1e9, 0.0),
    ],
)
def test_a_share_is_what_its_formula_says(
    model: QueueModel, ahead: float, behind: float, share: float
) -> None:
    """Worked out by hand; a great power of a great number does not overflow."""
    assert model.share(ahead, behind) == pytest.approx(share)


@pytest.mark.parametrize("model", MODELS[1:], ids=lambda model: f"{model.name}")
@given(LOTS, LOTS)
def test_a_share_is_a_probability(model: QueueModel, ahead: float, behind: float) -> None:
    """From 0 for the first in the queue to 1 for the last, and more the more are ahead."""
    share = model.share(ahead, behind)
    assert 0 <= share <= 1
    assert model.share(0, behind) == 0
    assert model.share(ahead + 1, 0) == 1
    assert model.share(ahead * 2 + 1, behind) >= share


def test_models_are_chosen_by_name() -> None:
    """Four names; anything else is an error that lists them."""
    names = [model.name for name in ("pessimistic", "power", "log") if (model := queue_model(name))]
    assert names == ["pessimistic", "power", "log"]
    assert queue_model("exact") is None
    with pytest.raises(
        ValueError, match="no queue model 'fifo'; there are pessimistic, power, log"
    ):
        queue_model("fifo")
    for power in (0.0, -1.0, inf):
        with pytest.raises(ValueError, match="above 0"):
            queue_model("power", power)


def trade(place: GuessedPlace, lots: int, now_ns: int = 0) -> int:
    """A trade that nobody else of ours had a part in."""
    return place.traded(lots, 0.0, now_ns)[0]


def test_a_trade_serves_those_ahead_first() -> None:
    """10 ahead: 4 trade, 6 are left; 9 trade, 3 are for us."""
    place = GuessedPlace(Power(1), 10, 0)
    assert (trade(place, 4), place.ahead) == (0, 6)
    assert (trade(place, 9), place.ahead) == (3, 0)


@pytest.mark.parametrize(
    ("model", "ahead"),
    [(Pessimistic(), 30), (Power(1), 27), (Power(2), 26.4), (Log(), 27.64468)],
)
def test_a_loss_without_a_trade_is_shared(model: QueueModel, ahead: float) -> None:
    """30 ahead and 10 behind, and 4 leave."""
    place = GuessedPlace(model, 30, 0)
    place.shown(40, 0)
    place.shown(36, 0)
    assert place.ahead == pytest.approx(ahead)


def test_no_more_can_leave_than_is_there() -> None:
    """10 ahead, 1 behind: of 6 that leave 5 were ahead; all 11 that leave are not 10.99 of ours."""
    place = GuessedPlace(Pessimistic(), 10, 0)
    place.shown(11, 0)
    place.shown(5, 0)
    assert place.ahead == 5
    place = GuessedPlace(Power(3), 10, 0)
    place.shown(11, 0)
    place.shown(0, 0)
    assert place.ahead == 0


@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{model.name}")
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 5)), max_size=20), st.randoms())
def test_a_trade_and_its_level_count_once(
    model: QueueModel, moves: list[tuple[bool, int]], random: Random
) -> None:
    """However trades and the levels they made are told, the queue ends where it would be if each
    trade came just before its level.
    """
    straight, other = GuessedPlace(model, 100, 10), GuessedPlace(model, 100, 10)
    for place in (straight, other):
        place.shown(150, 0)
    level, held = 150, []
    traded = [lots for is_trade, lots in moves if is_trade]
    for lots in traded:
        level -= lots
        trade(straight, lots)
        straight.shown(level, 0)
        held.append(("level", level))
    trades = [("trade", lots) for lots in traded]
    while held or trades:  # any merge of the two that keeps the order of each
        kind, lots = (held if held and (not trades or random.random() < 0.5) else trades).pop(0)
        if kind == "level":
            other.shown(lots, 0)
        else:
            trade(other, lots)
    assert other.ahead == pytest.approx(straight.ahead)
    assert other.behind == pytest.approx(straight.behind)


def test_what_is_not_explained_in_time_is_another_matter() -> None:
    """A loss is a cancel when no trade explains it within the skew; the trade after is new."""
    early, late = GuessedPlace(Power(1), 10, 100), GuessedPlace(Power(1), 10, 100)
    for place in (early, late):
        place.shown(8, 0)
        assert place.ahead == 8
    assert (trade(early, 2, 100), early.ahead) == (0, 8), "the loss was this trade"
    assert (trade(late, 2, 101), late.ahead) == (0, 6), "the loss was two lots that left"
    late.shown(6, 110)
    assert late.ahead == 6


def test_many_unexplained_parts_are_kept_few() -> None:
    """However many come within the skew, so many are kept, and none is lost."""
    place = GuessedPlace(Power(1), 10_000, 1_000)
    for number in range(500):
        trade(place, 1, number)
    place.shown(9_500, 500)
    assert place.ahead == 9_500


def test_an_unseen_level_has_everybody_ahead() -> None:
    """Nothing fills an order whose level was never seen; when it is, all of it is ahead."""
    place = GuessedPlace(Log(), NOT_SEEN, 0)
    assert (trade(place, 1_000_000), place.ahead) == (0, inf)
    place.shown(7, 0)
    assert place.ahead == 7
    place.unseen()
    assert trade(place, 3) == 0
    place.shown(9, 0)
    assert place.ahead == 4, "what came while it was unseen is behind"
    place.unseen()
    place.shown(2, 0)
    assert place.ahead == 2


def test_an_exact_place_knows_who_is_ahead() -> None:
    """By name: those who were there; part of an order and all of it; nobody else counts."""
    place = ExactPlace({1: 5, 2: 3})
    place.joined(9)
    place.left(1, 2)
    place.left(7, 4)
    assert (place.ahead, place.behind) == (6, 5)
    assert place.traded(4, 0.0, 0)[0] == 0
    place.left(1, 3)
    place.left(2, 3)
    assert place.traded(4, 0.0, 0)[0] == 4


CANCELLERS = {
    "anybody": lambda random, queue: random.randrange(len(queue)),
    "the last": lambda random, queue: (
        len(queue) - 1 - min(int(random.expovariate(1)), len(queue) - 1)
    ),
}


def one_queue(seed: int, cancels: str, markets: dict[str, ReplayedMarket]) -> dict[str, float]:
    """A queue with our order in it until it is filled: by how many steps each model was late."""
    random = Random(seed)
    truth = TinyMarket()
    publishers = [Publisher(truth, market, "trades first") for market in markets.values()]
    number = 0

    def join() -> None:
        nonlocal number
        number += 1
        truth.add(number, BUY, 100, random.randint(1, 20))
        for publisher in publishers:
            publisher.changed(BUY, 100)

    for _ in range(random.randint(2, 12)):
        join()
    for market in markets.values():
        market.submit(BUY, LIMIT, 100, 5)
    truth.add(OURS, BUY, 100, 5)
    filled_at: dict[str, int] = {}
    counts: dict[str, int] = defaultdict(int)
    step = 0
    while len(filled_at) <= len(markets):
        step += 1
        for market in markets.values():
            market.advance(step)
        what = random.random()
        queue = [w for w in truth.queues.get((BUY, 100), []) if w.number > OURS]
        if what < 0.3 or not queue:
            join()
        elif what < 0.65:
            truth.cancel(queue[CANCELLERS[cancels](random, queue)].number, 99)
            for publisher in publishers:
                publisher.changed(BUY, 100)
        else:
            hits = truth.take(SELL, 100, random.randint(1, 12))
            for publisher in publishers:
                publisher.traded(hits)
        if truth.fills[OURS] == 5:
            filled_at.setdefault("truth", step)
        for name, market in markets.items():
            counts[name] += sum(report.lots for report in market.reports() if report.other)
            if counts[name] == 5:
                filled_at.setdefault(name, step)
    return {name: filled_at[name] - filled_at["truth"] for name in markets}


@pytest.mark.parametrize("cancels", CANCELLERS)
def test_guesses_are_nearer_to_the_truth_than_pessimism(cancels: str) -> None:
    """Over many queues: how late a model's fill is, in steps, and how far off either way."""
    models = {"pessimistic": ("pessimistic", 1.0), "log": ("log", 1.0)}
    models |= {f"power {n}": ("power", float(n)) for n in (1, 2, 3)}
    late: dict[str, list[float]] = defaultdict(list)
    for seed in range(400):
        markets = {
            name: ReplayedMarket(queue, power=power, skew_ns=0)
            for name, (queue, power) in models.items()
        }
        for name, steps in one_queue(seed, cancels, markets).items():
            late[name].append(steps)
    print(f"\nwho cancels: {cancels}; steps late, and off either way")
    for name, steps in late.items():
        print(f"{name:12} {fmean(steps):6.2f} {fmean(map(abs, steps)):6.2f}")
    assert min(late["pessimistic"]) >= 0, "never early"
    off = {name: fmean(map(abs, steps)) for name, steps in late.items()}
    if cancels == "anybody":
        assert all(off[name] < off["pessimistic"] for name in off if name != "pessimistic")
        assert abs(fmean(late["power 1"])) < 0.25 * fmean(late["pessimistic"])
