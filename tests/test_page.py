"""The statistics page: what is written is read, percentiles are right to an eighth."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext.page import PAGE_BYTES, SENDERS_MAX, STAGES_MAX, Page, bucket_top_ns


@given(st.lists(st.integers(0, 10**11), min_size=1, max_size=200))
def test_percentiles_are_right_to_an_eighth(values: list[int]) -> None:
    """Never below the true percentile, and above it by an eighth or 255 ns at most."""
    page = Page(bytearray(PAGE_BYTES))
    for value in values:
        page.record(0, value)
    ordered = sorted(values)
    for quantile in (0.01, 0.5, 0.9, 0.99, 1.0):
        place = max(0, -(-int(quantile * 10_000 * len(values)) // 10_000) - 1)
        true = ordered[place]
        (found,) = page.percentiles(0, quantile)
        assert true <= found <= max(true * 9 // 8 + 1, 255)
    assert page.count(0) == len(values)


def test_buckets_grow() -> None:
    """Every bucket holds more than the one before."""
    tops = [bucket_top_ns(bucket) for bucket in range(255)]
    assert tops == sorted(set(tops))


def test_format_clears_and_owns() -> None:
    """A fresh page has its owner and nothing else."""
    memory = bytearray(b"\xff" * PAGE_BYTES)
    page = Page(memory)
    assert not page.valid
    page.format(42, 3, 1000)
    assert (page.valid, page.pid, page.epoch, page.started_ns) == (True, 42, 3, 1000)
    assert page.get(0) == page.count(0) == page.acknowledged(5) == 0
    page.add(7, 3)
    page.add(7, -1)
    page.acknowledge(5, 99)
    other = Page(memory)
    assert (other.get(7), other.acknowledged(5)) == (2, 99)


def test_refuses_what_is_outside() -> None:
    """A number beyond the layout is an error, not somebody else's word."""
    page = Page(bytearray(PAGE_BYTES))
    for call in (
        lambda: page.add(64, 1),
        lambda: page.acknowledge(SENDERS_MAX, 1),
        lambda: page.record(STAGES_MAX, 1),
        lambda: page.acknowledged(-1),
    ):
        with pytest.raises(IndexError):
            call()
    with pytest.raises(ValueError, match="a page has"):
        Page(bytearray(100))
