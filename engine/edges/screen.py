"""What the live view shows of one moment: the screen and the line, drawn from the API's state alone.

Pure: the same state and size give the same picture. On a small screen tables lose rows from their
end and columns that matter least; the lines of money and risk always stay.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from rich.console import Group, JustifyMethod, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from engine.edges.api_client import EngineView
from engine.views import ActorView

WIDE = 110  # columns from which a table shows everything
TALL = 36  # lines from which fills and balances have a place
ROWS_LEAST = 3


class Column(NamedTuple):
    """One column: its head, whether its values are numbers, and whether a narrow screen drops it."""

    head: str
    number: bool = False
    wide: bool = False


class Section(NamedTuple):
    """One table of the screen; its first head says what it is."""

    columns: tuple[Column, ...]
    rows: Sequence[tuple[str, ...]]
    warned: frozenset[int] = frozenset()
    whole: bool = False  # shown to its end where there is room


def _money(amount: str, sign: str = "") -> str:
    """An amount to two places, exactly rounded: a float would invent digits."""
    return format(Decimal(amount), f"{sign},.2f")


def _micros(actor: ActorView, stage: str) -> tuple[str, str]:
    found = actor.latency.get(stage)
    return ("-", "-") if found is None else (f"{found.p50_us:,.0f}", f"{found.p99_us:,.0f}")


def _actors(view: EngineView) -> Section:
    """The actors, what does not run first: a short screen cuts the end."""
    running = sum(actor.state == "RUNNING" for actor in view.actors)
    actors = sorted(view.actors, key=lambda actor: actor.state == "RUNNING")
    columns = (
        Column(f"actors {running}/{len(actors)} running"),
        Column("state"),
        Column("epoch", number=True),
        Column("restarts", number=True, wide=True),
        Column("in", number=True),
        Column("out", number=True, wide=True),
        Column("queue", number=True),
        Column("high", number=True, wide=True),
        Column("hop p50 µs", number=True),
        Column("p99", number=True),
        Column("order p50 µs", number=True, wide=True),
        Column("p99", number=True, wide=True),
    )
    rows = [
        (
            actor.actor,
            actor.state,
            str(actor.epoch),
            str(actor.restarts),
            f"{actor.messages_in:,}",
            f"{actor.messages_out:,}",
            str(actor.queue_depth),
            str(actor.queue_high),
            *_micros(actor, "hop"),
            *_micros(actor, "tick_to_order"),
        )
        for actor in actors
    ]
    warned = frozenset(n for n, actor in enumerate(actors) if actor.state != "RUNNING")
    return Section(columns, rows, warned, whole=True)


def _venues(view: EngineView) -> Section:
    """What each venue's market data went through, and what of its books can be checked."""
    columns = (
        Column("venue"),
        Column("up"),
        Column("live", number=True),
        Column("frames", number=True),
        Column("verified", number=True),
        Column("gaps", number=True),
        Column("bad sums", number=True),
        Column("resyncs", number=True),
        Column("crossed", number=True, wide=True),
        Column("malformed", number=True, wide=True),
        Column("unchecked", number=True, wide=True),
        Column("off grid", number=True, wide=True),
        Column("verifies", wide=True),
        Column("reconciled"),
        Column("circuit"),
        Column("health", number=True, wide=True),
    )
    rows = [
        (
            venue.venue,
            "yes" if venue.connected else "no",
            str(venue.books_live),
            f"{venue.frames:,}",
            f"{venue.checksums:,}",
            f"{venue.gaps:,}",
            f"{venue.checksums_failed:,}",
            f"{venue.resyncs:,}",
            f"{venue.crossed:,}",
            f"{venue.malformed:,}",
            f"{venue.unchecked:,}",
            f"{venue.off_grid:,}",
            venue.verifies,
            "yes" if venue.reconciled else "no",
            venue.circuit.lower(),
            str(venue.health),
        )
        for venue in view.venues
    ]
    bad = [not (v.connected and v.reconciled and v.circuit == "CLOSED") for v in view.venues]
    warned = frozenset(n for n, wrong in enumerate(bad) if wrong)
    return Section(columns, rows, warned, whole=True)


def _books(view: EngineView) -> Section:
    """The best prices, what is not LIVE first."""
    live = sum(book.state == "LIVE" for book in view.books)
    books = sorted(view.books, key=lambda book: book.state == "LIVE")
    columns = (
        Column(f"books {live}/{len(books)} live"),
        Column("bid", number=True),
        Column("quantity", number=True, wide=True),
        Column("ask", number=True),
        Column("quantity", number=True, wide=True),
        Column("state"),
    )
    rows = [
        (
            f"{book.venue} {book.symbol}",
            *((book.bids[0].price, book.bids[0].quantity) if book.bids else ("-", "-")),
            *((book.asks[0].price, book.asks[0].quantity) if book.asks else ("-", "-")),
            f"{book.state} simulated" if book.simulated else book.state,
        )
        for book in books
    ]
    return Section(columns, rows, frozenset(range(len(books) - live)), whole=True)


def _opportunities(view: EngineView) -> Section:
    columns = (
        Column("newest opportunities"),
        Column("buy"),
        Column("sell"),
        Column("quantity", number=True),
        Column("profit", number=True),
        Column("ms", number=True),
    )
    rows = [
        (
            seen.symbol,
            f"{seen.buy_venue} {seen.buy_price}",
            f"{seen.sell_venue} {seen.sell_price}",
            seen.quantity,
            _money(seen.profit),
            "live" if seen.lifetime_ms is None else f"{seen.lifetime_ms:.1f}",
        )
        for seen in view.opportunities
    ]
    return Section(columns, rows)


def _orders(view: EngineView) -> Section:
    columns = (
        Column("newest orders"),
        Column("id", wide=True),
        Column("side"),
        Column("filled/quantity", number=True),
        Column("price", number=True),
        Column("state"),
    )
    rows = [
        (
            f"{order.venue} {order.symbol}",
            order.client_order_id,
            order.side,
            f"{order.filled}/{order.quantity}",
            order.price,
            f"{order.state} {order.reason}".rstrip(),
        )
        for order in view.orders
    ]
    return Section(columns, rows)


def _fills(view: EngineView) -> Section:
    columns = (
        Column("newest fills"),
        Column("order", wide=True),
        Column("side"),
        Column("quantity", number=True),
        Column("price", number=True),
        Column("fee", number=True),
    )
    rows = [
        (
            f"{fill.venue} {fill.symbol}",
            fill.client_order_id,
            fill.side,
            fill.quantity,
            fill.price,
            f"{fill.fee} {fill.fee_asset}",
        )
        for fill in view.fills
    ]
    return Section(columns, rows)


def _balances(view: EngineView) -> Section:
    """A row a venue, a column an asset."""
    assets = sorted({balance.asset for balance in view.balances})
    held = {(balance.venue, balance.asset): balance.total for balance in view.balances}
    venues = sorted({balance.venue for balance in view.balances})
    columns = (Column("balances"), *(Column(asset, number=True) for asset in assets))
    rows = [(venue, *(held.get((venue, asset), "-") for asset in assets)) for venue in venues]
    return Section(columns, rows, whole=True)


def _drawn(section: Section, count: int, wide: bool) -> Table:
    table = Table(expand=True, pad_edge=False, box=None)
    shown = [at for at, column in enumerate(section.columns) if wide or not column.wide]
    for at in shown:
        column = section.columns[at]
        justify: JustifyMethod = "right" if column.number else "left"
        table.add_column(column.head, justify=justify, no_wrap=True)
    for number, row in enumerate(section.rows[:count]):
        style = "yellow" if number in section.warned else ""
        table.add_row(*(row[at] for at in shown), style=style)
    return table


def _money_line(view: EngineView) -> Text:
    parts = [
        f"{pnl.quote}: equity {_money(pnl.equity, '+')}  realised {_money(pnl.realised, '+')}  "
        f"unrealised {_money(pnl.unrealised, '+')}  fees {_money(pnl.fees)}"
        for pnl in view.pnl
    ]
    parts += [
        f"worth {_money(worth.equity)} {worth.currency}, today {_money(worth.today, '+')}"
        for worth in view.worth
    ]
    return Text("PnL (simulated)  " + ("  ".join(parts) or "no fill yet"), style="bold")


def _risk_line(view: EngineView) -> Text:
    """What must never be cut off: the kill switch, the guard's level, what is open or unknown."""
    text = Text()
    if view.risk is not None:
        if view.risk.kill_switch:
            text.append("KILL SWITCH ON  ", style="bold red")
        caused = view.risk.reason not in ("", "NONE")
        why = f" ({view.risk.reason})" if caused else ""
        text.append(f"risk {view.risk.level}{why}  ")
        if view.risk.kill is not None:
            kill = view.risk.kill
            resting = kill.resting if kill.resting >= 0 else "?"
            done = "finished" if kill.finished else f"{resting} resting, {kill.unknown} in doubt"
            text.append(f"kill: {done}  ", style="bold")
    opened = sum(venue.orders_open for venue in view.venues)
    unknown = sum(venue.orders_unknown for venue in view.venues)
    text.append(f"orders open {opened}")
    text.append(f"  unknown {unknown}", style="bold red" if unknown else "")
    sent, p50_us, p99_us = _tick_to_order(view)
    if sent:
        text.append(f"  sent {sent:,}  tick to order p50 {p50_us:,.0f} p99 {p99_us:,.0f} µs")
    return text


def _tick_to_order(view: EngineView) -> tuple[int, float, float]:
    """Orders sent, and the slowest gateway's p50 and p99: percentiles of actors do not add up."""
    found = [a.latency["tick_to_order"] for a in view.actors if "tick_to_order" in a.latency]
    return (
        sum(stage.count for stage in found),
        max((stage.p50_us for stage in found), default=0.0),
        max((stage.p99_us for stage in found), default=0.0),
    )


def _what_is_real(view: EngineView) -> str:
    """What the numbers on the screen are worth."""
    real = any(not venue.simulated for venue in view.venues)
    return "MARKET DATA REAL OR RECORDED, MONEY SIMULATED" if real else "ALL SIMULATED"


def _rows_each(sections: list[Section], room: int) -> list[int]:
    """Share `room` lines: a head for each table, the whole ones, then a row in turn to the rest."""
    wants = [len(section.rows) for section in sections]
    whole = [want if s.whole else 0 for want, s in zip(wants, sections, strict=True)]
    room -= len(sections)
    fits = sum(whole) + ROWS_LEAST * whole.count(0) <= room
    given = whole if fits else [0] * len(wants)
    room -= sum(given)
    while room > 0 and given != wants:
        for at, want in enumerate(wants):
            if room > 0 and given[at] < want:
                given[at] += 1
                room -= 1
    return given


def render(
    view: EngineView, address: str, elapsed: str, height: int, width: int = WIDE
) -> RenderableType:
    """The whole screen, as tall and wide as it may be; what matters most stands on top."""
    sections = [_actors(view), _books(view), _opportunities(view), _orders(view)]
    if height >= TALL:
        sections += [_fills(view), _balances(view)]
    frame = 2  # the panel's own lines
    lines = [_money_line(view), _risk_line(view)]
    for text in lines:
        text.no_wrap, text.overflow = True, "ellipsis"
    given = _rows_each(sections, height - frame - len(lines))
    tables = [
        _drawn(section, count, width >= WIDE)
        for section, count in zip(sections, given, strict=True)
    ]
    return Panel(
        Group(*lines, *tables),
        title=f"{_what_is_real(view)}  {address}  {elapsed}  Ctrl-C stops",
        title_align="left",
        subtitle="CryptoOrchestrator",
        subtitle_align="left",
    )


def status(view: EngineView, width: int) -> RenderableType:
    """The actors, the venues, money and risk, each to its end."""
    sections = [_actors(view), _venues(view)]
    tables = [_drawn(section, len(section.rows), width >= WIDE) for section in sections]
    return Group(*tables, _money_line(view), _risk_line(view))


def line(view: EngineView, elapsed: str) -> str:
    """The same in one line, for logs."""
    live = sum(book.state == "LIVE" for book in view.books)
    running = sum(actor.state == "RUNNING" for actor in view.actors)
    crossings = sum(seen.lifetime_ms is None for seen in view.opportunities)
    equity = ", ".join(f"{_money(pnl.equity, '+')} {pnl.quote}" for pnl in view.pnl) or "none yet"
    return (
        f"{elapsed}  actors {running}/{len(view.actors)}  books {live}/{len(view.books)} LIVE  "
        f"opportunities {crossings} live  {_risk_line(view).plain}  PnL {equity} (simulated)"
    )


def summary(view: EngineView, seconds: float, checks: list[str]) -> RenderableType:
    """How a run ended: what was done, how fast, and what was checked."""
    title = f"{seconds:.0f} s, {_what_is_real(view).lower()}"
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("what")
    table.add_column("value", justify="right")
    for pnl in view.pnl:
        table.add_row(f"equity {pnl.quote}", _money(pnl.equity, "+"))
        table.add_row(f"realised {pnl.quote}", _money(pnl.realised, "+"))
        table.add_row(f"fees {pnl.quote}", _money(pnl.fees))
    table.add_row("messages", f"{sum(actor.messages_in for actor in view.actors):,}")
    table.add_row("restarts", str(sum(actor.restarts for actor in view.actors)))
    for actor in view.actors:
        found = actor.latency.get("tick_to_order")
        if found is not None:
            table.add_row(
                f"{actor.actor} tick to order, µs p50 / p99",
                f"{found.p50_us:,.0f} / {found.p99_us:,.0f}",
            )
    return Group(table, *[Text(check) for check in checks])
