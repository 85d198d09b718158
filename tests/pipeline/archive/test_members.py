"""An archive is read wherever its files lie in the zip; only what is read of it is judged."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pipeline.archive.description import read_layout, verify_archive
from pipeline.config.settings import Settings
from pipeline.errors import ArchiveError
from pipeline.gbif.client import Api
from pipeline.gbif.source import SourceRecord, fetch_source
from pipeline.query import count
from tests.pipeline.archives import ROW, described, make_archive, redescribed, tables

Make = Callable[..., Settings]


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, bytes]:
    """The members of a good archive."""
    with zipfile.ZipFile(make_archive(tmp_path / "whole.zip")) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, members: Mapping[str, bytes | str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "place",
    ["{}", "0000001-261126000000000/{}", "a b/c [1]/{}", "./{}", "/{}", "0000001-261126000000000\\{}", "C:\\data\\{}"],
)
def test_all_members_may_lie_below_one_folder(
    make_settings: Make, tmp_path: Path, whole: dict[str, bytes], place: str
) -> None:
    litter = {"__MACOSX/a/._meta.xml": b"resource fork", "a b/.DS_Store": b"", "__MACOSX/meta.xml": b"x"}
    archive = packed(tmp_path / "a.zip", {**{place.format(name): whole[name] for name in whole}, **litter})
    settings, row = tables(make_settings, archive)
    assert row["species"] == "Nestor notabilis"
    assert count(settings.paths.table("media")) == 1


def test_the_description_nearest_to_the_root_is_the_archives(tmp_path: Path, whole: dict[str, bytes]) -> None:
    archive = packed(tmp_path / "a.zip", {**whole, "dataset/meta.xml": b"<archive/>"})
    assert read_layout(archive).occurrence.location == "occurrence.txt"


def test_two_archives_in_one_are_refused_by_name(tmp_path: Path, whole: dict[str, bytes]) -> None:
    both = {f"{folder}/{name}": content for folder in ("a", "b") for name, content in whole.items()}
    with pytest.raises(ArchiveError, match=r"several archives: a/meta\.xml, b/meta\.xml"):
        read_layout(packed(tmp_path / "a.zip", both))


def test_an_archive_in_an_archive_is_told(tmp_path: Path, whole: dict[str, bytes]) -> None:
    inner = packed(tmp_path / "inner.zip", whole).read_bytes()
    with pytest.raises(ArchiveError, match=r"another archive, data/inner\.zip: unpack it"):
        read_layout(packed(tmp_path / "a.zip", {"data/inner.zip": inner}))


@pytest.mark.parametrize(("same", "refused"), [(True, False), (False, True)])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_must_be_the_same(
    tmp_path: Path, whole: dict[str, bytes], *, same: bool, refused: bool
) -> None:
    archive = packed(tmp_path / "a.zip", whole)
    with zipfile.ZipFile(archive, "a") as more:
        more.writestr("meta.xml", whole["meta.xml"] if same else b"<archive/>")
    if refused:
        with pytest.raises(ArchiveError, match=r"holds meta\.xml 2 times"):
            read_layout(archive)
    else:
        read_layout(archive)


VERBATIM = """<extension rowType="http://rs.gbif.org/terms/1.0/Multimedia" encoding="{encoding}"><files>
<location>{location}</location></files><coreid index="0"/><field index="1" term="http://purl.org/dc/terms/identifier"/>
</extension>"""


@pytest.mark.parametrize(
    ("location", "encoding"),
    [("verbatim/gbif_multimedia.txt", "UTF-8"), ("verbatim/multimedia.txt", "latin-1"), ("../elsewhere.txt", "UTF-8")],
)
@pytest.mark.parametrize("first", [True, False])
def test_the_interpreted_multimedia_is_taken_and_the_other_not_judged(
    make_settings: Make, tmp_path: Path, whole: dict[str, bytes], location: str, encoding: str, *, first: bool
) -> None:
    meta, more = whole["meta.xml"].decode(), VERBATIM.format(location=location, encoding=encoding)
    place = "<extension" if first else "</archive>"
    changed = meta.replace(place, more + place, 1)
    archive = packed(
        tmp_path / "a.zip", {**whole, "meta.xml": changed, location: "gbifID\tx\n7\thttp://x.test/v.jpg\n"}
    )
    assert read_layout(archive).multimedia.location == "multimedia.txt"
    assert count(tables(make_settings, archive)[0].paths.table("media")) == 1


def test_a_file_in_a_folder_of_the_archive_is_read(
    make_settings: Make, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    meta = whole["meta.xml"].decode().replace(">occurrence.txt<", ">./data/occurrence.txt<")
    members = {**whole, "meta.xml": meta.encode(), "data/occurrence.txt": whole["occurrence.txt"]}
    del members["occurrence.txt"]
    assert tables(make_settings, packed(tmp_path / "a.zip", members))[1]["occurrence_key"] == "7"


def test_two_interpreted_multimedia_are_refused(tmp_path: Path, whole: dict[str, bytes]) -> None:
    more = VERBATIM.format(location="other.txt", encoding="UTF-8")
    meta = whole["meta.xml"].decode().replace("</archive>", more + "</archive>")
    with pytest.raises(ArchiveError, match="describes multimedia 2 times"):
        read_layout(packed(tmp_path / "a.zip", {**whole, "meta.xml": meta, "other.txt": ""}))


def damaged(archive: Path, name: str) -> None:
    """Change a byte in the middle of a member's content."""
    with zipfile.ZipFile(archive) as opened:
        info = opened.getinfo(name)
    content = bytearray(archive.read_bytes())
    content[info.header_offset + 30 + len(name) + info.compress_size // 2] ^= 0xFF
    archive.write_bytes(content)


def test_what_is_not_read_is_not_judged(
    make_settings: Make, tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    unused = {"verbatim.txt": b"gbifID\n" * 1000, "../evil.txt": b"", "dataset/1.xml": b"<!DOCTYPE x>"}
    archive = packed(tmp_path / "a.zip", {**whole, **unused})
    damaged(archive, "verbatim.txt")
    monkeypatch.setattr("pipeline.archive.members.MOST_BYTES", 5000)
    verify_archive(archive)
    tables(make_settings, archive)
    damaged(archive, "occurrence.txt")
    with pytest.raises(ArchiveError, match=r"occurrence\.txt is damaged"):
        verify_archive(archive)


def test_a_citation_that_cannot_be_read_leaves_the_records(
    make_settings: Make, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    archive = packed(tmp_path / "a.zip", {**whole, "metadata.xml": b"<eml><dataset><title>cut off"})
    settings = make_settings(source={"mode": "archive", "archive": str(archive)})
    said: list[str] = []
    record = fetch_source(settings, api=Api("http://127.0.0.1:9/v1"), log=said.append)
    assert (record.citation, record.doi) == (None, None)
    assert "how to cite the archive stays unknown" in said[0]


def test_a_description_in_utf_16_is_read_and_its_entities_refused(tmp_path: Path, whole: dict[str, bytes]) -> None:
    meta = whole["meta.xml"].decode()
    wide = f'<?xml version="1.0" encoding="UTF-16"?>{meta}'.encode("utf-16")
    assert read_layout(packed(tmp_path / "a.zip", {**whole, "meta.xml": wide})).occurrence.columns == tuple(ROW)
    hidden = f'<!DOCTYPE a [<!ENTITY b "b">]>{meta}'.encode("utf-16")
    with pytest.raises(ArchiveError, match="declares entities"):
        read_layout(packed(tmp_path / "b.zip", {**whole, "meta.xml": hidden}))
    with pytest.raises(ArchiveError, match="neither UTF-8 nor UTF-16"):
        read_layout(packed(tmp_path / "c.zip", {**whole, "meta.xml": meta.encode("utf-16-le")}))


def test_a_description_with_a_byte_order_mark_is_read(tmp_path: Path, whole: dict[str, bytes]) -> None:
    marked = b"\xef\xbb\xbf" + whole["meta.xml"]
    read_layout(packed(tmp_path / "a.zip", {**whole, "meta.xml": marked}))


@pytest.mark.parametrize(
    ("ending", "fits"), [("\\n", True), ("\\r\\n", True), ("\n", True), ("\\r", False), ("|", False)]
)
def test_lines_end_with_a_line_feed(tmp_path: Path, ending: str, *, fits: bool) -> None:
    archive = redescribed(
        tmp_path / "a.zip", lambda text: text.replace("<core ", f'<core linesTerminatedBy="{ending}" ')
    )
    if fits:
        read_layout(archive)
    else:
        with pytest.raises(ArchiveError, match="ends its lines with"):
            read_layout(archive)


def test_a_core_without_an_id_is_known_by_its_gbif_id_column(tmp_path: Path, whole: dict[str, bytes]) -> None:
    meta = whole["meta.xml"].decode().replace('<id index="0"/>', "").replace('<coreid index="0"/>', "")
    assert read_layout(packed(tmp_path / "a.zip", {**whole, "meta.xml": meta})).occurrence.key == 0


OWN_COLUMNS = ("id", "scientificName", "taxonRank", "kingdom")


def test_an_export_of_other_software_is_told_early_and_loses_its_rows_for_the_true_reason(
    make_settings: Make, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    columns = described(OWN_COLUMNS).replace('<field index="0" term="http://rs.tdwg.org/dwc/terms/id"/>', "")
    meta = whole["meta.xml"].decode().replace(described(tuple(ROW)), columns)
    text = "\t".join(OWN_COLUMNS) + "\n7\tNestor notabilis\tspecies\tAnimalia\n"
    archive = packed(tmp_path / "a.zip", {**whole, "meta.xml": meta, "occurrence.txt": text})
    settings = make_settings(source={"mode": "archive", "archive": str(archive)})
    said: list[str] = []
    fetch_source(settings, api=Api("http://127.0.0.1:9/v1"), log=said.append)
    assert "is no GBIF download" in said[0]
    assert "missing_species_key" in said[0]


def test_the_users_own_file_keeps_its_mode_and_its_bytes(make_settings: Make, tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "a.zip")
    archive.chmod(0o440)
    settings, _ = tables(make_settings, archive)
    assert archive.stat().st_mode & 0o777 == 0o440
    kept = settings.paths.data_root / SourceRecord.read(settings.paths).archive
    assert sorted(path.name for path in kept.parent.iterdir()) == ["archive.zip", "archive.zip.sha256.json"]


def test_an_archive_whose_disk_is_away_is_used_from_here(make_settings: Make, tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "a.zip")
    settings, _ = tables(make_settings, archive)
    first = SourceRecord.read(settings.paths)
    archive.unlink()
    said: list[str] = []
    assert fetch_source(settings, api=Api("http://127.0.0.1:9/v1"), log=said.append) == first
    assert "going on with" in said[0]
