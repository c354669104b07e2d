"""Bitstamp's orders of 2015-05-01, one by one: who rested, who was hit, and what everybody could see.

The recording tells each order as created, changed and deleted, and each trade by price and size alone,
about 11 ms after the two orders in it have shrunk by just that size. Of the two, the younger one took.
What an order took it never showed as resting: here it joins its queue with the rest, when it is done
taking. A market order is a limit order far away whose price and size change as it goes; it never joins.
Orders from before the recording are not known.
"""

import json
import lzma
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

MS = 1_000_000
TOGETHER_MS = 5_000  # how far apart a trade and its two orders may be told

JOINED, LEFT, HIT, PRINTED = 1, 2, 3, 4


class Event(NamedTuple):
    """An order JOINED, LEFT (with so many lots) or was HIT, or a trade was PRINTED (side: who took)."""

    at_ns: int
    kind: int
    order: int
    side: int
    ticks: int
    lots: int


class Shrink(NamedTuple):
    """An order lost lots and was not deleted with any left."""

    row: int
    at_ms: int
    order: int
    side: int
    ticks: int
    lots: int


def rows(path: Path) -> list[tuple[int, str, dict[str, str]]]:
    """Time in ms, kind and fields of each line, without the snapshots; an order's deletion is its last."""
    found: list[tuple[int, str, dict[str, str]]] = []
    deleted: dict[str, int] = {}
    with lzma.open(path, "rt") as lines:
        for line in lines:
            at_ms, kind, fields = line.split(" ", 2)
            if kind == "order_book":
                continue
            row = (int(at_ms), kind, json.loads(fields))
            before = deleted.get(row[2]["id"]) if kind == "order_changed" else None
            if before is not None:  # told the wrong way round
                gone = found[before]
                found[before] = (gone[0], *row[1:])
                row = (row[0], *gone[1:])
            if row[1] == "order_deleted":
                deleted[row[2]["id"]] = len(found)
            found.append(row)
    return found


def events(path: Path) -> list[Event]:
    """The whole recording, by time."""
    found: list[Event] = []
    shrinks: dict[int, list[Shrink]] = defaultdict(list)
    trades: list[tuple[int, int, int]] = []
    lots_of: dict[int, int] = {}
    created: dict[int, Event] = {}
    repriced: set[int] = set()
    for row, (at_ms, kind, fields) in enumerate(rows(path)):
        ticks, lots = round(float(fields["price"]) * 100), round(float(fields["amount"]) * 1e8)
        if kind == "trade":
            trades.append((at_ms, ticks, lots))
            continue
        order, side = int(fields["id"]), -1 if fields["order_type"] else 1
        if order in created and ticks != created[order].ticks:
            repriced.add(order)
        if kind == "order_created":
            created[order] = Event(at_ms * MS, JOINED, order, side, ticks, lots)
        elif order in lots_of and lots < lots_of[order] and (kind == "order_changed" or not lots):
            lost = lots_of[order] - lots
            shrinks[lost].append(Shrink(row, at_ms, order, side, ticks, lost))
        elif order in lots_of and lots:
            found.append(Event(at_ms * MS, LEFT, order, side, ticks, lots_of[order]))
        lots_of[order] = lots
        if kind == "order_deleted":
            del lots_of[order]
    took: dict[int, int] = defaultdict(int)
    done_ns: dict[int, int] = {}

    def age(order: int) -> int:
        return created[order].at_ns if order in created else 0

    for at_ms, ticks, lots in trades:
        near = [s for s in shrinks[lots] if abs(s.at_ms - at_ms) < TOGETHER_MS]
        near.sort(key=lambda shrink: abs(shrink.at_ms - at_ms))
        found_two = [[s for s in near if s.side == side][:1] for side in (1, -1)]
        pair = sorted(found_two[0] + found_two[1], key=lambda shrink: shrink.order)
        for each in pair:
            shrinks[lots].remove(each)
        takes = [s for s in pair[-1:] if s.at_ms * MS - age(s.order) < TOGETHER_MS * MS]
        for taker in takes:
            took[taker.order] += lots
            done_ns[taker.order] = max(taker.at_ms * MS, done_ns.get(taker.order, 0))
            found.append(Event(max(at_ms, taker.at_ms) * MS, PRINTED, 0, taker.side, ticks, lots))
        for maker in pair[: len(pair) - len(takes)]:
            at_ns = max(each.at_ms for each in pair) * MS
            found.append(Event(at_ns, HIT, maker.order, maker.side, maker.ticks, lots))
            if not takes:  # by an order that the recording lost
                printed = Event(max(at_ms * MS, at_ns), PRINTED, 0, -maker.side, ticks, lots)
                found.append(printed)
    for each in (shrink for rest in shrinks.values() for shrink in rest):
        if each.at_ms * MS <= done_ns.get(each.order, 0):
            took[each.order] += each.lots  # what rounding left of a market order
        else:  # shrunk without a trade: cancelled in part
            left = Event(each.at_ms * MS, LEFT, each.order, each.side, each.ticks, each.lots)
            found.append(left)
    for order, event in created.items():
        lots = event.lots - took[order]
        if lots > 0 and order not in repriced:
            at_ns = max(event.at_ns, done_ns.get(order, 0))
            found.append(event._replace(at_ns=at_ns, lots=lots))
    return sorted(found, key=lambda event: event.at_ns)
