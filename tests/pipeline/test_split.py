"""The split is a function of identifiers and seed: stable under growth, and right on average."""

import hashlib
import random
from collections.abc import Callable

import pytest

from pipeline.config import Settings
from pipeline.dataset.attribution import build_attribution, derived_dataset_path
from pipeline.dataset.invariants import straddling_observations, train_share
from pipeline.dataset.species import build_species
from pipeline.dataset.split import build_split, split_gaps
from pipeline.dataset.taxonomy import build_taxonomy
from pipeline.tables import check_table
from tests.pipeline.tiny import Row, occurrence, photo, read, write


def world(observations: int, *, seed: int = 1) -> tuple[list[Row], list[Row]]:
    """Occurrences of three species with one to four photographs each; a larger world contains the smaller one."""
    dice = random.Random(seed)
    occurrences, photos = [], []
    for number in range(observations):
        kind = dice.randrange(3)
        occurrences.append(occurrence(str(number), species=f"Turdus s{kind}", species_key=f"k{kind}"))
        photos += [photo(f"{number}-{index}", of=str(number)) for index in range(dice.randint(1, 4))]
    return occurrences, photos


def split_of(settings: Settings, occurrences: list[Row], photos: list[Row]) -> list[Row]:
    """The split of this world, which keeps its contract."""
    write(settings.paths, "clean_occurrences", occurrences)
    write(settings.paths, "photos", photos)
    build_species(settings.paths, settings)
    build_taxonomy(settings.paths, settings)
    table = build_split(settings.paths, settings)
    assert check_table("split", table) == []
    return read(table)


@pytest.mark.parametrize("unit", ["observation", "photo"])
def test_nothing_changes_sides_as_the_data_grow(make_settings: Callable[..., Settings], unit: str) -> None:
    settings = make_settings(split={"unit": unit})
    sides: dict[str, tuple[str, str | None]] = {}
    for observations in (60, 150, 400):
        found = {row["photo_id"]: (row["split"], row["half"]) for row in split_of(settings, *world(observations))}
        assert {key: found[key] for key in sides} == sides
        sides = found
    assert {side for side, _ in sides.values()} == {"train", "validation"}
    assert {half for _, half in sides.values()} == {None, "calibration", "evaluation"}


def test_photographs_of_an_observation_stay_together(settings: Settings) -> None:
    rows = split_of(settings, *world(300))
    assert straddling_observations(settings.paths) == []
    share, broken = train_share(settings.paths, unit="observation", validation=0.2)
    assert broken == []
    assert 0.7 < share < 0.9
    halves = [row["half"] for row in rows if row["split"] == "validation"]
    assert 0.3 < halves.count("calibration") / len(halves) < 0.7


def test_photographs_of_an_observation_may_part_in_the_papers_split(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(split={"unit": "photo"})
    split_of(settings, *world(300))
    assert straddling_observations(settings.paths) != []


def test_the_side_is_the_documented_function(settings: Settings) -> None:
    def bucket(text: str) -> int:
        return int.from_bytes(hashlib.md5(text.encode()).digest()[8:], "little")

    for row in split_of(settings, *world(100)):
        unit = f"{row['observation_id']}:{settings.split.seed}"
        validates = bucket(unit) % 1_000_000 < 200_000
        half = ("calibration" if bucket(f"{unit}:half") % 2 == 0 else "evaluation") if validates else None
        assert (row["split"], row["half"]) == ("validation" if validates else "train", half)


def test_another_seed_is_another_split(make_settings: Callable[..., Settings]) -> None:
    one = split_of(make_settings(split={"seed": 1}), *world(100))
    two = split_of(make_settings(split={"seed": 2}), *world(100))
    assert [row["split"] for row in one] != [row["split"] for row in two]


def test_rejected_photographs_are_not_in_the_split(settings: Settings) -> None:
    occurrences, photos = world(60)
    photos[1]["sha256"] = photos[0]["sha256"] = "same"
    rows = split_of(settings, occurrences, photos)
    rejected = {row["key"] for row in read(settings.paths.rejections_of("species"))}
    assert rejected
    assert {row["photo_id"] for row in rows} == {row["photo_id"] for row in photos} - rejected


def test_species_that_a_side_lacks_are_named(settings: Settings) -> None:
    split_of(settings, [occurrence("1")], [photo(str(index), of="1") for index in range(5)])
    gaps = split_gaps(settings.paths)
    assert sorted([*gaps.without_training, *gaps.without_validation]) == ["Turdus merula"]


def test_everyone_is_named_and_sources_are_counted(settings: Settings) -> None:
    occurrences, photos = world(60)
    occurrences[0]["dataset_key"] = "another"
    photos[0]["licence"] = None
    rows = split_of(settings, occurrences, photos)
    table = build_attribution(settings.paths)
    assert check_table("attribution", table) == []
    named = read(table)
    assert [row["photo_id"] for row in named] == sorted(row["photo_id"] for row in rows)
    assert named[0].keys() >= {"licence", "rights_holder", "creator", "url", "species", "taxon_key"}
    assert [row["licence"] for row in named if row["photo_id"] == photos[0]["photo_id"]] == [None]
    assert derived_dataset_path(settings.paths).read_text().splitlines() == [
        "dataset_key,count",
        "50c9509d-22c7-4a22-a47d-8c48425ef4a7,59",
        "another,1",
    ]
