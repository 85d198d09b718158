"""What is known of the champion: its files, wherever they are kept, and how it was trained."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config.settings import Settings
from pipeline.files import sha256_of, write_json
from pipeline.production.choice import Champion
from pipeline.registry.ancestor import LostError, ancestor_of, champion_facts
from pipeline.registry.promotion import champion_of
from pipeline.tracking import tags
from pipeline.tracking.runs import client
from tests.mlflow_stores import empty_store, mlflow_server
from tests.pipeline.trained import dataset, train

Make = Callable[..., Settings]
TAGS = {
    tags.NETWORK: "multi_view", tags.DATA_VERSION: "v1", tags.BACKBONE: "inception_resnet_v2", tags.RECIPE: "paper",
    tags.TRAINING: "t1", tags.HOW: "continued", tags.ANCESTOR: "7", tags.FULL_PHOTOS: "900",
    tags.FIRST_WEIGHTS: "hub", tags.SPEC_HASH: "r1",
}  # fmt: skip


def model(folder: Path, *, image_size: int = 299) -> Path:
    """What MLflow keeps of a version, as far as training goes on from it."""
    files = {"network": "network.json", "weights": "weights.safetensors", "taxonomy": "taxonomy.parquet"}
    (folder / "artifacts").mkdir(parents=True)
    for name in files.values():
        (folder / "artifacts" / name).write_text(json.dumps({"image_size": image_size}))
    described = {name: {"path": f"artifacts/{file}"} for name, file in files.items()}
    flavours = {"python_function": {"artifacts": described}}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavours}))
    return folder


def register(settings: Settings, source: str, *, run_id: str | None = None, **changes: str | None) -> None:
    """Register a version with these files as the champion; a tag that is changed to None is left out."""
    connected, name = client(settings), settings.registry.model_name
    connected.create_registered_model(name)
    said = {tag: value for tag, value in {**TAGS, **changes}.items() if value is not None}
    version = connected.create_model_version(name, source=source, run_id=run_id, tags=said)
    connected.set_registered_model_alias(name, "champion", version.version)


def known(settings: Settings) -> Champion:
    found = champion_facts(settings)
    assert found is not None
    return found


@pytest.fixture
def champion(settings: Settings, tmp_path: Path, with_store: None) -> Path:
    """A champion that was trained as configured; returns the folder of its files."""
    folder = model(tmp_path / "model")
    register(settings, folder.as_uri())
    return folder


@pytest.mark.usefixtures("with_store")
def test_there_may_be_no_champion(settings: Settings) -> None:
    assert champion_facts(settings) is None


def test_what_its_tags_say(settings: Settings, champion: Path) -> None:
    found = known(settings)
    assert (found.version, found.dataset_version, found.network) == ("1", "v1", "multi_view")
    assert (found.training, found.how, found.ancestor) == ("t1", "continued", "7")
    assert (found.full_photos, found.first_weights) == (900, "hub")
    assert (found.lost, found.differs, found.top1) == (None, (), None)
    assert found.files is not None
    assert found.files.weights == champion / "artifacts" / "weights.safetensors"
    assert found.files.identity == "t1"


@pytest.mark.parametrize(
    ("sections", "differs"),
    [
        ({"training": {"image_size": 128}}, "image size 128 instead of 299"),
        ({"training": {"backbone": "resnet18"}}, "backbone resnet18 instead of inception_resnet_v2"),
        ({"training": {"recipe": "sample"}}, "recipe sample instead of paper"),
        ({"training": {"weights": "none"}}, "first weights none instead of hub"),
        ({"refresh": {"network": "baseline"}}, "network baseline instead of multi_view"),
    ],
)
def test_what_is_configured_otherwise_is_named(
    make_settings: Make, champion: Path, sections: dict[str, Any], differs: str
) -> None:
    assert known(make_settings(**sections)).differs == (differs,)


@pytest.mark.usefixtures("champion")
@pytest.mark.parametrize("training", [{"precision": "bf16"}, {"processes": 2}, {"seed": 4}, {"workers": 3}])
def test_how_it_is_computed_makes_no_difference(make_settings: Make, training: dict[str, Any]) -> None:
    assert known(make_settings(training=training)).differs == ()


@pytest.mark.usefixtures("with_store")
def test_a_file_of_recipes_counts_by_what_it_says(make_settings: Make, tmp_path: Path) -> None:
    recipes = [tmp_path / name for name in ("a.yaml", "b.yaml", "c.yaml")]
    for file, text in zip(recipes, ("one", "one", "two"), strict=True):
        file.write_text(f"multi_view: {{name: {text}}}")
    settings = [make_settings(training={"recipe": file}) for file in recipes]
    digest = sha256_of(recipes[0])
    register(
        settings[0], model(tmp_path / "model").as_uri(), **{tags.RECIPE: str(recipes[0]), tags.RECIPE_HASH: digest}
    )
    assert [bool(known(each).differs) for each in settings] == [False, False, True]


@pytest.mark.parametrize("file", ["MLmodel", "artifacts/weights.safetensors", "artifacts/network.json"])
def test_files_that_are_gone_are_told(settings: Settings, champion: Path, file: str) -> None:
    (champion / file).unlink()
    found = known(settings)
    assert found.files is None
    assert str(champion) in (found.lost or "")


def test_a_network_that_cannot_be_read_is_lost(settings: Settings, champion: Path) -> None:
    (champion / "artifacts" / "network.json").write_text("{")
    assert "does not describe a network" in (known(settings).lost or "")


@pytest.mark.usefixtures("with_store")
def test_a_version_of_earlier_code_was_trained_from_nothing_on_its_dataset(settings: Settings, tmp_path: Path) -> None:
    new = (tags.TRAINING, tags.HOW, tags.ANCESTOR, tags.FULL_PHOTOS, tags.FIRST_WEIGHTS)
    register(settings, model(tmp_path / "model").as_uri(), **dict.fromkeys(new))
    found = known(settings)
    assert (found.training, found.how, found.ancestor, found.full_photos) == (None, "full", None, None)
    assert found.files is not None
    assert found.files.identity == "r1"
    write_json(settings.paths.dataset_version("v1") / "dataset.json", {"counts": {"train": 41}})
    assert known(settings).full_photos == 41


@pytest.mark.usefixtures("with_store")
def test_what_its_training_reached_is_known_while_its_files_are_there(settings: Settings, tmp_path: Path) -> None:
    manifest = dataset(settings.paths)
    train(settings, manifest, network="multi_view", seed=settings.training.seed, skill=2)
    (result,) = settings.paths.model("multi_view", "x").parent.glob("*/result.json")
    changes = {tags.TRAINING: result.parent.name, tags.HOW: "adopted", tags.ANCESTOR: None}
    register(settings, model(tmp_path / "model").as_uri(), **changes)
    assert known(settings).top1 == json.loads(result.read_text())["metrics"]["top1"]
    result.unlink()
    assert known(settings).top1 is None


def test_files_in_another_store_are_copied_once(
    make_settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever registry the process has used before."""
    settings = make_settings(registry={"tracking_uri": mlflow_server(), "model_name": "elsewhere", "experiment": "e"})
    connected = client(settings)
    experiment = connected.get_experiment_by_name("e")
    assert experiment is not None
    run = connected.create_run(experiment.experiment_id)
    connected.log_artifacts(run.info.run_id, str(model(tmp_path / "model")), artifact_path="model")
    register(settings, f"{run.info.artifact_uri}/model", run_id=run.info.run_id)
    version = champion_of(settings)
    assert version is not None
    empty_store(tmp_path / "other.db")
    monkeypatch.setattr("mlflow.tracking._model_registry.utils._registry_uri", f"sqlite:///{tmp_path / 'other.db'}")
    found = ancestor_of(settings, version)
    assert found.network.is_relative_to(settings.paths.data_root)
    assert json.loads(found.network.read_text()) == {"image_size": 299}
    before = found.weights.stat().st_mtime_ns
    assert ancestor_of(settings, version).weights.stat().st_mtime_ns == before


@pytest.mark.usefixtures("with_store")
def test_a_version_without_any_file_is_lost(settings: Settings, tmp_path: Path) -> None:
    register(settings, (tmp_path / "nowhere").as_uri())
    version = champion_of(settings)
    assert version is not None
    with pytest.raises(LostError, match="does not describe a model"):
        ancestor_of(settings, version)
