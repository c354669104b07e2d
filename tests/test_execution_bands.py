"""The prices that need not be looked at are those that would change nothing."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from engine.messages import BUY, SELL, OrderState, ParentKind, Trade, TriggerSource
from engine.parents.registry import Registry
from engine.parents.state import Child, Parent, Role
from engine.parents.triggers import band, observe, prices_of_top, prices_of_trade, watched
from tests.emulated import wish
from tests.streams import top

PRICES = st.integers(980, 1020)


@st.composite
def parents(draw: st.DrawFn) -> Parent:
    """A parent of any kind, on any side, with terms of any sense; a bracket may hold something."""
    terms = {name: draw(PRICES) for name in ("trigger", "limit", "stop")}
    kind, side = draw(st.sampled_from(ParentKind)), draw(st.sampled_from((BUY, SELL)))
    trail = draw(st.sampled_from(({"trail_ticks": 5}, {"trail_bps": 60})))
    if kind is ParentKind.TRAILING_STOP and draw(st.booleans()):
        terms["trigger"] = 0
    source = draw(st.sampled_from(TriggerSource))
    made = Parent(wish(kind, side, 10, source, **terms, **trail), 1, 0)  # type: ignore[arg-type]
    if draw(st.booleans()):
        made.made = 1
        made.children["c"] = Child(Role.ENTRY, side, 10, OrderState.PARTLY_FILLED, 3)
    return made


@given(parents(), st.lists(PRICES, max_size=30))
def test_within_its_band_nothing_changes(parent: Parent, path: list[int]) -> None:
    """On any way of prices, in half ticks too."""
    for price in path:
        low, high = band(parent)
        for half in (2 * price, 2 * price + 1):
            before = msgspec.msgpack.encode(parent)
            met = observe(parent, half)
            if low < half < high:
                assert not met
                assert msgspec.msgpack.encode(parent) == before
                continue
            low, high = band(parent)


@given(st.lists(parents(), max_size=5), PRICES, PRICES, st.booleans())
def test_what_is_calm_for_all_is_calm_for_each(
    several: list[Parent], bid: int, ask: int, empty: bool
) -> None:
    """The bands of an instrument are those of its parents, by the price that each watches."""
    registry = Registry()
    for number, parent in enumerate(several):
        parent.intent = msgspec.structs.replace(parent.intent, parent=f"p{number}")
        parent.number = number
        registry.add(parent)
    told = top(0, 0 if empty else bid, ask)
    for prices in (prices_of_top(told), prices_of_trade(Trade(1, 1, 1, 0, SELL, bid, 1, "t"))):
        calm = registry.calm(0).covers(prices)
        moved = [p for p in several if p.wants_price or observe(p, prices[watched(p)])]
        assert not (calm and moved)
        for parent in several:
            registry.changed(parent)
