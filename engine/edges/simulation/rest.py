"""Whether a simulated world has come to rest: everybody lives, nothing is under way, nothing is open."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.edges.simulation.world import World


def at_rest(world: "World") -> bool:
    """Nothing will happen any more by itself that matters to an order or to money."""
    return all(
        actor.loop is not None
        and not actor.frozen
        and not actor.mail.events
        and not actor.loop.simulated_bus.pending()
        and not sum(component.open_work() for component in actor.loop.host.components)
        for actor in world.actors.values()
    )


def restless(world: "World") -> str:
    """What keeps it from rest, for people."""
    found = [f"unresolved {name}" for name in world.invariants.unknown()]
    for actor in world.actors.values():
        loop = actor.loop
        if loop is None or actor.frozen:
            found.append(f"{actor.name} is {'dead' if loop is None else 'frozen'}")
            continue
        found += [
            f"{world.topology.name(component.sender)} has {work} open"
            for component in loop.host.components
            if (work := component.open_work())
        ]
        if waiting := len(loop.simulated_bus.pending()):
            found.append(f"{actor.name} has {waiting} events unacknowledged")
    return ", ".join(found)
