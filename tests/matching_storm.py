"""Operations by chance for a matching book: few prices, small sizes, few owners, so that all meets all.

An operation is drawn from one number and from what the book looks like, so that a list of numbers
is a whole history, and a shorter list a shorter one.
"""

from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

from tests.twins import matching_words as w
from tests.twins.matching import MatchingBook

Operation = tuple[str, dict[str, int]]
OWNERS = (0, 1, 2, 3)
NOTHING: Operation = ("nothing", {})
WEIGHTS = {
    "submit": 64,
    "cancel": 6,
    "replace": 10,
    "mass_cancel": 1,
    "advance": 3,
    "end_day": 1,
    "set_phase": 5,
    "set_position": 3,
    "last": 1,
    "snapshot": 1,
}
SHAPES = {
    "limit": 10,
    "iceberg": 4,
    "posting": 3,
    "at once": 4,
    "market": 2,
    "pegged": 4,
    "stop": 4,
    "trailing": 4,
}
ODD = (0, 1, -1, 3, 7, 8, 127, 150, -129, 10_000, 1 << 20, 1 << 31, 1 << 41, 1 << 63)


class Scene(NamedTuple):
    """Where a history plays: the limits of its book, and where in it the prices are."""

    limits: dict[str, int]
    middle: int
    spread: int


def scene(random: Random) -> Scene:
    """Mostly few prices near 100, at times the lowest there are, at times a long book."""
    middle, spread = random.choice([(100, 5), (100, 5), (100, 3), (6, 5), (1000, 60)])
    limits = {
        "ticks_max": random.choice([1 << 31, 1 << 31, 1 << 31, middle + 20, middle + 4]),
        "ticks_step": random.choice([1, 1, 1, 2, 5]),
        "lots_min": random.choice([1, 1, 2]),
        "lots_max": random.choice([1 << 30, 1 << 30, 16]),
        "lots_step": random.choice([1, 1, 2]),
        "notional_min": random.choice([0, 0, 0, 300]),
        "band_bps": random.choice([0, 0, 0, 400, 1000]),
        "orders_max": random.choice([1 << 12, 1 << 12, 1 << 12, 12]),
        "market_data": True,
    }
    return Scene(limits, middle, spread)


def operation(seed: int, book: MatchingBook, scene: Scene) -> Operation:
    """What a number means for this book; a small one means nothing."""
    random = Random(seed)
    if seed < 16:
        return NOTHING
    eager = {w.HALTED: 0.3, w.CLOSED: 0.3, w.AUCTION: 0.1}.get(book.phase, 0.0)
    if random.random() < eager:
        return "set_phase", {"phase": random.choice([w.CONTINUOUS, w.CONTINUOUS, w.AUCTION])}
    name = _weighted(random, WEIGHTS)
    if scene.spread > 9 and name in ("mass_cancel", "end_day"):
        name = "submit"  # a long book grows
    return name, _ARGUMENTS[name](random, book, scene)


def _weighted(random: Random, weights: dict[str, int]) -> str:
    return random.choices(list(weights), list(weights.values()))[0]


def _price(random: Random, book: MatchingBook, scene: Scene) -> int:
    """On the grid, in the scene."""
    away = random.randint(-scene.spread, scene.spread)
    return max(scene.middle // book.ticks_step + away, 1) * book.ticks_step


def _lots(random: Random, book: MatchingBook) -> int:
    return random.randint(1, 7) * book.lots_step + (book.lots_min - 1) * book.lots_step


def _number(random: Random, book: MatchingBook) -> int:
    """Mostly an order that lives."""
    live = [number for owner in OWNERS for number in book.orders(owner)]
    if live and random.random() < 0.9:
        return random.choice(live)
    return random.randint(0, book.next_order)


def _submit(random: Random, book: MatchingBook, scene: Scene) -> dict[str, int]:
    order = {
        "side": random.choice([w.BUY, w.SELL]),
        "kind": w.LIMIT,
        "ticks": _price(random, book, scene),
        "lots": _lots(random, book),
        "owner": random.choice([0, 1, 1, 2, 2, 3, 3]),
        "tif": random.choice([w.GTC] * 5 + [w.GTD, w.DAY]),
        "stp": random.choice([w.STP_NONE, *range(5)]),
        "group": random.choice([0] * 5 + [1, 2]),
    }
    _SHAPED[_weighted(random, SHAPES)](random, book, scene, order)
    if order["tif"] == w.GTD:
        order["expire_ns"] = book.now_ns + random.randint(1, 6)
    if random.random() < 0.15:
        parent = order["parent"] = _number(random, book)
        view = book.order(parent)
        if view is not None and random.random() < 0.9:
            order["owner"] = view.owner
    if order["owner"] and random.random() < 0.2 and order.get("flags", 0) == 0:
        order["flags"] = w.REDUCE_ONLY
    if random.random() < 0.05:
        name = random.choice([*order, "offset", "trigger_ticks", "display", "expire_ns", "parent"])
        order[name] = random.choice(ODD)
    return order


def _limit(random: Random, book: MatchingBook, scene: Scene, order: dict[str, int]) -> None:
    """As it is."""


def _iceberg(random: Random, book: MatchingBook, scene: Scene, order: dict[str, int]) -> None:
    order["lots"] += random.randint(0, 4) * book.lots_step
    order["display"] = random.randint(1, 3) * book.lots_step


def _posting(random: Random, book: MatchingBook, scene: Scene, order: dict[str, int]) -> None:
    order["flags"] = random.choice([w.POST_ONLY, w.SLIDE, w.POST_ONLY | w.SLIDE])


def _at_once(random: Random, book: MatchingBook, scene: Scene, order: dict[str, int]) -> None:
    order["tif"] = random.choice([w.IOC, w.FOK])
    order["lots"] *= random.choice([1, 1, 2, 3])
    if random.random() < 0.3:
        order["kind"], order["ticks"] = w.MARKET, 0


def _market(random: Random, book: MatchingBook, scene: Scene, order: dict[str, int]) -> None:
    order["kind"], order["ticks"] = w.MARKET, 0


def _pegged(random: Random, book: MatchingBook, scene: Scene, order: dict[str, int]) -> None:
    order["kind"] = w.PEGGED
    order["ticks"] = random.choice([0, order["ticks"]])
    order["offset"] = random.randint(0, 2) * book.ticks_step


def _stop(random: Random, book: MatchingBook, scene: Scene, order: dict[str, int]) -> None:
    order["trigger"] = random.choice([w.STOP, w.TAKE_PROFIT])
    order["trigger_ticks"] = _price(random, book, scene)
    _become(random, book, scene, order)


def _trailing(random: Random, book: MatchingBook, scene: Scene, order: dict[str, int]) -> None:
    order["trigger"] = random.choice([w.TRAIL_TICKS, w.TRAIL_BPS])
    distance = random.randint(1, 3)
    in_ticks = order["trigger"] == w.TRAIL_TICKS
    order["offset"] = distance * book.ticks_step if in_ticks else distance * 100
    _become(random, book, scene, order)


def _become(random: Random, book: MatchingBook, scene: Scene, order: dict[str, int]) -> None:
    """What it is when it is triggered: mostly a market order, at times any limit order."""
    shapes = [_market, _market, _limit, _at_once, _posting, _iceberg]
    random.choice(shapes)(random, book, scene, order)


_SHAPED = {
    "limit": _limit,
    "iceberg": _iceberg,
    "posting": _posting,
    "at once": _at_once,
    "market": _market,
    "pegged": _pegged,
    "stop": _stop,
    "trailing": _trailing,
}


def _cancel(random: Random, book: MatchingBook, scene: Scene) -> dict[str, int]:
    return {"order": _number(random, book)}


def _replace(random: Random, book: MatchingBook, scene: Scene) -> dict[str, int]:
    order = _number(random, book)
    view = book.order(order)
    ticks = random.choice([0, 0, _price(random, book, scene), view.ticks if view else 1])
    lots = random.choice([0, 0, _lots(random, book), view.lots if view else 1])
    if random.random() < 0.04:
        ticks, lots = random.choice(ODD), random.choice(ODD)
    return {"order": order, "ticks": ticks, "lots": lots}


def _mass_cancel(random: Random, book: MatchingBook, scene: Scene) -> dict[str, int]:
    return {
        "owner": random.choice([-1, *OWNERS, 9]),
        "side": random.choice([0, w.BUY, w.SELL, 0, w.BUY, w.SELL, 2]),
    }


def _advance(random: Random, book: MatchingBook, scene: Scene) -> dict[str, int]:
    return {"now_ns": max(0, book.now_ns + random.choice([-1, 0, 1, 1, 2, 3]))}


def _end_day(random: Random, book: MatchingBook, scene: Scene) -> dict[str, int]:
    return {}


def _set_phase(random: Random, book: MatchingBook, scene: Scene) -> dict[str, int]:
    usual = [w.CONTINUOUS] * 4 + [w.AUCTION] * 4
    return {"phase": random.choices([*usual, w.HALTED, w.CLOSED, 0], [4] * 10 + [1])[0]}


def _set_position(random: Random, book: MatchingBook, scene: Scene) -> dict[str, int]:
    return {"owner": random.choice([*OWNERS[1:] * 5, 0]), "lots": random.randint(-9, 9)}


def _last(random: Random, book: MatchingBook, scene: Scene) -> dict[str, int]:
    return {"ticks": random.choice([0, *[_price(random, book, scene)] * 9, -1])}


def _snapshot(random: Random, book: MatchingBook, scene: Scene) -> dict[str, int]:
    return {}


_ARGUMENTS = {
    "submit": _submit,
    "cancel": _cancel,
    "replace": _replace,
    "mass_cancel": _mass_cancel,
    "advance": _advance,
    "end_day": _end_day,
    "set_phase": _set_phase,
    "set_position": _set_position,
    "last": _last,
    "snapshot": _snapshot,
}


def do(book: Any, step: Operation) -> tuple[Any, type[Exception] | None]:
    """Carry out an operation; the book that goes on (another after a snapshot), and what it raised."""
    name, arguments = step
    try:
        if name == "snapshot":
            return type(book).restore(book.snapshot()), None
        if name == "last":
            book.last = arguments["ticks"]
        elif name != "nothing":
            getattr(book, name)(**arguments)
    except (OverflowError, ValueError) as error:
        return book, type(error)
    return book, None


def written(limits: dict[str, int], steps: Sequence[Operation]) -> str:
    """A history as a program, to be pasted into a test."""
    named = ", ".join(f"{name}={value}" for name, value in limits.items())
    lines = [f"book = MatchingBook({named})"]
    for name, arguments in steps:
        if name == "snapshot":
            lines.append("book = MatchingBook.restore(book.snapshot())")
        elif name == "last":
            lines.append(f"book.last = {arguments['ticks']}")
        elif name != "nothing":
            given = ", ".join(f"{key}={value}" for key, value in arguments.items())
            lines.append(f"book.{name}({given})")
    return "\n".join(lines)
