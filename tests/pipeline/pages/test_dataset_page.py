"""The dataset page: what it says, what it shows and of whom, for the taxa that were asked for."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.config.settings import Settings
from pipeline.dataset.attribution import KEPT_TABLES, keep_attribution
from pipeline.dataset.clean import RULES as OCCURRENCE_RULES
from pipeline.dataset.manifest import build_manifest
from pipeline.dataset.species import RULES as PHOTO_RULES
from pipeline.errors import TableError
from pipeline.files import write_json
from pipeline.gbif.source import SourceRecord
from pipeline.pages.charts import licences, long_tail, observation_map, rejections_chart, species_per_class
from pipeline.pages.dataset_page import build_dataset_page
from pipeline.pages.photo_grids import taxon_grids
from pipeline.pages.photo_sheets import contact_sheet, leaked_pairs
from pipeline.pages.rule_meanings import MEANING
from pipeline.photos.index import RULES as INDEX_RULES
from pipeline.query import rows
from pipeline.rejections import write_rejections
from pipeline.tables import CONTRACTS
from tests.pipeline.dataset.test_manifest import built
from tests.pipeline.dataset.test_pack import jpeg
from tests.pipeline.pages.whole import leak, whole
from tests.pipeline.tiny import read, write

__all__ = ["built", "whole"]

PNG = b"\x89PNG\r\n\x1a\n"


def test_the_pages_need_nothing_from_outside(whole: Settings) -> None:
    leak(whole.paths)
    counts = build_manifest(whole.paths, whole).counts
    page = build_dataset_page(whole.paths, whole)
    html = page.html.read_text(encoding="utf-8")
    assert set(re.findall(r'src="([^",]*)', html)) == {"data:image/png;base64", "data:image/jpeg;base64"}
    assert re.search(rf"1 of {counts['validation']} validation photographs\s+\({1 / counts['validation']:.2%}\)", html)
    assert MEANING["above_species"] in html
    names = {"index.html", "rejections.html", "changes.html", "rejections.csv", "species.csv"}
    assert set(page.files) == names
    assert all(path.parent == page.html.parent and path.is_file() for path in page.files.values())
    for name in ("index.html", "rejections.html", "changes.html"):
        text = page.files[name].read_text(encoding="utf-8")
        beside = {href.split("#")[0] for href in re.findall(r'href="([^"#:]+[^":]*)"', text)}
        assert beside <= names, "the pages lead to each other, and to nothing that is not there"


def test_the_page_says_first_what_where_when_and_how_many(whole: Settings) -> None:
    html = build_dataset_page(whole.paths, whole).html.read_text(encoding="utf-8")
    (lead,) = re.findall(r'<p class="lead">(.*?)</p>', html, re.DOTALL)
    assert " ".join(lead.split()).startswith("38 photographs of 2 species, from 38 observations in NZ, made in 2024.")
    order = [html.index(f'id="{name}"') for name in ("species", "tail", "map", "left-out", "licences", "split")]
    assert order == sorted(order)


def test_a_doi_of_gbif_is_a_link_and_one_of_the_sample_is_not(whole: Settings) -> None:
    html = build_dataset_page(whole.paths, whole).html.read_text(encoding="utf-8")
    assert '<a href="https://doi.org/10.15468/dl.x">' in html
    assert "not citable" not in html
    record = json.loads(whole.paths.current_download.read_text())
    write_json(whole.paths.current_download, {**record, "doi": "10.21373/dl.x", "mode": "replica"})
    build_manifest(whole.paths, whole)
    html = build_dataset_page(whole.paths, whole).html.read_text(encoding="utf-8")
    assert "<strong>Sample, not citable.</strong>" in html
    assert "doi.org" not in html


def test_holder_and_licence_stand_under_every_photograph(whole: Settings) -> None:
    html = build_dataset_page(whole.paths, whole).html.read_text(encoding="utf-8")
    shown = re.findall(r'<img alt="([^"]+)" src="data:image/jpeg', html)
    owners = re.findall(r"<figcaption><em>([^<]+)</em><br>[^<]+<br>(.+)</figcaption>", html)
    assert len(shown) == len(owners) == 12
    assert all("Mary Smith, CC BY" in credit for _, credit in owners)
    assert [species for species, _ in owners] == shown


def test_only_openly_licensed_photographs_are_shown(whole: Settings) -> None:
    photos = read(whole.paths.table("photos"))
    for number, row in enumerate(photos):
        row["licence"] = (None, "all rights reserved", "unknown", "CC0")[number % 4]
    write(whole.paths, "photos", photos)
    (grid,) = taxon_grids(whole.paths, SourceRecord.read(whole.paths), photos=100)
    assert {photo.credit.text for photo in grid.photographs} == {"Mary Smith, CC0"}
    (every,) = taxon_grids(whole.paths, SourceRecord.read(whole.paths), photos=100, any_licence=True)
    assert len(every.photographs) == 38


def test_a_taxon_is_chosen_by_name_or_by_key(whole: Settings) -> None:
    source = SourceRecord.read(whole.paths)
    (by_name,) = taxon_grids(whole.paths, source, taxa=["Turdus s1"])
    (by_key,) = taxon_grids(whole.paths, source, taxa=["k1"])
    assert by_name == by_key
    assert by_name.title.startswith("Turdus s1 (species of Turdus): 1 species, ")
    (family,) = taxon_grids(whole.paths, source)
    assert family.title == "Turdidae (family of Passeriformes): 2 species, 38 photographs"


def test_the_taxa_of_a_page_stay_until_others_are_asked_for(whole: Settings) -> None:
    def titles(taxa: list[str] | None) -> list[str]:
        html = build_dataset_page(whole.paths, whole, taxa=taxa).html.read_text(encoding="utf-8")
        return re.findall(r"<h3>(\S+)", html)

    assert titles(["Aves"]) == ["Aves"]
    assert titles(None) == ["Aves"]
    assert titles([]) == ["Turdidae"]


def test_photographs_that_have_vanished_end_no_picture(whole: Settings, caplog: pytest.LogCaptureFixture) -> None:
    for path in (whole.data_root / "photos").rglob("*.jpg"):
        path.unlink()
    assert contact_sheet(whole.paths, whole).read_bytes().startswith(PNG)
    assert "is left out of a sheet: No such file" in caplog.text
    caplog.clear()
    assert "cannot be read" in build_dataset_page(whole.paths, whole).html.read_text(encoding="utf-8")
    assert "is left out of a sheet: No such file" in caplog.text


def test_sheets_of_earlier_versions_are_removed(whole: Settings) -> None:
    page = build_dataset_page(whole.paths, whole)
    old = page.html.with_name("taxon-13.png")
    old.touch()
    build_dataset_page(whole.paths, whole)
    assert not old.exists()


def test_homonyms_are_both_shown(whole: Settings) -> None:
    rows = read(whole.paths.table("taxonomy"))
    rows[-1]["name"] = rows[-2]["name"]
    write(whole.paths, "taxonomy", rows)
    assert len(taxon_grids(whole.paths, SourceRecord.read(whole.paths), taxa=[rows[-1]["name"]])) == 2


def test_a_taxon_that_is_not_there_is_named(whole: Settings) -> None:
    with pytest.raises(TableError, match="has no taxon Morus"):
        build_dataset_page(whole.paths, whole, taxa=["Aves", "Morus"])


CHARTS = [long_tail, rejections_chart, species_per_class, observation_map, licences]
SHEETS = [contact_sheet, leaked_pairs]
DRAWN: list[Callable[[Settings], Path]] = [
    *(lambda settings, draw=chart: draw(settings.paths) for chart in CHARTS),
    *(lambda settings, draw=sheet: draw(settings.paths, settings) for sheet in SHEETS),
]
NAMES = [draw.__name__ for draw in (*CHARTS, *SHEETS)]


@pytest.mark.parametrize("draw", DRAWN, ids=NAMES)
def test_pictures_are_drawn_the_same_each_time(whole: Settings, draw: Callable[[Settings], Path]) -> None:
    file = draw(whole)
    picture = file.read_bytes()
    assert picture.startswith(PNG)
    file.unlink()
    assert draw(whole).read_bytes() == picture


@pytest.mark.parametrize("draw", DRAWN, ids=NAMES)
def test_a_picture_is_drawn_once(
    whole: Settings, draw: Callable[[Settings], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = draw(whole)
    monkeypatch.setattr("pipeline.pages.figures._png", None)
    assert draw(whole) == file


def test_a_picture_is_drawn_again_when_what_it_shows_has_changed(whole: Settings) -> None:
    sheet, chart = contact_sheet(whole.paths, whole), rejections_chart(whole.paths)
    before = sheet.read_bytes(), chart.read_bytes()
    for row in read(whole.paths.table("split")):
        (whole.data_root / row["path"]).write_bytes(jpeg(90, 90, seed=7))
    lines = {"key": ["p0", "p1"], "rule": ["gone", "corrupt"], "detail": ["HTTP 404", ""]}
    write_rejections(whole.paths, "photos", pa.table(lines))
    after = contact_sheet(whole.paths, whole).read_bytes(), rejections_chart(whole.paths).read_bytes()
    assert after[0] != before[0]
    assert after[1] != before[1]


def test_no_rejection_is_a_picture_too(make_settings: Callable[..., Settings]) -> None:
    paths = make_settings().paths
    write_rejections(paths, "photos", pa.table({name: pa.array([], pa.string()) for name in ("key", "rule", "detail")}))
    assert rejections_chart(paths).read_bytes().startswith(PNG)


def test_what_the_tables_say_is_escaped(whole: Settings) -> None:
    rows = read(whole.paths.table("taxonomy"))
    for row in rows:
        if row["rank"] == "family":
            row["name"] = "<script>alert(1)</script>"
    write(whole.paths, "taxonomy", rows)
    html = build_dataset_page(whole.paths, whole).html.read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; (family of Passeriformes)" in html


@pytest.mark.parametrize("places", [[(None, None)], [(-176.5, -44.0), (174.7, -36.8)], [(0.0, 90.0)]])
def test_a_map_of_anywhere(whole: Settings, places: list[tuple[float | None, float | None]]) -> None:
    written = read(whole.paths.table("clean_occurrences"))
    for number, row in enumerate(written):
        row["decimal_longitude"], row["decimal_latitude"] = places[number % len(places)]
    write(whole.paths, "clean_occurrences", written)
    assert observation_map(whole.paths).read_bytes().startswith(PNG)


def test_the_map_leaves_out_what_gbif_doubts(whole: Settings) -> None:
    written = read(whole.paths.table("clean_occurrences"))
    where = [(0.0, 0.0, None), (151.2, -33.9, "COORDINATE_ROUNDED;COUNTRY_COORDINATE_MISMATCH"), (174.7, -36.8, None)]
    for number, row in enumerate(written):
        row["decimal_longitude"], row["decimal_latitude"], row["issue"] = where[number % len(where)]
    write(whole.paths, "clean_occurrences", written)
    inputs = {name: whole.paths.table(name) for name in ("split", "clean_occurrences")}
    found = [(row["longitude"], row["latitude"]) for row in rows("observation_places", inputs=inputs)]
    assert found == [(174.7, -36.8)]


def test_what_is_owed_to_others_is_kept_for_each_version(whole: Settings) -> None:
    manifest = build_manifest(whole.paths, whole)
    folder = keep_attribution(whole.paths, version=manifest.dataset_version)
    kept = {f"{name}.parquet" for name in KEPT_TABLES}
    assert {path.name for path in folder.iterdir()} == {*kept, "dataset.json", "derived_dataset.csv"}
    assert "10.15468/dl.x" in (folder / "dataset.json").read_text()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    write(whole.paths, "attribution", [])
    other = keep_attribution(whole.paths, version="another")
    assert other != folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_every_rule_that_removes_a_row_is_explained() -> None:
    statuses = {*CONTRACTS["photos"].allowed["status"]} - {"ok"}
    read_rules = {"unreadable_line", "no_gbif_id"}
    assert {*read_rules, *OCCURRENCE_RULES, *INDEX_RULES, *statuses, *PHOTO_RULES} == set(MEANING)
