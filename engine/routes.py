"""Who hears what, on one screen, and which messages are durable, conflated or effects.

frame -> venue -> Depth, BookTop -> scanner -> Opportunity -> bot -> OrderIntent
      -> risk -> OrderCommand -> venue -> OrderRequest -> exchange
      bot -> ParentIntent -> execution -> OrderIntent (an order that the engine emulates)
fills:   venue -> risk, execution, ledger, bot;   everything worth showing -> view
trades:  venue -> the bots whose class watches them (bars are built inside the bot)
prices:  venue -> execution, where a bot's class has orders emulated
"""

from collections.abc import Iterable, Sequence

from engine.component import Component
from engine.messages import (
    Answer,
    AnyMessage,
    BalanceSeen,
    BalanceUpdate,
    BookPnL,
    BookStateChanged,
    BookTop,
    CancelAll,
    CancelCommand,
    CancelIntent,
    Connected,
    Depth,
    Difference,
    Disconnected,
    Drain,
    Dust,
    Equity,
    Fill,
    Frame,
    GroupIntent,
    HttpRequest,
    InstrumentReloaded,
    KillProgress,
    KillSwitch,
    LimitChanged,
    Opportunity,
    OpportunityGone,
    OrderCommand,
    OrderEvent,
    OrderIntent,
    OrderRefused,
    OrderRequest,
    ParentCancel,
    ParentEvent,
    ParentIntent,
    PnL,
    PositionUpdate,
    Reconcile,
    Reconciled,
    RequestRefused,
    ResolveUnknown,
    Resting,
    RiskLevel,
    SendFrame,
    SetBreaker,
    SetLimit,
    SetRiskLevel,
    SetTimer,
    Started,
    TimerFired,
    Trade,
    TradesShed,
    Transfer,
    VenueCall,
    VenueStatus,
)

# Message -> the kinds of component that hear it. "venue" and "bot" are one of many: `address`
# (a venue of -1 is all of them);
# "watchers" are the bots whose class watches trades, so that the others' actors never see one.
ROUTES: dict[type, tuple[str, ...]] = {
    Depth: ("scanner", "view"),
    BookTop: ("risk", "triggers", "ledger", "bots", "view"),
    Trade: ("triggers", "watchers", "view"),
    TradesShed: ("watchers",),
    VenueStatus: ("risk", "ledger", "view"),
    BookStateChanged: ("risk", "view"),
    InstrumentReloaded: ("scanner", "risk", "execution", "ledger", "bots", "view"),
    Opportunity: ("bots", "view"),
    OpportunityGone: ("bots", "view"),
    OrderIntent: ("risk", "view"),
    GroupIntent: ("risk", "view"),
    ParentIntent: ("execution", "view"),
    ParentCancel: ("execution", "view"),
    ParentEvent: ("bot", "view"),
    CancelIntent: ("risk", "view"),
    OrderCommand: ("venue",),
    CancelCommand: ("venue",),
    OrderRefused: ("execution", "bot", "view"),
    OrderEvent: ("risk", "execution", "bot", "view"),
    Fill: ("risk", "execution", "ledger", "bot", "view"),
    BalanceSeen: ("ledger",),
    Transfer: ("ledger", "view"),
    Difference: ("risk", "view"),
    Reconciled: ("risk", "view"),
    Equity: ("risk", "view"),
    Resting: ("risk", "view"),
    KillProgress: ("view",),
    SetRiskLevel: ("risk", "view"),
    SetLimit: ("risk", "view"),
    SetBreaker: ("venue", "view"),
    Reconcile: ("venue", "view"),
    ResolveUnknown: ("venue", "view"),
    CancelAll: ("venue", "view"),
    RiskLevel: ("execution", "bots", "view"),
    LimitChanged: ("view",),
    PositionUpdate: ("view",),
    BalanceUpdate: ("risk", "view"),
    PnL: ("view",),
    BookPnL: ("view",),
    Dust: ("ledger", "view"),
}

# In the journal before anything of the same step leaves.
DURABLE: frozenset[type] = frozenset(
    {
        BookStateChanged,
        InstrumentReloaded,
        Opportunity,
        OpportunityGone,
        OrderIntent,
        GroupIntent,
        ParentIntent,
        ParentCancel,
        ParentEvent,
        CancelIntent,
        OrderCommand,
        CancelCommand,
        OrderRefused,
        OrderEvent,
        OrderRequest,
        Fill,
        BalanceSeen,
        Transfer,
        Difference,
        Reconciled,
        Resting,
        KillProgress,
        SetRiskLevel,
        SetLimit,
        SetBreaker,
        Reconcile,
        ResolveUnknown,
        CancelAll,
        RiskLevel,
        LimitChanged,
        PositionUpdate,
        BalanceUpdate,
        PnL,
        BookPnL,
        Dust,
    }
)

# Market data: the last value of each key always arrives, older ones may be shed.
CONFLATED: frozenset[type] = frozenset({Depth, BookTop, Trade, TradesShed, VenueStatus})

# Market data of which these kinds need every value: in order, shed by count, the loss told.
QUEUED: frozenset[tuple[type, str]] = frozenset({(Trade, "bots"), (Trade, "execution")})

# Read by these kinds only when they decide something else: delivered without waking them.
UNHURRIED: frozenset[tuple[type, str]] = frozenset(
    {
        (BookTop, "risk"),
        (BookTop, "ledger"),
        (BookTop, "bots"),
        (VenueStatus, "risk"),
        (VenueStatus, "ledger"),
        (PnL, "view"),
        (BookPnL, "view"),
        (Equity, "view"),
        (Depth, "view"),
        (BookTop, "view"),
        (Trade, "view"),
        (VenueStatus, "view"),
    }
)

EFFECTS: frozenset[type] = frozenset({SendFrame, OrderRequest, VenueCall, HttpRequest, SetTimer})


def conflation_key(message: AnyMessage) -> tuple[type, int]:
    """What a newer value of market data replaces: the last of the same type and subject."""
    if isinstance(message, VenueStatus):
        return VenueStatus, message.venue
    assert isinstance(message, (Depth, BookTop, Trade))
    return type(message), message.instrument


class Topology:
    """Which component has which number, and in which actor it lives.

    Component numbers count from 1 in the order venues, scanner, risk, ledger, execution,
    bots, view. Actors are numbered from 0 in the order of first mention in the placement. `watchers`
    are the bots that hear trades, `triggers` is the Execution component where it hears prices.
    """

    def __init__(
        self,
        names: Sequence[str],
        kinds: Sequence[str],
        actors: Sequence[str],
        watchers: Sequence[int] = (),
        triggers: Sequence[int] = (),
    ) -> None:
        self.names = tuple(names)
        self.kinds = tuple(kinds)
        self.actors_of = tuple(actors)
        self.actors = tuple(dict.fromkeys(actors))
        self._by_kind: dict[str, tuple[int, ...]] = {}
        for kind in set(kinds):
            self._by_kind[kind] = tuple(i + 1 for i, other in enumerate(kinds) if other == kind)
        self.watchers = self._by_kind["watchers"] = tuple(watchers)
        self.triggers = self._by_kind["triggers"] = tuple(triggers)

    def number(self, name: str) -> int:
        """The number of a component; raises KeyError naming the known ones."""
        if name not in self.names:
            raise KeyError(f"no component {name!r}; known: {', '.join(self.names)}")
        return self.names.index(name) + 1

    def name(self, number: int) -> str:
        """The name of a component; 'shell' for 0."""
        return self.names[number - 1] if number else "shell"

    def actor(self, number: int) -> str:
        """The actor that hosts a component."""
        return self.actors_of[number - 1]

    def in_actor(self, actor: str) -> tuple[int, ...]:
        """The components an actor hosts."""
        return tuple(i + 1 for i, other in enumerate(self.actors_of) if other == actor)

    def of_kind(self, kind: str) -> tuple[int, ...]:
        """The components of a kind, in order; `bots` is all of kind `bot`, `watchers` some of them."""
        return self._by_kind.get("bot" if kind == "bots" else kind, ())

    def senders_heard(self) -> int:
        """How many component numbers there are (the highest)."""
        return len(self.names)


ToVenue = CancelCommand | SetBreaker | Reconcile | ResolveUnknown | CancelAll


def receivers(message: AnyMessage, topology: Topology) -> tuple[int, ...]:
    """The component numbers that hear a message, by `ROUTES` and the message's address."""
    found: list[int] = []
    for kind in ROUTES.get(type(message), ()):
        if kind == "venue":
            assert isinstance(message, OrderCommand | ToVenue)
            venue = message.intent.venue if isinstance(message, OrderCommand) else message.venue
            if venue < 0:
                found.extend(topology.of_kind("venue"))
            else:
                found.append(topology.of_kind("venue")[venue])
        elif kind == "bot":
            assert isinstance(message, OrderRefused | OrderEvent | Fill | ParentEvent)
            if message.bot in topology.of_kind("bot"):
                found.append(message.bot)
        else:
            found.extend(topology.of_kind(kind))
    return tuple(found)


def hosted(
    message: AnyMessage, components: Iterable[Component], topology: Topology
) -> tuple[Component, ...]:
    """Which of an actor's components take a message out of the actor's inbox."""
    if isinstance(message, (Started, KillSwitch, Drain)):
        return tuple(components)
    if isinstance(message, TimerFired):
        return tuple(c for c in components if c.sender == message.component)
    if isinstance(message, (Frame, Answer, Connected, Disconnected, RequestRefused)):
        wanted = topology.of_kind("venue")[message.venue]
        return tuple(c for c in components if c.sender == wanted)
    wanted_numbers = receivers(message, topology)
    return tuple(c for c in components if c.sender in wanted_numbers)
