"""What was left out, in words, with links to the record: as a page and as CSV."""

import csv
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.config.settings import Settings
from pipeline.gbif.source import SourceRecord
from pipeline.pages.rejections_page import EXAMPLES, build_rejections_page, write_rejections_csv
from pipeline.pages.rule_meanings import MEANING
from pipeline.query import count
from pipeline.rejections import write_rejections
from tests.pipeline.dataset.test_manifest import built
from tests.pipeline.tiny import read, write

__all__ = ["built"]

FRAME: dict[str, object] = {"scope": "test", "dataset_version": "abc", "date": "2026-11-26", "pages": ()}


@pytest.fixture
def listed(built: Settings) -> Settings:
    """Rejections of every kind: an archive's line, records, a photograph of the index, two of the ledger."""
    paths = built.paths
    lines = {"key": ["occurrence.txt:7", "multimedia.txt:9"], "rule": ["unreadable_line"] * 2, "detail": ["", ""]}
    write_rejections(paths, "occurrences", pa.table(lines))
    media = [
        {"occurrence_key": "3", "position": 0, "url": "https://static.inaturalist.org/photos/77/large.png"},
        {"occurrence_key": "5", "position": 0, "url": "https://static.inaturalist.org/photos/88/large.jpg"},
        {"occurrence_key": "4", "position": 0, "url": "https://static.inaturalist.org/photos/88/original.jpg"},
    ]
    write(paths, "media", media)
    photos = read(paths.table("photos"))
    photos[1] |= {"photo_id": "88", "occurrence_key": "4", "url": "https://static.inaturalist.org/photos/88/large.jpg"}
    write(paths, "photos", photos)
    index = {
        "key": ["77", "88", "7"],
        "rule": ["not_jpeg", "duplicate_address", "no_photo"],
        "detail": ["image/png", "already there for occurrence 4", "Turdus s1"],
    }
    write_rejections(paths, "photo_index", pa.table(index))
    return built


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_the_csv_names_every_row_with_what_it_was(listed: Settings) -> None:
    found = table(write_rejections_csv(listed.paths))
    assert len(found) == count(listed.paths.table("rejections"))
    assert list(found[0]) == [
        "kind", "occurrence_key", "photo_id", "species", "stage", "rule", "meaning", "detail", "photo_address",
    ]  # fmt: skip
    told = {(row["stage"], row["rule"]): row for row in found}
    assert all(row["meaning"] == MEANING[row["rule"]] for row in found)
    assert [(row["kind"], row["detail"]) for row in found if row["stage"] == "occurrences"] == [
        ("photograph", "multimedia.txt:9"),
        ("record", "occurrence.txt:7"),
    ]
    record = told["clean_occurrences", "above_species"]
    assert (record["kind"], record["occurrence_key"], record["photo_id"]) == ("record", "40", "")
    png = told["photo_index", "not_jpeg"]
    assert (png["kind"], png["occurrence_key"], png["photo_id"], png["species"]) == (
        "photograph", "3", "77", "Turdus s1",
    )  # fmt: skip
    assert png["photo_address"] == "https://www.inaturalist.org/photos/77"
    copy = told["photo_index", "duplicate_address"]
    assert copy["occurrence_key"] == "5", "the copy was left out, not the photograph that is kept for occurrence 4"
    note = told["photo_index", "no_photo"]
    assert (note["kind"], note["occurrence_key"], note["photo_id"]) == ("record", "7", "")
    gone = told["photos", "gone"]
    assert (gone["kind"], gone["occurrence_key"], gone["photo_id"]) == ("photograph", "0", "p0")


def test_no_cell_of_the_csv_is_a_formula(listed: Settings) -> None:
    detail = pa.table({"key": ["p0"], "rule": ["gone"], "detail": ['=HYPERLINK("http://evil.test")']})
    write_rejections(listed.paths, "photos", detail)
    (row,) = [row for row in table(write_rejections_csv(listed.paths)) if row["stage"] == "photos"]
    assert row["detail"] == '\'=HYPERLINK("http://evil.test")'


def test_the_page_explains_each_rule_and_leads_to_examples(listed: Settings) -> None:
    keys = [f"p{key}" for key in range(1, 30)]
    write_rejections(
        listed.paths, "species", pa.table({"key": keys, "rule": ["species_cap"] * 29, "detail": ["enough"] * 29})
    )
    html = build_rejections_page(listed.paths, SourceRecord.read(listed.paths), frame=FRAME).read_text("utf-8")
    assert MEANING["above_species"] in html
    assert '<a href="https://www.gbif.org/occurrence/40">40</a>' in html
    assert '<a href="https://www.inaturalist.org/photos/77">77</a>' in html
    assert "There are 29 photographs; these are" in html
    assert html.count('<td class="sentence">enough</td>') == EXAMPLES
    assert 'href="rejections.csv"' in html


def test_nothing_left_out_is_a_page_too(built: Settings) -> None:
    nothing = pa.table({name: pa.array([], pa.string()) for name in ("key", "rule", "detail")})
    for stage in ("clean_occurrences", "photo_index", "photos", "species"):
        write_rejections(built.paths, stage, nothing)
    html = build_rejections_page(built.paths, SourceRecord.read(built.paths), frame=FRAME).read_text("utf-8")
    assert "Nothing was left out." in html
    assert table(built.paths.reports / "dataset" / "rejections.csv") == []
