"""Limits that change at run time, targets, shares of equity, venues that are not reconciled."""

import msgspec
import pytest

from engine.messages import (
    SELL,
    BalanceUpdate,
    LimitChanged,
    Reason,
    Reconciled,
    Risk,
    Scope,
    SetLimit,
    Started,
)
from engine.risk import RiskGuard
from engine.risk_config import RiskConfig
from tests.guarded import (
    CONFIG,
    MARKET,
    MILLION,
    NAMED,
    bought,
    equity,
    guard,
    passes,
    raised,
    refusal,
    status,
)
from tests.streams import SECOND, intent, top

# --- limits at run time ---------------------------------------------------------------------------------


def change(made: RiskGuard, scope: Scope, subject: str, name: str, value: str) -> LimitChanged:
    """An operator changes a limit; what is said of it."""
    (said,) = made.on_message(SetLimit(0, 1, 0, scope, subject, name, value, "me"), SECOND)
    assert isinstance(said, LimitChanged)
    assert (said.who, said.text == "") == ("me", said.accepted)
    return said


def named() -> RiskGuard:
    """A guard that knows its bot's name."""
    made = RiskGuard(4, MARKET, CONFIG, NAMED)
    for number in range(3):
        made.on_message(top(number), SECOND)
    return made


def test_a_limit_changes_at_once_and_comes_back_to_the_configuration_s() -> None:
    """An asset's position, a bot's orders, a venue's exposure, a symbol's size, the global count."""
    made = named()
    assert change(made, Scope.ASSET, "BTC", "position_max", "0.005").value == "0.005"
    assert refusal(made, intent("a", lots=6)) == (Reason.POSITION, 500_000, 600_000)
    change(made, Scope.ASSET, "BTC", "position_max", "")
    passes(made, intent("a", lots=6))
    change(made, Scope.BOT, "arb", "orders_open_max", "1")
    assert refusal(made, intent("b", lots=1)) == (Reason.ORDERS_OPEN, 1, 1)
    change(made, Scope.BOT, "arb", "orders_open_max", "")
    change(made, Scope.BOT, "arb", "messages_per_second", "1")
    passes(made, intent("b", lots=1))
    assert refusal(made, intent("c", lots=1)) == (Reason.MESSAGE_RATE, 1, 2)
    change(made, Scope.BOT, "arb", "messages_per_second", "")
    change(made, Scope.VENUE, "venue0", "gross_max", "100")
    made.on_message(top(0, 1_000_000, 1_000_200), SECOND)
    assert refusal(made, intent("d", lots=4))[:2] == (Reason.VENUE_GROSS, 100 * 10**8)
    passes(made, intent("d", 1, lots=4))
    change(made, Scope.INSTRUMENT, "BTC/USDT", "order_notional_max", "50")
    assert refusal(made, intent("e", 2, lots=6))[:2] == (Reason.ORDER_NOTIONAL, 50 * 10**8)
    change(made, Scope.GLOBAL, "", "orders_open_max", "3")
    assert refusal(made, intent("f", 2, lots=5)) == (Reason.ORDERS_OPEN, 3, 3)


@pytest.mark.parametrize(
    ("scope", "subject", "name", "value", "why"),
    [
        (Scope.GLOBAL, "", "orders_max", "3", "global: there is no limit 'orders_max'"),
        (Scope.GLOBAL, "", "duplicates_kept", "3", "there is no limit"),
        (Scope.GLOBAL, "", "clusters", "3", "there is no limit"),
        (Scope.GLOBAL, "", "orders_open_max", "few", "Expected `int`"),
        (Scope.GLOBAL, "", "daily_loss.halt", "0.01", "is not above restricted"),
        (Scope.VENUE, "nowhere", "gross_max", "3", "no venue has this name"),
        (Scope.VENUE, "venue0", "net_max", "3", "unknown field `net_max`"),
        (Scope.ASSET, "DOGE", "position_max", "3", "no instrument has this base asset"),
        (Scope.ASSET, "BTC", "position_min", "3", "asset: there is no limit"),
        (Scope.BOT, "arb", "orders_open_max", "5", "above risk.orders_open_max = 4"),
        (Scope.BOT, "nobody", "orders_open_max", "2", "no bot has this name"),
        (Scope.INSTRUMENT, "BTC/USDT", "order_notional_max", "1001", "above risk.order_notional"),
        (Scope.INSTRUMENT, "BTC/EUR", "order_notional_max", "1", "no instrument has the symbol"),
        (Scope.ASSET, "BTC", "position_max", "-1", "Expected `str` matching"),
    ],
)
def test_a_limit_that_contradicts_is_refused_by_name(
    scope: Scope, subject: str, name: str, value: str, why: str
) -> None:
    """It is said why, and nothing changes."""
    made = named()
    said = change(made, scope, subject, name, value)
    assert not said.accepted
    assert why in said.text
    assert made.limits.config == CONFIG


def test_changes_survive_a_restart_and_those_that_no_longer_hold_are_said() -> None:
    """The file's global count became smaller than what an operator gave a bot."""
    made = named()
    change(made, Scope.BOT, "arb", "orders_open_max", "2")
    change(made, Scope.ASSET, "BTC", "position_max", "0.005")
    same = RiskGuard(4, MARKET, CONFIG, NAMED)
    same.restore(made.snapshot())
    assert same.snapshot() == made.snapshot()
    assert refusal(same, intent("a", lots=6))[:2] == (Reason.POSITION, 500_000)
    narrow = msgspec.structs.replace(CONFIG, orders_open_max=1)
    other = RiskGuard(4, MARKET, narrow, NAMED)
    other.restore(made.snapshot())
    said = [o for o in other.on_message(Started(0, 1, 0, 2), SECOND) if isinstance(o, LimitChanged)]
    assert [(o.scope, o.subject, o.name, o.accepted) for o in said] == [
        (Scope.BOT, "arb", "orders_open_max", False)
    ]
    assert refusal(other, intent("a", lots=6))[:2] == (Reason.POSITION, 500_000)


# --- targets and shares of equity -----------------------------------------------------------------------


def test_an_asset_without_a_limit_of_its_own_has_a_share_of_the_equity() -> None:
    """2 % of a million are 20,000: two coins at 10,000.50, less a little; before an equity none."""
    wide = RiskConfig(order_notional_max="100000", duplicate_window_s=0)
    made = guard(config=wide)
    assert refusal(made, intent("a", lots=1)) == (Reason.STALE_MARK, 1, 0)
    made.on_message(equity(MILLION), SECOND)
    limit, value = 20_000 * 10**8, 2_000_100 * 10**6
    assert refusal(made, intent("b", lots=2000)) == (Reason.EQUITY_SHARE, limit, value)
    passes(made, intent("c", lots=1999))


def test_a_declared_target_is_what_positions_are_counted_from() -> None:
    """Held 0.3 where 0.2 is wanted: selling 0.1 reduces. Counted once every venue has spoken."""
    config = msgspec.structs.replace(CONFIG, targets={"BTC": "0.2"})
    made = guard(config=config)
    for venue in range(3):
        assert made.kernel.position(0) == 0
        made.on_message(BalanceUpdate(5, 1, 0, venue, "BTC", 10_000_000), SECOND)
    assert made.kernel.position(0) == 10_000_000
    raised(Risk.RESTRICTED, made)
    passes(made, intent("a", side=SELL, lots=60))
    made.on_message(BalanceUpdate(5, 2, 0, 0, "BTC", 4_000_000), SECOND)
    assert made.kernel.position(0) == 4_000_000
    change(made, Scope.ASSET, "BTC", "target", "0.24")
    assert made.kernel.position(0) == 0


def test_a_venue_that_is_not_reconciled_takes_only_what_reduces() -> None:
    """Until a clean comparison; other venues trade on."""
    made = bought()
    made.on_message(Reconciled(1, 1, 0, 0, False, 1), SECOND)
    assert refusal(made, intent("a", lots=1)) == (Reason.NOT_RECONCILED, 1, 0)
    passes(made, intent("b", 1, lots=1))
    passes(made, intent("c", side=SELL, ticks=1_000_000, lots=50))
    made.on_message(status(0, reconciled=True), SECOND)
    passes(made, intent("d", ticks=999_900, lots=1))
