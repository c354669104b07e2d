"""Request weights, order counts and bans, as Binance counts them: by fixed intervals of its clock.

All clients of a loopback exchange have one address, so there is one count of weights for all; orders
are counted by account. Who goes on asking after a 429 is banned, each time for twice as long.
"""

from typing import Any

import msgspec

from engine.exchange.wires.binance_words import MS, Problem, ms

SECOND_NS = 1_000_000_000
BAN_S_MAX = 3 * 86_400


class Limits(msgspec.Struct, frozen=True):
    """How much is allowed; the defaults are Binance's.

    `patience` is how many requests beyond the weight are answered 429 before the ban begins.
    """

    weight: int = 6_000
    raw_requests: int = 300_000
    orders_10s: int = 100
    orders_day: int = 200_000
    patience: int = 20
    ban_s: int = 120
    frames_per_second: int = 5
    streams: int = 1_024


BINANCE = Limits()
WEIGHT = ("REQUEST_WEIGHT", "MINUTE", 1, 60)
RAW = ("RAW_REQUESTS", "MINUTE", 5, 300)
ORDERS = (("ORDERS", "SECOND", 10, 10), ("ORDERS", "DAY", 1, 86_400))
Window = tuple[str, str, int, int]


def _row(window: Window, limit: int, count: int | None = None) -> dict[str, Any]:
    kind, interval, number, _ = window
    row = {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
    return row if count is None else {**row, "count": count}


class Counter:
    """What was counted in the present interval of a window."""

    def __init__(self, window: Window, limit: int) -> None:
        self.window = window
        self.limit = limit
        self._length_ns = window[3] * SECOND_NS
        self._begin = -1
        self._count = 0

    def count(self, now_ns: int) -> int:
        """So far in this interval."""
        begin = now_ns // self._length_ns
        if begin != self._begin:
            self._begin, self._count = begin, 0
        return self._count

    def add(self, number: int, now_ns: int) -> None:
        """Count more."""
        self._count = self.count(now_ns) + number

    def ends_in_s(self, now_ns: int) -> int:
        """Whole seconds until the interval is over, at least one."""
        return max(1, -(-((now_ns // self._length_ns + 1) * self._length_ns - now_ns) // SECOND_NS))

    def row(self, now_ns: int) -> dict[str, Any]:
        """As the WebSocket API shows it."""
        return _row(self.window, self.limit, self.count(now_ns))


class Meter:
    """Counts requests and orders, and refuses those beyond the limits."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._weight = Counter(WEIGHT, limits.weight)
        self._raw = Counter(RAW, limits.raw_requests)
        self._orders: dict[str, tuple[Counter, Counter]] = {}
        self._beyond = 0
        self._bans = 0
        self._banned_until_ns = 0

    def arrived(self, now_ns: int) -> None:
        """A request has; raises Problem while the address is banned or sends too many."""
        if now_ns < self._banned_until_ns:
            raise self.banned(-(-(self._banned_until_ns - now_ns) // SECOND_NS))
        self._raw.add(1, now_ns)
        if self._raw.count(now_ns) > self.limits.raw_requests:
            raise self._refuse(self._raw, now_ns)

    def weigh(self, weight: int, now_ns: int) -> None:
        """Its weight; raises Problem beyond the limit, and begins a ban when that was said enough."""
        self._weight.add(weight, now_ns)
        if self._weight.count(now_ns) <= self.limits.weight:
            self._beyond = 0
            return
        raise self._refuse(self._weight, now_ns)

    def _refuse(self, counter: Counter, now_ns: int) -> Problem:
        self._beyond += 1
        if self._beyond > self.limits.patience:
            self._beyond = 0
            ban_s = min(BAN_S_MAX, self.limits.ban_s << min(self._bans, 20))
            self._bans += 1
            self._banned_until_ns = now_ns + ban_s * SECOND_NS
            return self.banned(ban_s)
        return self.beyond(counter, counter.ends_in_s(now_ns))

    def beyond(self, counter: Counter | None, retry_after_s: int) -> Problem:
        """429."""
        window, limit = (counter.window, counter.limit) if counter else (WEIGHT, self.limits.weight)
        span = f"{window[2]} {window[1]}"
        return Problem(-1003, "", limit, span, retry_after_s=max(1, retry_after_s))

    def banned(self, retry_after_s: int, now_ns: int = 0) -> Problem:
        """418."""
        until = self._banned_until_ns or now_ns + retry_after_s * SECOND_NS
        text = (
            f"Way too much request weight used; IP banned until {ms(until)}. "
            "Please use WebSocket Streams for live updates to avoid bans."
        )
        return Problem(-1003, text, status=418, retry_after_s=max(1, retry_after_s))

    def _counters(self, account: str) -> tuple[Counter, Counter]:
        if account not in self._orders:
            self._orders[account] = (
                Counter(ORDERS[0], self.limits.orders_10s),
                Counter(ORDERS[1], self.limits.orders_day),
            )
        return self._orders[account]

    def order_problem(self, account: str, number: int, now_ns: int) -> Problem | None:
        """Why an account may not place so many more orders now, if it may not."""
        for counter in self._counters(account):
            if counter.count(now_ns) + number > counter.limit:
                _, interval, length, _ = counter.window
                wait = counter.ends_in_s(now_ns)
                return Problem(-1015, "", counter.limit, f"{length} {interval}", retry_after_s=wait)
        return None

    def placed(self, account: str, number: int, now_ns: int) -> None:
        """It has placed orders."""
        for counter in self._counters(account):
            counter.add(number, now_ns)

    def headers(self, account: str, now_ns: int) -> tuple[tuple[str, str], ...]:
        """What every answer says of the weight; of the orders, if an account is named."""
        weight = str(self._weight.count(now_ns))
        found = (("X-MBX-USED-WEIGHT", weight), ("X-MBX-USED-WEIGHT-1M", weight))
        if not account:
            return found
        short, day = (str(counter.count(now_ns)) for counter in self._counters(account))
        return (*found, ("X-MBX-ORDER-COUNT-10S", short), ("X-MBX-ORDER-COUNT-1D", day))

    def rows(self, account: str, now_ns: int) -> list[dict[str, Any]]:
        """`rateLimits` of the WebSocket API: the orders first, if an account is named."""
        orders = [counter.row(now_ns) for counter in self._counters(account)] if account else []
        return [*orders, self._weight.row(now_ns)]

    def order_rows(self, account: str, now_ns: int) -> list[dict[str, Any]]:
        """What an account has placed in each interval."""
        return [counter.row(now_ns) for counter in self._counters(account)]

    def all_limits(self) -> list[dict[str, Any]]:
        """For exchangeInfo: all limits, without counts."""
        limits = self.limits
        return [
            _row(WEIGHT, limits.weight),
            _row(ORDERS[0], limits.orders_10s),
            _row(ORDERS[1], limits.orders_day),
            _row(RAW, limits.raw_requests),
        ]


def retry_data(problem: Problem, now_ns: int) -> dict[str, int]:
    """`data` of a refused WebSocket API request: when to try again."""
    now = ms(now_ns)
    return {"serverTime": now, "retryAfter": now + problem.retry_after_s * SECOND_NS // MS}
