"""A folder of labelled photographs: every row arrives, and nothing else."""

from pathlib import Path

import pytest
from PIL import Image

from demo.__main__ import open_source
from demo.folder import COLUMNS, FolderError, FolderSource


def _write(folder: Path, *rows: dict[str, str]) -> Path:
    for row in rows:
        Image.new("RGB", (8, 8), "green").save(folder / row["path"])
    lines = [",".join(COLUMNS), *(",".join(row.get(column, "") for column in COLUMNS) for row in rows)]
    table = folder / "photos.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


def _mulberry(path: str) -> dict[str, str]:
    return {"path": path, "kingdom": "Plantae", "family": "Moraceae", "genus": "Morus", "species": "Morus alba"}


def test_every_row_of_the_real_folder_arrives(shared: Path) -> None:
    occurrences = FolderSource(csv=shared / "photos_small.csv", release=1).occurrences()
    assert len(occurrences) == 1769
    assert len({one.taxon.accepted_key for one in occurrences}) == 114
    assert len({one.media[0].photo_id for one in occurrences}) == 1769
    assert [one.gbif_id for one in occurrences] == sorted(one.gbif_id for one in occurrences)


def test_the_second_release_of_the_real_folder_removes_and_revises_a_few(shared: Path) -> None:
    first, second = (
        {one.gbif_id: one for one in FolderSource(csv=shared / "photos_small.csv", release=release).occurrences()}
        for release in (1, 2)
    )
    assert second.keys() < first.keys()
    assert 0.01 < 1 - len(second) / len(first) < 0.03
    assert 0 < sum(first[key].taxon != one.taxon for key, one in second.items()) < 0.02 * len(first)
    assert 0 < sum(first[key].media != one.media for key, one in second.items()) < 0.03 * len(first)


def test_a_photograph_is_served_byte_for_byte(tmp_path: Path) -> None:
    source = open_source(photos=_write(tmp_path, _mulberry("a.jpg")), release=1)
    photo_id = source.occurrences()[0].media[0].photo_id
    assert source.photograph(photo_id) == (tmp_path / "a.jpg").read_bytes()
    assert source.photograph("1") is None


def test_homonymous_genera_have_different_keys(tmp_path: Path) -> None:
    gannet = {
        "path": "b.jpg",
        "kingdom": "Animalia",
        "family": "Sulidae",
        "genus": "Morus",
        "species": "Morus bassanus",
    }
    source = FolderSource(csv=_write(tmp_path, _mulberry("a.jpg"), gannet), release=1)
    assert len({one.taxon.lineage["genus"].key for one in source.occurrences()}) == 2


def test_another_source_name_is_a_synonym_with_a_key_of_its_own(tmp_path: Path) -> None:
    source = FolderSource(csv=_write(tmp_path, _mulberry("a.jpg") | {"source_name": "Morus tatarica"}), release=1)
    taxon = source.occurrences()[0].taxon
    assert (taxon.status, taxon.scientific_name) == ("SYNONYM", "Morus tatarica")
    assert taxon.taxon_key != taxon.accepted_key == taxon.lineage["species"].key
    assert "class" not in taxon.lineage


def test_a_missing_photograph_is_named(tmp_path: Path) -> None:
    table = _write(tmp_path, _mulberry("a.jpg"))
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(FolderError, match=r"row 2: there is no file .*a\.jpg"):
        FolderSource(csv=table, release=1)


def test_a_photograph_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="named twice"):
        FolderSource(csv=_write(tmp_path, _mulberry("a.jpg"), _mulberry("a.jpg")), release=1)


def test_a_csv_that_is_not_there_or_is_none_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"^there is no file .*photos\.cvs; name a CSV of photographs$"):
        FolderSource(csv=tmp_path / "photos.cvs", release=1)
    with pytest.raises(FolderError, match=r"cannot be read as a CSV of photographs: Is a directory$"):
        FolderSource(csv=tmp_path, release=1)
