"""`reports/comparison.html`: the comparison as one file with its pictures, from the template `comparison.html`."""

from pipeline.comparison.comparison_findings import Findings
from pipeline.comparison.comparison_tables import HELP, Cell, Shown
from pipeline.comparison.networks import NETWORKS
from pipeline.comparison.wording import day, plain_percent
from pipeline.pages.document import Link, render, sections
from pipeline.tracking.links import run_url


def comparison_page(found: Findings) -> str:
    """The whole document."""
    settings, counts = found.settings, found.manifest.counts
    recognised, controlled, changed, printed = found.tables
    return render(
        "comparison.html",
        scope=settings.name,
        dataset_version=found.manifest.dataset_version,
        date=found.day.isoformat(),
        day=day(found.day),
        pages=neighbours(found),
        sections=sections(
            ("recognised", "Recognition"), ("controlled", "Answers"), ("changed", "What changes bring"),
            *([("places", "Place and season")] if found.placed else []),
            ("figures", "Figures"), ("paper", "The paper"), ("reading", "How to read"), ("runs", "Runs"),
        ),
        headline=[
            ("species", counts["species"]),
            ("training photographs", counts["train"]),
            ("validation photographs", counts["validation"]),
            ("trainings of each network", settings.training.repeats),
            ("target", plain_percent(settings.specificity.target)),
        ],
        found=found,
        help=HELP,
        recognised=as_html(recognised),
        controlled=as_html(controlled),
        changed=as_html(changed),
        printed=as_html(printed),
        placed=found.placed and as_html(found.placed),
        runs=run_links(found),
    )  # fmt: skip


def neighbours(found: Findings) -> list[Link]:
    """The pages beside this one, for its navigation."""
    if not (found.settings.paths.reports / "dataset" / "index.html").exists():
        return []
    pages = [Link(text="Dataset", href="dataset/index.html"), Link(text="Networks compared", href="")]
    if (found.settings.paths.reports / "report.html").exists():
        pages.append(Link(text="Report", href="report.html"))
    return pages


def run_links(found: Findings) -> list[list[object]]:
    """Seed, training and calibration of each network as links into MLflow, where they were logged."""

    def link(run_id: str, text: str) -> object:
        return Link(text=text, href=run_url(found.settings, run_id)) if run_id else "not logged"

    return [
        [NETWORKS[name].title, str(run.seed), link(run.training.mlflow_run_id, "training"),
         link(run.calibration.mlflow_run_id, "calibration")]
        for name, runs in found.results.items()
        for run in runs
    ]  # fmt: skip


def as_html(table: Shown) -> dict[str, object]:
    """What the macro `table` of the templates takes; an interval stands below its number."""
    return {
        "columns": table.heads,
        "rows": [[_cell(cell) for cell in row] for row in table.rows],
        "numbers": table.heads[table.words :],
        "title": table.title,
        "caption": table.caption,
    }


def _cell(cell: Cell) -> object:
    from markupsafe import Markup  # noqa: PLC0415 (with Jinja2, which loads when a page is written)

    if not cell.interval:
        return cell.value or None
    return Markup('{}<br><span class="interval">{}</span>').format(cell.value, cell.interval)
