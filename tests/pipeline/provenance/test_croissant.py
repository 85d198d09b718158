"""Each dataset version is described in Croissant 1.1 as mlcroissant reads it, and its records come through it."""

import importlib
import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.config.settings import Settings
from pipeline.dataset.attribution import KEPT_TABLES
from pipeline.dataset.registration import Registration
from pipeline.files import sha256_of
from pipeline.provenance.croissant import write_croissant
from tests.pipeline.provenance.described import CITATION, DOI, VERSION, dataset

SAMPLE = "the embedded sample of NatureWatch: organisms and records drawn in code, nothing of GBIF"


def described(settings: Settings, **source: Any) -> Path:  # noqa: ANN401
    return write_croissant(settings.paths, settings, dataset(settings, **source))


def loaded(file: Path) -> Any:  # noqa: ANN401 (mlcroissant has no types)
    """The dataset as mlcroissant reads it."""
    with warnings.catch_warnings():
        # Those of the libraries that it is made of, about themselves.
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module("mlcroissant").Dataset(jsonld=str(file))


def test_mlcroissant_finds_nothing_wrong_and_reads_every_record(settings: Settings) -> None:
    file = described(settings)
    found = loaded(file)
    assert (found.metadata.ctx.issues.errors, found.metadata.ctx.issues.warnings) == (set(), set())
    for name in KEPT_TABLES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            records = list(found.records(name))
        expected = pq.read_table(settings.paths.table(name)).to_pylist()
        told = [
            {key.removeprefix(f"{name}/"): value.decode() if isinstance(value, bytes) else value
             for key, value in record.items()}
            for record in records
        ]  # fmt: skip
        assert told == expected, name
    references = {
        field.uuid: field.references.uuid
        for records in found.metadata.record_sets
        for field in records.fields
        if field.references.uuid
    }
    assert references["split/class_id"] == "taxonomy/class_id"
    assert references["split/photo_id"] == "attribution/photo_id"


def test_the_files_are_those_whose_hashes_are_told(settings: Settings) -> None:
    file = described(settings)
    document = json.loads(file.read_bytes())
    assert document["conformsTo"] == ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
    objects = [each for each in document["distribution"] if each["@type"] == "cr:FileObject"]
    assert {each["contentUrl"] for each in objects} == {f"{name}.parquet" for name in KEPT_TABLES}
    for each in objects:
        kept = file.parent / each["contentUrl"]
        assert (each["sha256"], each["contentSize"]) == (sha256_of(kept), f"{kept.stat().st_size} B")
    (photographs,) = [each for each in document["distribution"] if each["@type"] == "cr:FileSet"]
    assert photographs["containedIn"] == {"fileObject": {"@id": "addresses"}, "extract": {"column": "url"}}
    for records in document["recordSet"]:
        columns = pq.read_schema(file.parent / f"{records['@id']}.parquet").names
        assert [field["name"] for field in records["field"]] == columns
        assert all(field["description"] for field in records["field"])


def test_a_dataset_of_gbif_is_cited_by_its_doi_and_names_each_licence(settings: Settings) -> None:
    document = json.loads(described(settings).read_bytes())
    assert (document["citeAs"], document["url"]) == (CITATION, f"https://doi.org/{DOI}")
    assert (document["version"], document["datePublished"]) == (f"1.0.0+{VERSION}", "2026-05-01")
    licences = {each["name"]: each["description"] for each in document["license"]}
    assert list(licences) == ["CC-BY-NC", "CC0", "all rights reserved"]
    assert licences["CC-BY-NC"].startswith("Licence of 3 photographs;")
    biases = " ".join(document["rai:dataBiases"])
    assert "2 countries, most of all NZ" in biases
    assert "Seasons: 100.0 % of the dated photographs" in biases
    assert document["rai:dataCollectionTimeFrame"] == ["2022-12-31", "2024-01-20"]
    assert "1 species without a validation photograph: Turdus merula." in document["rai:dataLimitations"]
    assert "account names of photographers" in document["rai:personalSensitiveInformation"][0]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            {"mode": "folder", "key": "folder-1", "origin": "own photographs listed in mine.csv (SHA-256 abc)"},
            "There is no citation of GBIF: own photographs listed in mine.csv (SHA-256 abc).",
        ),
        (
            {"mode": "replica", "key": "k", "doi": "10.21373/dl.x", "citation": CITATION, "origin": SAMPLE},
            f"Not citable: {SAMPLE}. The DOI 10.21373/dl.x was made up and resolves to nothing.",
        ),
        (
            {"mode": "search", "key": "search-1-20260501", "origin": "a search of GBIF on 2026-05-01, without a DOI"},
            "Not citable: a search of GBIF on 2026-05-01, without a DOI.",
        ),
        ({"mode": "archive", "key": "k", "doi": DOI, "citation": CITATION}, CITATION),
        (
            {"mode": "archive", "key": "k", "origin": "the archive a.zip, which does not say how to cite it"},
            "Not citable: the archive a.zip, which does not say how to cite it.",
        ),
    ],
)
def test_what_cannot_be_cited_says_so(settings: Settings, source: dict[str, Any], said: str) -> None:
    file = described(settings, **source)
    document = json.loads(file.read_bytes())
    assert document["citeAs"] == said
    assert ("https://doi.org/" in document["url"]) == (said == CITATION)
    assert loaded(file).metadata.ctx.issues.warnings == set()


def test_the_same_data_give_the_same_bytes_and_the_day_of_own_photographs_stays(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = make_settings()
    file = described(settings)
    other = make_settings(data_root=tmp_path / "other")
    assert described(other).read_bytes() == file.read_bytes()
    own = described(settings, mode="folder", key="folder-1", origin="own photographs")
    first = own.read_text(encoding="utf-8")
    assert re.search(r'"datePublished": "\d{4}-\d\d-\d\d"', first)
    own.write_text(re.sub(r'("datePublished": ")[^"]+', r"\g<1>2025-01-01", first), encoding="utf-8")
    again = described(settings, mode="folder", key="folder-1", origin="own photographs")
    assert json.loads(again.read_bytes())["datePublished"] == "2025-01-01"


def test_a_registered_dataset_names_its_doi(settings: Settings) -> None:
    manifest = dataset(settings)
    registration = Registration(
        doi="10.15468/dd.abcdef", citation="c", title="t", source_url="https://x.org", original_doi=DOI,
        registered="2026-05-02T00:00:00+00:00", api="https://api.gbif.org/v1",
    )  # fmt: skip
    registration.write(settings.paths, VERSION)
    document = json.loads(write_croissant(settings.paths, settings, manifest).read_bytes())
    assert document["sameAs"] == "https://doi.org/10.15468/dd.abcdef"
