"""Calls of Kraken's private REST, as requests; page after page where an answer has more.

Source: https://docs.kraken.com/api/docs/guides/spot-rest-ratelimits
"""

from typing import Final

import msgspec

from engine.messages import CallKind
from engine.venues.kraken_words import CALLS
from engine.venues.native_calls import NativeCall, Params, call_of, encode
from engine.venues.trading import Request

PAGE: Final = 50


def ask(kind: CallKind, name: str, params: Params, points: int) -> Request:
    """A private call by its name, and the points that it costs."""
    call = NativeCall("POST", f"/0/private/{name}", params)
    return Request(kind, encode(call), weights=((CALLS, points),))


def next_page(request: Request, rows: int, count: int) -> Request | None:
    """The same request for the rows that follow; None after the last."""
    call = call_of(request.payload)
    params = {name: value for name, value in call.params if name != "ofs"}
    offset = int(dict(call.params).get("ofs", 0)) + PAGE
    if not rows or offset >= count:
        return None
    further: Params = (*params.items(), ("ofs", str(offset)))
    following = msgspec.structs.replace(call, params=further)
    return request._replace(payload=encode(following))
