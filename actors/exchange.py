"""The simulated exchange as a Ray actor: the same server on a thread of its own, reachable by its address.

`orchestrator run` starts it as a process instead, which outlives the engine's cluster. As an actor it
is for clusters that bring their own exchange, such as a test that runs whole in Ray: it lives and
dies with the handle.
"""

import asyncio
import os
import threading
import time
from typing import Any

import uvloop

from engine.config import parse
from engine.edges.exchange_server import make_fronts, spare_the_old
from engine.edges.exchange_sockets import ExchangeServer
from engine.exchange.admin import administer

UP_TIMEOUT_S = 20.0


class ExchangeActor:
    """Serves the exchange of a configuration's text. Raises ConfigError, or OSError for a taken port."""

    def __init__(self, text: str, port: int = 0) -> None:
        self._server = ExchangeServer(
            make_fronts(parse(text, "exchange"), time.time_ns()), administer
        )
        self._port = port
        self._error: OSError | None = None
        self._up = threading.Event()
        self._loop = uvloop.new_event_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if not self._up.wait(UP_TIMEOUT_S):
            raise TimeoutError("the exchange did not come up")
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        spare_the_old()
        try:
            await self._server.open(self._port)
        except OSError as error:
            self._error = error
            return
        finally:
            self._up.set()
        await self._ended.wait()
        await self._server.close()

    def pid(self) -> int:
        """The process it runs in."""
        return os.getpid()

    def url(self) -> str:
        """Where it listens, without a path."""
        return self._server.url

    def urls(self) -> dict[str, list[str]]:
        """Where each venue is to be found."""
        return self._server.urls()

    def stop(self) -> None:
        """Hang up on everybody and end."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(UP_TIMEOUT_S)


def start_exchange(text: str, port: int = 0) -> tuple[Any, str]:
    """An exchange in an actor of the running cluster: its handle, and where it listens.

    It listens on loopback of the node it is placed on, which is the caller's own.
    """
    import ray

    node = ray.get_runtime_context().get_node_id()
    here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
    actor: Any = (
        ray.remote(ExchangeActor)
        .options(num_cpus=0, scheduling_strategy=here, enable_task_events=False)
        .remote(text, port)
    )
    return actor, str(ray.get(actor.url.remote()))
