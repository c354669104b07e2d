"""What every test may count on: Ray tuned for short tests, and the recorded market data if it is here."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

RAY_ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",  # else the first local cluster writes a token into the home folder
    "RAY_USAGE_STATS_ENABLED": "0",  # tests tell nobody that they ran
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # workers use the environment that runs the tests
    "RAY_enable_metrics_collection": "0",
    "RAY_task_events_report_interval_ms": "0",
    "RAY_event_stats": "0",
    "RAY_prestart_worker_first_driver": "0",  # no idle workers: the actors are all there is
    "RAY_worker_niceness": "0",  # the default of 15 starves actors on a busy machine
    "RAY_DEDUP_LOGS": "0",
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",  # a node that hosts actors never goes idle by itself
}
for _name, _value in RAY_ENVIRONMENT.items():  # Ray reads them when it is first imported
    os.environ.setdefault(_name, _value)

settings.register_profile("shared machine", deadline=None, print_blob=True)
settings.load_profile("shared machine")

ALONE = frozenset(
    "bell bus cli cluster cluster_storm exchange_actor exchange_soak full_disk soak store_trading "
    "trade_queue".split()
)
"""Test files of processes, of shared memory and of what must come in time: nothing runs beside them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs alone by its file."""
    for item in items:
        if item.path.stem.removeprefix("test_") in ALONE:
            item.add_marker("alone")


ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def recorded() -> Path:
    """The folder of recorded exchange frames; a test that needs it is skipped where it is not."""
    folder = Path(os.environ.get("ORCHESTRATOR_DATA", ROOT / ".." / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no recorded data at {folder}; ORCHESTRATOR_DATA names another folder")
    return folder
