"""Where the tables for people and queries are kept: the table `[store]`."""

from typing import Annotated

import msgspec
from msgspec import Meta

EnvironmentName = Annotated[str, Meta(pattern="^([A-Z][A-Z0-9_]*)?$")]
UrlWithoutPassword = Annotated[str, Meta(pattern="^(postgresql://([^:@/]*@)?[^@]*)?$")]


class StoreConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Orders, fills, positions and the like as tables, written from the journal off the hot path.

    By default into SQLite at STATE_DIR/store.sqlite; `path` names another file. `url` is a PostgreSQL
    database's and has no password in it; `url_env` names the environment variable with a whole url.
    Every `every_ms` what is new is written, at most `batch_max` records in one transaction.
    """

    enabled: bool = True
    path: str = ""
    url: UrlWithoutPassword = ""
    url_env: EnvironmentName = ""
    batch_max: Annotated[int, Meta(ge=1, le=100_000)] = 5000
    every_ms: Annotated[int, Meta(ge=10, le=60_000)] = 250

    def __post_init__(self) -> None:
        if sum(map(bool, (self.path, self.url, self.url_env))) > 1:
            raise ValueError("one of path, url and url_env is expected, not several")
