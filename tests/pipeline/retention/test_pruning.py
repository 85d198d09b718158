"""Pruning a real data root: what nothing needs goes, and every version that stays can still be loaded."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from mlflow.entities.model_registry import ModelVersion
from mlflow.tracking import MlflowClient

from pipeline.config.settings import Settings
from pipeline.errors import LockedError, RetentionError
from pipeline.files import exclusive
from pipeline.retention.pruning import carry_out, planned
from pipeline.retention.removals import Kind, Plan
from pipeline.tracking import tags
from pipeline.tracking.runs import client
from tests.pipeline.retention.lived_in import (
    MODEL,
    age,
    instance_in,
    lived_in,
    load_version,
    photographs,
    settings_of,
    training_of,
    version_of,
)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """For tests that only plan, and leave it as it was."""
    return lived_in(tmp_path_factory.mktemp("untouched") / "data")


@pytest.fixture(scope="module")
def its_instance(untouched: Settings) -> Iterator[dg.DagsterInstance]:
    with instance_in(untouched.paths.data_root) as found:
        yield found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return lived_in(tmp_path / "data")


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    with instance_in(settings.paths.data_root) as found:
        yield found


@pytest.fixture
def connected(settings: Settings) -> MlflowClient:
    return client(settings)


def numbers(connected: MlflowClient) -> list[str]:
    return sorted(str(version.version) for version in connected.search_model_versions(f"name = '{MODEL}'"))


def model_of(version: ModelVersion) -> str:
    return str(version.source).removeprefix("models:/")


def names(plan: Plan, kind: Kind) -> list[str]:
    return [removal.name for removal in plan.removals if removal.kind is kind]


def everything_below(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def pruned(settings: Settings, instance: dg.DagsterInstance) -> list[str]:
    """Prune, and return what was said."""
    said = list[str]()
    with planned(settings, instance) as plan:
        carry_out(settings, instance, plan, log=said.append)
    return said


def test_what_nothing_needs_goes_and_both_versions_that_stay_can_be_loaded(
    settings: Settings, instance: dg.DagsterInstance, connected: MlflowClient
) -> None:
    paths = settings.paths
    first = connected.get_model_version(MODEL, "1")
    said = pruned(settings, instance)
    assert numbers(connected) == ["2", "3", "4"]
    assert [load_version(settings, alias) for alias in ("champion", "challenger", "2")] == ["3", "4", "2"]
    # Its run, its files, its training, its calibration, its photograph and its download went with version 1.
    assert not [run for run in connected.search_runs(["1"]) if run.info.run_id == first.run_id]
    assert (paths.mlflow_artifacts / "models").exists()
    assert not (paths.mlflow_artifacts / "models" / model_of(first)).exists()
    assert {path.name for path in paths.model("baseline", "x").parent.iterdir()} == set(map(training_of, (2, 3, 4)))
    assert photographs(paths) == {"p2", "p3", "p4"}
    assert {path.name[6] for path in (paths.downloads / "scope").iterdir()} == {"2", "3", "4"}
    assert {folder.name for folder in (paths.exam_answers / "answers").iterdir()} == {"2", "3", "4"}
    # What is owed to others stays.
    assert len(list((paths.data_root / "datasets").iterdir())) == 4
    assert said[0] == "removed 1 model versions"
    # There is nothing left to do.
    with planned(settings, instance) as plan:
        assert (plan.removals, plan.number) == ((), 0)


def test_a_plan_alone_removes_nothing(untouched: Settings, its_instance: dg.DagsterInstance) -> None:
    root = untouched.paths.data_root
    with planned(untouched, its_instance):
        pass
    before = everything_below(root)
    with planned(untouched, its_instance) as plan:
        assert names(plan, Kind.VERSION) == ["1"]
        assert plan.bodies is not None
        assert (plan.bodies.number, plan.bodies.bytes) == (2, 4)
        assert plan.bytes > 4
    assert everything_below(root) == before
    assert {kept.name: kept.reason for kept in plan.kept if kept.name.startswith("version")} == {
        "version 4": "alias challenger",
        "version 3": "alias champion",
        "version 2": "the champion before version 3",
    }


def test_a_tag_a_pin_and_another_registered_model_keep_a_version(
    settings: Settings, instance: dg.DagsterInstance, connected: MlflowClient
) -> None:
    connected.set_model_version_tag(MODEL, "1", tags.KEEP, "a paper cites it")
    with planned(settings, instance) as plan:
        assert not plan.removals
    connected.delete_model_version_tag(MODEL, "1", tags.KEEP)
    connected.set_registered_model_tag(MODEL, tags.PINNED, "1: trusted")
    with planned(settings, instance) as plan:
        assert not plan.removals
    connected.delete_registered_model_tag(MODEL, tags.PINNED)
    connected.create_registered_model("other")
    first = connected.get_model_version(MODEL, "1")
    version_of(connected, model_id=model_of(first), run_id=str(first.run_id), number=1, name="other")
    pruned(settings, instance)
    assert numbers(connected) == ["2", "3", "4"]
    assert Path(connected.get_logged_model(model_of(first)).artifact_location.removeprefix("file://")).is_dir()


def test_who_is_given_an_alias_meanwhile_is_not_removed(
    settings: Settings, instance: dg.DagsterInstance, connected: MlflowClient
) -> None:
    with planned(settings, instance) as plan:
        connected.set_registered_model_alias(MODEL, "favourite", "1")
        with pytest.raises(RetentionError, match=r"version 1 was given an alias.*nothing more is removed"):
            carry_out(settings, instance, plan, log=lambda _: None)
    assert load_version(settings, "favourite") == "1"
    assert photographs(settings.paths) == {"p0", "p1", "p2", "p3", "p4"}


def test_nothing_is_pruned_beside_a_run_or_a_promotion(untouched: Settings, its_instance: dg.DagsterInstance) -> None:
    for lock in (untouched.paths.data_root / ".run.lock", untouched.paths.promotion_lock):
        with (
            exclusive(lock),
            pytest.raises(LockedError, match="is locked by process"),
            planned(untouched, its_instance),
        ):
            pass

    @dg.job
    def long() -> None: ...

    run = its_instance.create_run_for_job(long, status=dg.DagsterRunStatus.STARTED)
    refused = pytest.raises(LockedError, match=r"1 run\(s\) that have not ended: .*\(long, started\)")
    with refused, planned(untouched, its_instance):
        pass
    with planned(untouched, its_instance, run_id=run.run_id) as plan:
        assert names(plan, Kind.VERSION) == ["1"]
    its_instance.delete_run(run.run_id)


def test_a_registry_that_knows_no_version_decides_nothing(
    untouched: Settings, its_instance: dg.DagsterInstance
) -> None:
    elsewhere = untouched.model_copy(
        update={"registry": untouched.registry.model_copy(update={"model_name": "misspelt"})}
    )
    with pytest.raises(RetentionError, match="has no version of 'misspelt'"), planned(elsewhere, its_instance):
        pass


def test_photographs_stay_while_it_is_unknown_who_needs_them(settings: Settings, instance: dg.DagsterInstance) -> None:
    credits_ = settings.paths.dataset_version("2" * 16) / "attribution.parquet"
    credits_.unlink()
    pruned(settings, instance)
    assert photographs(settings.paths) == {"p0", "p1", "p2", "p3", "p4"}
    with planned(settings, instance) as plan:
        assert plan.bodies is None
        (note,) = plan.notes
        assert note.startswith(f"Photographs are left alone: {credits_} is missing, which names the photographs")


def test_a_run_without_its_version_goes_and_a_person_can_keep_a_run(
    settings: Settings, instance: dg.DagsterInstance, connected: MlflowClient
) -> None:
    """As a person leaves it who deletes a version in MLflow's UI."""
    run_id = str(connected.get_model_version(MODEL, "1").run_id)
    connected.delete_model_version(MODEL, "1")
    with planned(settings, instance) as plan:
        assert names(plan, Kind.MLFLOW_RUN) == [run_id]
    connected.set_tag(run_id, tags.KEEP, "")
    with planned(settings, instance) as plan:
        assert not names(plan, Kind.MLFLOW_RUN)


def test_a_training_that_is_released_next_stays_with_all_it_was_made_from(
    untouched: Settings, its_instance: dg.DagsterInstance
) -> None:
    paths = untouched.paths
    with planned(untouched, its_instance) as plan:
        assert names(plan, Kind.TRAINING) == [f"models/baseline/{training_of(1)}"]
    paths.production.write_text(f'{{"spec_hash": "{training_of(1)}"}}', encoding="utf-8")
    with planned(untouched, its_instance) as plan:
        assert not names(plan, Kind.TRAINING)
    paths.production.unlink()


def test_logs_and_features_go_by_their_age(untouched: Settings, its_instance: dg.DagsterInstance) -> None:
    paths = untouched.paths
    files = [paths.features / "old.safetensors", paths.logs / "1.log", paths.logs / "2.log", paths.features / "new.bin"]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text("x", encoding="utf-8")
        age(file) if file is not files[-1] else None
    with planned(untouched, its_instance) as plan:
        assert names(plan, Kind.FEATURES) == ["features/old.safetensors"]
        # The last one says what the last run did, however old it is.
        assert names(plan, Kind.LOG) == ["logs/1.log"]
    patient = settings_of(paths.data_root, feature_days=2000, log_days=2000)
    with planned(patient, its_instance) as plan:
        assert not names(plan, Kind.FEATURES) + names(plan, Kind.LOG)
    assert dataclasses.asdict(plan)["versions"] == {"2", "3", "4"}
