"""`orchestrator catalog`: what is there, whether it is right, in and out, and candles from afar."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from engine.edges.catalog.layout import Grid

app = typer.Typer(no_args_is_help=True, help="Recorded market data: list, verify, import, export.")

Root = Annotated[Path, typer.Option(help="The catalog's folder.")]
Venue = Annotated[str, typer.Option(help="Its venue, such as binance.")]
Symbol = Annotated[str, typer.Option(help="Its symbol, such as BTC/USDT.")]
Interval = Annotated[str, typer.Option(help="The candles' length: 1m, 1h, 1d.")]
Start = Annotated[str, typer.Option("--from", help="From this UTC time on: 2024-08-08[T23:54:00].")]
End = Annotated[str, typer.Option("--to", help="Up to this UTC time, which is left out.")]
ROOT = Path("catalog")


@contextmanager
def _told() -> Iterator[None]:
    """What is refused is one line and exit code 2."""
    from engine.edges.catalog.layout import CatalogError

    try:
        yield
    except CatalogError as error:
        typer.echo(f"orchestrator: {error}", err=True)
        raise typer.Exit(2) from error


def _time_ns(option: str, text: str, default: int) -> int:
    """A UTC time as ns; raises CatalogError."""
    import numpy as np

    from engine.edges.catalog.layout import CatalogError

    if not text:
        return default
    try:
        return int(np.datetime64(text.removesuffix("Z"), "ns").astype(np.int64))
    except ValueError as error:
        raise CatalogError(f"{option} {text}: a UTC time such as 2024-08-08T23:54:00") from error


@app.command("ls")
def list_series(root: Root = ROOT) -> None:
    """List every series: days, rows, bytes, span and grid; then the candles."""
    from rich.console import Console

    from engine.edges.catalog.layout import CatalogError

    with _told():
        if not root.is_dir():
            raise CatalogError(f"{root}: there is no such catalog -- `catalog import` makes one")
        tables = _event_table(root), _bar_table(root)
    for table in tables:
        if table.row_count:
            Console(width=None if sys.stdout.isatty() else 160).print(table)
    if not any(table.row_count for table in tables):
        typer.echo(f"{root}: empty")


def _table(title: str, *names: str) -> "Table":
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(name, justify="right" if name in {"days", "rows", "bytes"} else "left")
    return table


def _event_table(root: Path) -> "Table":
    from engine.edges.catalog.layout import day_parts, open_part, part_meta, series, time_text

    table = _table("events", "venue", "symbol", "days", "rows", "bytes", "from", "to", "grid")
    for venue, symbol, days in series(root):
        rows = size = 0
        first, last, grids = 2**63 - 1, 0, []
        for part in (part for folder in days for part in day_parts(folder, venue, symbol)):
            with open_part(part.path) as file:
                meta = part_meta(part.path, file)
            rows, size = rows + meta.rows, size + part.path.stat().st_size
            first, last = min(first, meta.first_ns), max(last, meta.last_ns)
            grid = f"{meta.grid.tick_size} x {meta.grid.lot_size}"
            grids += [grid] if grid not in grids else []
        if rows:
            table.add_row(
                venue, symbol, str(len(days)), f"{rows:,}", f"{size:,}", time_text(first)[:19],
                time_text(last)[:19], ", ".join(grids),
            )  # fmt: skip
    return table


def _bar_table(root: Path) -> "Table":
    import pyarrow.parquet as pq

    from engine.edges.catalog.bars import bar_series, stored_span
    from engine.edges.catalog.layout import time_text

    table = _table("candles", "venue", "symbol", "interval", "rows", "bytes", "from", "to")
    for found in bar_series(root):
        span = stored_span(root, found.venue, found.symbol, found.interval) or (0, 0)
        rows = sum(pq.read_metadata(path).num_rows for path in found.files)
        size = sum(path.stat().st_size for path in found.files)
        table.add_row(
            found.venue, found.symbol, found.interval, f"{rows:,}", f"{size:,}",
            time_text(span[0])[:16], time_text(span[1])[:16],
        )  # fmt: skip
    return table


@app.command("verify")
def verify_catalog(root: Root = ROOT) -> None:
    """Check every file and rebuild every book; a line a finding, exit code 1 where there are any."""
    from engine.edges.catalog.verify import verify

    with _told():
        verdict = verify(root)
    for finding in verdict.findings:
        typer.echo(finding.line())
    typer.echo(
        f"{len(verdict.findings)} findings in {verdict.files} files: {verdict.rows:,} events, "
        f"{verdict.frames:,} frames, {verdict.trades:,} trades"
    )
    raise typer.Exit(1 if verdict.findings else 0)


@app.command("export")
def export_span(
    out: Annotated[Path, typer.Argument(help="A file ending in .csv or .parquet.")],
    what: Annotated[str, typer.Option(help="events, quotes, trades or bars (1m).")] = "trades",
    venue: Venue = "",
    symbol: Symbol = "",
    start: Start = "",
    end: End = "",
    root: Root = ROOT,
) -> None:
    """Write a span to one file, prices and quantities as decimals."""
    from engine.edges.catalog.export import export

    with _told():
        span = _time_ns("--from", start, 0), _time_ns("--to", end, 2**63 - 1)
        chosen = [venue] if venue else [], [symbol] if symbol else []
        rows = export(root, out, what, *chosen, *span)
    typer.echo(f"{rows:,} {what} in {out}")


@app.command("import")
def import_files(
    form: Annotated[
        str, typer.Argument(help="capture, recording, lobster, tardis, gemini or ohlcv.")
    ],
    files: list[Path],
    venue: Venue = "",
    symbol: Symbol = "",
    interval: Interval = "1m",
    tick: Annotated[str, typer.Option(help="The tick size, where the files do not tell.")] = "",
    lot: Annotated[str, typer.Option(help="The lot size, where the files do not tell.")] = "",
    quote: Annotated[str, typer.Option(help="What closes of many coins are in.")] = "USD",
    root: Root = ROOT,
) -> None:
    """Import files of one symbol, captures, or recordings, which keep a catalog of their own.

    A file at fault is named by line, column and value.
    """
    from engine.edges.catalog.layout import CatalogError, Grid

    with _told():
        if bool(tick) != bool(lot):
            raise CatalogError("--tick and --lot go together -- name both or none")
        grid = Grid(tick, lot) if tick else None
        if grid and (problem := grid.problem()):
            raise CatalogError(f"--tick, --lot: {problem}")
        if form in ("capture", "recording"):
            rows = _frames(form, root, files)
        else:
            rows = _importer(form, root, files, (venue, symbol), grid, (interval, quote))()
    typer.echo(f"{rows:,} rows into {root}")


def _importer(
    form: str,
    root: Path,
    files: list[Path],
    names: tuple[str, str],
    grid: "Grid | None",
    candles: tuple[str, str],
) -> Callable[[], int]:
    """The import that is asked for; raises CatalogError."""
    from engine.edges.catalog.layout import CatalogError

    venue, symbol = names
    if form == "tardis":
        from engine.edges.catalog.tardis import import_tardis

        return lambda: import_tardis(root, files, venue, symbol, grid)
    if form == "gemini":
        from engine.edges.catalog.gemini import import_gemini

        return lambda: import_gemini(root, files, venue, symbol, grid)
    if form == "ohlcv":
        from engine.edges.catalog.ohlcv import import_ohlcv

        interval, quote = candles
        return lambda: sum(import_ohlcv(root, f, venue, symbol, interval, quote) for f in files)
    if form == "lobster":
        from engine.edges.catalog.lobster import import_lobster

        messages = [path for path in files if "_message_" in path.name]
        books = [path for path in files if "_orderbook_" in path.name]
        if len(messages) != 1 or len(books) != 1 or len(files) != 2:
            raise CatalogError("lobster: one *_message_* and one *_orderbook_* file -- name a pair")
        return lambda: import_lobster(root, messages[0], books[0], venue or "NASDAQ", symbol)
    raise CatalogError(f"{form}: capture, recording, lobster, tardis, gemini or ohlcv is expected")


def _frames(form: str, root: Path, files: list[Path]) -> int:
    """Raw frames, through the venue that decodes them; raises CatalogError."""
    from engine.config import ConfigError, parse
    from engine.edges.capture import CaptureError, read_capture
    from engine.edges.catalog.layout import CatalogError
    from engine.edges.normalising import normalise_capture
    from engine.edges.recordings import normalise_recording
    from engine.edges.replaying import capture_config

    try:
        if form == "recording":
            return sum(normalise_recording(path) for path in files)
        return sum(
            normalise_capture(parse(capture_config(path, 0.0), str(path)), read_capture(path), root)
            for path in files
        )
    except (CaptureError, ConfigError) as error:
        raise CatalogError(str(error)) from error


@app.command("download")
def download_candles(
    exchange: Annotated[str, typer.Argument(help="As ccxt calls it: binance, kraken.")],
    symbol: Annotated[str, typer.Argument(help="As ccxt calls it: BTC/USDT.")],
    start: Annotated[str, typer.Option("--from", help="From this UTC time on.")],
    interval: Interval = "1m",
    end: End = "",
    root: Root = ROOT,
) -> None:
    """Download candles by ccxt; the same command again continues where it was stopped."""
    from rich.progress import Progress

    from engine.edges.catalog import download as downloads

    with _told():
        span = _time_ns("--from", start, 0), _time_ns("--to", end, 2**63 - 1)
        client = downloads.client(exchange)
        with Progress() as bar:
            task = bar.add_task(f"{exchange} {symbol} {interval}", total=1)

            def say(now: downloads.Progress) -> None:
                bar.update(task, total=now.total_ns, completed=now.done_ns)

            done = downloads.download(root, client, symbol, interval, *span, say=say)
            bar.update(task, total=1, completed=1)
    typer.echo(
        f"{done.stored:,} candles stored from {done.pages:,} pages; the exchange has none for "
        f"{done.missing:,} of the span"
    )
