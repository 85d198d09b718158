"""Suspects say what a photograph looks like, how near that is, and are a file of corrections to fill in."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser

from ml.spec import RESULT_FILE, LabelQualityResult
from pipeline.commands.findings import finding
from pipeline.config.settings import Settings
from pipeline.corrections import read_corrections
from pipeline.files import write_json
from pipeline.label_quality.judging import is_judged, label_quality_spec
from pipeline.label_quality.suspects import build_suspects, counted, first_suspects, write_suspects_csv
from pipeline.label_quality.suspects_page import build_suspects_page
from pipeline.table_checks import check_table
from tests.ml.specificity_fixtures import BIRDS, rows_of, write_taxonomy
from tests.pipeline import trained
from tests.pipeline.dataset.test_pack import jpeg
from tests.pipeline.pages.browser import NARROW, SCHEMES, WIDE, chromium, opened
from tests.pipeline.tiny import photo, read, write

SCORES = pa.schema(
    [
        ("photo_id", pa.string()), ("class_id", pa.int32()), ("fold", pa.int32()), ("rank", pa.int32()),
        ("suspicion", pa.float64()), ("self_confidence", pa.float64()), ("margin", pa.float64()),
        ("suggested_class_id", pa.int32()), ("suggested_probability", pa.float64()), ("is_issue", pa.bool_()),
    ]
)  # fmt: skip
LABELS = {"p1": 0, "p2": 1, "p3": 3, "p4": 3, "p5": 2}
ANSWERS: dict[str, tuple[int | None, float, int, float]] = {
    "p1": (1, 0.01, 1, 0.97), "p2": (2, 0.2, 3, 0.6), "p3": (3, 0.9, 0, 0.06), "p4": (4, 0.95, 2, 0.03),
}  # fmt: skip
"""Of all photographs but one, which cannot be judged: rank, self-confidence, suggestion, its probability."""
PRINTS = {"p1": 0, "p2": 0b111, "p3": 0xFFFF << 40, "p4": 0xFFFE << 40, "p5": -1}
"""p1 and p2 are near-identical under two names, p3 and p4 under one."""


@pytest.fixture
def suspects(settings: Settings) -> Settings:
    """Four species of birds, five photographs, of which four were judged."""
    paths = settings.paths
    paths.tables.mkdir(parents=True)
    write_taxonomy(paths.table("taxonomy"), rows_of(BIRDS))
    split = [
        {"photo_id": name, "occurrence_key": f"o{name}", "observation_id": name[1:], "class_id": label,
         "split": "validation" if name == "p2" else "train", "half": "evaluation" if name == "p2" else None,
         "path": f"photos/{name}.jpg"}
        for name, label in LABELS.items()
    ]  # fmt: skip
    write(paths, "split", split)
    address = "https://inaturalist-open-data.s3.amazonaws.com/photos/{}/large.jpg"
    licences = {"p4": "all rights reserved", "p2": "CC-BY-NC"}
    rows = [
        photo(name, of=f"o{name}", url=address.format(name[1:]), licence=licences.get(name, "CC-BY")) for name in LABELS
    ]
    write(paths, "photos", rows)
    for name in LABELS:
        (paths.data_root / "photos").mkdir(exist_ok=True)
        (paths.data_root / "photos" / f"{name}.jpg").write_bytes(jpeg(64, 48, seed=int(name[1:])))
    paths.training_photos.mkdir(parents=True)
    pq.write_table(pa.table({"photo_id": list(PRINTS), "fingerprint": list(PRINTS.values())}), paths.pack_index)
    write_scores(paths.data_root / "scores.parquet")
    build_suspects(paths, paths.data_root / "scores.parquet")
    source: dict[str, object] = {
        "mode": "download",
        "key": "k",
        "predicate": {},
        "checklist_key": None,
        "archive": "a",
        "sha256": "s",
    }
    write_json(paths.current_download, source)
    write_json(paths.dataset_manifest, trained.dataset_manifest().model_dump(mode="json"))
    return settings


def write_scores(path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"photo_id": name, "class_id": LABELS[name], "fold": 0, "rank": rank, "suspicion": 1.0, "self_confidence": own,
         "margin": (own - other + 1) / 2, "suggested_class_id": suggested, "suggested_probability": other,
         "is_issue": own < other}
        for name, (rank, own, suggested, other) in ANSWERS.items()
    ]  # fmt: skip
    rows.append({"photo_id": "p5", "class_id": LABELS["p5"]})
    pq.write_table(pa.Table.from_pylist(rows, schema=SCORES), path)


def test_each_photograph_says_what_it_looks_like_and_how_near_that_is(suspects: Settings) -> None:
    table = suspects.paths.table("suspects")
    assert check_table("suspects", table) == []
    rows = {row["photo_id"]: row for row in read(table)}
    assert list(rows) == ["p1", "p2", "p3", "p4", "p5"], "the most suspicious first"
    names = [row["name"] for row in rows_of(BIRDS) if row["rank"] == "species"]
    assert (rows["p1"]["species"], rows["p1"]["suggested_species"]) == (names[0], names[1])
    assert (rows["p1"]["occurrence_key"], rows["p1"]["observation_id"]) == ("op1", "1")
    assert rows["p2"]["split"] == "validation"
    tree = {row["node_id"]: row for row in rows_of(BIRDS)}
    for row in rows.values():
        if row["suggested_class_id"] is not None:
            both = {row["class_id"], row["suggested_class_id"]}
            holding = [node for node in tree.values() if both <= set(range(node["leaf_begin"], node["leaf_end"]))]
            lowest = max(holding, key=lambda node: node["depth"])
            assert row["meet_rank"] == ("none" if lowest["rank"] == "root" else lowest["rank"])
            assert row["meet_taxon"] == (None if lowest["rank"] == "root" else lowest["name"])
    assert rows["p5"]["suspicion_rank"] is rows["p5"]["is_issue"] is None
    assert counted(suspects.paths) == {"photographs": 5, "judged": 4, "issues": 2, "copies": 2}
    assert finding(suspects, "suspects") == "2 of 5 photographs may have the wrong name"
    assert [row["photograph"] for row in first_suspects(suspects.paths, most=2)] == ["p1", "p2"]


def test_near_identical_photographs_under_another_name_are_named(suspects: Settings) -> None:
    rows = {row["photo_id"]: row for row in read(suspects.paths.table("suspects"))}
    found = {name: (row["near_duplicate"], row["near_duplicate_distance"]) for name, row in rows.items()}
    assert found == {"p1": ("p2", 3), "p2": ("p1", 3), "p3": (None, None), "p4": (None, None), "p5": (None, None)}
    assert rows["p1"]["near_duplicate_species"] == rows["p2"]["species"]


def test_the_file_changes_nothing_until_a_person_fills_in_an_action(suspects: Settings) -> None:
    file = write_suspects_csv(suspects.paths)
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["photo_id"] for row in rows] == ["p1", "p2", "p3", "p4"]
    empty = read_corrections(file)
    assert (empty.records.num_rows, empty.photos.num_rows) == (0, 0)
    rows[0]["action"], rows[1]["action"] = "identify", "drop"
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    filled = read_corrections(file)
    (record,), (dropped,) = filled.records.to_pylist(), filled.photos.to_pylist()
    assert (record["occurrence_key"], record["problem"], dropped["photo_id"]) == ("op1", None, "p2")
    assert record["species"] == read(suspects.paths.table("suspects"))[0]["suggested_species"]


def test_the_page_shows_each_suspect_beside_what_it_looks_like(suspects: Settings, browser: Browser) -> None:
    file = build_suspects_page(suspects.paths, suspects)
    for scheme in SCHEMES:
        for width in (WIDE, NARROW):
            found = opened(browser, file, width=width, scheme=scheme)
            assert (found.violations(), found.overflow(), found.complaints) == ([], 0, [])
            assert [url for url in found.requests if not url.startswith(("file:", "data:"))] == []
            found.page.context.close()
    page = opened(browser, file).page
    items = page.locator("#list > li")
    assert items.count() == 4
    first, last = items.nth(0), items.nth(3)
    assert first.get_by_role("link", name="observation").get_attribute("href") == (
        "https://www.inaturalist.org/observations/1"
    )
    assert (first.locator("figcaption").first.text_content() or "").endswith("A. Holder, CC BY")
    assert "near-identical" in (first.text_content() or "")
    assert last.locator("figure").first.locator("img").count() == 0, "no open licence"
    page.get_by_label("Show").select_option("copy")
    assert page.locator("#count").text_content() == "2 of 4 photographs"
    page.get_by_label("Find").fill("no such name")
    assert page.locator("#count").text_content() == "0 of 4 photographs"
    plain = opened(browser, file, script=False).page
    assert plain.locator("#list > li").count() == 4
    assert not plain.locator("#find").is_visible()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def test_the_same_dataset_is_judged_once_and_settings_that_decide_are_in_the_hash(settings: Settings) -> None:
    manifest = trained.dataset_manifest()
    spec = label_quality_spec(settings, manifest, workers=1)
    assert label_quality_spec(settings, manifest, workers=7).spec_hash == spec.spec_hash
    assert spec.output == settings.paths.label_quality(spec.spec_hash)
    labels = settings.labels.model_copy(update={"folds": 7})
    training = settings.training.model_copy(update={"image_size": 96})
    others = [
        label_quality_spec(settings.model_copy(update={"labels": labels}), manifest),
        label_quality_spec(settings.model_copy(update={"training": training}), manifest),
        label_quality_spec(settings, manifest.model_copy(update={"dataset_version": "v2"})),
    ]
    assert len({spec.spec_hash, *(other.spec_hash for other in others)}) == 4


def test_what_was_judged_needs_no_process_as_long_as_its_scores_are_there(settings: Settings) -> None:
    spec = label_quality_spec(settings, trained.dataset_manifest())
    assert not is_judged(spec)
    scores = spec.output / "scores.parquet"
    result = LabelQualityResult(scores=scores, photos=3, judged=3, issues=0, accuracy=1.0, seconds=1.0)
    result.write(spec.output / RESULT_FILE)
    assert not is_judged(spec)
    scores.touch()
    assert is_judged(spec)
