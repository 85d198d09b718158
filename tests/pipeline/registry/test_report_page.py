"""The report tells the whole story of a version: its numbers are those of the results, and what is missing is said."""

import csv
import dataclasses
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.comparison.place_tables import local_sentence
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.errors import ChildError
from pipeline.gbif.source import SourceRecord
from pipeline.registry.report_networks import side_by_side
from pipeline.registry.report_page import Report
from pipeline.registry.report_photographs import suspects_of, worst_confusions
from pipeline.registry.report_taxa import TaxonTable, taxon_table
from tests.pipeline import trained
from tests.pipeline.place_results import accuracy_rows
from tests.pipeline.registry.reported import NETWORK, VERSION, examined, photographed, reported


@pytest.fixture(scope="module")
def predictions(world: tuple[Settings, DatasetManifest]) -> Path:
    return trained.adopted(*world, network=NETWORK).training(world[0].paths).predictions


@pytest.fixture(scope="module")
def taxa(world: tuple[Settings, DatasetManifest], predictions: Path) -> TaxonTable:
    return taxon_table(world[0].paths, predictions, VERSION)


def words(report: Report) -> str:
    return " ".join(report.html.read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ").split())


def test_every_taxon_has_what_the_network_made_of_its_photographs(taxa: TaxonTable, predictions: Path) -> None:
    pairs = [(row["class_id"], row["predicted_class_id"]) for row in pq.read_table(predictions).to_pylist()]
    tree = {row["name"]: row for row in taxa.rows if row["rank"] != "genus"}
    for label, name in enumerate(("Nestor notabilis", "Nestor meridionalis", "Morus serrator", "Morus alba")):
        own, row = [named for true, named in pairs if true == label], tree[name]
        assert (row["train"], row["judged"]) == (trained.SIZES[label], len(own))
        assert row["recognised"] == row["within"] == own.count(label)
        ((_, times),) = Counter(named for named in own if named != label).most_common(1)
        assert row["confused_times"] == times
    birds = [(true, named) for true, named in pairs if true < 3]
    assert tree["Aves"]["recognised"] == sum(true == named for true, named in birds)
    assert tree["Aves"]["within"] == sum(named < 3 for _, named in birds)
    assert tree["Aves"]["confused_with"] == "Magnoliopsida"
    assert [row["name"] for row in taxa.rows][:4] == ["Animalia", "Chordata", "Aves", "Psittaciformes"]


def test_depths_are_those_of_the_answers_in_the_exam(taxa: TaxonTable) -> None:
    depths = {row["name"]: row["answer_depth"] for row in taxa.rows if row["rank"] == "species"}
    assert depths == {"Nestor notabilis": 7, "Nestor meridionalis": 6, "Morus serrator": 6, "Morus alba": 6}
    assert taxa.answered == trained.PHOTOS
    gannet = next(row for row in taxa.rows if row["name"] == "Morus serrator")
    assert (gannet["answered"], gannet["right_answers"]) == (gannet["judged"], 0)


def test_answers_of_another_version_under_the_same_number_do_not_count(settings: Settings) -> None:
    manifest = photographed(settings)
    trained.train(settings, manifest, network=NETWORK, seed=settings.training.seed, skill=3.0)
    examined(settings, VERSION, identity="MLflow run of an earlier registry")
    html = words(reported(settings, manifest))
    assert "This version was not put to the exam, so the depth of its answers is not known" in html


def test_the_worst_confusions_stand_first_with_photographs_of_both_species(
    world: tuple[Settings, DatasetManifest], predictions: Path
) -> None:
    settings, _ = world
    pairs = Counter(
        (row["class_id"], row["predicted_class_id"])
        for row in pq.read_table(predictions).to_pylist()
        if row["class_id"] != row["predicted_class_id"]
    )
    found = worst_confusions(settings, SourceRecord.read(settings.paths), predictions, pairs=20)
    assert [one.times for one in found] == sorted(pairs.values(), reverse=True)
    for one in found:
        shown = {"wrong": one.species, "own": one.species, "named": one.other}
        for kind, species in shown.items():
            picture = getattr(one, kind)
            if species == "Morus alba":
                assert picture is None, "its photographs are under no open licence"
            else:
                assert (picture.species, picture.jpeg[:22]) == (species, "data:image/jpeg;base64")
                assert picture.credit.text.endswith(", CC BY-NC")
                assert picture.credit.href.startswith("https://www.inaturalist.org/photos/")
        if one.wrong is not None and one.own is not None:
            wrong, own = (int(picture.credit.href.rpartition("/")[2]) // 2 for picture in (one.wrong, one.own))
            assert wrong != own, "an observation has two photographs; the other one would be of the same organism"


def test_the_page_has_the_story_and_leads_to_the_details(
    whole: Report, world: tuple[Settings, DatasetManifest]
) -> None:
    html = words(whole)
    top1 = trained.adopted(*world, network=NETWORK).training(world[0].paths).metrics["top1"]
    for part in (
        "Report on naturewatch 3, scope test", "This is the version that users get.",
        f"{100 * top1:.1f} % right on 240",
        "registered on 26 November 2026", "GBIF.org, a download", "Table 1, first part", "Table 1, second part",
        "The paper&#39;s Figure 3",
        "The paper&#39;s Figure 4", "A cross of two species is neither of them.", "1 photograph",
        "may have the wrong name", "top-1 80.0 % against 78.0 % of version 2", "on version 4 of the exam",
        "naturewatch identify photo.jpg", "Mo, J., Frank, E., Vetrova, V. (2017)", "What each target costs",
    ):  # fmt: skip
        assert part in html, part
    assert "comparison.html" in html
    assert '<a href="exam.html">' not in html, "that page does not stand"


def test_the_same_version_makes_the_same_bytes(whole: Report, world: tuple[Settings, DatasetManifest]) -> None:
    before = whole.html.read_bytes()
    again = reported(*world)
    assert (again.html.read_bytes(), again.version) == (before, whole.version)


def test_the_table_for_statistics_has_every_taxon(whole: Report, taxa: TaxonTable) -> None:
    with whole.table.open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["name"] for line in lines] == [row["name"] for row in taxa.rows]
    assert [int(line["recognised"]) for line in lines] == [row["recognised"] for row in taxa.rows]


def test_what_a_place_adds_is_told_where_the_network_knows_places(
    world: tuple[Settings, DatasetManifest], whole: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Place and season" not in words(whole)
    rows = [dataclasses.asdict(one) for one in accuracy_rows()]
    with monkeypatch.context() as patched:
        patched.setattr("pipeline.registry.card_facts.place_rows", lambda _: rows)
        told = words(reported(*world)).partition("Place and season")[2]
    assert local_sentence(rows) in told
    assert "with its place and date" in told
    reported(*world)


def test_a_refused_version_says_what_users_have_instead(world: tuple[Settings, DatasetManifest], whole: Report) -> None:
    refused = dataclasses.replace(VERSION, champion="2", gate="refused")
    html = words(reported(*world, refused))
    assert "The gate refused this version; users keep version 2." in html
    assert "Users get version 2, not this one." in words(reported(*world, dataclasses.replace(VERSION, champion="2")))
    reported(*world)


def test_a_refresh_with_one_network_and_nothing_else_has_a_report_too(settings: Settings) -> None:
    manifest = photographed(settings)
    trained.train(settings, manifest, network=NETWORK, seed=settings.training.seed, skill=3.0)
    assert side_by_side(settings, manifest) is None
    assert suspects_of(settings, manifest, SourceRecord.read(settings.paths)) is None
    version = dataclasses.replace(VERSION, run_id=None, champion=None, gate=None, reasons=(), exam=None)
    empty = manifest.model_copy(update={"rejections": {}})
    html = words(reported(settings, empty, version))
    for part in (
        "No rule left anything out.", "No version is given to users yet.",
        "Only this network was trained on this dataset version",
        "The names of this dataset version were not judged yet", "This version was not put to the exam yet.",
        "Novelty is not scored",
    ):  # fmt: skip
        assert part in html, part
    assert "Table 1" not in html


def test_suspects_of_another_dataset_version_are_not_shown(world: tuple[Settings, DatasetManifest]) -> None:
    settings, manifest = world
    source = SourceRecord.read(settings.paths)
    found = suspects_of(settings, manifest, source)
    assert found is not None
    assert (found.numbers["issues"], len(found.first)) == (1, 4)
    assert suspects_of(settings, manifest.model_copy(update={"dataset_version": "v2"}), source) is None


def test_without_its_training_there_is_no_report(settings: Settings) -> None:
    with pytest.raises(ChildError):
        reported(settings, photographed(settings))
