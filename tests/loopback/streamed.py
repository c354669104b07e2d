"""Models of the exchanges whose stream itself brings the snapshot, after each subscription."""

import json
import re
from decimal import Decimal
from pathlib import Path

from tests.loopback.model import Model, Peer, texts
from tests.loopback.tape import Change, Moment, Step, Tape, kraken_crc, made_tape, recorded_tape
from tests.twins.book import ASK, BID
from tests.twins.book import Book as SlowBook
from tests.twins.checksum import bitfinex as bitfinex_crc
from tests.twins.rebuild import Okx

SEQUENCE = re.compile(rb'"sequence_num":\d+')
OB_CHECKSUM = 131072


class KrakenV1Model(Model):
    """Kraken v1, as recorded."""

    protocol = "kraken_v1"
    depth = 10  # what the checksum covers
    dated = False

    def heard(self, peer: Peer, payload: bytes) -> list[bytes]:
        call = json.loads(payload)
        if call["event"] == "ping":
            return [b'{"event":"pong"}']
        replies = []
        for pair in call["pair"]:
            name = call["subscription"]["name"]
            status = {"event": "subscriptionStatus", "pair": pair, "status": call["event"] + "d"}
            replies.append(json.dumps(status).encode())
            if name == "book" and self.subscribes(peer, pair, call["event"] == "subscribe"):
                replies.append(self.whole(pair))
        return replies

    def whole(self, pair: str) -> bytes:
        """A snapshot."""
        sides = {
            side + "s": [[*level, "1618678123.4"] for level in levels]
            for side, levels in zip("ab", reversed(texts(self.moment(pair))), strict=True)
        }
        return json.dumps([1, sides, "book-1000", pair]).encode()


class KrakenModel(Model):
    """Kraken v2: no capture; v1's recorded changes as objects with bare numbers, depth 100."""

    protocol = "kraken"
    depth = 10
    dated = False

    @staticmethod
    def tape_of(folder: Path) -> Tape:
        return made_tape(folder, "kraken_v1", "kraken", _v2_whole, _v2_change)

    def heard(self, peer: Peer, payload: bytes) -> list[bytes]:
        call = json.loads(payload)
        if call["method"] == "ping":
            return [b'{"method":"pong"}']
        replies = []
        for symbol in call["params"]["symbol"]:
            on, book = call["method"] == "subscribe", call["params"]["channel"] == "book"
            if book and on == (symbol in peer.books):
                error = "Already subscribed" if on else "Subscription Not Found"
                answer = {"method": call["method"], "error": error, "success": False}
                replies.append(json.dumps(answer).encode())
                continue
            replies.append(json.dumps({"method": call["method"], "success": True}).encode())
            if book and self.subscribes(peer, symbol, on):
                replies.append(_v2_whole(symbol, [], self.moment(symbol)))
        return replies


def _v2_levels(levels: list[tuple[str, str]]) -> str:
    return "[" + ",".join(f'{{"price":{p},"qty":{q}}}' for p, q in levels) + "]"


def _v2(kind: str, symbol: str, sides: dict[str, list[tuple[str, str]]], crc: int) -> bytes:
    bids, asks = _v2_levels(sides["b"]), _v2_levels(sides["a"])
    item = f'{{"symbol":"{symbol}","bids":{bids},"asks":{asks},"checksum":{crc}}}'
    return f'{{"channel":"book","type":"{kind}","data":[{item}]}}'.encode()


def _v2_whole(symbol: str, _: list[Change], moment: Moment) -> bytes:
    bids, asks = texts(moment)
    return _v2("snapshot", symbol, {"b": bids, "a": asks}, kraken_crc(moment))


def _v2_change(symbol: str, changes: list[Change], moment: Moment) -> bytes:
    sides = {side: [(p, q) for s, p, q in changes if s == side] for side in "ba"}
    return _v2("update", symbol, sides, kraken_crc(moment))


class OkxModel(Model):
    """OKX, as recorded in 2022: a checksum, no seqId yet."""

    protocol = "okx"
    depth: int | None = 25
    dated = False

    def heard(self, peer: Peer, payload: bytes) -> list[bytes]:
        if payload == b"ping":
            return [b"pong"]
        call = json.loads(payload)
        replies = []
        for arg in call["args"]:
            replies.append(json.dumps({"event": call["op"], "arg": arg}).encode())
            books = arg["channel"] == "books"
            if books and self.subscribes(peer, arg["instId"], call["op"] == "subscribe"):
                replies.append(self.whole(arg["instId"]))
        return replies

    def whole(self, name: str) -> bytes:
        """A snapshot."""
        moment = self.moment(name)
        bids, asks = ([[*level, "0", "1"] for level in side] for side in texts(moment))
        data = {"asks": asks, "bids": bids, "ts": "1", **self.proof(name, moment)}
        arg = {"channel": "books", "instId": name}
        return json.dumps({"arg": arg, "action": "snapshot", "data": [data]}).encode()

    def proof(self, name: str, moment: Moment) -> dict[str, int]:
        """What lets a client verify a snapshot."""
        rebuild = Okx()
        rebuild.books[name] = {"b": dict(moment.bids), "a": dict(moment.asks)}
        return {"checksum": rebuild.crc(name)}


class OkxChainedModel(OkxModel):
    """OKX as it is documented now: seqId and prevSeqId, the checksum 0. Recorded changes, our ids."""

    depth = None
    dated = True

    def stream(self, peer: Peer, step: Step) -> list[bytes]:
        message = json.loads(step.payload)
        number = 7 * step.place + 100
        message["data"][0].update(checksum=0, prevSeqId=number - 7, seqId=number)
        return [json.dumps(message).encode()]

    def proof(self, name: str, moment: Moment) -> dict[str, int]:
        return {"checksum": 0, "prevSeqId": -1, "seqId": 7 * self.places[name] + 100}


class BybitModel(Model):
    """Bybit spot, as recorded."""

    protocol = "bybit"

    def heard(self, peer: Peer, payload: bytes) -> list[bytes]:
        call = json.loads(payload)
        if call["op"] == "ping":
            return [b'{"success":true,"ret_msg":"pong","op":"ping"}']
        snapshots = []
        for topic in call["args"]:
            kind, _, symbol = topic.rpartition(".")
            if kind == "orderbook.200":
                if call["op"] == "subscribe" and symbol in peer.books:
                    told = {"success": False, "ret_msg": f"already subscribed: {topic}"}
                    return [json.dumps(told).encode()]
                if self.subscribes(peer, symbol, call["op"] == "subscribe"):
                    snapshots.append(self.whole(symbol))
        told = {"success": True, "ret_msg": "", "conn_id": "x", "req_id": "", "op": call["op"]}
        return [json.dumps(told).encode(), *snapshots]

    def whole(self, symbol: str) -> bytes:
        """A snapshot."""
        bids, asks = texts(self.moment(symbol))
        data = {"s": symbol, "b": bids, "a": asks, "u": self.moment(symbol).number, "seq": 1}
        topic = f"orderbook.200.{symbol}"
        return json.dumps({"topic": topic, "type": "snapshot", "ts": 1, "data": data}).encode()


class BybitLinearModel(BybitModel):
    """Bybit linear, as recorded."""

    protocol = "bybit_linear"


class CoinbaseModel(Model):
    """Coinbase Advanced Trade, as recorded; every frame is numbered anew for each connection."""

    protocol = "coinbase"

    def heard(self, peer: Peer, payload: bytes) -> list[bytes]:
        call = json.loads(payload)
        replies = [
            self._numbered(peer, b'{"channel":"subscriptions","sequence_num":0,"events":[]}')
        ]
        for product in call["product_ids"] if call["channel"] == "level2" else ():
            if self.subscribes(peer, product, call["type"] == "subscribe"):
                bids, asks = texts(self.moment(product))
                updates = [
                    {"side": side, "event_time": "", "price_level": price, "new_quantity": size}
                    for side, levels in (("bid", bids), ("offer", asks))
                    for price, size in levels
                ]
                event = {"type": "snapshot", "product_id": product, "updates": updates}
                frame = {"channel": "l2_data", "sequence_num": 0, "events": [event]}
                whole = json.dumps(frame, separators=(",", ":")).encode()
                replies.append(self._numbered(peer, whole))
        return replies

    def stream(self, peer: Peer, step: Step) -> list[bytes]:
        return [self._numbered(peer, step.payload)]

    def _numbered(self, peer: Peer, payload: bytes) -> bytes:
        number, peer.count = peer.count, peer.count + 1
        return SEQUENCE.sub(b'"sequence_num":%d' % number, payload, count=1)


class CoinbaseExchangeModel(Model):
    """Coinbase Exchange: no capture; Advanced Trade's recorded changes as level2_batch's frames."""

    protocol = "coinbase_exchange"

    @staticmethod
    def tape_of(folder: Path) -> Tape:
        return made_tape(folder, "coinbase", "coinbase_exchange", _exchange_whole, _exchange_change)

    def heard(self, peer: Peer, payload: bytes) -> list[bytes]:
        call = json.loads(payload)
        replies = [b'{"type":"subscriptions","channels":[]}']
        for product in call["product_ids"]:
            if self.subscribes(peer, product, call["type"] == "subscribe"):
                replies.append(_exchange_whole(product, [], self.moment(product)))
        return replies


def _exchange_whole(product: str, _: list[Change], moment: Moment) -> bytes:
    bids, asks = texts(moment)
    told = {"type": "snapshot", "product_id": product, "bids": bids, "asks": asks}
    return json.dumps(told).encode()


def _exchange_change(product: str, changes: list[Change], moment: Moment) -> bytes:
    levels = [["buy" if side == "b" else "sell", price, size] for side, price, size in changes]
    return json.dumps({"type": "l2update", "product_id": product, "changes": levels}).encode()


class BitfinexModel(Model):
    """Bitfinex, as recorded, which is without checksum frames; channels and counts are ours."""

    protocol = "bitfinex"
    checksums = False

    def greeting(self, peer: Peer) -> list[bytes]:
        return [b'{"event":"info","version":2,"platform":{"status":1}}']

    def heard(self, peer: Peer, payload: bytes) -> list[bytes]:
        call = json.loads(payload)
        if call["event"] == "ping":
            # The venue says "hb" each 15 seconds on a channel that is still; here with each pong.
            beats = [self._counted(peer, channel, '"hb"') for channel in peer.channels]
            return [b'{"event":"pong","ts":1}', *beats]
        if call["event"] == "conf":
            return [json.dumps({**call, "status": "OK"}).encode()]
        if call["event"] == "unsubscribe":
            return self._left(peer, call["chanId"])
        topic = call["channel"], call["symbol"]
        if topic in peer.channels.values():
            told = {**call, "event": "error", "msg": "subscribe: dup", "code": 10301}
            return [json.dumps(told).encode()]
        peer.channel += 1
        channel = peer.channel
        peer.channels[channel] = topic
        replies = [json.dumps({**call, "event": "subscribed", "chanId": channel}).encode()]
        if call["channel"] != "book":
            return [*replies, self._counted(peer, channel, "[]")]
        self.subscribes(peer, call["symbol"], True)
        replies.append(self._counted(peer, channel, self._whole(call["symbol"])))
        return replies + self._checksum(peer, channel, call["symbol"])

    def _left(self, peer: Peer, channel: int) -> list[bytes]:
        if channel not in peer.channels:
            return [b'{"event":"error","msg":"unsubscribe: invalid","code":10400}']
        kind, symbol = peer.channels.pop(channel)
        if kind == "book":
            self.subscribes(peer, symbol, False)
        return [json.dumps({"event": "unsubscribed", "status": "OK", "chanId": channel}).encode()]

    def _whole(self, symbol: str) -> str:
        bids, asks = texts(self.moment(symbol))
        levels = [f"[{p},1,{q}]" for p, q in bids] + [f"[{p},1,-{q}]" for p, q in asks]
        return "[" + ",".join(levels) + "]"

    def stream(self, peer: Peer, step: Step) -> list[bytes]:
        channel = next(c for c, topic in peer.channels.items() if topic == ("book", step.symbol))
        body = step.payload.decode()[1:-1].partition(",")[2].rpartition(",")[0]
        return [
            self._counted(peer, channel, body),
            *self._checksum(peer, channel, step.symbol),
        ]

    def _counted(self, peer: Peer, channel: int, body: str) -> bytes:
        peer.count += 1
        return f"[{channel},{body},{peer.count}]".encode()

    def _checksum(self, peer: Peer, channel: int, symbol: str) -> list[bytes]:
        if not self.checksums:
            return []
        book, moment = SlowBook(), self.moment(symbol)
        for side, levels in ((BID, moment.bids), (ASK, moment.asks)):
            for price, quantity in levels[:25]:
                book.change(side, _fine(price), _fine(quantity))
        crc = bitfinex_crc(book, (1, PLACES), (1, PLACES))
        return [self._counted(peer, channel, f'"cs",{crc}')]


PLACES = 12


def _fine(number: Decimal) -> int:
    return int(number.scaleb(PLACES))


class BitfinexCheckedModel(BitfinexModel):
    """Bitfinex with the checksum flag: recorded changes, checksum frames by the documented rule."""

    checksums = True


def tape_of(model: type[Model], folder: Path) -> Tape:
    """The tape that a model plays."""
    return model.tape_of(folder) or recorded_tape(folder, model.protocol)
