"""What people and programs are shown: object-shaped, named, every amount a decimal string.

`engine/viewer.py` derives them from messages, never the other way round. Times are ages in ms or
ns of the engine's clock; `simulated` says what is not real money.
"""

import msgspec


class View(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all views: JSON objects."""


class Level(View, frozen=True, kw_only=True):
    """One price level of a book."""

    price: str
    quantity: str


class BookView(View, frozen=True, kw_only=True):
    """The best levels of one instrument; without levels unless `state` is LIVE."""

    venue: str
    symbol: str
    state: str
    bids: list[Level]
    asks: list[Level]
    received_ns: int
    simulated: bool


class OpportunityView(View, frozen=True, kw_only=True):
    """A crossing: live while `lifetime_ms` is null."""

    number: int
    symbol: str
    buy_venue: str
    buy_price: str
    sell_venue: str
    sell_price: str
    quantity: str
    profit: str
    profit_asset: str
    seen_ns: int
    lifetime_ms: float | None
    simulated: bool


class OrderView(View, frozen=True, kw_only=True):
    """An order's last known state; `reason` says why it ended if it did badly."""

    client_order_id: str
    bot: str
    venue: str
    symbol: str
    side: str
    price: str
    quantity: str
    filled: str
    state: str
    reason: str
    simulated: bool


class FillView(View, frozen=True, kw_only=True):
    """One fill of ours."""

    trade_id: str
    client_order_id: str
    venue: str
    symbol: str
    side: str
    price: str
    quantity: str
    fee: str
    fee_asset: str
    maker: bool
    simulated: bool


class RefusalView(View, frozen=True, kw_only=True):
    """An intent that the RiskGuard refused: the rule, its limit and the value that broke it.

    Notionals, positions, quantities and prices are amounts; ages are in ns, distances in bps.
    """

    client_order_id: str
    bot: str
    symbol: str
    rule: str
    limit: str
    value: str


class PositionView(View, frozen=True, kw_only=True):
    """What is held of a base asset from trading, net over venues."""

    base: str
    quote: str
    quantity: str
    cost: str
    realised: str
    fees: str
    simulated: bool


class BalanceView(View, frozen=True, kw_only=True):
    """What the Ledger holds on a venue; `dust` is the part of it that is too small to be traded."""

    venue: str
    asset: str
    total: str
    dust: str
    simulated: bool


class PnLView(View, frozen=True, kw_only=True):
    """Profit and loss in a quote asset."""

    quote: str
    realised: str
    unrealised: str
    fees: str
    equity: str
    simulated: bool


class BookPnLView(View, frozen=True, kw_only=True):
    """What a bot made on a venue with a pair; see `BookPnL`."""

    bot: str
    venue: str
    symbol: str
    quantity: str
    cost: str
    realised_fifo: str
    realised_average: str
    unrealised: str
    fees: str
    fees_other: str
    simulated: bool


class EquityView(View, frozen=True, kw_only=True):
    """What everything is worth, the UTC day's profit without transfers, and how old the marks are.

    `mark_age_ms` is null while there is none for an asset that is held: `unmarked` names those.
    """

    currency: str
    equity: str
    opening: str
    transfers: str
    today: str
    peak: str
    mark_age_ms: float | None
    unmarked: list[str]
    simulated: bool


class VenueView(View, frozen=True, kw_only=True):
    """A venue's connection and what it has counted; see `VenueStatus`.

    `verifies` says what of its books can be checked at all. `differences` is what the last comparison of
    our orders, fills and balances with the venue's found; creates wait until it is `reconciled`.
    """

    venue: str
    connected: bool
    simulated: bool
    frames: int
    gaps: int
    checksums: int
    checksums_failed: int
    crossed: int
    resyncs: int
    malformed: int
    unchecked: int
    duplicates: int
    off_grid: int
    snapshots_old: int
    switches: int
    requests_failed: int
    books_live: int
    verifies: str
    orders_open: int
    orders_unknown: int
    orders_foreign: int
    reconciled: bool
    differences: int
    circuit: str
    health: int
    success_bps: int
    clock_offset_ns: int
    requests_waiting: int


class DifferenceView(View, frozen=True, kw_only=True):
    """Where a venue's books and ours differed: what each side said, and whether it was repaired."""

    venue: str
    kind: str
    subject: str
    ours: str
    theirs: str
    repaired: bool


class LimitView(View, frozen=True, kw_only=True):
    """An operator's word on a limit: what applies now, and why it was refused if it was."""

    scope: str
    subject: str
    name: str
    value: str
    who: str
    accepted: bool
    text: str


class KillView(View, frozen=True, kw_only=True):
    """How far a kill is, by the venues' own word: orders that rest (-1: a venue has not spoken).

    `positions` counts the assets away from their target; a kill at HALT leaves them.
    """

    resting: int
    unknown: int
    positions: int
    finished: bool


class RiskView(View, frozen=True, kw_only=True):
    """The RiskGuard's level and its cause, the kill switch, and the newest changes of limits."""

    level: str
    kill_switch: bool
    reason: str = "NONE"
    kill: KillView | None = None
    limits: list[LimitView] = []


class LatencyView(View, frozen=True, kw_only=True):
    """Percentiles of one stage, in microseconds."""

    count: int
    p50_us: float
    p99_us: float
    max_us: float


class ActorView(View, frozen=True, kw_only=True):
    """An actor as its page says."""

    actor: str
    components: list[str]
    state: str
    epoch: int
    pid: int
    restarts: int
    heartbeat_age_ms: float
    messages_in: int
    messages_out: int
    queue_depth: int
    queue_high: int
    conflated: int
    duplicates: int
    decode_errors: int
    memory_kb: int
    latency: dict[str, LatencyView]


class HealthView(View, frozen=True, kw_only=True):
    """Whether the engine is well, and in which mode it trades."""

    status: str
    mode: str
    run: str
    runtime: str
    actors_running: int
    actors: int
    kill_switch: bool
    uptime_s: float


class StateView(View, frozen=True, kw_only=True):
    """Every section at once."""

    health: HealthView
    actors: list[ActorView]
    venues: list[VenueView]
    books: list[BookView]
    opportunities: list[OpportunityView]
    orders: list[OrderView]
    fills: list[FillView]
    refusals: list[RefusalView]
    positions: list[PositionView]
    balances: list[BalanceView]
    pnl: list[PnLView]
    book_pnl: list[BookPnLView]
    worth: list[EquityView]
    differences: list[DifferenceView]
    risk: RiskView


class Problem(View, frozen=True, kw_only=True):
    """An RFC 9457 problem: `field` names what was wrong in the request."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    field: str = ""
