"""How much better one version is than another on the same photographs, with 95 % intervals. Pure, on arrays.

The bootstrap draws observations, since photographs of one observation are alike, and both versions are measured on the
same draw: what is hard for both does not widen the interval.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

RESAMPLES: Final = 2_000
LEVEL: Final = 0.95
_NUMBERS_AT_ONCE: Final = 10_000_000
"""Draws times observations that are held at once."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False, kw_only=True)
class Marks:
    """What was asked, and how often a version was right. Every array has an entry for each of N photographs."""

    observations: npt.NDArray[np.object_]
    species: npt.NDArray[np.object_]
    groups: npt.NDArray[np.object_]
    """The group of the species."""
    top1: Floats
    """Whether the most probable species was right."""
    right: Floats
    """Whether the answer at the target was right."""
    depth: Floats
    """Of that answer."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """The mean of one minus the other, and the ends of its 95 % interval; NaN where there is nothing to measure."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Changes:
    """One version against another."""

    top1: Change
    macro_top1: Change
    depth: Change
    promise: Change
    groups: dict[str, Change]
    """Of top-1, by group."""


def macro(values: Floats, species: npt.NDArray[np.object_]) -> float:
    """The mean over species of the mean of their photographs; NaN without photographs."""
    if not len(values):
        return float("nan")
    _, codes = np.unique(species, return_inverse=True)
    return float((np.bincount(codes, weights=values) / np.bincount(codes)).mean())


def changes(one: Marks, other: Marks, *, seed: int) -> Changes:
    """Compare two versions that answered about the same photographs, in the same order.

    A species that a draw misses does not count in that draw's mean over species.

    Args:
        one: The version that is judged.
        other: What it is compared with.
        seed: Of the draws.
    """
    names, groups = np.unique(one.groups, return_inverse=True)
    _, species = np.unique(one.species, return_inverse=True)
    _, observations = np.unique(one.observations, return_inverse=True)
    differences = np.stack([one.top1 - other.top1, one.depth - other.depth, one.right - other.right])
    if not len(species):
        nothing = Change(value=float("nan"), low=float("nan"), high=float("nan"))
        return Changes(top1=nothing, macro_top1=nothing, depth=nothing, promise=nothing, groups={})
    cells = _Cells.of(groups, species, observations, differences=differences)
    point = cells.measure(np.ones((1, cells.observations)))[0]
    generator = np.random.default_rng(seed)
    at_once = max(1, _NUMBERS_AT_ONCE // len(cells.observation))
    drawn = np.concatenate(
        [
            cells.measure(cells.draw(generator, min(at_once, RESAMPLES - begin)))
            for begin in range(0, RESAMPLES, at_once)
        ]
    )
    ends = np.full((2, len(point)), np.nan)
    known = np.isfinite(point)
    # A draw may miss a group.
    ends[:, known] = np.nanquantile(drawn[:, known], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    found = [
        # A quantile of the draws may miss the value itself where nearly all draws agree.
        Change(value=float(value), low=float(min(low, value)), high=float(max(high, value)))
        for value, low, high in zip(point, *ends, strict=True)
    ]
    top1, macro_top1, depth, promise, *by_group = found
    return Changes(
        top1=top1, macro_top1=macro_top1, depth=depth, promise=promise,
        groups=dict(zip(map(str, names), by_group, strict=True)),
    )  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True)
class _Cells:
    """Photographs summed up by observation and species, ordered by group and species."""

    observation: Integers
    """The observation of each cell."""
    observations: int
    photos: Floats
    sums: Floats
    """Differences of top-1, depth and right answers. Shape 3 x cells."""
    species_begin: Integers
    """The first cell of each species."""
    group_begin: Integers
    """The first species of each group."""

    @classmethod
    def of(cls, groups: Integers, species: Integers, observations: Integers, *, differences: Floats) -> "_Cells":
        keys, cell = np.unique(np.stack([groups, species, observations]), axis=1, return_inverse=True)
        cell = cell.ravel()
        _, species_begin = np.unique(keys[:2], axis=1, return_index=True)
        _, group_begin = np.unique(keys[0][species_begin], return_index=True)
        return cls(
            observation=keys[2],
            observations=int(observations.max()) + 1,
            photos=np.bincount(cell).astype(np.float64),
            sums=np.stack([np.bincount(cell, weights=row) for row in differences]),
            species_begin=species_begin,
            group_begin=group_begin,
        )

    def draw(self, generator: np.random.Generator, draws: int) -> Floats:
        """How often each observation is drawn. Shape draws x observations."""
        size = self.observations
        return np.stack(
            [np.bincount(generator.integers(size, size=size), minlength=size) for _ in range(draws)]
        ).astype(np.float64)

    def measure(self, weights: Floats) -> Floats:
        """Changes of top-1, macro top-1, depth, promise, and of top-1 by group. Shape draws x (4 + groups)."""
        weight = weights[:, self.observation]
        top1, depth, right = self.sums
        photos = np.add.reduceat(weight * self.photos, self.species_begin, axis=1)
        gained = np.add.reduceat(weight * top1, self.species_begin, axis=1)
        total = photos.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            each = gained / photos
            asked = photos > 0
            mean = np.where(asked, each, 0).sum(axis=1) / asked.sum(axis=1)
            by_group = np.add.reduceat(gained, self.group_begin, axis=1) / np.add.reduceat(
                photos, self.group_begin, axis=1
            )
        columns = [gained.sum(axis=1) / total, mean, weight @ depth / total, weight @ right / total]
        return np.column_stack([*columns, by_group])
