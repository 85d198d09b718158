"""Photographs for networks: the pack and the split, decoding, cropping, batches in a reproducible order.

Colour changes are in `ml.images.augmentation`. Which photographs exist is decided before, by the tables.
"""

import os
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ml.errors import DataError, PhotoError
from ml.images.jpeg import Jpeg

EVALUATION_CROP = 0.875
"""Share of each side that evaluation sees, around the centre (TF-slim `preprocess_for_eval`)."""

Box = tuple[float, float, float, float]
"""Left, upper, right and lower edge as fractions of width and height; left beyond right shows the part mirrored."""

CENTRE: Box = (
    (1 - EVALUATION_CROP) / 2,
    (1 - EVALUATION_CROP) / 2,
    (1 + EVALUATION_CROP) / 2,
    (1 + EVALUATION_CROP) / 2,
)


def view_boxes(box: Box, *, views: Sequence[float]) -> list[Box]:
    """For each view its part of the photograph: the share `views` of each side of `box`, around its centre.

    Source: paper section 3.1, "both at the same resolution but at different magnification scales".
    """
    left, upper, right, lower = box
    across, down = (left + right) / 2, (upper + lower) / 2
    return [
        (across - share * (right - left) / 2, down - share * (lower - upper) / 2,
         across + share * (right - left) / 2, down + share * (lower - upper) / 2)
        for share in views
    ]  # fmt: skip


def region_boxes(region: Box, *, views: Sequence[float]) -> list[Box]:
    """The views when the region of interest is known: the most magnified view shows just the region.

    Views between it and the whole show the region with more around it. Source: paper section 3.1 ("the user could be
    asked to specify a bounding box for the region of interest").

    Raises:
        ValueError: the region is not a part of the photograph.
    """
    left, upper, right, lower = region
    if not (0 <= left < right <= 1 and 0 <= upper < lower <= 1):
        raise ValueError(
            f"a region of interest is left, upper, right, lower as fractions of the photograph, not {region}"
        )
    if len(views) == 1:
        return [region]
    grown = view_boxes(region, views=[share / min(views) for share in views[1:]])
    inside = [(max(0.0, box[0]), max(0.0, box[1]), min(1.0, box[2]), min(1.0, box[3])) for box in grown]
    return [CENTRE, *inside]


def decode(
    jpeg: bytes, *, boxes: Sequence[Box], image_size: int, out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Decode a JPEG once and cut the parts `boxes` out of it; see `resize`.

    The decoder itself scales down by up to eight when the parts stay larger than wanted: most of the
    cost of a large photograph is saved.

    Args:
        jpeg: The file's bytes.
        boxes: The wanted parts, as fractions.
        image_size: Side of the result, in pixels; the aspect ratio is not kept (as in TF-slim).
        out: Where to write the result, if it is not to be a new array.

    Returns:
        RGB pixels (boxes, image_size, image_size, 3).

    Raises:
        PhotoError: the bytes are not a whole JPEG.
    """
    try:
        pixels = Jpeg.read(jpeg).rgb(
            least_width=int(np.ceil(image_size / min(abs(right - left) for left, _, right, _ in boxes))),
            least_height=int(np.ceil(image_size / min(lower - upper for _, upper, _, lower in boxes))),
        )
    except PhotoError as error:
        raise PhotoError(f"not a readable JPEG: {error}") from error
    return resize(pixels, boxes=boxes, image_size=image_size, out=out)


def resize(
    pixels: NDArray[np.uint8], *, boxes: Sequence[Box], image_size: int, out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """The parts `boxes` of RGB pixels (H, W, 3), each at `image_size` x `image_size`, bilinear with antialiasing.

    Edges are those of the nearest whole pixels, as in TF-slim, whose random crops are whole pixels too.
    """
    height, width = pixels.shape[:2]
    # Strides of bytes as they are decoded: what torch's vectorised kernel for bytes works on without repacking.
    image = torch.from_numpy(pixels)[None].permute(0, 3, 1, 2)
    parts = np.empty((len(boxes), image_size, image_size, 3), dtype=np.uint8) if out is None else out
    for part, (left, upper, right, lower) in zip(parts, boxes, strict=True):
        columns, rows = _span(left, right, of=width), _span(upper, lower, of=height)
        seen = functional.interpolate(
            image[:, :, rows, columns], size=(image_size, image_size), mode="bilinear", antialias=True
        )
        if left > right:
            seen = seen.flip(3)
        part[:] = seen[0].permute(1, 2, 0).numpy()
    return parts


def _span(begin: float, end: float, *, of: int) -> slice:
    """The whole pixels between two edges in either order, at least one."""
    low, high = sorted((begin, end))
    first = min(round(low * of), of - 1)
    return slice(max(0, first), max(first + 1, round(high * of)))


def standardise(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Pixels (..., 3, H, W) in [0, 1], minus `mean`, divided by `std`, in place."""
    # Six numbers need not wait for what the device is doing.
    shift = torch.tensor(mean).to(pixels.device, non_blocking=True).view(3, 1, 1)
    scale = torch.tensor(std).to(pixels.device, non_blocking=True).view(3, 1, 1)
    return pixels.sub_(shift).div_(scale)


class Pack:
    """The training photographs: JPEGs one after another in `pack-*.bin`, found by `index.parquet`."""

    def __init__(self, index: Path) -> None:
        """Open the pack of `index`.

        Raises:
            DataError: the index is missing or damaged.
        """
        table = _table(index, columns=["photo_id", "pack", "offset", "length"])
        self._folder = index.parent
        self._descriptors: dict[str, int] = {}
        self._opening = Lock()
        weakref.finalize(self, _close, self._descriptors)
        self.photo_ids: list[str] = table["photo_id"].to_pylist()
        self._packs: list[str] = table["pack"].to_pylist()
        self._offsets = table["offset"].to_numpy()
        self._lengths = table["length"].to_numpy()

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Rows of the index by photo_id."""
        return {photo_id: row for row, photo_id in enumerate(self.photo_ids)}

    def jpeg(self, row: int) -> bytes:
        """The bytes of the photograph in `row` of the index; safe to call from several threads.

        Read and not mapped: a mapped file that loses bytes while it is read ends the process without a word.

        Raises:
            DataError: the pack is missing or shorter than the index says.
        """
        path = self._folder / self._packs[row]
        offset, length = int(self._offsets[row]), int(self._lengths[row])
        try:
            content = os.pread(self._descriptor(path), length, offset)
        except OSError as error:
            raise DataError(f"cannot read the pack {path}: {error}") from error
        if len(content) < length:
            raise DataError(
                f"{path} ends before photograph {self.photo_ids[row]} does; materialise training_photos again"
            )
        return content

    def _descriptor(self, path: Path) -> int:
        with self._opening:
            if path.name not in self._descriptors:
                self._descriptors[path.name] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            return self._descriptors[path.name]


def _close(descriptors: dict[str, int]) -> None:
    for descriptor in descriptors.values():
        os.close(descriptor)


@dataclass(frozen=True, kw_only=True)
class Photos:
    """One side of the split, in a fixed order (by photo_id)."""

    photo_ids: list[str]
    labels: NDArray[np.int64]
    """Class ids."""
    halves: list[str | None]
    rows: NDArray[np.int64]
    """Rows of the pack's index."""

    def __len__(self) -> int:
        """Number of photographs."""
        return len(self.photo_ids)

    def take(self, keep: NDArray[np.intp] | NDArray[np.int64]) -> "Photos":
        """The photographs at the positions `keep`."""
        return Photos(
            photo_ids=[self.photo_ids[position] for position in keep],
            labels=self.labels[keep],
            halves=[self.halves[position] for position in keep],
            rows=self.rows[keep],
        )

    def relabelled(self, labels: NDArray[np.int32]) -> "Photos":
        """The same photographs, with class `labels[c]` in the place of class c."""
        return replace(self, labels=labels[self.labels].astype(np.int64))

    def joined(self, other: "Photos") -> "Photos":
        """These photographs, then those of `other`."""
        return Photos(
            photo_ids=self.photo_ids + other.photo_ids,
            labels=np.concatenate([self.labels, other.labels]),
            halves=self.halves + other.halves,
            rows=np.concatenate([self.rows, other.rows]),
        )


def read_split(split: Path, *, pack: Pack, side: str) -> Photos:
    """The photographs of `side` (`train` or `validation`) of `split.parquet`.

    Raises:
        DataError: the side is empty, or a photograph is not in the pack.
    """
    table = _table(split, columns=["photo_id", "class_id", "split", "half"])
    table = table.filter(pc.equal(table["split"], side)).sort_by("photo_id")
    photo_ids: list[str] = table["photo_id"].to_pylist()
    if not photo_ids:
        raise DataError(f"{split} has no {side} photographs")
    return Photos(
        photo_ids=photo_ids,
        labels=table["class_id"].to_numpy().astype(np.int64),
        halves=table["half"].to_pylist(),
        rows=_rows_in(pack, photo_ids, table=split),
    )


def read_rare(rare: Path, *, pack: Pack, taxa: Mapping[int, int]) -> Photos:
    """The photographs of `genus_photos.parquet`: species too rare to be classes, for stages of higher ranks.

    Args:
        rare: The table.
        pack: Where the bytes are.
        taxa: The class of each genus, by its node id.

    Raises:
        DataError: a photograph is not in the pack, or its genus is not among `taxa`.
    """
    table = _table(rare, columns=["photo_id", "node_id"]).sort_by("photo_id")
    photo_ids, nodes = table["photo_id"].to_pylist(), table["node_id"].to_pylist()
    unknown = [node for node in nodes if node not in taxa]
    if unknown:
        raise DataError(f"{rare} names node {unknown[0]}, which is no genus of the taxonomy; materialise it again")
    return Photos(
        photo_ids=photo_ids,
        labels=np.array([taxa[node] for node in nodes], dtype=np.int64),
        halves=[None] * len(photo_ids),
        rows=_rows_in(pack, photo_ids, table=rare),
    )


def _rows_in(pack: Pack, photo_ids: Sequence[str], *, table: Path) -> NDArray[np.int64]:
    missing = [photo_id for photo_id in photo_ids if photo_id not in pack.row_of]
    if missing:
        raise DataError(
            f"{len(missing)} photographs of {table} are not in the pack, {missing[0]} among them; "
            "materialise training_photos again"
        )
    return np.array([pack.row_of[photo_id] for photo_id in photo_ids], dtype=np.int64)


def epoch_order(count: int, *, seed: int, epoch: int) -> NDArray[np.intp]:
    """A permutation of `count` positions that depends on seed and epoch only: a resumed run repeats it."""
    return np.random.default_rng((seed, epoch)).permutation(count)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Decoded photographs, not yet standardised."""

    pixels: Tensor
    """Bytes (N, views, H, W, 3); in memory all photographs' first views come first, as networks run them."""
    labels: Tensor
    """Class ids (N)."""
    positions: NDArray[np.int64]
    """Positions within the `Photos` that were asked for, without the unreadable ones."""
    unreadable: tuple[str, ...]
    """Identifiers of photographs that could not be decoded, each with the reason."""


def batches(
    photos: Photos,
    *,
    pack: Pack,
    groups: Sequence[NDArray[np.intp]],
    box: Callable[[int], Box],
    views: Sequence[float] = (1.0,),
    image_size: int,
    workers: int,
    ahead: int = 3,
) -> Iterator[Batch]:
    """Decode `groups` of positions in order, in threads, a few batches ahead of the consumer.

    An unreadable photograph leaves its batch and is named in it: one bad file must not end a night's work.

    Args:
        photos: The side of the split.
        pack: Where the bytes are.
        groups: Positions in `photos`, one array per batch.
        box: The part of the photograph at a position; a pure function, so that order does not matter.
        views: Share of each side of that part that each view shows; see `view_boxes`.
        image_size: Side in pixels.
        workers: Decoding threads; 0 decodes in the calling thread.
        ahead: Batches decoded before they are asked for.
    """
    shape = len(views), image_size, image_size, 3

    def one(position: int, pixels: NDArray[np.uint8]) -> str | None:
        """Decode into `pixels`; returns why that cannot be."""
        boxes = view_boxes(box(position), views=views)
        try:
            decode(pack.jpeg(int(photos.rows[position])), boxes=boxes, image_size=image_size, out=pixels)
        except PhotoError as error:
            return f"{photos.photo_ids[position]}: {error}"
        return None

    def buffer(group: NDArray[np.intp]) -> Tensor:
        # Memory that a GPU can read by itself, so that the copy goes on beside the computation.
        pinned = torch.cuda.is_available()
        return torch.empty(shape[0], len(group), *shape[1:], dtype=torch.uint8, pin_memory=pinned).transpose(0, 1)

    if workers == 0:
        for group in groups:
            pixels = buffer(group)
            failures = [one(int(position), into) for position, into in zip(group, pixels.numpy(), strict=True)]
            yield _batch(group, pixels, failures, photos=photos)
        return
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="decode") as pool:
        waiting: deque[tuple[NDArray[np.intp], Tensor, list[Future[str | None]]]] = deque()
        try:
            for group in groups:
                pixels = buffer(group)
                into = pixels.numpy()
                waiting.append((group, pixels, [pool.submit(one, int(group[i]), into[i]) for i in range(len(group))]))
                if len(waiting) > ahead:
                    yield _finished(*waiting.popleft(), photos=photos)
            while waiting:
                yield _finished(*waiting.popleft(), photos=photos)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _finished(group: NDArray[np.intp], pixels: Tensor, futures: list[Future[str | None]], *, photos: Photos) -> Batch:
    return _batch(group, pixels, [future.result() for future in futures], photos=photos)


def _batch(group: NDArray[np.intp], pixels: Tensor, failures: list[str | None], *, photos: Photos) -> Batch:
    positions = np.asarray(group, dtype=np.int64)
    if any(failures):
        good = [index for index, failure in enumerate(failures) if failure is None]
        positions = positions[good]
        pixels = pixels.transpose(0, 1)[:, good].transpose(0, 1)
    return Batch(
        pixels=pixels,
        labels=torch.from_numpy(photos.labels[positions]),
        positions=positions,
        unreadable=tuple(failure for failure in failures if failure is not None),
    )


def _table(path: Path, *, columns: list[str]) -> pa.Table:
    try:
        return pq.read_table(path, columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {path}: {error}") from error
