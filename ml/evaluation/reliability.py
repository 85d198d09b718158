"""How far a stated probability can be believed: bins of probability against the accuracy in them, with intervals."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.taxonomy import Floats, Integers

BINS = 10


@dataclass(frozen=True, eq=False, kw_only=True)
class Reliability:
    """A reliability diagram: one entry for each bin of probability that holds any answer."""

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


def clopper_pearson(right: float, photos: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """The exact two-sided interval of an accuracy: `right` of `photos`; both may be effective numbers, not whole."""
    from scipy.special import betaincinv  # noqa: PLC0415 (serving imports this module and needs no SciPy)

    tail = (1 - confidence) / 2
    low = betaincinv(right, photos - right + 1, tail) if right else 0.0
    high = betaincinv(right + 1, photos - right, 1 - tail) if right < photos else 1.0
    return float(low), float(high)
