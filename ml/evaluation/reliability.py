"""How far a stated probability can be believed: its bins against the accuracy in them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.specificity.answers import Candidates
from ml.specificity.guarantee import clopper_pearson
from ml.specificity.operating_points import Floats
from ml.taxonomy import Integers, Taxonomy

BINS = 10


@dataclass(frozen=True, eq=False, kw_only=True)
class Reliability:
    """One entry per bin of probability that has any answers."""

    stated: Floats
    """Mean probability."""
    accuracy: Floats
    low: Floats
    """Lower end of the 95 % Clopper-Pearson interval of the accuracy."""
    high: Floats
    photos: Integers

    @property
    def error(self) -> float:
        """Expected calibration error (Naeini et al. 2015): mean distance of both, weighted by photographs."""
        return float(np.average(np.abs(self.stated - self.accuracy), weights=self.photos))


def reliability(found: Candidates, labels: Integers, taxonomy: Taxonomy, *, depth: int | None = None) -> Reliability:
    """Compare stated probabilities with the truth.

    Args:
        found: Candidates of N photographs.
        labels: True class ids. Shape N.
        taxonomy: Their tree.
        depth: Candidates of one depth; None: of all depths below the root.
    """
    chosen = slice(1, None) if depth is None else slice(depth, depth + 1)
    right = taxonomy.contains(found.node_ids, labels[:, None])
    return binned(found.probabilities[:, chosen].ravel(), right[:, chosen].ravel())


def binned(probabilities: Floats, right: npt.NDArray[np.bool_]) -> Reliability:
    """Compare the stated probability of each answer with whether it is right.

    Args:
        probabilities: In [0, 1]. Shape N, not 0.
        right: Shape N.
    """
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    photos = np.bincount(bins, minlength=BINS)
    kept = photos > 0
    hits = np.bincount(bins, weights=right, minlength=BINS)[kept]
    counts = photos[kept]
    intervals = np.array([clopper_pearson(int(hit), int(count)) for hit, count in zip(hits, counts, strict=True)])
    return Reliability(
        stated=np.bincount(bins, weights=probabilities, minlength=BINS)[kept] / counts,
        accuracy=hits / counts,
        low=intervals[:, 0],
        high=intervals[:, 1],
        photos=counts.astype(np.int32),
    )
