"""Keys to exchanges: where they come from, and how they are kept out of every log, error and page."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from engine.config import ENGINE_ACCOUNT, Config, ConfigError
from engine.exchange.accounts import credentials


class Secret:
    """A text that shows itself to nobody who does not ask for it by name."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for who signs with it."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return "Secret(***)"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret is not written anywhere")


class Keys(NamedTuple):
    """What a private request is signed with."""

    key: Secret
    secret: Secret
    password: Secret


def keys_of(
    config: Config, place: int, environment: Mapping[str, str] | None = None
) -> Keys | None:
    """The keys of the venue at a place; None where its mode trades on paper or it is not traded on.

    A simulated venue's follow from names. Raises ConfigError naming the variable that is missing.
    """
    venue = config.venues[place]
    if venue.kind == "simulated" or config.mode == "paper":
        # Those of our own exchange, worth nothing; a real venue's are not even looked for.
        key, secret = credentials(config.name, ENGINE_ACCOUNT)
        return Keys(Secret(key), Secret(secret.decode()), Secret(""))
    if config.mode == "simulated" or venue.trading.gateway == "none":
        return None
    known = os.environ if environment is None else environment
    found = []
    for field in ("key_env", "secret_env", "password_env"):
        name = getattr(venue.trading, field)
        if not name and field != "password_env":
            raise ConfigError(
                f"venues[{place}].trading.{field}: mode {config.mode!r} needs the name of the "
                "environment variable that holds it"
            )
        if name and not known.get(name):
            raise ConfigError(
                f"venues[{place}].trading.{field}: the environment variable {name} is not set"
            )
        found.append(Secret(known.get(name, "") if name else ""))
    return Keys(*found)
