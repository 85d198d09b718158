"""Reading HEIC and HEIF, what phones of Apple write, by libheif: the picture that a file names as its primary one.

The library is `pi-heif`: BSD code with libheif and libde265, both LGPL 3, in its wheel, which are loaded and not linked
in, so that they can be exchanged. `pillow-heif` is the same code with an encoder, whose wheel is under the GPL 2; it is
used where only it is installed, and by the tests, to write such files.
"""

import importlib
import io
from importlib.util import find_spec
from typing import Final

from PIL import Image

from ml.images.heif_boxes import Items

_LIBRARY: Final = next((name for name in ("pi_heif", "pillow_heif") if find_spec(name) and find_spec(f"_{name}")), None)
DISTRIBUTION: Final = None if _LIBRARY is None else _LIBRARY.replace("_", "-")
"""The installed package that reads such files; None: there is none."""
READABLE: Final = DISTRIBUTION is not None
MOST_WORK: Final = 2
"""How many pixels may have to be decoded for each one that is allowed: transparency and depth maps have as many."""
LITTLE_WORK: Final = 1_000_000
"""Pixels that may be decoded for the smallest picture: encoders fill its edges up."""


class Heic:
    """A HEIC whose header has been read, which takes no memory for pixels."""

    def __init__(self, content: bytes) -> None:
        """Read the header.

        Raises:
            PhotoError: the boxes are damaged, or hold no still picture.
            Exception: of whatever kind, where the library finds other damage.
        """
        if _LIBRARY is None:
            raise ImportError("pi-heif is not installed")
        self.work: int = Items.read(content).pixels_to_decode()
        """Pixels that are decoded, with tiles and transparency, each as often as it is used."""
        # Deeper colour is scaled to 8 bits; libheif turns the picture as the container says, and EXIF does not count.
        file = importlib.import_module(_LIBRARY).open_heif(io.BytesIO(content), convert_hdr_to_8bit=True)
        self._image = file[file.primary_index]
        self.width: int = self._image.size[0]
        self.height: int = self._image.size[1]

    def image(self) -> Image.Image:
        """The picture, upright; decodes it."""
        data, mode = self._image.data, self._image.mode
        # The library's own way reads the notes once more, and ends at damaged ones.
        return Image.frombytes(mode, self._image.size, data, "raw", mode, self._image.stride)
