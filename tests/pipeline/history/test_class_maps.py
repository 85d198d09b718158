"""A model may be several trees old: its classes are found in the present tree, by observations as long as it needs."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.config.settings import Settings
from pipeline.dataset.manifest import content_hash
from pipeline.errors import TableError
from pipeline.history.class_maps import build_class_map, forgettable, kept_tree, observations_of, tree_hash
from pipeline.table_checks import check_table
from tests.pipeline.history.test_taxonomy_history import FIRST, links, of, receive
from tests.pipeline.tiny import Row, read


def mapped(settings: Settings, tree: str, folder: Path) -> list[Row]:
    class_map = build_class_map(settings.paths, settings, tree=tree, output=folder / "class_map.parquet")
    assert check_table("class_map", class_map) == []
    return read(class_map)


def taxonomy_of_a_model(settings: Settings, folder: Path) -> Path:
    """The tree as a model version holds it."""
    folder.mkdir()
    return Path(shutil.copy(settings.paths.table("taxonomy"), folder / "taxonomy.parquet"))


def test_classes_are_followed_over_several_trees(settings: Settings, tmp_path: Path) -> None:
    """First b sinks into a, then c is split; the map from the first tree to the third says both."""
    receive(settings, FIRST)
    model = taxonomy_of_a_model(settings, tmp_path / "model")
    receive(settings, [*of("a", range(20)), *FIRST[20:]])
    receive(settings, [*of("a", range(20)), *of("c", range(20, 25)), *of("n", range(25, 30)), *of("o", range(30, 40))])
    tree = kept_tree(settings.paths, model)
    assert links(mapped(settings, tree, tmp_path)) == {
        ("a", "a", "same", "key"), ("b", "a", "merged", "observations"), ("c", "c", "same", "key"),
        ("c", "n", "split", "observations"), (None, "o", "new", None),
    }  # fmt: skip


def test_without_its_observations_keys_and_synonyms_are_left(settings: Settings, tmp_path: Path) -> None:
    receive(settings, FIRST)
    model = taxonomy_of_a_model(settings, tmp_path / "model")
    tree = kept_tree(settings.paths, model)
    sunk = of("b", range(10, 20), species="Turdus a", species_key="a", accepted_taxon_key="a")
    receive(settings, [*FIRST[:10], *sunk, *of("n", range(20, 30))])
    known = links(mapped(settings, tree, tmp_path))
    observations_of(settings.paths, tree).unlink()
    assert known == {
        ("a", "a", "same", "key"), ("b", "a", "merged", "accepted"), ("c", "n", "renamed", "observations")
    }  # fmt: skip
    assert links(mapped(settings, tree, tmp_path)) == {
        ("a", "a", "same", "key"), ("b", "a", "merged", "accepted"), ("c", None, "gone", None), (None, "n", "new", None)
    }  # fmt: skip


def test_a_model_of_the_present_tree_keeps_all_its_classes(settings: Settings, tmp_path: Path) -> None:
    receive(settings, FIRST)
    tree = kept_tree(settings.paths, settings.paths.table("taxonomy"))
    class_map = mapped(settings, tree, tmp_path)
    assert [(row["old_class_id"], row["new_class_id"], row["change"]) for row in class_map] == [
        (0, 0, "same"), (1, 1, "same"), (2, 2, "same")
    ]  # fmt: skip


def test_the_tree_of_a_model_from_elsewhere_is_kept(settings: Settings, tmp_path: Path) -> None:
    """The folder of trees was begun anew, or the registry has a model of another data root."""
    receive(settings, FIRST)
    model = taxonomy_of_a_model(settings, tmp_path / "model")
    tree = tree_hash(model)
    shutil.rmtree(settings.paths.taxonomies_order.parent)
    receive(settings, [*FIRST[:20], *of("d", range(30, 40))])
    with pytest.raises(TableError, match=f"the tree {tree} was not kept"):
        mapped(settings, tree, tmp_path)
    assert kept_tree(settings.paths, model) == tree
    assert ("c", None, "gone", None) in links(mapped(settings, tree, tmp_path))


def test_more_photographs_of_the_same_tree_are_another_content_of_it(settings: Settings, tmp_path: Path) -> None:
    """What a model version's tag names is the content; a kept tree never goes back to fewer photographs."""
    receive(settings, FIRST)
    model = taxonomy_of_a_model(settings, tmp_path / "model")
    receive(settings, [*FIRST, *of("a", range(30, 40))])
    now = settings.paths.table("taxonomy")
    assert content_hash(model) != content_hash(now)
    tree = kept_tree(settings.paths, model)
    assert tree == tree_hash(now)
    assert pq.read_table(settings.paths.kept_taxonomy(tree) / "taxonomy.parquet").equals(pq.read_table(now))


def test_observations_stay_while_a_model_version_names_their_tree(settings: Settings) -> None:
    contents = []
    for number in range(4):
        receive(settings, [*FIRST, *of(f"n{number}", range(50, 60))])
        contents.append((tree_hash(settings.paths.table("taxonomy")), content_hash(settings.paths.table("taxonomy"))))
    files = [observations_of(settings.paths, tree) for tree, _ in contents]
    assert forgettable(settings.paths, named=[]) == files[:2]
    assert forgettable(settings.paths, named=[contents[0][1], "of another scope"]) == files[1:2]
    files[1].unlink()
    assert forgettable(settings.paths, named=[contents[0][1]]) == []
