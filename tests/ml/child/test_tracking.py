"""What a child tells MLflow: a name that a person understands, tables that its UI can show."""

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow.tracking import MlflowClient

from ml.child import tracking
from ml.child.tracking import child_run
from ml.spec import TrackingSpec, final_metric
from tests.mlflow_stores import empty_store


@pytest.fixture
def where(tmp_path: Path) -> TrackingSpec:
    store = empty_store(tmp_path / "mlflow.db")
    return TrackingSpec(
        uri=f"sqlite:///{store}", experiment="tests", parent_run_id="f" * 32, stage="multi_view", scope="sample",
        title="two views", tags={"mlflow.note.content": "Two views."},
    )  # fmt: skip


def test_a_run_is_named_by_subject_scope_and_day(where: TrackingSpec) -> None:
    with child_run(where, spec_hash="s1") as first:
        pass
    run = MlflowClient(where.uri).get_run(first.run_id)
    day = dt.datetime.fromtimestamp(run.info.start_time / 1000).astimezone()
    assert run.info.run_name == f"two views: sample {day:%Y-%m-%d}"
    assert run.data.tags["mlflow.note.content"] == "Two views."


def test_a_run_that_is_continued_is_renamed_by_the_day_it_began(where: TrackingSpec) -> None:
    client = MlflowClient(where.uri)
    began = int(dt.datetime(2026, 3, 1, 12).astimezone().timestamp() * 1000)
    tags = {
        "naturewatch.stage": where.stage, "naturewatch.spec_hash": "s1", "mlflow.parentRunId": where.parent_run_id,
    }  # fmt: skip
    experiment = tracking.experiment_id(client, tracking=where)
    earlier = client.create_run(experiment, start_time=began, run_name="multi_view", tags=tags)
    with child_run(where, spec_hash="s1") as again:
        assert again.run_id == earlier.info.run_id
    assert client.get_run(again.run_id).info.run_name == "two views: sample 2026-03-01"


def test_a_small_table_is_stored_as_csv_too(
    where: TrackingSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(pa.table({"taxon": ["Nestor notabilis"], "photos": [3]}), tmp_path / "species.parquet")
    pq.write_table(pa.table({"photos": [1, 2, 3]}), tmp_path / "photos.parquet")
    monkeypatch.setattr(tracking, "CSV_ROWS", 2)
    with child_run(where, spec_hash="s1") as run:
        run.log_table(tmp_path / "species.parquet")
        run.log_table(tmp_path / "photos.parquet")
    client = MlflowClient(where.uri)
    assert {file.path for file in client.list_artifacts(run.run_id)} == {
        "species.parquet", "species.csv", "photos.parquet"
    }  # fmt: skip
    text = Path(client.download_artifacts(run.run_id, "species.csv")).read_text("utf-8")
    assert text == '"taxon","photos"\n"Nestor notabilis",3\n'


def test_numbers_of_a_finished_network_are_grouped() -> None:
    names = ("top1", "train_top1", "specificity_depth", "validation_photos")
    assert [final_metric(name) for name in names] == [
        "final/top1", "final/train/top1", "specificity/depth", "final/validation_photos"
    ]  # fmt: skip
