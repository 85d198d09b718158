"""95 % intervals: over seeds, over photographs, and of a difference on the same photographs. Pure, on numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

LEVEL = 0.95
RESAMPLES = 10_000
"""Bootstrap samples of a difference."""

Floats = npt.NDArray[np.float64]
Over = Literal["seeds", "photographs", "nothing"]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value and its 95 % interval, where there is one."""

    value: float
    low: float | None = None
    high: float | None = None
    interval_over: Over = "nothing"
    """What varies in the interval: seeds (Student's t), or photographs."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How much more often one network is right than another, on the same photographs."""

    value: Estimate
    """Mean over the seeds; the interval is over photographs (bootstrap of whole observations)."""
    over_seeds: Estimate
    """The same mean; with several seeds its interval is over them (Student's t of the paired differences)."""
    gained: float
    """Share of photographs that only the one gets right, mean over the seeds."""
    lost: float
    """Share of photographs that only the other gets right, mean over the seeds."""
    photos: int


def over_seeds(values: Sequence[float], *, share: bool = False) -> Estimate:
    """The mean over seeds, with Student's t interval when there are at least two; a `share`'s ends at 0 and 1."""
    from scipy.special import stdtrit  # noqa: PLC0415 (every step imports this module's package; SciPy takes a second)

    numbers = np.asarray(values, dtype=np.float64)
    mean = float(numbers.mean())
    if len(numbers) < 2:
        return Estimate(value=mean)
    spread = float(stdtrit(len(numbers) - 1, (1 + LEVEL) / 2) * numbers.std(ddof=1) / np.sqrt(len(numbers)))
    lowest, highest = (0.0, 1.0) if share else (-np.inf, np.inf)
    return Estimate(value=mean, low=max(lowest, mean - spread), high=min(highest, mean + spread), interval_over="seeds")


def over_photographs(share: float, *, photos: int) -> Estimate:
    """A share of `photos` photographs with the exact interval of Clopper and Pearson."""
    from scipy.special import betaincinv  # noqa: PLC0415 (as in `over_seeds`)

    right, tail = round(share * photos), (1 - LEVEL) / 2
    low = float(betaincinv(right, photos - right + 1, tail)) if right else 0.0
    high = float(betaincinv(right + 1, photos - right, 1 - tail)) if right < photos else 1.0
    return Estimate(value=share, low=low, high=high, interval_over="photographs")


def difference(one: Floats, other: Floats, *, observations: npt.ArrayLike, seed: int) -> Difference:
    """Compare two networks that answered for the same photographs.

    Photographs of one observation are alike, so the bootstrap draws observations, not photographs. An observation
    matters by its number of photographs and the sum of their differences alone; there are few such pairs, and drawing
    how often each occurs is the same as drawing observations.

    Args:
        one: Whether the one network is right, 0 or 1. Shape seeds x N.
        other: Whether the other network is right, with the same seeds in the same order. Shape seeds x N.
        observations: The observation of each photograph. Shape N.
        seed: Seed of the bootstrap.
    """
    each = one - other
    _, unit = np.unique(np.asarray(observations), return_inverse=True)
    sums = np.bincount(unit, weights=each.sum(axis=0))
    kinds, counts = np.unique(np.stack([np.rint(sums), np.bincount(unit)]), axis=1, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(counts.sum(), counts / counts.sum(), size=RESAMPLES)
    drawn = (draws @ kinds[0]) / (draws @ kinds[1]) / len(each)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Difference(
        value=Estimate(value=float(each.mean()), low=float(low), high=float(high), interval_over="photographs"),
        over_seeds=over_seeds(each.mean(axis=1).tolist()),
        gained=float((each > 0).mean()),
        lost=float((each < 0).mean()),
        photos=each.shape[1],
    )
