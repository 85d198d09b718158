"""The taxonomy: what is refused, lineages, and finding a taxon among homonyms."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.taxonomy import TaxonError, Taxonomy, TaxonomyError
from tests.ml.specificity_fixtures import BIRDS, Row, random_tree, rows_of, write_taxonomy


@pytest.fixture
def birds() -> Taxonomy:
    return Taxonomy.of_rows(rows_of(BIRDS))


def test_a_taxonomy_survives_its_file_whatever_the_order_of_rows(tmp_path: Path, birds: Taxonomy) -> None:
    read = Taxonomy.read(write_taxonomy(tmp_path / "taxonomy.parquet", rows_of(BIRDS)[::-1]))
    assert read.name == birds.name
    assert read.class_count == 4
    assert read.max_depth == 7
    np.testing.assert_array_equal(read.leaf_end, birds.leaf_end)


def test_parents_are_found_within_the_level_above(birds: Taxonomy) -> None:
    for depth, places in enumerate(birds.parent_positions, start=1):
        np.testing.assert_array_equal(birds.levels[depth - 1][places], birds.parent[birds.levels[depth]])
    assert len(birds.parent_positions) == birds.max_depth


def test_ancestors_are_the_lineages_of_the_leaves(birds: Taxonomy) -> None:
    assert birds.ancestors.shape == (4, 8)
    for class_id, leaf in enumerate(birds.leaves):
        assert tuple(birds.ancestors[class_id]) == birds.lineage(int(leaf))
        assert birds.contains(birds.ancestors[class_id], class_id).all()


def test_a_shallow_leaf_stands_for_itself_below_its_depth() -> None:
    tree = Taxonomy.of_rows(rows_of({"A": {"A1": {"A11": {}}}, "B": {}}))
    assert [tree.name[node] for node in tree.ancestors[1]] == ["Life", "B", "B", "B"]


def test_leaf_ranges_are_what_contains_says() -> None:
    tree = random_tree(np.random.default_rng(1), leaves=25, uneven=True)
    for class_id, leaf in enumerate(tree.leaves):
        lineage = tree.lineage(int(leaf))
        inside = [node for node in range(tree.node_count) if tree.contains(node, class_id)]
        assert inside == sorted(lineage)


def test_children_lie_directly_below(birds: Taxonomy) -> None:
    assert [birds.name[node] for node in birds.children(0)] == ["Animalia", "Plantae"]
    assert birds.children(int(birds.leaves[0])) == ()


def test_a_taxon_is_found_by_key_and_by_name_in_any_case(birds: Taxonomy) -> None:
    node = birds.find("nestor NOTABILIS")
    assert birds.describe(node).endswith("Strigopidae > Nestor > Nestor notabilis")
    assert birds.find(str(birds.taxon_key[node])) == node


def test_a_homonym_is_reported_by_its_lineages_and_settled_by_one(birds: Taxonomy) -> None:
    with pytest.raises(TaxonError, match=r"Sulidae > Morus.*Moraceae > Morus"):
        birds.find("Morus")
    assert birds.describe(birds.find("Plantae > Morus")).endswith("Moraceae > Morus")


@pytest.mark.parametrize("text", ["Nestro", "nestro", "NESTER", "Aves > Nestro", "Animalia>Avess>nestor"])
def test_an_unknown_taxon_is_answered_with_similar_names(birds: Taxonomy, text: str) -> None:
    with pytest.raises(TaxonError, match="did you mean Nestor"):
        birds.find(text)


def _drop(name: str) -> Callable[[list[Row]], list[Row]]:
    return lambda rows: [row for row in rows if row["name"] != name]


def _set(name: str, column: str, value: object) -> Callable[[list[Row]], list[Row]]:
    return lambda rows: [{**row, column: value} if row["name"] == name else row for row in rows]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_drop("Aves"), "node ids are not"),
        (_set("Aves", "leaf_begin", None), "blank values in leaf_begin"),
        (_set("Aves", "leaf_end", 2), "leaf range"),
        (_set("Aves", "parent_id", None), "parent is missing"),
        (_set("Aves", "parent_id", 9), "comes after it"),
        (_set("Aves", "depth", 2), "depth is not"),
        (_set("Aves", "class_id", 3), "class ids belong to leaves"),
        (_set("Morus alba", "class_id", 7), "do not follow preorder"),
        (_set("Life", "depth", 1), "needs a root"),
    ],
)
def test_what_is_no_tree_in_preorder_is_refused(damage: Callable[[list[Row]], list[Row]], reason: str) -> None:
    with pytest.raises(TaxonomyError, match=reason):
        Taxonomy.of_rows(damage(rows_of(BIRDS)))


def test_nodes_out_of_preorder_are_refused() -> None:
    rows = rows_of({"A": {"A1": {}}, "B": {"B1": {}}})
    swapped = [rows[0], rows[1], {**rows[3], "node_id": 2}, {**rows[2], "node_id": 3}, {**rows[4], "parent_id": 2}]
    with pytest.raises(TaxonomyError, match="preorder"):
        Taxonomy.of_rows(swapped)


def test_whole_numbers_as_pandas_writes_them_are_read(tmp_path: Path, birds: Taxonomy) -> None:
    """A column with blanks becomes decimals with NaN."""
    rows = [
        {**row, **{name: float("nan") if row[name] is None else float(row[name]) for name in ("parent_id", "class_id")}}
        for row in rows_of(BIRDS)
    ]
    read = Taxonomy.read(write_taxonomy(tmp_path / "taxonomy.parquet", rows))
    np.testing.assert_array_equal(read.parent, birds.parent)
    np.testing.assert_array_equal(read.class_id, birds.class_id)


@pytest.mark.parametrize(("column", "value"), [("depth", "deep"), ("leaf_end", 2**40), ("parent_id", 0.5)])
def test_columns_of_other_types_are_named(tmp_path: Path, column: str, value: object) -> None:
    path = write_taxonomy(tmp_path / "taxonomy.parquet", [{**row, column: value} for row in rows_of(BIRDS)])
    with pytest.raises(TaxonomyError, match=f"the column {column} of the taxonomy does not hold int32"):
        Taxonomy.read(path)


def test_other_tables_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"node_id": [0]}), tmp_path / "t.parquet")
    with pytest.raises(TaxonomyError, match="lacks the columns parent_id"):
        Taxonomy.read(tmp_path / "t.parquet")
    with pytest.raises(TaxonomyError, match="cannot read"):
        Taxonomy.read(tmp_path / "absent.parquet")
