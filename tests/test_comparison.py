"""The ending comparison of balances: by whatever asset either side knows of, fees' third assets too."""

from engine.edges.comparison import Account, Comparison, compare_balances


def test_every_asset_of_either_side_is_compared() -> None:
    """What only the ledger has, such as a fee that the exchange never took, is a difference."""
    ours = {("a", "USDT"): 5, ("a", "BNB"): -3, ("a", "BTC"): 0, ("b", "USDT"): 9}
    accounts = compare_balances("a", {"USDT": 5, "ETH": 7}, ours)
    assert set(accounts) == {
        Account("a", "USDT", 5, 5),
        Account("a", "ETH", 0, 7),
        Account("a", "BNB", -3, 0),
        Account("a", "BTC", 0, 0),
    }
    found = Comparison(tuple(accounts), 1, 0, 0, 1, 1)
    assert not found.holds
    assert found.lines() == [
        "a BNB: the ledger has -3, the exchange 0 units",
        "a ETH: the ledger has 0, the exchange 7 units",
    ]


def test_equal_sides_hold() -> None:
    """An asset at zero on one side and unknown on the other is equal."""
    accounts = compare_balances("a", {"USDT": 5}, {("a", "USDT"): 5, ("a", "BTC"): 0})
    assert Comparison(tuple(accounts), 1, 0, 0, 1, 1).holds
