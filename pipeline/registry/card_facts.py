"""What a model card is about: the numbers of one trained and calibrated network, read from its results and tables."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pyarrow.parquet as pq

from ml.spec import SIZE_METRIC, CalibrateResult, NetworkName, TrainResult
from pipeline.comparison.intervals import over_photographs
from pipeline.comparison.networks import NETWORKS
from pipeline.comparison.place_tables import place_rows
from pipeline.config.settings import Settings
from pipeline.dataset.attribution import licence_counts
from pipeline.dataset.manifest import DatasetManifest
from pipeline.gbif.source import SourceRecord
from pipeline.pages.species_table import SpeciesTable
from pipeline.pages.web_addresses import Catalogue, catalogue
from pipeline.production.production_specs import production_calibration
from pipeline.production.record import Production
from pipeline.query import rows

CONFUSED = 10
"""Pairs of species that the card names."""

Row = dict[str, Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class CardFacts:
    """One network of one dataset version."""

    settings: Settings
    manifest: DatasetManifest
    production: Production
    """Which training it is, and what it went on from."""
    training: TrainResult
    calibration: CalibrateResult
    species: SpeciesTable
    """All that it knows, with what it recognises of their validation photographs."""
    found_at: Catalogue
    """Where GBIF shows these species."""
    classes: list[Row]
    """Rows of `group_accuracy.sql` by taxonomic class, those with validation photographs; with `low` and `high`."""
    places: list[Row]
    """Rows of `place_accuracy.parquet`: what place and season are worth; none where it knows no places."""
    orders: list[Row]
    """The same by order."""
    sizes: list[Row]
    """group, value, photos, low and high: accuracy by the number of training photographs of a species."""
    confusions: list[Row]
    """species, other, times, photos (of the species), back (times the other way round), rank (that they share)."""
    licences: dict[str, int]
    """Photographs under each licence."""
    epochs: int
    """Epochs begun."""
    steps: int
    commit: str
    """The code's."""
    day: date

    @property
    def network(self) -> NetworkName:
        """What was trained."""
        return self.production.network

    @property
    def title(self) -> str:
        """The network's name for people."""
        return NETWORKS[self.network].title

    @property
    def known(self) -> int:
        """Species that the network can name."""
        return len(self.species.rows)

    @property
    def unjudged(self) -> int:
        """Species without a validation photograph."""
        return sum(row["correct"] is None for row in self.species.rows)


def card_facts(settings: Settings, manifest: DatasetManifest, *, production: Production, commit: str) -> CardFacts:
    """Gather everything that the card of a training says.

    Raises:
        ChildError: it is not trained and calibrated.
        TableError: a table is missing.
        GbifError: `download.json` is missing.
    """
    network, training = production.network, production.training(settings.paths)
    paths = settings.paths
    tree, predictions = paths.table("taxonomy"), training.predictions
    inputs = {"taxonomy": tree, "split": paths.table("split"), "predictions": predictions}
    species = SpeciesTable(rows=rows("species_list", inputs=inputs), network=NETWORKS[network].title)
    history = pq.read_table(training.history, columns=["epoch", "step"]).to_pylist()
    groups = {
        rank: rows("group_accuracy", inputs={"taxonomy": tree, "predictions": predictions}, rank=rank)
        for rank in ("class", "order")
    }
    calibration = production_calibration(settings, production)
    return CardFacts(
        settings=settings,
        manifest=manifest,
        production=production,
        training=training,
        calibration=calibration,
        species=species,
        found_at=catalogue(SourceRecord.read(paths), manifest.checklist_key),
        classes=_judged(groups["class"]),
        places=place_rows(calibration),
        orders=_judged(groups["order"]),
        sizes=_sizes(training),
        confusions=_confusions(training),
        licences=licence_counts(paths.table("attribution")),
        epochs=max((row["epoch"] for row in history), default=0),
        steps=max((row["step"] for row in history), default=0),
        commit=commit,
        day=datetime.now(UTC).date(),
    )


def _judged(groups: list[Row]) -> list[Row]:
    return [
        row | _interval(row["recognised"] / row["photos"], row["photos"])
        for row in groups
        if row["photos"]
    ]  # fmt: skip


def _interval(share: float, photos: int) -> dict[str, float | None]:
    estimate = over_photographs(share, photos=photos)
    return {"value": share, "low": estimate.low, "high": estimate.high}


def _sizes(training: TrainResult) -> list[Row]:
    chosen = [("metric", "=", SIZE_METRIC), ("side", "=", "validation")]
    found = pq.read_table(training.metrics_table, filters=chosen).to_pylist()
    return [row | _interval(row["value"], row["photos"]) for row in found]


def _confusions(training: TrainResult) -> list[Row]:
    """The pairs of species that are most often taken for each other, the more frequent direction first."""
    photos = Counter(pq.read_table(training.predictions, columns=["class_id"])["class_id"].to_pylist())
    found = []
    for pair in pq.read_table(training.confusions, filters=[("side", "=", "validation")]).to_pylist()[:CONFUSED]:
        one, other = (pair["class_id"], pair["name"]), (pair["other_class_id"], pair["other_name"])
        times, back = pair["taken_for_other"], pair["other_taken_for_it"]
        if back > times:
            one, other, times, back = other, one, back, times
        found.append(
            {"species": one[1], "other": other[1], "times": times, "photos": photos[one[0]], "back": back,
             "rank": pair["rank"]}
        )  # fmt: skip
    return found
