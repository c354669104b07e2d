"""Binance over HTTP: from a call to its answer, with the headers of the limits.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/general-api-information
"""

from typing import Any

import msgspec

from engine.exchange.wires.binance_endpoints import ANY, BY_PATH, SIGNED, Endpoint
from engine.exchange.wires.binance_keys import (
    Security,
    check_form,
    check_rights,
    check_signature,
    check_time,
)
from engine.exchange.wires.binance_orders import Ask
from engine.exchange.wires.binance_params import Values, declared, form, read_values, unsigned
from engine.exchange.wires.binance_state import State
from engine.exchange.wires.binance_words import MESSAGES, Problem, ms
from engine.exchange.wires.wire import Answer, Call, Failure

encode = msgspec.json.Encoder().encode
_SIGNED_ONLY = declared(SIGNED)


def admit(
    state: State, endpoint: Endpoint, key: str, sent: dict[str, str], payload: str, now_ns: int
) -> Ask:
    """Who asks what, checked in the order that `binance_keys` tells; raises Problem."""
    security = endpoint.security
    if security is Security.NONE:
        return Ask("", _values(endpoint, sent), now_ns)
    check_form(key)
    values = _values(endpoint, sent)
    known = check_rights(state.exchange.accounts.by_key(key), security)
    if security >= Security.USER_DATA:
        check_time(values, now_ns)
        check_signature(payload, values["signature"], known)
    return Ask(known.account, values, now_ns, known.rights)


def _values(endpoint: Endpoint, sent: dict[str, str]) -> Values:
    if endpoint.allowed is not ANY:
        return read_values(sent, endpoint.allowed)
    if endpoint.security < Security.USER_DATA:
        return {}
    return read_values({name: sent[name] for name in sent if name in _SIGNED_ONLY}, _SIGNED_ONLY)


def call(state: State, request: Call, now_ns: int) -> Answer:
    """The answer to an HTTP request."""
    account = ""
    try:
        state.meter.arrived(now_ns)
        endpoint = BY_PATH.get((request.method, request.path))
        if endpoint is None:
            state.meter.weigh(1, now_ns)
            return _not_found(request.path, state, now_ns)
        body = "" if request.method == "GET" else request.body.decode("utf-8", "replace")
        sent = {**form(body), **form(request.query)}  # the query string wins
        state.meter.weigh(endpoint.weighs(sent), now_ns)
        payload = unsigned(request.query) + unsigned(body)
        key = request.headers.get("x-mbx-apikey", "")
        ask = admit(state, endpoint, key, sent, payload, now_ns)
        account = ask.account if endpoint.counts else ""
        result = endpoint.act(state, ask)
    except Problem as problem:
        return problem_answer(problem, state.meter.headers(account, now_ns))
    return Answer(200, encode(result), state.meter.headers(account, now_ns))


def problem_answer(problem: Problem, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """A problem over HTTP."""
    if problem.retry_after_s:
        headers = (*headers, ("Retry-After", str(problem.retry_after_s)))
    return Answer(problem.status, encode(problem.body()), headers)


def _not_found(path: str, state: State, now_ns: int) -> Answer:
    if path.startswith("/api/"):
        return Answer(404, b"", (("Content-Type", "text/plain"),))
    body: dict[str, Any] = {
        "timestamp": ms(now_ns),
        "status": 404,
        "error": "Not Found",
        "message": "No message available",
        "path": path,
    }
    return Answer(404, encode(body), state.meter.headers("", now_ns))


UNKNOWN_OUTCOME = b"Unknown error, please check your request or try again later."
REJECTED = {"POST": (-2010, "NEW_ORDER_REJECTED"), "DELETE": (-2011, "CANCEL_REJECTED")}


def failure_problem(state: State, failure: Failure, verb: str, retry_after_s: int) -> Problem:
    """What Binance says of a failure that the front makes."""
    match failure:
        case Failure.RATE_LIMITED:
            return state.meter.beyond(None, retry_after_s)
        case Failure.BANNED:
            return state.meter.banned(retry_after_s, state.now_ns)
        case Failure.OVERLOADED:
            return Problem(-1008)
        case Failure.MAINTENANCE:
            return Problem(1, "System is under maintenance.", status=503)
        case Failure.REJECTED:
            return Problem(*REJECTED.get(verb, (-1000, MESSAGES[-1000])))
        case _:
            return Problem(-1007)


def failed(state: State, failure: Failure, request: Call, retry_after_s: int) -> Answer:
    """The answer to a call that the front makes fail; an unknown outcome is told without JSON."""
    if failure is Failure.UNAVAILABLE:
        return Answer(503, UNKNOWN_OUTCOME, (("Content-Type", "text/plain"),))
    problem = failure_problem(state, failure, request.method, retry_after_s)
    return problem_answer(problem, state.meter.headers("", state.now_ns))
