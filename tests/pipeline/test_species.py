"""Only usable photographs count: fetched, decoded, and not the same bytes again."""

from collections import Counter

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.config import Settings
from pipeline.dataset.invariants import small_species
from pipeline.dataset.species import RULES, build_species
from pipeline.tables import check_table
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
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
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
