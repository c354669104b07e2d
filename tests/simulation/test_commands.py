"""`orchestrator simulate` as a person uses it."""

import pytest
from typer.testing import CliRunner

from engine.__main__ import app
from engine.edges.gate import Gate
from engine.messages import OrderRequest, Reason

RUN = CliRunner()


def test_many_seeds_end_with_their_coverage() -> None:
    """Exit code 0 says that no invariant was broken."""
    done = RUN.invoke(app, ["simulate", "--seeds", "0..3", "--seconds", "3"])
    assert done.exit_code == 0
    assert "order state: " in done.stdout
    assert "4 seeds, " in done.stdout
    assert "clean: no invariant was broken" in done.stdout


def test_one_seed_is_told_from_its_plan_to_its_end() -> None:
    """With --trace all that happened."""
    done = RUN.invoke(app, ["simulate", "--seed", "1", "--seconds", "3", "--trace"])
    assert done.exit_code == 0
    assert done.stdout.startswith("seed 1, 3 s\nactor-")
    assert "OrderIntent client_order_id=" in done.stdout
    assert "clean: " in done.stdout


@pytest.mark.parametrize(
    "words", [[], ["--seed", "1", "--seeds", "0..3"], ["--seeds", "3..0"], ["--seeds", "some"]]
)
def test_what_is_asked_for_wrongly_is_refused(words: list[str]) -> None:
    """One of --seed and --seeds, and a range that rises."""
    assert RUN.invoke(app, ["simulate", *words]).exit_code == 2


def test_a_seed_that_breaks_something_is_shrunk_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, the smaller plan, what happened last, and what broke."""

    def held(self: Gate, effect: OrderRequest, now_ns: int) -> Reason:
        return Reason.NOT_CONNECTED if self.gateway is None else Reason.NONE

    monkeypatch.setattr(Gate, "_held", held)
    broken = RUN.invoke(app, ["simulate", "--seeds", "0..30", "--seconds", "10"])
    assert broken.exit_code == 1
    line = next(each for each in broken.stdout.splitlines() if "orchestrator simulate" in each)
    words = line.split()[1:]
    told = RUN.invoke(app, words)
    assert told.exit_code == 1
    assert "runs that left out what was not needed" in told.stdout
    assert "BROKEN at " in told.stdout
