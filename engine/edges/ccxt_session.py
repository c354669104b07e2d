"""One ccxt.pro client for as long as all goes well: what raises or closes inside it ends it.

ccxt.pro tells of some failures only by saying nothing more. A session listens where they happen, ends,
and leaves it to its owner to open another with a client that has none of the old one's state.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


class Session:
    """The life of one ccxt.pro client. `connected` is called for each socket that it opens.

    The event of that name is set from the first one on, `heard` from the first message on.
    """

    def __init__(self, client: Any, connected: Callable[[], None]) -> None:
        self.client = client
        self.loop = asyncio.get_running_loop()
        self.connected = asyncio.Event()
        self.heard = asyncio.Event()
        self._tell = connected
        self._over: asyncio.Future[tuple[str, bool]] = self.loop.create_future()
        self._handle = client.handle_message
        self._hooks = client.on_connected, client.on_error, client.on_close
        client.handle_message = self._guarded
        client.on_connected = self._on_connected
        client.on_error = self._on_error
        client.on_close = self._on_close

    @property
    def over(self) -> bool:
        """Whether it ended."""
        return self._over.done()

    async def until_over(
        self,
        watching: "asyncio.Task[None]",
        fatal: type[Exception],
        lost: Callable[[str], None],
    ) -> str:
        """Until it fails; what raised, or '' where nothing did. Raises what is `fatal`.

        `watching` is what uses the client. `lost` is told why it ended, before the client is closed.
        """
        try:
            ends: set[asyncio.Future[Any]] = {watching, self._over}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not self._over.done():
                error = first_of(watching.exception())
                if isinstance(error, fatal):
                    raise error
                self.end(f"{type(error).__name__}: {error}", raised=True)
            cause, raised = self._over.result()
            lost(cause)
        finally:
            self.end("closed by us")
            watching.cancel()
            # Whoever cancels us now waits for no one: the client is closed all the same.
            await asyncio.shield(self._close(watching))
        return cause if raised else ""

    async def _close(self, watching: "asyncio.Task[None]") -> None:
        await asyncio.gather(watching, return_exceptions=True)
        await self.client.close()

    def end(self, cause: str, raised: bool = False) -> None:
        """Nothing more of this client is believed. Says nothing itself: it may be inside a step."""
        if not self._over.done():
            self._over.set_result((cause, raised))

    async def repeat(self, call: Callable[[], Awaitable[Any]], take: Callable[[Any], None]) -> None:
        """Take what a call gives, for ever; raises what the call raised."""
        task = asyncio.current_task()
        assert task is not None
        while True:
            try:
                answer = await call()
            except asyncio.CancelledError:
                if task.cancelling():
                    raise
                raise ConnectionError("ccxt.pro closed its connection") from None
            if not self._over.done():
                take(answer)

    # --- inside ccxt.pro's client ------------------------------------------------------------------

    def _guarded(self, client: Any, message: Any) -> Any:
        """ccxt.pro stops reading, and says nothing, when this raises."""
        self.heard.set()
        try:
            return self._handle(client, message)
        except Exception as error:  # noqa: BLE001 -- ccxt's handlers raise anything; it is told
            self.end(f"a handler raised {type(error).__name__}: {error}", raised=True)
            return None

    def _on_connected(self, client: Any, message: Any = None) -> None:
        self._hooks[0](client, message)
        if not self._over.done():
            self.connected.set()
            self._tell()

    def _on_error(self, client: Any, error: Any) -> None:
        self._hooks[1](client, error)
        self.end(f"{type(error).__name__}: {error}", raised=True)

    def _on_close(self, client: Any, error: Any) -> None:
        self._hooks[2](client, error)
        self.end(f"closed by the venue ({error})")


def first_of(error: BaseException | None) -> BaseException | None:
    """An error, or the first in a group of them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
