"""Small Darwin Core Archives, as GBIF writes them and otherwise, and what the pipeline makes of them."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from pipeline.config.settings import Settings
from pipeline.gbif.client import Api
from pipeline.gbif.occurrences import build_occurrences
from pipeline.gbif.source import fetch_source
from pipeline.table_checks import check_table

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


def described(names: tuple[str, ...]) -> str:
    """Columns by position, as meta.xml describes them."""
    return "".join(f'<field index="{i}" term="http://rs.tdwg.org/dwc/terms/{n}"/>' for i, n in enumerate(names))


def make_archive(
    path: Path,
    rows: list[dict[str, str]] | None = None,
    *,
    columns: tuple[str, ...] = tuple(ROW),
    location: str = "occurrence.txt",
    extra_lines: str = "",
) -> Path:
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
        archive.writestr("meta.xml", META.format(location=location, core=described(columns), media=described(MEDIA)))
        archive.writestr("occurrence.txt", text(columns, rows if rows is not None else [ROW]) + extra_lines)
        archive.writestr("multimedia.txt", text(MEDIA, media))
    return path


def tables(make_settings: Callable[..., Settings], archive: Path) -> tuple[Settings, dict[str, Any]]:
    """Settings after the archive went through the pipeline's first two steps, and its first occurrence."""
    settings = make_settings(source={"mode": "archive", "archive": str(archive)})
    fetch_source(settings, api=Api("http://127.0.0.1:9/v1"), log=lambda _: None)
    build_occurrences(settings.paths, settings)
    for name in ("occurrences", "media", "rejections"):
        assert check_table(name, settings.paths.table(name)) == []
    found = duckdb.connect().execute(f"select * from '{settings.paths.table('occurrences')}'")
    names = [column[0] for column in found.description or ()]
    return settings, dict(zip(names, found.fetchone() or (), strict=False))


def redescribed(path: Path, change: Callable[[str], str], *, drop: str = "") -> Path:
    """An archive whose meta.xml is changed, and one of whose members may be missing."""
    whole = make_archive(path.with_suffix(".whole"))
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as archive:
        for name in old.namelist():
            text = old.read(name).decode()
            if name != drop:
                archive.writestr(name, change(text) if name == "meta.xml" else text)
    return path
