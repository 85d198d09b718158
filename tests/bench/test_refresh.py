"""What was there before photographs came, and how two networks are compared on the same ones."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench import refresh
from bench.experiments.dataset import Dataset
from ml.networks.class_moves import read_moves
from ml.taxonomy import Taxonomy
from ml.training.cross_validation import FOLDS
from ml.training.recipes import FROZEN, SAMPLE
from ml.training.refreshing import refreshed
from pipeline.tables import CONTRACTS
from tests.ml.networks.trees import tree_rows

LINES = [f"Family{number // 20} Genus{number // 4} species{number}" for number in range(40)]


@pytest.fixture
def after(tmp_path: Path) -> Dataset:
    """Forty species of ten photographs."""
    rows = [
        row | {"taxon_key": f"{row['rank']} {row['name']}", "checklist_key": "x", "photos": 10}
        for row in tree_rows(*LINES)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=CONTRACTS["taxonomy"].schema), tmp_path / "taxonomy.parquet")
    split = [
        {"photo_id": f"{label}-{number}", "class_id": label, "split": "validation" if number > 7 else "train"}
        for label in range(40)
        for number in range(10)
    ]
    pq.write_table(pa.Table.from_pylist(split), tmp_path / "split.parquet")
    return Dataset(seed=1, folder=tmp_path, index=tmp_path / "index.parquet", version="v1")


def test_a_tenth_of_the_training_photographs_comes_new_and_some_species_wholly(after: Dataset, tmp_path: Path) -> None:
    growth = refresh.grown(after, folder=tmp_path / "before")
    assert len(growth.new_species) == 2
    old, new = (pq.read_table(folder / "split.parquet") for folder in (growth.folder, after.folder))
    training = [sum(side == "train" for side in table["split"].to_pylist()) for table in (old, new)]
    assert training == [288, 320]
    before, now = (Taxonomy.read(folder / "taxonomy.parquet") for folder in (growth.folder, after.folder))
    assert before.class_count == 38
    assert set(old["class_id"].to_pylist()) == set(range(38))
    name_of = {row["photo_id"]: now.name[now.leaves[row["class_id"]]] for row in new.to_pylist()}
    for row in old.to_pylist():
        assert before.name[before.leaves[row["class_id"]]] == name_of[row["photo_id"]]
    moves = read_moves(growth.folder / "class_map.parquet", old=before, new=now)
    assert set(np.flatnonzero(~moves.kept).tolist()) == growth.new_species
    assert moves.known.all()


def test_taxa_without_species_leave_with_them() -> None:
    table = pa.Table.from_pylist(
        [row | {"checklist_key": "x", "photos": 1} for row in tree_rows("A Aa one", "B Ba two", "B Bb three")],
        schema=CONTRACTS["taxonomy"].schema,
    )
    left, class_of = refresh.without_species(table, species=frozenset({0, 2}))
    assert class_of == {1: 0}
    assert left["name"].to_pylist()[5:] == ["B", "Ba", "two"]
    assert Taxonomy.of_rows(left.to_pylist()).class_count == 1


def test_the_interval_holds_the_mean_and_narrows_with_photographs() -> None:
    few, many = (np.tile([1.0, 0.0, 0.0, -1.0, 1.0], times) for times in (20, 2000))
    widths = []
    for each in (few, many):
        low, high = refresh.interval([each, each])
        assert low < 0.2 < high
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0] / 10, rel=0.1)
    assert refresh.interval([np.zeros(10)]) == (0.0, 0.0)


def test_iterations_are_those_of_all_fits() -> None:
    assert refresh.iterations(FROZEN, folds=FOLDS) == 13 * 40
    assert refresh.iterations(refreshed(FROZEN), folds=1) == 5 * 34
    assert refresh.iterations(SAMPLE, folds=FOLDS) == 30
