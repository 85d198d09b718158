"""Names and descriptions in MLflow: of runs by their tags, of what earlier versions made, never over a person's."""

import datetime as dt

import pytest
from mlflow.tracking import MlflowClient

from ml.spec import MODEL_DESCRIPTION
from pipeline.config.settings import Settings
from pipeline.tracking.descriptions import NOTE, description_of, name_of, title_of
from pipeline.tracking.runs import client, describe_store, experiment_id

pytestmark = pytest.mark.usefixtures("with_store")

VERSION = "92a64784a6959a11"
TAGS = {"naturewatch.scope": "sample", "naturewatch.dataset_version": VERSION}
NOON = int(dt.datetime(2026, 11, 26, 12).astimezone().timestamp() * 1000)


@pytest.fixture
def connected(settings: Settings) -> MlflowClient:
    return client(settings)


def earlier_run(settings: Settings, connected: MlflowClient, *, name: str, **tags: str) -> str:
    """A run as it was called before runs had names for people."""
    named = {f"naturewatch.{key}": value for key, value in tags.items()}
    run = connected.create_run(experiment_id(settings, connected), start_time=NOON, run_name=name, tags=TAGS | named)
    return str(run.info.run_id)


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        ({"stage": "dataset"}, "dataset 92a64784: sample 2026-11-26"),
        ({"stage": "multi_view"}, "two views: sample 2026-11-26"),
        ({"stage": "specificity_baseline"}, "specificity of one view (baseline): sample 2026-11-26"),
        ({"stage": "candidate", "network": "multi_view"}, "candidate, two views: sample 2026-11-26"),
        ({"stage": "comparison"}, "comparison: sample 2026-11-26"),
    ],
)
def test_runs_are_named_by_subject_scope_and_day(tags: dict[str, str], name: str) -> None:
    assert name_of(TAGS | {f"naturewatch.{key}": value for key, value in tags.items()}, started_ms=NOON) == name


@pytest.mark.parametrize("stage", ["dataset", "baseline", "specificity_multi_view", "comparison", "candidate"])
def test_a_description_says_which_data_and_where_the_report_is(stage: str) -> None:
    words = description_of(stage, TAGS)
    assert f"`{VERSION}` of the scope **sample**" in words
    assert "tab *Artifacts*" in words
    if stage.startswith("specificity_"):
        assert title_of("multi_view") in words


def test_a_network_that_went_on_from_a_version_says_from_which() -> None:
    tags = TAGS | {"naturewatch.network": "multi_view", "naturewatch.ancestor": "3"}
    began = f"trained on dataset version `{VERSION}` of the scope **sample**, going on from version 3 of the registered"
    assert description_of("production", tags).startswith(f"The network *two views*, {began} model.")
    assert "the network *two views* may be" in description_of("specificity_production", tags)


def test_experiment_and_model_say_what_they_are(settings: Settings, connected: MlflowClient) -> None:
    connected.create_registered_model(settings.registry.model_name)
    describe_store(settings, connected)
    assert "Datasets of NatureWatch" in connected.get_experiment(experiment_id(settings, connected)).tags[NOTE]
    default = connected.get_experiment_by_name("Default")
    assert default is not None
    assert "leaves it empty. Its runs are in *naturewatch*" in default.tags[NOTE]
    assert connected.get_registered_model(settings.registry.model_name).description == MODEL_DESCRIPTION


def test_what_a_person_wrote_stays(settings: Settings, connected: MlflowClient) -> None:
    own, name = experiment_id(settings, connected), settings.registry.model_name
    connected.set_experiment_tag(own, NOTE, "ours")
    connected.create_registered_model(name, description="ours")
    named = earlier_run(settings, connected, name="my run", stage="baseline")
    noted = earlier_run(settings, connected, name="baseline", stage="baseline")
    connected.set_tag(noted, NOTE, "ours")
    connected.set_tag(noted, "mlflow.runName", "ours, too")
    describe_store(settings, connected)
    assert connected.get_experiment(own).tags[NOTE] == "ours"
    assert connected.get_registered_model(name).description == "ours"
    assert connected.get_run(named).info.run_name == "my run"
    assert connected.get_run(noted).data.tags[NOTE] == "ours"
    assert connected.get_run(noted).info.run_name == "ours, too"


def test_runs_of_earlier_versions_get_name_and_description(settings: Settings, connected: MlflowClient) -> None:
    network = earlier_run(settings, connected, name="knowledge_transfer", stage="knowledge_transfer")
    dataset = earlier_run(settings, connected, name="dataset 92a64784", stage="dataset")
    others = connected.create_run(experiment_id(settings, connected), run_name="baseline").info.run_id
    describe_store(settings, connected)
    run = connected.get_run(network)
    assert run.info.run_name == run.data.tags["mlflow.runName"] == "two views, knowledge transfer: sample 2026-11-26"
    assert run.data.tags[NOTE] == description_of("knowledge_transfer", TAGS)
    assert connected.get_run(dataset).info.run_name == "dataset 92a64784: sample 2026-11-26"
    assert connected.get_run(others).info.run_name == "baseline", "it is not NatureWatch's"
