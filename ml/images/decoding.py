"""The bytes of one batch: read from the pack, decoded, cut and resized, in a thread or in a process of its own.

All that is needed travels with a batch, and is small: the files are opened where they are read.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml.errors import PhotoError
from ml.images.augmentation import RandomChanges
from ml.images.pack import PackFiles, Place
from ml.images.resizing import Method
from ml.images.views import CENTRE, Box, decode, resize, view_boxes

EVALUATED: Final[tuple[Box, Method]] = (CENTRE, "antialias")
"""What evaluation sees of every photograph."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """The photographs of one batch."""

    positions: NDArray[np.int64]
    """Within the `Photos` that were asked for (N)."""
    places: tuple[Place, ...]
    """Where their bytes are (N)."""
    changes: RandomChanges | None
    """Random crops; without them, the central part."""


class Decoder:
    """Decodes photographs of one pack as one network sees them. Can be sent to another process."""

    def __init__(self, folder: Path, *, views: tuple[float, ...], image_size: int) -> None:
        """Decode from the pack in `folder`.

        Args:
            folder: The pack's.
            views: Share of each side that each view shows.
            image_size: Side of a view in pixels.
        """
        self.files, self.views, self.image_size = PackFiles(folder), views, image_size

    def shape(self, photos: int) -> tuple[int, ...]:
        """Of the bytes of a batch: (views, N, H, W, 3), all photographs' first views first, as networks run them."""
        return len(self.views), photos, self.image_size, self.image_size, 3

    def photograph(
        self, place: Place, position: int, pixels: NDArray[np.uint8], *, changes: RandomChanges | None
    ) -> str | None:
        """Decode one photograph.

        Args:
            place: Where its bytes are.
            position: Decides its random changes.
            pixels: (views, H, W, 3), where the views are written.
            changes: Random crops.

        Returns:
            Why it cannot be decoded, if it cannot.

        Raises:
            DataError: the pack is missing or shorter than its index says.
        """
        try:
            whole = decode(self.files.read(place))
        except PhotoError as error:
            return f"{place.photo_id}: {error}"
        height, width = whole.shape[:2]
        box, method = changes.crop(position, width=width, height=height) if changes else EVALUATED
        boxes = view_boxes(box, views=self.views)
        resize(whole, boxes=boxes, image_size=self.image_size, method=method, out=pixels)
        return None

    def work(self, group: Group, pixels: NDArray[np.uint8]) -> Iterable[Callable[[], str | None]]:
        """What decodes `group` into `pixels` (views, N, H, W, 3), photograph by photograph, in any order."""

        def one(row: int) -> Callable[[], str | None]:
            place, position = group.places[row], int(group.positions[row])
            return lambda: self.photograph(place, position, pixels[:, row], changes=group.changes)

        return map(one, range(len(group.positions)))
