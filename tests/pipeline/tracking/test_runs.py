"""One parent run per dataset version, found by its tag, with the data facts."""

import re
import shutil
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow.tracking import MlflowClient

from ml.spec import MLFLOW_DEFAULTS
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import TABLES, DatasetManifest
from pipeline.errors import RegistryError, TrackingError
from pipeline.tracking.runs import client, comparison_run, dataset_run, experiment_id, log_files, tracking_spec
from tests.mlflow_stores import forget_artifacts, mlflow_server

pytestmark = pytest.mark.usefixtures("with_store")


@pytest.fixture
def manifest(settings: Settings) -> DatasetManifest:
    settings.paths.tables.mkdir(parents=True)
    for name in TABLES:
        pq.write_table(pa.table({"name": [name]}), settings.paths.table(name))
    return DatasetManifest(
        scope="test",
        dataset_version="v1",
        split_hash="s1",
        taxonomy_hash="t1",
        table_hashes={name: f"{name}-hash" for name in TABLES},
        counts={"occurrences": 10, "species": 2},
        rejections={"clean_occurrences": {"hybrid": 3}},
        download_key="0000001-1",
        doi="10.15468/dl.test",
        citation="GBIF.org (2026)",
        checklist_key="7ddf754f",
    )


def picture(settings: Settings, name: str) -> Path:
    """A file to log."""
    file = settings.data_root / name
    file.write_bytes(b"png")
    return file


def test_the_facts_are_logged_once_and_the_run_is_found_again(settings: Settings, manifest: DatasetManifest) -> None:
    first = dataset_run(settings, manifest, tags={"dagster.run_id": "one"})
    log_files(settings, first, {"figures/sheet.png": picture(settings, "sheet.png")})
    second = dataset_run(settings, manifest, tags={"dagster.run_id": "two"})
    assert first == second
    connected = client(settings)
    run = connected.get_run(first)
    assert run.data.metrics == {"count/occurrences": 10, "count/species": 2, "rejected/clean_occurrences/hybrid": 3}
    assert run.data.tags["gbif.doi"] == "10.15468/dl.test"
    assert run.data.tags["gbif.download_key"] == "0000001-1"
    assert run.data.tags["naturewatch.source"] == "GBIF.org (2026)"
    assert run.data.tags["naturewatch.split_hash"] == "s1"
    assert run.data.tags["dagster.run_id"] == "two"
    assert re.fullmatch(r"dataset v1: test \d{4}-\d\d-\d\d", run.info.run_name)
    assert "`v1` of the scope **test**" in run.data.tags["mlflow.note.content"]
    assert run.inputs is not None
    assert {entry.dataset.name for entry in run.inputs.dataset_inputs} == set(TABLES)
    assert {file.path for file in connected.list_artifacts(first)} == {"dataset.json", "figures", "tables"}


def test_another_version_gets_a_run_of_its_own(settings: Settings, manifest: DatasetManifest) -> None:
    first = dataset_run(settings, manifest, tags={})
    second = dataset_run(settings, manifest.model_copy(update={"dataset_version": "v2"}), tags={})
    assert first != second


def test_children_are_told_their_parent(settings: Settings, manifest: DatasetManifest) -> None:
    spec = tracking_spec(settings, manifest, stage="baseline", tags={"dagster.run_id": "one"})
    assert spec.parent_run_id == dataset_run(settings, manifest, tags={})
    assert spec.tags["naturewatch.dataset_version"] == "v1"
    assert (spec.scope, spec.title) == ("test", "one view (baseline)")
    assert "one view (baseline)" in spec.tags["mlflow.note.content"]


def logged(settings: Settings, run_id: str) -> tuple[object, ...]:
    """All that the parent run tells of its dataset."""
    connected = client(settings)
    run = connected.get_run(run_id)
    assert run.inputs is not None
    tables = {file.path for file in connected.list_artifacts(run_id, "tables")}
    inputs = sorted(entry.dataset.name for entry in run.inputs.dataset_inputs)
    return run.data.metrics, run.data.params, run.data.tags, inputs, tables, run.info.status


STEPS = ("log_batch", "log_dict", "log_inputs", "log_artifact", "set_terminated")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("call", [1, 2])
def test_a_run_that_was_killed_while_it_was_filled_is_filled_by_the_next(
    settings: Settings, manifest: DatasetManifest, monkeypatch: pytest.MonkeyPatch, step: str, call: int
) -> None:
    """Killed before the first or the second call of each kind, whatever was written before."""
    original, calls = getattr(MlflowClient, step), 0

    def killed(self: MlflowClient, *args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        if calls >= call:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, step, killed)
        if call == 2 and step in {"log_batch", "log_dict", "set_terminated"}:  # called once
            dataset_run(settings, manifest, tags={})
        else:
            with pytest.raises(KeyboardInterrupt):
                dataset_run(settings, manifest, tags={})
    run_id = dataset_run(settings, manifest, tags={})
    metrics, params, tags, inputs, tables, status = logged(settings, run_id)
    assert metrics == {"count/occurrences": 10, "count/species": 2, "rejected/clean_occurrences/hybrid": 3}
    assert params == {
        "split_unit": "observation", "split_seed": "2017", "min_images": "5", "unusual_taxonomy": "placeholder"
    }  # fmt: skip
    assert isinstance(tags, dict)
    assert tags["gbif.doi"] == "10.15468/dl.test"
    assert inputs == sorted(TABLES)
    assert tables == {f"tables/{name}.{kind}" for name in TABLES for kind in ("parquet", "csv")}
    assert status == "FINISHED"
    assert len(client(settings).search_runs([experiment_id(settings, client(settings))])) == 1


def test_stages_that_begin_together_share_one_parent(settings: Settings, manifest: DatasetManifest) -> None:
    together = threading.Barrier(3)

    def begin(_: int) -> str:
        together.wait()
        return dataset_run(settings, manifest, tags={})

    with ThreadPoolExecutor(3) as pool:
        assert len(set(pool.map(begin, range(3)))) == 1


def test_a_comparison_that_was_killed_is_ended_by_the_next(
    settings: Settings, manifest: DatasetManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def log() -> str:
        return comparison_run(settings, manifest, version="c1", metrics={"top1": 0.5}, files=[], tags={})

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    dataset_run(settings, manifest, tags={})
    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "log_batch", killed)
        with pytest.raises(KeyboardInterrupt):
            log()
    run = client(settings).get_run(log())
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"top1": 0.5})


def test_a_data_root_that_was_moved_logs_where_it_is_now(
    make_settings: Callable[..., Settings], settings: Settings, manifest: DatasetManifest
) -> None:
    before = dataset_run(settings, manifest, tags={})
    log_files(settings, before, {"figures/one.png": picture(settings, "one.png")})
    moved = settings.data_root.with_name("moved")
    settings.data_root.rename(moved)
    forget_artifacts()
    there = make_settings(data_root=moved)
    assert dataset_run(there, manifest, tags={}) == before
    log_files(there, before, {"figures/two.png": picture(there, "two.png")})
    dataset_run(there, manifest.model_copy(update={"dataset_version": "v2"}), tags={})
    assert {file.path for file in client(there).list_artifacts(before, "figures")} == {
        "figures/one.png", "figures/two.png"
    }  # fmt: skip
    assert not settings.data_root.exists()


def test_what_is_logged_in_a_copied_data_root_stays_in_the_copy(
    make_settings: Callable[..., Settings], settings: Settings, manifest: DatasetManifest
) -> None:
    def contents(folder: Path) -> dict[str, bytes]:
        return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    run_id = dataset_run(settings, manifest, tags={})
    log_files(settings, run_id, {"figures/one.png": picture(settings, "one.png")})
    page = picture(settings, "index.html")
    log_files(settings, run_id, {"dataset/index.html": page})
    before = contents(settings.paths.mlflow_artifacts)
    there = make_settings(data_root=shutil.copytree(settings.data_root, settings.data_root.with_name("copy")))
    forget_artifacts()
    page.write_bytes(b"newer")
    log_files(there, run_id, {"dataset/index.html": page})
    log_files(there, dataset_run(there, manifest, tags={}), {"figures/two.png": picture(there, "two.png")})
    assert contents(settings.paths.mlflow_artifacts) == before
    copied = contents(there.paths.mlflow_artifacts)
    assert copied[f"{run_id}/artifacts/dataset/index.html"] == b"newer"
    assert {name for name in copied if name.endswith(".png")} == {
        f"{run_id}/artifacts/figures/{name}.png" for name in ("one", "two")
    }


def test_tables_are_named_by_their_place_in_the_data_root(settings: Settings, manifest: DatasetManifest) -> None:
    run = client(settings).get_run(dataset_run(settings, manifest, tags={}))
    assert run.inputs is not None
    assert {entry.dataset.source for entry in run.inputs.dataset_inputs} == {
        f'{{"uri": "tables/{name}.parquet"}}' for name in TABLES
    }


def test_a_server_keeps_runs_and_artifacts(
    make_settings: Callable[..., Settings], settings: Settings, manifest: DatasetManifest
) -> None:
    there = make_settings(registry={"tracking_uri": mlflow_server(), "experiment": "of test_tracking"})
    run_id = dataset_run(there, manifest, tags={"dagster.run_id": "one"})
    log_files(there, run_id, {"figures/sheet.png": picture(settings, "sheet.png")})
    assert dataset_run(there, manifest, tags={}) == run_id
    _, _, tags, inputs, tables, status = logged(there, run_id)
    assert isinstance(tags, dict)
    assert tags["dagster.run_id"] == "one"
    assert inputs == sorted(TABLES)
    assert tables == {f"tables/{name}.{kind}" for name in TABLES for kind in ("parquet", "csv")}
    assert status == "FINISHED"
    assert str(client(there).get_run(run_id).info.artifact_uri).startswith("mlflow-artifacts:/")
    assert not settings.paths.mlflow_artifacts.exists()


def test_files_are_logged_where_and_under_the_name_that_they_are_given(
    settings: Settings, manifest: DatasetManifest
) -> None:
    run_id, connected = dataset_run(settings, manifest, tags={}), client(settings)
    page = picture(settings, "page.html")
    log_files(settings, run_id, {"dataset/index.html": page, "page.html": page})
    page.write_bytes(b"newer")
    log_files(settings, run_id, {"dataset/index.html": page})
    assert {file.path for file in connected.list_artifacts(run_id, "dataset")} == {"dataset/index.html"}
    assert Path(connected.download_artifacts(run_id, "dataset/index.html")).read_bytes() == b"newer"
    assert Path(connected.download_artifacts(run_id, "page.html")).read_bytes() == b"png"


def test_of_files_one_of_which_is_missing_none_is_logged(settings: Settings, manifest: DatasetManifest) -> None:
    run_id = dataset_run(settings, manifest, tags={})
    with pytest.raises(FileNotFoundError, match=r"missing: .*gone\.png"):
        log_files(settings, run_id, {"a.png": picture(settings, "a.png"), "b.png": settings.data_root / "gone.png"})
    assert "a.png" not in {file.path for file in client(settings).list_artifacts(run_id)}


def test_a_deleted_experiment_is_told_with_what_to_do(settings: Settings) -> None:
    connected = client(settings)
    connected.delete_experiment(experiment_id(settings, connected))
    with pytest.raises(TrackingError, match="was deleted: restore it with `mlflow experiments restore"):
        client(settings)


def test_a_server_that_is_down_is_named_at_once_and_without_its_password(
    make_settings: Callable[..., Settings],
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        port = taken.getsockname()[1]
        settings = make_settings(registry={"tracking_uri": f"http://kea:secret@127.0.0.1:{port}"})
        with pytest.raises(RegistryError, match=f"the MLflow server at 127.0.0.1:{port} cannot be reached") as caught:
            client(settings)
    assert "secret" not in str(caught.value)
    assert int(MLFLOW_DEFAULTS["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]) < 7
