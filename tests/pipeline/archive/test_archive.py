"""Archives come from outside: the good load whatever their columns, the bad are refused with the reason."""

import functools
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.archive.description import read_layout
from pipeline.config.settings import Settings
from pipeline.errors import ArchiveError
from pipeline.gbif.client import Api
from pipeline.gbif.occurrences import BACKBONE, build_occurrences
from pipeline.gbif.source import SourceRecord, fetch_source
from pipeline.query import count
from pipeline.rejections import counts
from tests.pipeline.archives import META, ROW, make_archive, redescribed, tables


def test_columns_are_found_by_their_terms_in_any_order(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    columns = ("gbifID", *reversed([name for name in ROW if name != "gbifID"]))
    _, row = tables(make_settings, make_archive(tmp_path / "a.zip", columns=columns))
    assert row["occurrence_key"] == "7"
    assert row["observation_id"] == "4711"
    assert row["species"] == "Nestor notabilis"
    assert row["taxon_key"] == "Q2M4"
    assert row["taxon_rank"] == "SPECIES"
    assert row["kingdom"] is None


def test_a_stray_quote_swallows_nothing(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    rows = [{**ROW, "gbifID": str(number)} for number in range(100)]
    settings, _ = tables(make_settings, make_archive(tmp_path / "a.zip", rows))
    assert count(settings.paths.table("occurrences")) == 100


def test_lines_that_do_not_fit_leave_a_trace_and_the_others_stay(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings, row = tables(make_settings, make_archive(tmp_path / "a.zip", extra_lines="8\ttoo few\n\t\t\t\t\t\t\n"))
    assert row["occurrence_key"] == "7"
    assert counts(settings.paths)["occurrences"] == {"unreadable_line": 1, "no_gbif_id": 1}


def test_an_archive_of_integer_keys_follows_the_former_backbone(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    _, row = tables(make_settings, make_archive(tmp_path / "a.zip", [{**ROW, "taxonKey": "2481661"}]))
    assert row["checklist_key"] == BACKBONE


@pytest.mark.parametrize("location", ["../occurrence.txt", "/etc/passwd", "a/../../b.txt", "..", "a\\b.txt"])
def test_a_file_outside_the_archive_is_refused(tmp_path: Path, location: str) -> None:
    with pytest.raises(ArchiveError, match="outside the archive"):
        read_layout(make_archive(tmp_path / "a.zip", location=location))


def test_entities_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("meta.xml", '<!DOCTYPE a [<!ENTITY b "b">]><archive/>')
    with pytest.raises(ArchiveError, match="entities"):
        read_layout(tmp_path / "a.zip")


def test_an_archive_without_gbif_ids_is_refused(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "a.zip")
    text = (
        META.format(location="occurrence.txt", core="", media="")
        .replace('<id index="0"/>', "")
        .replace('<coreid index="0"/>', "")
    )
    with zipfile.ZipFile(archive, "w") as changed:
        for name in ("occurrence.txt", "multimedia.txt"):
            changed.writestr(name, "")
        changed.writestr("meta.xml", text)
    with pytest.raises(ArchiveError, match="gbifID"):
        read_layout(archive)


def test_what_is_no_zip_is_refused(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"<html>not found</html>")
    with pytest.raises(ArchiveError, match="no zip archive"):
        tables(make_settings, tmp_path / "a.zip")


EXPECTED: dict[str, tuple[int, int, int] | str] = {
    "dwca/gbif_download_amblyomma_inat.zip": (1310, 1362, 0),
    "dwca/gbif_download_0000066-140928181241064.zip": (470, 215, 0),
    "dwca/gbif_download_0011066-200127171203522.zip": "no meta.xml; ask GBIF for the format DWCA",
    "dwca/pdr_gbif-results.zip": "no multimedia.txt, so no photographs",
    "dwca/pdr_gbif-results-lacks-s-metadata.zip": "no multimedia.txt, so no photographs",
    "dwca/pipelines_archive_with_extensions.zip": "has the core http://rs.tdwg.org/dwc/terms/Taxon",
    "dwca/multimedia_only_lycorma_inat.txt": "no zip archive",
    "dwca/multimedia_only_robitt_all_rights_reserved.txt": "no zip archive",
    "dwca/robitt_meta.xml": "no zip archive",
    "inat/inaturalist-taxonomy.dwca_taxa.csv": "no zip archive",
    "inat/observations_dwca.csv": "no zip archive",
    "inat/observations_export.csv": "no zip archive",
    "inat/open-data_observations.csv": "no zip archive",
    "inat/open-data_observers.csv": "no zip archive",
    "inat/open-data_photos.csv": "no zip archive",
    "inat/open-data_taxa.csv": "no zip archive",
}
"""Every recorded file: rows of occurrences, of media, and rejections; or the words of the refusal."""


def test_every_recorded_file_has_an_expected_outcome(shared: Path) -> None:
    folders = (shared / "gbif" / "dwca", shared / "gbif" / "inat")
    assert {f"{each.parent.name}/{each.name}" for folder in folders for each in folder.iterdir()} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_recorded_archives_load_or_are_refused_with_the_reason(
    make_settings: Callable[..., Settings], shared: Path, name: str
) -> None:
    path, outcome = shared / "gbif" / name, EXPECTED[name]
    if isinstance(outcome, str):
        with pytest.raises(ArchiveError, match=re.escape(outcome)):
            tables(make_settings, path)
        return
    settings, _ = tables(make_settings, path)
    assert tuple(count(settings.paths.table(table)) for table in ("occurrences", "media", "rejections")) == outcome
    # The same numbers, and the same values, by parting the bytes at line ends and tabs.
    lines = {each: plain(path, f"{each}.txt") for each in ("occurrence", "multimedia")}
    assert (len(lines["occurrence"]), len(lines["multimedia"])) == outcome[:2]
    assert column(settings, "occurrences", "occurrence_key") == [each["gbifID"].strip() for each in lines["occurrence"]]
    assert column(settings, "occurrences", "scientific_name") == [
        each["scientificName"].strip() or None for each in lines["occurrence"]
    ]
    assert column(settings, "media", "url") == [each["identifier"].strip() or None for each in lines["multimedia"]]
    assert column(settings, "media", "position") == list(range(outcome[1]))


def plain(archive: Path, name: str) -> list[dict[str, str]]:
    """The lines of a member under its header."""
    with zipfile.ZipFile(archive) as members:
        header, *lines = members.read(name).decode().removesuffix("\n").split("\n")
    return [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]


def column(settings: Settings, table: str, name: str) -> list[Any]:
    return [row[name] for row in pq.read_table(settings.paths.table(table), columns=[name]).to_pylist()]


@pytest.mark.parametrize("name", ["multimedia_only_lycorma_inat.txt", "multimedia_only_robitt_all_rights_reserved.txt"])
def test_recorded_multimedia_under_a_recorded_description_loads(
    make_settings: Callable[..., Settings], shared: Path, tmp_path: Path, name: str
) -> None:
    folder = shared / "gbif" / "dwca"
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(folder / "robitt_meta.xml", "meta.xml")
        archive.writestr("occurrence.txt", "only a header\n")
        archive.write(folder / name, "multimedia.txt")
    settings, _ = tables(make_settings, tmp_path / "a.zip")
    lines = plain(tmp_path / "a.zip", "multimedia.txt")
    assert column(settings, "media", "url") == [each["identifier"].strip() or None for each in lines]
    assert column(settings, "media", "occurrence_key") == [each["gbifID"].strip() for each in lines]


def test_an_archive_says_which_download_it_is_and_the_table_carries_it(
    make_settings: Callable[..., Settings], shared: Path
) -> None:
    settings, _ = tables(make_settings, shared / "gbif" / "dwca" / "gbif_download_amblyomma_inat.zip")
    record = SourceRecord.read(settings.paths)
    citation = "GBIF.org (16 July 2020) GBIF Occurrence Download https://doi.org/10.15468/dl.4gbcs6"
    assert (record.key, record.doi, record.citation) == ("0022697-200613084148143", "10.15468/dl.4gbcs6", citation)
    assert record.created == "2020-07-16T05:24:18Z"
    facts = pq.read_metadata(settings.paths.table("occurrences")).metadata
    assert facts[b"gbif_download_key"] == b"0022697-200613084148143"
    assert facts[b"gbif_doi"] == b"10.15468/dl.4gbcs6"
    assert facts[b"citation"] == citation.encode()


def test_an_archive_older_than_dois_is_known_by_its_key(make_settings: Callable[..., Settings], shared: Path) -> None:
    settings, _ = tables(make_settings, shared / "gbif" / "dwca" / "gbif_download_0000066-140928181241064.zip")
    record = SourceRecord.read(settings.paths)
    assert (record.key, record.doi) == ("0000066-140928181241064", None)
    assert record.citation is not None
    assert "0000066-140928181241064" in record.citation


def test_an_archive_without_metadata_is_known_by_its_content(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings, _ = tables(make_settings, make_archive(tmp_path / "a.zip"))
    record = SourceRecord.read(settings.paths)
    assert record.key == f"archive-{record.sha256[:16]}"
    assert (record.doi, record.citation) == (None, None)
    assert record.origin == "the archive a.zip, which does not say how to cite it"


def test_an_unchanged_archive_is_neither_copied_nor_read_again(
    make_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make_archive(tmp_path / "a.zip")
    settings, _ = tables(make_settings, archive)
    first = SourceRecord.read(settings.paths)
    kept = settings.paths.data_root / first.archive
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.gbif.source.shutil.copyfile", pytest.fail)
        patch.setattr("pipeline.files.sha256_of", pytest.fail)
        number = kept.stat().st_ino
        assert fetch_source(settings, api=Api("http://127.0.0.1:9/v1"), log=lambda _: None) == first
        assert kept.stat().st_ino == number
    archive.unlink()
    make_archive(archive, [ROW, {**ROW, "gbifID": "8"}])
    tables(make_settings, archive)
    assert count(settings.paths.table("occurrences")) == 2
    assert SourceRecord.read(settings.paths).sha256 != first.sha256


def test_where_files_cannot_be_linked_they_are_copied(
    make_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    settings, row = tables(make_settings, make_archive(tmp_path / "a.zip"))
    assert row["occurrence_key"] == "7"
    kept = settings.paths.data_root / SourceRecord.read(settings.paths).archive
    number = kept.stat().st_ino
    fetch_source(settings, api=Api("http://127.0.0.1:9/v1"), log=lambda _: None)
    assert kept.stat().st_ino == number


def test_of_two_columns_of_one_name_the_first_counts(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    archive = redescribed(
        tmp_path / "a.zip",
        lambda text: text.replace("http://rs.tdwg.org/dwc/terms/locality", "http://purl.org/dc/terms/SPECIES"),
    )
    assert tables(make_settings, archive)[1]["species"] == "Nestor notabilis"


def test_a_killed_build_leaves_nothing_that_the_next_one_keeps(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings, _ = tables(make_settings, make_archive(tmp_path / "a.zip"))
    left = settings.paths.work("occurrences") / "occurrence.txt"
    left.parent.mkdir(parents=True)
    left.write_text("half of a text")
    build_occurrences(settings.paths, settings)
    assert not left.parent.exists()


def test_what_the_rules_judge_besides_is_read_from_an_archive(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    more = {
        "occurrenceStatus": " absent ", "individualCount": "0.0", "year": "2014", "identificationQualifier": "cf.",
        "verbatimScientificName": "Nestor cf. notabilis", "eventDate": "",
    }  # fmt: skip
    _, row = tables(make_settings, make_archive(tmp_path / "a.zip", [{**ROW, **more}], columns=(*ROW, *more)))
    assert (row["occurrence_status"], row["individual_count"], row["event_date"]) == ("ABSENT", 0.0, "2014")
    assert (row["verbatim_name"], row["identification_qualifier"]) == ("Nestor cf. notabilis", "cf.")


def test_numbers_that_are_none_are_unknown(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    more = {"individualCount": "many", "year": "2014", "eventDate": "2013-05-01"}
    _, row = tables(make_settings, make_archive(tmp_path / "a.zip", [{**ROW, **more}], columns=(*ROW, *more)))
    assert (row["individual_count"], row["event_date"]) == (None, "2013-05-01")


PLACED = {
    "decimalLatitude": "-36.8", "decimalLongitude": "174.7", "coordinateUncertaintyInMeters": "28505.0",
    "informationWithheld": " Coordinates obscured ", "recordedBy": "Moa Müller",
}  # fmt: skip


def placed(make_settings: Callable[..., Settings], tmp_path: Path, **more: str) -> dict[str, Any]:
    row = {**ROW, **PLACED, **more}
    return tables(make_settings, make_archive(tmp_path / "a.zip", [row], columns=tuple(row)))[1]


def test_where_and_by_whom_is_read_from_an_archive(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    row = placed(make_settings, tmp_path)
    assert (row["decimal_latitude"], row["decimal_longitude"]) == (-36.8, 174.7)
    assert (row["coordinate_uncertainty_m"], row["information_withheld"]) == (28505.0, "Coordinates obscured")
    assert re.fullmatch("[0-9a-f]{16}", row["observer"])


@pytest.mark.parametrize(("latitude", "longitude"), [("NaN", "174.7"), ("\u221243.5", "170,2"), ("-36.8", "inf")])
def test_coordinates_that_are_no_numbers_have_the_issue_that_gbif_has_for_them(
    make_settings: Callable[..., Settings], tmp_path: Path, latitude: str, longitude: str
) -> None:
    row = placed(
        make_settings, tmp_path, decimalLatitude=latitude, decimalLongitude=longitude, issue="COORDINATE_ROUNDED"
    )
    assert None in {row["decimal_latitude"], row["decimal_longitude"]}
    assert row["issue"] == "COORDINATE_ROUNDED;COORDINATE_INVALID"


def test_one_person_is_one_pseudonym_in_a_scope_and_another_in_the_next(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    names = ["Moa Müller", " moa  MÜLLER", "Moa Mu\u0308ller", "Moa Miller", "", "Anonymous", "n/a", "unknown"]
    rows = [{**ROW, "gbifID": str(number), "recordedBy": name} for number, name in enumerate(names)]
    archive = make_archive(tmp_path / "a.zip", rows, columns=tuple(rows[0]))
    found = []
    for scope in ("here", "there"):
        settings, _ = tables(functools.partial(make_settings, name=scope), archive)
        found.append(pq.read_table(settings.paths.table("occurrences"))["observer"].to_pylist())
    here, there = found
    assert len(set(here[:3])) == 1
    assert here[3] not in {here[0], None}
    assert here[4:] == [None] * 4
    assert not set(here[:4]) & set(there[:4]), "no list of one scope's pseudonyms tells who is who in another"


def test_a_name_is_in_no_table(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "a.zip", [{**ROW, **PLACED}], columns=(*ROW, *PLACED))
    settings, _ = tables(make_settings, archive)
    for table in settings.paths.tables.glob("*.parquet"):
        assert "Moa" not in str(pq.read_table(table).to_pylist()), table.name
    assert not settings.paths.work("occurrences").exists()
