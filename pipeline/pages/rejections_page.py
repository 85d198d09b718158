"""The page of what was left out, and the same as CSV: every rule in words, with examples that lead to the record."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from pipeline.dataset.manifest import DatasetManifest
from pipeline.files import write_bytes
from pipeline.gbif.source import SourceRecord
from pipeline.pages.document import Link, render
from pipeline.pages.rule_meanings import MEANING, STAGES, rows_in_words
from pipeline.pages.web_addresses import photo_address, record_address
from pipeline.paths import Paths
from pipeline.photos.index import SIZED
from pipeline.query import rows, to_csv
from pipeline.rejections import counts

EXAMPLES: Final = 10
"""Rows that the page shows of each rule; the CSV has all."""
_LINE: Final = ("stage", "key", "rule", "detail")
"""The columns of `rejections.parquet`, all text."""
_COLUMNS: Final = ("species or name", "detail", "record", "photograph")
_INPUTS: Final = ("rejections", "occurrences", "clean_occurrences", "media", "photos")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What one rule left out."""

    name: str
    meaning: str
    rows: int
    in_words: str
    """`2 records`."""
    columns: list[str]
    examples: list[list[object]]
    """Cells of the columns."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What one stage left out, rule by rule."""

    name: str
    title: str
    rules: list[Rule]

    @property
    def overview(self) -> list[list[object]]:
        """One row per rule: its name, leading to its examples, what it left out, and what it means."""
        return [
            [Link(text=rule.name, href=f"#{self.name}-{rule.name.replace(' ', '-')}"), rule.in_words, rule.meaning]
            for rule in self.rules
        ]


def left_out(manifest: DatasetManifest, *, page: str = "rejections.html") -> list[list[object]]:
    """One row per rule: its name, leading to its examples, what it left out, and what it means.

    Args:
        manifest: The dataset version.
        page: Where the page of rejections lies, seen from the page that shows the rows.
    """
    return [
        [
            Link(text=rule.replace("_", " "), href=f"{page}#{stage}-{rule.replace('_', '-')}"),
            rows_in_words(stage, rule, number),
            MEANING.get(rule),
        ]
        for stage, rules in manifest.rejections.items()
        for rule, number in rules.items()
    ]


def write_rejections_csv(paths: Paths) -> Path:
    """Write `reports/dataset/rejections.csv`: one line per row of `rejections.parquet`.

    Columns: kind (record or photograph), occurrence_key, photo_id, species, stage, rule, meaning, detail,
    photo_address. A key that the row does not have is empty. Text that a spreadsheet would take for a formula begins
    with an apostrophe.

    Raises:
        TableError: a table is missing.
    """
    meanings = pa.table({"rule": list(MEANING), "meaning": list(MEANING.values())})
    inputs = {name: paths.table(name) for name in _INPUTS}
    return to_csv(
        "rejection_records",
        inputs={**inputs, "meanings": meanings},
        output=paths.reports / "dataset" / "rejections.csv",
        sized=SIZED,
        spreadsheet=True,
    )


def build_rejections_page(paths: Paths, source: SourceRecord, *, frame: dict[str, object]) -> Path:
    """Write `reports/dataset/rejections.html` and the CSV beside it.

    Args:
        paths: The files of the scope.
        source: Where the records came from; decides where they lead.
        frame: What `base.html` shows: scope, dataset_version, date, pages.

    Returns:
        The page.

    Raises:
        TableError: a table is missing.
    """
    write_rejections_csv(paths)
    stages = _stages(paths, source)
    html = render(
        "rejections.html",
        **frame,
        sections=[Link(text=stage.title, href=f"#{stage.name}") for stage in stages],
        stages=stages,
        total=sum(rule.rows for stage in stages for rule in stage.rules),
        most=EXAMPLES,
        source=source,
    )
    return write_bytes(paths.reports / "dataset" / "rejections.html", html.encode())


def _stages(paths: Paths, source: SourceRecord) -> list[Stage]:
    inputs = {name: paths.table(name) for name in ("occurrences", "clean_occurrences", "media", "photos")}
    examples = rows("rejection_examples", inputs={"rejections": paths.table("rejections")}, most=EXAMPLES)
    lines = pa.Table.from_pylist(examples, schema=pa.schema([(name, pa.string()) for name in _LINE]))
    meanings = pa.table({"rule": list(MEANING), "meaning": list(MEANING.values())})
    found = rows(
        "rejection_records",
        inputs={**inputs, "rejections": lines, "meanings": meanings},
        sized=SIZED,
        spreadsheet=False,
    )
    return [
        Stage(
            name=stage,
            title=STAGES[stage][0],
            rules=[
                _rule(
                    stage, rule, number, [one for one in found if (one["stage"], one["rule"]) == (stage, rule)], source
                )
                for rule, number in rules.items()
            ],
        )
        for stage, rules in counts(paths).items()
    ]


def _rule(stage: str, rule: str, number: int, found: list[dict[str, Any]], source: SourceRecord) -> Rule:
    examples = [_cells(one, source) for one in found]
    # Records have no photograph, and lines of the archive neither.
    used = [name for place, name in enumerate(_COLUMNS) if any(cells[place] for cells in examples)]
    return Rule(
        name=rule.replace("_", " "),
        meaning=MEANING.get(rule, ""),
        rows=number,
        in_words=rows_in_words(stage, rule, number),
        columns=used,
        examples=[[cells[_COLUMNS.index(name)] for name in used] for cells in examples],
    )


def _cells(row: dict[str, Any], source: SourceRecord) -> list[object]:
    occurrence, photo = row["occurrence_key"], row["photo_id"]
    return [
        row["species"],
        row["detail"],
        occurrence and Link(text=occurrence, href=record_address(source, occurrence)),
        photo and Link(text=photo, href=photo_address(source, row["photo_address"])),
    ]
