"""What out-of-sample probabilities say about the names that photographs were given.

Sources: Northcutt, Jiang & Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels" (thresholds,
off-diagonals of the confident joint); Kuan & Mueller 2022, "Model-agnostic label quality scoring to detect real-world
label errors" (self-confidence, normalised margin). All functions take some photographs at a time.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SIBLING: Final = 4.0
"""How much likelier than its probability says another species of the genus is to be what a photograph shows: that is
whom people mistake it for."""
FLOOR: Final = 1e-5
"""Added to probabilities before they are compared: smaller ones say nothing any more. Both were chosen by measurement
(`bench/results/label_noise.md`)."""
LEAST_THRESHOLD: Final = 2e-6
"""No class is believed at a lower probability."""
SLACK: Final = 1e-6
"""A probability that misses a threshold by so little reaches it: both are sums of rounded numbers."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Judgement:
    """What is kept of the probabilities of N photographs."""

    self_confidence: NDArray[np.float64]
    """Probability of the given class (N)."""
    suggested: NDArray[np.int64]
    """The likeliest other class (N); -1 where there is no other."""
    suggested_probability: NDArray[np.float64]
    """Its probability (N)."""
    suspicion: NDArray[np.float64]
    """How much more the photograph looks like another species than like the given one (N); see `judge`."""

    @property
    def margin(self) -> NDArray[np.float64]:
        """Normalised margin (N): given minus likeliest other, from [-1, 1] to [0, 1]; low: a wrong name."""
        return (self.self_confidence - self.suggested_probability + 1) / 2

    @property
    def contradicted(self) -> NDArray[np.bool_]:
        """Whether another class is likelier than the given one (N)."""
        return self.suggested_probability > self.self_confidence


def judge(probabilities: Tensor, labels: Tensor, *, genera: Tensor) -> Judgement:
    """What probabilities say of the given classes.

    The suspicion is log((other + `FLOOR`) / (given + `FLOOR`)), where `other` is the greatest probability of another
    class, of those of the same genus multiplied by `SIBLING`. Self-confidence finds names from far away and the margin
    those of the same genus; this finds both.

    Args:
        probabilities: Of N photographs (N, classes).
        labels: Their given classes (N).
        genera: The genus of each class (classes), on the same device.
    """
    rows = torch.arange(len(labels), device=labels.device)
    others = probabilities.clone()
    others[rows, labels] = -1.0
    best = others.max(dim=1)
    alone = best.values < 0
    siblings = others.masked_fill_(genera[labels][:, None] != genera[None, :], 0.0).amax(dim=1).clamp_min(0)
    other = torch.maximum(SIBLING * siblings, best.values.clamp_min(0))
    suspicion = torch.log(other + FLOOR) - torch.log(probabilities[rows, labels] + FLOOR)
    return Judgement(
        self_confidence=probabilities[rows, labels].double().cpu().numpy(),
        suggested=best.indices.masked_fill(alone, -1).cpu().numpy(),
        suggested_probability=best.values.clamp_min(0).double().cpu().numpy(),
        suspicion=suspicion.double().cpu().numpy(),
    )


def thresholds(self_confidence: NDArray[np.float64], labels: NDArray[np.int64], *, classes: int) -> NDArray[np.float64]:
    """How probable each class is, on average, for the photographs that are under it; infinite for one without any."""
    photos = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, weights=self_confidence, minlength=classes)
    means: NDArray[np.float64] = np.divide(sums, photos, out=np.full(classes, np.inf), where=photos > 0)
    return means.clip(min=LEAST_THRESHOLD)


def believed(probabilities: Tensor, labels: Tensor, least: Tensor) -> NDArray[np.bool_]:
    """Whether some class other than the given one reaches its threshold.

    With `Judgement.contradicted`, that is an off-diagonal of the confident joint.

    Args:
        probabilities: Of N photographs (N, classes).
        labels: Their given classes (N).
        least: The thresholds (classes).
    """
    reached = probabilities >= least - SLACK
    reached[torch.arange(len(labels), device=labels.device), labels] = False
    return np.asarray(reached.any(dim=1).cpu().numpy(), dtype=np.bool_)
