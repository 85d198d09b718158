"""A network's probabilities and the prior of place and season, multiplied at the leaves of the tree.

What is summed up the tree, tempered and compared with thresholds is the composed distribution.
"""

import numpy as np

from ml.places.prior import PriorLook
from ml.taxonomy import Floats


def compose(probabilities: Floats, look: PriorLook, *, exponent: float) -> Floats:
    """Probabilities of species, given the photograph and where it was taken.

    Args:
        probabilities: Of the network, before any temperature. Shape N x C, rows sum to one.
        look: What the prior says of the same N sites; where it knows nothing, the row stays as it is.
        exponent: Power of the prior; 0 leaves everything as it is.

    Returns:
        Shape N x C, rows sum to one.
    """
    composed = probabilities.astype(np.float64)
    known = np.flatnonzero(look.known)
    if len(known) and exponent:
        part = PriorLook(
            look.classes[known], look.weights[known], look.floor, look.known[known], look.nearest_km[known]
        )
        shares = part.shares(probabilities.shape[1])
        mixed = composed[known] * (shares / shares.max(axis=1, keepdims=True)) ** exponent
        composed[known] = mixed / mixed.sum(axis=1, keepdims=True)
    return composed
