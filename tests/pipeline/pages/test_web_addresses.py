"""Links lead to a page of the species, the record, the photograph and the download, or nowhere at all."""

import pytest

from pipeline.config.settings import COL_XR_CHECKLIST
from pipeline.gbif.source import SourceRecord
from pipeline.pages.web_addresses import BACKBONE, catalogue, citable, doi_address, photo_address, record_address


def source(mode: str = "download", **others: str | None) -> SourceRecord:
    facts: dict[str, object] = {"key": "k", "predicate": {}, "checklist_key": None, "archive": "a.zip", "sha256": "0"}
    return SourceRecord.model_validate({"mode": mode, **facts, **others})


@pytest.mark.parametrize(
    ("mode", "checklist", "key", "address"),
    [
        ("download", COL_XR_CHECKLIST, "6W3C4", "https://www.gbif.org/taxon/6W3C4"),
        ("archive", BACKBONE, "6171845", "https://www.gbif.org/species/6171845"),
        ("download", COL_XR_CHECKLIST, None, "https://www.gbif.org/taxon/search?q=Turdus%20merula"),
        ("folder", "own", "12", "https://www.gbif.org/taxon/search?q=Turdus%20merula"),
        ("replica", COL_XR_CHECKLIST, "12", "https://www.gbif.org/taxon/search?q=Turdus%20merula"),
    ],
)
def test_a_species_is_found_by_key_where_gbif_knows_it_and_else_by_name(
    mode: str, checklist: str, key: str | None, address: str
) -> None:
    assert catalogue(source(mode), checklist).address("Turdus merula", key) == address


def test_a_record_of_gbif_has_a_page_and_ones_own_has_none() -> None:
    assert record_address(source(), "123") == "https://www.gbif.org/occurrence/123"
    assert record_address(source(), None) == ""
    assert record_address(source("folder"), "123") == ""


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://inaturalist-open-data.s3.amazonaws.com/photos/7/large.jpg", "https://www.inaturalist.org/photos/7"),
        ("https://static.inaturalist.org/photos/8/original.jpeg?1", "https://www.inaturalist.org/photos/8"),
        ("https://images.example/a.jpg", "https://images.example/a.jpg"),
        ("file:/home/me/a.jpg", ""),
        ("javascript:alert(1)", ""),
        (None, ""),
    ],
)
def test_a_photograph_leads_to_its_page_with_its_licence(url: str | None, address: str) -> None:
    assert photo_address(source(), url) == address


def test_addresses_of_the_replica_lead_nowhere() -> None:
    assert photo_address(source("replica"), "http://photos.replica.test/photos/7/large.jpg") == ""


def test_only_dois_that_resolve_can_be_cited() -> None:
    assert doi_address("10.15468/dl.x") == "https://doi.org/10.15468/dl.x"
    assert doi_address("10.21373/dl.x") == doi_address(None) == ""
    assert citable(source(doi="10.15468/dl.x"))
    assert not citable(source(doi="10.21373/dl.x"))
    assert not citable(source("replica", doi="10.15468/dl.x"))
    assert not citable(source())
