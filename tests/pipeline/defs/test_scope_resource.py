"""The configuration of a run: the file, what the Launchpad changes, read once and kept for the run."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pytest

from pipeline.commands.run_watch import RUN_TAG
from pipeline.config.licence_names import LICENCES, SETS
from pipeline.config.settings import Settings, load_settings
from pipeline.definitions import defs
from pipeline.defs.scope_resource import ORIGIN_TAG, SCOPE_TAG, PhotoLicence, Scope, origin, record_of
from pipeline.errors import ConfigurationError
from pipeline.launching.pools import PROCESS_TAG
from pipeline.paths import PROJECT_ROOT

FILE = """
name: birds
data_root: {root}
source: {{mode: folder, folder: photos.csv}}
training: {{image_size: 128}}
registry: {{tracking_uri: "{uri}"}}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "birds.yaml"
    path.write_text(FILE.format(root=tmp_path / "data", uri="http://mlflow.test:5000"))
    monkeypatch.setenv("NATUREWATCH_CONFIG", str(path))
    return path


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def run(
    instance: dg.DagsterInstance, *, between: Callable[[], object] = lambda: None, **scope: object
) -> tuple[list[Settings], dg.ExecuteInProcessResult]:
    """Two assets that look at the configuration, one after the other."""
    seen: list[Settings] = []

    @dg.asset
    def first(scope: Scope) -> None:
        seen.append(scope.settings())
        between()

    @dg.asset(deps=[first])
    def second(scope: Scope) -> None:
        seen.append(scope.settings())

    result = dg.materialize(
        [first, second], resources={"scope": Scope()}, instance=instance, raise_on_error=True,
        run_config={"resources": {"scope": {"config": scope}}},
    )  # fmt: skip
    return seen, result


def test_a_file_that_is_edited_while_a_run_works_decides_the_next_run(file: Path, instance: dg.DagsterInstance) -> None:
    def edit() -> None:
        file.write_text(file.read_text().replace("image_size: 128", "image_size: 64"))

    (first, second), _ = run(instance, between=edit)
    assert first == second
    assert first.training.image_size == 128
    (third, _), _ = run(instance)
    assert third.training.image_size == 64


def test_a_file_that_is_broken_meanwhile_does_no_harm(file: Path, instance: dg.DagsterInstance) -> None:
    (first, second), _ = run(instance, between=lambda: file.write_text("name: ["))
    assert first == second


def test_what_the_launchpad_says_decides_and_is_kept_with_the_run(
    file: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NATUREWATCH__TRAINING__IMAGE_SIZE", "96")
    (settings, _), result = run(instance, target=0.95, image_size=224, backbone="resnet18", weights="none")
    assert (settings.specificity.target, settings.training.image_size) == (0.95, 224)
    assert (settings.training.backbone, settings.training.weights) == ("resnet18", "none")
    assert settings.training.recipe == load_settings().training.recipe
    kept = json.loads(record_of(instance, result.run_id).read_text())["settings"]
    assert kept["training"]["image_size"] == 224
    recorded = instance.get_run_by_id(result.run_id)
    assert recorded is not None
    assert recorded.tags[SCOPE_TAG] == "birds"
    assert recorded.tags[ORIGIN_TAG] == "UI"
    assert cast("dict[str, Any]", recorded.run_config)["resources"]["scope"]["config"]["target"] == 0.95


def test_the_launchpad_chooses_taxon_country_years_and_licences(file: Path, instance: dg.DagsterInstance) -> None:
    file.write_text(f"name: birds\ndata_root: {file.parent}/data\nsource: {{mode: download, country: AU}}\n")
    (settings, _), _ = run(instance, taxon_keys=["V2"], country="NZ", years=[2015, 2024], licences=["CC0", "CC_BY_NC"])
    assert settings.source.taxon_keys == ("V2",)
    assert (settings.source.country, settings.source.years) == ("NZ", (2015, 2024))
    assert settings.photos.licences == ("CC0", "CC-BY-NC")
    assert settings.source.mode == "download"


def test_a_licence_that_does_not_exist_is_refused_before_anything_runs(
    file: Path, instance: dg.DagsterInstance
) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match="CC_BX"):
        run(instance, licences=["CC_BX"])


def test_the_launchpad_completes_every_licence() -> None:
    assert {licence.value for licence in PhotoLicence} == {*SETS, *LICENCES}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"dagster/schedule_name": "weekly_refresh"}, "schedule weekly_refresh"),
        ({"dagster/sensor_name": "growth"}, "sensor growth"),
        ({PROCESS_TAG: "process 1 on kea"}, "command"),
        ({RUN_TAG: "run.log"}, "command"),
        ({"dagster/code_location": "naturewatch"}, "UI"),
    ],
)
def test_a_run_says_who_started_it(tags: dict[str, str], expected: str) -> None:
    assert origin(tags) == expected


def test_without_a_word_in_the_launchpad_it_is_what_the_file_and_the_environment_say(
    file: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NATUREWATCH__SPLIT__SEED", "7")
    (settings, _), _ = run(instance)
    assert settings.model_dump() == load_settings().model_dump()
    assert settings.source.model_fields_set == load_settings().source.model_fields_set


@pytest.mark.parametrize("name", ["sample", "nz", "nz-birds", "paper"])
def test_every_scope_that_is_shipped_comes_back_as_it_was_written_down(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("NATUREWATCH_CONFIG", str(PROJECT_ROOT / "conf" / f"{name}.yaml"))
    (_, second), _ = run(instance)
    assert second.model_dump() == load_settings().model_dump()


def test_a_password_is_never_written_down(file: Path, instance: dg.DagsterInstance) -> None:
    file.write_text(FILE.format(root=file.parent / "data", uri="http://me:hush@mlflow.test:5000"))
    (first, second), result = run(instance)
    assert first.tracking_uri == second.tracking_uri == "http://me:hush@mlflow.test:5000"
    record = record_of(instance, result.run_id).read_text()
    assert "hush" not in record
    assert json.loads(record)["withheld"] == ["registry.tracking_uri"]


def test_a_wrong_value_in_the_launchpad_is_named(file: Path, instance: dg.DagsterInstance) -> None:
    with pytest.raises(ConfigurationError, match=r"the Launchpad: training\.image_size is 5: it must be"):
        run(instance, image_size=5)


def test_every_key_of_the_launchpad_is_described() -> None:
    schema = defs.resolve_implicit_global_asset_job_def().run_config_schema.config_type
    scope = schema.fields["resources"].config_type.fields["scope"].config_type.fields["config"].config_type  # type: ignore[attr-defined]
    assert scope.fields.keys() == {
        "config_file", "taxon_keys", "country", "years", "licences", "target",
        "image_size", "backbone", "weights", "recipe",
    }  # fmt: skip
    steps = schema.fields["ops"].config_type.fields  # type: ignore[attr-defined]
    of_steps = {
        name: steps[name].config_type.fields["config"].config_type for name in ("gbif_download", "dataset_page")
    }
    assert of_steps["gbif_download"].fields.keys() == {"max_age_days"}
    assert of_steps["dataset_page"].fields.keys() == {"taxa"}
    for config in (scope, *of_steps.values()):
        for name, field in config.fields.items():
            assert field.description, name
            assert field.default_value is not None, f"{name} is among the defaults that the Launchpad shows"
