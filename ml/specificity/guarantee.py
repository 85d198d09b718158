"""A finite-sample guarantee for the threshold: learn-then-test with a fixed sequence (Angelopoulos et al. 2021).

Theorem. Let the network and the target be fixed before the N calibration photographs are seen, and let those and the
photographs of use be independent draws from one distribution. Thresholds of the fixed `GRID` are tested from 1
downwards, each for the hypothesis "its accuracy is below the target", by the exact binomial test at level delta; the
first that is not rejected ends the sequence. Then, with probability at least 1 - delta over the calibration
photographs, every threshold before it - so the chosen one, the last - has at least the target accuracy.

Why: accuracy at a fixed threshold is the mean of N independent zeros and ones, so the test is exact: it rejects where
the Clopper-Pearson lower bound reaches the target. Ending at the first failure means that a wrong choice needs the
first true hypothesis of the sequence to be rejected, which happens with probability at most delta: the number of
thresholds costs nothing. It needs no monotony either: accuracy may fall and rise along the sequence, below 0.5 or under
another rule (`ml.specificity.rules`), whose parameters 1 to 0 are tested in the same order. What is promised is every
parameter before the first failure, and nothing behind it.

What the assumptions exclude: photographs of one observation are not independent (take one of each, see
`one_per_group`); a place, a season or a camera that the dataset does not have is another distribution.
"""

import numpy as np
import numpy.typing as npt

from ml.specificity.operating_points import OperatingCurve
from ml.specificity.tree_sums import SpecificityError
from ml.taxonomy import Floats

GRID: Floats = np.concatenate([[1.0], 1 / (1 + np.exp(-np.linspace(14, -7, 4_001)))])
"""Thresholds that are tested, falling, fixed beforehand: dense near 1, where sure networks have their answers."""


def guaranteed_threshold(curve: OperatingCurve, *, target: float, delta: float) -> float | None:
    """The lowest threshold of the sequence whose accuracy is at least `target` with confidence 1 - `delta`.

    Args:
        curve: Of the calibration photographs, which chose nothing yet.
        target: Accuracy wanted, in (0, 1).
        delta: Probability that the promise is broken, in (0, 1).

    Returns:
        A threshold, or None where not even threshold 1 can be promised: see `photos_needed`.

    Raises:
        SpecificityError: target or delta is outside (0, 1).
    """
    from scipy.special import bdtrc  # noqa: PLC0415 (serving imports this module and needs no SciPy)

    if not (0 < target < 1 and 0 < delta < 1):
        raise SpecificityError(f"target and delta must lie between 0 and 1, not {target} and {delta}")
    right = np.rint(curve.accuracy[curve.entries(GRID)] * curve.photos)
    # The probability of at least so many right answers, if the accuracy were the target.
    rejected = bdtrc(right - 1, curve.photos, target) <= delta
    passed = len(GRID) if rejected.all() else int(rejected.argmin())
    return float(GRID[passed - 1]) if passed else None


def photos_needed(*, target: float, delta: float) -> int:
    """The least number of photographs that can promise `target`: so many right answers in a row are improbable."""
    return int(np.ceil(np.log(delta) / np.log(target)))


def effective_number(groups: npt.ArrayLike | None, *, photos: int) -> float:
    """How many independent photographs are worth as much as these, if those of a group (an observation) are all alike.

    Kish's (1965) effective sample size, the square of the sum of the groups' sizes over the sum of their squares: the
    number of photographs where each is a group of its own, the number of groups where all have the same size. Groups
    whose photographs are less alike are worth more: an interval for this number errs on the wide side.

    Args:
        groups: The group of each photograph; None: each is its own.
        photos: How many photographs there are, at least 1.
    """
    if groups is None:
        return float(photos)
    _, sizes = np.unique(np.asarray(groups), return_counts=True)
    return float(photos**2 / (sizes**2).sum())


def one_per_group(groups: npt.ArrayLike, *, seed: int) -> npt.NDArray[np.intp]:
    """Rows of one photograph per group (an observation), drawn by the seed; in rising order."""
    names = np.asarray(groups)
    order = np.random.default_rng(seed).permutation(len(names))
    _, first = np.unique(names[order], return_index=True)
    return np.sort(order[first])
