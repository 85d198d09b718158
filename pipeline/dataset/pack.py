"""The pack of small JPEGs that training reads: a few large append-only files and one index.

`pipeline.dataset.small_jpeg` makes the JPEGs; this module only stores their bytes.
"""

import contextlib
import itertools
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.images.jpeg import PhotoError
from pipeline.config.settings import Settings
from pipeline.dataset.fingerprint import fingerprint
from pipeline.dataset.small_jpeg import QUALITY, Shrunk, short_side, shrink, whole_view_side
from pipeline.errors import TableError
from pipeline.files import atomic_path, exclusive, work_folder, write_json
from pipeline.paths import Paths
from pipeline.query import count, rows, to_parquet
from pipeline.tables import CONTRACTS

INDEX = "index.parquet"
"""The place of every photograph in the packs, with the perceptual hash of its packed form."""
RECIPE = "recipe.json"
"""How the packed photographs were made; when it changes, the pack is built again."""
PACK_BYTES = 4 * 2**30
"""A pack that has reached this size is closed, and another one begins."""
CHECKPOINT_SECONDS = 30.0
"""How much work a kill can lose while the index is small."""
CHECKPOINT_SHARE = 0.05
"""At most this share of the time is spent on writing the index, which is written as a whole."""
_CHUNK = 64
"""Photographs in memory at a time."""

_SCHEMA: pa.Schema = CONTRACTS["training_photos"].schema


def build_training_photos(paths: Paths, settings: Settings, log: Callable[[str], object]) -> Path:
    """Append the photographs of `split` and `genus_photos` that the pack lacks, and refresh its index.

    Rows of the index are kept, also for photographs that have left the split, unless their licence is no longer an
    allowed one: their bytes are overwritten with zeros. A photograph with changed bytes is appended again. The index
    is written after the bytes that it names, so a kill leaves at most bytes without a row, which the next run cuts
    off. A build from nothing packs by photo_id and ends in the same bytes. Where the side
    (`training.pack_side`, else by `training.image_size`) or `photos.size` changes, the pack is deleted and built again.
    Without `training.pack_side`, a pack with the customary margin for random crops is kept as it is
    (`pipeline.dataset.small_jpeg.whole_view_side`): more detail would cost hours and more disk than may be there.

    Args:
        paths: The paths of the scope.
        settings: `training.pack_side`, `training.image_size`, `photos.size`.
        log: Takes lines about the progress.

    Returns:
        The path of `index.parquet`.

    Raises:
        TableError: a table is missing, a photograph cannot be read although the ledger calls it ok, or a pack is
            shorter than its index says.
        LockedError: another process is writing the pack.
    """
    folder = paths.training_photos
    with contextlib.ExitStack() as stack:
        stack.enter_context(exclusive(folder / ".lock"))
        side = _side(folder, settings, log)
        _start_anew_for_another_recipe(folder, _recipe(side, settings), log)
        writer = stack.enter_context(contextlib.closing(_Writer(folder)))
        scratch = stack.enter_context(work_folder(paths.work("training_photos")))
        withdrawn = rows(
            "pack_withdrawn",
            inputs={
                "packed": writer.index,
                "photo_index": paths.table("photo_index"),
                "removed": paths.rejections_of("photo_index"),
            },
        )
        if withdrawn:
            writer.erase(withdrawn)
            log(f"{len(withdrawn)} photographs are erased from the pack: their licence no longer allows their use")
        missing = to_parquet(
            "pack_missing",
            inputs={
                "split": paths.table("split"),
                "genus_photos": paths.table("genus_photos"),
                "photos": paths.table("photos"),
                "packed": writer.index,
            },
            output=scratch / "missing.parquet",
        )
        log(f"{count(missing)} photographs to pack at a short side of {side} pixels, {writer.index.num_rows} are there")
        try:
            _append(missing, writer=writer, root=paths.data_root, side=side, log=log)
        finally:
            writer.checkpoint()
    return folder / INDEX


def _append(missing: Path, *, writer: "_Writer", root: Path, side: int, log: Callable[[str], object]) -> None:
    """Shrink in threads (both codecs release the interpreter), write in order."""
    started = checkpoint = time.monotonic()
    done, total, interval = 0, count(missing), CHECKPOINT_SECONDS
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool, pq.ParquetFile(missing) as table:
        for batch in table.iter_batches(batch_size=_CHUNK):
            chunk = batch.to_pylist()
            for row, photo in zip(chunk, pool.map(lambda row: _prepare(row, root=root, side=side), chunk), strict=True):
                writer.add(row["photo_id"], sha256=row["sha256"], photo=photo)
            done += len(chunk)
            now = time.monotonic()
            if now - checkpoint >= interval or done == total:
                writer.checkpoint()
                checkpoint = time.monotonic()
                interval = max(CHECKPOINT_SECONDS, (checkpoint - now) / CHECKPOINT_SHARE)
                log(f"packed {done} of {total} photographs, {done / max(now - started, 1e-3):.0f} a second")


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """One photograph as it goes into the pack."""

    shrunk: Shrunk
    fingerprint: int


def _prepare(row: dict[str, Any], *, root: Path, side: int) -> _Prepared:
    path = root / row["path"]
    try:
        shrunk = shrink(path.read_bytes(), side=side)
        return _Prepared(shrunk=shrunk, fingerprint=fingerprint(shrunk.content))
    except (OSError, PhotoError) as error:
        message = (
            f"photograph {row['photo_id']} at {path} cannot be packed although the ledger calls it ok: {error}; "
            f"delete the file and materialise photos again"
        )
        raise TableError(message) from error


class _Writer:
    """The open end of the pack. Bytes go to disk before the rows that name them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        path = folder / INDEX
        self.index: pa.Table = pq.read_table(path) if path.exists() else _SCHEMA.empty_table()
        if set(self.index.column_names) != set(_SCHEMA.names):
            raise TableError(f"{path} has other columns than the contract says; delete {folder} to build it again")
        self._new: list[dict[str, object]] = []
        self._indexed = bool(path.exists())
        ends = _ends(self.index)
        _cut_tails(folder, ends)
        self._number = max((int(name[5:10]) for name in ends), default=0)
        self._stream = (folder / _pack_name(self._number)).open("ab")

    def add(self, photo_id: str, *, sha256: str, photo: _Prepared) -> None:
        """Append one photograph; it counts from the next checkpoint on."""
        offset = self._stream.tell()
        if offset >= PACK_BYTES:
            self._sync()
            self._stream.close()
            self._number += 1
            self._stream, offset = (self._folder / _pack_name(self._number)).open("ab"), 0
        self._stream.write(photo.shrunk.content)
        self._new.append(
            {
                "photo_id": photo_id,
                "pack": _pack_name(self._number),
                "sha256": sha256,
                "offset": offset,
                "length": len(photo.shrunk.content),
                "width": photo.shrunk.width,
                "height": photo.shrunk.height,
                "fingerprint": photo.fingerprint,
            }
        )

    def erase(self, places: Sequence[Mapping[str, Any]]) -> None:
        """Overwrite photographs with zeros, then forget them; a kill between leaves rows that are erased again.

        Args:
            places: photo_id, pack, offset and length of each.
        """
        for name, those in itertools.groupby(sorted(places, key=_pack_of), key=_pack_of):
            with (self._folder / name).open("r+b") as pack:
                for place in those:
                    pack.seek(place["offset"])
                    pack.write(bytes(place["length"]))
                pack.flush()
                os.fsync(pack.fileno())
        self._forget(pa.array([place["photo_id"] for place in places], pa.string()))
        self._write_index()

    def checkpoint(self) -> None:
        """Make everything that was added durable; the index is replaced atomically."""
        if not self._new and self._indexed:
            return
        self._sync()
        added = pa.Table.from_pylist(self._new, schema=_SCHEMA)
        self._forget(added["photo_id"].combine_chunks())
        self.index = pa.concat_tables([self.index, added]).sort_by("photo_id")
        self._write_index()
        self._new, self._indexed = [], True

    def _forget(self, photo_ids: pa.Array) -> None:
        gone = pc.is_in(self.index["photo_id"], value_set=photo_ids)
        self.index = self.index.select(_SCHEMA.names).filter(pc.invert(gone))

    def _write_index(self) -> None:
        with atomic_path(self._folder / INDEX) as partial:
            pq.write_table(self.index, partial, compression="zstd")

    def close(self) -> None:
        """Close the open pack."""
        self._stream.close()

    def _sync(self) -> None:
        self._stream.flush()
        os.fsync(self._stream.fileno())


def _pack_of(place: Mapping[str, Any]) -> str:
    return str(place["pack"])


def _pack_name(number: int) -> str:
    return f"pack-{number:05d}.bin"


def _ends(index: pa.Table) -> dict[str, int]:
    """Pack -> the first byte after the last indexed photograph."""
    grouped = index.append_column("end", pc.add(index["offset"], index["length"])).group_by("pack")
    return {str(row["pack"]): int(row["end_max"]) for row in grouped.aggregate([("end", "max")]).to_pylist()}


def _cut_tails(folder: Path, ends: dict[str, int]) -> None:
    """Remove bytes that no row names: a killed run left them."""
    for name, end in ends.items():
        path = folder / name
        size = path.stat().st_size if path.exists() else 0
        if size < end:
            raise TableError(f"{path} has {size} bytes, its index names {end}; delete {folder} to build it again")
        if size > end:
            os.truncate(path, end)
    for path in folder.glob("pack-*.bin"):
        if path.name not in ends:
            path.unlink()


def _recipe(side: int, settings: Settings) -> dict[str, object]:
    return {"short_side": side, "quality": QUALITY, "photos_size": settings.photos.size, "fingerprint": "dct-64"}


def _recipe_of(folder: Path) -> object:
    """How the pack that is there was made; None where nothing says it."""
    # What cannot be read says nothing of how the packs were made.
    with contextlib.suppress(OSError, ValueError):
        return json.loads((folder / RECIPE).read_text(encoding="utf-8"))
    return None


def _side(folder: Path, settings: Settings, log: Callable[[str], object]) -> int:
    """The short side: as configured, else what networks can show, else that of a pack that is there and will do."""
    training = settings.training
    if training.pack_side is not None:
        return training.pack_side
    side, customary = short_side(training.image_size), whole_view_side(training.image_size)
    if not (folder / INDEX).exists() or _recipe_of(folder) != _recipe(customary, settings):
        return side
    log(
        f"the pack is kept at a short side of {customary} pixels, where the magnified view of most random crops is "
        f"enlarged; training.pack_side: {side} builds it again with all the detail that networks can show"
    )
    return customary


def _start_anew_for_another_recipe(folder: Path, recipe: dict[str, object], log: Callable[[str], object]) -> None:
    """Delete index and packs that were made otherwise; the index first, so that a kill leaves no wrong rows."""
    if _recipe_of(folder) == recipe:
        return
    if (folder / INDEX).exists():
        log(f"the recipe of the pack has changed to {recipe}: it is built again")
    (folder / INDEX).unlink(missing_ok=True)
    for pack in folder.glob("pack-*.bin"):
        pack.unlink()
    write_json(folder / RECIPE, recipe)
