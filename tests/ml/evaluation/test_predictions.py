"""The file of answers: what was added comes back, in bounded row groups, by any rows, for DuckDB too."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.errors import DataError
from ml.evaluation import predictions
from ml.evaluation.predictions import StoredProbabilities, open_probabilities, prediction_writer
from ml.specificity import candidates
from ml.taxonomy import Taxonomy
from tests.ml.specificity_fixtures import BIRDS, rows_of, write_taxonomy

CLASSES, PHOTOS = 4, 60


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten photographs in a row group."""
    monkeypatch.setattr(predictions, "GROUP_CELLS", 10 * CLASSES)


@pytest.fixture(scope="module")
def distributions() -> np.ndarray[tuple[int, int], np.dtype[np.float16]]:
    drawn = np.random.default_rng(3).dirichlet(np.ones(CLASSES), PHOTOS)
    return drawn.astype(np.float16)


def write(path: Path, rows: np.ndarray, *, sizes: list[int], keep: bool = True) -> Path:
    """Write answers in batches of these sizes."""
    top = np.argsort(-rows, axis=1, kind="stable")[:, :3]
    begin = 0
    with prediction_writer(path, classes=CLASSES, top=3, distributions=keep) as writer:
        for size in sizes:
            part = slice(begin, begin + size)
            writer.add(
                photo_ids=[f"p{row}" for row in range(begin, begin + size)],
                labels=np.arange(begin, begin + size) % CLASSES,
                halves=["calibration"] * size,
                top_ids=top[part],
                top_probabilities=np.take_along_axis(rows[part], top[part], axis=1).astype(np.float32),
                distributions=rows[part] if keep else None,
            )
            begin += size
    return path


def test_what_was_added_comes_back(tmp_path: Path, distributions: np.ndarray) -> None:
    table = pq.read_table(write(tmp_path / "a.parquet", distributions, sizes=[7] * 8 + [4]))
    assert table.schema.field("probabilities").type == pa.list_(pa.field("element", pa.float16(), nullable=False), 4)
    assert np.array_equal(np.stack(table["probabilities"].to_pylist()), distributions.astype(float))
    assert table["predicted_class_id"].to_pylist() == distributions.argmax(1).tolist()
    assert table["probability"].to_pylist() == distributions.max(1).astype(float).tolist()
    assert [ids[0] for ids in table["top_class_ids"].to_pylist()] == table["predicted_class_id"].to_pylist()
    assert table["photo_id"].to_pylist() == [f"p{row}" for row in range(PHOTOS)]
    assert table["half"].to_pylist() == ["calibration"] * PHOTOS


def test_the_training_side_keeps_neither_halves_nor_distributions(tmp_path: Path, distributions: np.ndarray) -> None:
    path = write(tmp_path / "a.parquet", distributions, sizes=[PHOTOS], keep=False)
    assert pq.read_schema(path).names == [
        "photo_id", "class_id", "predicted_class_id", "probability", "top_class_ids", "top_probabilities",
    ]  # fmt: skip
    with pytest.raises(DataError, match="no column probabilities"):
        StoredProbabilities(path)


def test_duckdb_reads_it(tmp_path: Path, distributions: np.ndarray) -> None:
    path = write(tmp_path / "a.parquet", distributions, sizes=[PHOTOS])
    query = (
        "select count(*), count_if(class_id = predicted_class_id), min(list_sum(probabilities)) from read_parquet($p)"
    )
    (row,) = duckdb.execute(query, {"p": str(path)}).fetchall()
    assert row[:2] == (PHOTOS, int((distributions.argmax(1) == np.arange(PHOTOS) % CLASSES).sum()))
    assert row[2] == pytest.approx(1, abs=0.01)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.data())
def test_any_rows_of_any_batches_are_those_of_the_array(
    drawn: st.DataObject, tmp_path: Path, distributions: np.ndarray
) -> None:
    sizes = drawn.draw(st.lists(st.integers(1, 25), min_size=1, max_size=10).filter(lambda sizes: sum(sizes) <= PHOTOS))
    rows = distributions[: sum(sizes)]
    stored = StoredProbabilities(write(tmp_path / "any.parquet", rows, sizes=sizes))
    assert (stored.shape, stored.dtype, stored.size) == (rows.shape, rows.dtype, rows.size)
    assert stored.largest_group <= (10 + 25) * CLASSES * 2
    first, last = sorted(drawn.draw(st.tuples(st.integers(0, PHOTOS), st.integers(0, PHOTOS))))
    assert np.array_equal(stored[first:last], rows[first:last])
    picked = np.array(drawn.draw(st.lists(st.integers(0, len(rows) - 1), max_size=20)), dtype=np.intp)
    assert np.array_equal(stored[picked], rows[picked])
    mask = np.arange(len(rows)) % 3 == 1
    assert np.array_equal(stored[mask], rows[mask])


def test_the_sums_over_the_tree_are_those_of_the_array(tmp_path: Path, distributions: np.ndarray) -> None:
    tree = Taxonomy.read(write_taxonomy(tmp_path / "taxonomy.parquet", rows_of(BIRDS)))
    stored = StoredProbabilities(write(tmp_path / "a.parquet", distributions, sizes=[13, 40, 7]))
    ours, theirs = candidates(stored, tree), candidates(distributions, tree)
    assert np.array_equal(ours.node_ids, theirs.node_ids)
    assert np.array_equal(ours.probabilities, theirs.probabilities)


def test_threads_read_at_once(tmp_path: Path, distributions: np.ndarray) -> None:
    stored = StoredProbabilities(write(tmp_path / "a.parquet", distributions, sizes=[PHOTOS // 6] * 6))
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda row: stored[row : row + 1], range(PHOTOS)))
    assert np.array_equal(np.concatenate(parts), distributions)


def test_a_file_that_is_not_finished_is_not_there(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="enough"),
        prediction_writer(tmp_path / "a.parquet", classes=4, top=3, distributions=True),
    ):
        raise RuntimeError("enough")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.npy", "a.parquet"])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(DataError, match=name):
        open_probabilities(tmp_path / name)


def test_blank_probabilities_are_refused(tmp_path: Path) -> None:
    column = pa.array([[0.5, 0.5], [0.5, None]], pa.list_(pa.float16(), 2))
    pq.write_table(pa.table({"probabilities": column}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="blank probabilities"):
        StoredProbabilities(tmp_path / "a.parquet")[:]
