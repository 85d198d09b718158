"""The species of the dataset as a table that people search: its rows, a compact form for the page's script, a CSV."""

import csv
import io
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from ml.spec import NETWORK_TITLES, DocumentError, TrainResult
from pipeline.files import write_bytes
from pipeline.pages.web_addresses import Catalogue
from pipeline.paths import Paths
from pipeline.query import rows

PLAIN: Final = 500
"""Rows that the page holds as HTML, for readers without script and for search engines; the script knows all."""
_log = logging.getLogger(__name__)
_NOTHING: Final = pa.schema([("photo_id", pa.string()), ("predicted_class_id", pa.int32())]).empty_table()


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A network that was measured on the validation photographs of the dataset."""

    network: str
    predictions: Path
    """`validation.parquet`: photo_id, class_id, predicted_class_id, ..."""
    top1: float


@dataclass(frozen=True, kw_only=True)
class SpeciesTable:
    """All species, and whose accuracy is shown with them."""

    rows: list[dict[str, Any]]
    """species, genus, family, class, taxon_key, train, validation, correct (None: not measured), in order of names."""
    network: str | None
    """Its title for people; None where no network was measured."""

    def packed(self, found_at: Catalogue) -> dict[str, Any]:
        """What the script of the page reads: lists instead of objects, each group of taxa once.

        Returns:
            `groups`: [family, class] pairs; `rows`: [species, group, train, validation, correct, key, genus], the last
            two 0 where they follow from the rest; `gbif` and `by_key`: see `Catalogue`; `network`.
        """
        groups = {pair: place for place, pair in enumerate(dict.fromkeys((r["family"], r["class"]) for r in self.rows))}
        return {
            "groups": list(groups),
            "rows": [
                [
                    row["species"],
                    groups[row["family"], row["class"]],
                    row["train"],
                    row["validation"],
                    row["correct"],
                    (row["taxon_key"] or 0) if found_at.by_key else 0,
                    0 if row["species"].startswith(f"{row['genus']} ") else row["genus"],
                ]
                for row in self.rows
            ],
            "gbif": found_at.prefix,
            "by_key": found_at.by_key,
            "network": self.network,
        }

    def write_csv(self, path: Path) -> Path:
        """Write the table for spreadsheets and statistics: one row per species."""
        text = io.StringIO()
        names = ("species", "genus", "family", "class", "taxon_key", "train", "validation", "correct")
        writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return write_bytes(path, text.getvalue().encode())


def species_table(paths: Paths) -> SpeciesTable:
    """The species of the dataset, with the accuracy of its best network where one was trained.

    Raises:
        TableError: `taxonomy.parquet` or `split.parquet` is missing.
    """
    best = best_measured(paths)
    inputs = {name: paths.table(name) for name in ("taxonomy", "split")}
    found = rows("species_list", inputs={**inputs, "predictions": best.predictions if best else _NOTHING})
    titles = {str(name): title for name, title in NETWORK_TITLES.items()}
    titles["production"] = "the network of the last refresh"
    return SpeciesTable(rows=found, network=titles.get(best.network, best.network) if best else None)


def best_measured(paths: Paths) -> Measured | None:
    """The network with the highest validation accuracy among those measured on this very dataset; None without one.

    Results of other datasets lie in the same folders: only those count that judged every validation photograph of
    this split under its label.

    Raises:
        TableError: `split.parquet` is missing.
    """
    found = []
    for file in sorted(paths.model("_", "_").parent.parent.glob("*/*/result.json")):
        try:
            result = TrainResult.read(file)
        except DocumentError as error:
            _log.warning("the species table does without a network's accuracy: %s", error)
            continue
        if result.predictions.exists() and _of_this_dataset(paths, result.predictions):
            network = file.parent.parent.name
            found.append(Measured(network=network, predictions=result.predictions, top1=result.metrics["top1"]))
    return max(found, key=lambda one: one.top1, default=None)


def _of_this_dataset(paths: Paths, predictions: Path) -> bool:
    inputs = {"split": paths.table("split"), "predictions": predictions}
    (row,) = rows("same_photographs", inputs=inputs)
    return bool(row["wanted"] and row["wanted"] == row["found"])
