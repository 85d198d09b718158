"""The card says what the model is for and how far to trust it, and invents no citation; its page has pictures."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from huggingface_hub import ModelCard
from playwright.sync_api import Browser

from ml.spec import NetworkName, card_body
from pipeline.comparison.place_tables import place_rows
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.registry import card_words
from pipeline.registry.card_facts import CardFacts, card_facts
from pipeline.registry.card_header import base_model, with_header
from pipeline.registry.card_page import card_page
from pipeline.registry.model_card import model_card
from tests.pipeline.pages.browser import chromium, opened
from tests.pipeline.place_results import give_places
from tests.pipeline.report_pages import cells, stumbling_blocks
from tests.pipeline.trained import LICENCES, PHOTOS, SIZES, adopted, dataset, train, truth

GBIF = "GBIF.org (1 May 2026) GBIF Occurrence Download https://doi.org/10.15468/dl.x"
SAMPLE = "the embedded sample of NatureWatch: organisms and records drawn in code, nothing of GBIF"
NOT_CITABLE = f"A sample, not citable: {SAMPLE}. The DOI 10.21373/dl.x was made up and resolves to nothing."
OWN = "own photographs listed in mine.csv (SHA-256 abc)"
NETWORK: NetworkName = "multi_view"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, DatasetManifest]:
    settings = Settings(name="test", data_root=tmp_path_factory.mktemp("card"))
    manifest = dataset(settings.paths)
    train(settings, manifest, network=NETWORK, seed=settings.training.seed, skill=3.0)
    return settings, manifest


@pytest.fixture(scope="module")
def facts(finished: tuple[Settings, DatasetManifest]) -> CardFacts:
    settings, manifest = finished
    return card_facts(settings, manifest, production=adopted(settings, manifest, network=NETWORK), commit="0123abcd")


@pytest.fixture(scope="module")
def page_file(facts: CardFacts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "model_card.html"
    file.write_text(card_page(facts), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def test_the_first_line_is_a_sentence_and_paragraphs_are_one_line(facts: CardFacts) -> None:
    card = model_card(facts)
    top1 = facts.training.metrics["top1"]
    assert card.startswith(f"Names 4 species from a photograph: {100 * top1:.1f} % right on {PHOTOS} validation")
    for paragraph in card.strip().split("\n\n"):
        lines = paragraph.splitlines()
        assert len(lines) == 1 or all(line.startswith(("| ", "|-", "- ")) for line in lines), paragraph
    assert not re.search(r"\d%", card), "a space stands before the percent sign"


def test_the_numbers_are_those_of_the_results(facts: CardFacts) -> None:
    predictions = pq.read_table(facts.training.predictions).to_pylist()
    tree = pq.read_table(facts.settings.paths.table("taxonomy")).to_pylist()
    classes = {row["name"]: row["class_id"] for row in tree if row["class_id"] is not None}
    for row in facts.species.rows:
        label = classes[row["species"]]
        own = [each for each in predictions if each["class_id"] == label]
        assert row["train"] == SIZES[label]
        assert row["validation"] == len(own) == (truth() == label).sum()
        assert row["correct"] == sum(each["predicted_class_id"] == label for each in own)
    right = sum(row["correct"] for row in facts.species.rows) / PHOTOS
    assert right == pytest.approx(facts.training.metrics["top1"])
    assert sum(row["photos"] for row in facts.classes) == sum(row["photos"] for row in facts.orders) == PHOTOS
    for group in facts.classes:
        assert group["recognised"] <= group["within"] <= group["photos"]
        assert group["low"] <= group["value"] <= group["high"]
    wrong = sum(row["times"] + row["back"] for row in facts.confusions)
    assert wrong == PHOTOS - sum(row["correct"] for row in facts.species.rows)
    assert all(row["times"] >= row["back"] for row in facts.confusions)


def test_the_card_tells_the_rule_the_hardware_and_the_time(facts: CardFacts) -> None:
    card, found = model_card(facts), facts.calibration
    assert f"the deepest taxon with a probability of at least {found.threshold:.4f}" in card
    assert "no guarantee" in card
    assert "Novelty is not scored" in card
    for line in ("hardware: a GPU", "time: 2 h 10 min", "length: 2 epochs, 60 steps", "code: 0123abcd"):
        assert f"- {line}\n" in card


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"abstention_rate": 0.0}, "Every photograph got an answer."),
        ({"abstention_rate": 0.042}, "No answer: 4.2 % of the photographs."),
        ({"delta": 0.05}, "missed with a probability of at most 5 %"),
        ({"rule": "distance"}, "the least expected distance in the tree"),
        ({"novelty": Path("n"), "novelty_auroc": 0.912}, "91.2 % of all pairs (AUROC 0.912; 0.5 is chance)"),
        ({"novelty": Path("n"), "novelty_auroc": None}, "only one genus"),
        ({"joint": None}, "by the mean of their probabilities, and nothing is promised"),
        ({"joint": Path("j")}, "answered as one, by thresholds of their own"),
    ],
)
def test_what_was_calibrated_is_told_in_words(facts: CardFacts, changes: dict[str, Any], said: str) -> None:
    other = dataclasses.replace(facts, calibration=facts.calibration.model_copy(update=changes))
    assert said in model_card(other)


def test_what_a_place_adds_is_told_where_the_network_knows_places(facts: CardFacts, tmp_path: Path) -> None:
    for text in (model_card(facts), card_page(facts)):
        assert "Place and season" not in text
        assert "place_prior" not in text
    own = facts.calibration.report.read_text("utf-8")
    (tmp_path / "report.md").write_text(f"{own}\n## Place and season\n\nthe report's own words\n", encoding="utf-8")
    found = give_places(facts.calibration, tmp_path).model_copy(update={"report": tmp_path / "report.md"})
    placed = dataclasses.replace(facts, calibration=found, places=place_rows(found))
    card, html = model_card(placed), card_page(placed)
    section = card.partition("\n## Place and season\n")[2].partition("\n## ")[0]
    assert "the report's own words" not in card
    assert card.count("Place and season") == 1
    assert card_words.novelty(placed) in card.partition("\n## Place and season\n")[0]
    page = html.partition('<section aria-labelledby="places">')[2].partition("</section>")[0]
    assert page.count("data:image/png") == 2
    assert "+5.0 to +9.0</span>" in page
    page = unescape(page).replace("\N{NO-BREAK SPACE}", " ")
    for sentence in (
        card_words.place_gain(placed), card_words.place_reach(placed), *card_words.PLACE_MISUSES, card_words.PLACE_DATA
    ):  # fmt: skip
        assert sentence in section
        assert sentence in page


@pytest.mark.parametrize(
    ("told", "source", "citation"),
    [
        ({"doi": "10.15468/dl.x", "citation": GBIF}, GBIF, GBIF),
        (
            {"doi": "10.21373/dl.x", "citation": GBIF, "origin": SAMPLE},
            SAMPLE,
            f"A sample, not citable: {SAMPLE}. The DOI 10.21373/dl.x was made up",
        ),
        ({"origin": OWN}, OWN, f"Not citable: {OWN}."),
        ({}, "a source that does not say how to cite it", "Not citable: a source"),
    ],
)
def test_the_source_is_what_the_data_are(facts: CardFacts, told: dict[str, Any], source: str, citation: str) -> None:
    other = dataclasses.replace(facts, manifest=facts.manifest.model_copy(update=told))
    card = model_card(other)
    assert f"Source: {source}.\n" in card
    assert f"- the data: {citation}" in card
    assert ("doi.org/10.15468" in card) == (source == GBIF)
    assert card_words.PAPER in card


def test_licences_are_counted_and_the_weights_are_not_given_away(facts: CardFacts) -> None:
    photos = {licence: SIZES[label] + (truth() == label).sum() for label, licence in enumerate(LICENCES)}
    assert facts.licences == photos
    card = model_card(facts)
    for licence, number in photos.items():
        assert f"{number:,} {licence}" in card
    shares = {licence: f"{100 * number / sum(photos.values()):.0f} %" for licence, number in photos.items()}
    assert f"{shares['CC-BY-NC']} are under licences that do not allow commercial use" in card
    assert f"{shares['all rights reserved']} are under no open licence" in card


def test_the_header_is_what_hugging_face_reads_and_pages_do_not_show_it(facts: CardFacts) -> None:
    card = model_card(facts)
    whole = with_header(card, facts)
    assert card_body(whole) == card == card_body(card)
    assert with_header(whole, facts) == whole, "it is not put above itself"
    read = ModelCard(whole)
    assert read.text.strip() == card.strip()
    data: Any = read.data
    assert (data.library_name, data.pipeline_tag, data.license) == ("mlflow", "image-classification", "other")
    assert data.get("license_name") == "undecided"
    results = {each.metric_name: each for each in data.eval_results or []}
    top1 = results["species right (top-1)"]
    assert top1.metric_value == pytest.approx(facts.training.metrics["top1"], abs=1e-4)
    assert (top1.task_type, top1.dataset_split, top1.dataset_revision) == ("image-classification", "validation", "v1")
    (asked,) = [name for name in results if name.startswith("answers right, asked for 90 %")]
    assert results[asked].metric_value == pytest.approx(facts.calibration.evaluation_accuracy, abs=1e-4)
    assert data.datasets == ["naturewatch-v1"]
    cited = dataclasses.replace(facts, manifest=facts.manifest.model_copy(update={"doi": "10.15468/dl.x"}))
    other: Any = ModelCard(with_header(card, cited)).data
    assert other.datasets == ["https://doi.org/10.15468/dl.x"]


@pytest.mark.parametrize(
    ("backbone", "weights", "repository"),
    [
        ("inception_resnet_v2.tf_in1k", "hub", "timm/inception_resnet_v2.tf_in1k"),
        ("hf-hub:imageomics/bioclip-2@main", "hub", "imageomics/bioclip-2"),
        ("inception_resnet_v2", "hub", None),
        ("tf_efficientnet_lite0", "package", None),
        ("local-dir:/models/some.thing", "hub", None),
        ("inception_resnet_v2.tf_in1k", "none", None),
    ],
)
def test_the_base_model_is_named_where_it_is_known(backbone: str, weights: str, repository: str | None) -> None:
    assert base_model(backbone, weights=weights) == repository


def test_a_version_that_went_on_from_another_says_so(facts: CardFacts) -> None:
    assert "- began: trained from nothing\n" in model_card(facts)
    went_on = facts.production.model_copy(
        update={"how": "continued", "ancestor": "3", "full_photos": 1200, "first_weights": "none"}
    )
    card = model_card(dataclasses.replace(facts, production=went_on))
    assert "- began: went on from version 3; the last training from nothing had 1,200 training photographs\n" in card
    assert "- first weights: none\n" in card
    assert "The weights began at random." in card


def test_a_card_of_earlier_results_says_what_was_not_recorded(facts: CardFacts) -> None:
    earlier = facts.training.model_copy(update={"seconds": None, "hardware": None})
    card = model_card(dataclasses.replace(facts, training=earlier))
    assert "- hardware: not recorded\n- time: not recorded\n" in card


def test_the_page_can_be_read_by_everyone_on_every_screen(page_file: Path, browser: Browser) -> None:
    assert stumbling_blocks(browser, page_file) == []


def test_the_page_says_what_the_results_say(facts: CardFacts, page_file: Path, browser: Browser) -> None:
    shown = opened(browser, page_file)
    points = cells(shown.page, "What each target costs")
    for point, row in zip(facts.calibration.points, points, strict=True):
        assert row[:3] == [f"{100 * point.target:g} %", f"{point.threshold:.4f}", f"{100 * point.accuracy:.1f} %"]
    ranks = dict(cells(shown.page, "Accuracy at each rank"))
    assert ranks["genus"] == f"{100 * facts.training.metrics['accuracy_genus']:.1f} %"
    species = cells(shown.page, "4 species with")
    assert [row[0] for row in species] == sorted(row["species"] for row in facts.species.rows)
    for known, row in zip(facts.species.rows, species, strict=True):
        assert row[1:4] == [str(known[name]) for name in ("train", "validation", "correct")]
    pictures = {**facts.training.figures, **facts.calibration.figures}
    assert shown.page.locator("figure img").count() == len(pictures)
    assert shown.complaints == []


def test_a_species_is_found_by_its_name_or_its_group(facts: CardFacts, page_file: Path, browser: Browser) -> None:
    wanted = facts.species.rows[1]
    of_class = sum(row["class"] == wanted["class"] for row in facts.species.rows)
    shown = opened(browser, page_file)
    listed, count = shown.page.locator("#species-table tbody tr"), shown.page.locator("#species-count")
    assert (listed.count(), count.inner_text()) == (4, "4 species")
    search = shown.page.get_by_label("Find a species")
    search.fill(f" {wanted['species'].upper()} ")
    assert listed.locator("th").all_inner_texts() == [wanted["species"]]
    assert count.inner_text() == "1 of 4 species"
    search.fill(wanted["class"])
    assert listed.count() == of_class
    search.fill("Dodo")
    assert count.inner_text() == "0 of 4 species"
    assert shown.complaints == []


def test_what_tables_hold_is_escaped(
    facts: CardFacts, tmp_path: Path, browser: Browser, make_settings: Callable[..., Settings]
) -> None:
    name = "<img src=x onerror=alert(1)>"
    species = dataclasses.replace(facts.species, rows=[{**facts.species.rows[0], "species": name}])
    other = dataclasses.replace(facts, species=species, settings=make_settings(name=name))
    file = tmp_path / "model_card.html"
    file.write_text(card_page(other), encoding="utf-8")
    for script in (True, False):
        shown = opened(browser, file, script=script)
        assert cells(shown.page, "1 species with")[0][0] == name
        assert shown.page.locator("img[src=x]").count() == 0
        assert shown.complaints == []
