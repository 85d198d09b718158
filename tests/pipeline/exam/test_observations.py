"""The exam only grows, no row of it ever moves, and what a version may have been trained on is not shown."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies

from pipeline.config.settings import Settings
from pipeline.errors import TableError
from pipeline.exam.observations import Exam, build_exam, exam_version
from pipeline.table_checks import check_table
from tests.pipeline.tiny import Row, occurrence, read, write

KINDS = ("a", "b", "c")
"""Three species, by their keys."""


def side(unit: str, seed: str = "2017") -> str:
    """The side of a unit with the default share of the validation side, as `split.sql` draws it."""
    bucket = int.from_bytes(hashlib.md5(f"{unit}:{seed}".encode()).digest()[8:], "little") % 1_000_000
    return "validation" if bucket < 0.2 * 1_000_000 else "train"


def validating(number: int, *, seed: str = "2017") -> list[str]:
    """The first observations of the validation side."""
    found = (f"o{count}" for count in range(1_000_000))
    return [next(each for each in found if side(each, seed) == "validation") for _ in range(number)]


def write_dataset(
    to: Settings, species: dict[str, str], *, seed: str = "2017", rejections: tuple[Row, ...] = (), photos: int = 1
) -> None:
    """The tables that the exam reads: observation -> key of its species, with some photographs each."""
    nodes = [{"node_id": 0, "depth": 0, "rank": "root", "name": "root", "leaf_begin": 0, "leaf_end": len(KINDS)}]
    nodes += [
        {
            "node_id": 1 + number, "parent_id": 0, "depth": 7, "rank": "species", "name": f"Turdus {key}",
            "taxon_key": key, "checklist_key": "backbone", "class_id": number, "leaf_begin": number,
            "leaf_end": number + 1,
        }
        for number, key in enumerate(KINDS)
    ]  # fmt: skip
    write(to.paths, "taxonomy", [{"placeholder": False, "photos": 1, **node} for node in nodes])
    rows = [
        {
            "photo_id": f"{observation}-{count}", "occurrence_key": f"r{observation}", "observation_id": observation,
            "class_id": KINDS.index(key), "split": side(observation, seed), "path": f"photos/{observation}-{count}.jpg",
        }
        for observation, key in species.items()
        for count in range(photos)
    ]  # fmt: skip
    write(to.paths, "split", rows)
    write(to.paths, "rejections", rejections)
    write(to.paths, "class_map", [])


def exam_of(to: Settings, species: dict[str, str], **others: Any) -> tuple[Exam, dict[str, Row]]:  # noqa: ANN401
    write_dataset(to, species, **others)
    exam = build_exam(to.paths, to)
    assert check_table("exam", exam.table) == []
    return exam, {row["photo_id"]: row for row in read(exam.table)}


@given(
    weeks=strategies.lists(
        strategies.dictionaries(strategies.sampled_from(validating(14)), strategies.sampled_from(KINDS)),
        min_size=2, max_size=3,
    )
)  # fmt: skip
@settings(max_examples=7)
def test_whatever_comes_and_goes_no_row_moves_and_none_leaves(
    tmp_path_factory: pytest.TempPathFactory, weeks: list[dict[str, str]]
) -> None:
    to = Settings(name="test", data_root=tmp_path_factory.mktemp("exam"), exam={"observations_per_species": 2})
    before: dict[str, Row] = {}
    for species in weeks:
        exam, rows = exam_of(to, species)
        assert {key: rows[key]["since"] for key in before} == {key: row["since"] for key, row in before.items()}
        assert all(row["since"] == exam.version for key, row in rows.items() if key not in before)
        shown = {row["observation_id"]: row["species_key"] for row in rows.values() if row["withdrawn"] is None}
        assert shown.items() <= species.items()
        for key in KINDS:
            held = sum(species.get(row["observation_id"]) == key for row in before.values())
            wanted = min(max(2, held), sum(each == key for each in species.values()))
            assert sum(each == key for each in shown.values()) == wanted
        before = rows


def test_an_observation_is_chosen_by_its_own_hash_with_all_its_photographs(
    make_settings: Callable[..., Settings],
) -> None:
    to = make_settings(exam={"observations_per_species": 3})
    observations = validating(12)
    _, rows = exam_of(to, dict.fromkeys(observations, "a"), photos=2)
    first = sorted(observations, key=lambda each: hashlib.md5(f"{each}:exam".encode()).hexdigest())[:3]
    assert set(rows) == {f"{each}-{count}" for each in first for count in range(2)}


def test_photographs_of_the_training_side_are_never_asked(settings: Settings) -> None:
    observations = [f"o{count}" for count in range(60)]
    _, rows = exam_of(settings, dict.fromkeys(observations, "a"))
    assert {row["observation_id"] for row in rows.values()} <= {each for each in observations if side(each) != "train"}


def test_a_re_identified_photograph_is_asked_by_its_present_name(settings: Settings) -> None:
    (one,) = validating(1)
    _, before = exam_of(settings, {one: "a"})
    exam, after = exam_of(settings, {one: "b"})
    assert (before[f"{one}-0"]["species_key"], after[f"{one}-0"]["species_key"]) == ("a", "b")
    assert (after[f"{one}-0"]["species"], exam.added, exam.version) == ("Turdus b", 0, 1)


def test_a_photograph_that_leaves_is_withdrawn_with_the_reason_and_may_come_back(settings: Settings) -> None:
    gone, relicensed, rare, doubtful = validating(4)
    species = dict.fromkeys((gone, relicensed, rare, doubtful), "a")
    exam_of(settings, species)
    rejections = (
        {"stage": "photo_index", "key": f"{relicensed}-0", "rule": "licence"},
        {"stage": "species", "key": f"{rare}-0", "rule": "too_few_images"},
        {"stage": "clean_occurrences", "key": f"r{doubtful}", "rule": "captive"},
    )
    exam, rows = exam_of(settings, {}, rejections=rejections)
    assert {row["observation_id"]: row["withdrawn"] for row in rows.values()} == {
        gone: "gone", relicensed: "licence", rare: "too_few_images", doubtful: "captive",
    }  # fmt: skip
    assert (exam.photos, exam.withdrawn) == (0, {"captive": 1, "gone": 1, "licence": 1, "too_few_images": 1})
    _, rows = exam_of(settings, species)
    assert [row["withdrawn"] for row in rows.values()] == [None] * 4


def test_after_the_sides_are_drawn_anew_nothing_is_asked_that_a_version_was_trained_on(
    make_settings: Callable[..., Settings],
) -> None:
    one, two = make_settings(), make_settings(split={"seed": 2018})
    observations = [f"o{count}" for count in range(400)]
    species = dict.fromkeys(observations, "a")
    _, before = exam_of(one, species)
    exam, after = exam_of(two, species, seed="2018")
    assert exam.redrawn
    assert before.keys() <= after.keys()
    shown = {row["observation_id"] for row in after.values() if row["withdrawn"] is None}
    assert shown
    assert {(side(each, "2017"), side(each, "2018")) for each in shown} == {("validation", "validation")}
    assert exam.withdrawn == {"training": len(after) - len(shown)}
    # Nor when the first way is chosen again: the second may have trained a version since.
    exam, again = exam_of(one, species)
    assert not exam.redrawn
    assert {row["observation_id"] for row in again.values() if row["withdrawn"] is None} == shown


def test_the_exam_asks_nothing_that_a_split_by_observer_would_train_on(make_settings: Callable[..., Settings]) -> None:
    species = dict.fromkeys(validating(12), "a")
    _, before = exam_of(make_settings(), species)
    names = [f"person{number}" for number in range(20)]
    chosen = [next(name for name in names if side(name) == wanted) for wanted in ("train", "validation")]
    people = {each: chosen[number % 2] for number, each in enumerate(species)}
    write(
        make_settings().paths,
        "clean_occurrences",
        [occurrence(f"r{each}", observation_id=each, observer=person) for each, person in people.items()],
    )
    exam, after = exam_of(make_settings(split={"unit": "observer"}), species)
    shown = {row["observation_id"] for row in after.values() if row["withdrawn"] is None}
    assert exam.redrawn
    assert shown == {each for each in species if side(people[each]) == "validation"}
    assert before.keys() <= after.keys()


def test_built_again_it_is_the_same_file(settings: Settings) -> None:
    species = dict.fromkeys(validating(5), "a")
    exam, _ = exam_of(settings, species)
    first = exam.table.read_bytes()
    again, _ = exam_of(settings, species)
    assert (again.version, again.added, again.table.read_bytes()) == (1, 0, first)


def test_an_exam_that_other_code_wrote_is_not_replaced(settings: Settings) -> None:
    write_dataset(settings, {})
    other = write(settings.paths, "exam", [])
    content = other.read_bytes()
    with pytest.raises(TableError, match="restore it from a copy, or move it away"):
        build_exam(settings.paths, settings)
    assert other.read_bytes() == content


def test_without_an_exam_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="materialise the asset exam"):
        exam_version(tmp_path / "exam.parquet")


def link(old: str, new: str, change: str) -> Row:
    return {
        "old_class_id": 0, "new_class_id": KINDS.index(new) if new in KINDS else 9, "old_checklist_key": "backbone",
        "old_taxon_key": old, "checklist_key": "backbone", "taxon_key": new, "change": change, "how": "accepted",
        "occurrences": 1,
    }  # fmt: skip


def test_renames_and_mergers_are_followed_for_good_and_splits_are_remembered(settings: Settings) -> None:
    write_dataset(settings, {})
    weeks: tuple[list[Row], ...] = (
        [link("x", "y", "renamed")],
        [],
        [link("y", "a", "merged"), link("z", "b", "split")],
    )
    for links in weeks:
        write(settings.paths, "class_map", links)
        build_exam(settings.paths, settings)
    assert {row["old_taxon_key"]: row["taxon_key"] for row in read(settings.paths.exam_renames)} == {"x": "a", "y": "a"}
    assert {(row["taxon_key"], row["part_taxon_key"]) for row in read(settings.paths.exam_splits)} == {("z", "b")}
    # A key that is a species again stands for itself.
    write(settings.paths, "class_map", [link("a", "x", "renamed"), link("c", "a", "renamed")])
    build_exam(settings.paths, settings)
    assert {row["old_taxon_key"]: row["taxon_key"] for row in read(settings.paths.exam_renames)} == {"y": "x"}
