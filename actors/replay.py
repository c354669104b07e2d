"""Plays a recording through the cluster runtime: each venue's actor reads its own."""

import sys
from pathlib import Path

import msgspec

from actors.launch import Launch
from engine.config import Config
from engine.edges.directory import Counter, open_page
from engine.runtime import HostState
from engine.venue import VenueState


def play_in_cluster(config: Config, text: str) -> tuple[Path, list[VenueState]]:
    """Play to the end and stop; the run's folder and each venue's state."""
    launch = Launch(config, text)
    try:
        launch.start()
        launch.wait_up()
        sys.stdout.write(f"playing in the cluster runtime: {launch.folder}\n")
        launch.run_until(lambda: _ended(launch), lambda: None)
        launch.drain()
        snapshots = launch.stop_actors()
        return launch.folder, [
            _state(snapshots, launch, number) for number in launch.topology.of_kind("venue")
        ]
    finally:
        launch.close()


def _ended(launch: Launch) -> bool:
    """Whether every recording was played to its end."""
    ended = 0
    for number in launch.topology.of_kind("venue"):
        actor = launch.topology.actor(number)
        page, _ = open_page(launch.run, actor, launch.directory.epoch(actor))
        ended += page.get(Counter.FEEDS_ENDED)
    return ended >= len(launch.config.venues)


def _state(snapshots: dict[str, bytes], launch: Launch, number: int) -> VenueState:
    host = msgspec.msgpack.decode(snapshots[launch.topology.actor(number)], type=HostState)
    return msgspec.msgpack.decode(host.components[launch.topology.name(number)], type=VenueState)
