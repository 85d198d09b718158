"""A training that goes on from the champion: what it is given, and what decides its outcome."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ml.spec import RESULT_FILE
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.launching.specs import calibrate_hash, calibrate_spec, train_hash
from pipeline.production import production_specs
from pipeline.production.production_specs import (
    Ancestor,
    calibration_spec,
    continued_spec,
    full_specs,
    is_calibrated,
    is_trained,
    production_calibration,
)
from tests.ml.specificity_fixtures import BIRDS, rows_of, write_taxonomy
from tests.pipeline import tiny
from tests.pipeline.trained import adopted, dataset, train

Make = Callable[..., Settings]
pytestmark = pytest.mark.usefixtures("with_store")


@pytest.fixture
def manifest(settings: Settings) -> DatasetManifest:
    made = dataset(settings.paths)
    tiny.write(settings.paths, "clean_occurrences", [])
    return made


@pytest.fixture
def ancestor(settings: Settings, manifest: DatasetManifest, tmp_path: Path) -> Ancestor:
    """A champion with the species of the present dataset."""
    taxonomy = Path(shutil.copy(settings.paths.table("taxonomy"), tmp_path / "champion.parquet"))
    return Ancestor(
        version="3", network=tmp_path / "network.json", weights=tmp_path / "weights", taxonomy=taxonomy, identity="t3"
    )


def spec_hash(settings: Settings, manifest: DatasetManifest, ancestor: Ancestor, **changes: Any) -> str:  # noqa: ANN401
    asked = {"network": "multi_view", "ancestor": ancestor, "tags": {}, "workers": None, **changes}
    return continued_spec(settings, manifest, **asked).spec_hash


def test_it_is_given_the_champions_files_and_the_way_of_its_classes(
    settings: Settings, manifest: DatasetManifest, ancestor: Ancestor
) -> None:
    spec = continued_spec(
        settings, manifest, network="knowledge_transfer", ancestor=ancestor, tags={"a": "b"}, workers=2
    )
    assert spec.warm_start is not None
    assert (spec.warm_start.network, spec.warm_start.weights) == (ancestor.network, ancestor.weights)
    assert spec.warm_start.taxonomy == ancestor.taxonomy
    assert (spec.parent, spec.rare_photos, spec.rank) == (None, None, None)
    assert (spec.network, spec.workers) == ("knowledge_transfer", 2)
    assert spec.output == settings.paths.model("production", spec.spec_hash)
    moves = tiny.read(spec.warm_start.class_map)
    assert [(move["old_class_id"], move["new_class_id"], move["change"]) for move in moves] == [
        (row, row, "same") for row in range(4)
    ]
    assert spec.tracking is not None
    assert spec.tracking.stage == "production"
    assert spec.tracking.title == "two views, knowledge transfer, continued from version 3"
    told = {"naturewatch.how": "continued", "naturewatch.ancestor": "3", "a": "b"}
    assert told.items() <= spec.tracking.tags.items()


def test_what_decides_its_outcome_is_in_its_hash(
    make_settings: Make, settings: Settings, manifest: DatasetManifest, ancestor: Ancestor,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    first = spec_hash(settings, manifest, ancestor)
    assert spec_hash(settings, manifest, ancestor, workers=4) == first
    assert spec_hash(settings, manifest, dataclasses.replace(ancestor, version="4")) == first
    assert spec_hash(make_settings(training={"repeats": 3, "workers": 1}), manifest, ancestor) == first
    fewer = write_taxonomy(tmp_path / "fewer.parquet", rows_of({"Animalia": BIRDS["Animalia"]}))
    others = [
        spec_hash(settings, manifest, dataclasses.replace(ancestor, identity="t4")),
        spec_hash(settings, manifest, dataclasses.replace(ancestor, taxonomy=fewer)),
        spec_hash(settings, manifest, ancestor, network="baseline"),
        spec_hash(settings, manifest.model_copy(update={"dataset_version": "v2"}), ancestor),
        spec_hash(make_settings(training={"precision": "bf16"}), manifest, ancestor),
        spec_hash(make_settings(training={"recipe": "sample"}), manifest, ancestor),
        spec_hash(make_settings(training={"seed": 1}), manifest, ancestor),
        train_hash(settings, manifest, network="multi_view"),
    ]
    monkeypatch.setattr(production_specs, "CONTINUING_CODE", "0")
    others.append(spec_hash(settings, manifest, ancestor))
    assert len({first, *others}) == 10


def test_from_nothing_it_is_the_training_of_research_with_its_stages(
    settings: Settings, manifest: DatasetManifest
) -> None:
    genera, species = full_specs(settings, manifest, network="knowledge_transfer", tags={}, workers=None)
    assert (genera.network, species.network) == ("genus_stage", "knowledge_transfer")
    assert species.parent == genera.output / RESULT_FILE
    assert species.spec_hash == train_hash(settings, manifest, network="knowledge_transfer")
    (alone,) = full_specs(settings, manifest, network="multi_view", tags={}, workers=None)
    assert alone.output == settings.paths.model("multi_view", train_hash(settings, manifest, network="multi_view"))


def test_an_adopted_training_has_the_calibration_of_research(settings: Settings, manifest: DatasetManifest) -> None:
    train(settings, manifest, network="baseline", seed=settings.training.seed, skill=2)
    record = adopted(settings, manifest, network="baseline")
    assert calibration_spec(settings, manifest, record, tags={}) == calibrate_spec(
        settings, manifest, network="baseline", tags={}
    )
    assert production_calibration(settings, record).target == settings.specificity.target
    continued = record.model_copy(update={"how": "continued", "ancestor": "3"})
    spec = calibration_spec(settings, manifest, continued, tags={})
    digest = calibrate_hash(settings, manifest, network="baseline")
    assert spec.output == settings.paths.evaluation("production", digest)
    assert spec.tracking is not None
    assert spec.tracking.stage == "specificity_production"


def test_what_has_come_to_its_end_needs_no_process(settings: Settings, manifest: DatasetManifest) -> None:
    record = adopted(settings, manifest, network="baseline")
    (spec,) = full_specs(settings, manifest, network="baseline", tags={}, workers=None)
    assert not is_trained(spec)
    train(settings, manifest, network="baseline", seed=settings.training.seed, skill=2)
    assert not is_trained(spec), "its weights are not there"
    (spec.output / "weights.safetensors").touch()
    assert is_trained(spec)
    calibration = calibration_spec(settings, manifest, record, tags={})
    assert is_calibrated(calibration)
    production_calibration(settings, record).curve.unlink()
    assert not is_calibrated(calibration)
    (calibration.output / RESULT_FILE).write_text("{}")
    assert not is_calibrated(calibration)
