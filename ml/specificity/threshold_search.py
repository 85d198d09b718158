"""Three ways to choose the threshold that meets a target accuracy: exact, the paper's, and the one it builds on.

What a threshold does belongs to `ml.specificity.answers`; what may be promised about it to `ml.specificity.guarantee`.
The parameter of another rule than the threshold's (`ml.specificity.rules`) is searched in the same ways.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.spec import Method, OperatingPoint, Reward
from ml.specificity.answers import Candidates, curve_of
from ml.specificity.operating_points import OperatingCurve
from ml.specificity.tree_sums import SpecificityError
from ml.taxonomy import Integers, Taxonomy


@dataclass(frozen=True, eq=False, kw_only=True)
class _Problem:
    curve: OperatingCurve
    found: Candidates
    labels: Integers
    taxonomy: Taxonomy
    target: float
    reward: Reward
    seed: int

    @functools.cached_property
    def right(self) -> npt.NDArray[np.bool_]:
        """Whether each candidate is right, the root included. Shape N x (D + 1)."""
        return self.taxonomy.contains(self.found.node_ids, self.labels[:, None])

    def accuracy(self, threshold: float, rows: npt.NDArray[np.int64]) -> float:
        """Of the answers at `threshold` for some photographs."""
        depth = (self.found.scores[rows, 1:] >= threshold).sum(axis=1)
        return float(self.right[rows, depth].mean())


def choose_threshold(
    found: Candidates,
    labels: Integers,
    taxonomy: Taxonomy,
    *,
    target: float,
    method: Method = "exact",
    reward: Reward = "depth",
    seed: int = 0,
    curve: OperatingCurve | None = None,
) -> OperatingPoint:
    """Choose the threshold that answers best while the accuracy is at least `target`; see `ml.specificity.calibrate`.

    Args:
        found: Candidates of N photographs.
        labels: True class ids. Shape N.
        taxonomy: The tree of both.
        target: Accuracy wanted, in (0, 1).
        method: How to search.
        reward: What "best" means.
        seed: Order of the mini-batches of `hill_climb`.
        curve: The operating curve of these photographs, where it is known already.

    Returns:
        The threshold and what it does on these photographs; threshold 1 where none reaches the target.

    Raises:
        SpecificityError: the target is outside (0, 1), or the method is unknown.
    """
    if not 0 < target < 1:
        raise SpecificityError(f"the target accuracy must lie between 0 and 1, not {target}")
    if method not in _METHODS:
        raise SpecificityError(f"the method must be one of {', '.join(_METHODS)}, not {method!r}")
    curve = curve_of(found, labels, taxonomy) if curve is None else curve
    if not (curve.accuracy >= target).any():
        return curve.point(1.0, target=target)
    problem = _Problem(
        curve=curve, found=found, labels=labels, taxonomy=taxonomy, target=target, reward=reward, seed=seed
    )
    return curve.point(_METHODS[method](problem), target=target)


def _exact(problem: _Problem) -> float:
    return float(problem.curve.threshold[problem.curve.choose(problem.target, problem.reward)])


def _binary_search(problem: _Problem) -> float:
    """Halve [0, 1] down to neighbouring float32 numbers; the reward only rises as the threshold falls.

    Above 0.5 a lower threshold goes down the same lineage, which is deeper and never less informative: so both rewards
    lead to the lowest threshold that meets the target. Deng et al. search the λ of their rule so; there, too, accuracy
    need not fall with it (`exact` looks at every breakpoint instead).
    """
    low, high = 0.0, 1.0
    everyone = np.arange(len(problem.right))
    while high - low > 2.0**-30:
        middle = (low + high) / 2
        if problem.accuracy(middle, everyone) >= problem.target:
            high = middle
        else:
            low = middle
    return high


def _hill_climb(problem: _Problem) -> float:
    """Stochastic approximation: step k adds k^-0.6 x (target - accuracy of the next mini-batch) to the threshold.

    The mean over the second half of the steps is the answer (Polyak averaging), which takes out the batches' noise.
    """
    generator = np.random.default_rng(problem.seed)
    photos = len(problem.right)
    size, steps = min(256, photos), 2_000
    threshold, visited = 0.5, np.empty(steps)
    for step in range(steps):
        accuracy = problem.accuracy(threshold, generator.integers(photos, size=size))
        threshold = float(np.clip(threshold + (step + 1) ** -0.6 * (problem.target - accuracy), 0, 1))
        visited[step] = threshold
    return float(visited[steps // 2 :].mean())


_METHODS: dict[Method, Callable[[_Problem], float]] = {
    "exact": _exact,
    "hill_climb": _hill_climb,
    "binary_search": _binary_search,
}
