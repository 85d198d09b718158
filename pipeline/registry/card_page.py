"""The model card as one HTML file with its pictures and all species, from the template `model_card.html`."""

from typing import Final

from ml.spec import GroupPoint, OperatingPoint, WatchedTaxon, size_title
from pipeline.comparison.wording import between, percent, plain_percent
from pipeline.pages.document import render, sections
from pipeline.registry import card_words as words
from pipeline.registry.card_facts import CardFacts, Row

CAPTIONS: Final = {
    "Accuracy by rank": (
        "How often the most probable species is right, and how often at least its genus, family and so on are. "
        "Mistakes between close relatives show as a step between genus and species."
    ),
    "Accuracy by class size": (
        "Species with few training photographs are recognised less often. The distance between the validation and the "
        "training photographs is what the network has learnt by heart."
    ),
    "Training curves": (
        "The loss should fall and flatten. What the network reaches on photographs that it learns from is no measure "
        "of what it does on others."
    ),
    "Depth at each target accuracy": (
        "The more often answers should be right, the less precise they become. Up to the bend, safety costs little."
    ),
    "Accuracy and depth at each threshold": (
        "A higher threshold makes answers safer and less precise. Where the two halves of the validation side lie "
        "together, the choice carries over to new photographs."
    ),
    "Reliability of the stated probabilities": (
        "Points on the diagonal are probabilities that can be taken at their word; points below it are overconfident. "
        "Few photographs make long intervals."
    ),
}
"""What to see in the pictures of training and calibration, by title."""


def card_page(facts: CardFacts) -> str:
    """The whole document."""
    found, manifest = facts.calibration, facts.manifest
    promised = any(point.guaranteed or not point.reachable for point in found.points)
    pictures = {**facts.training.figures, **found.figures}
    return render(
        "model_card.html",
        scope=facts.settings.name,
        dataset_version=manifest.dataset_version,
        date=facts.day.isoformat(),
        model=facts.settings.registry.model_name,
        facts=facts,
        words=words,
        sections=sections(
            ("use", "Use"), ("answers", "Answers"), ("accuracy", "Accuracy"), ("confusions", "Confusions"),
            ("species", "Species"), ("limits", "Limits"), ("data", "Data and licences"), ("training", "Training"),
            ("cite", "How to cite"),
        ),
        headline=[
            ("species", facts.known),
            ("species right", percent(facts.training.metrics["top1"])),
            (f"right, asked for {plain_percent(found.target)}", percent(found.evaluation_accuracy)),
            ("mean depth then", f"{found.evaluation_depth:.2f} of 7"),
        ],
        points=[_point(point)[: 7 if promised else 6] for point in found.points],
        promised=promised,
        groups=[_group_point(group) for group in found.groups],
        watch=[_watched(taxon) for taxon in found.watch],
        classes=[_group(row) for row in facts.classes],
        orders=[_group(row) for row in facts.orders],
        sizes=[[size_title(row["group"]), row["photos"], *_right(row)] for row in facts.sizes],
        confusions=[_confusion(row) for row in facts.confusions],
        species=[_species(row) for row in facts.species],
        licences=[[row["licence"], row["photos"]] for row in facts.licences],
        pictures={title: (path, CAPTIONS.get(title, "")) for title, path in pictures.items()},
    )  # fmt: skip


def _point(point: OperatingPoint) -> list[object]:
    spread = between(point.accuracy_low, point.accuracy_high)
    promised = "out of reach" if not point.reachable else "guaranteed" if point.guaranteed else "estimate"
    return [
        plain_percent(point.target), f"{point.threshold:.4f}", percent(point.accuracy), spread, f"{point.depth:.2f}",
        percent(point.abstention), promised,
    ]  # fmt: skip


def _group_point(group: GroupPoint) -> list[object]:
    right = None if group.accuracy is None else percent(group.accuracy)
    depth = None if group.depth is None else f"{group.depth:.2f}"
    return [
        group.taxon, f"{group.threshold:.4f}", group.calibration_photos, group.evaluation_photos, right,
        between(group.accuracy_low, group.accuracy_high), depth,
    ]  # fmt: skip


def _watched(taxon: WatchedTaxon) -> list[object]:
    basis = f"{taxon.calibration_photos:,} of its own" if taxon.basis == "taxon" else "all taxa of its rank"
    found = None if taxon.recall is None else f"{percent(taxon.recall)} of {taxon.evaluation_photos:,}"
    return [taxon.taxon, f"{100 * taxon.threshold:.2g} %", basis, found, percent(taxon.false_alarms)]


def _group(row: Row) -> list[object]:
    return [row["name"], row["species"], row["photos"], *_right(row), percent(row["within"] / row["photos"])]


def _right(row: Row) -> list[object]:
    return [percent(row["value"]), between(row["low"], row["high"])]


def _confusion(row: Row) -> list[object]:
    return [row["species"], row["other"], f"{row['times']:,} of {row['photos']:,}", row["back"], row["rank"] or None]


def _species(row: Row) -> list[object]:
    right = percent(row["recognised"] / row["judged"]) if row["judged"] else None
    return [row["species"], row["order"], row["class"], row["train"], row["validation"], right]
