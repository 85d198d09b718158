"""The model card as one HTML file with its pictures and all species, from the template `model_card.html`."""

from typing import Final

from ml.spec import PLACE_GROUPS, PLACE_LEFT_OUT, size_title
from pipeline.comparison.comparison_page import as_html
from pipeline.comparison.place_tables import placed
from pipeline.comparison.wording import between, percent, plain_percent
from pipeline.pages.document import render, sections
from pipeline.pages.species_table import PLAIN
from pipeline.pages.web_addresses import SEARCH_INATURALIST
from pipeline.registry import card_words as words
from pipeline.registry.answer_tables import answer_tables
from pipeline.registry.card_facts import CardFacts, Row

CAPTIONS: Final = {
    "Accuracy by rank": (
        "How often the most probable species is right, and how often at least its genus, family and so on are. A step "
        "between genus and species shows mistakes between close relatives."
    ),
    "Accuracy by class size": (
        "How often it is right, by the number of training photographs of the species. A wide gap between the sides "
        "means that it knows its training photographs better than the organisms. Lines are 95 % intervals."
    ),
    "Training curves": (
        "Loss should fall and accuracy rise. Where the training line goes on and the validation line does not follow, "
        "the network learns its training photographs by heart."
    ),
    "Depth at each target accuracy": (
        "How far down the tree the answers go when so many of them must be right. The more has to be right, the more "
        "answers stop at the genus, the family or above."
    ),
    "Accuracy and depth at each threshold": (
        "A higher threshold makes more answers right and fewer of them species. Where the two halves of the validation "
        "side agree, the threshold can be relied on."
    ),
    "Reliability of the stated probabilities": (
        "Whether it can be taken at its word: on the dotted line, of the answers given with 80 % four in five are "
        "right. Hollow points are of few answers; lines are 95 % intervals."
    ),
    PLACE_LEFT_OUT: (
        "What a place adds when records near the photograph do not count. A level line: the gain comes from the ranges "
        "of species. One that falls to 0: it comes from records of the same spot. Lines are 95 % intervals."
    ),
    PLACE_GROUPS: (
        "How many points a place, and a date, add in each group; behind its name stand its photographs. Observers are "
        "in training or not: whether other photographs of the same person were learnt from. Lines are 95 % intervals."
    ),
}
"""What to see in the pictures of training and calibration, by title."""


def card_page(facts: CardFacts) -> str:
    """The whole document."""
    found, manifest = facts.calibration, facts.manifest
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
            ("use", "Use"), ("answers", "Answers"), *([("places", "Place and season")] if facts.places else []),
            ("accuracy", "Accuracy"), ("confusions", "Confusions"),
            ("species", "Species"), ("limits", "Limits"), ("data", "Data and licences"), ("training", "Training"),
            ("cite", "How to cite"),
        ),
        headline=[
            ("species", facts.known),
            ("species right", percent(facts.training.metrics["top1"])),
            (f"right, asked for {plain_percent(found.target)}", percent(found.evaluation_accuracy)),
            ("mean depth then", f"{found.evaluation_depth:.2f} of 7"),
        ],
        **answer_tables(found),
        placed=as_html(placed(facts.places, target=found.target)) if facts.places else None,
        classes=[_group(row) for row in facts.classes],
        orders=[_group(row) for row in facts.orders],
        sizes=[[size_title(row["group"]), row["photos"], *_right(row)] for row in facts.sizes],
        confusions=[_confusion(row) for row in facts.confusions],
        species=facts.species,
        plain=PLAIN,
        packed=facts.species.packed(facts.found_at),
        found_at=facts.found_at,
        inaturalist=SEARCH_INATURALIST,
        licences=[list(item) for item in facts.licences.items()],
        pictures={title: (path, CAPTIONS.get(title, "")) for title, path in pictures.items()},
    )  # fmt: skip


def _group(row: Row) -> list[object]:
    return [row["name"], row["species"], row["photos"], *_right(row), percent(row["within"] / row["photos"])]


def _right(row: Row) -> list[object]:
    return [percent(row["value"]), between(row["low"], row["high"])]


def _confusion(row: Row) -> list[object]:
    return [row["species"], row["other"], f"{row['times']:,} of {row['photos']:,}", row["back"], row["rank"] or None]
