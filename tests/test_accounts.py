"""Double entry: nothing comes from nowhere, and a one-sided entry is refused whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.money.accounts import AccountKind as Kind
from engine.money.accounts import Accounts, AccountsState, UnbalancedEntry

AMOUNTS = st.integers(-(10**15), 10**15)
PAIRS = st.tuples(
    st.sampled_from(Kind), st.sampled_from(Kind), st.sampled_from(("BTC", "USDT")), AMOUNTS
)
ENTRIES = st.tuples(st.integers(0, 1), st.integers(0, 2), st.lists(PAIRS, max_size=4))


@given(st.lists(ENTRIES, max_size=20))
def test_balances_are_the_sums_of_their_lines(
    entries: list[tuple[int, int, list[tuple[Kind, Kind, str, int]]]],
) -> None:
    """Each account is the sum of what was posted to it, and every asset is zero in all."""
    accounts = Accounts()
    expected: dict[tuple[int, int, str, int], int] = {}
    for venue, bot, pairs in entries:
        lines = []
        for into, out_of, asset, amount in pairs:
            lines += [(into, asset, amount), (out_of, asset, -amount)]
        accounts.post(venue, bot, lines)
        for kind, asset, amount in lines:
            key = (kind, venue, asset, bot)
            expected[key] = expected.get(key, 0) + amount
    for (kind, venue, asset, bot), amount in expected.items():
        assert accounts.balance(Kind(kind), venue, asset, bot) == amount
    assert not any(accounts.sums().values())
    for venue in (0, 1):
        for asset in ("BTC", "USDT"):
            parts = {
                kind: sum(
                    amount
                    for (of, at, name, _), amount in expected.items()
                    if (of, at, name) == (kind, venue, asset)
                )
                for kind in (Kind.HOLDING, Kind.DUST)
            }
            assert accounts.held(venue, asset) == sum(parts.values())
            assert accounts.dust(venue, asset) == parts[Kind.DUST]
    again = Accounts()
    again.restore(accounts.snapshot())
    assert again.snapshot() == accounts.snapshot()
    assert again.venues().items() >= {v: a for v, a in accounts.venues().items() if a}.items()


@pytest.mark.parametrize(
    "lines",
    [
        [(Kind.HOLDING, "BTC", 1)],
        [(Kind.HOLDING, "BTC", 1), (Kind.TRADING, "USDT", -1)],
        [(Kind.HOLDING, "BTC", 2), (Kind.TRADING, "BTC", -1)],
    ],
)
def test_a_one_sided_entry_is_refused_whole(lines: list[tuple[Kind, str, int]]) -> None:
    """Amounts of different assets never make up for each other, and nothing is booked."""
    accounts = Accounts()
    with pytest.raises(UnbalancedEntry, match=r"venue 3, bot 7: -?\d units of \w+ are over"):
        accounts.post(3, 7, lines)
    assert accounts.sums() == {}
    assert accounts.entries == 0


def test_a_snapshot_that_does_not_add_up_is_refused() -> None:
    """What was changed by other hands is not traded on."""
    with pytest.raises(UnbalancedEntry, match="5 units of BTC over"):
        Accounts().restore(AccountsState({(Kind.HOLDING, 0, "BTC", 1): 5}, 1))
