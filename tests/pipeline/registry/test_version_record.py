"""A version keeps the configuration that decided, without secrets, and what else it was made with."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ml.spec import TrainResult
from pipeline.config.settings import Settings, load_settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.errors import TableError
from pipeline.provenance.croissant import write_croissant
from pipeline.registry.version_record import VersionRecord, configuration, documents
from tests.pipeline.provenance.described import dataset

TRAINING = cast("TrainResult", SimpleNamespace(hardware="a GPU", seconds=7_800.0))


def reloaded(text: str, folder: Path) -> Settings:
    """The settings of a kept configuration, with a data root."""
    file = folder / "configuration.yaml"
    file.write_text(f"{text}\ndata_root: {folder / 'data'}\n", encoding="utf-8")
    return load_settings(file)


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {
            "source": {"mode": "download", "taxon_keys": ["V2"], "country": "NO", "years": [2015, 2020]},
            "photos": {"licences": ["CC0"], "hosts": {"a.org": {"concurrency": 2}}},
            "split": {"unit": "photo", "seed": 7, "validation": 0.25},
            "specificity": {"target": 0.95},
        },
        {"source": {"dataset_key": "50c9509d-22c7-4a22-a47d-8c48425ef4a7"}},
    ],
)
def test_the_kept_configuration_gives_the_same_settings(
    make_settings: Callable[..., Settings], tmp_path: Path, sections: dict[str, Any]
) -> None:
    settings = make_settings(**sections)
    text, withheld = configuration(settings)
    again = reloaded(text, tmp_path)
    assert withheld == []
    assert again.model_dump() == settings.model_dump()
    # Whether this key was given means something of its own.
    assert ("dataset_key" in again.source.model_fields_set) == ("dataset_key" in settings.source.model_fields_set)
    assert again.photos.hosts == settings.photos.hosts


def test_secrets_addresses_and_persons_are_left_out(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(
        source={"mode": "archive", "archive": "https://me:hush@host.org/a.zip?token=hush"},
        photos={"contact": "mailto:me@host.org"},
        registry={"tracking_uri": "postgresql://me:hush@host.org/db", "model_name": "mine"},
    )
    text, withheld = configuration(settings)
    assert withheld == ["source.archive"]
    assert "hush" not in text
    assert "me@host.org" not in text
    assert str(settings.data_root) not in text
    assert "# Left out, since they may hold a secret: source.archive" in text
    assert "model_name: mine" in text


def test_a_version_keeps_source_snapshot_and_environment(settings: Settings) -> None:
    manifest = dataset(settings)
    kept = documents(settings, manifest, training=TRAINING, reason="the first")
    assert set(kept) == {"configuration", "provenance", "dataset"}, "no dataset is described yet"
    write_croissant(settings.paths, settings, manifest)
    kept = documents(settings, manifest, training=TRAINING, reason="the first")
    assert kept["croissant"].name == "croissant.json"
    assert DatasetManifest.model_validate_json(kept["dataset"].read_bytes()) == manifest
    record = VersionRecord.read(kept["provenance"])
    assert (record.source["key"], record.source["doi"]) == (manifest.download_key, manifest.doi)
    assert (record.seed, record.hardware, record.seconds, record.reason) == (2017, "a GPU", 7_800, "the first")
    assert record.snapshot is None
    assert {"python", "torch", "timm", "mlflow", "duckdb"} <= record.environment.keys()
    assert len({path.name for path in kept.values()}) == len(kept), "MLflow keeps files by their names"


def test_a_damaged_record_is_told(tmp_path: Path) -> None:
    file = tmp_path / "provenance.json"
    file.write_text("{", encoding="utf-8")
    with pytest.raises(TableError, match="cut short or no JSON; the version is damaged"):
        VersionRecord.read(file)
