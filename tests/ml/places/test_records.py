"""Occurrences as they are kept: rounded, counted, merged by cells where they are too many, refused where they lie."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from ml.errors import DataError
from ml.places.prior import PlacePrior
from ml.places.records import EARTH_KM, condensed, packed, unit, unpacked
from ml.places.sites import YEAR
from tests.ml.places.drawing import SPECIES, at, drawn, joined, occurrences, prior_of

SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=30)
@given(SEEDS)
def test_fixed_point_places_lie_within_350_metres(seed: int) -> None:
    records = drawn(seed, spread=60)
    read = unpacked(packed(records))
    chords = np.linalg.norm(unit(records.latitude, records.longitude) - unit(read.latitude, read.longitude), axis=1)
    assert (chords * EARTH_KM).max() < 0.35
    assert np.array_equal(read.day, records.day)
    assert np.array_equal(read.class_id, records.class_id)
    assert np.allclose(read.uncertainty_m, records.uncertainty_m, rtol=1e-3, equal_nan=True)


@settings(max_examples=12)
@given(SEEDS, st.integers(2 * SPECIES, 60))
def test_merging_keeps_every_occurrence_of_every_species(seed: int, most: int) -> None:
    records = drawn(seed, rows=60)
    kept = condensed(records, most=most)
    assert len(kept.class_id) <= most
    assert np.array_equal(np.bincount(kept.class_id, kept.counts), np.bincount(records.class_id))
    again = condensed(kept, most=most)
    assert packed(again).keys() == packed(kept).keys()
    for name, column in packed(kept).items():
        assert np.array_equal(column, packed(again)[name], equal_nan=True), name


def test_merged_occurrences_lie_in_their_middle_with_a_radius_that_says_how_far() -> None:
    # 4 km apart; days around the turn of the year.
    records = occurrences((0, 179.982, YEAR, 0), (0, -179.982, 2, 0), (50, 0, 100, 1))
    kept = condensed(records, most=2)
    assert kept.counts.tolist() == [1, 2] or kept.counts.tolist() == [2, 1]
    pair = int(np.argmax(kept.counts))
    assert abs(kept.longitude[pair]) == pytest.approx(180, abs=0.01)
    # Each is one deviation from the middle along one axis; a radius is two, over two axes; places are rounded.
    assert kept.uncertainty_m[pair] == pytest.approx(2_000 * np.sqrt(2), rel=0.15)
    assert kept.day[pair] == 1
    assert kept.uncertainty_m[1 - pair] == 0 or np.isnan(kept.uncertainty_m[1 - pair])


def test_merged_a_prior_still_tells_regions_apart() -> None:
    generator = np.random.default_rng(7)
    south = [(-46 + generator.normal(0, 0.3), 170 + generator.normal(0, 0.3), 0, 0) for _ in range(300)]
    north = [(-36 + generator.normal(0, 0.3), 175 + generator.normal(0, 0.3), 0, 1) for _ in range(300)]
    prior = prior_of(condensed(occurrences(*south, *north), most=60), species=2, neighbours=20)
    assert prior.look(at(-46, 170)).shares(2)[0, 0] > 0.95
    assert prior.look(at(-36, 175)).shares(2)[0, 1] > 0.95


def test_rows_that_no_merging_can_spare_are_an_error() -> None:
    with pytest.raises(DataError, match="5 rows do not suffice for 6 species"):
        condensed(occurrences(*((0, 0, 0, species) for species in range(6))), most=5)


def test_occurrences_without_a_place_are_left_out() -> None:
    kept = condensed(joined(occurrences((np.nan, np.nan, 5, 0)), occurrences((1, 2, 5, 0))))
    assert len(kept.class_id) == 1


@pytest.mark.parametrize(("row", "reason"), [
    ((91, 0, 0, 0), "latitude beyond the poles"),
    ((0, 181, 0, 0), "longitude that is no number within 180"),
    ((0, np.nan, 0, 0), "longitude that is no number within 180"),
    ((0, 0, 367, 0), "day that is not from 1 to 366"),
    ((0, 0, 0, -1), "class below 0"),
])  # fmt: skip
def test_an_occurrence_that_cannot_be_is_refused(row: tuple[float, float, int, int], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        condensed(occurrences((0, 0, 0, 0), row))


@pytest.mark.parametrize("uncertainty", [-1.0, np.inf])
def test_an_uncertainty_that_is_no_length_is_refused(uncertainty: float) -> None:
    with pytest.raises(DataError, match="uncertainty that is no length"):
        condensed(occurrences((0, 0, 0, 0), uncertainty_m=uncertainty))


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="different lengths"):
        condensed(drawn(1)._replace(day=np.ones(3, np.uint16)))


def test_a_row_takes_at_most_16_bytes(tmp_path: Path) -> None:
    records = drawn(3, rows=20_000, spread=0.02)
    path = prior_of(records).write(tmp_path / "place_prior.safetensors")
    rows = len(PlacePrior.read(path).records.class_id)
    assert path.stat().st_size < 16 * rows + 1_500


Tensors = dict[str, npt.NDArray[np.generic]]


def _written(folder: Path) -> tuple[Path, Tensors, dict[str, str]]:
    path = prior_of(drawn(5)).write(folder / "place_prior.safetensors")
    with safe_open(path, framework="numpy") as file:
        return path, load_file(path), file.metadata()


@pytest.mark.parametrize("damage", [slice(0), slice(40), slice(-7), slice(200, None)])
def test_a_damaged_file_is_an_error_that_says_what_to_do(tmp_path: Path, damage: slice) -> None:
    path, _, _ = _written(tmp_path)
    path.write_bytes(path.read_bytes()[damage])
    with pytest.raises(DataError, match=r"cannot read the prior of place and season .*; calibrate again"):
        PlacePrior.read(path)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read the prior"):
        PlacePrior.read(tmp_path / "none.safetensors")


@pytest.mark.parametrize(("tensors", "facts"), [
    ({"day": None}, {}), ({"day": np.zeros(3, np.uint16)}, {}), ({"latitude": np.zeros(40, np.float32)}, {}),
    ({"class_id": np.full(40, 99, np.int32)}, {}), ({"latitude": np.full(40, -32_768, np.int16)}, {}),
    ({"day": np.full(40, 400, np.uint16)}, {}), ({"uncertainty_km": np.full(40, -1, np.float16)}, {}),
    ({}, {"classes": "many"}), ({}, {"settings": "{}}"}), ({}, {"settings": '{"neighbours": -1}'}),
    ({}, {"settings": None}),
])  # fmt: skip
def test_a_file_of_something_else_is_an_error(tmp_path: Path, tensors: Tensors, facts: dict[str, str]) -> None:
    path, content, said = _written(tmp_path)
    content = {name: value for name, value in (content | tensors).items() if value is not None}
    save_file(content, path, metadata={name: value for name, value in (said | facts).items() if value is not None})
    with pytest.raises(DataError, match="cannot read the prior of place and season"):
        PlacePrior.read(path)
