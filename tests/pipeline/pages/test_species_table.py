"""The species table: all species in few bytes, with the accuracy of a network of this very dataset."""

import csv
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.spec import TrainResult
from pipeline.config.settings import Settings
from pipeline.pages.dataset_page import build_dataset_page, show_accuracy
from pipeline.pages.species_table import SpeciesTable, best_measured, species_table
from pipeline.pages.web_addresses import Catalogue
from tests.pipeline.dataset.test_manifest import built
from tests.pipeline.pages.whole import whole
from tests.pipeline.tiny import read

__all__ = ["built", "whole"]

BY_KEY = Catalogue(prefix="https://www.gbif.org/taxon/", by_key=True)


@pytest.fixture
def train(whole: Settings) -> Callable[..., Path]:
    """Writes the result of a network that names every validation photograph as a given class."""

    def write(network: str, *, always: int, shift: int = 0) -> Path:
        split = [row for row in read(whole.paths.table("split")) if row["split"] == "validation"]
        folder = whole.paths.model(network, "v1")
        folder.mkdir(parents=True)
        predictions = {
            "photo_id": [row["photo_id"] for row in split],
            "class_id": pa.array([row["class_id"] + shift for row in split], pa.int32()),
            "predicted_class_id": pa.array([always] * len(split), pa.int32()),
        }
        pq.write_table(pa.table(predictions), folder / "validation.parquet")
        right = sum(row["class_id"] == always for row in split)
        file = folder / "file"
        result = TrainResult(
            mlflow_run_id="", weights=file, network=file, probabilities=file,
            predictions=folder / "validation.parquet", train_predictions=file, metrics_table=file, confusions=file,
            history=file, figures={}, metrics={"top1": right / len(split)},
        )  # fmt: skip
        return result.write(folder / "result.json")

    return write


def test_without_a_network_there_is_no_accuracy(whole: Settings) -> None:
    table = species_table(whole.paths)
    assert table.network is None
    assert [(row["species"], row["family"], row["correct"]) for row in table.rows] == [
        ("Turdus s0", "Turdidae", None),
        ("Turdus s1", "Turdidae", None),
    ]
    assert sum(row["train"] + row["validation"] for row in table.rows) == 38


def test_the_best_network_of_this_dataset_is_shown(
    whole: Settings, train: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    judged = [row["class_id"] for row in read(whole.paths.table("split")) if row["split"] == "validation"]
    frequent = max({0, 1}, key=judged.count)
    assert judged.count(0) != judged.count(1), "else neither is the best"
    train("multi_view", always=frequent)
    train("baseline", always=1 - frequent)
    train("genus_stage", always=frequent, shift=1)
    train("knowledge_transfer", always=frequent).write_text("{}")
    with caplog.at_level(logging.WARNING):
        best = best_measured(whole.paths)
    assert best is not None
    assert best.network == "multi_view"
    assert "knowledge_transfer" in caplog.text, "a result that cannot be read is named"
    table = species_table(whole.paths)
    assert [row["correct"] for row in table.rows] == [judged.count(0) * (frequent == 0), judged.count(1) * frequent]


def test_the_page_that_stands_shows_the_accuracy_once_a_network_is_measured(
    whole: Settings, train: Callable[..., Path]
) -> None:
    train("baseline", always=0)
    assert show_accuracy(whole.paths, whole) is None, "no page stands yet"
    shutil.rmtree(whole.paths.model("baseline", "v1"))
    page = build_dataset_page(whole.paths, whole, taxa=["Aves"])
    assert 'data-sort="right"' not in page.html.read_text(encoding="utf-8")
    train("baseline", always=0)
    assert show_accuracy(whole.paths, whole) is not None
    html = page.html.read_text(encoding="utf-8")
    assert 'data-sort="right">right</th>' in html
    assert "the best network, <em>one view (baseline)</em>, names right" in " ".join(html.split())
    assert "<h3>Aves (class of" in html, "the photographs that were asked for stay"


def test_twenty_thousand_species_fit_into_a_megabyte() -> None:
    rows = [
        {
            "species": f"Genus{number // 4} species{number}", "genus": f"Genus{number // 4}",
            "family": f"Family{number // 40}", "class": f"Class{number // 4000}", "taxon_key": f"K{number:04X}",
            "train": number % 900, "validation": number % 200, "correct": number % 150,
        }
        for number in range(20_000)
    ]  # fmt: skip
    packed = SpeciesTable(rows=rows, network="baseline").packed(BY_KEY)
    assert packed["rows"][7] == ["Genus1 species7", 0, 7, 7, 7, "K0007", 0]
    assert len(json.dumps(packed, separators=(",", ":"))) < 1_100_000


def test_a_genus_that_the_name_does_not_begin_with_is_kept() -> None:
    row = {"species": "Aus bus", "genus": "Incertae", "family": "F", "class": "C", "taxon_key": None, "train": 1,
           "validation": 0, "correct": None}  # fmt: skip
    assert SpeciesTable(rows=[row], network=None).packed(BY_KEY)["rows"] == [["Aus bus", 0, 1, 0, None, 0, "Incertae"]]


def test_the_csv_has_one_line_for_each_species(whole: Settings, tmp_path: Path) -> None:
    with species_table(whole.paths).write_csv(tmp_path / "species.csv").open(newline="") as lines:
        found = list(csv.DictReader(lines))
    assert [row["species"] for row in found] == ["Turdus s0", "Turdus s1"]
    assert found[0]["taxon_key"] == "k0"
    assert found[0]["correct"] == ""
