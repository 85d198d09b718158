"""Archives come from outside: the good load whatever their columns, the bad are refused with the reason."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipeline.config import Settings
from pipeline.errors import ArchiveError
from pipeline.gbif.archive import read_layout
from pipeline.gbif.http import Api
from pipeline.gbif.source import fetch_source
from pipeline.gbif.tables import BACKBONE, build_occurrences
from pipeline.query import count
from pipeline.rejections import counts
from pipeline.tables import check_table

META = """<archive xmlns="http://rs.tdwg.org/dwc/text/">
<core fieldsTerminatedBy="\\t" ignoreHeaderLines="1" rowType="http://rs.tdwg.org/dwc/terms/Occurrence">
<files><location>{location}</location></files><id index="0"/>{core}</core>
<extension fieldsTerminatedBy="\\t" ignoreHeaderLines="1" rowType="http://rs.gbif.org/terms/1.0/Multimedia">
<files><location>multimedia.txt</location></files><coreid index="0"/>{media}</extension></archive>"""
MEDIA = ("gbifID", "type", "format", "identifier")
ROW = {
    "gbifID": "7", "occurrenceID": "https://www.inaturalist.org/observations/4711", "species": "Nestor notabilis",
    "taxonKey": "Q2M4", "taxonRank": "species", "locality": 'the "kea corner', "license": "CC_BY_4_0",
}  # fmt: skip


def make_archive(
    path: Path,
    rows: list[dict[str, str]] | None = None,
    *,
    columns: tuple[str, ...] = tuple(ROW),
    location: str = "occurrence.txt",
    extra_lines: str = "",
) -> Path:
    def fields(names: tuple[str, ...]) -> str:
        return "".join(f'<field index="{i}" term="http://rs.tdwg.org/dwc/terms/{n}"/>' for i, n in enumerate(names))

    def text(names: tuple[str, ...], lines: list[dict[str, str]]) -> str:
        return "".join(
            "\t".join(line.get(name, "") for name in names) + "\n"
            for line in [dict(zip(names, names, strict=True)), *lines]
        )

    media = [
        {
            "gbifID": "7 ",
            "type": "StillImage",
            "format": "image/jpeg",
            "identifier": "http://x.test/photos/1/original.jpg",
        }
    ]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("meta.xml", META.format(location=location, core=fields(columns), media=fields(MEDIA)))
        archive.writestr("occurrence.txt", text(columns, rows if rows is not None else [ROW]) + extra_lines)
        archive.writestr("multimedia.txt", text(MEDIA, media))
    return path


def tables(make_settings: Callable[..., Settings], archive: Path) -> tuple[Settings, dict[str, Any]]:
    """Settings after the archive went through the road's first two steps, and its first occurrence."""
    settings = make_settings(source={"mode": "archive", "archive": str(archive)})
    fetch_source(settings, api=Api("http://127.0.0.1:9/v1"), log=lambda _: None)
    build_occurrences(settings.paths, settings)
    for name in ("occurrences", "media", "rejections"):
        assert check_table(name, settings.paths.table(name)) == []
    found = duckdb.connect().execute(f"select * from '{settings.paths.table('occurrences')}'")
    names = [column[0] for column in found.description or ()]
    return settings, dict(zip(names, found.fetchone() or (), strict=False))


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


@pytest.mark.parametrize("location", ["../occurrence.txt", "/etc/passwd", "a/b.txt", "..", "a\\b.txt"])
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


@pytest.mark.parametrize(
    ("archive", "occurrences", "refusal"),
    [
        ("gbif_download_amblyomma_inat.zip", 1310, None),
        ("gbif_download_0000066-140928181241064.zip", 470, None),
        ("gbif_download_0011066-200127171203522.zip", 0, "no meta.xml"),
        ("pdr_gbif-results.zip", 0, "no multimedia"),
        ("pdr_gbif-results-lacks-s-metadata.zip", 0, "no multimedia"),
        ("pipelines_archive_with_extensions.zip", 0, "has the core"),
    ],
)
def test_recorded_archives_load_or_are_refused_with_the_reason(
    make_settings: Callable[..., Settings], shared: Path, archive: str, occurrences: int, refusal: str | None
) -> None:
    path = shared / "gbif" / "dwca" / archive
    if refusal is not None:
        with pytest.raises(ArchiveError, match=refusal):
            tables(make_settings, path)
        return
    settings, _ = tables(make_settings, path)
    assert count(settings.paths.table("occurrences")) == occurrences
