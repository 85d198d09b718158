"""`reports/exam.html`: what the gate concluded, with tables and intervals, for people."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pipeline.comparison.wording import counted, day, plain_percent
from pipeline.config.settings import Settings
from pipeline.exam.decision import Comparison, Decision, OnlyOne, Verdict
from pipeline.exam.exam_figures import Row, forest
from pipeline.exam.sentences import TITLES, TOLD, change, interval, number, title_of
from pipeline.files import write_bytes
from pipeline.pages.document import Link, render, sections
from pipeline.pages.figures import draw_once

COLUMNS = ("metric", "challenger", "other", "change", "95 % interval", "at least", "photographs", "verdict")
"""Headings of the table of a comparison; `other` is replaced by the version."""
GROUPS_DRAWN = 40
"""Groups in a picture, the worst first; all are in the table."""


@dataclass(frozen=True, kw_only=True)
class ExamReport:
    """What was written."""

    html: Path
    pictures: dict[str, Path]
    """PNG files by title, one for each comparison."""


def build_exam_page(settings: Settings, decision: Decision, *, dataset_version: str, written: date) -> ExamReport:
    """Write the page and its pictures.

    Args:
        settings: The configuration.
        decision: What was concluded.
        dataset_version: The present dataset version, for the footer.
        written: The day.
    """
    folder = settings.paths.reports
    pictures = {
        f"Against {called(each)}": draw_once(
            folder / "exam" / f"against-{each.role}.png", forest, *drawn(each), f"version {each.other}"
        )
        for each in decision.comparisons
        if each.verdicts
    }
    links = [(each.role, f"Against {called(each)}") for each in decision.comparisons]
    html = render(
        "exam.html",
        scope=settings.name,
        dataset_version=dataset_version,
        date=written.isoformat(),
        day=day(written),
        sections=sections(("decision", "Decision"), *links, ("reading", "How to read")),
        pages=neighbours(settings),
        decision=decision,
        # What the table of the version's own numbers says is not said twice.
        reasons=[reason for reason in decision.reasons if reason not in {each.sentence for each in decision.own}],
        headline=[
            ("challenger", f"version {decision.challenger}"),
            ("champion", "none yet" if decision.champion is None else f"version {decision.champion}"),
            ("exam", f"version {decision.exam}"),
            ("target", plain_percent(decision.target)),
        ],
        own=[alone_row(each, target=decision.target) for each in decision.own],
        comparisons=[shown(each, decision, pictures=pictures) for each in decision.comparisons],
        group_rank=settings.gate.group_rank,
        group_photos=settings.gate.group_photos,
        per_species=settings.exam.observations_per_species,
    )  # fmt: skip
    return ExamReport(html=write_bytes(folder / "exam.html", html.encode()), pictures=pictures)


def neighbours(settings: Settings) -> list[Link]:
    """The pages beside this one, for its navigation; the report is written after it, about the same version."""
    standing = {"Networks compared": "comparison.html", "Dataset": "dataset/index.html"}
    others = [Link(text=text, href=href) for text, href in standing.items() if (settings.paths.reports / href).exists()]
    return [Link(text="Report", href="report.html"), Link(text="Exam", href=""), *others]


def called(comparison: Comparison) -> str:
    """`the champion, version 3`."""
    role = "the champion" if comparison.role == "champion" else "the best of the last year"
    return f"{role}, version {comparison.other}"


def shown(comparison: Comparison, decision: Decision, *, pictures: dict[str, Path]) -> dict[str, object]:
    """What the template shows of one comparison."""
    title = f"Against {called(comparison)}"
    return {
        "id": comparison.role,
        "title": title,
        "asked": f"{counted(comparison.photos, 'photograph')} of {counted(comparison.species, 'species', 'species')}",
        "columns": [f"version {comparison.other}" if name == "other" else name for name in COLUMNS],
        "rows": [row_of(each, target=decision.target) for each in comparison.verdicts],
        "picture": pictures.get(title),
        "only": [only_row(each) for each in comparison.only],
    }


def row_of(verdict: Verdict, *, target: float) -> list[object]:
    """A row of the table of `COLUMNS`."""
    kind = verdict.metric
    wanted = [
        None if verdict.threshold is None else number(kind, verdict.threshold),
        None if verdict.min_absolute_change is None else change(kind, verdict.min_absolute_change),
    ]
    return [
        title_of(kind, verdict.title, target=target, case=verdict.case),
        number(kind, verdict.challenger),
        number(kind, verdict.other),
        change(kind, verdict.change),
        interval(kind, verdict.low, verdict.high) or None,
        " and ".join(text for text in wanted if text is not None) or None,
        verdict.photos,
        "passed" if verdict.passed else "failed",
    ]


def alone_row(verdict: Verdict, *, target: float) -> list[object]:
    """A row on a version that is compared with none: metric, value, photographs, least value, verdict."""
    metric, value, _, _, _, wanted, photos, passed = row_of(verdict, target=target)
    return [metric, value, photos, wanted if verdict.threshold is not None else None, passed]


def only_row(only: OnlyOne) -> list[object]:
    """A row of the table on what only one version knows."""
    return [
        f"version {only.version}",
        only.species,
        only.photos,
        None if only.top1 is None else number("top1", only.top1),
        None if only.promise is None else number("promise", only.promise),
    ]


def drawn(comparison: Comparison) -> tuple[list[Row], list[Row]]:
    """The rows of the picture: shares, and depths; groups from the worst, and not too many of them."""
    found = [verdict for verdict in comparison.verdicts if verdict.change is not None]
    groups = sorted((each for each in found if each.metric == "group"), key=lambda each: each.change or 0)
    shares = [each for each in found if each.metric not in {"depth", "group"}] + groups[:GROUPS_DRAWN]
    return [_drawn(each) for each in shares], [_drawn(each) for each in found if each.metric == "depth"]


def _drawn(verdict: Verdict) -> Row:
    return {
        "label": verdict.title if verdict.metric == "group" else f"{TOLD[verdict.case]}{TITLES[verdict.metric]}",
        "change": verdict.change,
        "low": verdict.low,
        "high": verdict.high,
        "margin": verdict.min_absolute_change,
        "passed": verdict.passed,
    }
