"""The properties behind the blocking checks: each catches the table that breaks it."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.dataset.invariants import small_species, straddling_observations, train_share, tree
from pipeline.paths import Paths

CHAIN: list[dict[str, Any]] = [
    {"node_id": depth, "parent_id": depth - 1 if depth else None, "depth": depth, "name": f"n{depth}",
     "class_id": 0 if depth == 7 else None, "leaf_begin": 0, "leaf_end": 2 if depth < 7 else 1}
    for depth in range(8)
]  # fmt: skip
NODES = [
    *CHAIN,
    {"node_id": 8, "parent_id": 6, "depth": 7, "name": "n8", "class_id": 1, "leaf_begin": 1, "leaf_end": 2},
]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(data_root=tmp_path)
    paths.tables.mkdir()
    return paths


def _write_taxonomy(paths: Paths, nodes: list[dict[str, Any]]) -> None:
    schema = pa.schema(
        [("node_id", pa.int32()), ("parent_id", pa.int32()), ("depth", pa.int32()), ("name", pa.string()),
         ("class_id", pa.int32()), ("leaf_begin", pa.int32()), ("leaf_end", pa.int32())]
    )  # fmt: skip
    pq.write_table(pa.Table.from_pylist(nodes, schema=schema), paths.table("taxonomy"))


def test_a_tree_is_accepted(paths: Paths) -> None:
    _write_taxonomy(paths, NODES)
    assert tree(paths) == []


@pytest.mark.parametrize(
    ("node", "change", "problem"),
    [
        (8, {"parent_id": 42}, "parent is missing"),
        (3, {"parent_id": 5}, "parent comes after"),
        (4, {"depth": 5}, "depth is not its parent's plus one"),
        (8, {"leaf_begin": 2, "leaf_end": 3}, "leaf range"),
        (8, {"class_id": None}, "class ids belong to species"),
        (8, {"class_id": 5}, "own class"),
        (6, {"leaf_end": 1}, "do not fill"),
        (8, {"node_id": 12}, "0, 1, 2"),
        (0, {"parent_id": 0}, "root has a parent"),
    ],
)
def test_what_is_no_tree_is_found(paths: Paths, node: int, change: dict[str, Any], problem: str) -> None:
    _write_taxonomy(paths, [{**row, **change} if row["node_id"] == node else row for row in NODES])
    assert problem in " ".join(tree(paths))


def test_a_small_species_is_named(paths: Paths) -> None:
    table = pa.table({"taxon_key": ["a", "b"], "species": ["Nestor notabilis", "N. meridionalis"], "photos": [5, 4]})
    pq.write_table(table, paths.table("species"))
    assert small_species(paths, minimum=5) == ["N. meridionalis (b) has 4 photographs"]
    assert small_species(paths, minimum=4) == []


def _write_split(paths: Paths, rows: list[tuple[str, str, str]]) -> None:
    columns = ("photo_id", "observation_id", "split")
    table = pa.Table.from_pylist([dict(zip(columns, row, strict=True)) for row in rows])
    pq.write_table(table, paths.table("split"))


def test_an_observation_on_both_sides_is_named(paths: Paths) -> None:
    _write_split(paths, [("1", "a", "train"), ("2", "a", "validation"), ("3", "b", "train")])
    assert straddling_observations(paths) == ["observation a is on both sides"]


@pytest.mark.parametrize(("train", "accepted"), [(800, True), (760, True), (1000, False), (600, False)])
def test_the_training_share_may_differ_by_chance_alone(paths: Paths, *, train: int, accepted: bool) -> None:
    rows = [(str(i), str(i), "train" if i < train else "validation") for i in range(1000)]
    _write_split(paths, rows)
    share, _, broken = train_share(paths, unit="observation", validation=0.2)
    assert share == pytest.approx(train / 1000)
    assert (broken == []) is accepted


def test_few_large_observations_excuse_a_larger_difference(paths: Paths) -> None:
    rows = [(f"{o}-{p}", str(o), "train" if o < 8 else "validation") for o in range(20) for p in range(50)]
    _write_split(paths, rows)
    assert train_share(paths, unit="observation", validation=0.2)[2] == []
    assert train_share(paths, unit="photo", validation=0.2)[2] != []
