"""The risk rules written from docs/risk.md, slowly: every sum is added up anew for every check.

Dicts and exact fractions; nothing is kept that follows from something else. Same calls as `ext.risk`.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from ext.risk import FLATTENING, GUARD, HEDGE, NO_LIMIT, OWED, REASONS, Leg
from tests.twins.risk_words import Asset, Market, Order, Party

LIVE, CAUTION, RESTRICTED, HALT = 2, 2, 3, 4
Refusal = tuple[int, int, int]


@dataclass
class RiskTwin:
    """All of it; sizes as the kernel's."""

    instruments: int
    assets: int
    venues: int
    clusters: int = 0
    level: int = 1
    killed: bool = False
    draining: bool = False
    markets: dict[int, Market] = field(default_factory=dict)
    held: dict[tuple[int, int], int] = field(default_factory=dict)
    known: set[tuple[int, int]] = field(default_factory=set)
    traded: dict[tuple[int, int], int] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    names: dict[str, tuple[tuple[object, ...], int]] = field(default_factory=dict)
    next_place: int = 0
    orders_max: int = NO_LIMIT
    gross_max: int = NO_LIMIT
    net_max: int = NO_LIMIT
    window_ns: int = 0
    share_max: int = -1
    refused: Refusal = (0, 0, 0)
    leg: int = 0

    def __post_init__(self) -> None:
        self.asset = {number: Asset() for number in range(self.assets)}
        self.venue = {number: Party() for number in range(self.venues)}
        self.bot: dict[int, Party] = {}
        self.cluster_max = dict.fromkeys(range(self.clusters), NO_LIMIT)

    # --- what is told -----------------------------------------------------------------------------

    def top(self, number: int, state: int, bid: int, ask: int, received_ns: int) -> None:
        """Best prices; a LIVE mid marks the base where the quote has a mark."""
        market = self.markets[number]
        changed = market.top[:3] != (state, bid, ask)
        market.top = (state, bid, ask, received_ns)
        quote = self.asset[market.quote].mark
        if changed and state == LIVE and bid > 0 and ask > 0 and quote:
            mid = Fraction(bid + ask, 2)
            self.asset[market.base].mark = quote * mid * market.quote_units / market.base_units

    def hold(self, venue: int, asset: int, total: int) -> None:
        """What the venue holds for us."""
        self.held[venue, asset] = total
        self.known.add((venue, asset))

    def trade(
        self, number: int, side: int, ticks: int, lots: int, fee_asset: int, fee: int
    ) -> None:
        """A fill; a fee in the base asset is so much less position."""
        market = self.markets[number]
        units, quote = lots * market.base_units, ticks * lots * market.quote_units
        changes = [(market.base, side * units), (market.quote, -side * quote)]
        if fee_asset >= 0:
            changes.append((fee_asset, -fee))
        for asset, change in changes:
            key = (market.venue, asset)
            self.held[key] = self.held.get(key, 0) + change
        moved = side * units - (fee if fee_asset == market.base else 0)
        self.asset[market.base].position += moved
        key = (market.venue, market.base)
        self.traded[key] = self.traded.get(key, 0) + moved

    # --- sums -------------------------------------------------------------------------------------

    def in_flight(self, asset: int, side: int, venue: int | None = None) -> int:
        """Units of an asset being bought (1) or sold (-1), at a venue or at all."""
        return sum(
            order.lots * self.markets[order.instrument].base_units
            for order in self.orders.values()
            if self.markets[order.instrument].base == asset
            and order.side == side
            and venue in (None, self.markets[order.instrument].venue)
        )

    def reserved(self, venue: int, asset: int) -> int:
        """Units of an asset that open orders at a venue would spend."""
        total = 0
        for order in self.orders.values():
            market = self.markets[order.instrument]
            if market.venue != venue or not market.checks_balance:
                continue
            if order.side < 0 and market.base == asset:
                total += order.lots * market.base_units
            if order.side > 0 and market.quote == asset:
                total += order.lots * order.ticks * market.quote_units
        return total

    def worth(self, units: int, asset: int) -> int:
        """Units at the asset's mark, rounded half away from zero."""
        value = units * (self.asset[asset].mark or 0)
        whole = int(abs(value) + Fraction(1, 2))
        return whole if value >= 0 else -whole

    def longs(self, asset: int) -> int:
        """What an asset is worth if all buys fill,"""
        return self.worth(self.asset[asset].position + self.in_flight(asset, 1), asset)

    def shorts(self, asset: int) -> int:
        """and if all sells do."""
        return self.worth(self.asset[asset].position - self.in_flight(asset, -1), asset)

    def gross(self, asset: int) -> int:
        """The larger of the two, as a size."""
        position = self.asset[asset].position
        up, down = position + self.in_flight(asset, 1), position - self.in_flight(asset, -1)
        return self.worth(max(up, -down), asset)

    def gross_at(self, venue: int, asset: int) -> int:
        """The same at one venue."""
        position = self.traded.get((venue, asset), 0)
        up = position + self.in_flight(asset, 1, venue)
        down = position - self.in_flight(asset, -1, venue)
        return self.worth(max(up, -down), asset) if position or up or down else 0

    # --- checks -----------------------------------------------------------------------------------

    def check(
        self, leg: Leg, now_ns: int, others: Iterable[Leg] = ()
    ) -> tuple[str, int, int] | None:
        """The first rule that an order breaks, by name, with its limit and the value."""
        (
            name,
            bot,
            group,
            number,
            venue,
            instrument,
            side,
            ticks,
            lots,
            expires_ns,
            flags,
            parent,
        ) = leg
        if not 0 <= instrument < self.instruments:
            return "UNKNOWN_INSTRUMENT", self.instruments - 1, instrument
        market = self.markets[instrument]
        if venue != market.venue:
            return "UNKNOWN_INSTRUMENT", market.venue, venue
        if side not in (1, -1):
            return "MALFORMED", 1, side
        units, notional = lots * market.base_units, ticks * lots * market.quote_units
        asset = self.asset[market.base]
        room = -side * asset.position - self.in_flight(market.base, side)
        reduces = 0 < units <= room
        broken = self._by_level(flags, reduces, room, units)
        if broken or now_ns > expires_ns:
            return broken or ("EXPIRED", expires_ns, now_ns)
        content = (bot, group, number, instrument, side, ticks, lots, parent)
        if name in self.names:
            return "DUPLICATE", 0, 1
        ages = [max(0, now_ns - at) for same, at in self.names.values() if same == content]
        if ages and min(ages) < self.window_ns:
            return "SAME_CONTENT", self.window_ns, min(ages)
        return (
            self._by_orders(leg, market, reduces, now_ns)
            or self._by_size(leg, market, notional)
            or self._by_price(leg, market, now_ns)
            or self._by_balance(side, market, notional if side > 0 else units)
            or (None if reduces else self._by_position(side, market, units))
            or (None if flags & GUARD else self._by_venue(leg, market))
            or (None if reduces else self._by_exposure(leg, market))
        )

    def _by_level(
        self, flags: int, reduces: bool, room: int, units: int
    ) -> tuple[str, int, int] | None:
        not_reducing = ("NOT_REDUCING", room, units)
        if flags & GUARD:
            return None if reduces else not_reducing
        if self.killed or self.level >= HALT:
            if flags & FLATTENING:
                return None if reduces else not_reducing
            return ("KILLED", 0, 1) if self.killed else ("RISK_LEVEL", CAUTION, self.level)
        marked = flags & (FLATTENING | HEDGE)
        passes = reduces or flags & OWED
        if self.level >= RESTRICTED and not passes:
            return not_reducing if marked else ("RISK_LEVEL", CAUTION, self.level)
        if self.draining and not (passes and marked):
            return "DRAINING", 0, 1
        return None

    def _by_orders(
        self, leg: Leg, market: Market, reduces: bool, now_ns: int
    ) -> tuple[str, int, int] | None:
        _, bot, _, _, venue, instrument, *_, flags, _ = leg
        here = self.venue[venue]
        unknown = sum(o.unknown for o in self.orders.values() if o.instrument == instrument)
        if not reduces and unknown:
            return "UNRESOLVED_ORDER", 0, unknown
        if not reduces and not here.reconciled:
            return "NOT_RECONCILED", 1, 0
        if flags & GUARD:
            return None
        opened = list(self.orders.values())
        party = self.bot.get(bot, Party())
        for count, limit in (
            (len(opened), self.orders_max),
            (sum(o.bot == bot for o in opened), party.orders_max),
            (sum(self.markets[o.instrument].venue == venue for o in opened), here.orders_max),
            (sum(o.instrument == instrument for o in opened), market.orders_max),
        ):
            if count >= limit:
                return "ORDERS_OPEN", limit, count
        for who in (party, here):
            if who.interval_ns:
                ahead = max(who.full_ns, now_ns) + who.interval_ns - now_ns
                if ahead > who.interval_ns * who.burst:
                    return "MESSAGE_RATE", who.burst, -(-ahead // who.interval_ns)
        return None

    def _by_size(self, leg: Leg, market: Market, notional: int) -> tuple[str, int, int] | None:
        _, bot, _, _, _, _, _, ticks, lots, _, flags, _ = leg
        for rule, value, (low, high) in (
            ("ORDER_LOTS", lots, market.lots),
            ("OFF_GRID", ticks, market.ticks),
        ):
            if not low <= value <= high:
                return rule, low if value < low else high, value
        if notional < market.notional_min:
            return "MIN_NOTIONAL", market.notional_min, notional
        if notional > market.notional_max:
            return "ORDER_NOTIONAL", market.notional_max, notional
        own_max = self.bot.get(bot, Party()).amount_max
        if own_max != NO_LIMIT and not flags & GUARD:
            if not self.asset[market.quote].mark:
                return "STALE_MARK", 1, 0
            value = self.worth(notional, market.quote)
            if value > own_max:
                return "BOT_NOTIONAL", own_max, value
        return None

    def _by_price(self, leg: Leg, market: Market, now_ns: int) -> tuple[str, int, int] | None:
        _, _, _, _, _, instrument, side, ticks, _, _, flags, _ = leg
        state, bid, ask, received_ns = market.top
        if state != LIVE or bid <= 0 or ask <= 0:
            return "NO_MARKET", LIVE, state
        if now_ns - received_ns > market.stale_ns:
            return "STALE_MARKET", market.stale_ns, now_ns - received_ns
        if flags & GUARD:
            return None
        mid = Fraction(bid + ask, 2)
        distance_bps = abs(ticks - mid) / mid * 10_000
        if distance_bps > market.distance_bps:
            return "PRICE_DISTANCE", market.distance_bps, -(-distance_bps // 1)
        others = [
            o.ticks for o in self.orders.values() if o.instrument == instrument and o.side == -side
        ]
        if others:
            best = min(others) if side > 0 else max(others)
            if side * (ticks - best) >= 0:
                return "SELF_CROSS", best, ticks
        return None

    def _by_balance(self, side: int, market: Market, needed: int) -> tuple[str, int, int] | None:
        key = (market.venue, market.quote if side > 0 else market.base)
        if not market.checks_balance or key not in self.known:
            return None
        free = self.held[key] - self.reserved(*key)
        return ("BALANCE", free, needed) if needed > free else None

    def _by_position(self, side: int, market: Market, units: int) -> tuple[str, int, int] | None:
        asset = self.asset[market.base]
        size = side * asset.position + self.in_flight(market.base, side) + units
        if size > asset.position_max:
            return "POSITION", asset.position_max, size
        if asset.shares:
            if self.share_max < 0 or not asset.mark:
                return "STALE_MARK", 1, 0
            if self.worth(size, market.base) > self.share_max:
                return "EQUITY_SHARE", self.share_max, self.worth(size, market.base)
        return None

    def _with(self, leg: Leg) -> "RiskTwin":
        """The same with an order in flight."""
        _, bot, _, _, _, instrument, side, ticks, lots, *_ = leg
        after = copy.deepcopy(self)
        after.orders[-1] = Order(instrument, bot, side, ticks, lots)
        return after

    def _by_venue(self, leg: Leg, market: Market) -> tuple[str, int, int] | None:
        limit = self.venue[market.venue].amount_max
        if limit == NO_LIMIT:
            return None
        if not self.asset[market.base].mark:
            return "STALE_MARK", 1, 0
        after, here = self._with(leg), market.venue
        total = sum(after.gross_at(here, asset) for asset in self.asset)
        rises = after.gross_at(here, market.base) > self.gross_at(here, market.base)
        return ("VENUE_GROSS", limit, total) if rises and total > limit else None

    def _by_exposure(self, leg: Leg, market: Market) -> tuple[str, int, int] | None:
        asset, side = self.asset[market.base], leg[6]
        cluster_max = self.cluster_max.get(asset.cluster, NO_LIMIT)
        if self.gross_max == self.net_max == cluster_max == NO_LIMIT:
            return None
        if not asset.mark:
            return "STALE_MARK", 1, 0
        after = self._with(leg)
        gross = sum(after.gross(other) for other in self.asset)
        if after.gross(market.base) > self.gross(market.base) and gross > self.gross_max:
            return "GROSS_EXPOSURE", self.gross_max, gross
        ends = {o: after.longs(o) if side > 0 else -after.shorts(o) for o in self.asset}
        if sum(ends.values()) > self.net_max:
            return "NET_EXPOSURE", self.net_max, sum(ends.values())
        together = sum(
            max(0, end) for o, end in ends.items() if self.asset[o].cluster == asset.cluster
        )
        if asset.cluster >= 0 and together > cluster_max and ends[market.base] > 0:
            return "CLUSTER", cluster_max, together
        return None

    # --- orders -----------------------------------------------------------------------------------

    def take(self, leg: Leg, now_ns: int) -> int:
        """Check and reserve: a place, or -1."""
        broken = self.check(leg, now_ns)
        if broken:
            self.refused = (REASONS[broken[0]], broken[1], int(broken[2]))
            return -1
        name, bot, group, number, venue, instrument, side, ticks, lots, _, _, parent = leg
        content = (bot, group, number, instrument, side, ticks, lots, parent)
        self.names[name] = (content, now_ns)
        self.sent(bot, venue, now_ns)
        return self.adopt(instrument, bot, side, ticks, lots)

    def sent(self, bot: int, venue: int, now_ns: int) -> None:
        """A message uses up both buckets."""
        for who in (self.bot.get(bot, Party()), self.venue[venue]):
            who.full_ns = max(who.full_ns, now_ns) + who.interval_ns if who.interval_ns else 0

    def adopt(self, instrument: int, bot: int, side: int, ticks: int, lots: int) -> int:
        """Reserve without a check."""
        self.next_place += 1
        self.orders[self.next_place] = Order(instrument, bot, side, ticks, lots)
        return self.next_place

    def group(self, legs: list[Leg], now_ns: int) -> list[int]:
        """All legs or none."""
        trial = copy.deepcopy(self)
        places = []
        for number, leg in enumerate(legs):
            place = trial.take(leg, now_ns)
            if place < 0:
                self.refused, self.leg = trial.refused, number
                return []
            places.append(place)
        self.__dict__.update(trial.__dict__)
        return places
