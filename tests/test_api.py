"""The control API over a real socket: every route, every refusal, the stream."""

import asyncio
import json
import logging
from collections.abc import Iterator

import httpx
import pytest
import websockets
from jsonschema import Draft202012Validator

from actors.api.serving import PortTakenError, listen
from actors.api.source import SECTIONS
from engine.config import ApiConfig
from tests.api_rig import TOKEN, Server

READS = (
    "health",
    "actors",
    "venues",
    "books",
    "opportunities",
    "orders",
    "fills",
    "refusals",
    "positions",
    "balances",
    "pnl",
    "book-pnl",
    "worth",
    "differences",
    "risk",
    "state",
    "kill-switch",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests."""
    server = Server(tmp_path_factory.mktemp("api"))
    yield server
    server.close()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A client of it."""
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        for _ in range(100):
            try:
                client.get("/api/v1/health")
            except httpx.ConnectError:
                continue
            break
        yield client


def money_fields(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every field whose name says that it is an amount."""
    if isinstance(value, list):
        for item in value:
            yield from money_fields(item, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            if (
                key
                in (
                    "price buy_price sell_price quantity filled profit fee fees cost realised "
                    "unrealised equity total limit value realised_fifo realised_average fees_other "
                    "opening transfers today peak dust"
                ).split()
            ):
                yield f"{path}.{key}", item
            else:
                yield from money_fields(item, f"{path}.{key}")


@pytest.mark.parametrize("name", READS)
def test_every_read_is_what_the_schema_says(client: httpx.Client, name: str) -> None:
    """The bytes validate against the route's OpenAPI schema, and no amount is a number."""
    document = client.get("/schema/openapi.json").json()
    route = document["paths"][f"/api/v1/{name}"]["get"]
    schema = route["responses"]["200"]["content"]["application/json"]["schema"]
    answer = client.get(f"/api/v1/{name}")
    assert answer.status_code == 200
    Draft202012Validator({**schema, "components": document["components"]}).validate(answer.json())
    amounts = list(money_fields(answer.json()))
    assert all(isinstance(value, str) for _, value in amounts), amounts
    assert route["description"]


def test_one_book_by_its_name(client: httpx.Client) -> None:
    """A symbol has a slash in it; the answer is the row of all books, and holds to its schema."""
    document = client.get("/schema/openapi.json").json()
    route = document["paths"]["/api/v1/books/{venue}/{symbol}"]["get"]
    schema = route["responses"]["200"]["content"]["application/json"]["schema"]
    book = client.get("/api/v1/books/gamma/ETH/USDT", params={"levels": 2}).json()
    Draft202012Validator({**schema, "components": document["components"]}).validate(book)
    assert book in client.get("/api/v1/books", params={"levels": 2}).json()
    assert (book["venue"], book["symbol"], len(book["asks"])) == ("gamma", "ETH/USDT", 2)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/api/v1/books?levels=0", 400),
        ("get", "/api/v1/books/nowhere/BTC/USDT", 404),
        ("post", "/api/v1/stop", 401),
        ("post", "/api/v1/kill-switch", 401),
    ],
)
def test_refusals_are_what_the_schema_says(
    client: httpx.Client, method: str, path: str, status: int
) -> None:
    """A client may rely on the problem's shape as on any answer's."""
    document = client.get("/schema/openapi.json").json()
    template = path.partition("?")[0].replace("nowhere/BTC/USDT", "{venue}/{symbol}")
    answers = document["paths"][template][method]["responses"]
    schema = answers[str(status)]["content"]["application/problem+json"]["schema"]
    answer = client.request(method, path)
    assert answer.status_code == status
    Draft202012Validator({**schema, "components": document["components"]}).validate(answer.json())


def test_the_schema_says_what_needs_the_token(client: httpx.Client) -> None:
    """Every POST and nothing else."""
    paths = client.get("/schema/openapi.json").json()["paths"]
    for path, methods in paths.items():
        for method, route in methods.items():
            assert ("security" in route) == (method == "post"), path


def test_the_run_is_there(client: httpx.Client) -> None:
    """Books, fills and PnL of the simulated run, marked as simulated."""
    books = client.get("/api/v1/books", params={"levels": 3}).json()
    assert len(books) == 6
    assert all(len(book["bids"]) == 3 and book["simulated"] for book in books)
    fills = client.get("/api/v1/fills", params={"count": 2}).json()
    assert len(fills) == 2
    assert client.get("/api/v1/pnl").json()[0]["simulated"] is True
    books = client.get("/api/v1/book-pnl").json()
    assert {book["venue"] for book in books} == {"alpha", "beta", "gamma"}
    assert {book["bot"] for book in books} == {"arb"}
    (worth,) = client.get("/api/v1/worth").json()
    assert (worth["currency"], worth["unmarked"]) == ("USDT", [])
    assert float(worth["equity"]) > 1_500_000


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/api/v1/books?levels=0", 400, "levels"),
        ("/api/v1/books?levels=many", 400, "levels"),
        ("/api/v1/orders?count=100000", 400, "count"),
        ("/api/v1/books/alpha/DOGE/USDT", 404, "symbol"),
        ("/api/v1/books/nowhere/BTC/USDT", 404, "venue"),
        ("/api/v1/books/alpha/BTC/USDT?levels=101", 400, "levels"),
        ("/api/v1/nothing", 404, ""),
        ("/api/v1/stop", 405, ""),
    ],
)
def test_bad_queries_are_problems(client: httpx.Client, path: str, status: int, field: str) -> None:
    """RFC 9457 with the field at fault."""
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["field"]) == (status, field)
    assert problem["title"]
    assert problem["detail"]


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}], ids=str
)
@pytest.mark.parametrize("path", ["kill-switch", "stop"])
def test_changes_need_the_token(
    server: Server, client: httpx.Client, path: str, headers: dict[str, str]
) -> None:
    """401, and nothing is changed."""
    answer = client.post(f"/api/v1/{path}", json={"on": True}, headers=headers)
    assert answer.status_code == 401
    assert "Bearer TOKEN" in answer.json()["detail"]
    assert not server.kill_switch.on
    assert not server.directory.stop_wanted


@pytest.mark.parametrize(
    ("body", "field"),
    [(b'{"on":"yes"}', "on"), (b"{}", "on"), (b'{"on":true,"x":1}', "x"), (b"{", ""), (b"", "")],
    ids=str,
)
def test_bad_bodies_change_nothing(
    server: Server, client: httpx.Client, body: bytes, field: str
) -> None:
    """400 that names the field where there is one."""
    headers = {"Authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    answer = client.post("/api/v1/kill-switch", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["field"] == field
    assert not server.kill_switch.on


def test_the_kill_switch_turns_and_stop_is_asked_for(server: Server, client: httpx.Client) -> None:
    """With the token: the page itself changes."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = client.post("/api/v1/kill-switch", json={"on": True}, headers=headers)
    assert (answer.status_code, answer.json()["kill_switch"]) == (200, True)
    assert server.kill_switch.on
    assert client.get("/api/v1/health").json()["status"] == "degraded"
    client.post("/api/v1/kill-switch", json={"on": False}, headers=headers)
    assert not server.kill_switch.on
    assert client.post("/api/v1/stop", headers=headers).status_code == 202
    assert server.directory.stop_wanted
    server.directory.stop_wanted = False


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"Host": "evil.example"}, "host"),
        ({"Origin": "https://evil.example"}, "origin"),
        ({"Origin": "null"}, "origin"),
        ({"Origin": "http://127.0.0.1:3000"}, "origin"),
        ({"Origin": "http://[::1"}, "origin"),
        ({"Host": "[::1"}, "host"),
        ({"Host": ""}, "host"),
    ],
    ids=str,
)
def test_foreign_pages_and_hosts_are_refused(
    client: httpx.Client, headers: dict[str, str], field: str
) -> None:
    """DNS rebinding and cross-site requests get 403."""
    answer = client.get("/api/v1/health", headers=headers)
    assert answer.status_code == 403
    assert answer.json()["field"] == field


def test_its_own_page_is_let_in(server: Server, client: httpx.Client) -> None:
    """The page served here asks from this very origin, by either name of this machine."""
    for host in (f"127.0.0.1:{server.port}", f"localhost:{server.port}"):
        headers = {"Host": host, "Origin": f"http://{host}"}
        assert client.get("/api/v1/health", headers=headers).status_code == 200


def test_bytes_that_are_no_text_are_an_answer_not_an_accident(client: httpx.Client) -> None:
    """Any header may hold any bytes; none of them is an error of ours."""
    odd = [(b"X-Odd", b"\xff\xfe")]
    assert client.get("/api/v1/health", headers=odd).status_code == 200
    wrong = [(b"Authorization", b"Bearer \xff")]
    assert client.post("/api/v1/stop", headers=wrong).status_code == 401


def test_an_accident_is_logged_and_says_no_more(
    server: Server,
    client: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The caller learns that it was not his fault, the log where it happened."""

    def fail() -> None:
        raise ArithmeticError("a secret of the inside")

    monkeypatch.setattr(server.source, "health", fail)
    with caplog.at_level(logging.ERROR, "orchestrator.api"):
        answer = client.get("/api/v1/health")
    assert (answer.status_code, answer.json()["status"]) == (500, 500)
    assert "secret" not in answer.text
    assert "a secret of the inside" in caplog.text
    assert "/api/v1/health" in caplog.text


def test_the_page_and_schema_load_nothing_from_elsewhere(client: httpx.Client) -> None:
    """No address of another host in the page."""
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "https://" not in page.text
    assert "http://" not in page.text
    assert client.get("/schema/openapi.json").json()["openapi"].startswith("3.")


def test_the_stream_sends_all_then_changes(server: Server) -> None:
    """Every section first; then only what changed, such as the kill switch."""

    async def listen_twice() -> tuple[dict, dict]:
        url = f"ws://127.0.0.1:{server.port}/api/v1/stream"
        async with websockets.connect(url) as socket:
            first = json.loads(await socket.recv())
            server.kill_switch.turn(True)
            while True:
                later = json.loads(await asyncio.wait_for(socket.recv(), 5))
                if "risk" in later:
                    return first, later

    try:
        first, later = asyncio.run(listen_twice())
    finally:
        server.kill_switch.turn(False)
    assert tuple(first) == SECTIONS
    assert later["risk"]["kill_switch"] is True
    assert "fills" not in later, "what did not change is not sent again"


def test_the_stream_refuses_foreign_pages(server: Server) -> None:
    """A page of another site cannot listen in."""

    async def connect() -> None:
        url = f"ws://127.0.0.1:{server.port}/api/v1/stream"
        async with websockets.connect(url, origin="https://evil.example"):
            raise AssertionError("it was let in")

    with pytest.raises(websockets.exceptions.InvalidStatus):
        asyncio.run(connect())


def test_a_taken_port_is_named(server: Server) -> None:
    """The error says which port and what to do."""
    with pytest.raises(PortTakenError, match=f"port {server.port} cannot be used"):
        listen(ApiConfig("127.0.0.1", server.port))


def test_a_port_is_taken_before_anybody_is_served() -> None:
    """Of two engines that start together, the second learns it at once."""
    with listen(ApiConfig("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port} cannot be used"):
            listen(ApiConfig("127.0.0.1", port))
