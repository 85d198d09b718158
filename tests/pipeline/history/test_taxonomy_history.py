"""Between snapshots: every surviving species goes to itself, and what changed is told by observations and keys."""

import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config.settings import COL_XR_CHECKLIST, Settings
from pipeline.dataset.clean import build_clean_occurrences
from pipeline.dataset.crosswalk import COLUMNS
from pipeline.dataset.species import build_species
from pipeline.dataset.split import build_split
from pipeline.dataset.taxonomy import build_taxonomy
from pipeline.errors import TableError
from pipeline.history.class_maps import forgettable, tree_hash
from pipeline.history.taxonomy_history import build_taxonomy_history
from pipeline.table_checks import check_table
from tests.pipeline.tiny import Row, occurrence, photo, read, write


def receive(settings: Settings, occurrences: list[Row]) -> tuple[list[Row], list[Row]]:
    """A snapshot arrives, one photograph an occurrence; the class map and the diff, which keep their contracts."""
    write(settings.paths, "occurrences", occurrences)
    build_clean_occurrences(settings.paths, settings)
    write(
        settings.paths, "photos", [photo(f"p{row['occurrence_key']}", of=row["occurrence_key"]) for row in occurrences]
    )
    build_species(settings.paths, settings)
    build_taxonomy(settings.paths, settings)
    diff = build_taxonomy_history(settings.paths, settings)
    class_map = settings.paths.table("class_map")
    assert check_table("class_map", class_map) == []
    assert check_table("taxonomy_diff", diff) == []
    return read(class_map), read(diff)


def of(epithet: str, keys: Iterable[int], **changes: object) -> list[Row]:
    """Occurrences of one species of the genus Turdus; its key is its epithet."""
    named = {"species": f"Turdus {epithet}", "scientific_name": f"Turdus {epithet} L.", "species_key": epithet}
    own = {"taxon_key": epithet, "accepted_taxon_key": epithet}
    return [occurrence(str(key), **{**named, **own, **changes}) for key in keys]


def links(class_map: list[Row]) -> set[tuple[str | None, str | None, str, str | None]]:
    """(old key, new key, change, how)."""
    return {(row["old_taxon_key"], row["taxon_key"], row["change"], row["how"]) for row in class_map}


def changes(diff: list[Row]) -> set[tuple[str, str, str | None, str | None]]:
    """(rank, change, old name, name)."""
    return {(row["rank"], row["change"], row["old_name"], row["name"]) for row in diff}


FIRST = [*of("a", range(10)), *of("b", range(10, 20)), *of("c", range(20, 30))]


def test_in_the_first_snapshot_everything_is_new(settings: Settings) -> None:
    class_map, diff = receive(settings, FIRST)
    assert links(class_map) == {(None, key, "new", None) for key in "abc"}
    assert {row["change"] for row in diff} == {"new"}
    assert len(diff) == 6 + 3


def test_growth_alone_changes_nothing_and_the_last_comparison_stays(settings: Settings) -> None:
    receive(settings, FIRST)
    second = receive(settings, [*FIRST, *of("d", range(30, 40))])
    assert receive(settings, [*FIRST, *of("d", range(30, 40))]) == second
    third = receive(settings, [*FIRST, *of("d", range(30, 50))])
    assert (
        links(third[0])
        == links(second[0])
        == {
            *((key, key, "same", "key") for key in "abc"),
            (None, "d", "new", None),
        }
    )
    assert changes(third[1]) == {("species", "new", None, "Turdus d")}


def test_classes_are_mapped_by_key_whatever_their_numbers(settings: Settings) -> None:
    receive(settings, FIRST)
    class_map, _ = receive(settings, [*FIRST, *of("aa", range(30, 40))])
    by_key = {row["taxon_key"]: (row["old_class_id"], row["new_class_id"]) for row in class_map}
    assert by_key == {"a": (0, 0), "aa": (None, 1), "b": (1, 2), "c": (2, 3)}


def test_a_species_whose_name_became_a_synonym_is_merged(settings: Settings) -> None:
    receive(settings, FIRST)
    sunk = of(
        "b", range(10, 20), species="Turdus a", species_key="a", accepted_taxon_key="a", taxonomic_status="SYNONYM"
    )
    class_map, diff = receive(settings, [*FIRST[:10], *sunk, *FIRST[20:]])
    assert links(class_map) == {("a", "a", "same", "key"), ("c", "c", "same", "key"), ("b", "a", "merged", "accepted")}
    assert changes(diff) == {("species", "merged", "Turdus b", "Turdus a")}
    (line,) = diff
    assert line["occurrences"] == 10


def test_a_merge_is_recognised_by_the_observations_where_the_old_key_is_not_named(settings: Settings) -> None:
    receive(settings, FIRST)
    class_map, _ = receive(settings, [*of("a", range(20)), *FIRST[20:]])
    assert ("b", "a", "merged", "observations") in links(class_map)


def test_a_species_that_was_split_leaves_its_weights_to_both(settings: Settings) -> None:
    receive(settings, FIRST)
    class_map, diff = receive(settings, [*of("a", range(5)), *of("new", range(5, 10)), *FIRST[10:]])
    assert links(class_map) >= {("a", "a", "same", "key"), ("a", "new", "split", "observations")}
    assert changes(diff) == {("species", "split", "Turdus a", "Turdus new")}


def test_a_species_that_was_split_into_two_others(settings: Settings) -> None:
    receive(settings, FIRST)
    class_map, _ = receive(
        settings, [*of("m", range(6)), *of("n", range(6, 12)), *FIRST[12:20], *of("c", range(20, 30))]
    )
    assert {("a", "m", "split", "observations"), ("a", "n", "split", "observations")} <= links(class_map)


def test_another_key_for_the_same_observations_is_a_renaming(settings: Settings) -> None:
    receive(settings, FIRST)
    class_map, diff = receive(settings, [*of("z", range(10)), *FIRST[10:]])
    assert ("a", "z", "renamed", "observations") in links(class_map)
    assert changes(diff) == {("species", "renamed", "Turdus a", "Turdus z")}


def test_another_name_under_the_same_key_is_a_renaming(settings: Settings) -> None:
    receive(settings, FIRST)
    class_map, diff = receive(settings, [*of("a", range(10), species="Merula a"), *FIRST[10:]])
    assert ("a", "a", "same", "key") in links(class_map)
    assert changes(diff) == {("species", "renamed", "Turdus a", "Merula a")}


def test_a_genus_that_changes_its_family_is_one_change(settings: Settings) -> None:
    receive(settings, FIRST)
    _, diff = receive(settings, [{**row, "family": "Muscicapidae", "family_key": "9322"} for row in FIRST])
    assert changes(diff) == {
        ("family", "new", None, "Muscicapidae"),
        ("family", "gone", "Turdidae", None),
        ("genus", "moved", "Turdus", "Turdus"),
    }
    (line,) = [row for row in diff if row["change"] == "moved"]
    assert (line["old_parent"], line["parent"]) == ("Turdidae", "Muscicapidae")


def test_a_species_that_falls_short_is_gone_not_merged(settings: Settings) -> None:
    receive(settings, FIRST)
    # Most of what was b is called a by its observers today; some of it is still b.
    class_map, _ = receive(settings, [*of("a", range(17)), *of("b", range(17, 20)), *FIRST[20:]])
    assert ("b", None, "gone", None) in links(class_map)


def test_a_species_that_grew_over_the_minimum_is_new_not_split(settings: Settings) -> None:
    receive(settings, [*FIRST, *of("d", range(30, 34))])
    class_map, _ = receive(settings, [*of("a", range(1, 10)), *of("d", [0, *range(30, 36)]), *FIRST[10:]])
    assert (None, "d", "new", None) in links(class_map)


def test_a_change_of_checklist_follows_the_crosswalk(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    path = tmp_path / "crosswalk.parquet"
    pairs = [("a", "A1"), ("b", "B1")]
    columns = zip(*(("backbone", old, COL_XR_CHECKLIST, new) for old, new in pairs), strict=True)
    pq.write_table(pa.table(dict(zip(COLUMNS, columns, strict=True))), path)
    receive(make_settings(), FIRST)
    col = [
        *of("a", range(100, 110), species_key="A1", taxon_key="A1", checklist_key=COL_XR_CHECKLIST),
        *of("b", range(110, 120), species_key="B1", taxon_key="B1", checklist_key=COL_XR_CHECKLIST),
        *of("c", range(20, 30), species_key="C1", taxon_key="C1", checklist_key=COL_XR_CHECKLIST),
    ]
    class_map, _ = receive(make_settings(taxonomy={"crosswalk": path}), col)
    assert links(class_map) == {
        ("a", "A1", "renamed", "crosswalk"),
        ("b", "B1", "renamed", "crosswalk"),
        ("c", "C1", "renamed", "observations"),
    }


def test_equal_keys_of_two_checklists_are_two_species(settings: Settings) -> None:
    receive(settings, FIRST)
    other = [{**row, "checklist_key": "another", "occurrence_key": f"x{row['occurrence_key']}"} for row in FIRST]
    class_map, _ = receive(settings, other)
    assert {row["change"] for row in class_map} == {"new", "gone"}


def test_ten_snapshots(settings: Settings) -> None:
    """Observations come, go and are re-identified; no observation changes sides, every survivor goes to itself."""
    dice = random.Random(1)
    world: dict[int, str] = {}
    sides: dict[str, tuple[str, str | None]] = {}
    before: set[str] = set()
    for number in range(10):
        world |= {key: f"s{dice.randrange(4 + number)}" for key in range(number * 25, number * 25 + 25)}
        for key in dice.sample(sorted(world), 5):
            world.pop(key)
        for key in dice.sample(sorted(world), 3):
            world[key] = f"s{dice.randrange(4 + number)}"
        class_map, _ = receive(settings, [row for key, name in world.items() for row in of(name, range(key, key + 1))])
        now = {row["taxon_key"] for row in read(settings.paths.table("species"))}
        carried = {(row["old_taxon_key"], row["taxon_key"]) for row in class_map if row["change"] == "same"}
        if before != now:
            assert carried == {(key, key) for key in before & now}
            assert {row["old_taxon_key"] for row in class_map} - {None} == before
        assert {row["taxon_key"] for row in class_map} - {None} == now
        before = now
        for row in read(build_split(settings.paths, settings)):
            side = (row["split"], row["half"])
            assert sides.setdefault(row["observation_id"], side) == side


def test_only_the_trees_of_the_past_are_kept(settings: Settings) -> None:
    for number in range(4):
        receive(settings, [*FIRST, *of("d", range(30, 40)), *of(f"n{number}", range(50, 60))])
    folders = [path for path in settings.paths.kept_taxonomy("x").parent.iterdir() if path.is_dir()]
    assert len(folders) == 4
    assert all((folder / "taxonomy.parquet").exists() for folder in folders)
    assert all((folder / "observations.parquet").exists() for folder in folders)
    assert len(forgettable(settings.paths, named=[])) == 2


def test_a_tree_that_comes_back_is_compared_with_the_one_between(settings: Settings) -> None:
    receive(settings, FIRST)
    one = tree_hash(settings.paths.table("taxonomy"))
    receive(settings, [*FIRST, *of("d", range(30, 40))])
    class_map, _ = receive(settings, FIRST)
    assert tree_hash(settings.paths.table("taxonomy")) == one
    assert ("d", None, "gone", None) in links(class_map)


def test_a_damaged_record_says_what_to_do(settings: Settings) -> None:
    receive(settings, FIRST)
    settings.paths.taxonomies_order.write_text("{")
    with pytest.raises(TableError, match="to begin a history anew"):
        build_taxonomy_history(settings.paths, settings)
