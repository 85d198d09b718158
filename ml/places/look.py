"""What a prior says of sites, kept sparsely and made dense where it is needed."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ml.taxonomy import Floats


class PriorLook(NamedTuple):
    """What the prior says of N sites, sparsely: most species have no occurrence near a place."""

    classes: npt.NDArray[np.int32]
    """Species of each neighbour, the nearest first. Shape N x k."""
    weights: npt.NDArray[np.float32]
    """Its weight, in occurrences; 0 where it does not count. Shape N x k."""
    floor: float
    """The weight of every species beside."""
    known: npt.NDArray[np.bool_]
    """Whether occurrences are near enough to say anything. Shape N."""
    nearest_km: Floats
    """Distance to the nearest occurrence that counts; NaN without one. Shape N."""
    counts: npt.NDArray[np.int32]
    """How many occurrences each neighbour stands for; 0 where there is none. Shape N x k."""
    unplaced: npt.NDArray[np.int32]
    """Species without any usable place, of which nothing can be said: each has 1 / C everywhere."""

    def rows(self, chosen: npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice) -> "PriorLook":
        """What is said of some of the sites."""
        return self._replace(
            classes=self.classes[chosen],
            weights=self.weights[chosen],
            known=self.known[chosen],
            nearest_km=self.nearest_km[chosen],
            counts=self.counts[chosen],
        )

    def sums(self, classes: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Floats]:
        """Weights of the species that have a neighbour, with the floor, at the known sites.

        A species without any usable place has what the others have on average.

        Args:
            classes: C.

        Returns:
            Sites, species and weights, pair by pair, in this order; all other species have the floor.
        """
        sites = np.flatnonzero(self.known)
        keys = (sites[:, None] * classes + self.classes[sites]).ravel()
        weights = self.weights[sites]
        if 0 < len(self.unplaced) < classes:
            average = weights.sum(axis=1, dtype=np.float64) / (classes - len(self.unplaced))
            keys = np.concatenate([keys, (sites[:, None] * classes + self.unplaced).ravel()])
            weights = np.concatenate([weights.ravel(), np.repeat(average, len(self.unplaced))])
        pairs, pair = np.unique(keys, return_inverse=True)
        sums = np.bincount(pair, weights.ravel(), len(pairs)) + self.floor
        return np.asarray(pairs // classes), np.asarray(pairs % classes), np.asarray(sums, np.float64)

    def shares(self, classes: int) -> Floats:
        """Probability of every species; the same for all where nothing is known. Shape N x classes, rows sum to one."""
        dense = np.full((len(self.known), classes), self.floor)
        sites, species, sums = self.sums(classes)
        dense[sites, species] = sums
        dense /= dense.sum(axis=1, keepdims=True)
        return dense

    def occurrences(self, class_ids: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """How many of the neighbours are of a species, at any time of the year.

        Args:
            class_ids: A species for each site. Shape N.

        Returns:
            Shape N.
        """
        return np.asarray(np.where(self.classes == class_ids[:, None], self.counts, 0).sum(axis=1, dtype=np.int64))
