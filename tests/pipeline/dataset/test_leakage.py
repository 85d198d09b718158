"""Near-identical photographs across the sides: what the hash finds, and that the look-up finds every pair."""

import csv
import io
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from ml.images.jpeg import PhotoError
from pipeline.config.settings import Settings
from pipeline.dataset.fingerprint import fingerprint
from pipeline.dataset.leakage import DISTANCE, build_leakage, leakage
from pipeline.table_checks import check_table
from pipeline.tables import CONTRACTS
from tests.pipeline.dataset.test_pack import jpeg
from tests.pipeline.tiny import Row, read, write


def apart(one: int, two: int) -> int:
    """How many bits differ."""
    return ((one ^ two) & (2**64 - 1)).bit_count()


def encoded(image: Image.Image, *, quality: int = 90) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=quality)
    return stream.getvalue()


def cropped(image: Image.Image, *, share: float) -> Image.Image:
    """The middle of a picture, without `share` of each side's length."""
    left, top = image.width * share / 2, image.height * share / 2
    return image.crop((int(left), int(top), int(image.width - left), int(image.height - top)))


@pytest.fixture(scope="module")
def photographs(shared: Path) -> list[bytes]:
    """Every fortieth real photograph."""
    with (shared / "photos.csv").open(encoding="utf-8", newline="") as stream:
        paths = [row["path"] for row in csv.DictReader(stream)][::40]
    return [(shared / path).read_bytes() for path in paths]


CHANGES: dict[str, tuple[Callable[[Image.Image], bytes], float]] = {
    "compressed": (lambda image: encoded(image, quality=50), 0.99),
    "halved": (lambda image: encoded(image.resize((image.width // 2, image.height // 2))), 0.97),
    "brighter": (lambda image: encoded(image.point(lambda value: min(255, int(value * 1.2)))), 0.95),
    "grey": (lambda image: encoded(image.convert("L")), 0.99),
    "cut by 2 %": (lambda image: encoded(cropped(image, share=0.02)), 0.9),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_of_a_photograph_is_recognised(photographs: list[bytes], change: str) -> None:
    make, share = CHANGES[change]
    found = [
        apart(fingerprint(content), fingerprint(make(Image.open(io.BytesIO(content)).convert("RGB")))) <= DISTANCE
        for content in photographs
    ]
    assert np.mean(found) >= share


def test_different_photographs_are_told_apart(photographs: list[bytes]) -> None:
    hashes = [fingerprint(content) for content in photographs]
    assert min(apart(one, two) for one, two in itertools.combinations(hashes, 2)) > DISTANCE


def test_a_hash_does_not_change_with_time() -> None:
    pixels = np.add.outer(np.arange(96), 2 * np.arange(128)).astype(np.uint8)
    assert fingerprint(encoded(Image.fromarray(pixels))) == -7947259966708339142


def test_the_smallest_photograph_has_a_hash() -> None:
    assert isinstance(fingerprint(jpeg(1, 1)), int)


def test_what_is_no_jpeg_is_an_error() -> None:
    with pytest.raises(PhotoError, match="JPEG"):
        fingerprint(b"<html>")


def place(settings: Settings, hashes: list[int], sides: list[str]) -> None:
    """A split and a pack index of photographs with these hashes."""
    rows: list[Row] = [
        {
            "photo_id": f"p{number}",
            "occurrence_key": str(number),
            "observation_id": f"o{number}",
            "class_id": number % 2,
            "split": side,
            "half": "calibration" if side == "validation" else None,
            "path": "x",
        }
        for number, side in enumerate(sides)
    ]
    write(settings.paths, "split", rows)
    index = [
        {"photo_id": f"p{number}", "pack": "a", "sha256": "b", "offset": 0, "length": 1, "width": 1, "height": 1}
        | {"fingerprint": value}
        for number, value in enumerate(hashes)
    ]
    settings.paths.pack_index.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(index, schema=CONTRACTS["training_photos"].schema), settings.paths.pack_index)


def test_pairs_are_reported_with_what_they_are_labelled(settings: Settings) -> None:
    place(settings, [0, 0b111, -1, 0], ["train", "validation", "validation", "train"])
    table = build_leakage(settings.paths)
    assert check_table("leakage", table) == []
    assert read(table) == [
        {
            "validation_photo": "p1",
            "train_photo": train,
            "validation_observation": "o1",
            "train_observation": f"o{train[1]}",
            "validation_class": 1,
            "train_class": int(train[1]) % 2,
            "distance": 3,
        }
        for train in ("p0", "p3")
    ]
    found = leakage(settings.paths)
    assert (found.validation, found.leaked, found.pairs, found.same_species) == (2, 1, 2, 1)
    assert found.share == 0.5


HASHES = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4)
TURNED = st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, 63), max_size=9), st.booleans()), max_size=12)


@given(hashes=HASHES, turned=TURNED)
@hypothesis_settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
def test_the_look_up_finds_what_comparing_all_finds(
    settings: Settings, hashes: list[int], turned: list[tuple[int, set[int], bool]]
) -> None:
    every, sides = list(hashes), ["train"] * len(hashes)
    for which, bits, validates in turned:
        value = (hashes[which % len(hashes)] ^ sum(1 << bit for bit in bits)) & (2**64 - 1)
        every.append(value - 2**64 if value >= 2**63 else value)
        sides.append("validation" if validates else "train")
    place(settings, every, sides)
    found = {
        (row["validation_photo"], row["train_photo"]): row["distance"] for row in read(build_leakage(settings.paths))
    }
    assert found == {
        (f"p{one}", f"p{two}"): apart(every[one], every[two])
        for one, two in itertools.product(range(len(every)), repeat=2)
        if sides[one] == "validation" and sides[two] == "train" and apart(every[one], every[two]) <= DISTANCE
    }
