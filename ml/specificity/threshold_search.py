"""Three ways to choose the threshold that meets a target accuracy: exact, the paper's, and the one it builds on.

What a threshold does belongs to `ml.specificity.answers`; what may be promised about it to `ml.specificity.guarantee`.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ml.specificity.answers import Candidates, curve_of
from ml.specificity.operating_points import OperatingCurve, Reward
from ml.specificity.tree_sums import SpecificityError
from ml.taxonomy import Integers, Taxonomy

Method = Literal["exact", "hill_climb", "binary_search"]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A chosen threshold and what it does on the photographs that chose it."""

    threshold: float
    target: float
    method: Method
    accuracy: float
    depth: float
    information: float
    """Mean information gain of the answers, in bits."""
    abstention: float
    photos: int
    evaluations: int
    """How often the accuracy was looked at; for `hill_climb` on mini-batches."""
    reachable: bool
    """False when even threshold 1 errs too often: the network is certain and wrong. `accuracy` says how far."""


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
        depth = (self.found.probabilities[rows, 1:] >= threshold).sum(axis=1)
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
) -> Calibration:
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

    Raises:
        SpecificityError: the target or the method is none.
    """
    if not 0 < target < 1:
        raise SpecificityError(f"the target accuracy must lie between 0 and 1, not {target}")
    if method not in _METHODS:
        raise SpecificityError(f"the method must be one of {', '.join(_METHODS)}, not {method!r}")
    curve = curve_of(found, labels, taxonomy) if curve is None else curve
    reachable = bool((curve.accuracy >= target).any())
    if reachable:
        problem = _Problem(
            curve=curve, found=found, labels=labels, taxonomy=taxonomy, target=target, reward=reward, seed=seed
        )
        threshold, evaluations = _METHODS[method](problem)
    else:
        threshold, evaluations = 1.0, len(curve.threshold)
    entry = curve.at(threshold)
    return Calibration(
        threshold=threshold,
        target=target,
        method=method,
        accuracy=float(curve.accuracy[entry]),
        depth=float(curve.depth[entry]),
        information=float(curve.information[entry]),
        abstention=float(curve.abstention[entry]),
        photos=curve.photos,
        evaluations=evaluations,
        reachable=reachable,
    )


def _exact(problem: _Problem) -> tuple[float, int]:
    curve = problem.curve
    return float(curve.threshold[curve.choose(problem.target, problem.reward)]), len(curve.threshold)


def _binary_search(problem: _Problem) -> tuple[float, int]:
    """Halve [0, 1] until neighbouring float32 numbers are told apart; the reward only rises as the threshold falls.

    Above 0.5 a lower threshold goes down the same lineage, which is deeper and never tells less: so both rewards lead
    to the lowest threshold that meets the target.
    """
    low, high, evaluations = 0.0, 1.0, 0
    everyone = np.arange(len(problem.right))
    while high - low > 2.0**-30:
        middle = (low + high) / 2
        if problem.accuracy(middle, everyone) >= problem.target:
            high = middle
        else:
            low = middle
        evaluations += 1
    return high, evaluations


def _hill_climb(problem: _Problem) -> tuple[float, int]:
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
    return float(visited[steps // 2 :].mean()), steps


_METHODS: dict[Method, Callable[[_Problem], tuple[float, int]]] = {
    "exact": _exact,
    "hill_climb": _hill_climb,
    "binary_search": _binary_search,
}
