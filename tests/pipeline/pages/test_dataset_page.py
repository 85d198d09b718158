"""The dataset page: one file with everything in it, for the taxa that were asked for."""

import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.config.settings import Settings
from pipeline.dataset.attribution import build_attribution, keep_attribution
from pipeline.dataset.clean import RULES as OCCURRENCE_RULES
from pipeline.dataset.manifest import build_manifest
from pipeline.dataset.species import RULES as PHOTO_RULES
from pipeline.errors import TableError
from pipeline.history.taxonomy_history import build_taxonomy_history
from pipeline.pages.charts import licences, long_tail, observation_map, rejections_chart, species_per_class
from pipeline.pages.dataset_page import MEANING, build_dataset_page
from pipeline.pages.photo_sheets import contact_sheet, leaked_pairs, taxon_sheets
from pipeline.paths import Paths
from pipeline.photos.index import RULES as INDEX_RULES
from pipeline.rejections import write_rejections
from pipeline.tables import CONTRACTS
from tests.pipeline.dataset.test_manifest import built
from tests.pipeline.dataset.test_pack import jpeg
from tests.pipeline.tiny import read, write

__all__ = ["built"]

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def whole(built: Settings) -> Settings:
    """The tiny dataset with all that the page reads."""
    build_taxonomy_history(built.paths, built)
    build_attribution(built.paths)
    build_manifest(built.paths, built)
    return built


def test_the_page_needs_no_other_file(whole: Settings) -> None:
    sides = {row["split"]: row for row in read(whole.paths.table("split"))}
    pair = {f"{side}_{name}": row[key] for side, row in sides.items() for name, key in (("photo", "photo_id"),
            ("class", "class_id"))}  # fmt: skip
    write(whole.paths, "leakage", [{**pair, "distance": 3}])
    counts = build_manifest(whole.paths, whole).counts
    page = build_dataset_page(whole.paths, whole)
    html = page.html.read_text(encoding="utf-8")
    assert set(re.findall(r'(?:src|href)="([^",]*)', html)) == {"data:image/png;base64"}
    assert html.count("<img") == len(page.pictures) >= 7
    assert re.search(rf"1 of {counts['validation']} validation photographs\s+\({1 / counts['validation']:.2%}\)", html)
    assert MEANING["above_species"] in html
    assert "38" in html
    assert {path.suffix for path in page.html.parent.iterdir()} == {".html", ".png", ".svg"}


def test_a_taxon_is_chosen_by_name_or_by_key(whole: Settings) -> None:
    (by_name,) = taxon_sheets(whole.paths, taxa=["Turdus s1"])
    (by_key,) = taxon_sheets(whole.paths, taxa=["k1"])
    assert by_name == by_key
    assert by_name.title.startswith("Turdus s1 (species of Turdus): 1 species, ")
    (family,) = taxon_sheets(whole.paths)
    assert family.title == "Turdidae (family of Passeriformes): 2 species, 38 photographs"


def test_photographs_that_have_vanished_end_no_picture(whole: Settings, caplog: pytest.LogCaptureFixture) -> None:
    for path in (whole.data_root / "photos").rglob("*.jpg"):
        path.unlink()
    for draw in (contact_sheet, lambda paths: taxon_sheets(paths, taxa=["Aves"])[0].picture):
        caplog.clear()
        assert draw(whole.paths).read_bytes().startswith(PNG)
        assert "is left out of a sheet: No such file" in caplog.text


def test_sheets_of_another_time_are_removed(whole: Settings) -> None:
    build_dataset_page(whole.paths, whole, taxa=["Turdus s0", "Turdus s1"])
    page = build_dataset_page(whole.paths, whole, taxa=["Aves"])
    assert len(list(page.html.parent.glob("taxon-*.png"))) == 1


def test_homonyms_are_both_shown(whole: Settings) -> None:
    rows = read(whole.paths.table("taxonomy"))
    rows[-1]["name"] = rows[-2]["name"]
    write(whole.paths, "taxonomy", rows)
    assert len(taxon_sheets(whole.paths, taxa=[rows[-1]["name"]])) == 2


def test_a_taxon_that_is_not_there_is_named(whole: Settings) -> None:
    with pytest.raises(TableError, match="has no taxon Morus"):
        build_dataset_page(whole.paths, whole, taxa=["Aves", "Morus"])


DRAWN = [contact_sheet, long_tail, rejections_chart, species_per_class, observation_map, licences, leaked_pairs]


@pytest.mark.parametrize("draw", DRAWN)
def test_pictures_are_drawn_the_same_each_time(whole: Settings, draw: Callable[[Paths], Path]) -> None:
    file = draw(whole.paths)
    picture = file.read_bytes()
    assert picture.startswith(PNG)
    file.unlink()
    assert draw(whole.paths).read_bytes() == picture


@pytest.mark.parametrize("draw", DRAWN)
def test_a_picture_is_drawn_once(
    whole: Settings, draw: Callable[[Paths], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = draw(whole.paths)
    monkeypatch.setattr("pipeline.pages.figures._png", None)
    assert draw(whole.paths) == file


def test_a_picture_is_drawn_again_when_what_it_shows_has_changed(whole: Settings) -> None:
    sheet, chart = contact_sheet(whole.paths), rejections_chart(whole.paths)
    before = sheet.read_bytes(), chart.read_bytes()
    for row in read(whole.paths.table("split")):
        (whole.data_root / row["path"]).write_bytes(jpeg(90, 90, seed=7))
    lines = {"key": ["p0", "p1"], "rule": ["gone", "corrupt"], "detail": ["HTTP 404", ""]}
    write_rejections(whole.paths, "photos", pa.table(lines))
    after = contact_sheet(whole.paths).read_bytes(), rejections_chart(whole.paths).read_bytes()
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
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; (family of Passeriformes)" in html


@pytest.mark.parametrize("places", [[(None, None)], [(-176.5, -44.0), (174.7, -36.8)], [(0.0, 90.0)]])
def test_a_map_of_anywhere(whole: Settings, places: list[tuple[float | None, float | None]]) -> None:
    rows = read(whole.paths.table("clean_occurrences"))
    for number, row in enumerate(rows):
        row["decimal_longitude"], row["decimal_latitude"] = places[number % len(places)]
    write(whole.paths, "clean_occurrences", rows)
    assert observation_map(whole.paths).read_bytes().startswith(PNG)


def test_what_is_owed_to_others_is_kept_for_each_version(whole: Settings) -> None:
    manifest = build_manifest(whole.paths, whole)
    folder = keep_attribution(whole.paths, version=manifest.dataset_version)
    assert {path.name for path in folder.iterdir()} == {"attribution.parquet", "dataset.json", "derived_dataset.csv"}
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
