"""`reports/report.html`: the whole story of one model version and its dataset on one page, which leads to the details.

One file that opens from disk. What it shows in full is in no other page: every taxon with its accuracy, and the worst
confusions with photographs. Of all else it says the essential and links to the page that has the rest.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.comparison.comparison_page import as_html
from pipeline.comparison.place_tables import placed
from pipeline.comparison.wording import counted, day, percent, plain_percent
from pipeline.config.settings import Settings
from pipeline.dataset.attribution import licence_statement
from pipeline.dataset.manifest import DatasetManifest
from pipeline.files import digest_of, write_bytes
from pipeline.gbif.source import SourceRecord
from pipeline.pages.charts import observation_map
from pipeline.pages.document import Link, render, sections
from pipeline.pages.rejections_page import left_out
from pipeline.pages.species_table import PLAIN
from pipeline.pages.web_addresses import citable, doi_address
from pipeline.paths import Paths
from pipeline.production.record import Production
from pipeline.registry import card_words as words
from pipeline.registry.answer_tables import answer_tables
from pipeline.registry.card_facts import CardFacts, card_facts
from pipeline.registry.report_networks import side_by_side
from pipeline.registry.report_photographs import suspects_of, worst_confusions
from pipeline.registry.report_taxa import taxon_table
from pipeline.registry.reported_version import ReportedVersion

DETAILS: Final[Mapping[str, tuple[str, str]]] = {
    "Model card": ("../release/model_card.html", "how it answers and was trained, its limits, what it is for"),
    "Networks compared": ("comparison.html", "all numbers of all networks, and what chance explains of them"),
    "Exam": ("exam.html", "what the gate asked of this version, metric by metric"),
    "Dataset": ("dataset/index.html", "its species, photographs, places and licences"),
    "Left out": ("dataset/rejections.html", "every rule, with examples that lead to the record"),
    "Changes": ("dataset/changes.html", "what the last snapshot of GBIF brought and took away"),
    "Suspects": ("suspects.html", "photographs that may have the wrong name, and how to correct them"),
}
"""The other pages by title: where each lies, seen from `reports/`, and what it has that the report has not."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was written."""

    html: Path
    """`reports/report.html`, which needs no other file."""
    table: Path
    """`reports/report/taxa.csv`: its table of taxa."""
    numbers: Mapping[str, str | int]
    """What stands at its top, by name."""
    version: str
    """Content version."""


def build_report(
    settings: Settings, manifest: DatasetManifest, *, production: Production, version: ReportedVersion
) -> Report:
    """Write the report and its table.

    Args:
        settings: The configuration.
        manifest: The dataset version.
        production: The training that was registered.
        version: The version that it became.

    Raises:
        ChildError: it is not trained and calibrated.
        TableError: a table is missing.
        GbifError: `download.json` is missing.
    """
    paths, source = settings.paths, SourceRecord.read(settings.paths)
    facts = card_facts(settings, manifest, production=production, commit=version.commit)
    # The same version makes the same bytes on any day.
    facts = dataclasses.replace(facts, day=version.registered)
    predictions = facts.training.predictions
    taxa = taxon_table(paths, predictions, version)
    html = render(
        "report.html",
        scope=settings.name,
        dataset_version=manifest.dataset_version,
        date=version.registered.isoformat(),
        pages=[Link(text="Report", href=""), *(Link(text=text, href=href) for text, href, _ in details(paths))],
        sections=sections(
            ("glance", "At a glance"), ("use", "Use"), ("answers", "Promise"), ("taxa", "Accuracy"),
            ("confusions", "Confusions"), ("networks", "Networks"), ("data", "Data"), ("suspects", "Suspects"),
            ("exam", "Exam"), ("cite", "How to cite"),
        ),
        model=settings.registry.model_name,
        version=version,
        facts=facts,
        words=words,
        headline=_headline(facts),
        glance=_glance(facts, source, version),
        details=details(paths),
        sample=source.mode == "replica",
        **answer_tables(facts.calibration),
        placed=as_html(placed(facts.places, target=facts.calibration.target)) if facts.places else None,
        taxa=taxa,
        plain=PLAIN,
        shown=taxa.shown(PLAIN),
        packed=taxa.packed(facts.found_at),
        found_at=facts.found_at,
        confusions=worst_confusions(settings, source, predictions),
        networks=side_by_side(settings, manifest),
        pictures={**facts.training.figures, **facts.calibration.figures},
        left_out=left_out(manifest, page="dataset/rejections.html"),
        map=observation_map(paths),
        licences=licence_statement(facts.licences),
        suspects=suspects_of(settings, manifest, source),
        target=plain_percent(facts.calibration.target),
    )  # fmt: skip
    return Report(
        html=write_bytes(paths.reports / "report.html", html.encode()),
        table=taxa.write_csv(paths.reports / "report" / "taxa.csv"),
        numbers=dict(_headline(facts)),
        version=digest_of(html),
    )


def details(paths: Paths) -> list[tuple[str, str, str]]:
    """Title, address and a few words of each other page that stands."""
    return [(text, href, says) for text, (href, says) in DETAILS.items() if (paths.reports / href).exists()]


def _headline(facts: CardFacts) -> list[tuple[str, str | int]]:
    found = facts.calibration
    return [
        ("species known", facts.known),
        ("species right", percent(facts.training.metrics["top1"])),
        (f"right, asked for {plain_percent(found.target)}", percent(found.evaluation_accuracy)),
        ("mean depth then", f"{found.evaluation_depth:.2f} of 7"),
    ]


def _glance(facts: CardFacts, source: SourceRecord, version: ReportedVersion) -> list[tuple[str, object]]:
    """What it is, as pairs of name and value."""
    manifest, settings = facts.manifest, facts.settings
    counts = manifest.counts
    held = f"{counts['train']:,} training and {counted(counts['validation'], 'validation photograph')}"
    data = f"{manifest.source}." if manifest.source[-1:] != "." else manifest.source
    pairs: list[tuple[str, object]] = [
        ("Version", f"{settings.registry.model_name} {version.number}, registered on {day(version.registered)}"),
        ("Network", f"{facts.title}; {words.began(facts)}"),
        ("Scope", settings.name),
        ("Dataset", f"version {manifest.dataset_version}: {held}"),
        ("Data from", data),
        ("Photographs under", ", ".join(f"{name} ({number:,})" for name, number in facts.licences.items())),
    ]  # fmt: skip
    if citable(source):
        pairs.insert(5, ("DOI", Link(text=str(manifest.doi), href=doi_address(manifest.doi))))
    return pairs
