"""How fast the loader delivers, by threads and by processes: photographs a second, and a core.

`python -m bench.load_paths [--workers N] [--photos N] [--batch N]` prints one JSON object a line and path. It needs the
package `ml`, numpy, torch, pyarrow, simplejpeg and pydantic only, so that it runs where the pipeline is not installed.
Without real photographs it makes JPEGs of smooth noise with the size in bytes of photographs.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import simplejpeg
import torch

from ml.devices import Device
from ml.images.augmentation import Augmentation, RandomChanges
from ml.images.loader import Loader, default_workers, epoch_order
from ml.images.pack import Pack, Photos

SIZE: Final = (684, 912)
"""Height and width of the JPEGs that are made."""
BYTES: Final = 93_000
"""About their size."""
DISTINCT: Final = 64


class Shown(NamedTuple):
    """Two views of the paper's network."""

    views: tuple[float, ...] = (1.0, 0.5)
    image_size: int = 299
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)


def make_pack(folder: Path, *, photos: int) -> Path:
    """Write a pack of made JPEGs, each of which is there several times; returns its index."""
    random = np.random.default_rng(1)
    rows, offset = [], 0
    jpegs = [_jpeg(random) for _ in range(min(DISTINCT, photos))]
    with (folder / "pack-00000.bin").open("wb") as pack:
        for number in range(photos):
            content = jpegs[number % len(jpegs)]
            pack.write(content)
            rows.append({"photo_id": str(number), "pack": "pack-00000.bin", "offset": offset, "length": len(content)})
            offset += len(content)
    pq.write_table(pa.Table.from_pylist(rows), folder / "index.parquet")
    return folder / "index.parquet"


def _jpeg(random: np.random.Generator) -> bytes:
    """Coarse colours with as much fine noise as brings the file to the wanted size."""
    height, width = SIZE
    coarse = random.integers(40, 216, (height // 38, width // 38, 3)).repeat(38, axis=0).repeat(38, axis=1)
    noise = random.standard_normal((height, width, 1))
    low, high = 0.0, 60.0
    for _ in range(8):
        strength = (low + high) / 2
        pixels = (coarse + strength * noise).clip(0, 255).astype(np.uint8)
        content = bytes(simplejpeg.encode_jpeg(pixels, quality=90, colorsubsampling="420"))
        low, high = (strength, high) if len(content) < BYTES else (low, strength)
    return content


def measure(index: Path, *, path: str, workers: int, batch: int, augmentation: Augmentation) -> dict[str, object]:
    """One pass that is not counted, then one that is."""
    gpu = torch.cuda.is_available()
    device = Device(device=torch.device("cuda" if gpu else "cpu"), rank=0, world=1)
    pack = Pack(index)
    rows = np.arange(len(pack.photo_ids))
    photos = Photos(photo_ids=pack.photo_ids, labels=rows, halves=[None] * len(rows), rows=rows)
    loader = Loader(pack, Shown(), device=device, workers=workers, processes=path == "processes")
    took: list[float] = []
    for epoch in range(2):
        order = epoch_order(len(rows), seed=1, stage="species", epoch=epoch)
        groups = [order[begin : begin + batch] for begin in range(0, len(rows), batch)]
        changes = RandomChanges(augmentation, seed=1, stage="species", epoch=epoch)
        started, own = time.perf_counter(), time.process_time()
        delivered = sum(len(each.positions) for each in loader.batches(photos, groups=groups, changes=changes))
        took = [time.perf_counter() - started, time.process_time() - own]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "path": path,
        "resize": augmentation.resize,
        "workers": workers,
        "cores": cores,
        "batch": batch,
        "pinned": gpu,
        "photos_per_second": round(delivered / took[0], 1),
        "photos_per_second_per_worker": round(delivered / took[0] / max(1, workers), 1),
        "cpu_seconds_of_this_process": round(took[1], 2),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    """Measure one worker alone, then all, by either path."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", type=Path, help="the index.parquet of a pack; without it JPEGs are made")
    parser.add_argument("--workers", type=int, default=default_workers())
    parser.add_argument("--photos", type=int, default=8_192)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench.") as temporary:
        index = options.index or make_pack(Path(temporary), photos=options.photos)
        for path, workers, resize in (
            ("threads", 1, "antialias"),
            ("threads", options.workers, "antialias"),
            ("processes", options.workers, "antialias"),
            ("processes", options.workers, "tf_slim"),
        ):
            augmentation = Augmentation.model_validate({"resize": resize})
            facts = measure(index, path=path, workers=workers, batch=options.batch, augmentation=augmentation)
            print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
