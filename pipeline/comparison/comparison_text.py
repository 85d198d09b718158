"""`reports/comparison.md`: the comparison as Markdown, for Dagster, MLflow and a terminal. Text only."""

from pipeline.comparison.comparison_findings import Findings
from pipeline.comparison.comparison_tables import HELP, Cell, Shown
from pipeline.comparison.networks import NETWORKS
from pipeline.comparison.place_tables import local_sentence
from pipeline.comparison.wording import day


def comparison_text(found: Findings) -> str:
    """The whole text. Paragraphs are one line each: some renderers keep line breaks."""
    recognised, controlled, changed, printed = found.tables
    meanings = "; ".join(f"*{name}*: {meaning}" for name, meaning in HELP)
    parts = [
        found.verdict.sentence,
        f"# The networks of the scope {found.settings.name}",
        f"{found.compared} Dataset version `{found.manifest.dataset_version}`, {day(found.day)}. {found.verdict_notes}",
        f"## {recognised.title}",
        markdown(recognised),
        found.intervals,
        f"## {controlled.title}",
        markdown(controlled),
        found.specificity_note,
        f"## {changed.title}",
        markdown(changed),
        found.differences_note,
        *place_parts(found),
        *(
            f"![{title}](comparison/{path.name})\n\n{title}. {found.captions[title]}"
            for title, path in found.pictures.items()
        ),
        f"## {printed.title}",
        markdown(printed),
        found.paper_note,
        "## What the columns mean",
        f"{meanings}.",
    ]
    return "\n\n".join(parts) + "\n"


def place_parts(found: Findings) -> list[str]:
    """The section on place and season; empty where no network knows places."""
    table = found.placed
    if table is None:
        return []
    return [
        f"## {table.title}", markdown(table), found.place_note,
        *(f"*{NETWORKS[name].title}*: {local_sentence(rows)}" for name, rows in found.places.items()),
    ]  # fmt: skip


def markdown(table: Shown) -> str:
    """A Markdown table; columns of numbers are set to the right."""
    aligned = ["---"] * table.words + ["---:"] * (len(table.heads) - table.words)
    lines = [f"| {' | '.join(table.heads)} |", f"|{'|'.join(aligned)}|"]
    lines += [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in table.rows]
    return "\n".join(lines)


def _cell(cell: Cell) -> str:
    return f"{cell.value} ({cell.interval})" if cell.interval else cell.value
