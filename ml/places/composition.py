"""A network's probabilities and the prior of place and season, multiplied at the leaves of the tree.

What is summed up the tree, tempered and compared with thresholds is the composed distribution.
"""

from typing import Final

import numpy as np

from ml.places.prior import PriorLook
from ml.taxonomy import Floats

_BLOCK: Final = 2_000_000
"""Probabilities that are composed at a time: 16 MB."""


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
    known = np.flatnonzero(look.known) if exponent else np.zeros(0, np.intp)
    classes = probabilities.shape[1]
    step = max(_BLOCK // max(classes, 1), 1)
    for rows in (known[start : start + step] for start in range(0, len(known), step)):
        shares = look.rows(rows).shares(classes)
        # The greatest share becomes 1 first: a power of it cannot vanish.
        mixed = composed[rows] * (shares / shares.max(axis=1, keepdims=True)) ** exponent
        composed[rows] = mixed / mixed.sum(axis=1, keepdims=True)
    return composed
