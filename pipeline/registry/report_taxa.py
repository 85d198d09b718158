"""The report's table of taxa: how well the version does on every taxon, for people and for the page's script."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.comparison.wording import percent
from pipeline.files import write_bytes
from pipeline.pages.web_addresses import Catalogue
from pipeline.paths import Paths
from pipeline.query import rows
from pipeline.registry.reported_version import ReportedVersion

Row = dict[str, Any]

NO_ANSWERS: Final = pa.schema(
    [("photo_id", pa.string()), ("depth", pa.int32()), ("answer_right", pa.bool_())]
).empty_table()
"""The answers of a version that was not put to the exam."""
COLUMNS: Final = (
    "rank", "name", "taxon_key", "species", "train", "validation", "recognised", "within", "answered", "answer_depth",
    "right_answers", "confused_with", "confused_times",
)  # fmt: skip
"""Columns of the CSV: rows of `taxon_accuracy.sql`."""


@dataclass(frozen=True, kw_only=True)
class TaxonTable:
    """All taxa of the dataset, and what the version made of their validation photographs."""

    rows: list[Row]
    """Of `taxon_accuracy.sql`, in preorder: a taxon stands before what is below it."""

    @property
    def answered(self) -> int:
        """Photographs of the exam that the version answered."""
        return sum(row["answered"] for row in self.rows if row["depth"] == 1)

    def packed(self, found_at: Catalogue) -> dict[str, Any]:
        """What the script of the page reads: lists instead of objects, each rank once.

        Args:
            found_at: Where GBIF shows the taxa.

        Returns:
            `ranks`; `rows`: [depth, rank, name, species, train, judged, recognised, within, answered, mean depth,
            right answers, confused with, times, key], `confused with` and the key 0 where there is none; `gbif` and
            `by_key`: see `Catalogue`.
        """
        ranks = {rank: place for place, rank in enumerate(dict.fromkeys(row["rank"] for row in self.rows))}
        return {
            "ranks": list(ranks),
            "rows": [
                [
                    row["depth"], ranks[row["rank"]], row["name"], row["species"], row["train"], row["judged"],
                    row["recognised"], row["within"], row["answered"], round(row["answer_depth"] or 0, 2),
                    row["right_answers"], row["confused_with"] or 0, row["confused_times"],
                    (row["taxon_key"] or 0) if found_at.by_key else 0,
                ]
                for row in self.rows
            ],
            "gbif": found_at.prefix,
            "by_key": found_at.by_key,
        }  # fmt: skip

    def shown(self, most: int) -> list[Row]:
        """The first rows as the page writes them without a script: numbers in words, `right` and `within` as shares."""
        return [
            row | {
                "right": _share(row["recognised"], row["judged"]),
                "in_taxon": _share(row["within"], row["judged"]),
                "mean_depth": None if row["answer_depth"] is None else f"{row['answer_depth']:.2f}",
                "confused": f"{row['confused_with']} ({row['confused_times']:,})" if row["confused_times"] else None,
            }
            for row in self.rows[:most]
        ]  # fmt: skip

    def write_csv(self, path: Path) -> Path:
        """Write the table for spreadsheets and statistics: one row per taxon."""
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=COLUMNS, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(self.rows)
        return write_bytes(path, text.getvalue().encode())


def taxon_table(paths: Paths, predictions: Path, version: ReportedVersion) -> TaxonTable:
    """Every taxon of the dataset, with what the version made of it.

    Args:
        paths: The files of the scope.
        predictions: `validation.parquet` of its training.
        version: Whose answers in the exam are looked for.

    Raises:
        TableError: `taxonomy.parquet` or `split.parquet` is missing.
    """
    inputs = {"taxonomy": paths.table("taxonomy"), "split": paths.table("split"), "predictions": predictions}
    answers: Path | pa.Table = exam_answers(paths, version) or NO_ANSWERS
    return TaxonTable(rows=rows("taxon_accuracy", inputs={**inputs, "answers": answers}))


def exam_answers(paths: Paths, version: ReportedVersion) -> Path | None:
    """What a version answered in the exam; None where it was not asked, or the number was another version's then."""
    folder = paths.exam_answers / "answers" / version.number
    raw, answers = folder / "raw.parquet", folder / "answers.parquet"
    if not (raw.exists() and answers.exists()):
        return None
    asked = (pq.read_schema(raw).metadata or {}).get(b"naturewatch.identity", b"").decode()
    return answers if asked == version.identity else None


def _share(part: int, whole: int) -> str | None:
    return percent(part / whole) if whole else None
