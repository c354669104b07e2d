"""The simulated exchange's end of a venue's line, as a test wants it: it answers what it is asked."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from engine.messages import AnyMessage, Frame, OrderRequest, SendFrame
from engine.venue import Venue

Fields = dict[str, Any]


def asked(outputs: Sequence[AnyMessage]) -> list[Fields]:
    """The frames among outputs, read."""
    payloads = [o.payload for o in outputs if isinstance(o, (SendFrame, OrderRequest))]
    return [json.loads(payload) for payload in payloads]


def sent(outputs: Sequence[AnyMessage]) -> list[str]:
    """The operations of the frames among outputs."""
    return [fields["op"] for fields in asked(outputs)]


def frame(now_ns: int, **fields: object) -> Frame:
    """A frame of the exchange."""
    return Frame(0, 9, now_ns, 0, 0, 0, json.dumps(fields).encode())


class Account:
    """What the exchange knows: orders that rest, orders by id, fills, balances."""

    def __init__(self) -> None:
        self.open: list[Fields] = []
        self.orders: dict[str, Fields] = {}
        self.fills: list[Fields] = []
        self.balances: Mapping[str, str] = {"BTC": "1", "USDT": "100000"}

    def answer(self, ask: Fields, now_ns: int) -> Fields | None:
        """What the exchange says to a frame; None where it says nothing by itself."""
        base = {"ts": now_ns, "ref": ask.get("ref", 0)}
        match ask["op"]:
            case "login":
                return {"type": "account", "account": ask["account"], "ts": now_ns}
            case "time":
                return {"type": "time", **base}
            case "open_orders":
                return {"type": "open_orders", "orders": self.open, **base}
            case "fills":
                later = [fill for fill in self.fills if fill["fill_seq"] > ask["since"]]
                return {"type": "fills", "fills": later, **base}
            case "balances":
                return {"type": "balances", "balances": self.balances, **base}
            case "query":
                name = ask["client_id"]
                found = self.orders.get(name)
                if found is None:
                    return {"type": "query", "client_id": name, "found": False, **base}
                return {"type": "query", "found": True, **found, **base}
        return None

    def agree(
        self, venue: Venue, outputs: Sequence[AnyMessage], now_ns: int, venue_ns: int = 0
    ) -> list[AnyMessage]:
        """Answer what was asked, and what follows is asked, until nothing is; all that came out."""
        everything: list[AnyMessage] = []
        waiting = asked(outputs)
        while waiting:
            said = self.answer(waiting.pop(0), venue_ns or now_ns)
            if said is not None:
                more = venue.on_message(frame(now_ns, **said), now_ns)
                everything += more
                waiting += asked(more)
        return everything
