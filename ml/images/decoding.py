"""The bytes of one batch: read from the pack, decoded, cut and resized, in a thread or in a process of its own.

All that is needed travels with a batch, and is small: the files are opened where they are read.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.errors import PhotoError
from ml.images.augmentation import RandomChanges
from ml.images.pack import PackFiles, Place
from ml.images.views import CENTRE, Box, decode, resize, view_boxes


@dataclass(frozen=True, kw_only=True)
class Group:
    """The photographs of one batch."""

    positions: NDArray[np.int64]
    """Within the `Photos` that were asked for (N)."""
    places: tuple[Place, ...]
    """Where their bytes are (N)."""
    changes: RandomChanges | None
    """Random crops; without them, the same parts of each."""


class Decoder:
    """Decodes photographs of one pack as one network sees them. Can be sent to another process."""

    def __init__(
        self, folder: Path, *, views: tuple[float, ...], image_size: int, boxes: Sequence[Box] | None = None
    ) -> None:
        """Decode from the pack in `folder`.

        Args:
            folder: The pack's.
            views: Share of each side that each view shows, of a random crop.
            image_size: Side of a view in pixels.
            boxes: The parts of a photograph where nothing is drawn at random; None: the views of its centre.
        """
        self.files, self.views, self.image_size = PackFiles(folder), views, image_size
        self.boxes = view_boxes(CENTRE, views=views) if boxes is None else list(boxes)

    def shape(self, photos: int, *, cropped: bool) -> tuple[int, ...]:
        """Of the bytes of a batch: (parts, N, H, W, 3), all photographs' first parts first, as networks run them.

        Args:
            photos: N.
            cropped: Whether the parts are views of random crops.
        """
        parts = len(self.views) if cropped else len(self.boxes)
        return parts, photos, self.image_size, self.image_size, 3

    def photograph(
        self, place: Place, position: int, pixels: NDArray[np.uint8], *, changes: RandomChanges | None
    ) -> str | None:
        """Decode one photograph.

        Args:
            place: Where its bytes are.
            position: Decides its random changes.
            pixels: (parts, H, W, 3), where the parts are written.
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
        if changes is None:
            resize(whole, boxes=self.boxes, image_size=self.image_size, out=pixels)
        else:
            crop, method = changes.crop(position, width=width, height=height)
            boxes = view_boxes(crop, views=self.views)
            resize(whole, boxes=boxes, image_size=self.image_size, method=method, out=pixels)
        return None

    def work(self, group: Group, pixels: NDArray[np.uint8]) -> Iterable[Callable[[], str | None]]:
        """What decodes `group` into `pixels` (parts, N, H, W, 3), photograph by photograph, in any order."""

        def one(row: int) -> Callable[[], str | None]:
            place, position = group.places[row], int(group.positions[row])
            return lambda: self.photograph(place, position, pixels[:, row], changes=group.changes)

        return map(one, range(len(group.positions)))
