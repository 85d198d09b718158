"""Taxa lead to their page at GBIF where it has one, and nowhere else."""

import json
from pathlib import Path
from typing import Any

import pytest

from ml.errors import DataError
from ml.serving.answering import Answering
from ml.serving.common_names import CommonNames
from ml.serving.taxon_pages import gbif_pages
from ml.spec import RESULT_FILE
from ml.specificity.stage import run
from ml.taxonomy import Taxonomy
from tests.ml.serving.answerings import answer_of
from tests.ml.specificity_fixtures import BIRDS, QUIET, calibrate_spec, rows_of, write_taxonomy

COL_XR, BACKBONE = "7ddf754f-d193-4cc9-b351-99906754a03b", "d7dddbf4-2cf0-4f39-9b2a-bb099caae36c"


def pages(folder: Path, *, dataset: dict[str, Any] | None = None, **columns: Any) -> dict[int, str]:  # noqa: ANN401
    """The pages of the taxa of `BIRDS`, with other `columns` for the kea."""
    rows = [{**row, **columns} if row["name"] == "Nestor notabilis" else row for row in rows_of(BIRDS)]
    path = write_taxonomy(folder / "taxonomy.parquet", rows)
    if dataset is not None:
        (folder / "dataset.json").write_text(json.dumps(dataset), encoding="utf-8")
    return gbif_pages(path, Taxonomy.read(path), dataset=str(folder / "dataset.json") if dataset is not None else None)


@pytest.mark.parametrize(
    ("columns", "address"),
    [
        ({"checklist_key": COL_XR, "taxon_key": "46QZV"}, "https://www.gbif.org/taxon/46QZV"),
        ({"checklist_key": BACKBONE, "taxon_key": "2479249"}, "https://www.gbif.org/species/2479249"),
        ({"checklist_key": BACKBONE, "taxon_key": "a/../b?"}, "https://www.gbif.org/species/a%2F..%2Fb%3F"),
        ({"checklist_key": COL_XR, "taxon_key": None}, None),
        ({"checklist_key": COL_XR, "taxon_key": "46QZV", "placeholder": True}, None),
        ({"checklist_key": "one's own", "taxon_key": "12"}, None),
        ({"checklist_key": None, "taxon_key": "12"}, None),
    ],
)
def test_a_taxon_has_a_page_where_gbif_knows_its_key(
    columns: dict[str, Any], address: str | None, tmp_path: Path
) -> None:
    assert pages(tmp_path, **columns).get(7) == address
    assert pages(tmp_path, dataset={"doi": "10.15468/dl.x"}, **columns).get(7) == address


def test_keys_that_the_replica_invents_lead_nowhere(tmp_path: Path) -> None:
    known = {"checklist_key": COL_XR, "taxon_key": "5016408169"}
    assert pages(tmp_path, dataset={"doi": "10.21373/dl.24ffb9"}, **known) == {}
    assert pages(tmp_path, dataset={"doi": None}, **known).keys() == {7}


def test_a_taxonomy_without_checklists_leads_nowhere(tmp_path: Path) -> None:
    rows = [{name: value for name, value in row.items() if name != "checklist_key"} for row in rows_of(BIRDS)]
    path = write_taxonomy(tmp_path / "taxonomy.parquet", rows)
    assert gbif_pages(path, Taxonomy.read(path), dataset=None) == {}


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_a_damaged_description_of_the_dataset_is_told(content: str, tmp_path: Path) -> None:
    path = write_taxonomy(tmp_path / "taxonomy.parquet", rows_of(BIRDS))
    (tmp_path / "dataset.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="which says what the version was trained on"):
        gbif_pages(path, Taxonomy.read(path), dataset=str(tmp_path / "dataset.json"))


def test_a_version_answers_with_names_and_pages(tmp_path: Path) -> None:
    spec = calibrate_spec(tmp_path / "version")
    result = run(spec, reporter=QUIET)
    rows = [{**row, "checklist_key": COL_XR, "common_name": "own"} for row in rows_of(BIRDS)]
    artifacts = {
        "taxonomy": str(write_taxonomy(spec.taxonomy, rows)), "specificity": str(spec.output / RESULT_FILE),
        "thresholds": str(result.thresholds), "by_target": str(result.by_target),
    }  # fmt: skip
    served = Answering.read(artifacts, names=CommonNames(by_name={"nestor notabilis": "Kea"}))
    found = answer_of(served, [0.97, 0.01, 0.01, 0.01])
    assert (found["taxon"], found["common_name"]) == ("Nestor notabilis", "Kea")
    assert found["gbif"] == found["top"][0]["gbif"] == f"https://www.gbif.org/taxon/{found['taxon_key']}"
    assert found["lineage"][0]["common_name"] == "own"
    assert {served.judged[target].low is not None for target in (0.5, 0.9, 0.999)} == {True}
