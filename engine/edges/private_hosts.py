"""Which hosts private requests may go to, by the mode: the last look before one is sent.

Simulated and paper trading reach loopback only, a sandbox reaches the exchange's testnet and never a host
of its production, and live trading reaches what its configuration names.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class HostRefused(RuntimeError):
    """A private request to a host that this mode must not reach; nothing was sent."""


class PrivateHosts:
    """The hosts that one venue's private requests may go to. `production` are those of live trading."""

    def __init__(self, mode: str, production: Iterable[str] = ()) -> None:
        self._mode = mode
        self._production = frozenset(production)

    def check(self, url: str) -> None:
        """Let a request pass, or raise HostRefused."""
        host = urlsplit(url).hostname or ""
        if self._mode == "live" or host in LOOPBACK:
            return
        if self._mode == "sandbox" and host and host not in self._production:
            return
        raise HostRefused(
            f"mode {self._mode!r} must not send a private request to {host or url!r}; "
            "mode = 'live' with keys given on purpose is the only one that may"
        )


def hosts_in(urls: object) -> frozenset[str]:
    """Every host named in nested addresses, such as those of a client library."""
    if isinstance(urls, dict):
        return frozenset().union(*(hosts_in(url) for url in urls.values()))
    if isinstance(urls, list | tuple):
        return frozenset().union(*(hosts_in(url) for url in urls))
    host = urlsplit(urls).hostname if isinstance(urls, str) else None
    return frozenset((host,)) if host else frozenset()
