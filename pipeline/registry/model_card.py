"""The model card as Markdown, which MLflow shows at the version: what it is for, how far to trust it, how to cite it.

Paragraphs are one line each, since MLflow keeps line breaks. The first line is a plain sentence, since MLflow's list of
models shows the beginning. The same with pictures and all species is `pipeline.registry.card_page`.
"""

from collections.abc import Iterable, Sequence

from ml.spec import size_title
from pipeline.comparison.comparison_text import markdown
from pipeline.comparison.place_tables import placed
from pipeline.comparison.wording import between, percent
from pipeline.registry import card_words as words
from pipeline.registry.card_facts import CardFacts, Row

CLASSES = 12
"""Taxonomic classes in the table, those with the most photographs; the page has all."""


def model_card(facts: CardFacts) -> str:
    """A Markdown page for one model version."""
    points = facts.calibration.report.read_text(encoding="utf-8").strip()
    if not points.startswith("|"):
        # What its first paragraph says stands above it here.
        points = points.partition("\n\n")[2]
    # Place and season have a section of their own.
    points = points.partition("## Place and season")[0].strip()
    most = "" if len(facts.classes) <= CLASSES else f" The {CLASSES} with the most photographs:"
    classes = ("class", "species", "photographs", "species right (95 % interval)")
    sizes = ("training photographs", "photographs", "right (95 % interval)")
    parts = [
        words.summary(facts),
        f"# {facts.settings.registry.model_name}: {facts.title}",
        "The page model_card.html of this version has all of this with pictures, and the list of species with search.",
        "## What it is for",
        bullets(words.USES),
        "## What it must not be used for",
        bullets(words.MISUSES),
        "## How it answers",
        f"{words.answer_rule(facts)} {words.promise(facts)}",
        points,
        words.novelty(facts),
        words.together(facts),
        *_places(facts),
        "## How often the species is right",
        words.accuracy(facts),
        table(("rank", "right"), words.by_rank(facts)),
        f"By taxonomic class.{most}",
        table(classes, map(_group, facts.classes[:CLASSES])),
        "By the number of training photographs of the species.",
        table(sizes, map(_size, facts.sizes)),
        "## What it confuses",
        words.confused(facts),
    ]
    if facts.confusions:
        parts.append(table(("species", "taken for", "times", "other way"), map(_confusion, facts.confusions)))
    parts += [
        "## Species",
        words.known_species(facts),
        "## Limits",
        bullets(words.limits(facts)),
        "## Data",
        words.data(facts),
        "## Licences",
        words.photograph_licences(facts),
        words.weight_licence(facts),
        "## Training",
        bullets(f"{name}: {value}" for name, value in words.training_facts(facts)),
        "## How to cite",
        bullets(f"{what}: {text}" for what, text in words.citations(facts)),
    ]
    return "\n\n".join(parts) + "\n"


def _places(facts: CardFacts) -> list[str]:
    """The section on place and season; empty where the network knows no places."""
    if not facts.places:
        return []
    return [
        "## Place and season",
        words.place_gain(facts),
        markdown(placed(facts.places, target=facts.calibration.target)),
        words.place_reach(facts),
        "What the place must not be used for:",
        bullets(words.PLACE_MISUSES),
        words.PLACE_DATA,
    ]


def bullets(lines: Iterable[str]) -> str:
    """A list."""
    return "\n".join(f"- {line}" for line in lines)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; every column but the first, and what a species is taken for, is set to the right."""
    aligned = ["---" if place == 0 or head == "taken for" else "---:" for place, head in enumerate(heads)]
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, *rows)]
    return "\n".join([lines[0], f"|{'|'.join(aligned)}|", *lines[1:]])


def _group(row: Row) -> tuple[str, ...]:
    return row["name"], f"{row['species']:,}", f"{row['photos']:,}", _right(row)


def _size(row: Row) -> tuple[str, ...]:
    return size_title(row["group"]), f"{row['photos']:,}", _right(row)


def _right(row: Row) -> str:
    return f"{percent(row['value'])} ({between(row['low'], row['high'])})"


def _confusion(row: Row) -> tuple[str, ...]:
    return row["species"], row["other"], f"{row['times']:,} of {row['photos']:,}", f"{row['back']:,}"
