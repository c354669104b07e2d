"""What an operator may say by the control API: it needs the token, and enters the inbox as one message."""

from collections.abc import Iterator

import httpx
import pytest

from engine.messages import (
    AnyMessage,
    CancelAll,
    OrderState,
    Reconcile,
    ResolveUnknown,
    Risk,
    Scope,
    SetBreaker,
    SetLimit,
    SetRiskLevel,
)
from tests.api_rig import TOKEN, Server

RESOLVED = {"venue": "beta", "client_order_id": "ab12", "state": "CANCELLED"}
WORDS: dict[str, tuple[dict[str, object], AnyMessage]] = {
    "risk-level": ({"level": "NORMAL"}, SetRiskLevel(0, 41, 0, Risk.NORMAL, "me")),
    "limits": (
        {"scope": "VENUE", "subject": "beta", "name": "gross_max", "value": "100"},
        SetLimit(0, 41, 0, Scope.VENUE, "beta", "gross_max", "100", "me"),
    ),
    "breakers": ({"venue": "beta", "open": True}, SetBreaker(0, 41, 0, 1, True, "me")),
    "reconcile": ({"venue": "gamma"}, Reconcile(0, 41, 0, 2, "me")),
    "resolve-unknown": (
        dict(RESOLVED),
        ResolveUnknown(0, 41, 0, 1, "ab12", OrderState.CANCELLED, "me"),
    ),
    "cancel-all": ({}, CancelAll(0, 41, 0, -1, "me")),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests."""
    server = Server(tmp_path_factory.mktemp("api"))
    yield server
    server.close()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A client of it."""
    transport = httpx.HTTPTransport(retries=5)
    with httpx.Client(transport=transport, base_url=f"http://127.0.0.1:{server.port}") as client:
        yield client


@pytest.mark.parametrize("path", list(WORDS))
def test_a_word_needs_the_token(server: Server, client: httpx.Client, path: str) -> None:
    """401, and nothing enters the inbox."""
    assert client.post(f"/api/v1/{path}", json=WORDS[path][0]).status_code == 401
    assert not server.told


@pytest.mark.parametrize("path", list(WORDS))
def test_an_operators_word_enters_the_inbox(
    server: Server, client: httpx.Client, path: str
) -> None:
    """As one message with the shell's number; 202, for what becomes of it is told elsewhere."""
    body, message = WORDS[path]
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = client.post(f"/api/v1/{path}", json={**body, "who": "me"}, headers=headers)
    assert (answer.status_code, list(answer.json())) == (202, ["said"])
    assert server.told == [message]
    server.told.clear()


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("risk-level", {"level": "HALT"}, "who"),
        ("risk-level", {"level": "HALT", "who": ""}, "who"),
        ("risk-level", {"level": "PANIC", "who": "me"}, "level"),
        ("reconcile", {"venue": "nowhere", "who": "me"}, "venue"),
        ("cancel-all", {"venue": "nowhere", "who": "me"}, "venue"),
        ("resolve-unknown", {**RESOLVED, "state": "UNKNOWN", "who": "me"}, "state"),
        ("limits", {"scope": "MOON", "name": "x", "who": "me"}, "scope"),
    ],
    ids=str,
)
def test_a_word_that_means_nothing_is_refused(
    server: Server, client: httpx.Client, path: str, body: dict[str, str], field: str
) -> None:
    """400, and nothing enters the inbox."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = client.post(f"/api/v1/{path}", json=body, headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert not server.told
