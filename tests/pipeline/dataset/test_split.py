"""The split is a function of identifiers and seed: stable under growth, and right on average."""

import hashlib
import random
from collections.abc import Callable

import pytest

from pipeline.config.settings import Settings
from pipeline.dataset.attribution import build_attribution, derived_dataset_path
from pipeline.dataset.invariants import straddling_observations, straddling_observers, train_share
from pipeline.dataset.species import build_species
from pipeline.dataset.split import UNITS, build_genus_photos, build_split, split_gaps
from pipeline.dataset.taxonomy import build_taxonomy
from pipeline.table_checks import check_table
from tests.pipeline.tiny import Row, occurrence, photo, read, write


def world(observations: int, *, seed: int = 1) -> tuple[list[Row], list[Row]]:
    """Occurrences of three species with one to four photographs each; a larger world contains the smaller one.

    Two of three name one of some fifty people.
    """
    dice = random.Random(seed)
    occurrences, photos = [], []
    for number in range(observations):
        kind = dice.randrange(3)
        observer = f"person{number % 53}" if number % 3 else None
        occurrences.append(
            occurrence(str(number), species=f"Turdus s{kind}", species_key=f"k{kind}", observer=observer)
        )
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


def bucket(text: str) -> int:
    """The last eight bytes of an MD5, the lowest first."""
    return int.from_bytes(hashlib.md5(text.encode()).digest()[8:], "little")


@pytest.mark.parametrize("unit", UNITS)
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
    share, _, broken = train_share(settings.paths, unit="observation", validation=0.2)
    assert broken == []
    assert 0.7 < share < 0.9
    halves = [row["half"] for row in rows if row["split"] == "validation"]
    assert 0.3 < halves.count("calibration") / len(halves) < 0.7


def test_photographs_of_an_observation_may_part_in_the_papers_split(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(split={"unit": "photo"})
    split_of(settings, *world(300))
    assert straddling_observations(settings.paths) != []


def test_what_one_person_has_recorded_stays_together_if_one_asks_for_it(make_settings: Callable[..., Settings]) -> None:
    split_of(make_settings(), *world(300))
    assert straddling_observers(make_settings().paths) != []
    settings = make_settings(split={"unit": "observer"})
    rows = split_of(settings, *world(300))
    assert straddling_observers(settings.paths) == straddling_observations(settings.paths) == []
    assert {row["split"] for row in rows} == {"train", "validation"}
    share, allowed, broken = train_share(settings.paths, unit="observer", validation=0.2)
    assert (abs(share - 0.8) <= allowed, broken) == (True, [])


def test_an_observation_with_several_names_is_not_divided(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(split={"unit": "observer", "validation": 0.5})
    occurrences, photos = world(60)
    for number in range(30):
        occurrences += [occurrence(f"twice{number}", observation_id=f"o{number}", observer=f"other{number}",
                                   species="Turdus s0", species_key="k0")]  # fmt: skip
        photos += [photo(f"twice{number}", of=f"twice{number}")]
    split_of(settings, occurrences, photos)
    assert straddling_observations(settings.paths) == straddling_observers(settings.paths) == []


@pytest.mark.parametrize("unit", UNITS)
def test_the_halves_keep_an_observation_together(make_settings: Callable[..., Settings], unit: str) -> None:
    """In the paper's split an observation may be in training and validation, but never in both halves."""
    halves: dict[str, set[str]] = {}
    for row in split_of(make_settings(split={"unit": unit, "validation": 0.5}), *world(300)):
        if row["half"] is not None:
            halves.setdefault(row["observation_id"], set()).add(row["half"])
    assert set.union(*halves.values()) == {"calibration", "evaluation"}
    assert all(len(found) == 1 for found in halves.values())


@pytest.mark.parametrize("unit", UNITS)
def test_the_side_is_the_documented_function(make_settings: Callable[..., Settings], unit: str) -> None:
    settings = make_settings(split={"unit": unit})
    seed = settings.split.seed
    occurrences, photos = world(100)
    named = {row["observation_id"]: row["observer"] or row["observation_id"] for row in occurrences}
    for row in split_of(settings, occurrences, photos):
        row["observer_id"] = named[row["observation_id"]]
        validates = bucket(f"{row[f'{unit}_id']}:{seed}") % 1_000_000 < 200_000
        calibrates = bucket(f"{row['observation_id']}:{seed}:half") % 2 == 0
        half = ("calibration" if calibrates else "evaluation") if validates else None
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


def test_species_that_a_side_lacks_are_named_for_every_unit(settings: Settings) -> None:
    occurrences, photos = world(60)
    occurrences += [occurrence("one", species="Turdus unus", species_key="u")]
    photos += [photo(f"u{index}", of="one") for index in range(12)]
    rows = split_of(settings, occurrences, photos)
    gaps = split_gaps(settings.paths, settings)
    assert [*gaps["observation"].without_training, *gaps["observation"].without_validation] == ["Turdus unus"], (
        "twelve photographs of one observation are all on one side"
    )
    assert gaps["photo"].without_training == gaps["photo"].without_validation == ()
    assert [*gaps["observer"].without_training, *gaps["observer"].without_validation] == ["Turdus unus"]
    # The configured unit's gaps are those of the table itself.
    sides = {row["split"] for row in rows if row["photo_id"].startswith("u")}
    assert sides == ({"train"} if gaps["observation"].without_validation else {"validation"})


class TestGenusPhotos:
    """Photographs of species that are too rare to be classes."""

    def build(self, settings: Settings, occurrences: list[Row], photos: list[Row]) -> list[Row]:
        split_of(settings, occurrences, photos)
        table = build_genus_photos(settings.paths, settings)
        assert check_table("genus_photos", table) == []
        return read(table)

    def rare(self, number: int = 40) -> tuple[list[Row], list[Row]]:
        """Rare species of two photographs each, a third of them in a genus of another key."""
        occurrences, photos = world(60)
        for index in range(number):
            changes = {"genus_key": "9"} if index % 3 == 0 else {}
            name = f"Turdus r{index}"
            occurrences += [
                occurrence(f"r{index}-{copy}", species=name, species_key=f"r{index}", **changes) for copy in range(2)
            ]
            photos += [photo(f"r{index}-{copy}", of=f"r{index}-{copy}") for copy in range(2)]
        return occurrences, photos

    def test_they_are_filed_under_their_genus_on_the_training_side_only(self, settings: Settings) -> None:
        found = self.build(settings, *self.rare())
        (genus,) = [row for row in read(settings.paths.table("taxonomy")) if row["rank"] == "genus"]
        assert {row["node_id"] for row in found} == {genus["node_id"]}
        assert not {row["taxon_key"] for row in found} & {f"r{index}" for index in range(0, 40, 3)}, (
            "a genus of that name with another key is another genus"
        )
        seed = settings.split.seed
        assert {row["photo_id"] for row in found} == {
            f"r{index}-{copy}"
            for index in range(40)
            for copy in range(2)
            if index % 3 and bucket(f"or{index}-{copy}:{seed}") % 1_000_000 >= 200_000
        }
        rejected = {row["key"]: row["rule"] for row in read(settings.paths.rejections_of("species"))}
        assert {rejected[row["photo_id"]] for row in found} == {"too_few_images"}

    def test_a_species_that_grows_takes_its_photographs_along_to_the_training_side(self, settings: Settings) -> None:
        occurrences, photos = self.rare()
        before = {row["photo_id"] for row in self.build(settings, occurrences, photos)}
        for index in range(40):
            occurrences += [
                occurrence(
                    f"more{index}-{copy}",
                    species=f"Turdus r{index}",
                    species_key=f"r{index}",
                    **({"genus_key": "9"} if index % 3 == 0 else {}),
                )
                for copy in range(3)
            ]
            photos += [photo(f"more{index}-{copy}", of=f"more{index}-{copy}") for copy in range(3)]
        after = {row["photo_id"]: row["split"] for row in split_of(settings, occurrences, photos)}
        assert before
        assert {after[key] for key in before} == {"train"}

    def test_the_papers_mode_has_none(self, make_settings: Callable[..., Settings]) -> None:
        assert self.build(make_settings(split={"rare_species": "drop"}), *self.rare()) == []

    def test_other_rejected_photographs_are_not_taken(self, settings: Settings) -> None:
        occurrences, photos = self.rare()
        photos[-1]["sha256"] = photos[-2]["sha256"] = "same"
        found = {row["photo_id"] for row in self.build(settings, occurrences, photos)}
        assert photos[-1]["photo_id"] not in found


def test_everyone_is_named_and_sources_are_counted(settings: Settings) -> None:
    occurrences, photos = world(60)
    occurrences[0]["dataset_key"] = "another"
    photos[0]["licence"] = None
    rows = split_of(settings, occurrences, photos)
    build_genus_photos(settings.paths, settings)
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
