"""The dataset of a version is built again from its download, equal to the last photograph, or what differs is told."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from demo.folder import COLUMNS
from pipeline.commands import cli
from pipeline.config.settings import Settings, load_settings
from pipeline.dataset.attribution import build_attribution, keep_attribution
from pipeline.dataset.clean import build_clean_occurrences
from pipeline.dataset.manifest import DatasetManifest, build_manifest
from pipeline.dataset.species import build_species
from pipeline.dataset.split import build_genus_photos, build_split
from pipeline.dataset.taxonomy import build_taxonomy
from pipeline.errors import ConfigurationError
from pipeline.fetching.fetch import fetch_photos
from pipeline.gbif.client import Api
from pipeline.gbif.occurrences import build_occurrences
from pipeline.gbif.source import fetch_source
from pipeline.launching.replica import ACCOUNT, running_replica
from pipeline.paths import Paths
from pipeline.photos.index import build_photo_index
from pipeline.provenance import rebuild as rebuilding
from pipeline.provenance.account import Account, account
from pipeline.provenance.rebuild import rebuild
from pipeline.provenance.rebuilt import compare
from pipeline.rejections import gather_rejections
from pipeline.tracking.runs import client
from tests.pipeline.provenance.described import VERSION, dataset
from tests.pipeline.provenance.registered import register, scope_file
from tests.pipeline.tiny import photo, read, write

pytestmark = pytest.mark.usefixtures("with_store")

GULLS = ("Larus dominicanus", "Larus bulleri")


@pytest.fixture
def scope(make_settings: Callable[..., Settings], tmp_path: Path) -> Settings:
    """Twelve photographs of two species, which the embedded GBIF serves."""
    lines = [",".join(COLUMNS)]
    for number in range(12):
        noise = np.random.default_rng(number).integers(0, 255, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{number}.jpg")
        row = {"path": f"{number}.jpg", "kingdom": "Animalia", "phylum": "Chordata", "class": "Aves",
               "order": "Charadriiformes", "family": "Laridae", "genus": "Larus", "species": GULLS[number % 2],
               "licence": "CC0"}  # fmt: skip
        lines.append(",".join(row.get(column, "") for column in COLUMNS))
    (tmp_path / "gulls.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    replica = {"photos": str(tmp_path / "gulls.csv")}
    return make_settings(
        source={"mode": "replica", "replica": replica}, photos={"requests_per_second": 2000}, split={"min_images": 2}
    )


def build(settings: Settings) -> tuple[DatasetManifest, list[str]]:
    """The assets of the groups ingest and dataset up to the manifest, one after the other, and what the fetch said."""
    paths, said = settings.paths, list[str]()
    with running_replica(settings) as replica:
        api = Api(replica.api_url, credentials=ACCOUNT, poll_seconds=(0.1, 0.2))
        fetch_source(settings, api=api, log=said.append)
        build_occurrences(paths, settings)
        build_clean_occurrences(paths, settings)
        build_photo_index(paths, settings)
        fetch_photos(paths, settings, hosts=replica.hosts, log=said.append)
    for step in (build_species, build_taxonomy, build_split, build_genus_photos):
        step(paths, settings)
    build_attribution(paths)
    gather_rejections(paths)
    # Packing photographs decides nothing about the dataset version.
    write(paths, "leakage", [])
    manifest = build_manifest(paths, settings)
    keep_attribution(paths, version=manifest.dataset_version)
    return manifest, said


def known(settings: Settings, manifest: DatasetManifest, folder: Path) -> Account:
    version = register(settings, manifest)
    return account(settings, client(settings), version, scratch=folder)


def test_the_replicas_dataset_is_rebuilt_with_and_without_what_the_data_root_holds(
    scope: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, said = build(scope)
    assert any("12 of 12 photographs are to be fetched" in line for line in said)
    version = known(scope, manifest, tmp_path)
    told: list[str] = []

    def run(_settings: Settings, _account: Account, file: Path) -> None:
        told.extend(build(load_settings(file))[1])

    monkeypatch.setattr(rebuilding, "_run", run)
    outcome = rebuild(scope, version, folder=tmp_path / "again", say=told.append)
    assert outcome.equal, outcome.lines()
    assert outcome.lines()[0].startswith("Equal: the rebuilt dataset is")
    assert any("0 of 12 photographs are to be fetched" in line for line in told), "bodies are used again"
    assert any("which was fetched and verified before" in line for line in told), "and so is the archive"
    assert any(f"made with the code {'9' * 40}" in line for line in told)
    values = yaml.safe_load((tmp_path / "again" / "configuration.yaml").read_text(encoding="utf-8"))
    assert values["source"]["download_key"] == manifest.download_key
    assert not {"taxon_keys", "country", "years", "licences"} & values["source"].keys()
    for folder in (scope.paths.photos, scope.paths.attempts):
        shutil.rmtree(folder)
    for archive in scope.paths.downloads.rglob("*.zip"):
        archive.unlink()
    told.clear()
    outcome = rebuild(scope, version, folder=tmp_path / "anew", say=told.append)
    assert outcome.equal, outcome.lines()
    assert any("is not here any more: GBIF is asked for it" in line for line in told)
    assert any("12 of 12 photographs are to be fetched" in line for line in told)


def test_what_differs_is_named_with_its_reason(settings: Settings) -> None:
    manifest = dataset(settings)
    kept = settings.paths.dataset_version(VERSION)
    built = Paths(data_root=settings.data_root / "built")
    for name in ("attribution", "split"):
        rows = read(settings.paths.table(name))
        for row in rows:
            if row["photo_id"] == "p0":
                row.update({"species": "Turdus philomelos"} if name == "attribution" else {"split": "validation"})
            if row["photo_id"] == "p1" and name == "split":
                row["path"] = "photos/other.jpg"
        left = [row for row in rows if row["photo_id"] not in {"p2", "p3"}]
        write(built, name, [*left, {**left[-1], "photo_id": "p9"}] if name == "attribution" else left)
    write(built, "photos", [photo("p2", of="2", status="gone"), photo("p0", of="0"), photo("p1", of="1")])
    hashes = {**manifest.table_hashes, "split": "another"}
    found = manifest.model_copy(update={"dataset_version": "f" * 16, "table_hashes": hashes})
    outcome = compare(
        expected=VERSION, known=manifest, before=kept / "attribution.parquet", before_split=kept / "split.parquet",
        built=built, manifest=found,
    )  # fmt: skip
    assert not outcome.equal
    assert {(row["kind"], row["reason"], *row["examples"]) for row in outcome.differences} == {
        ("gone", "its address answers: gone", "p2"),
        ("gone", "its record is not in the index any more", "p3"),
        ("new", "it was not in the version", "p9"),
        ("another species", "Turdus merula is Turdus philomelos", "p0"),
        ("another side", "train is validation", "p0"),
        ("another picture", "its address gives other bytes", "p1"),
    }
    assert outcome.tables == ("split",)
    assert outcome.lines()[0] == f"Different: the rebuilt dataset is {'f' * 16}, not {VERSION}."
    assert "  gone: 1 photograph, its address answers: gone (for instance p2)" in outcome.lines()
    assert json.loads(json.dumps(outcome.json()))["equal"] is False
    earlier = compare(
        expected=VERSION,
        known=None,
        before=kept / "attribution.parquet",
        before_split=None,
        built=built,
        manifest=found,
    )
    assert {row["kind"] for row in earlier.differences} == {"gone", "new", "another species"}


def test_the_secret_of_an_address_goes_to_the_run_and_not_into_its_file(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    address = "https://me:hush@host.org/a.zip?token=hush"
    settings = make_settings(source={"mode": "archive", "archive": address})
    version = known(settings, dataset(settings, mode="archive", key="k"), tmp_path)
    file = rebuilding.prepare(settings, version, folder=tmp_path / "again", say=print)
    assert "hush" not in file.read_text(encoding="utf-8")
    given = {"NATUREWATCH__DATA_ROOT": "elsewhere", "DAGSTER_HOME": "elsewhere", "PATH": "kept"}
    environment = rebuilding._environment(settings, version, given)
    assert environment["NATUREWATCH__SOURCE__ARCHIVE"] == address
    assert "NATUREWATCH__DATA_ROOT" not in environment
    assert "DAGSTER_HOME" not in environment
    assert environment["PATH"] == "kept"


def test_a_folder_with_other_things_is_left_alone(settings: Settings, tmp_path: Path) -> None:
    version = known(settings, dataset(settings, mode="search", key="s"), tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.doc").touch()
    with pytest.raises(ConfigurationError, match="is not empty; name a new folder"):
        rebuild(settings, version, folder=other, say=print)


def test_a_run_that_fails_is_told(
    make_settings: Callable[..., Settings], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The command itself: a file that the version's configuration names is gone."""
    crosswalk = tmp_path / "crosswalk.csv"
    crosswalk.touch()
    settings = make_settings(taxonomy={"crosswalk": str(crosswalk)})
    register(settings, dataset(settings, mode="archive", key="k"))
    crosswalk.unlink()
    present = scope_file(make_settings(), tmp_path)
    command = ["provenance", "1", "--rebuild", str(tmp_path / "again"), "--config", str(present)]
    assert cli.main(command) == 1
    said = capfd.readouterr().err
    assert f"there is no file {crosswalk}" in said
    assert "the dataset was not rebuilt: its run ended with status 1" in said
