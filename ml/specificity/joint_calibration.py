"""Calibration for several photographs of one organism: how dependent they are, and thresholds for sets of each size.

From arrays to numbers; reads no file. Sets never mix the halves of the validation side: those of the calibration half
choose, those of the evaluation half judge.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.spec import SpecificityOptions
from ml.specificity.answers import Candidates, candidates
from ml.specificity.calibration import FOURTH, Labelled, divide
from ml.specificity.joint_thresholds import JointThresholds, SetThresholds
from ml.specificity.photo_sets import LARGEST, Basis, Bundles, Rows, draw
from ml.specificity.pooling import evidence, fit_dependence, pool
from ml.specificity.temperature import temper
from ml.specificity.thresholds import TABULATED_TARGETS, Half, judge_table, learn, promises
from ml.specificity.tree_sums import Probabilities
from ml.taxonomy import Floats, Integers, Taxonomy

LEAST = 20
"""Sets of a size that must be there to choose, and to judge: one miss more or less then changes 5 %."""
HELD_BYTES = 128_000_000
"""Distributions of each half that are in memory: photographs beyond that take no part."""
FIT_CELLS = 16_000_000
"""Joined probabilities that the fit of the dependence reads: one number needs no more."""
BLOCK_CELLS = 2_000_000
"""Probabilities that are joined at once."""

Compose = Callable[[Floats, Rows], Floats]
"""Joined distributions (shape S x C), each composed with what is known of the place of a photograph (shape S)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class _Sets:
    """Bundles of one half, with the distributions of their photographs."""

    bundles: Bundles
    held: Probabilities
    """Of the photographs in `positions`, before the temperature. Shape R x C."""
    positions: Rows
    """Row of each of them among all N photographs, rising. Shape R."""
    labels: Integers
    """Of all photographs. Shape N."""
    temperature: float

    def tempered(self, sets: Rows) -> Floats:
        """Distributions of the photographs of some sets. Shape S x M x C."""
        rows = self.held[np.searchsorted(self.positions, sets.ravel())].astype(np.float64)
        return temper(rows, self.temperature).reshape(*sets.shape, -1)

    def part(self, chosen: npt.NDArray[np.bool_]) -> "_Sets":
        """Some of the bundles."""
        return _Sets(
            bundles=self.bundles.part(chosen), held=self.held, positions=self.positions, labels=self.labels,
            temperature=self.temperature,
        )  # fmt: skip


def calibrate_joint(
    data: Labelled,
    taxonomy: Taxonomy,
    options: SpecificityOptions,
    *,
    temperature: float,
    compose: Compose | None = None,
) -> JointThresholds | None:
    """Learn how photographs of one organism are joined, and the thresholds of sets of 2 to `LARGEST` photographs.

    With a guarantee every fourth bundle fits the dependence and the others choose; it is given for photographs of one
    observation only.

    Args:
        data: The validation side.
        taxonomy: A tree with C leaves.
        options: As for single photographs.
        temperature: Fitted on single photographs.
        compose: Applied to what was joined. Photographs of different individuals have no place in common: with it, sets
            are of one observation, or there are none.

    Returns:
        None where there are fewer than `LEAST` sets of two in a half.

    Raises:
        SpecificityError: options are not what they must be.
    """
    _, unseen = divide(data, options)
    bases: tuple[Basis, ...] = ("observation", "species") if compose is None else ("observation",)
    drawn = _draw(data, bases, chooses=data.chooses if options.delta is None else unseen, seed=options.seed)
    if drawn is None:
        return None
    most = HELD_BYTES // (data.probabilities.itemsize * data.probabilities.shape[1])
    chooses, judges = (_hold(data, bundles.within(most), temperature=temperature) for bundles in drawn)
    fits = chooses
    if options.delta is not None:
        fourth = np.arange(len(chooses.bundles.sizes)) % FOURTH == 0
        fits, chooses = chooses.part(fourth), chooses.part(~fourth)
    dependence = fit_dependence(_evidences(fits))
    sizes = []
    for photos in range(2, LARGEST + 1):
        if min(len(half.bundles.sets(photos)) for half in (chooses, judges)) < LEAST:
            break
        halves = [
            _joined(half, taxonomy, options, photos=photos, dependence=dependence, compose=compose)
            for half in (chooses, judges)
        ]
        table = learn(halves[0], taxonomy, targets=(*TABULATED_TARGETS, options.target), options=options)
        guaranteed = chooses.bundles.basis == "observation" and promises(table, halves[0], options)
        points = (
            judge_table(table, halves[1], taxonomy, target=target, guaranteed=guaranteed)
            for target in table.targets.tolist()
        )
        sizes.append(SetThresholds(photos=photos, table=table, points=tuple(points), chosen_on=len(halves[0].labels)))
    basis = chooses.bundles.basis
    return JointThresholds(dependence=dependence, basis=basis, sizes=tuple(sizes)) if sizes else None


def _draw(
    data: Labelled, bases: tuple[Basis, ...], *, chooses: npt.NDArray[np.bool_], seed: int
) -> tuple[Bundles, Bundles] | None:
    """Bundles of the half that chooses and of the one that judges, on the first basis that has enough of them."""
    for basis in bases:
        chose, judged = (
            draw(data.labels, data.observations, half, basis=basis, seed=seed) for half in (chooses, data.judges)
        )
        if min(len(chose.sets(2)), len(judged.sets(2))) >= LEAST:
            return chose, judged
    return None


def _hold(data: Labelled, bundles: Bundles, *, temperature: float) -> _Sets:
    """Read the distributions of all photographs of the bundles, in one pass."""
    inside = np.arange(LARGEST) < bundles.sizes[:, None]
    positions = np.unique(bundles.rows[inside])
    return _Sets(
        bundles=bundles, held=np.asarray(data.probabilities[positions]), positions=positions, labels=data.labels,
        temperature=temperature,
    )  # fmt: skip


def _evidences(sets: _Sets) -> list[tuple[int, Floats, Integers]]:
    """What the dependence is fitted on: sets of each size, not more than `FIT_CELLS` probabilities together."""
    most = max(LEAST, FIT_CELLS // (sets.held.shape[1] * (LARGEST - 1)))
    found = []
    for photos in range(2, LARGEST + 1):
        rows = sets.bundles.sets(photos)[:most]
        sums = [evidence(sets.tempered(block)) for block in _blocks(rows, classes=sets.held.shape[1])]
        if sums:
            found.append((photos, np.concatenate(sums), sets.labels[rows[:, 0]]))
    return found


def _joined(
    sets: _Sets,
    taxonomy: Taxonomy,
    options: SpecificityOptions,
    *,
    photos: int,
    dependence: float,
    compose: Compose | None,
) -> Half:
    """The candidates of sets of one size."""
    rows, rule = sets.bundles.sets(photos), options.rule
    pools = (
        joined if compose is None else compose(joined, block[:, 0])
        for block in _blocks(rows, classes=sets.held.shape[1])
        for joined in [pool(sets.tempered(block), dependence=dependence)]
    )
    found = [candidates(joined, taxonomy, rule=rule, reward=options.reward) for joined in pools]
    joined = Candidates(*(np.concatenate(each) for each in zip(*found, strict=True)))
    return Half(found=joined, labels=sets.labels[rows[:, 0]])


def _blocks(sets: Rows, *, classes: int) -> list[Rows]:
    """The sets, so many at once as stay within `BLOCK_CELLS`."""
    step = max(1, BLOCK_CELLS // (classes * sets.shape[1]))
    return [sets[begin : begin + step] for begin in range(0, len(sets), step)]
