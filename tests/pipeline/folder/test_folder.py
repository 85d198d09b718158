"""One's own photographs are one's own: read as spreadsheets write them, judged like all others, nothing invented."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from ml.spec import RANKS
from pipeline.config.settings import Settings, load_settings
from pipeline.dataset.manifest import DatasetManifest, balance
from pipeline.definitions import defs
from pipeline.errors import FolderError
from pipeline.fetching.own_photographs import read_photos
from pipeline.folder.labelled_records import file_of, media_of, occurrence_of
from pipeline.folder.listing import write_listing
from pipeline.folder.table import NEEDED, OPTIONAL, read_table
from pipeline.gbif.source import SourceRecord
from tests.pipeline import tiny
from tests.pipeline.dataset.test_pack import jpeg

KEA = ("Animalia", "Chordata", "Aves", "Psittaciformes", "Strigopidae", "Nestor", "Nestor notabilis")
MULBERRY = ("Plantae", "Tracheophyta", "Magnoliopsida", "Rosales", "Moraceae", "Morus", "Morus alba")
HEADER = ",".join(NEEDED)


def line(path: str, lineage: tuple[str, ...] = KEA, *further: str, by: str = ",") -> str:
    return by.join((path, *lineage, *further))


def values(**given: str) -> dict[str, str]:
    """A row of the kea with the given columns."""
    return {**dict.fromkeys((*NEEDED, *OPTIONAL), ""), **dict(zip(RANKS, KEA, strict=True)), "path": "kea.jpg", **given}


class TestTable:
    """What spreadsheets and people write is read."""

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_encodings_delimiters_and_line_ends(self, tmp_path: Path, encoding: str, delimiter: str, end: str) -> None:
        header = delimiter.join((" Path", "KINGDOM ", *RANKS[1:], "Rights Holder", "License", "Rank", ""))
        body = [line("bilder/kéa 1.jpg", KEA, f'"Moa{delimiter} Müller"', "CC-BY", "1", "", by=delimiter), "", ""]
        body += [line("2.jpg", KEA, "", "", "", "", "", by=delimiter), delimiter * 11]
        path = tmp_path / "photos.csv"
        path.write_bytes(end.join((header, *body)).encode(encoding))
        table = read_table(path)
        assert (table.delimiter, table.unused) == (delimiter, ("rank",))
        first, second = table.rows()
        assert first.values["path"] == "bilder/kéa 1.jpg"
        assert first.values["rights_holder"] == " ".join(f"Moa{delimiter} Müller".split())
        assert [first.values[name] for name in ("species", "licence", "country")] == ["Nestor notabilis", "CC-BY", ""]
        assert second.values["path"] == "2.jpg"
        assert (first.problem, second.problem) == (None, None)

    def test_a_spreadsheet_may_say_its_separator_and_write_decimal_commas(self, tmp_path: Path) -> None:
        path = tmp_path / "photos.csv"
        path.write_text(f"sep=;\n{HEADER.replace(',', ';')};latitude\n{line('1.jpg', KEA, '-36,8', by=';')}\n")
        (row,) = read_table(path).rows()
        assert row.values["latitude"] == "-36.8"
        assert row.line == 3

    def test_blanks_around_and_within_names_make_no_second_taxon(self, tmp_path: Path) -> None:
        path = tmp_path / "photos.csv"
        path.write_text(f"{HEADER}\n{line('1.jpg', (*KEA[:-1], ' Nestor   notabilis'))}\n")
        (row,) = read_table(path).rows()
        assert row.values["species"] == "Nestor notabilis"

    def test_a_line_of_another_length_says_so(self, tmp_path: Path) -> None:
        path = tmp_path / "photos.csv"
        path.write_text(f"{HEADER}\n1.jpg,Animalia\n{line('2.jpg', KEA, 'more')}\n")
        assert [row.problem for row in read_table(path).rows()] == [
            "2 fields under 8 columns",
            "9 fields under 8 columns",
        ]

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "has no column path, kingdom, .*; its first line has nothing"),
            (b"path,species\n1.jpg,Nestor notabilis\n", "has no column kingdom, phylum"),
            (f"{HEADER},Path\n".encode(), "has the column path twice"),
            (HEADER.encode("utf-16-le"), "no text in a known encoding; save it as CSV in UTF-8"),
            (bytes(range(256)), "no text in a known encoding"),
            (f'{HEADER}\n"1.jpg,Animalia\n'.encode(), "line 2: .*check the quotation marks"),
            (f'{HEADER}\n"1.jpg"x,Animalia\n'.encode(), "line 2: .*check the quotation marks"),
        ],
    )
    def test_what_is_no_such_table_is_one_sentence(self, tmp_path: Path, content: bytes, said: str) -> None:
        path = tmp_path / "photos.csv"
        path.write_bytes(content)
        with pytest.raises(FolderError, match=said):
            list(read_table(path).rows())

    def test_a_table_that_is_not_there_or_a_folder_is_one_sentence(self, tmp_path: Path) -> None:
        for path in (tmp_path / "absent.csv", tmp_path):
            with pytest.raises(FolderError, match=r"source\.folder"):
                read_table(path)

    def test_terms_of_darwin_core_are_read_where_the_plain_column_is_not_there(self, tmp_path: Path) -> None:
        terms = (
            "decimalLatitude",
            "decimal_longitude",
            "coordinateUncertaintyInMeters",
            "eventDate",
            "recordedBy",
            "countryCode",
        )
        (tmp_path / "terms.csv").write_text(
            f"{HEADER},{','.join(terms)}\n{line('1.jpg', KEA, '-36.8', '174.7', '5', '2021', 'Moa', 'NZ')}\n"
        )
        table = read_table(tmp_path / "terms.csv")
        (row,) = table.rows()
        plain = ("latitude", "longitude", "coordinate_uncertainty_m", "event_date", "recorded_by", "country")
        assert [row.values[name] for name in plain] == ["-36.8", "174.7", "5", "2021", "Moa", "NZ"]
        assert table.unused == ()
        (tmp_path / "both.csv").write_text(f"{HEADER},country,countryCode\n{line('1.jpg', KEA, 'NZ', 'AU')}\n")
        table = read_table(tmp_path / "both.csv")
        (row,) = table.rows()
        assert (row.values["country"], table.unused) == ("NZ", ("countrycode",))


class TestRecords:
    """A row becomes a record; what it does not say stays blank."""

    def test_nothing_is_invented(self) -> None:
        record = occurrence_of(values())
        blank = ("countryCode", "eventDate", "decimalLatitude", "decimalLongitude")
        assert [record[name] for name in blank] == [None] * 4
        assert not {"datasetKey", "license", "references", "occurrenceID"} & set(record)
        media = media_of(values(), record, folder=Path("/nowhere"))
        assert (media["license"], media["rightsHolder"], media["creator"]) == (None, None, None)

    def test_what_the_table_says_is_kept(self) -> None:
        record = occurrence_of(values(country="AU", event_date="2020-01-02", latitude="-33", observation_id="7"))
        kept = ("countryCode", "eventDate", "decimalLatitude", "decimalLongitude", "catalogNumber")
        assert [record[name] for name in kept] == ["AU", "2020-01-02", "-33", None, "7"]

    def test_where_and_by_whom_is_kept_and_changes_no_key(self) -> None:
        record = occurrence_of(values(coordinate_uncertainty_m="12", information_withheld="place", recorded_by="Moa"))
        kept = ("coordinateUncertaintyInMeters", "informationWithheld", "recordedBy")
        assert [record[name] for name in kept] == ["12", "place", "Moa"]
        assert record["gbifID"] == occurrence_of(values())["gbifID"]

    def test_photographs_of_one_observation_share_its_record(self) -> None:
        one, two = (occurrence_of(values(path=path, observation_id="7")) for path in ("1.jpg", "2.jpg"))
        assert one == two
        alone = {occurrence_of(values(path=path))["catalogNumber"] for path in ("1.jpg", "2.jpg")}
        assert len(alone) == 2

    def test_keys_come_from_the_lineage(self) -> None:
        kea, mulberry = (occurrence_of(values(**dict(zip(RANKS, lineage, strict=True)))) for lineage in (KEA, MULBERRY))
        gannet = occurrence_of(values(family="Sulidae", genus="Morus", species="Morus serrator"))
        assert kea["kingdomKey"] == gannet["kingdomKey"] != mulberry["kingdomKey"]
        assert gannet["genusKey"] != mulberry["genusKey"]
        assert kea["speciesKey"] == occurrence_of(values(order="", family="Psittacidae"))["speciesKey"]
        synonym = occurrence_of(values(source_name="Psittacus notabilis"))
        assert (synonym["taxonomicStatus"], synonym["acceptedTaxonKey"]) == ("SYNONYM", kea["taxonKey"])
        assert synonym["taxonKey"] != kea["taxonKey"]

    @pytest.mark.parametrize(
        ("written", "there"),
        [
            ("a\\b c.jpg", "a/b c.jpg"),
            ("ke\u0301a.jpg", "k\u00e9a.jpg"),
            ("k\u00e9a.jpg", "ke\u0301a.jpg"),
            ("100%#1?.jpg", "100%#1?.jpg"),
            ("../mine.jpg", "../mine.jpg"),
        ],
    )
    def test_a_path_is_found_as_other_systems_write_it(self, tmp_path: Path, written: str, there: str) -> None:
        folder = tmp_path / "table"
        folder.mkdir()
        file = folder / there
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"photograph")
        address = media_of(values(path=written), occurrence_of(values()), folder=folder)["identifier"]
        assert address is not None
        assert "#" in address
        assert file_of(address, folder=folder).samefile(file)

    def test_another_content_is_another_photograph_and_a_moved_folder_the_same(self, tmp_path: Path) -> None:
        addresses = []
        for folder, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "kea.jpg").write_bytes(content)
            addresses.append(media_of(values(), occurrence_of(values()), folder=tmp_path / folder)["identifier"])
        assert addresses[0] == addresses[1] != addresses[2]


def test_a_table_of_which_no_file_is_there_says_where_it_looked(settings: Settings, tmp_path: Path) -> None:
    table = tmp_path / "photos.csv"
    table.write_text(f"{HEADER}\n{line('1.jpg')}\n{line('2.jpg')}\n")
    with pytest.raises(FolderError, match=f"names 2 files, and none can be read; paths begin in {tmp_path}"):
        write_listing(settings.paths, table, log=lambda _: None)
    table.write_text(f"{HEADER}\n")
    with pytest.raises(FolderError, match="names no photograph"):
        write_listing(settings.paths, table, log=lambda _: None)
    assert not list(settings.paths.downloads.rglob("*.gz"))


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Ten photographs of two species with all that can be wrong with a row, through ingest and dataset."""
    folder = tmp_path_factory.mktemp("own")
    mine = folder / "mine"
    (mine / "kea").mkdir(parents=True)
    lines = [f"{HEADER},licence,latitude"]
    for number in range(10):
        lineage, path = (KEA, f"kea/{number}.jpg") if number % 2 else (MULBERRY, f"{number}.jpg")
        (mine / path).write_bytes(jpeg(64, 48, seed=number))
        lines.append(line(path, lineage, "CC-BY" if number else "", "-36.8" if number else ""))
    (mine / "both.jpg").write_bytes(jpeg(64, 48, seed=77))
    (mine / "broken.jpg").write_bytes(jpeg(64, 48, seed=78)[:-200])
    (mine / "page.jpg").write_bytes(b"<html>")
    (mine / "drawing.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (mine / "folder.jpg").mkdir()
    os.mkfifo(mine / "pipe.jpg")
    (mine / "large.jpg").write_bytes(b"\xff\xd8\xff" + bytes(100_000))
    names = ("broken.jpg", "page.jpg", "drawing.png", "folder.jpg", "pipe.jpg", "large.jpg", "gone.jpg", "n" * 300, "")
    lines += [line(name, KEA, "", "") for name in names]
    lines += [line("both.jpg", KEA, "", ""), line("both.jpg", MULBERRY, "", ""), line("kea\\1.jpg", KEA, "", "")]
    lines += ["short,row", line("genus.jpg", (*KEA[:-1], ""), "", ""), ""]
    (mine / "photos.csv").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    (folder / "scope.yaml").write_text(
        f"name: own\ndata_root: {folder}/data\nsource: {{mode: folder, folder: {mine}/photos.csv}}\n"
        "photos: {max_bytes: 50000}\n"
    )
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setenv("NATUREWATCH_CONFIG", str(folder / "scope.yaml"))
        job = defs.resolve_implicit_global_asset_job_def()
        chosen = dg.AssetSelection.groups("ingest", "dataset")
        keys = sorted(chosen.resolve(defs.resolve_asset_graph()))
        assert job.execute_in_process(asset_selection=keys, instance=instance, raise_on_error=True).success
        yield load_settings()


def test_every_row_is_a_photograph_or_has_a_reason(ingested: Settings) -> None:
    paths = ingested.paths
    assert balance(paths) == []
    ledger = {row["url"].split("#")[0]: row["status"] for row in tiny.read(paths.table("photos"))}
    assert sum(status == "ok" for status in ledger.values()) == 10
    found = {name: ledger[f"file:{name}"] for name in ("broken.jpg", "page.jpg", "folder.jpg", "large.jpg", "gone.jpg")}
    assert found == {
        "broken.jpg": "corrupt",
        "page.jpg": "not_jpeg",
        "folder.jpg": "gone",
        "large.jpg": "too_large",
        "gone.jpg": "gone",
    }
    assert (ledger[f"file:{'n' * 300}"], ledger["file:pipe.jpg"]) == ("failed", "gone")
    rules = [(row["stage"], row["rule"]) for row in tiny.read(paths.table("rejections"))]
    assert rules.count(("photo_index", "conflicting_address")) == 2
    assert rules.count(("photo_index", "duplicate_address")) == 1
    assert ("photo_index", "no_address") in rules
    assert ("photo_index", "not_jpeg") in rules
    assert ("clean_occurrences", "above_species") in rules
    (unread,) = (row for row in tiny.read(paths.table("rejections")) if row["rule"] == "unreadable_line")
    assert unread["detail"] == "photos.csv, line 24: 2 fields under 10 columns"


def test_no_place_date_licence_key_or_doi_is_invented(ingested: Settings) -> None:
    paths = ingested.paths
    occurrences = tiny.read(paths.table("occurrences"))
    for column in ("dataset_key", "country", "event_date", "licence", "decimal_longitude"):
        assert {row[column] for row in occurrences} == {None}
    assert {row["decimal_latitude"] for row in occurrences} == {None, -36.8}
    assert {row["checklist_key"] for row in occurrences} == {"own"}
    licences = {row["url"].split("#")[0]: row["licence"] for row in tiny.read(paths.table("attribution"))}
    assert licences["file:0.jpg"] == "unknown"
    assert licences["file:2.jpg"] == "CC-BY"
    record, manifest = SourceRecord.read(paths), DatasetManifest.read(paths)
    assert (record.doi, record.citation, record.licence) == (None, None, None)
    assert (manifest.doi, manifest.citation, manifest.download_key, manifest.checklist_key) == (None, None, None, "own")
    assert manifest.source.startswith("own photographs listed in photos.csv (SHA-256 ")
    page = (paths.reports / "dataset" / "index.html").read_text()
    assert "own photographs listed in photos.csv" in page
    footer = pq.read_schema(paths.table("occurrences")).metadata
    assert footer[b"origin"] == manifest.source.encode()
    assert not {b"gbif_doi", b"gbif_download_key", b"citation"} & set(footer)
    assert (paths.tables / "derived_dataset.csv").read_text() == "dataset_key,count\n"
    for word in ("GBIF", "doi.org"):
        assert word not in json.dumps(manifest.model_dump(mode="json"))


def test_bodies_are_copies_that_leave_the_files_alone(ingested: Settings) -> None:
    assert ingested.source.folder is not None
    mine = ingested.source.folder.parent
    for row in tiny.read(ingested.paths.table("photos")):
        if row["status"] == "ok":
            kept, own = ingested.data_root / row["path"], file_of(row["url"], folder=mine)
            assert kept.read_bytes() == own.read_bytes()
            assert not kept.samefile(own)
            assert own.stat().st_nlink == 1


def test_another_run_reads_nothing_but_what_failed(ingested: Settings) -> None:
    said: list[str] = []
    before = ingested.paths.table("split").read_bytes()
    summary = read_photos(ingested.paths, ingested, log=said.append)
    assert said[0].startswith("7 of 17 photographs are to be read")
    assert (summary.requests, summary.statuses["ok"]) == (0, 10)
    assert ingested.paths.table("split").read_bytes() == before


def test_own_addresses_are_refused_from_any_other_source(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    from pipeline.photos.index import build_photo_index  # noqa: PLC0415 (only here)

    (tmp_path / "photos.csv").touch()
    clean = [tiny.occurrence("1")]
    media = [{"occurrence_key": "1", "position": 0, "url": "file:secret.jpg#0", "type": "StillImage"}]
    own = make_settings(source={"mode": "folder", "folder": tmp_path / "photos.csv"})
    for settings, kept in ((make_settings(), 0), (own, 1)):
        tiny.write(settings.paths, "clean_occurrences", clean)
        tiny.write(settings.paths, "media", media)
        assert len(tiny.read(build_photo_index(settings.paths, settings))) == kept
