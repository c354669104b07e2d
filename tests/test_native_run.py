"""A whole run in one process that trades natively on Binance's and Kraken's protocols, and adds up."""

import asyncio
from pathlib import Path

import pytest

from engine.assembly import SOLO_ACTOR
from engine.config import Config, parse
from engine.edges.comparison import Comparison, compare_accounts
from engine.edges.exchange_process import ExchangeProcess
from engine.edges.journal import read_journal, segments
from engine.edges.solo import SoloRun
from engine.fault_config import FaultKind
from engine.messages import Fill, decode
from tests.loopback_only import loopback_only

NATIVE = Path(__file__).resolve().parents[1] / "configs" / "native.toml"
LIMIT_S = 60.0  # when what is waited for has not come, the run has failed
WIRES = ("binance", "kraken")
STRUCK = (
    FaultKind.TIMEOUT_DONE,
    FaultKind.TIMEOUT_NOT_DONE,
    FaultKind.ERROR_DONE,
    FaultKind.ERROR_NOT_DONE,
    FaultKind.REPEAT_FRAME,
    FaultKind.DROP_FRAME,
)


def configured(folder: Path, chance: float) -> tuple[Config, str]:
    """The configuration as it is shipped, in a folder of its own, and its text with the faults."""
    text = NATIVE.read_text().replace("port = 8090", "port = 0")
    text = text.replace('state_dir = "runs"', f'state_dir = "{folder}"')
    text = text.replace("[exchange]\n", "[exchange]\nlimits = false\n")
    for kind in STRUCK if chance else ():
        for wire in WIRES:
            fault = f'kind = "{kind}"\nwire = "{wire}"\nchance = {chance}'
            text += f"\n[[exchange.faults.plan]]\n{fault}\n"
    return parse(text, "native.toml"), text


def trade(config: Config, text: str, fills: int) -> tuple[Comparison, bool, set[int]]:
    """Trade until so many fills were made; the comparison, whether it came to rest, and where."""
    solo = SoloRun(config, text)

    def look() -> None:
        solo.directory.stop_wanted = solo.ledger.trade_count >= fills

    try:
        solo.exchange = ExchangeProcess(solo.folder / "config.toml")
        solo.exchange.wait_ready()
        quiet = asyncio.run(solo.serve(LIMIT_S, look))
        assert not solo.loop.error
        messages = [
            decode(record.data)
            for path in segments(solo.folder / SOLO_ACTOR)
            for record in read_journal(path)
        ]
        places = {message.venue for message in messages if isinstance(message, Fill)}
        return compare_accounts(config, solo.exchange.url, solo.ledger), quiet, places
    finally:
        solo.close()


@pytest.mark.parametrize("chance", [0.0, 0.02], ids=["well", "faulty"])
def test_a_run_on_both_protocols_adds_up(chance: float, tmp_path: Path) -> None:
    """Every balance, order and fill as the exchange has it, whatever it did to requests and frames."""
    config, text = configured(tmp_path, chance)
    with loopback_only():
        comparison, quiet, places = trade(config, text, 12)
    assert comparison.holds, comparison.lines()
    assert quiet
    assert comparison.fills >= 12
    assert places == {0, 1}
