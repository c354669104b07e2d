"""What the models of all exchanges share: a place on the tape, subscriptions, the true book now."""

from pathlib import Path

from tests.loopback.tape import Moment, Step, Tape

Text = list[tuple[str, str]]


class Peer:
    """What an exchange keeps of one connection."""

    def __init__(self) -> None:
        self.books: set[str] = set()
        self.count = 0
        self.channel = 100
        self.channels: dict[int, tuple[str, str]] = {}


class Model:
    """The public side of an exchange, which plays a tape. Subclasses know its frames.

    `depth` is how many levels a client can be sure of, None for all; `asks_http` says that
    snapshots come over HTTP. Where frames are not `dated`, a checksum says that a book was true once,
    not that it is the newest: two frames that undo each other may come in the wrong order unseen.
    """

    protocol = ""
    depth: int | None = None
    asks_http = False
    dated = True
    welcome = ""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.position = 0
        self.places = dict.fromkeys(tape.markets, 0)

    @staticmethod
    def tape_of(folder: Path) -> Tape | None:
        """The tape, where it is not the recorded one."""
        return None

    def advance(self) -> Step:
        """The next change of a market happens."""
        step = self.tape.steps[self.position]
        self.position += 1
        self.places[step.symbol] = step.place
        return step

    def moment(self, symbol: str, back: int = 0) -> Moment:
        """The true book of a market now, or some of its changes ago."""
        return self.tape.markets[symbol][max(0, self.places[symbol] - back)]

    def subscribes(self, peer: Peer, symbol: str, on: bool) -> bool:
        """A connection enters or leaves a book; whether it is in it now."""
        if on:
            peer.books.add(symbol)
        else:
            peer.books.discard(symbol)
        return on

    def greeting(self, peer: Peer) -> list[bytes]:
        """What is sent when a connection opens."""
        return []

    def heard(self, peer: Peer, payload: bytes) -> list[bytes]:
        """What a client's frame is answered with."""
        raise NotImplementedError

    def stream(self, peer: Peer, step: Step) -> list[bytes]:
        """The frames of a step for one of its subscribers: as recorded."""
        return [step.payload]

    def answer(self, path: str, back: int, stream_url: str) -> bytes | None:
        """The answer to a path over HTTP, `back` changes old; None where there is none."""
        return self.tape.listings.get(path.partition("?")[0].lstrip("/"))


def texts(moment: Moment) -> tuple[Text, Text]:
    """Both sides in the digits that they were recorded with."""
    bids, asks = ([(f"{p:f}", f"{q:f}") for p, q in side] for side in (moment.bids, moment.asks))
    return bids, asks
