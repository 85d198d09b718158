"""A perceptual hash of one photograph: equal for copies, close for near-copies. Bytes in, an integer out."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from ml.images.jpeg import Jpeg

_SIDE = 32
"""Pixels per side of the grey picture that is transformed."""
_LOW = 8
"""Frequencies per side that count: 64 in all."""
_DECODED = 2 * _SIDE
"""libjpeg decodes at its own reduced scale, but to no less than this."""


def fingerprint(content: bytes) -> int:
    """The 64-bit perceptual hash ("pHash") of a JPEG, as a signed integer.

    The picture is reduced to 32 x 32 grey pixels; each bit says whether one of the 64 lowest frequencies of its cosine
    transform (DCT-II) is above their median. Resizing, compression, brightness and colour hardly change it; cropping
    does. `pipeline.dataset.leakage` says how far two near-identical photographs may differ.

    Raises:
        PhotoError: the JPEG is not whole.
    """
    small = Image.fromarray(Jpeg.read(content).grey(least=_DECODED)).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    low = _COSINES @ np.asarray(small, dtype=np.float64) @ _COSINES.T
    # The first frequency is the mean brightness, larger than all others: it takes no part in the median.
    bits = low.ravel() > np.median(low.ravel()[1:])
    return int(np.packbits(bits).view(">i8")[0])


def _cosines() -> npt.NDArray[np.float64]:
    """The first rows of the matrix of the DCT-II, up to scale."""
    places = 2 * np.arange(_SIDE) + 1
    return np.cos(np.pi * np.arange(_LOW)[:, None] * places[None, :] / (2 * _SIDE))


_COSINES = _cosines()
