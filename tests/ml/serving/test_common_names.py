"""Common names come from a table, by rules; what is wrong with it is told line by line."""

from pathlib import Path

import pytest

from ml.serving.common_names import CommonNames, NameTableError
from ml.serving.taxon_pages import own_names
from ml.taxonomy import Taxonomy
from tests.ml.serving.answerings import TREE, answer_of, version
from tests.ml.specificity_fixtures import BIRDS, rows_of, write_taxonomy

OWN = """scientific_name,common_name,language,preferred
Nestor notabilis,Mountain parrot,en,
Nestor notabilis,Kea,en,true
Nestor notabilis,Keabird,de,true
nestor  MERIDIONALIS,"Kākā, the bush parrot",en,
Morus,Gannets,en,
Plantae,Plants,,
"""
GBIF = (
    "taxonID\tvernacularName\tlanguage\tcountry\tsource\n"
    'K7\tThe "clown of the Alps"\ten\tNZ\tA list\n'
    "K7\tKea\ten\tNZ\tAnother list\n"
    "K7\tKea\ten-NZ\t\tA third list\n"
    "K8\tKaka\ten-NZ\tNZ\tA list\n"
    "K8\tBush parrot\ten\tNZ\tA list\n"
    "K999\tNo taxon of the model\ten\t\t\n"
    "K11\tAustralischer Basstölpel\tde\t\t\n"
)


def names(folder: Path, text: str, *, language: str = "en") -> dict[str, str]:
    """Common names by scientific names."""
    path = folder / "names"
    path.write_text(text, encoding="utf-8")
    return {TREE.name[node]: name for node, name in CommonNames.read(path, language=language).of(TREE).items()}


def test_ones_own_table_names_taxa(tmp_path: Path) -> None:
    # Morus is a genus of birds and one of trees; the plants' name is in no language.
    assert names(tmp_path, OWN) == {
        "Nestor notabilis": "Kea", "Nestor meridionalis": "Kākā, the bush parrot", "Plantae": "Plants",
    }  # fmt: skip


def test_the_language_chooses(tmp_path: Path) -> None:
    assert names(tmp_path, OWN, language="DE") == {"Nestor notabilis": "Keabird", "Plantae": "Plants"}
    assert names(tmp_path, GBIF, language="en_NZ") == {"Nestor notabilis": "Kea", "Nestor meridionalis": "Kaka"}


def test_the_table_of_gbif_names_taxa_by_their_keys(tmp_path: Path) -> None:
    """The name that most rows have; one in the language itself before one of a region."""
    assert {TREE.taxon_key[node]: TREE.name[node] for node in (7, 8)} == {
        "K7": "Nestor notabilis", "K8": "Nestor meridionalis",
    }  # fmt: skip
    assert names(tmp_path, GBIF) == {"Nestor notabilis": "Kea", "Nestor meridionalis": "Bush parrot"}


def test_columns_come_in_any_order_with_prefixes(tmp_path: Path) -> None:
    text = "\ufeffdcterms:language\tdwc:vernacularName\tdwc:taxonID\r\neng\tKea\tK7\r\n\r\n"
    assert names(tmp_path, text, language="eng") == {"Nestor notabilis": "Kea"}


def test_a_key_counts_for_more_than_a_name(tmp_path: Path) -> None:
    text = "taxon_key,scientific_name,common_name\nK7,,By key\n,Nestor notabilis,By name\n"
    assert names(tmp_path, text) == {"Nestor notabilis": "By key"}


def test_of_equal_names_the_first_is_taken(tmp_path: Path) -> None:
    assert names(tmp_path, "taxon_key,common_name\nK7,First\nK7,Second\n") == {"Nestor notabilis": "First"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is no table of names: its first line must name a column common_name, and scientific_name or taxon_key"),
        ("name,english\nKea,Kea\n", "is no table of names"),
        ("taxonID,taxon_key,common_name\n1,1,Kea\n", "has two columns for the same: taxonID and taxon_key"),
        ("taxon_key,common_name\nK7\nK7,Kea\n", r"line 2: it has 1 cells, but there are 2 columns$"),
        ("taxon_key,common_name\n,Kea\nK7,\n", r"line 2: it says no taxon; line 3: it says no name$"),
        ("taxon_key,common_name\nK7,\x1b[2JKea\n", r"line 2: its name is no name: '\\\\x1b\[2JKea'"),
        ("taxon_key,common_name,preferred\nK7,Kea,maybe\n", "line 2: preferred must be true or false, not 'maybe'"),
        ('taxon_key,common_name\nK7,"Kea\n', "line 2: it is no row of a CSV table"),
        ("taxon_key,common_name\n" + "K7,\n" * 7, "line 6: it says no name; and 2 more$"),
        ("taxon_key,common_name\n", "holds no name in the language 'en'$"),
        ("taxon_key,common_name,language\nK7,Kea,deu\n", "holds no name in the language 'en'; it has deu$"),
    ],
)
def test_what_is_wrong_with_a_table_is_told(text: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(NameTableError, match=reason):
        names(tmp_path, text)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(NameTableError, match=r"cannot read the names .*none.csv: No such file"):
        CommonNames.read(tmp_path / "none.csv")
    (tmp_path / "names").write_bytes(b"taxon_key,common_name\nK7,K\xe9a\n")
    with pytest.raises(NameTableError, match="names, line 2: it is not UTF-8"):
        CommonNames.read(tmp_path / "names")


def test_answers_bear_common_names(tmp_path: Path) -> None:
    (tmp_path / "names").write_text(OWN, encoding="utf-8")
    served = version(names=CommonNames.read(tmp_path / "names").of(TREE))
    found = answer_of(served, [0.9, 0.06, 0.03, 0.01])
    assert found["common_name"] == found["path"][-1]["common_name"] == found["top"][0]["common_name"] == "Kea"
    assert [step["common_name"] for step in found["lineage"]] == [None] * 6 + ["Kea"]


def test_a_taxonomy_may_bring_its_own_names(tmp_path: Path) -> None:
    named = {row["name"]: f"common {row['name']}" for row in rows_of(BIRDS) if row["depth"] == 7}
    rows = [{**row, "common_name": named.get(row["name"])} for row in rows_of(BIRDS)]
    path = write_taxonomy(tmp_path / "taxonomy.parquet", rows)
    tree = Taxonomy.read(path)
    assert {tree.name[node]: name for node, name in own_names(path).items()} == named
