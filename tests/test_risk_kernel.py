"""The risk kernel and its slow twin: the same verdict, rule, limit and value after any story."""

import numpy as np
import pytest
from hypothesis import settings

from engine.messages import Reason
from ext.risk import LEGS, NO_LIMIT, REASONS, WISH, Leg, RiskKernel, content_of, key_of
from tests.risk_story import Story, storm

TestStory = Story.TestCase
TestStory.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)


def test_rules_bear_the_vocabulary_s_numbers() -> None:
    """A kernel imports nothing, so its numbers are held to the messages' here."""
    assert {name: Reason[name] for name in REASONS} == REASONS


@pytest.mark.parametrize("seed", range(4))
def test_storms_agree_with_the_twin(seed: int) -> None:
    """A thousand steps near the limits."""
    storm(seed, 1000)


def test_every_rule_refuses_in_some_storm() -> None:
    """Each rule that an order can break is broken, so the agreement above covers it."""
    reached: set[int] = set()
    for seed in range(8):
        reached |= storm(100 + seed, 700)[1]
    story = Story()
    story.begin()
    for wrong in ((9, 1, 1), (0, 1, 70_000)):
        number, side, bot = wrong
        leg = ("n", bot, 1, 1, 0, number, side, 1000, 5, 2_000_000, 0, "")
        assert story.kernel.order(*leg[:11], 1_000_000) == -1
        reached.add(story.kernel.reason)
    assert set(REASONS.values()) - reached == {REASONS["GROUP"]}  # that is said of a group's others


def test_restored_kernels_go_on_the_same() -> None:
    """A kernel of the same limits that restores a storm's snapshot decides as the first does."""
    story, _ = storm(7, 800)
    data = story.kernel.snapshot()
    fresh = Story()
    fresh.begin()
    fresh.kernel.restore(data)
    assert fresh.kernel.snapshot() == data
    assert fresh.kernel.exposures()[:3] == story.kernel.exposures()[:3]
    with pytest.raises(ValueError, match="not a risk kernel's snapshot"):
        fresh.kernel.restore(data[:-8])
    with pytest.raises(ValueError, match="it begins with"):
        RiskKernel(1, 1, 1).restore(data)


def test_rows_are_checked_as_single_orders_are() -> None:
    """`check_rows` reserves nothing and counts what would pass."""
    story = Story()
    story.begin()
    rows = np.zeros(3, dtype=np.dtype(WISH))
    rows["name"], rows["content"] = [key_of("a"), key_of("b"), key_of("c")], [1, 2, 3]
    rows["ticks"], rows["lots"], rows["expires_ns"] = 1002, [5, 0, 6], 2_000_000
    rows["bot"], rows["side"] = 1, 1
    assert story.kernel.check_rows(rows, 1_000_000) == 2
    assert len(story.kernel) == 0
    with pytest.raises(ValueError, match="rows of"):
        story.kernel.check_rows(b"123", 0)


def test_names_and_contents_have_keys_of_their_own() -> None:
    """A key is a function of every part; the newest so many are remembered."""
    parts = (1, 2, 3, 4, 1, 1000, 5)
    keys = {content_of(*parts), content_of(*parts, "parent")}
    for place in range(len(parts)):
        keys.add(content_of(*(value + (place == at) for at, value in enumerate(parts))))
    assert len(keys) == len(parts) + 2
    kernel = RiskKernel(1, 2, 1, remembered=3)
    kernel.set_instrument(0, 0, 0, 1, 1, 1, 1, 100, 1, 10_000, 0)
    kernel.limit_instrument(0, NO_LIMIT, 10_000, NO_LIMIT)
    kernel.top(0, 2, 100, 102, 0)
    for number in range(50):
        place = kernel.order(f"n{number}", 1, number, 0, 0, 0, 1, 100, 1, 10, 0, 5)
        kernel.end(place)
        assert [kernel.knows(f"n{n}") for n in range(number + 1)][-3:] == [True] * min(
            3, number + 1
        )
        assert not kernel.knows(f"n{number - 3}")
    legs: list[Leg] = [(f"g{n}", 1, n, 0, 0, 0, 1, 100, 1, 10, 0, "") for n in range(LEGS + 1)]
    assert kernel.group(legs, 5) == ()
    assert kernel.reason == REASONS["GROUP"]
