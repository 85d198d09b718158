"""What the perceptual hash recognises: changed copies of real photographs, and pairs among all of them."""

import csv
import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.harness import PHOTOS, Goal, Report
from pipeline.dataset.fingerprint import fingerprint
from pipeline.dataset.leakage import DISTANCE

COPIES = 600
"""Photographs of which changed copies are made."""
DISTANCES = (0, 2, 4, 6, 8, 10)
"""Hashes with 32 bits above their median differ in even numbers of bits."""


def _encoded(image: Image.Image, quality: int = 90) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=quality)
    return stream.getvalue()


def _cut(image: Image.Image, share: float) -> bytes:
    left, top = image.width * share / 2, image.height * share / 2
    return _encoded(image.crop((int(left), int(top), int(image.width - left), int(image.height - top))))


CHANGES: dict[str, Callable[[Image.Image], bytes]] = {
    "compressed at quality 50": lambda image: _encoded(image, 50),
    "half the size": lambda image: _encoded(image.resize((image.width // 2, image.height // 2))),
    "20 % brighter": lambda image: _encoded(image.point(lambda value: min(255, int(value * 1.2)))),
    "grey": lambda image: _encoded(image.convert("L")),
    "2 % cut off": lambda image: _cut(image, 0.02),
    "5 % cut off": lambda image: _cut(image, 0.05),
    "10 % cut off": lambda image: _cut(image, 0.10),
}


def run(*, folder: Path, runs: int) -> Report:
    """Measure the share of copies that are recognised, by distance, and the pairs among different photographs.

    Raises:
        OSError: the labelled photographs are not there.
    """
    del folder, runs
    with PHOTOS.open(encoding="utf-8", newline="") as stream:
        labelled = [(PHOTOS.parent / row["path"], row["species"]) for row in csv.DictReader(stream)]
    contents = [path.read_bytes() for path, _ in labelled]
    started = time.perf_counter()
    hashes = np.array([fingerprint(content) for content in contents], dtype=np.int64)
    seconds = time.perf_counter() - started
    species = np.array([name for _, name in labelled])
    chosen = np.random.default_rng(1).choice(len(contents), size=COPIES, replace=False)
    rows, found = [], {}
    for name, change in CHANGES.items():
        changed = [fingerprint(change(Image.open(io.BytesIO(contents[i])).convert("RGB"))) for i in chosen]
        apart = _bits(np.array(changed, dtype=np.int64), hashes[chosen])
        found[name] = float((apart <= DISTANCE).mean())
        rows.append({"what": name} | {f"within {bits}": f"{(apart <= bits).mean():.1%}" for bits in DISTANCES})
    same, other = np.zeros(65, dtype=np.int64), np.zeros(65, dtype=np.int64)
    for number in range(len(hashes) - 1):
        apart = _bits(hashes[number + 1 :], hashes[number])
        alike = species[number + 1 :] == species[number]
        same += np.bincount(apart[alike], minlength=65)
        other += np.bincount(apart[~alike], minlength=65)
    for name, counts in (("pairs of one species", same), ("pairs of two species", other)):
        rows.append({"what": name} | {f"within {bits}": f"{counts[: bits + 1].sum():,}" for bits in DISTANCES})
    return Report(
        part="leakage",
        title=(
            f"{len(hashes):,} real photographs, {COPIES} of them changed; near-identical means within {DISTANCE} bits."
        ),
        rows=rows,
        goals=[
            Goal(name="half the size: share recognised", value=found["half the size"], bound=0.97, kind="at least"),
            Goal(name="2 % cut off: share recognised", value=found["2 % cut off"], bound=0.9, kind="at least"),
            Goal(
                name="pairs of two species within the distance",
                value=float(other[: DISTANCE + 1].sum()),
                bound=0,
                kind="at most",
            ),
        ],
        notes=[
            f"{len(hashes) / seconds:,.0f} hashes a second in one thread, from photographs of 256 pixels.",
            f"All pairs: {len(hashes) * (len(hashes) - 1) // 2:,}.",
        ],
    )


def _bits(one: npt.NDArray[np.int64], two: npt.NDArray[np.int64] | np.int64) -> npt.NDArray[np.int64]:
    """How many bits differ."""
    different = np.bitwise_xor(one, two).view(np.uint8).reshape(-1, 8)
    return np.asarray(np.unpackbits(different, axis=1).sum(axis=1), dtype=np.int64)
