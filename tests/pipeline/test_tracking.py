"""One parent run per dataset version, found by its tag, with the data facts."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config import Settings
from pipeline.dataset.manifest import TABLES, DatasetManifest
from pipeline.tracking import client, dataset_run, experiment_id, run_url, tracking_spec


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


def test_the_facts_are_logged_once_and_the_run_is_found_again(settings: Settings, manifest: DatasetManifest) -> None:
    first = dataset_run(settings, manifest, tags={"dagster.run_id": "one"}, figures={"sheet.png": b"png"})
    second = dataset_run(settings, manifest, tags={"dagster.run_id": "two"})
    assert first == second
    connected = client(settings)
    run = connected.get_run(first)
    assert run.data.metrics == {"occurrences": 10, "species": 2, "rejected/clean_occurrences/hybrid": 3}
    assert run.data.tags["gbif.doi"] == "10.15468/dl.test"
    assert run.data.tags["gbif.download_key"] == "0000001-1"
    assert run.data.tags["naturewatch.source"] == "GBIF.org (2026)"
    assert run.data.tags["naturewatch.split_hash"] == "s1"
    assert run.data.tags["dagster.run_id"] == "two"
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
    connected = client(settings)
    assert run_url(settings, spec.parent_run_id).endswith(
        f"/#/experiments/{experiment_id(settings, connected)}/runs/{spec.parent_run_id}"
    )
