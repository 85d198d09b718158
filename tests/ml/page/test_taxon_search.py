"""Completion of taxa."""

import pytest

from ml.page.taxon_search import TaxonSearch
from ml.taxonomy import Taxonomy
from tests.ml.specificity_fixtures import BIRDS, rows_of

TREE = Taxonomy.of_rows(rows_of(BIRDS))
COMMON = {"Nestor notabilis": "Kea", "Morus alba": "White mulberry"}
SEARCH = TaxonSearch(TREE, common_name=lambda node: COMMON.get(TREE.name[node]))


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("morus", ["Morus", "Morus", "Morus serrator", "Morus alba"]),
        ("MOR", ["Moraceae", "Morus", "Morus", "Morus serrator", "Morus alba"]),
        ("  morus   alba ", ["Morus alba"]),
        ("alba", ["Morus alba"]),
        ("kea", ["Nestor notabilis"]),
        ("mulberry", ["Morus alba"]),
        ("K3", ["Aves"]),
        ("idae", ["Strigopidae", "Sulidae"]),
        ("dodo", []),
        ("   ", []),
    ],
)
def test_what_fits_best_comes_first(query: str, names: list[str]) -> None:
    assert [taxon["name"] for taxon in SEARCH.find(query, limit=10)] == names


def test_a_taxon_is_found_again_by_its_lineage() -> None:
    for taxon in SEARCH.find("morus", limit=10):
        assert TREE.taxon_key[TREE.find(taxon["lineage"])] == taxon["taxon_key"]


def test_a_taxon_says_its_size_and_what_people_call_it() -> None:
    (kea,) = SEARCH.find("kea", limit=10)
    assert kea == {
        "rank": "species", "name": "Nestor notabilis", "taxon_key": "K7", "species": 1, "common_name": "Kea",
        "lineage": "Animalia > Chordata > Aves > Psittaciformes > Strigopidae > Nestor > Nestor notabilis",
    }  # fmt: skip
    assert SEARCH.find("aves", limit=1)[0]["species"] == 3
    assert len(SEARCH.find("a", limit=2)) == 2


def test_what_fills_a_blank_rank_is_not_offered() -> None:
    rows = rows_of(BIRDS)
    filler = next(row for row in rows if row["name"] == "Aves")
    filler["placeholder"] = True
    assert TaxonSearch(Taxonomy.of_rows(rows)).find("aves", limit=10) == []
