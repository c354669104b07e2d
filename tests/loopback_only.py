"""Nothing may leave this machine: every connection to elsewhere raises and is kept."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Served(Protocol):
    """What is served on loopback: where requests and websockets go."""

    @property
    def http(self) -> str:
        """The address of requests."""

    @property
    def ws(self) -> str:
        """The address of websockets."""


class LeftTheMachine(AssertionError):
    """A test asked for a host that is not this one."""


@contextmanager
def loopback_only() -> Iterator[list[str]]:
    """The hosts that were asked for in vain; raises at its end if there were any."""
    strangers: list[str] = []
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def check(host: Any) -> None:
        if isinstance(host, bytes):
            host = host.decode()
        if host is not None and host not in LOOPBACK:
            strangers.append(str(host))
            raise LeftTheMachine(host)

    def guarded_connect(self: socket.socket, address: Any) -> Any:
        if isinstance(address, tuple):
            check(address[0])
        return connect(self, address)

    def guarded_resolve(host: Any, *more: Any, **named: Any) -> Any:
        check(host)
        return resolve(host, *more, **named)

    socket.socket.connect = guarded_connect  # type: ignore[method-assign]
    socket.getaddrinfo = guarded_resolve
    try:
        yield strangers
    finally:
        socket.socket.connect = connect  # type: ignore[method-assign]
        socket.getaddrinfo = resolve
    assert not strangers, f"asked for {strangers}"
