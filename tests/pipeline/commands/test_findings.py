"""Each asset's sentence has its numbers and units, from the files of the scope; a broken file ends nothing."""

import re

import pyarrow as pa
import pytest

from pipeline.commands.findings import SENTENCES, bytes_in_words, finding, finding_or_nothing
from pipeline.comparison.networks import NETWORKS
from pipeline.comparison.wording import counted
from pipeline.config.settings import Settings
from pipeline.definitions import defs
from pipeline.files import write_json
from pipeline.history.snapshots import Snapshot
from pipeline.rejections import write_rejections
from tests.pipeline.tiny import occurrence, photo, species
from tests.pipeline.tiny import write as write_table
from tests.pipeline.trained import adopted, dataset, train


def rejected(settings: Settings, stage: str, number: int) -> None:
    lines = {name: [f"{name}{row}" for row in range(number)] for name in ("key", "rule", "detail")}
    write_rejections(settings.paths, stage, pa.table(lines, schema=pa.schema([(name, pa.string()) for name in lines])))


@pytest.fixture
def scope(settings: Settings) -> Settings:
    """Three records of two species, with three photographs of them, one of which is gone."""
    paths = settings.paths
    records = [occurrence("1"), occurrence("2"), occurrence("3", species_key="9", species="Turdus philomelos")]
    for name in ("occurrences", "clean_occurrences"):
        write_table(paths, name, records)
    photographs = [photo("a", of="1"), photo("b", of="2"), photo("c", of="2", status="gone")]
    write_table(paths, "photos", photographs)
    index = ("photo_id", "occurrence_key", "observation_id", "url", "licence", "rights_holder", "creator", "other_url")
    write_table(paths, "photo_index", [{name: each.get(name) for name in index} for each in photographs])
    write_table(paths, "species", [species("Turdus merula", key="6171845")])
    for stage, number in {"occurrences": 0, "clean_occurrences": 10, "photo_index": 2, "species": 1}.items():
        rejected(settings, stage, number)
    return settings


@pytest.mark.parametrize(
    ("asset", "sentence"),
    [
        ("occurrences", "3 records"),
        ("clean_occurrences", "3 records of 2 species; 10 left out"),
        ("photo_index", "3 photographs of 1 species; 2 left out"),
        ("photos", "2 usable photographs; 1 gone"),
        ("species", "1 species; 1 photograph of rarer ones left out"),
        ("rejections", "13 rows left out so far, each with its reason"),
    ],
)
def test_tables(scope: Settings, asset: str, sentence: str) -> None:
    assert finding(scope, asset) == sentence


def test_what_a_snapshot_changed(settings: Settings) -> None:
    def snapshot(number: int, **changes: int) -> None:
        Snapshot(
            number=number, identity=str(number), key="k", doi=None, created=None, recorded="2026-11-26", scope={},
            photographs=900, changes={name.replace("_", "-"): value for name, value in changes.items()},
        ).write(settings.paths)  # fmt: skip

    snapshot(1, new=900)
    assert finding(settings, "changes") == "the first snapshot: 900 photographs"
    snapshot(2, new=81, gone=21, re_identified=8, relicensed=0)
    assert finding(settings, "changes") == "81 new, 21 gone, 8 re-identified since snapshot 1"
    snapshot(3, new=0)
    assert finding(settings, "changes") == "the same photographs as before"


def test_networks_and_their_promises(settings: Settings) -> None:
    manifest = dataset(settings.paths)
    write_json(settings.paths.dataset_manifest, manifest.model_dump(mode="json"))
    train(settings, manifest, network="baseline", seed=settings.training.seed, skill=3.0)
    assert finding(settings, "manifest") == "dataset version v1"
    told = finding(settings, "baseline")
    assert told.startswith("species right in ")
    assert ", genus in " in told
    told = finding(settings, "specificity_baseline")
    assert " right (" in told
    assert "%), depth " in told
    # Room for it beside the longest name, in 80 columns.
    assert len(told) <= 36


def test_the_network_that_is_released_and_what_it_went_on_from(settings: Settings) -> None:
    manifest = dataset(settings.paths)
    train(settings, manifest, network="baseline", seed=settings.training.seed, skill=3.0)
    record = adopted(settings, manifest, network="baseline")
    top1 = record.training(settings.paths).metrics["top1"]
    record.write(settings.paths)
    assert finding(settings, "production") == f"baseline of the comparison, {top1:.1%}"
    told = finding(settings, "specificity_production")
    assert re.fullmatch(r"\d+\.\d% right \(\d+-\d+%\), depth \d\.\d", told)
    record.model_copy(update={"how": "continued", "ancestor": "3"}).write(settings.paths)
    assert finding(settings, "production") == f"baseline from version 3, {top1:.1%}"


def test_an_asset_without_a_sentence_of_its_own_says_what_its_step_said(settings: Settings) -> None:
    assert finding(settings, "champion", message="version 2 replaces version 1") == "version 2 replaces version 1"


def test_every_other_asset_has_a_sentence_of_its_own() -> None:
    names = {key.to_user_string() for key in defs.resolve_asset_graph().materializable_asset_keys}
    networks = {name for name in names if name in {*NETWORKS, "genus_stage"} or name.startswith("specificity_")}
    assert names - networks - SENTENCES.keys() == {"champion"}
    assert SENTENCES.keys() <= names


def test_a_file_that_cannot_be_read_is_told_in_the_log(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert finding_or_nothing(settings, "photos", "") == ""
    assert "no sentence about photos: the table photos is missing" in capsys.readouterr().err


def test_units() -> None:
    assert [counted(1, "record"), counted(1204, "record"), counted(2, "species", "species")] == [
        "1 record", "1,204 records", "2 species",
    ]  # fmt: skip
    assert [bytes_in_words(41_300_000), bytes_in_words(1_240_000_000)] == ["41 MB", "1.2 GB"]
