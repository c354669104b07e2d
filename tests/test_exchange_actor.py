"""The simulated exchange inside a Ray actor: the same server, found by its address, gone with its handle."""

import asyncio
import os
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import aiohttp
import pytest

pytest.importorskip("ray", reason="the cluster extra is not installed")

import ray

from actors.exchange import ExchangeActor, start_exchange
from actors.launch import RAY_ENVIRONMENT

DEMO = (Path(__file__).parent.parent / "configs" / "demo.toml").read_text()


async def ordered(url: str) -> list[str]:
    """What is said of an order: the types of the frames until it is filled."""
    said: list[str] = []
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/alpha") as socket:
        await socket.send_json(
            {
                "op": "order",
                "client_id": "a",
                "symbol": "BTC/USDT",
                "side": "buy",
                "price": "70000.00",
                "qty": "0.01000",
                "tif": "ioc",
            }
        )
        async for message in socket:
            frame = message.json()
            said.append(frame.get("state", frame["type"]))
            if said[-1] == "filled":
                break
    return said


def test_the_actors_class_serves_without_ray() -> None:
    """It is a plain class: made, asked, stopped."""
    actor = ExchangeActor(DEMO)
    assert asyncio.run(ordered(actor.url()))[-1] == "filled"
    assert set(actor.urls()) == {"alpha", "beta", "gamma"}
    taken = int(actor.url().rpartition(":")[2])
    with pytest.raises(OSError, match="ddress already in use"):
        ExchangeActor(DEMO, taken)
    actor.stop()
    with pytest.raises(URLError):
        urlopen(f"http://127.0.0.1:{taken}/admin/alpha")


@pytest.mark.cluster
@pytest.mark.timeout(180)
def test_the_exchange_lives_in_a_ray_actor() -> None:
    """In a process of its own, by the port it gives back."""
    os.environ.update(RAY_ENVIRONMENT)
    ray.init(
        num_cpus=1,
        include_dashboard=False,
        object_store_memory=80 * 2**20,
        log_to_driver=False,
        configure_logging=False,
    )
    try:
        actor, url = start_exchange(DEMO)
        assert ray.get(actor.pid.remote()) != os.getpid()
        assert asyncio.run(ordered(url))[-1] == "filled"
        ray.get(actor.stop.remote())
        with pytest.raises(URLError):
            urlopen(f"{url.replace('ws:', 'http:')}/admin/alpha")
    finally:
        ray.shutdown()
