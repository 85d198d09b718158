"""Distributions of many photographs, composed with the prior of their places block by block, as they are read."""

import numpy as np
import numpy.typing as npt

from ml.evaluation.predictions import StoredProbabilities
from ml.places.composition import compose
from ml.places.prior import PlacePrior
from ml.places.sites import Sites
from ml.taxonomy import Floats


class ComposedProbabilities:
    """Some of a network's distributions, each composed with what the prior says of its site; like a read-only array.

    Nothing is kept: M x C of them need no more memory than the rows that are asked for.
    """

    ndim = 2
    dtype = np.dtype(np.float64)

    def __init__(
        self,
        probabilities: "npt.NDArray[np.floating] | StoredProbabilities | ComposedProbabilities",
        rows: npt.NDArray[np.intp],
        *,
        prior: PlacePrior,
        sites: Sites,
    ) -> None:
        """Name the distributions; none is read yet.

        Args:
            probabilities: Of the network, before any temperature. Shape N x C.
            rows: Which of them are meant. Shape M.
            prior: What they are composed with.
            sites: Where, and when, these M photographs were taken.
        """
        self.shape: tuple[int, int] = (len(rows), int(probabilities.shape[1]))
        self._probabilities, self._rows, self._prior, self._sites = probabilities, rows, prior, sites

    @property
    def size(self) -> int:
        """Number of probabilities."""
        return self.shape[0] * self.shape[1]

    @property
    def itemsize(self) -> int:
        """Bytes of one probability."""
        return self.dtype.itemsize

    def __len__(self) -> int:
        """Number of photographs."""
        return self.shape[0]

    def __getitem__(self, rows: slice | npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Floats:
        """The composed distributions of `rows`, in their order. Shape: rows x C."""
        look = self._prior.look(self._sites.rows(rows))
        alone = np.asarray(self._probabilities[self._rows[rows]])
        return compose(alone, look, exponent=self._prior.settings.exponent)
