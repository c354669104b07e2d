"""Where the control API listens, in a configuration: the table `[api]`."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class ApiConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The control API: loopback only; port 0 takes any free one.

    `token_env` names the environment variable that holds the token; empty makes one at start.
    """

    host: Literal["127.0.0.1", "localhost", "::1"] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8090
    token_env: Annotated[str, Meta(pattern="^([A-Z][A-Z0-9_]*)?$")] = ""
