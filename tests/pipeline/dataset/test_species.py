"""Only usable photographs count: fetched, decoded, and not the same bytes again."""

from collections import Counter
from collections.abc import Callable

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.config.settings import Settings
from pipeline.dataset.invariants import small_species
from pipeline.dataset.species import RULES, build_species
from pipeline.table_checks import check_table
from tests.pipeline.tiny import Row, occurrence, photo, read, write

THRUSH: Row = {"species": "Turdus philomelos", "species_key": "77"}


def kept_and_rules(settings: Settings, occurrences: list[Row], photos: list[Row]) -> tuple[list[Row], dict[str, Row]]:
    """The species, and the rejected photographs by id."""
    write(settings.paths, "clean_occurrences", occurrences)
    write(settings.paths, "photos", photos)
    table = build_species(settings.paths, settings)
    assert check_table("species", table) == []
    return read(table), {row["key"]: row for row in read(settings.paths.rejections_of("species"))}


def test_a_species_needs_enough_usable_photographs(settings: Settings) -> None:
    occurrences = [occurrence("1"), occurrence("2"), occurrence("3", **THRUSH)]
    photos = [
        *(photo(f"a{index}", of="1" if index < 3 else "2") for index in range(5)),
        *(photo(f"b{index}", of="3") for index in range(5)),
        photo("b9", of="3", status="gone", sha256=None, path=None),
    ]
    photos[5]["status"] = "corrupt"
    kept, rejected = kept_and_rules(settings, occurrences, photos)
    (blackbird,) = kept
    assert (blackbird["species"], blackbird["photos"], blackbird["observations"]) == ("Turdus merula", 5, 2)
    assert set(rejected) == {"b1", "b2", "b3", "b4"}, "photographs that are not ok were rejected by an earlier stage"
    assert {(row["rule"], row["detail"]) for row in rejected.values()} == {
        ("too_few_images", "Turdus philomelos has 4")
    }
    assert small_species(settings.paths, minimum=5) == []


def test_identical_bytes_count_once_and_the_oldest_address_stays(settings: Settings) -> None:
    photos = [photo(str(number), of="1") for number in (8, 9, 10, 11, 12, 13)]
    for row in photos[1:3]:
        row["sha256"] = "same"
    kept, rejected = kept_and_rules(settings, [occurrence("1")], photos)
    assert kept[0]["photos"] == 5
    assert {key: row["rule"] for key, row in rejected.items()} == {"10": "duplicate_photo"}


def test_identical_bytes_under_two_species_are_believed_of_neither(settings: Settings) -> None:
    photos = [photo(f"a{index}", of="1") for index in range(6)] + [photo(f"b{index}", of="2") for index in range(6)]
    photos[0]["sha256"] = photos[6]["sha256"] = "same"
    kept, rejected = kept_and_rules(settings, [occurrence("1"), occurrence("2", **THRUSH)], photos)
    assert [row["photos"] for row in kept] == [5, 5]
    assert {key: row["rule"] for key, row in rejected.items()} == {"a0": "conflicting_photo", "b0": "conflicting_photo"}
    assert rejected["a0"]["detail"] == "the same bytes are labelled Turdus merula, Turdus philomelos"


def test_a_photograph_without_a_clean_occurrence_is_named(settings: Settings) -> None:
    _, rejected = kept_and_rules(settings, [occurrence("1")], [photo("a", of="gone")])
    assert rejected["a"]["rule"] == "unknown_occurrence"


def test_without_any_photograph_there_is_no_species(settings: Settings) -> None:
    assert kept_and_rules(settings, [occurrence("1")], []) == ([], {})


PHOTOS = st.lists(
    st.tuples(st.sampled_from("1234"), st.sampled_from("abcdefg"), st.sampled_from(["ok", "ok", "ok", "gone"])),
    max_size=25,
)


@given(drawn=PHOTOS)
@hypothesis_settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
def test_every_usable_photograph_is_kept_or_rejected_once(
    settings: Settings, drawn: list[tuple[str, str, str]]
) -> None:
    occurrences = [occurrence("1"), occurrence("2"), occurrence("3", **THRUSH)]
    photos = [
        photo(str(index), of=of, sha256=content, status=status) for index, (of, content, status) in enumerate(drawn)
    ]
    write(settings.paths, "clean_occurrences", occurrences)
    write(settings.paths, "photos", photos)
    kept = read(build_species(settings.paths, settings))
    rejected = read(settings.paths.rejections_of("species"))
    usable = [row["photo_id"] for row in photos if row["status"] == "ok"]
    assert len(usable) == sum(row["photos"] for row in kept) + len(rejected)
    assert set(Counter(row["key"] for row in rejected).values()) <= {1}
    assert {row["rule"] for row in rejected} <= set(RULES)
    assert all(row["photos"] >= settings.split.min_images for row in kept)


def cap_world(sizes: list[int]) -> tuple[list[Row], list[Row]]:
    """Observations of one species with so many photographs each."""
    occurrences = [occurrence(str(number)) for number in range(len(sizes))]
    photos = [photo(f"{number}-{index}", of=str(number)) for number, size in enumerate(sizes) for index in range(size)]
    return occurrences, photos


def chosen(settings: Settings, occurrences: list[Row], photos: list[Row]) -> set[str]:
    """The photographs that stay."""
    _, rejected = kept_and_rules(settings, occurrences, photos)
    return {row["photo_id"] for row in photos} - set(rejected)


def test_an_observation_can_be_capped(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(split={"photos_per_observation": 2})
    kept, rejected = kept_and_rules(settings, *cap_world([5, 1, 2, 3]))
    assert (kept[0]["photos"], kept[0]["observations"]) == (7, 4)
    assert Counter(row["rule"] for row in rejected.values()) == {"observation_cap": 4}
    assert {row["detail"] for row in rejected.values()} == {
        "observation o0 has enough without it",
        "observation o3 has enough without it",
    }


def test_photographs_that_the_cap_removes_do_not_help_a_species_over_the_minimum(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings(split={"photos_per_observation": 1})
    kept, rejected = kept_and_rules(settings, *cap_world([9, 1]))
    assert kept == []
    assert Counter(row["rule"] for row in rejected.values()) == {"observation_cap": 8, "too_few_images": 2}


def test_a_capped_species_takes_one_photograph_of_each_observation_first(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings(split={"photos_per_species": 6})
    kept, rejected = kept_and_rules(settings, *cap_world([8, 1, 2, 5]))
    assert (kept[0]["photos"], kept[0]["observations"]) == (6, 4)
    assert {row["rule"] for row in rejected.values()} == {"species_cap"}
    assert {row["detail"] for row in rejected.values()} == {"Turdus merula has 16"}


def test_the_seed_chooses(make_settings: Callable[..., Settings]) -> None:
    world = cap_world([3] * 10)
    one, again, other = (
        chosen(make_settings(split={"photos_per_species": 8, "seed": seed}), *world) for seed in (1, 1, 2)
    )
    assert one == again != other


@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=8),
    more=st.lists(st.integers(0, 8), min_size=1, max_size=4),
    cap=st.integers(1, 8),
    per_observation=st.sampled_from([None, 1, 2]),
)
@hypothesis_settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
def test_an_added_photograph_displaces_at_most_one(
    make_settings: Callable[..., Settings], sizes: list[int], more: list[int], cap: int, per_observation: int | None
) -> None:
    settings = make_settings(
        split={"photos_per_species": cap, "photos_per_observation": per_observation, "min_images": 1}
    )
    occurrences, photos = cap_world(sizes)
    before = chosen(settings, occurrences, photos)
    # To an observation that is there, or to another one.
    occurrences += [occurrence(str(number)) for number in range(len(sizes), 9)]
    added = [photo(f"added-{number}-{index}", of=str(number)) for index, number in enumerate(more)]
    after = chosen(settings, occurrences, [*photos, *added])
    assert len(before - after) <= len(added)
    assert len(after) >= len(before)
