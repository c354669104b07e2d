"""Models of the exchanges whose snapshots are asked over HTTP and joined to the stream by number."""

import json
import re

from tests.loopback.model import Model, Peer, Text, texts
from tests.loopback.tape import Moment


class AnsweredModel(Model):
    """What they share: a path that names a market, and a snapshot as the answer."""

    asks_http = True
    snapshots = re.compile("")
    levels_max = 1000

    def answer(self, path: str, back: int, stream_url: str) -> bytes | None:
        found = self.snapshots.search(path)
        if found is None:
            return super().answer(path, back, stream_url)
        moment = self.moment(found[1], back)
        bids, asks = (side[: self.levels_max] for side in texts(moment))
        return json.dumps(self.body(moment, bids, asks)).encode()

    def body(self, moment: Moment, bids: Text, asks: Text) -> dict:
        """A snapshot as the exchange words it."""
        raise NotImplementedError


class BinanceModel(AnsweredModel):
    """Binance spot, as recorded."""

    protocol = "binance"
    snapshots = re.compile(r"/depth\?symbol=(\w+)")

    def heard(self, peer: Peer, payload: bytes) -> list[bytes]:
        call = json.loads(payload)
        for stream in call["params"]:
            name, _, kind = stream.partition("@")
            if kind == "depth@100ms":
                self.subscribes(peer, name.upper(), call["method"] == "SUBSCRIBE")
        return [json.dumps({"result": None, "id": call["id"]}).encode()]

    def body(self, moment: Moment, bids: Text, asks: Text) -> dict:
        return {"lastUpdateId": moment.number, "bids": bids, "asks": asks}


class BinanceFuturesModel(BinanceModel):
    """Binance USD-M futures, as recorded."""

    protocol = "binance_futures"


class KucoinModel(AnsweredModel):
    """KuCoin, as recorded; its welcome gives the loopback address."""

    protocol = "kucoin"
    depth = 50  # a snapshot has 100 levels: what lies beyond is not known
    snapshots = re.compile(r"level2_100\?symbol=([\w-]+)")
    levels_max = 100
    welcome = "/api/v1/bullet-public"

    def greeting(self, peer: Peer) -> list[bytes]:
        return [b'{"id":"x","type":"welcome"}']

    def heard(self, peer: Peer, payload: bytes) -> list[bytes]:
        call = json.loads(payload)
        if call["type"] == "ping":
            return [b'{"id":"1","type":"pong"}']
        topic, _, names = call["topic"].partition(":")
        for name in names.split(",") if topic == "/market/level2" else ():
            self.subscribes(peer, name, call["type"] == "subscribe")
        return [json.dumps({"id": call["id"], "type": "ack"}).encode()]

    def answer(self, path: str, back: int, stream_url: str) -> bytes | None:
        if path == self.welcome:
            servers = [{"endpoint": stream_url, "pingInterval": 18000}]
            data = {"token": "word", "instanceServers": servers}
            return json.dumps({"code": "200000", "data": data}).encode()
        return super().answer(path, back, stream_url)

    def body(self, moment: Moment, bids: Text, asks: Text) -> dict:
        data = {"time": 1, "sequence": str(moment.number), "bids": bids, "asks": asks}
        return {"code": "200000", "data": data}


class GateModel(AnsweredModel):
    """Gate.io, as recorded."""

    protocol = "gate"
    depth = 50
    snapshots = re.compile(r"order_book\?currency_pair=(\w+)")
    levels_max = 100

    def heard(self, peer: Peer, payload: bytes) -> list[bytes]:
        call = json.loads(payload)
        if call["channel"] == "spot.ping":
            return [b'{"time":1,"channel":"spot.pong","event":"","result":null}']
        if call["channel"] == "spot.order_book_update":
            self.subscribes(peer, call["payload"][0], call["event"] == "subscribe")
        told = {"channel": call["channel"], "event": call["event"], "result": {"status": "success"}}
        return [json.dumps({"time": 1, **told}).encode()]

    def body(self, moment: Moment, bids: Text, asks: Text) -> dict:
        return {"id": moment.number, "current": 1, "update": 1, "asks": asks, "bids": bids}


class BitstampModel(AnsweredModel):
    """Bitstamp, as recorded."""

    protocol = "bitstamp"
    snapshots = re.compile(r"/order_book/(\w+)")

    def heard(self, peer: Peer, payload: bytes) -> list[bytes]:
        call = json.loads(payload)
        if call["event"] == "bts:heartbeat":
            return [b'{"event":"bts:heartbeat","channel":"","data":{"status":"success"}}']
        channel = call["data"]["channel"]
        if channel.startswith("diff_order_book_"):
            name = channel.removeprefix("diff_order_book_")
            self.subscribes(peer, name, call["event"] == "bts:subscribe")
        told = {"event": "bts:subscription_succeeded", "channel": channel, "data": {}}
        return [json.dumps(told).encode()]

    def body(self, moment: Moment, bids: Text, asks: Text) -> dict:
        stamp = str(moment.number)
        return {"timestamp": stamp[:10], "microtimestamp": stamp, "bids": bids, "asks": asks}
