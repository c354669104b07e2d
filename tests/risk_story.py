"""Stories for the risk kernel: limits, tops, balances, fills, orders and groups on it and its twin.

`Story` is a state machine for Hypothesis; `storm` drives the same by a seed, mostly orders near the limits.
"""

from fractions import Fraction
from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ext.risk import FLATTENING, GUARD, HEDGE, NO_LIMIT, OWED, Leg, RiskKernel
from tests.twins.risk import RiskTwin
from tests.twins.risk_words import Market, Party

VENUES, ASSETS, CLUSTERS = 2, 4, 2
CURRENCY = 3
# Bases of 2 and 4 units a lot, so that every mark and worth is exact in binary.
GRIDS = [
    (venue, base, CURRENCY, 2 << base, 1 + venue, (1, 60), (1, 1500), 1500, base != 2)
    for venue in range(VENUES)
    for base in range(3)
]
SIDES = st.sampled_from((1, 1, 1, -1, -1, -1, 0))
FEW = st.integers(0, 40)
BOTS = st.integers(1, 3)
LIMITS = st.sampled_from((NO_LIMIT, NO_LIMIT, 300, 1000, 3000))
COUNTS = st.sampled_from((2**31 - 1, 2**31 - 1, 2, 4, 8))
PACES = st.sampled_from(((0, 1), (0, 1), (100, 2), (1000, 3)))
FLAGS = st.sampled_from((0, 0, 0, 0, FLATTENING, HEDGE, HEDGE | OWED, FLATTENING | GUARD))
NUMBERS = st.integers(0, len(GRIDS) - 1)


class Story(RuleBasedStateMachine):
    """Limits, tops, balances, fills, orders and groups on both; each check must agree."""

    @initialize()
    def begin(self) -> None:
        """The same markets, limits wide open but for sizes."""
        self.now_ns = 1_000_000
        self.count = 0
        self.last: Leg | None = None
        self.pairs: list[tuple[int, int]] = []
        self.kernel = RiskKernel(len(GRIDS), ASSETS, VENUES, CLUSTERS, remembered=4096)
        self.twin = RiskTwin(len(GRIDS), ASSETS, VENUES, CLUSTERS)
        for number, grid in enumerate(GRIDS):
            venue, base, quote, units, quote_units, lots, ticks, least, checks = grid
            self.kernel.set_instrument(
                number, venue, base, quote, units, quote_units, *lots, *ticks, least, checks
            )
            self.twin.markets[number] = Market(*grid)
            self.bound_instrument(number, 200_000, 500, 5000, 2**31 - 1)
        self.kernel.mark(CURRENCY, 1.0)
        self.twin.asset[CURRENCY].mark = Fraction(1)
        for number in range(len(GRIDS)):
            self.price(number, 2, 1000, 4)

    @rule(number=NUMBERS, notional=st.sampled_from((200_000, 8000)), bps=st.integers(1, 500),
          stale_ns=st.integers(0, 5000), orders=COUNTS)  # fmt: skip
    def bound_instrument(
        self, number: int, notional: int, bps: int, stale_ns: int, orders: int
    ) -> None:
        """An instrument's own limits."""
        self.kernel.limit_instrument(number, notional, bps, stale_ns, orders)
        market = self.twin.markets[number]
        market.notional_max, market.distance_bps = notional, bps
        market.stale_ns, market.orders_max = stale_ns, orders

    @rule(number=st.integers(0, 2), most=LIMITS, shares=st.booleans(), cluster=st.integers(-1, 1))
    def bound_asset(self, number: int, most: int, shares: bool, cluster: int) -> None:
        """An asset's limits and its cluster."""
        self.kernel.limit_asset(number, most, shares, cluster)
        asset = self.twin.asset[number]
        asset.position_max, asset.shares, asset.cluster = most, shares, cluster

    @rule(number=st.integers(0, 1), gross=LIMITS, orders=COUNTS, pace=PACES)
    def bound_venue(self, number: int, gross: int, orders: int, pace: tuple[int, int]) -> None:
        """A venue's limits; its bucket stays as full as it is."""
        gross = gross if gross == NO_LIMIT else gross * 100
        self.kernel.limit_venue(number, gross, orders, *pace)
        self._party(self.twin.venue[number], gross, orders, pace)

    @rule(number=BOTS, notional=LIMITS, orders=COUNTS, pace=PACES)
    def bound_bot(self, number: int, notional: int, orders: int, pace: tuple[int, int]) -> None:
        """A bot's limits."""
        notional = notional if notional == NO_LIMIT else notional * 50
        self.kernel.limit_bot(number, notional, orders, *pace)
        self._party(self.twin.bot.setdefault(number, Party()), notional, orders, pace)

    def _party(self, party: Party, amount: int, orders: int, pace: tuple[int, int]) -> None:
        party.amount_max, party.orders_max = amount, orders
        party.interval_ns, party.burst = pace

    @rule(orders=COUNTS, gross=LIMITS, net=LIMITS, window_ns=st.sampled_from((0, 1000, 10**6)),
          cluster=LIMITS, share=st.sampled_from((-1, 10_000, 200_000)))  # fmt: skip
    def bound_all(
        self, orders: int, gross: int, net: int, window_ns: int, cluster: int, share: int
    ) -> None:
        """What holds for everything."""
        gross, net, cluster = (x if x == NO_LIMIT else x * 100 for x in (gross, net, cluster))
        self.kernel.limit_all(orders, gross, net, window_ns)
        self.kernel.limit_cluster(0, cluster)
        self.kernel.limit_share(share)
        twin = self.twin
        twin.orders_max, twin.gross_max, twin.net_max, twin.window_ns = (
            orders,
            gross,
            net,
            window_ns,
        )
        twin.cluster_max[0], twin.share_max = cluster, share

    @rule(level=st.sampled_from((1, 1, 1, 2, 3, 4, 5)), killed=st.sampled_from((False, False, True)),
          draining=st.sampled_from((False, False, False, True)))  # fmt: skip
    def level(self, level: int, killed: bool, draining: bool) -> None:
        """What is allowed at all."""
        for one in (self.kernel, self.twin):
            one.level, one.killed, one.draining = level, killed, draining

    @rule(wait_ns=st.integers(0, 3000))
    def wait(self, wait_ns: int) -> None:
        """Time passes."""
        self.now_ns += wait_ns

    @rule(number=NUMBERS, state=st.sampled_from((2, 2, 2, 2, 3)), bid=st.integers(900, 1100),
          spread=st.sampled_from((0, 4, 8)))  # fmt: skip
    def price(self, number: int, state: int, bid: int, spread: int) -> None:
        """A market's best prices, an even spread so that the mid is whole."""
        for one in (self.kernel, self.twin):
            one.top(number, state, bid, bid + spread, self.now_ns)

    @rule(venue=st.integers(0, 1), asset=st.integers(0, 3), total=st.integers(0, 400_000))
    def balance(self, venue: int, asset: int, total: int) -> None:
        """The ledger says what a venue holds."""
        total = total if asset == CURRENCY else total // 500
        self.kernel.hold(venue, asset, total)
        self.twin.hold(venue, asset, total)

    @rule(venue=st.integers(0, 1), clean=st.booleans())
    def reconcile(self, venue: int, clean: bool) -> None:
        """A venue was compared with."""
        self.kernel.reconciled(venue, clean)
        self.twin.venue[venue].reconciled = clean

    @rule(asset=st.integers(0, 2), units=st.integers(-200, 200))
    def transfer(self, asset: int, units: int) -> None:
        """A deviation moves without a trade."""
        self.kernel.move(asset, units)
        self.twin.asset[asset].position += units

    def _leg(
        self, number: int, side: int, away: int, lots: int, bot: int, flags: int, repeat: int
    ) -> Leg:
        """An order near the market; sometimes a name or a content that came before."""
        self.count += 1
        if repeat == 3 and self.last is not None:
            return (str(self.count), *self.last[1:])
        name = str(max(1, self.count - repeat)) if repeat < 3 else str(self.count)
        ends = self.now_ns + 100 - 101 * (repeat == 4)
        ticks, venue = 1002 + away, GRIDS[number][0]
        leg = (name, bot, 1, self.count, venue, number, side, ticks, lots, ends, flags, "")
        self.last = leg
        return leg

    @rule(number=NUMBERS, side=SIDES, away=st.integers(-60, 60), lots=FEW, bot=BOTS, flags=FLAGS,
          repeat=st.integers(0, 30))  # fmt: skip
    def order(
        self, number: int, side: int, away: int, lots: int, bot: int, flags: int, repeat: int
    ) -> None:
        """One order, checked and reserved by both."""
        leg = self._leg(number, side, away, lots, bot, flags, repeat)
        *first, flags, parent = leg
        place = self.kernel.order(*first, flags, self.now_ns, parent)
        twin_place = self.twin.take(leg, self.now_ns)
        assert (place < 0) == (twin_place < 0), (leg, self.twin.refused, self._refused())
        if place < 0:
            assert self._refused() == self.twin.refused
        else:
            self.pairs.append((place, twin_place))

    def _refused(self) -> tuple[int, int, int]:
        return self.kernel.reason, self.kernel.limit, self.kernel.value

    @rule(legs=st.lists(st.tuples(NUMBERS, SIDES, st.integers(-40, 40), FEW, BOTS, FLAGS,
                                  st.integers(0, 30)), min_size=1, max_size=4))  # fmt: skip
    def group(self, legs: list[tuple[int, int, int, int, int, int, int]]) -> None:
        """All legs or none, and none leaves a trace."""
        wishes = [self._leg(*leg) for leg in legs]
        places = self.kernel.group(wishes, self.now_ns)
        twin_places = self.twin.group(wishes, self.now_ns)
        assert bool(places) == bool(twin_places), (wishes, self.twin.refused, self._refused())
        if places:
            self.pairs += zip(places, twin_places, strict=True)
        else:
            assert (self._refused(), self.kernel.leg) == (self.twin.refused, self.twin.leg)

    @precondition(lambda self: self.pairs)
    @rule(which=st.integers(0, 1000), lots=FEW, fee=st.integers(0, 3), fee_asset=st.integers(-1, 3),
          doubt=st.booleans())  # fmt: skip
    def fill(self, which: int, lots: int, fee: int, fee_asset: int, doubt: bool) -> None:
        """Some of an order fills, and it may be in doubt from then on."""
        place, twin_place = self.pairs[which % len(self.pairs)]
        order = self.twin.orders[twin_place]
        lots = min(lots, order.lots)
        for one in (self.kernel, self.twin):
            one.trade(order.instrument, order.side, order.ticks, lots, fee_asset, fee)
        self.kernel.fill(place, lots)
        self.kernel.doubt(place, doubt)
        order.lots -= lots
        order.unknown = doubt

    @precondition(lambda self: self.pairs)
    @rule(which=st.integers(0, 1000))
    def end(self, which: int) -> None:
        """An order is final."""
        place, twin_place = self.pairs.pop(which % len(self.pairs))
        self.kernel.end(place)
        del self.twin.orders[twin_place]

    @rule(bot=BOTS, venue=st.integers(0, 1))
    def cancel(self, bot: int, venue: int) -> None:
        """A cancel uses up the pace."""
        self.kernel.sent(bot, venue, self.now_ns)
        self.twin.sent(bot, venue, self.now_ns)

    @rule(number=NUMBERS)
    def regrid(self, number: int) -> None:
        """An instrument loaded again loses its market and keeps what is in flight."""
        venue, base, quote, units, quote_units, lots, ticks, least, checks = GRIDS[number]
        self.kernel.set_instrument(
            number, venue, base, quote, units, quote_units, *lots, *ticks, least, checks
        )
        self.twin.markets[number].top = (0, 0, 0, self.twin.markets[number].top[3])

    @rule()
    def restore(self) -> None:
        """A kernel of the same limits goes on from the snapshot."""
        data = self.kernel.snapshot()
        self.kernel.restore(data)
        assert self.kernel.snapshot() == data

    @invariant()
    def same_sums(self) -> None:
        """Positions, what is in flight, and what it is all worth."""
        if not hasattr(self, "kernel"):
            return
        kernel, twin = self.kernel, self.twin
        assert len(kernel) == len(twin.orders)
        for number in range(ASSETS):
            assert kernel.position(number) == twin.asset[number].position
            flights = (twin.in_flight(number, 1), twin.in_flight(number, -1))
            assert kernel.in_flight(number) == flights
        gross, longs, shorts, by_venue, by_cluster = kernel.exposures()
        assert gross == sum(twin.gross(a) for a in twin.asset)
        assert longs == sum(twin.longs(a) for a in twin.asset)
        assert shorts == sum(twin.shorts(a) for a in twin.asset)
        for venue in range(VENUES):
            assert by_venue[venue] == sum(twin.gross_at(venue, a) for a in twin.asset)
        for cluster, ends in enumerate(by_cluster):
            members = [a for a in twin.asset if twin.asset[a].cluster == cluster]
            assert ends == (
                sum(max(0, twin.longs(a)) for a in members),
                sum(max(0, -twin.shorts(a)) for a in members),
            )


def storm(seed: int, steps: int) -> tuple[Story, set[int]]:
    """A seeded story of mostly orders near all limits; the rules that refused."""
    chance, story = Random(seed), Story()
    story.begin()
    rules: set[int] = set()
    pick, between = chance.choice, chance.randint
    most = (NO_LIMIT, 300, 1000, 3000)
    for _ in range(steps):
        kind = between(0, 59)
        if kind < 30:
            away = pick((*[between(-60, 60)] * 9, 600))
            side = pick((1, -1))
            number, flags = between(0, 5), pick((*[0] * 12, FLATTENING, HEDGE, HEDGE | OWED, GUARD))
            story.order(
                number, side, away - 4 * side, between(0, 40), between(1, 3), flags, between(0, 60)
            )
            rules.add(story.kernel.reason)
        elif kind < 34:
            legs = [
                (
                    between(0, 5),
                    pick((1, -1)),
                    between(-40, 40),
                    between(0, 30),
                    1,
                    0,
                    between(0, 60),
                )
                for _ in range(between(1, 4))
            ]
            story.group(legs)
        elif kind < 42 and story.pairs:
            story.fill(between(0, 999), between(0, 40), between(0, 3), between(-1, 3), kind == 41)
        elif kind < 47 and story.pairs:
            story.end(between(0, 999))
        elif kind < 51:
            story.price(
                between(0, 5), pick((2, 2, 2, 2, 3)), 1000 + between(-20, 20), pick((0, 4, 8))
            )
        elif kind == 51:
            story.level(pick((*[1] * 9, 2, 3, 4)), between(0, 19) == 0, between(0, 19) == 0)
        elif kind == 52:
            story.bound_asset(between(0, 2), pick(most), between(0, 1) == 0, between(-1, 1))
            story.bound_instrument(between(0, 5), pick((200_000, 20_000)), 500, 5000, 2**31 - 1)
        elif kind == 53:
            story.bound_venue(
                between(0, 1), pick(most), pick((2**31 - 1, 4)), pick(((0, 1), (0, 1), (900, 2)))
            )
        elif kind == 54:
            story.bound_bot(
                between(1, 3), pick(most), pick((2**31 - 1, 2)), pick(((0, 1), (0, 1), (900, 2)))
            )
        elif kind == 55:
            story.bound_all(
                pick((2**31 - 1, 8)),
                pick(most),
                pick(most),
                pick((0, 10**6)),
                pick(most),
                pick((30_000, 60_000, -1)),
            )
        elif kind == 56:
            asset = between(0, 3)
            story.balance(between(0, 1), asset, between(0, 400_000) // (1 if asset == 3 else 500))
        elif kind == 57:
            story.reconcile(between(0, 1), between(0, 9) > 0)
        else:
            story.wait(between(0, 1500))
        story.same_sums()
    return story, rules
