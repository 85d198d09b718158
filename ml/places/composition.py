"""A network's probabilities and the prior of place and season, multiplied at the leaves of the tree.

What is summed up the tree, tempered and compared with thresholds is the composed distribution.
"""

from typing import Final

import numpy as np

from ml.places.prior import PriorLook
from ml.taxonomy import Floats

_BLOCK: Final = 100_000
"""Neighbours that are summed at a time."""


def compose(probabilities: Floats, look: PriorLook, *, exponent: float) -> Floats:
    """Probabilities of species, given the photograph and where it was taken.

    Args:
        probabilities: Of the network, before any temperature. Shape N x C, rows sum to one.
        look: What the prior says of the same N sites; where it knows nothing, the row stays as it is.
        exponent: Power of the prior; 0 leaves everything as it is.

    Returns:
        Shape N x C, rows sum to one.
    """
    if not exponent:
        return probabilities.astype(np.float64)
    composed = np.empty((len(probabilities), probabilities.shape[1]))
    step = max(_BLOCK // max(look.classes.shape[1], 1), 1)
    for start in range(0, len(composed), step):
        block, said = probabilities[start : start + step], look.rows(slice(start, start + step))
        # Species without a neighbour have the floor, which is taken as 1: only the others are touched.
        sites, species, sums = said.sums(composed.shape[1])
        ratios = (sums / said.floor) ** exponent
        more = np.bincount(sites, block[sites, species] * (ratios - 1), len(block))
        total = np.where(said.known, block.sum(axis=1, dtype=np.float64) + more, 1.0)
        out = composed[start : start + step]
        np.divide(block, total[:, None], out=out)
        out[sites, species] *= ratios
    return composed
