"""The Hawkes process that is most likely to have made a series of events, by expectation maximisation.

Each event was either there by itself or called forth by one before it through one of the kernels; given
the parameters, the chances of that are known, and given those, the best parameters are mere shares
(Veen and Schoenberg, "Estimation of space-time branching process models in seismology using an EM-type
algorithm", 2008). The likelihood rises with every round. Sums over the past are carried from event to
event, as exponential kernels allow (Ozaki, "Maximum likelihood estimation of Hawkes' self-exciting
point processes", 1979).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
ROUNDS = 200
TINY = 1e-300


class Events(NamedTuple):
    """Times in seconds, rising; of each its kind, counted from 0, and its side, 0 or 1."""

    times_s: Floats
    kinds: Ints
    sides: Ints


class HawkesFit(NamedTuple):
    """What was found; the names are those of `engine.exchange.hawkes_flow.Arrivals`."""

    base: Floats
    same: Floats
    opposite: Floats
    weights: Floats
    likelihood: float  # its logarithm, an event


def fit(events: Events, kinds: int, betas: tuple[float, ...], rounds: int = ROUNDS) -> HawkesFit:
    """The same process for both sides: what an event of one kind does to its own side and the other.

    The kernels of one kind of effect have the same shares whatever the cause.
    """
    causes = 2 * kinds  # on the same side, then on the opposite one
    excitement = _excitement(events, kinds, np.asarray(betas))
    counts = np.bincount(events.kinds, minlength=kinds).astype(np.float64)
    length_s = float(events.times_s[-1] - events.times_s[0])
    left_s = events.times_s[-1] - events.times_s
    # How much of the events of each kind's effect falls before the end, by kernel.
    seen = np.array(
        [np.bincount(events.kinds, 1 - np.exp(-beta * left_s), minlength=kinds) for beta in betas]
    )
    seen = np.concatenate([seen, seen], axis=1)
    base = np.zeros(kinds)
    number = np.zeros((kinds, causes))
    weights = np.full((kinds, len(betas)), 1 / len(betas))
    likelihood = 0.0
    for kind in range(kinds):
        past = excitement[events.kinds == kind]
        mu, n, w, log_sum = _fit_kind(past, counts[kind], length_s, seen, rounds)
        base[kind], number[kind], weights[kind] = mu, n, w
        likelihood += log_sum
    total = likelihood / len(events.times_s)
    return HawkesFit(base, number[:, :kinds], number[:, kinds:], weights, total)


def _fit_kind(
    past: Floats, count: float, length_s: float, seen: Floats, rounds: int
) -> tuple[float, Floats, Floats, float]:
    """Base rate a side, numbers by cause, shares of kernels, and the logarithm of the likelihood."""
    kernels, causes = seen.shape
    mu = count / (4 * length_s)
    n = np.full(causes, 0.5 / causes)
    w = np.full(kernels, 1 / kernels)
    flat = past.reshape(len(past), kernels * causes)
    log_sum = 0.0
    for _ in range(rounds):
        theta = w[:, np.newaxis] * n
        rates = mu + flat @ theta.ravel() + TINY
        log_sum = float(np.log(rates).sum() - 2 * length_s * mu - (theta * seen).sum())
        caused = theta * ((1 / rates) @ flat).reshape(kernels, causes)
        mu *= float((1 / rates).sum()) / (2 * length_s)
        n = caused.sum(axis=0) / np.maximum(w @ seen, TINY)
        w = caused.sum(axis=1) / max(float(caused.sum()), TINY)
    return mu, n, w, log_sum


def _excitement(events: Events, kinds: int, betas: Floats) -> Floats:
    """Before each event, by kernel: the sum of beta * exp(-beta * age) over causes, own side first."""
    found = np.empty((len(events.times_s), len(betas), 2 * kinds))
    state = np.zeros((2, len(betas), kinds))  # of each side
    before = float(events.times_s[0])
    columns = betas[:, np.newaxis]
    rows = zip(events.times_s.tolist(), events.kinds.tolist(), events.sides.tolist(), strict=True)
    for place, (at_s, kind, side) in enumerate(rows):
        state *= np.exp(-columns * (at_s - before))
        before = at_s
        found[place, :, :kinds] = state[side]
        found[place, :, kinds:] = state[1 - side]
        state[side, :, kind] += betas
    return found
