"""Events that call forth events: a multivariate Hawkes process with exponential kernels, exactly.

After Hawkes, "Spectra of some self-exciting and mutually exciting point processes", 1971. The
intensity of events of type i is

    lambda_i(t) = mu_i + sum over kernels k and past events (type j, time s) of
                  n_ijk * beta_k * exp(-beta_k * (t - s))

where n_ijk is how many events of type i one of type j calls forth through kernel k on average. The sum
over k is the branching matrix; while its largest eigenvalue, the branching ratio, is below 1 the
process stands still on average, at the rates (1 - n)**-1 mu.

Simulated without thinning, after Dassios and Zhao, "Exact simulation of Hawkes process with
exponentially decaying intensity", 2013: what comes from the base rates and from each kernel are
Poisson processes side by side until the next event; the first event of a kernel, whose rate is
E * exp(-beta * t), is where the integral of that meets an exponential draw, and may never come.
"""

from collections.abc import Sequence
from math import exp, log, log1p
from random import Random

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
FORGOTTEN = 1e-12  # an excitement below this rate is none


class Hawkes:
    """The process; `branching[k][i][j]` is n_ijk. Raises ValueError where it would explode.

    There may be more causes j than types i: what happens elsewhere and is told by `excite`. It keeps
    only the present excitement: of each kernel one number a type.
    """

    def __init__(
        self,
        base: Sequence[float],
        branching: Sequence[Sequence[Sequence[float]]] | Floats,
        betas: Sequence[float],
        chance: Random,
    ) -> None:
        matrices = np.asarray(branching, dtype=np.float64)
        if (ratio := branching_ratio(matrices.sum(axis=0)[:, : len(base)])) >= 1:
            raise ValueError(f"branching ratio {ratio:.3f}: events would call forth ever more")
        self._types = range(len(base))
        self._base = list(base)
        self._base_sum = sum(base)
        self._betas = list(betas)
        # One event of cause j raises the rates of kernel k by these.
        self._jumps: list[list[list[float]]] = [
            (matrix.T * beta).tolist() for matrix, beta in zip(matrices, betas, strict=True)
        ]
        self._excited = [[0.0] * len(base) for _ in betas]
        self._random = chance

    def next(self) -> tuple[float, int]:
        """Seconds to the next event, and its type."""
        draw = self._random.random
        gap = -log1p(-draw()) / self._base_sum
        source = self._base
        sums = [sum(each) for each in self._excited]
        for beta, total, excited in zip(self._betas, sums, self._excited, strict=True):
            if total > FORGOTTEN:
                # Solves total / beta * (1 - exp(-beta * s)) = an exponential draw.
                left = 1 + beta * log1p(-draw()) / total
                if left > 0 and (s := -log(left) / beta) < gap:
                    gap, source = s, excited
        kind = self._pick(source)
        for k, beta in enumerate(self._betas):
            if sums[k] > FORGOTTEN:
                keep = exp(-beta * gap)
                jump = self._jumps[k][kind]
                self._excited[k] = [
                    each * keep + more for each, more in zip(self._excited[k], jump, strict=True)
                ]
            else:
                self._excited[k] = list(self._jumps[k][kind])
        return gap, kind

    def excite(self, cause: int, times: float = 1.0) -> None:
        """Something happened that calls forth events, so many times as strongly; then ask anew."""
        for k, excited in enumerate(self._excited):
            jump = self._jumps[k][cause]
            self._excited[k] = [
                each + times * more for each, more in zip(excited, jump, strict=True)
            ]

    def calm(self) -> None:
        """Forget the past: nobody was there."""
        self._excited = [[0.0] * len(self._base) for _ in self._betas]

    def _pick(self, rates: list[float]) -> int:
        rest = self._random.random() * sum(rates)
        for kind in self._types:
            rest -= rates[kind]
            if rest < 0:
                return kind
        return max(self._types, key=lambda each: rates[each])


def branching_ratio(matrix: Floats) -> float:
    """The largest eigenvalue of a branching matrix."""
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def mean_rates(base: Sequence[float] | Floats, matrix: Floats) -> Floats:
    """Events of each type in a second in the long run: (1 - n)**-1 mu."""
    rates = np.linalg.solve(np.eye(len(base)) - matrix, np.asarray(base, dtype=np.float64))
    return np.asarray(rates, dtype=np.float64)
