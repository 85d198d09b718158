"""Two-view training batches from JPEGs: photographs per CPU-second, against PIL with torchvision's v2 transforms.

The JPEGs are real photographs if there are any on this machine, rendered organisms otherwise.
"""

import csv
import io
import itertools
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from bench.harness import PHOTOS, Goal, Report, Sample, alternate, measure, median_and_spread
from demo.organisms.drawing import photograph
from demo.organisms.source import read_kinds
from pipeline.launching.launch import environment
from pipeline.paths import PROJECT_ROOT

COUNT = 512
SIZE = (500, 375)
FACTOR = 6
"""How many times the usual pipeline's photographs the loader is to deliver."""

CONTESTANTS = {
    "decode": "bare libjpeg-turbo decoding (the limit)",
    "loader": "NatureWatch's loader: decoded, cropped, mirrored",
    "everything": "the same, colours changed on the processor too",
    "torchvision": "PIL and torchvision v2",
}


def run(*, folder: Path, runs: int) -> Report:
    """Measure all contestants on the same pack."""
    index, what = _pack(folder)

    def contestant(name: str) -> Callable[[], Sample]:
        command = [sys.executable, "-m", "bench.load_contestants", name, "--index", str(index)]
        # As training children run; all contestants alike.
        return lambda: measure(command, cwd=PROJECT_ROOT, environment=environment())

    samples = alternate({name: contestant(name) for name in CONTESTANTS}, runs=runs)
    speeds = {name: [sample.facts["photos_per_cpu_second"] for sample in each] for name, each in samples.items()}
    middle = {name: statistics.median(each) for name, each in speeds.items()}
    milliseconds = {name: 1000 / speed for name, speed in middle.items()}
    device = milliseconds["everything"] - milliseconds["loader"]
    return Report(
        part="load",
        title=f"Batches of 32 with two views of 299 pixels from {COUNT} JPEGs of {SIZE[0]} x {SIZE[1]} ({what}).",
        rows=[
            {
                "what": label,
                "photographs per CPU-second": median_and_spread(speeds[name]),
                "ms each": f"{milliseconds[name]:.2f}",
                "times the usual": f"{middle[name] / middle['torchvision']:.1f}",
            }
            for name, label in CONTESTANTS.items()
        ],
        goals=[
            Goal(
                name="loader: times the usual pipeline",
                value=middle["loader"] / middle["torchvision"],
                bound=FACTOR,
                kind="at least",
            ),
        ],
        notes=[
            f"The device's share, from bytes to changed and standardised numbers, costs a processor {device:.2f} ms.",
            f"With that share on the processor the factor is {middle['everything'] / middle['torchvision']:.1f}.",
            "The usual pipeline has torchvision's formulas (brightness by a factor, contrast about the mean of grey).",
            "Same ranges, same bytes from memory. CPU time of all threads, without imports and the first batches.",
        ],
    )


def _pack(folder: Path) -> tuple[Path, str]:
    """Write the JPEGs as a pack; returns its index and what they show."""
    folder.mkdir(parents=True, exist_ok=True)
    real = PHOTOS.exists()
    rows, offset = [], 0
    with (folder / "pack-00000.bin").open("wb") as pack:
        for number, image in enumerate(_real() if real else _rendered()):
            stream = io.BytesIO()
            image.resize(SIZE, Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
            length = pack.write(stream.getvalue())
            rows.append({"photo_id": str(number), "pack": "pack-00000.bin", "offset": offset, "length": length})
            offset += length
    pq.write_table(pa.Table.from_pylist(rows), folder / "index.parquet")
    kind = "real photographs, enlarged from 256" if real else "rendered organisms"
    return folder / "index.parquet", f"{kind}, {offset / len(rows) / 1000:.0f} kB each"


def _real() -> Iterator[Image.Image]:
    with PHOTOS.open(encoding="utf-8", newline="") as stream:
        paths = [PHOTOS.parent / row["path"] for row in csv.DictReader(stream)]
    for path in paths[:: len(paths) // COUNT][:COUNT]:
        with Image.open(path) as image:
            yield image.convert("RGB")


def _rendered() -> Iterator[Image.Image]:
    for seed, kind in zip(range(COUNT), itertools.cycle(read_kinds())):
        yield Image.open(io.BytesIO(photograph(kind.look, seed=seed)))
